"""Environments of others with any spaces: batches show the same everywhere, and agents learn there."""

import json

import meze
import numpy as np
import pytest
import spaces_env
from gymnasium.spaces import flatten
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from meze.agents.spaces import Combined, Flattened
from meze.envs.core.vector import WorldVectorEnv
from meze.runners import cli
from meze.runners.run.rollout import action_mask
from meze.runners.setup.presets import default_env_config
from meze.runners.setup.resolve import find_environment, make_vector
from run_files import only_run

TINY = "Tiny/Spaces-v0"


def make(
    observations: str, actions: str, num_envs: int = 3, mode=AutoresetMode.SAME_STEP, how="sync", **rest
):
    environment = find_environment(TINY)
    config = environment.config(observations=observations, actions=actions, **rest)
    return make_vector(environment, config, num_envs, mode, vectorization=how)


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_batch_shows_what_gymnasium_flattens(how) -> None:
    env = make("Tuple, nested", "MultiDiscrete", how=how)
    actions = spaces_env.ACTIONS["MultiDiscrete"]
    space, combined = env.single_observation_space, Combined(actions)
    assert (
        space == Flattened(spaces_env.OBSERVATIONS["Tuple, nested"]) and env.single_action_space == combined
    )
    raw = SyncVectorEnv(
        [lambda: spaces_env.Spaces("Tuple, nested", "MultiDiscrete")] * 3, autoreset_mode="SameStep"
    )
    obs, _ = env.reset(seed=4)
    bare, _ = raw.reset(seed=4)
    rows = [np.array([0, 3, 5])] * 5
    for numbers in rows:
        obs, reward, ended, _, info = env.step(numbers)
        bare, bare_reward, _, _, bare_info = raw.step(combined.split(numbers))
        assert reward.tolist() == bare_reward.tolist() == [0, 1, 1]
    assert ended.all()
    assert all(space.contains(each) for each in (*obs, *info["final_obs"]))
    for flat, parts in zip(info["final_obs"], bare_info["final_obs"], strict=True):
        assert np.array_equal(flat, flatten(raw.single_observation_space, parts))
    env.close(), raw.close()


def test_masks_of_parts_are_masks_of_numbers() -> None:
    env = make("Discrete", "MultiDiscrete", masked=True)
    _, info = env.reset(seed=0)
    mask = action_mask(info)
    assert mask is not None and mask.tolist() == [[0, 0, 0, 0, 1, 1]] * 3
    for _ in range(5):
        _, _, _, _, info = env.step(np.array([4, 5, 4]))
    assert action_mask(info["final_info"]).tolist() == mask.tolist()  # type: ignore[union-attr]


def test_what_cannot_be_flattened_is_refused_in_one_line() -> None:
    line = r"^Tiny/Spaces-v0 has Dict observations that can't be used \(Dict.*and Tuple of these$"
    with pytest.raises(ValueError, match=line):
        make("Dict of Text and Sequence", "Discrete")


def test_native_worlds_are_left_alone() -> None:
    corridor = find_environment("corridor")
    env = make_vector(corridor, default_env_config(corridor), 2, AutoresetMode.SAME_STEP)
    assert type(env) is WorldVectorEnv


@pytest.mark.parametrize("agent", ["q-learning", pytest.param("sb3-ppo", marks=pytest.mark.slow)])
def test_a_run_with_several_parts(agent, tmp_path, capsys) -> None:
    """The reward is the first part of the action: five a full episode, and 2.5 by chance."""
    flags = ["--env.observations", "Tuple of numbers", "--env.actions", "MultiDiscrete", "--num-envs", "4"]
    own = {
        "q-learning": ["--agent.gamma", "0", "--agent.exploration.steps", "2000"],
        "sb3-ppo": [
            "--agent.num-steps",
            "32",
            "--agent.num-minibatches",
            "2",
            "--agent.learning-rate.start",
            "0.01",
        ],
    }
    size = ["--steps", "4000", "--eval-episodes", "8", "--out", str(tmp_path)]
    assert cli.main(["train", agent, TINY, *flags, *size, *own[agent]]) == 0
    run = only_run(tmp_path)
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    assert scores["random"]["return"]["mean"] < 4.0 < 4.5 < scores[agent]["return"]["mean"]
    policy, env = meze.load(run, num_envs=2)
    obs, _ = env.reset(seed=0)
    actions, _ = policy.act(obs, explore=False)
    assert env.step(actions)[1].shape == (2,)
    capsys.readouterr()
    film = str(tmp_path / "film.gif")
    assert cli.main(["watch", str(run), "--record", film, "--steps", "3"]) == 0
