"""What a user sets and is told: config, reset options, rewards, infos."""

import gymnasium
import meze  # noqa: F401  (registers the worlds)
import numpy as np
import pytest
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from platformer_stage import RIGHT, RUN, Stage, draw_level

LEVELS = [draw_level(), draw_level({(20, 12): "w"}), draw_level(pits=[9, 10])]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"difficulty": 1.5}, "difficulty must lie between 0 and 1"),
        ({"difficulty": float("nan")}, "difficulty must be a finite number"),
        ({"frame_skip": 0}, "frame_skip must lie between 1"),
        ({"frame_skip": 2.5}, "frame_skip must be a whole number"),
        ({"pool_size": 0}, "pool_size must lie"),
        ({"actions": "all"}, "actions must be one of right_only, simple, complex"),
        ({"observation": "ram"}, "observation must be one of grid, pixels, index"),
        ({"split": "dev"}, "split must be one of train, test"),
        ({"flag": 1e9}, "flag must lie"),
        ({"level": "01-nowhere"}, "unknown level"),
    ],
)
def test_what_a_config_may_not_say_is_told_in_a_line(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        Platformer(PlatformerConfig(**settings))
    assert "\n" not in str(error.value)


def test_a_reset_chooses_the_level_for_one_episode():
    envs = WorldVectorEnv(Platformer(PlatformerConfig(), LEVELS), num_envs=3)
    envs.reset(seed=1, options={"level": np.array([2, 0, 1])})
    assert envs.get_state()["level"].tolist() == [2, 0, 1]
    envs.reset(options={"level": 1})
    assert envs.get_state()["level"].tolist() == [1, 1, 1]
    drawn = set()
    for _ in range(30):
        envs.reset()
        drawn |= set(envs.get_state()["level"].tolist())
    assert drawn == {0, 1, 2}


@pytest.mark.parametrize("options", [{"level": 3}, {"level": -1}, {"level": 0.5}, {"map": 0}])
def test_other_options_are_refused(options):
    envs = WorldVectorEnv(Platformer(PlatformerConfig(), LEVELS), num_envs=2)
    with pytest.raises(ValueError, match="option"):
        envs.reset(seed=1, options=options)


def test_weights_are_those_of_the_config():
    stage = Stage({(6, 12): "o"}, coins=2.0, time=-0.5, progress=0.0, flag=3.0)
    stage.put(5)
    stage.until(lambda r: r["coins"] == 1, RIGHT)
    assert stage.info["reward_coins"] == 2 and stage.info["reward_time"] == -0.5
    assert stage.info["reward_progress"] == 0
    stage.put(44)
    stage.until(lambda _: stage.over, RIGHT)
    assert stage.info["reward_flag"] == 3


def test_a_step_is_charged_for_each_of_its_ticks():
    stage = Stage(frame_skip=10, time=-1.0).put(5)
    stage.tick()
    assert stage.info["reward_time"] == -10
    stage.put(44.9, vx=codes.RUN_SPEED).tick(RIGHT | RUN)
    assert stage.over and -10 < stage.info["reward_time"] < 0  # it ended before the step was over


def test_infos_tell_where_the_player_is():
    stage = Stage()
    assert stage.env.reset(seed=1)[1]["progress"] == 0
    stage.put(20).tick()
    assert stage.info["x"] == 320 and 0.4 < stage.info["progress"] < 0.5
    assert stage.info["par_time"] == 0  # nobody has certified this level
    stage.put(0).tick()
    assert stage.info["progress"] == 0  # behind the start


def test_generated_levels_are_certified():
    env = gymnasium.make("meze/Platformer-v0", pool_size=2)
    _, info = env.reset(seed=0)
    assert info["par_time"] > 0 and env.observation_space.shape == (17, 13, 13)
    assert env.spec is not None and env.spec.max_episode_steps == 1024
    env.close()


@pytest.mark.parametrize("frame_skip, fps", [(1, 60), (4, 15), (60, 1)])
def test_it_is_shown_at_its_own_pace(frame_skip, fps):
    assert Platformer(PlatformerConfig(frame_skip=frame_skip), LEVELS).render_fps == fps


def test_every_action_is_the_action_of_its_own_buttons():
    for name in codes.ACTION_SETS:
        world = Platformer(PlatformerConfig(actions=name), LEVELS)
        for action, buttons in enumerate(world.action_names):
            assert world.action_of(buttons.split(" + ")) == action
