"""The environments against gymnasium's own: resets, seeds, masks, errors, copies.

That whole rollouts are equal bit for bit is a conformance check.
"""

import gc
import pickle
import warnings
from copy import deepcopy

import gymnasium
import numpy as np
import pytest
import toy_world
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from meze.comparing import assert_same
from meze.envs.core.batch import Batch
from meze.envs.core.env import WorldEnv
from meze.envs.core.vector import WorldVectorEnv
from numba import njit
from toy_world import LEFT, LENGTH, RIGHT, STAY, Corridor

N = 4
OLD = tuple(map(int, gymnasium.__version__.split(".")[:2])) < (1, 4)  # it asserts where later ones raise


def native(**arguments) -> WorldVectorEnv:
    return WorldVectorEnv(Corridor, N, **arguments)


def sync(
    mode: AutoresetMode = AutoresetMode.NEXT_STEP, steps: int | None = None, **settings
) -> SyncVectorEnv:
    def make() -> gymnasium.Env:
        env = WorldEnv(Corridor, **settings)
        return TimeLimit(env, steps) if steps else env

    return SyncVectorEnv([make] * N, autoreset_mode=mode)


@pytest.mark.parametrize("seed", [7, [3, 3, 0, 2**40]])
def test_seeds_are_those_of_single_environments(seed):
    assert_same(native().reset(seed=seed), sync().reset(seed=seed), "reset")


def test_reset_without_a_seed_goes_on_with_the_stream():
    ours, theirs = native(), sync()
    ours.reset(seed=1), theirs.reset(seed=1)
    for _ in range(3):
        assert_same(ours.reset(), theirs.reset(), "reset")
    assert_same(ours.reset(seed=[None, 5, None, 6]), theirs.reset(seed=[None, 5, None, 6]), "reset")


def test_first_reset_without_a_seed_is_random_but_follows_np_random():
    first, second = native(), native()
    assert len({*first.state_hash().tolist()}) == 1
    first.reset(), second.reset()
    assert not np.array_equal(first.state["rng"], second.state["rng"])
    assert len(np.unique(first.state["rng"][:, 0])) == N
    for env in (first, second):
        env.np_random = np.random.default_rng(0)
        env.set_state(native().get_state())
        env.reset()
    assert np.array_equal(first.state["rng"], second.state["rng"])


def test_options_reach_the_world_and_hold_for_one_episode():
    env = native(slip=0, autoreset_mode="SameStep")
    obs, _ = env.reset(seed=0, options={"start": np.array([6, 0, 1, 2])})
    assert obs.tolist() == [6, 0, 1, 2]
    untold = native(slip=0)
    untold.reset(seed=0)
    obs = env.step(np.full(N, RIGHT))[0]
    # The option spared the draw of a start, which now comes: the one that an untold reset would have made.
    assert obs[0] == untold.observe()[0] and obs[1:].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="no reset option 'pace'"):
        env.reset(options={"pace": 1})


def test_callers_options_are_not_changed():
    options = {"reset_mask": np.array([True] * N), "start": 1}
    native().reset(seed=0, options=options)
    assert set(options) == {"reset_mask", "start"}


def bad_masks():
    return [
        [True] * N,
        np.ones(N),
        np.ones(N + 1, np.bool_),
        np.zeros(N, np.bool_),
    ]


@pytest.mark.parametrize("mask", bad_masks(), ids=["list", "float", "length", "empty"])
def test_reset_masks_are_refused_as_gymnasium_does(mask):
    ours, theirs = (
        refusal(env.reset, options={"reset_mask": mask}) for env in (reset(native()), reset(sync()))
    )
    assert isinstance(ours, TypeError | ValueError)
    assert OLD or (type(ours), str(ours)) == (type(theirs), str(theirs))


def reset(env):
    env.reset(seed=0)
    return env


def refusal(function, *args, **kwargs) -> Exception:
    """What a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: B017, which kind is what the caller compares
        function(*args, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    "seed", ["1234", [1.5, 2.0, 3, 4], [-1, 3, 5, 6], [1, None, None, -7], np.arange(N), -1, [b"1", 2, 3, 4]]
)
def test_seeds_are_refused_as_gymnasium_does(seed):
    ours, theirs = refusal(native().reset, seed=seed), refusal(sync().reset, seed=seed)
    assert type(ours) is type(theirs) is gymnasium.error.Error and str(ours) == str(theirs)


@pytest.mark.parametrize("seed", ["12", 1.5, -1, np.int64(3)])
def test_single_seeds_are_refused_in_the_same_words_alone_and_in_batches(seed):
    alone = refusal(WorldEnv(Corridor).reset, seed=seed)
    assert isinstance(alone, gymnasium.error.Error)
    for seeds in (seed, [seed] * N):
        if not isinstance(seeds, str):  # which is a list of letters
            assert str(refusal(native().reset, seed=seeds)) == str(alone)


def test_refused_seeds_change_nothing_and_those_outside_the_mask_do_not_count():
    env = reset(native())
    before = env.state_hash().tolist()
    refusal(env.reset, seed=[1, 2, 3, -4])
    assert env.state_hash().tolist() == before
    mask = np.array([True, True, True, False])
    env.reset(seed=[1, 2, 3, -4], options={"reset_mask": mask})  # type: ignore[list-item]
    assert env.state_hash().tolist()[3] == before[3]


def test_large_seeds_are_taken_as_gymnasium_takes_them():
    large = [2**64 + k for k in range(N)]
    assert_same(native().reset(seed=large), sync().reset(seed=large), "reset")
    assert_same(native().reset(seed=2**64), native().reset(seed=large), "reset")


def test_seed_lists_have_the_right_length():
    ours, theirs = refusal(native().reset, seed=[1, 2]), refusal(sync().reset, seed=[1, 2])
    assert str(ours) == str(theirs) and (OLD or type(ours) is type(theirs) is ValueError)


def test_a_reset_of_some_before_all_is_not_enough():
    env = native()
    env.reset(seed=0, options={"reset_mask": np.array([True, False, True, True])})
    with pytest.raises(ResetNeeded):
        env.step(np.zeros(N, np.int64))
    env.reset(seed=0, options={"reset_mask": np.array([False, True, False, False])})
    env.step(np.zeros(N, np.int64))


def test_disabled_autoreset_wants_resets():
    ours, theirs = native(autoreset_mode="Disabled", slip=0), sync(AutoresetMode.DISABLED, slip=0)
    for env in (ours, theirs):
        env.reset(seed=0, options={"start": LENGTH - 2})
    actions = np.array([RIGHT, STAY, STAY, STAY])
    assert_same(ours.step(actions), theirs.step(actions), "step")
    for env in (ours, theirs):
        with pytest.raises(AssertionError):
            env.step(actions)
    ended = np.array([True, False, False, False])
    after = [env.reset(seed=[4] * N, options={"reset_mask": ended.copy()}) for env in (ours, theirs)]
    assert_same(*after, "reset")
    assert_same(ours.step(actions), theirs.step(actions), "step")


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_some_take_a_step_while_the_others_wait(mode):
    """Each goes through what it would alone, however long it waited; who waits is shown as it stands."""
    rng = np.random.default_rng(0)
    waits, alone = (native(autoreset_mode=mode, max_episode_steps=5) for _ in range(2))
    obs, _ = waits.reset(seed=3)
    alone.reset(seed=3)
    todo, steps = rng.integers(3, size=(40, N)), [[] for _ in range(N)]
    while min(map(len, steps)) < 40:
        rows = (rng.random(N) < 0.5) & [len(each) < 40 for each in steps]
        action = np.array([todo[min(len(each), 39), i] for i, each in enumerate(steps)])
        before, last, records = waits.state.copy(), obs, waits.get_state()
        obs, reward, terminated, truncated, info = waits.step_some(action, rows)
        assert (waits.get_state()[~rows] == records[~rows]).all() and (obs[~rows] == last[~rows]).all()
        assert not (reward[~rows].any() or terminated[~rows].any() or truncated[~rows].any())
        assert (info["moved"][~rows] == before["info"]["moved"][~rows]).all()
        for i in np.flatnonzero(rows):
            steps[i].append((obs[i], reward[i], terminated[i], truncated[i], info["bumps"][i]))
    for t, action in enumerate(todo):
        obs, reward, terminated, truncated, info = alone.step(action)
        for i in range(N):
            assert steps[i][t] == (obs[i], reward[i], terminated[i], truncated[i], info["bumps"][i])


def test_who_is_over_may_wait_where_nobody_resets():
    env = native(autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=1)
    env.reset(seed=0)
    env.step_some(np.full(N, STAY), np.arange(N) < 2)
    env.step_some(np.full(N, STAY), np.arange(N) >= 2)
    with pytest.raises(AssertionError, match="over and need a reset"):
        env.step_some(np.full(N, STAY), np.arange(N) == 1)


def test_an_episode_may_end_in_both_ways_at_once():
    ours, theirs = native(max_episode_steps=1, slip=0), sync(steps=1, slip=0)
    for env in (ours, theirs):
        env.reset(seed=0, options={"start": LENGTH - 2})
    actions = np.array([RIGHT, STAY, RIGHT, STAY])
    step = ours.step(actions)
    assert_same(step, theirs.step(actions), "step")
    assert step[2].tolist() == [True, False, True, False] and step[3].all()


# ---------------------------------------------------------------- actions


@pytest.mark.parametrize(
    "actions",
    [[0, 1, 2, 1], np.array([0, 1, 2, 1], np.int8), np.array([[0, 1, 2, 1]] * 2, np.uint16).T[:, 0]],
)
def test_any_integer_actions_are_the_same_actions(actions):
    ours, again = native(), native()
    ours.reset(seed=0), again.reset(seed=0)
    assert_same(ours.step(actions), again.step(np.array([0, 1, 2, 1])), "step")
    assert len(ours._batch.loop.signatures) <= 2, "other integers are converted, not compiled for"


@pytest.mark.parametrize("row, action", [(0, 3), (2, -1)])
def test_actions_out_of_range_name_the_row(row, action):
    env = native()
    env.reset(seed=0)
    before = env.state_hash().tolist()
    actions = np.zeros(N, np.int64)
    actions[row] = action
    with pytest.raises(AssertionError, match=f"{action} invalid in environment {row}"):
        env.step(actions)
    assert env.state_hash().tolist() == before


@pytest.mark.parametrize("actions", [0, None, 1.5, np.array(0)])
def test_a_single_action_is_refused_as_gymnasium_does(actions):
    ours, theirs = refusal(reset(native()).step, actions), refusal(reset(sync()).step, actions)
    assert (type(ours), str(ours)) == (type(theirs), str(theirs))


@pytest.mark.parametrize("actions", [np.zeros(N), np.zeros(N + 1, np.int64)])
def test_actions_of_another_kind_are_refused(actions):
    env = native()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions must be \(4,\) integers"):
        env.step(actions)


@pytest.mark.parametrize("action", [3, -1, 1.0, "left", None, np.array([1])])
def test_single_environment_refuses_actions_as_cartpole_does(action):
    ours, theirs = WorldEnv(Corridor), gymnasium.make("CartPole-v1").unwrapped
    for env in (ours, theirs):
        env.reset(seed=0)
        with pytest.raises(AssertionError, match="invalid"):
            env.step(action if action != 1.0 else 1.5)
    assert ours.step(np.int64(1)) and ours.step(np.array(1)) and ours.step(True)


# ---------------------------------------------------------------- arrays


def test_fresh_arrays_by_default_and_the_same_ones_on_demand():
    fresh, reused = native(observation="strip"), native(observation="strip", copy=False)
    for env, shared in ((fresh, False), (reused, True)):
        obs, _ = env.reset(seed=0)
        kept = obs.copy()
        steps = [env.step(np.full(N, RIGHT)) for _ in range(2)]
        for one, other in zip(steps[0][:4], steps[1][:4], strict=True):
            assert np.shares_memory(one, other) is shared
        assert np.shares_memory(obs, steps[0][0]) is shared
        assert np.array_equal(obs, kept) is not shared
        info = steps[0][4]
        assert np.shares_memory(info["action_mask"], steps[1][4]["action_mask"]) is shared
        assert not np.shares_memory(info["moved"], steps[1][4]["moved"])
        assert not info["_moved"].flags.writeable


# ---------------------------------------------------------------- beyond gymnasium


def test_masks_are_those_of_the_states():
    env = native(slip=0)
    env.reset(seed=0, options={"start": np.arange(N)})
    assert env.action_masks().tolist() == [[1, 0, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]]
    single = WorldEnv(Corridor)
    _, info = single.reset(seed=0, options={"start": 0})
    assert single.action_masks().tolist() == [1, 0, 1] == info["action_mask"].tolist()


class Maskless(Corridor):
    kernels = Corridor.kernels._replace(mask_one=None)


def test_a_world_without_masks_reports_none():
    env = WorldVectorEnv(Maskless, N, autoreset_mode="SameStep", max_episode_steps=2)
    _, infos = env.reset(seed=0)
    assert "action_mask" not in infos and env.action_masks().tolist() == [[1, 1, 1]] * N
    env.step(np.zeros(N, np.int64))
    assert "action_mask" not in env.step(np.zeros(N, np.int64))[4]["final_info"]
    assert WorldEnv(Maskless).reset(seed=0)[1].keys() == infos.keys() - {
        key for key in infos if key[0] == "_"
    }


@njit
def bare_reset(p, s, i):
    s[i].cell = 0


@njit
def bare_step(p, s, i, action):
    s[i].cell += 1
    return 1024, s[i].cell == 2


class Bare(Corridor):
    """Reports nothing at all."""

    kernels = Corridor.kernels._replace(reset_one=bare_reset, step_one=bare_step, mask_one=None)
    state_dtype = toy_world.state_dtype([("cell", np.int32)])

    def reset_fields(self, options):
        return {}


def test_a_world_may_report_nothing():
    for mode in AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP:
        ours = WorldVectorEnv(Bare, 2, autoreset_mode=mode)
        theirs = SyncVectorEnv([lambda: WorldEnv(Bare)] * 2, autoreset_mode=mode)
        assert_same(ours.reset(seed=0), theirs.reset(seed=0), "reset")
        for _ in range(4):
            assert_same(ours.step([0, 1]), theirs.step([0, 1]), "step")


def test_reference_policies():
    env = native(slip=0)
    env.reset(seed=0)
    assert env.reference_names == ("expert",)
    assert env.reference("expert")().tolist() == [RIGHT] * N
    with pytest.raises(ValueError, match="did you mean 'expert'"):
        env.reference("exprt")


@pytest.mark.parametrize(
    "copy", [deepcopy, lambda env: pickle.loads(pickle.dumps(env)), WorldVectorEnv.clone]
)
def test_copies_of_a_batch_are_independent(copy, monkeypatch):
    monkeypatch.setattr(Batch, "slice_seconds", 0.0)  # all threads, however little there is to do
    env = native(max_episode_steps=5, num_threads=2)
    env.reset(seed=0)
    env.step(np.zeros(N, np.int64))
    other = copy(env)
    for _ in range(12):
        assert_same(other.step(np.full(N, LEFT)), env.step(np.full(N, LEFT)), "step")
    before = env.state_hash().tolist()
    other.step(np.full(N, RIGHT))
    assert env.state_hash().tolist() == before
    env.close(), other.close()


@pytest.mark.parametrize("copy", [deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_what_can_not_be_written_can_not_be_written_in_a_copy(copy):
    env = reset(native(max_episode_steps=2, autoreset_mode="SameStep"))
    other = copy(env)
    for step in range(2):
        locked, in_copy = (written(each.step(np.zeros(N, np.int64))) for each in (env, other))
        assert locked == in_copy
        assert locked["4._moved"] is locked["4._action_mask"] is False
        assert ("4.final_obs" in locked) is (step == 1)


def written(outputs, name=""):
    """Whether each array can be written to, by its place."""
    if isinstance(outputs, np.ndarray):
        return {name[1:]: outputs.flags.writeable}
    items = outputs.items() if isinstance(outputs, dict) else enumerate(outputs)
    return {place: flag for key, part in items for place, flag in written(part, f"{name}.{key}").items()}


def test_a_state_moves_from_a_batch_to_a_single_environment():
    env, single = native(slip=0), WorldEnv(Corridor, slip=0)
    env.reset(seed=0, options={"start": np.arange(N)})
    single.set_state(env.get_state([2]))
    assert single.observe() == 2 and single.state_hash() == env.state_hash()[2]
    assert single.step(RIGHT)[0] == 3
    single.set_state(WorldEnv(Corridor).get_state())
    with pytest.raises(ResetNeeded):
        single.step(RIGHT)
    with pytest.raises(ValueError, match="read-only"):
        env.state["cell"] = 3


def test_steps_need_a_reset_before_and_after_an_episode():
    env = WorldEnv(Corridor, slip=0)
    with pytest.raises(ResetNeeded):
        env.step(0)
    with pytest.raises(ResetNeeded):
        native().step(np.zeros(N, np.int64))
    env.reset(options={"start": LENGTH - 2})
    assert env.step(RIGHT)[2]
    with pytest.raises(ResetNeeded):
        env.step(RIGHT)


def test_unknown_settings_and_modes_name_the_closest():
    for make in (WorldEnv, WorldVectorEnv):
        # Python's own words: torchrl tries `frameskip`, and leaves it out if it reads them.
        words = r"Corridor.__init__\(\) got an unexpected keyword argument '{}'"
        with pytest.raises(TypeError, match=words.format("slipp") + r"; did you mean 'slip'\?$"):
            make(Corridor, slipp=3)
        with pytest.raises(TypeError, match=words.format("frameskip") + "$"):
            make(Corridor, frameskip=1)
    with pytest.raises(ValueError, match="slip is 0 to 1024"):
        native(slip=2000)
    for make in (WorldEnv, WorldVectorEnv):
        with pytest.raises(ValueError, match="'text' is not one of"):
            make(Corridor, render_mode="text")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (
            {"max_episode_steps": 0},
            "max_episode_steps must lie between 1 and .* or be None or -1 for never, got 0",
        ),
        ({"max_episode_steps": -5}, "max_episode_steps must lie between 1 and .* got -5"),
        ({"max_episode_steps": 2**31}, "max_episode_steps must lie between 1 and 2147483647"),
        ({"max_episode_steps": 8.0}, "max_episode_steps must be a whole number or None, got 8.0"),
        ({"num_envs": 0}, "at least 1, got 0"),
        ({"num_envs": 2.0}, "num_envs must be a whole number, got 2.0"),
        ({"num_envs": True}, "num_envs must be a whole number, got True"),
        ({"num_threads": "2"}, "num_threads must be a whole number, got '2'"),
        ({"copy": 1}, "copy must be True or False, got 1"),
        ({"autoreset_mode": "never"}, "'never' is not a valid AutoresetMode"),
        ({"slip": 2.5}, "slip must be a whole number, got 2.5"),
    ],
)
def test_arguments_are_checked_and_nothing_is_left_behind(argument, words):
    with pytest.raises(ValueError, match=words) as caught:
        WorldVectorEnv(Corridor, **argument)
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()  # gymnasium 1.2 closes what was never made to the end: pytest tells of an error there


@pytest.mark.parametrize("never", [None, -1])
def test_episodes_may_go_on_for_ever(never):
    env = reset(WorldVectorEnv(Corridor, np.int64(N), max_episode_steps=never))
    assert env.num_envs == N and type(env.num_envs) is int
    assert not any(env.step(np.zeros(N, np.int64))[3].any() for _ in range(50))


def test_pictures():
    env = native(render_mode="rgb_array", slip=0)
    env.reset(seed=0, options={"start": np.arange(N)})
    pictures = env.render()
    assert len(pictures) == N
    assert [int(picture[0, :, 0].argmax()) // 8 for picture in pictures] == list(range(N))
    human = WorldEnv(Corridor, render_mode="human")
    human.reset(seed=0)
    human.step(RIGHT)
    assert human.render() is None
    assert human.clone()._window is None
    human.close(), human.close()


@pytest.mark.parametrize("observation", ["index", "strip"])
def test_stable_baselines_accepts_the_single_environment(observation):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(WorldEnv(Corridor, observation=observation))
