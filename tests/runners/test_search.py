"""Runs of searchers: a batch equals one by one, every generation is saved, and stopping changes nothing."""

import json
import signal

import gymnasium
import meze
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from meze.agents import checkpoint
from meze.agents.evolution.genomes import GeneticConfig
from meze.agents.evolution.neat import NeatConfig
from meze.agents.registry import make_agent
from meze.envs.core.env import WorldEnv
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.core.world import make_world
from meze.runners import cli
from meze.runners.run import rollout, search
from meze.runners.run.folder import RunDir
from meze.runners.run.rollout import evaluate, evaluate_at_once
from meze.runners.setup.interrupts import INTERRUPTED
from PIL import Image
from run_files import assert_same_end, final, kill_and_resume, only_run, rows

SMALL = ["--generations", "8", "--episodes", "2", "--eval-episodes", "16"]
FLAGS = {
    "genetic": [*SMALL, "--agent.population-size", "24", "--agent.elites", "2"],
    "random-search": [*SMALL, "--agent.population-size", "24", "--agent.elites", "2"],
    "cma-es": [*SMALL, "--agent.population-size", "24"],
    "neat": [*SMALL, "--agent.population-size", "24", "--agent.species", "3"],
}


def one_by_one(make, population, policy_of, seeds):
    """Returns and lengths, each genome alone in a single environment, each seed after the other."""
    results = []
    for g in range(population):
        for seed in seeds:
            env = make()
            obs, info = env.reset(seed=seed)
            policy, memory, total, steps = policy_of(np.array([g])), None, 0.0, 0
            while True:
                mask = info.get("action_mask")
                mask = None if mask is None else mask[None]
                action, memory = policy.act(np.asarray(obs)[None], memory, explore=False, mask=mask)
                obs, reward, terminated, truncated, info = env.step(action[0])
                total, steps = total + float(reward), steps + 1
                if terminated or truncated:
                    break
            results.append((total, steps))
    return np.transpose(results)


def searcher_of(env, name, **settings):
    config = NeatConfig(**settings) if name == "neat" else GeneticConfig(**settings)
    return make_agent(name, env.observation_space, env.action_space, num_envs=1, config=config, seed=1)


@pytest.mark.parametrize(
    ("name", "world", "config", "settings"),
    [
        ("genetic", "toy_world:Corridor", {}, {}),
        ("genetic", "toy_world:Corridor", {}, {"genome": "sequence"}),
        ("genetic", "toy_world:Corridor", {"observation": "strip"}, {"hidden": 4}),
        ("neat", "toy_world:Corridor", {"observation": "strip"}, {}),
        ("genetic", "meze.envs.city.world:City", {"observation": "grid"}, {"hidden": 3}),
    ],
)
def test_all_at_once_equals_one_by_one(name, world, config, settings, monkeypatch) -> None:
    batches = []

    def counted(*args):
        batches.append(WorldVectorEnv(*args))
        return batches[-1]

    monkeypatch.setattr(rollout, "WorldVectorEnv", counted)
    monkeypatch.setattr(rollout, "SHRINK", 0.99)
    population = 24
    sizes = {"elites": 2} if name == "genetic" else {"species": 3}
    made, limit, seeds = make_world(world, config), 30, [5, 9, 2]
    searcher = searcher_of(made, name, population_size=population, **sizes, **settings)
    searcher.tell(np.random.default_rng(0).random(len(searcher.ask())))
    asked = searcher.ask()
    shrinking = rollout.Batches(made, 3 * population, limit)
    for _ in range(2):  # batches are used again
        batched = evaluate_at_once(shrinking, lambda k: searcher.policy_of(asked, k // 3), seeds * population)

    def make():
        return gymnasium.wrappers.TimeLimit(WorldEnv(made), limit)

    returns, lengths = one_by_one(make, population, lambda g: searcher.policy_of(asked, g), seeds)
    assert np.array_equal(batched.measures["return"], returns)
    assert np.array_equal(batched.measures["length"], lengths)
    assert len({batch.num_envs for batch in batches}) > 1  # it has become smaller on the way


@pytest.mark.parametrize("name", ["genetic", "neat"])
def test_foreign_environments_refilled_equal_one_by_one(name) -> None:
    env = SyncVectorEnv(
        [lambda: gymnasium.make("CartPole-v1", max_episode_steps=60)] * 7,
        autoreset_mode=AutoresetMode.DISABLED,
    )
    single = gymnasium.make("CartPole-v1", max_episode_steps=60)
    settings = {"elites": 2} if name == "genetic" else {"species": 3}
    searcher = searcher_of(single, name, population_size=24, **settings)
    asked, seeds = searcher.ask(), [3, 4]
    batched = evaluate(env, lambda k: searcher.policy_of(asked, k // 2), seeds * 24)
    returns, lengths = one_by_one(lambda: single, 24, lambda g: searcher.policy_of(asked, g), seeds)
    assert np.array_equal(batched.measures["return"], returns)
    assert np.array_equal(batched.measures["length"], lengths)


def test_scripts_begin_anew_in_refilled_environments() -> None:
    made = make_world("toy_world:Corridor", {"slip": 0})
    searcher = searcher_of(made, "genetic", population_size=24, elites=2, genome="sequence", runs=5)
    asked, limit = searcher.ask(), 30
    few = WorldVectorEnv(made, 5, limit, AutoresetMode.DISABLED)
    refilled = evaluate(few, lambda k: searcher.policy_of(asked, k), [7] * 24)
    at_once = evaluate_at_once(
        rollout.Batches(made, 24, limit), lambda k: searcher.policy_of(asked, k), [7] * 24
    )
    assert np.array_equal(refilled.measures["return"], at_once.measures["return"])
    assert np.array_equal(refilled.measures["length"], at_once.measures["length"])


@pytest.mark.parametrize("agent", list(FLAGS))
def test_a_run(agent, tmp_path, capsys) -> None:
    args = ["train", agent, "corridor", *FLAGS[agent], "--seed", "3", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    run = only_run(tmp_path)
    assert json.loads((run / "config.json").read_text())["run"]["generations"] == 8
    names = [path.name for path in sorted((run / "checkpoints").iterdir())]
    assert names == [f"step-{k:012d}.safetensors" for k in range(1, 9)]
    table = rows(run)
    assert [row["generation"] for row in table] == [str(k) for k in range(1, 9)]
    assert all(float(row["best"]) >= float(row["median"]) and row["diversity"] for row in table)
    assert int(table[-1]["step"]) == final(run)["steps"] > 0 and table[-1]["eval_return"]
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    assert set(scores) == {agent, "random", "expert"}
    assert scores[agent]["return"]["mean"] > scores["random"]["return"]["mean"]
    said = capsys.readouterr().out
    assert "8 of 8 generations evaluated: return " in said and f"meze watch {run}" in said
    assert (run / "network.png").exists() == (agent == "neat")

    policy, env = meze.load(run, num_envs=3)
    obs, info = env.reset(seed=0)
    assert policy.act(obs, explore=False, mask=info["action_mask"])[0].shape == (3,)
    assert cli.main(["evaluate", "corridor", str(run), "random", "--episodes", "8"]) == 0
    if agent == "genetic":
        assert cli.main(["train", "--resume", str(run), "ga", "corridor", "--generations", "9"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "generations", "left"), [("genetic", "150", 130), ("cma-es", "150", 130), ("neat", "60", 50)]
)
def test_killed_and_resumed_equals_never_stopped(agent, generations, left, tmp_path) -> None:
    args = ["train", agent, "corridor", *FLAGS[agent], "--generations", generations]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main([*args, "--out", str(whole)]) == 0
    run, done = kill_and_resume([*args, "--out", str(broken)], broken, after=(0, 5, 20))
    assert done < left
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(whole))
    for path in (run / "checkpoints").iterdir():  # each generation, not only the last one
        a, b = (checkpoint.load(p) for p in (path, only_run(whole) / "checkpoints" / path.name))
        names = [name for name in a if name != "seconds"]
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[name], b[name], equal_nan=name.endswith("fitness")) for name in names)


def test_ctrl_c_saves_and_exits(tmp_path, monkeypatch, capsys) -> None:
    args = ["train", "genetic", "corridor", *FLAGS["genetic"]]
    assert cli.main([*args, "--out", str(tmp_path / "whole")]) == 0
    play, played = search.Search.play, []

    def interrupted(self, population, stop):
        played.append(population)
        if len(played) == 4:
            signal.raise_signal(signal.SIGINT)
        return play(self, population, stop)

    monkeypatch.setattr(search.Search, "play", interrupted)
    assert cli.main([*args, "--out", str(tmp_path / "stopped")]) == INTERRUPTED
    run = only_run(tmp_path / "stopped")
    said = capsys.readouterr().out
    assert "saved at 3 generations" in said and f"meze train --resume {run}" in said
    monkeypatch.undo()
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(tmp_path / "whole"))


def test_a_search_goes_on_for_longer(tmp_path) -> None:
    args = ["train", "genetic", "corridor", *FLAGS["genetic"]]
    assert cli.main([*args, "--out", str(tmp_path / "short")]) == 0
    run = only_run(tmp_path / "short")
    assert cli.main(["train", "--resume", str(run), "--generations", "11"]) == 0
    assert json.loads((run / "config.json").read_text())["run"]["generations"] == 11
    assert cli.main([*args, "--generations", "11", "--out", str(tmp_path / "long")]) == 0
    a, b = final(run), final(only_run(tmp_path / "long"))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_generation_meets_the_same_seeds_and_the_next_one_others(tmp_path) -> None:
    args = ["train", "genetic", "corridor", *FLAGS["genetic"], "--generations", "1", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    run = RunDir.open(only_run(tmp_path))
    made = search.Search(run.config(), run)
    first = made.seeds()
    assert first == made.seeds() and len(set(first)) == 2
    made.agent.generation = 1
    assert not set(first) & set(made.seeds())
    made.close()


def test_the_topology_is_a_picture(tmp_path) -> None:
    args = ["train", "neat", "CartPole-v1", "--generations", "2", "--eval-episodes", "4", "--episodes", "1"]
    assert cli.main([*args, "--max-episode-steps", "20", "--out", str(tmp_path)]) == 0
    picture = np.asarray(Image.open(only_run(tmp_path) / "network.png"))
    assert picture.shape[1:] == (960, 3)
    nodes = (picture[:, 190:206] > 200).all(axis=2)  # the inputs' column
    assert 4 * 60 < nodes.sum() < 4 * 160
    blue = (picture[..., 2] > 120) & (picture[..., 0] < 130)
    orange = (picture[..., 0] > 120) & (picture[..., 2] < 100)
    assert blue.sum() + orange.sum() > 1000


def test_flags_of_searches_are_their_own(capsys) -> None:
    assert cli.main(["train", "genetic", "corridor", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--generations" in said and "--agent.population-size" in said and "--num-envs" not in said
    assert cli.main(["train", "genetic", "corridor", "--steps", "5"]) == 2
    assert "unknown flag --steps" in capsys.readouterr().err
    assert cli.main(["train", "genetic", "corridor", "--generations", "0"]) == 2
    assert "generations must be at least 1" in capsys.readouterr().err
    assert cli.main(["evaluate", "corridor", "genetic"]) == 2
    assert "genetic has to be trained first: meze train genetic corridor" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("genome", ["policy", "sequence"])
def test_threads_change_nothing(genome, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(search, "LEAST_SHARED", 10)
    args = ["train", "genetic", "corridor", *FLAGS["genetic"], "--agent.genome", genome]
    for threads in "1", "3":
        assert cli.main([*args, "--num-threads", threads, "--out", str(tmp_path / threads)]) == 0
    assert_same_end(only_run(tmp_path / "1"), only_run(tmp_path / "3"))


def test_no_generation_begins_after_the_last_step(tmp_path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    args = ["train", "genetic", "corridor", *FLAGS["genetic"], "--generations", "6", "--out"]
    assert cli.main([*args, str(whole)]) == 0
    steps = [int(row["step"]) for row in rows(only_run(whole))]
    assert cli.main([*args, str(part), "--max-steps", str(steps[2] - 1)]) == 0
    assert [int(row["step"]) for row in rows(only_run(part))] == steps[:3]
    assert rows(only_run(part))[-1]["eval_return"]
