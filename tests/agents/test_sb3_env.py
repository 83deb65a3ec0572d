"""MezeVecEnv against stable-baselines3's own DummyVecEnv over single environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import ClipReward, DictInfoToList, RecordEpisodeStatistics
from meze.agents.sb3.vec_env import MezeVecEnv
from meze.envs.core.env import WorldEnv
from meze.envs.core.vector import WorldVectorEnv
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize, VecTransposeImage

CORRIDOR = "toy_world:Corridor"
LIMIT = 9


def corridor(num_envs: int, limit: int = LIMIT, **settings) -> MezeVecEnv:
    return MezeVecEnv(WorldVectorEnv(CORRIDOR, num_envs, limit, AutoresetMode.SAME_STEP, **settings))


def one_by_one(num_envs: int, limit: int = LIMIT, **settings) -> DummyVecEnv:
    def make():
        return Monitor(TimeLimit(WorldEnv(CORRIDOR, **settings), limit))

    return DummyVecEnv([make] * num_envs)


def sync(id: str, num_envs: int, **settings) -> MezeVecEnv:
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return MezeVecEnv(gymnasium.make_vec(id, num_envs, "sync", mode, **settings))


PAIRS = {
    "corridor": lambda: (corridor(6), one_by_one(6)),
    "strips": lambda: (corridor(6, observation="strip"), one_by_one(6, observation="strip")),
    "ends with the limit": lambda: (corridor(6, 7, slip=0), one_by_one(6, 7, slip=0)),
    "platformer": lambda: (
        MezeVecEnv("meze/Platformer-v0", 4, observation="grid", max_episode_steps=60),
        make_vec_env("meze/Platformer-v0", 4, env_kwargs={"observation": "grid", "max_episode_steps": 60}),
    ),
    "CartPole-v1": lambda: (sync("CartPole-v1", 4), make_vec_env("CartPole-v1", 4)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_steps_equal_those_of_single_environments(name) -> None:
    env, oracle = PAIRS[name]()
    assert (env.num_envs, env.observation_space) == (oracle.num_envs, oracle.observation_space)
    assert env.action_space == oracle.action_space and env.render_mode is None
    env.seed(3), oracle.seed(3)
    assert np.array_equal(env.reset(), oracle.reset())
    rng = np.random.default_rng(0)
    ends = cuts = 0
    for _ in range(150):
        # To the right mostly: episodes of the corridor end in both ways.
        actions = np.maximum(*rng.integers(env.action_space.n, size=(2, env.num_envs)))
        obs, reward, ended, infos = env.step(actions)
        their_obs, their_reward, their_ended, their_infos = oracle.step(actions)
        assert np.array_equal(obs, their_obs) and obs.dtype == their_obs.dtype
        assert np.array_equal(reward, their_reward) and reward.dtype == np.float32
        assert np.array_equal(ended, their_ended)
        for row in np.flatnonzero(~ended):
            assert infos[row] == {} and not their_infos[row]["TimeLimit.truncated"]
        for row in np.flatnonzero(ended):
            ends, cuts = ends + 1, cuts + infos[row]["TimeLimit.truncated"]
            assert same(without_time(infos[row]), without_time(their_infos[row]))
            assert same(env.reset_infos[row], oracle.reset_infos[row])
    assert ends > cuts
    assert cuts > 0 or name == "CartPole-v1"


def without_time(info: dict) -> dict:
    total, length = info["episode"]["r"], info["episode"]["l"]
    return {**info, "episode": {"r": pytest.approx(total, abs=1e-5), "l": length}}


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.all(value == b[name]) for name, value in a.items())


def test_what_ends_with_the_limit_is_not_cut_off() -> None:
    env = corridor(1, 3, slip=0)
    env.set_options({"start": 4})
    env.reset()
    infos = [env.step(np.array([2]))[3][0] for _ in range(3)]
    assert infos[:2] == [{}, {}]
    assert infos[2]["TimeLimit.truncated"] is False and infos[2]["terminal_observation"] == 7
    assert infos[2]["episode"]["l"] == 3


def test_success_is_told_as_stable_baselines3_expects_it() -> None:
    env = MezeVecEnv("meze/City-v0", 16, observation="index", max_episode_steps=200)
    env.seed(0)
    env.reset()
    expert, told = env.env.unwrapped.reference("expert"), []
    for _ in range(200):
        told += [info for info in env.step(expert())[3] if info]
    assert {info["is_success"] for info in told} == {True, False}
    assert all(info["is_success"] is not info["TimeLimit.truncated"] for info in told)
    assert env.info["cost"].shape == (16,)  # of every step, for the whole batch


def test_the_caller_owns_what_a_step_returns() -> None:
    env = corridor(4, observation="strip")
    env.reset()
    first = env.step(np.full(4, 2))
    copies = [np.array(part) for part in first[:3]]
    env.step(np.full(4, 2))
    assert all(map(np.array_equal, first[:3], copies))


def test_the_caller_owns_the_infos() -> None:
    env = corridor(4)  # its episodes end within these steps
    env.seed(0), env.reset()
    kept = []
    for step in range(2 * LIMIT):
        *_, infos = env.step(np.full(4, 2))
        assert not any("rollout" in info for info in infos)
        for info in infos:
            info["rollout"] = step  # as `imitation` does
        kept.append(infos)
    assert [[info["rollout"] for info in infos] for infos in kept] == [[k] * 4 for k in range(2 * LIMIT)]


@pytest.mark.parametrize(
    "wrapper", [DictInfoToList, RecordEpisodeStatistics, lambda env: ClipReward(env, -9, 9)]
)
def test_a_vector_wrapper_inside_changes_nothing_here(wrapper) -> None:
    def make() -> WorldVectorEnv:
        return WorldVectorEnv(CORRIDOR, 6, LIMIT, AutoresetMode.SAME_STEP)

    env, oracle = MezeVecEnv(wrapper(make())), MezeVecEnv(make())
    env.seed(3), oracle.seed(3)
    assert np.array_equal(env.reset(), oracle.reset())
    assert all(map(same, env.reset_infos, oracle.reset_infos))
    ends = 0
    for _ in range(40):
        assert np.array_equal(env.env_method("action_masks"), oracle.env_method("action_masks"))
        (*steps, infos), (*their_steps, their_infos) = env.step(np.full(6, 2)), oracle.step(np.full(6, 2))
        assert all(map(np.array_equal, steps, their_steps))
        for info, theirs in zip(infos, their_infos, strict=True):
            assert bool(info) == bool(theirs)
            ends += bool(info)
            assert not info or same(without_time(info), without_time(theirs))
    assert ends > 6


def test_seeds_are_used_once_and_options_reach_the_world() -> None:
    env = corridor(5)
    env.seed(11)
    seeded = env.reset()
    assert np.array_equal(seeded, WorldVectorEnv(CORRIDOR, 5).reset(seed=11)[0])
    later = [env.reset() for _ in range(5)]
    assert any(not np.array_equal(obs, seeded) for obs in later)
    env.set_options({"start": 3})
    assert env.reset().tolist() == [3] * 5
    env.set_options([{"start": k} for k in range(5)])
    with pytest.raises(ValueError, match="same reset options"):
        env.reset()


def test_masks_as_sb3_contrib_asks_for_them() -> None:
    env = corridor(8)
    assert env.has_attr("action_masks")
    env.seed(0)
    obs = env.reset()
    for _ in range(30):
        masks = np.stack(env.env_method("action_masks"))
        assert masks.dtype == np.bool_ and masks.shape == (8, 3)
        assert np.array_equal(masks[:, 1], obs > 0)
        assert np.array_equal(env.env_method("action_masks", indices=[2, 5]), masks[[2, 5]])
        obs = env.step(np.where(masks[:, 1], 1, 2))[0]
    fresh = corridor(2)
    fresh.env.reset(seed=0)  # behind its back
    assert np.stack(fresh.env_method("action_masks")).shape == (2, 3)
    foreign = sync("CartPole-v1", 2)
    assert not foreign.has_attr("action_masks")
    with pytest.raises(AttributeError):
        foreign.env_method("action_masks")


def test_attributes_and_methods() -> None:
    env = corridor(3)
    assert [world.config.slip for world in env.get_attr("world")] == [256] * 3
    assert len(env.get_attr("world", indices=1)) == 1
    single = WorldEnv(CORRIDOR)  # what is of one environment is not the batch's
    assert env.get_attr("action_space", [0]) == [single.action_space] == [env.action_space]
    assert env.get_attr("observation_space") == [single.observation_space] * 3
    env.seed(5), env.reset()
    for k, state in enumerate(env.get_attr("state")):
        single.reset(seed=5 + k)
        assert state.tobytes() == single.state.tobytes()
    assert not env.has_attr("no_such_thing")
    env.set_attr("mood", "good")
    assert env.get_attr("mood") == ["good"] * 3
    with pytest.raises(ValueError, match="or in none"):
        env.set_attr("mood", "bad", indices=[0])
    with pytest.raises(AttributeError, match="no_such_thing"):
        env.env_method("no_such_thing")
    assert env.env_is_wrapped(Monitor, indices=[0, 2]) == [True, True]
    assert env.env_is_wrapped(TimeLimit) == [False] * 3

    poles = sync("CartPole-v1", 2)
    assert poles.get_attr("x_threshold") == [2.4, 2.4]
    poles.set_attr("x_threshold", 1.0)
    assert poles.get_attr("x_threshold", indices=[1]) == [1.0]
    assert [space.n for space in poles.env_method("get_wrapper_attr", "action_space")] == [2, 2]
    with pytest.raises(ValueError, match="or in none"):
        poles.env_method("get_wrapper_attr", "action_space", indices=[0])


def test_pictures() -> None:
    env = corridor(4, render_mode="rgb_array")
    env.reset()
    assert [picture.shape for picture in env.get_images()] == [(8, 64, 3)] * 4
    assert env.render().shape == (16, 128, 3)
    assert corridor(2).get_images() == [None, None]


def test_videos_run_as_fast_as_the_world() -> None:
    env = MezeVecEnv("meze/City-v0", 2, observation="index", render_mode="rgb_array")
    assert env.metadata["render_fps"] == gymnasium.make("meze/City-v0").metadata["render_fps"] == 4
    assert env.metadata["render_modes"] == ["human", "rgb_array"]  # as of every VecEnv of such pictures
    assert sync("CartPole-v1", 2).metadata["render_fps"] == 50


def test_wrappers_of_stable_baselines3_fit() -> None:
    with pytest.warns(UserWarning, match="already wrapped"):
        env = VecNormalize(VecMonitor(corridor(4, observation="strip"), info_keywords=("bumps",)))
    env.reset()
    told = []
    for _ in range(40):
        _, _, ended, infos = env.step(np.full(4, 2))
        told += [infos[row] for row in np.flatnonzero(ended)]
        assert all(infos[row] == {} for row in np.flatnonzero(~ended))
    assert told and all(info["episode"]["bumps"] == 0 for info in told)
    assert all(info["terminal_observation"].dtype == np.float32 for info in told)  # normalised


def test_evaluate_policy_counts_episodes() -> None:
    class Right:
        def predict(self, obs, **_):
            return np.full(len(obs), 2), None

    env = corridor(4, 100, slip=0)
    env.set_options({"start": 2})
    returns, lengths = evaluate_policy(Right(), env, n_eval_episodes=4, return_episode_rewards=True)
    assert lengths == [5] * 4
    assert returns == pytest.approx([1 - 5 / 1024] * 4)


def test_planes_keep_their_place_if_that_is_asked_for() -> None:
    env = VecTransposeImage(MezeVecEnv("meze/City-v0", 2, observation="grid"), skip=True)
    assert env.observation_space.shape == env.reset().shape[1:] == env.venv.observation_space.shape


class CountedFrom1(gymnasium.Env):
    observation_space, action_space = Discrete(3, start=3), Discrete(2, start=1)

    def reset(self, *, seed=None, options=None):
        return 3, {}

    def step(self, action):
        return 5, float(action), True, False, {}


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="needs autoreset mode SAME_STEP"):
        MezeVecEnv(WorldVectorEnv(CORRIDOR, 2))
    with pytest.raises(TypeError, match="settings are for an id"):
        MezeVecEnv(WorldVectorEnv(CORRIDOR, 2), num_envs=2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        MezeVecEnv("meze/City-v0", 0)
    with pytest.raises(gymnasium.error.Error, match="greater or equal to zero"):
        env = corridor(2)
        env.seed(-1), env.reset()
    with pytest.raises(TypeError, match="rush"):
        MezeVecEnv("meze/City-v0", 2, rush=True)


def test_numbers_that_begin_elsewhere_are_shifted() -> None:
    mode = AutoresetMode.SAME_STEP
    env = MezeVecEnv(gymnasium.vector.SyncVectorEnv([CountedFrom1], autoreset_mode=mode))
    assert (env.observation_space, env.action_space) == (Discrete(3), Discrete(2))
    assert env.reset().tolist() == [0]
    obs, reward, ended, infos = env.step(
        np.array([1])
    )  # the environment sees a 2, shows a 5, begins with a 3
    assert obs.tolist() == [0] and reward.tolist() == [2.0] and ended.tolist() == [True]
    assert infos[0]["terminal_observation"] == 2
