"""The expert: its search against exhaustive search, its plans, and whole episodes from any state."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer import expert as expert_module
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.expert import Expert
from meze.envs.platformer.pool import certify, starting_states
from meze.envs.platformer.search import MOVE_TICKS, USUAL, Searcher
from meze.envs.platformer.state import ACTION_SETS, PLATFORMER_STATE, TILE
from meze.envs.platformer.world import Platformer
from platformer_stage import draw_level

FORWARD = len(ACTION_SETS["right_only"])
RUN_RIGHT = 3
WALL = {(20, row): "#" for row in range(13)}
WALL_WITH_A_WAY_BACK = {(12, row): "#" for row in range(8, 13)} | {(8, row): "##" for row in range(9, 11)}


def make(num_envs: int, levels=None, **config) -> WorldVectorEnv:
    config = {"observation": "index", **config}
    world = Platformer(PlatformerConfig(**config), levels)
    ticks = 4096 // world.config.frame_skip
    return WorldVectorEnv(
        world, num_envs=num_envs, max_episode_steps=ticks, autoreset_mode=AutoresetMode.DISABLED
    )


def play(envs: WorldVectorEnv, expert, disturb=None):
    """One episode in each environment, from its current state.

    Args:
        envs: environments that have been reset.
        expert: `() -> (N,) actions`.
        disturb: `(actions) -> (N,) actions`, what is done instead.

    Returns:
        (N,) whether it got to the flag, and (N,) the tick at which it ended.
    """
    clear, over = np.zeros(envs.num_envs, bool), np.zeros(envs.num_envs, bool)
    tick = np.zeros(envs.num_envs, int)
    while not over.all():
        actions = expert()
        _, _, terminated, truncated, info = envs.step(actions if disturb is None else disturb(actions))
        ended = (terminated | truncated) & ~over
        clear[ended] = info["clear"][ended]
        tick[ended] = envs.get_state()["tick"][ended]
        over |= ended
        if (terminated | truncated).any():
            envs.reset(options={"reset_mask": terminated | truncated})
    return clear, tick


def short_level(changes, pits=()):
    """A start close enough to the flag for exhaustive search."""
    return draw_level({(2, 12): ".", (17, 12): "@", **changes}, width=32, pits=pits)


def quickest(level, frame_skip: int) -> int:
    """Ticks of the quickest way of all, found by trying every action in every state that can be reached."""
    envs = make(1, [level], frame_skip=frame_skip, actions="right_only")
    envs.reset(seed=0)
    layer = envs.get_state()
    while len(layer) < 200_000:
        envs = make(len(layer) * FORWARD, [level], frame_skip=frame_skip, actions="right_only")
        envs.reset(seed=0)
        envs.set_state(layer.repeat(FORWARD))
        _, _, terminated, _, info = envs.step(np.tile(np.arange(FORWARD), len(layer)))
        layer = envs.get_state()
        if info["clear"].any():
            return int(layer["tick"][info["clear"]].min())
        layer = layer[~terminated]
        _, first = np.unique(expert_module._keys(layer), return_index=True)  # equal states count once
        layer = layer[first]
    raise AssertionError("too many states")


# ------------------------------------------------------------ the search


def test_on_open_ground_nothing_is_quicker_than_running():
    level = draw_level()
    envs = make(1, [level])
    envs.reset(seed=0)
    over = False
    while not over:
        over = envs.step(np.array([RUN_RIGHT]))[2][0]
    assert certify([level]) == [envs.get_state()["tick"][0]]


@pytest.mark.parametrize(
    "level",
    [
        short_level({(20, 12): "#"}, pits=(23, 24)),
        short_level({(22, 12): "w"}),
        short_level({(22, 10): "[]", (22, 11): "[]", (22, 12): "[]"}),
        short_level({(20, 12): "S", **{(23, row): "#" for row in range(7, 13)}}),
    ],
    ids=["step and pit", "walker", "pipe", "spring"],
)
def test_the_plan_is_about_as_quick_as_the_quickest_way_of_all(level):
    """With moves of 16 ticks, of which exhaustive search can try all sequences."""
    params, state = starting_states([level])
    plan = Searcher()(params, state, 0, FORWARD, 16 // MOVE_TICKS)
    best = quickest(level, 16)
    assert plan.clears and best <= plan.ticks <= 1.02 * best


def test_a_search_keeps_to_its_budget_and_leaves_the_states_alone():
    params, state = starting_states([draw_level(WALL), draw_level()])
    before = state.tobytes()
    for budget in (1, 10, 1000, 20_000):
        plan = Searcher(USUAL._replace(states=budget))(params, state, 0, FORWARD, 1)
        assert not plan.clears and plan.tried <= budget
    assert state.tobytes() == before
    assert Searcher()(params, state, 1, FORWARD, 1).tried <= USUAL.states


def test_searches_do_not_depend_on_those_before():
    params, state = starting_states([draw_level(WALL), draw_level(pits=(15, 16, 17)), draw_level()])
    search = Searcher(USUAL._replace(states=20_000))
    plans = [search(params, state, k, FORWARD, 1) for k in (0, 1, 2, 1, 0)]
    for plan, again in ((plans[0], plans[4]), (plans[1], plans[3])):
        assert plan.actions.tolist() == again.actions.tolist() and plan[1:] == again[1:]
    alone = Searcher(USUAL._replace(states=20_000))(params, state, 1, FORWARD, 1)
    assert alone.actions.tolist() == plans[1].actions.tolist()


def test_where_there_is_no_way_the_plan_ends_on_firm_ground_nearer_to_the_flag():
    level = draw_level(WALL, pits=(10, 11))
    params, state = starting_states([level])
    plan = Searcher(USUAL._replace(states=20_000))(params, state, 0, FORWARD, 1)
    envs = make(1, [level], actions="right_only")
    envs.reset(seed=0)
    for action in plan.actions:
        _, _, terminated, _, _ = envs.step(np.array([action]))
        assert not terminated[0]
    (record,) = envs.get_state()
    assert record["grounded"] and record["tick"] == plan.ticks
    assert record["x"] >> 12 in (18, 19)  # at the wall


# ------------------------------------------------------------ the policy


@pytest.mark.parametrize(
    "config",
    [
        {"level": "shipped"},
        {"pool_size": 8},
        {"pool_size": 4, "actions": "right_only"},
        {"pool_size": 4, "actions": "complex", "frame_skip": 1},
        {"pool_size": 4, "split": "test", "difficulty": 1.0, "frame_skip": 2},
        pytest.param({"pool_size": 64}, marks=pytest.mark.slow),
        pytest.param({"pool_size": 64, "difficulty": 1.0}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_it_clears_every_certified_level_in_its_par_time(config):
    envs = make(len(Platformer(PlatformerConfig(**config)).levels), **config)
    levels = np.arange(envs.num_envs)
    _, info = envs.reset(seed=0, options={"level": levels})
    clear, tick = play(envs, envs.reference("expert"))
    assert clear.all() and (info["par_time"] > 0).all()
    np.testing.assert_array_equal(tick, info["par_time"])


@pytest.mark.parametrize("frame_skip", [3, 6])
def test_other_steps_than_those_of_the_certificate(frame_skip):
    envs = make(4, pool_size=4, frame_skip=frame_skip)
    envs.reset(seed=0, options={"level": np.arange(4)})
    assert play(envs, envs.reference("expert"))[0].all()


def counting(monkeypatch) -> list[int]:
    """Notes the row of every search that experts make."""
    rows = []
    plan = Expert.plan

    def count(self, params, state, i):
        rows.append(i)
        return plan(self, params, state, i)

    monkeypatch.setattr(Expert, "plan", count)
    return rows


def test_environments_share_plans_and_follow_them(monkeypatch):
    rows = counting(monkeypatch)
    envs = make(6, pool_size=2)
    envs.reset(seed=0, options={"level": np.array([0, 1, 0, 1, 1, 0])})
    expert = envs.reference("expert")
    clear, tick = play(envs, expert)
    assert clear.all() and tick[0] == tick[2] == tick[5] and tick[1] == tick[3] == tick[4]
    assert rows[:2] == [0, 1] and len(rows) == 2

    envs.reset(seed=1, options={"level": np.ones(6, int)})
    expert()
    assert len(rows) == 2  # known from the episode before


def test_it_writes_nothing_and_chooses_alike_for_any_batch():
    envs = make(8, pool_size=4)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        envs.step(rng.integers(0, 7, 8))
    state = envs.get_state()
    before = state.tobytes()
    actions = Expert(7, 4)(envs.world.params(), state)
    assert state.tobytes() == before and actions.dtype == np.int64
    order = rng.permutation(8)
    assert Expert(7, 4)(envs.world.params(), envs.get_state(order)).tolist() == actions[order].tolist()
    for i in range(8):
        assert Expert(7, 4)(envs.world.params(), envs.get_state([i])).tolist() == [actions[i]]


@pytest.mark.slow
def test_a_disturbed_player_is_searched_for_anew(monkeypatch):
    rows = counting(monkeypatch)
    envs = make(32, pool_size=8)
    envs.reset(seed=0, options={"level": np.arange(32) % 8})
    rng = np.random.default_rng(0)

    def disturb(actions):
        return np.where(rng.random(32) < 0.02, rng.integers(0, 7, 32), actions)

    clear, _ = play(envs, envs.reference("expert"), disturb)
    assert len(rows) > 32 and clear.mean() > 0.6


@pytest.mark.slow
def test_from_the_middle_of_a_level():
    """Restored states, of which the expert has seen nothing before."""
    envs = make(24, pool_size=8)
    envs.reset(seed=0, options={"level": np.arange(24) % 8})
    expert = envs.reference("expert")
    rng = np.random.default_rng(1)
    for step in range(48):
        _, _, terminated, _, _ = envs.step(rng.integers(0, 7, 24) if step % 6 == 0 else expert())
        if terminated.any():
            envs.reset(options={"reset_mask": terminated})
    others = make(24, pool_size=8)
    others.reset(seed=5)
    others.set_state(envs.get_state())
    clear, _ = play(others, others.reference("expert"))
    assert clear.mean() > 0.9 and (envs.get_state()["x"] > 10 * TILE).mean() > 0.5


def test_it_goes_back_where_it_must_and_may():
    """The start lies before a wall; the only step from which it can be climbed is on the left."""
    level = draw_level(WALL_WITH_A_WAY_BACK | {(2, 12): ".", (10, 12): "@"})
    params, state = starting_states([level])
    assert certify([level]) == [0] and not Expert(FORWARD, 4).plan(params, state, 0).clears
    envs = make(1, [level])
    envs.reset(seed=0)
    assert play(envs, envs.reference("expert"))[0].all()


def test_finished_episodes_need_no_action():
    envs = make(2, pool_size=2)
    envs.reset(seed=0)
    state = envs.get_state()
    state["done"] = True
    expert = Expert(7, 4)
    assert expert(envs.world.params(), state).tolist() == [0, 0] and not expert._known


def test_its_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(expert_module, "MAX_KNOWN", 50)
    envs = make(4, pool_size=4)
    envs.reset(seed=0, options={"level": np.arange(4)})
    expert = Expert(7, 4)
    state = envs.get_state()
    for _ in range(3):
        expert(envs.world.params(), state)
    assert 50 < len(expert._known) < 4 * 250
    assert state.dtype == PLATFORMER_STATE
