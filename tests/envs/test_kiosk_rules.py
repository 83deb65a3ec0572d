"""The kiosk's dynamics against numpy from scratch and brute force."""

from itertools import combinations

import numpy as np
import pytest
from kiosk_stage import OBJECTIVES, assert_follows, in_units, make, start_of, town
from meze.envs.kiosk.instances import Instance, euclidean
from meze.envs.kiosk.kernels import steps_between
from meze.envs.kiosk.objective import Objective, value
from meze.envs.kiosk.state import SIDE
from numba import njit

CITIES = {
    "one city": dict(instances=[town(1)]),
    "cities of different size": dict(instances=[town(1), town(2, 20, 11, 5, 2), town(3, 5, 4, 1, 1)]),
    "fresh cities": dict(source="fresh", points=30, kiosks=4, rivals=2),
    "along streets": dict(layout="streets", pool_size=2, points=15, sites=10, kiosks=3, rivals=2),
}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("cities", CITIES)
def test_every_state_is_what_follows_from_its_kiosks(cities, objective):
    """Incremental = from scratch, and returns are start - end, though some kiosks are wasted."""
    env = make(num_envs=6, objective=objective, **CITIES[cities])
    world, rng = env.world, np.random.default_rng(0)
    sign = 1 if Objective(objective, 25).less_is_better else -1
    returns, over, ends = np.zeros(6), np.ones(6, bool), 0
    env.reset(seed=0)
    for _ in range(20):
        if over.any():
            ends += over.sum()
            returns[over] = 0
            env.reset(options={"reset_mask": over})
        for record in env.get_state():
            assert_follows(world, record)
        _, rewards, over, _, info = env.step(rng.integers(0, env.single_action_space.n, 6))
        returns += rewards
        for i, record in enumerate(env.get_state()):
            assert_follows(world, record)
            instance = world.pool.instance_of(record)
            start = in_units(world, instance, start_of(world, instance))
            assert returns[i] == sign * (start - info["objective"][i])
            assert over[i] == (record["placed"] == instance.num_kiosks)
    assert ends > 20


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_brute_force_over_all_placements(objective):
    """No placement's return is better than that of the best total, and the order does not matter."""
    instance = town(5)
    env = make([instance], objective=objective)
    goal, free = Objective(objective, 25), np.flatnonzero(instance.free)
    sign = 1 if goal.less_is_better else -1
    totals, returns = [], []
    for sites in combinations(free.tolist(), instance.num_kiosks):
        both = []
        for order in (sites, sites[::-1]):
            env.reset(seed=0)
            both.append(sum(env.step(np.array([site]))[1][0] for site in order))
        assert both[0] == both[1]
        returns.append(both[0])
        totals.append(sign * value(instance, goal, np.array(sites)))
        assert env.get_state()["total"][0] == sign * totals[-1]
    best = np.argmin(totals)
    assert returns[best] == max(returns)
    assert max(returns) == sign * (
        in_units(env.world, instance, start_of(env.world, instance))
        - in_units(env.world, instance, sign * totals[best])
    )


def test_masks_tell_what_is_free_and_other_sites_waste_a_kiosk():
    small, large = town(1, sites=6, rivals=2), town(2, sites=9)
    env = make([small, large])
    _, info = env.reset(seed=0, options={"instance": 0})
    assert info["action_mask"][0].tolist() == [*small.free, 0, 0, 0]
    first = int(small.free.argmax())
    env.step(np.array([first]))
    assert env.action_masks().sum() == small.free.sum() - 1 and not env.action_masks()[0, first]
    for wasted in (first, small.rivals[0]):
        before = env.get_state()[0]
        _, reward, _, _, _ = env.step(np.array([wasted]))
        after = env.get_state()[0]
        assert reward == 0 and after["placed"] == before["placed"] + 1
        for name in ("kiosks", "nearest", "visits", "total", "taken", "walks"):
            assert (after[name] == before[name]).all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_city_plays_alike_alone_and_among_larger_ones(objective):
    small, large = town(1), town(2, 30, 20, 6, 3)
    alone = make([small], objective=objective)
    among = make([large, small], objective=objective)
    alone.reset(seed=0)
    among.reset(seed=0, options={"instance": 1})
    for site in np.flatnonzero(small.free)[: small.num_kiosks]:
        one, other = (env.step(np.array([site])) for env in (alone, among))
        assert (other[0][0, : small.num_sites] == one[0][0]).all()
        assert not other[0][0, small.num_sites :].any()
        assert one[1] == other[1] and one[2] == other[2]
        assert one[4]["total"] == other[4]["total"]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_numbers_of_points_and_sites_mean_nothing(objective):
    instance, rng = town(4, rivals=2), np.random.default_rng(0)
    points, sites = rng.permutation(instance.num_points), rng.permutation(instance.num_sites)
    number = np.argsort(sites)  # the new number of an old site
    other = Instance(
        "permuted",
        instance.distances[sites][:, points],
        instance.weights[points],
        instance.num_kiosks,
        points=instance.points[points],
        sites=instance.sites[sites],
        rivals=np.sort(number[instance.rivals]),
    )
    envs = make([instance], objective=objective), make([other], objective=objective)
    observations = [env.reset(seed=0)[0][0] for env in envs]
    assert (observations[0][sites] == observations[1]).all()
    for site in np.flatnonzero(instance.free)[: instance.num_kiosks]:
        one = envs[0].step(np.array([site]))
        two = envs[1].step(number[[site]])
        assert (one[0][0][sites] == two[0][0]).all() and one[1] == two[1]


def test_steps_of_fresh_cities_are_exact():
    """Single precision gives the rounded distance, as instances have it, for every pair of places."""

    @njit
    def all_steps():
        steps = np.empty((SIDE, SIDE), np.int32)
        for y in range(SIDE):
            for x in range(SIDE):
                steps[y, x] = steps_between(x, 0, 0, y)
        return steps

    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).reshape(-1, 2)
    assert (all_steps().ravel() == euclidean(grid, np.zeros((1, 2), int))[0]).all()


def test_fresh_cities_are_new_in_every_episode_and_spread_evenly():
    env = make(source="fresh", points=200, kiosks=3, num_envs=50)
    env.reset(seed=0)
    first = env.get_state()
    env.reset()
    second = env.get_state()
    assert (first["x"] != second["x"]).mean() > 0.99
    for name in ("x", "y"):
        counts = np.bincount(first[name].ravel() // 128, minlength=8)
        assert len(counts) == 8 and abs(counts - 1250).max() < 5 * np.sqrt(1250)


def test_regret_is_the_share_by_which_the_proven_optimum_is_missed():
    env = make(source="pmed1", objective="p-median")
    instance = env.world.instances[0]
    env.reset(seed=0)
    for _ in range(instance.num_kiosks):
        _, _, _, _, info = env.step(env.reference("greedy")())
    assert info["optimum"] == instance.optimum == 5819
    total = value(instance, Objective(), env.get_state()["kiosks"][0])
    assert info["regret"] == (total - 5819) / 5819 > 0
    assert make([town(1)]).reset(seed=0)[1]["regret"] == -1


@pytest.mark.parametrize("name", ("greedy", "k-means", "interchange", "exact"))
def test_solvers_place_what_they_plan(name):
    env = make(source="fresh", points=20, kiosks=4, num_envs=3)
    env.reset(seed=0)
    act = env.reference(name)
    for _ in range(4):
        action = act()
        assert env.action_masks()[np.arange(3), action].all()
        env.step(action)
    exact = make(source="fresh", points=20, kiosks=4, num_envs=3)
    exact.reset(seed=0)
    plan = exact.reference("exact")
    for _ in range(4):
        exact.step(plan())
    found, best = env.get_state()["total"], exact.get_state()["total"]
    assert (found >= best).all() and (name != "exact" or (found == best).all())


def test_a_plan_goes_on_after_the_kiosks_of_others():
    env = make([town(1, sites=4, kiosks=3, rivals=0)])
    for others in range(4):
        env.reset(seed=0)
        env.step(np.array([others]))
        act = env.reference("greedy")
        while not env.step(act())[2][0]:
            pass
        assert len(set(env.get_state()["kiosks"][0].tolist())) == 3


def test_reset_options():
    env = make([town(1), town(2), town(3)], num_envs=3)
    env.reset(seed=0, options={"instance": np.array([2, 0, 1])})
    assert env.get_state()["instance"].tolist() == [2, 0, 1]
    for options, words in (({"instance": 3}, "from 0 to 2"), ({"city": 1}, "unknown reset option")):
        with pytest.raises(ValueError, match=words):
            env.reset(options=options)


BAD = (
    ({"source": "fresh", "points": 5, "kiosks": 6}, "6 kiosks and 0 rivals do not fit on 5 sites"),
    ({"sites": 5, "kiosks": 6}, "do not fit on 5 sites"),
    ({"objective": "revenue"}, "at least one rival"),
    ({"source": "fresh", "objective": "revenue"}, "at least one rival"),
    ({"source": "fresh", "objective": "revenue", "rivals": 1, "radius": 0}, "radius must be from 1"),
    ({"source": "pmed1", "objective": "coverage", "radius": -1}, "radius must lie between 0"),
    ({"source": "pmed99"}, "did you mean"),
    ({"source": "nowhere.csv"}, "nowhere.csv"),
    ({"source": "pmed1", "observation": "grid"}, "needs coordinates"),
    ({"observation": "index", "sites": 30}, "at most 4194304"),
    ({"observation": "index", "source": "fresh", "points": 12}, "fresh cities have no number"),
    ({"pool_size": 4096, "points": 10_000, "sites": 10_000, "kiosks": 3}, "pairs of site and point"),
    ({"pool_size": 0}, "pool_size"),
    ({"kiosks": 2.5}, "kiosks must be a whole number"),
    ({"metric": "chessboard"}, "metric must be one of"),
    ({"observation": "pixels"}, "observation must be one of"),
)


@pytest.mark.parametrize("settings, words", BAD)
def test_bad_settings_are_refused_in_one_line(settings, words):
    with pytest.raises(ValueError, match=words) as caught:
        make(**{"pool_size": 1} | settings)
    assert "\n" not in str(caught.value)


def test_a_radius_that_covers_nobody_is_refused():
    far = Instance("far", [[9]], [1], 1)
    with pytest.raises(ValueError, match="far: a radius of 8 steps covers nobody"):
        make([far], objective="coverage", radius=8)


CHANGES = {
    "instance": 2,
    "ask_instance": -1,
    "placed": 9,
    "kiosks": 7,
    "nearest": 5,
    "visits": 2,
    "taken": 0,
    "total": 1,
    "start": 0,
    "walks": 3,
}


@pytest.mark.parametrize("field", CHANGES)
def test_records_that_are_no_states_are_refused(field):
    env = make([town(1), town(2)])
    env.reset(seed=0, options={"instance": 0})
    env.step(env.action_masks().argmax(axis=1))
    record = env.get_state()
    record[field] = CHANGES[field]
    before = env.state_hash()
    with pytest.raises(ValueError, match=f"no state of this world: {field}|{field} is"):
        env.set_state(record)
    assert env.state_hash() == before


@pytest.mark.parametrize("field", ("x", "y"))
def test_places_beyond_a_fresh_city_are_refused(field):
    env = make(source="fresh", points=9, kiosks=2)
    env.reset(seed=0)
    record = env.get_state()
    record[field][0, 3] = SIDE
    with pytest.raises(ValueError, match=f"{field} is 1024"):
        env.set_state(record)
