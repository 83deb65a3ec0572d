"""Levels drawn by weights: the same as ever where all weigh 1, and as often as they weigh elsewhere."""

import pickle

import numpy as np
import pytest
from meze.envs.core.env import WorldEnv
from meze.envs.core.lots import MOST_LOTS, draw_lot, even_lots, lots_of
from meze.envs.core.registry import find_world
from meze.envs.core.rng import seed_stream, uniform_int
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.core.world import load_world
from registered import SPECS
from scipy.stats import chisquare

POOLS = {"city": 3, "kiosk": 4, "maze": 3, "platformer": 3, "tram": 3, "vacuum": 3}
"""Worlds with levels, and how many are made here."""


def stream(seed: int) -> np.ndarray:
    rng = np.zeros(2, np.uint64)
    seed_stream(rng, seed)
    return rng


def make(name: str, num_envs: int = 64, **settings) -> WorldVectorEnv:
    return WorldVectorEnv(
        find_world(name).world, num_envs, autoreset_mode="SameStep", pool_size=POOLS[name], **settings
    )


@pytest.mark.parametrize("count", [1, 2, 3, 64, 1000, 4096])
def test_even_lots_are_uniform_draws_to_the_bit(count):
    lots = even_lots(count)
    mine, its = stream(count), stream(count)
    for _ in range(200):
        assert draw_lot(mine, lots) == uniform_int(its, count)
    assert mine.tolist() == its.tolist()


def test_levels_are_drawn_as_often_as_they_weigh():
    weights = np.array([0, 5, 1, 0, 0, 9, 2, 3, 0])
    lots, rng = lots_of(weights, len(weights)), stream(7)
    drawn = np.bincount([draw_lot(rng, lots) for _ in range(20_000)], minlength=len(weights))
    assert not drawn[weights == 0].any()
    wanted = weights[weights > 0] / weights.sum() * 20_000
    assert chisquare(drawn[weights > 0], wanted).pvalue > 1e-3


def test_each_lot_is_its_level():
    """Each of the lots, in the place of a draw, gives the level that it belongs to."""
    weights = np.array([2, 0, 3, 1])
    lots = lots_of(weights, len(weights))
    found = np.searchsorted(lots, np.arange(6), side="right")
    assert found.tolist() == np.repeat(np.arange(4), weights).tolist()
    rng, again = stream(3), stream(3)
    for _ in range(100):
        assert draw_lot(rng, lots) == found[uniform_int(again, 6)]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([0, 0], "add up to 1"),
        ([1, -1], "integers from 0"),
        ([0.5, 0.5], "integers from 0"),
        ([], "integers from 0"),
        ([[1]], "integers from 0"),
        ([MOST_LOTS, 1], "add up to 1"),
        (np.array([2**63, 2**63], np.uint64), "add up to 1"),
    ],
)
def test_other_weights_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        lots_of(weights, 2)


def test_these_are_all_worlds_with_levels():
    assert {spec.name for spec in SPECS if load_world(spec.world).level_option} == set(POOLS)


@pytest.mark.parametrize("name", POOLS)
def test_a_batch_draws_by_its_own_weights(name):
    env, other = make(name), make(name, 1)
    option, count = env.world.level_option, POOLS[name]
    assert env.world.num_levels == count
    _, info = env.reset(seed=0)
    assert set(info[option].tolist()) == set(range(count))
    shared = WorldVectorEnv(env.world, 64)
    env.weigh_levels(np.arange(count) == 1)
    for copy in (env, env.clone(), pickle.loads(pickle.dumps(env))):
        _, info = copy.reset(seed=0)
        assert set(info[option].tolist()) == {1} and (copy.state[option] == 1).all()
    _, info = env.reset(options={option: 2})  # who chooses, gets it
    assert set(info[option].tolist()) == {2}
    _, info = shared.reset(seed=0)
    assert set(info[option].tolist()) == set(range(count))  # the world that both share is as it was
    for wrong in (np.ones(count + 1, int), np.zeros(count, int)):
        with pytest.raises(ValueError):
            env.weigh_levels(wrong)
    other.close()


def test_a_reset_at_an_episode_s_end_draws_by_weights_and_tells_the_level():
    env = make("maze", 32)
    env.reset(seed=1)
    env.weigh_levels([0, 0, 1])
    begun, rng = env.state["maze"].copy(), np.random.default_rng(0)
    assert len(set(begun.tolist())) == 3
    seen = 0
    for _ in range(400):
        possible = env.action_masks() * (1 + rng.random((32, 4)))
        _, _, terminated, truncated, info = env.step(possible.argmax(axis=1))
        ended = terminated | truncated
        if ended.any():
            assert (info["final_info"]["maze"][ended] == begun[ended]).all()
            assert (info["maze"][ended] == 2).all()
            begun[ended] = 2
            seen += int(ended.sum())
        assert (info["maze"] == begun).all()
    assert seen > 20


def test_a_world_without_levels_says_so():
    env = WorldEnv(find_world("fire-escape").world)
    with pytest.raises(ValueError, match="no levels to be weighed"):
        env.weigh_levels([1])


def test_harder_levels_are_those_with_more_to_do():
    for name in ("city", "maze", "vacuum", "platformer"):
        world = make(name, 1).world
        assert world.hardness().shape == (POOLS[name],) and len(set(world.hardness().tolist())) > 1
    for name in ("tram", "kiosk"):
        assert make(name, 1).world.hardness() is None
