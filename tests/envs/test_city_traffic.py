"""The city's traffic as a whole: invariants, flow on a ring road, a long rush hour, fairness."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meze.envs.city import maps, world
from meze.envs.city.config import CityConfig
from meze.envs.city.roads import is_green, town_of
from meze.envs.city.state import (
    CLAIM,
    CROSSING,
    GIVE_UP,
    INSIDE_JUNCTION,
    JUNCTION,
    JUNCTION_AHEAD,
    NO_LANE,
    ON_ROAD,
    ON_ROAD_MASK,
    PERSON,
    ROAD,
    SIDEWALK,
    SIREN,
    STEP,
    STEPPING_MASK,
    UNDRAWN,
    VEHICLE,
    WALKING,
)
from meze.envs.city.traffic import end_tick, move_traffic
from meze.envs.core.compiling import kernel
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.streets.maps import ROAD as LANE
from meze.envs.streets.maps import StreetMap

# ---------------------------------------------------------------- invariants


@cache
def city(hour, split="train", pool_size=8):
    return WorldVectorEnv(
        world.City,
        num_envs=16,
        max_episode_steps=512,
        observation="index",
        hour=hour,
        pool_size=pool_size,
        jaywalk=0.2,
        ambulance=0.1,
        split=split,
    )


def check_invariants(env):
    """What must hold between two ticks in every environment whose episode goes on."""
    delta = env.params.rules[0]["delta"]
    for s in env.get_state():
        cells = env.params.cells[s["map"]]
        words = s["road"][: cells.size].astype(int)
        cars = s["cars"]["cell"][: s["num_cars"] + 1]
        assert (s["cars"]["cell"][s["num_cars"] + 1 :] == -1).all()
        assert s["num_cars"] <= s["target_cars"]

        drivable = np.isin(cells["kind"][cars], (ROAD, CROSSING, JUNCTION))
        assert drivable.all()
        if not s["info"]["cost"]:
            assert len(set(cars.tolist())) == len(cars)  # no two in a cell
            on_cell = np.zeros(cells.size, int)
            on_cell[cars] = VEHICLE
            np.testing.assert_array_equal(words & VEHICLE, on_cell)

        claimed, waiting = [], np.zeros_like(s["waiting"])
        ways = env.params.ways[s["map"]]
        for v, c in enumerate(s["cars"][1 : len(cars)], 1):
            lies_ahead = cells["ahead"][c["cell"]]
            if c["step"] > 0:  # the rest of its way is its own
                way = ways["path"][c["approach"], c["turn"]]
                assert way[c["step"] - 1] == c["cell"]
                claimed += way[c["step"] - 1 :][way[c["step"] - 1 :] >= 0].tolist()
                assert c["ahead"] == INSIDE_JUNCTION
            else:
                assert c["ahead"] == lies_ahead and c["next"] == c["cell"] + delta[c["heading"]]
            if lies_ahead == JUNCTION_AHEAD:
                waiting[cells["number"][c["cell"]]] = v
        assert len(set(claimed)) == len(claimed)  # no two ways cross
        np.testing.assert_array_equal(np.flatnonzero(words & CLAIM), sorted(claimed))
        np.testing.assert_array_equal(s["waiting"], waiting)
        assert (words & SIREN > 0).sum() <= len(s["ambulance_path"])
        if s["ambulance_cell"] < 0:
            assert not (words & SIREN).any()

        people = np.zeros(cells.size, int)
        stepping = np.zeros(cells.size, int)
        for cell, heading, mode in zip(
            s["walkers"]["cell"], s["walkers"]["heading"], s["walkers"]["mode"], strict=True
        ):
            kind = cells["kind"][cell]
            assert kind in ((ROAD, CROSSING) if mode == ON_ROAD else (SIDEWALK,))
            people[cell] += mode == ON_ROAD
            ahead = cell + delta[heading]
            if mode != WALKING and cells["kind"][ahead] in (ROAD, CROSSING):
                stepping[ahead] += 1
        np.testing.assert_array_equal((words & ON_ROAD_MASK) // PERSON, people)
        np.testing.assert_array_equal((words & STEPPING_MASK) // STEP, stepping)


@given(st.sampled_from([12, 8]), st.integers(0, 2**31), st.integers(0, 2**31))
@settings(max_examples=12, deadline=None)
def test_traffic_keeps_its_invariants_whatever_the_ego_car_does(hour, seed, choices):
    env = city(hour)
    env.reset(seed=seed)
    started = env.get_state()["num_cars"]
    check_invariants(env)
    rng = np.random.default_rng(choices)
    expert = env.reference("expert")
    for tick in range(60):
        wild = rng.random(16) < 0.5
        _, _, terminated, _, info = env.step(np.where(wild, rng.integers(0, 4, 16), expert()))
        s = env.get_state()
        fresh = s["elapsed"] == 0
        started[fresh] = s["num_cars"][fresh]
        np.testing.assert_array_equal(s["num_cars"], started + s["entries"] - s["exits"], err_msg=str(tick))
        assert (info["own_fault"] == (info["cost"] == 1)).all()  # who drives lawfully is never harmed
        assert (terminated == ((info["cost"] == 1) | info["success"])).all()
        if tick % 10 == 9:
            check_invariants(env)


@given(st.integers(0, 2**31))
@settings(max_examples=5, deadline=None)
def test_who_waits_is_never_harmed(seed):
    env = city(8)
    env.reset(seed=seed)
    for _ in range(100):
        _, _, terminated, _, info = env.step(np.zeros(16, int))
        assert not info["cost"].any() and not terminated.any()


def test_signals_are_never_green_for_both_and_all_red_lasts():
    env = city(12)
    signalled = np.argwhere(env.params.signals >= 0)
    assert len(signalled) > 10
    for m, junction in signalled[::7]:
        town = town_of.py_func(env.params, m)
        lanes = town.cells[town.cells["ahead"] == JUNCTION_AHEAD]
        lanes = lanes[town.ways["junction"][lanes["number"]] == junction]
        greens = np.array([[is_green(town, clock, a) for clock in range(30)] for a in lanes["number"]])
        north, east = (greens[lanes["heading"] % 2 == axis] for axis in (0, 1))
        assert len(north) and (north == north[0]).all()
        assert len(east) and (east == east[0]).all()
        north, east = north[0], east[0]
        assert not (north & east).any()
        assert north.sum() == east.sum() == 12 and (~north & ~east).sum() == 6
        for green, red in ((north, east), (east, north)):
            ends = np.flatnonzero(green & ~np.roll(green, -1))
            for end in ends:
                assert not red[(end + np.arange(1, 4)) % 30].any()


# ---------------------------------------------------------------- Nagel and Schreckenberg


class RingRoad(world.City):
    """A ring of 1,600 lane cells without a junction: down and up the columns, back along the top row."""

    def __init__(self, config: CityConfig) -> None:
        side = 40
        ring = [
            (y, x) for x in range(side) for y in (range(1, side) if x % 2 == 0 else range(side - 1, 0, -1))
        ]
        ring += [(0, x) for x in range(side - 1, -1, -1)]
        steps = {(-1, 0): 0, (0, 1): 1, (1, 0): 2, (0, -1): 3}
        exits = np.zeros((side, side), np.uint8)
        for (y, x), (v, u) in zip(ring, [*ring[1:], ring[0]], strict=True):
            exits[y, x] = 1 << steps[v - y, u - x]
        ring_map = StreetMap(
            name="ring",
            kind=np.full((side, side), LANE, np.uint8),
            exits=exits,
            signalled=np.zeros(0, bool),
            junction=np.full((side, side), -1, np.int16),
            ground=np.zeros((side, side), bool),
            left_hand=False,
        )
        original = world.load_pool
        world.load_pool = lambda *_: [ring_map]
        try:
            super().__init__(config)
        finally:
            world.load_pool = original


@kernel
def run_traffic(p, s, ticks):
    """Runs the traffic of the first environment without the ego car; returns the cars' moves."""
    moves = 0
    for _ in range(ticks):
        e = s[0]
        t = town_of(p, e.map)
        _, tired = move_traffic(t, e, -1, -1)
        for v in range(1, e.num_cars + 1):
            moves += e.cars[v].cell != e.cars[v].came
        end_tick(t, e, tired)
    return moves


def without_ego(env):
    """The records of an environment, the ego car taken off the road."""
    s = env.get_state()
    s["road"][0, s["cars"]["cell"][0, 0]] = 0
    s["cars"][0, 0] = (-1, -1, -1, 0, -1, NO_LANE, 0, UNDRAWN, 0, 0)
    return s


@pytest.mark.slow
@pytest.mark.parametrize("slowdown", [0.125, 0.5])
def test_flow_on_a_ring_road_is_the_exact_one(slowdown):
    """Schreckenberg, Schadschneider, Nagel and Ito (1995): the exact flow for a top speed of one cell."""
    cells = 1600
    for density in (0.1, 0.3, 0.5, 0.7, 0.9):
        env = WorldVectorEnv(
            RingRoad,
            hour=12,
            observation="index",
            cars=int(density * cells),
            peak_density=1.0,  # records with room for as many cars at each density: compiled once
            pedestrians=0,
            ambulance=0,
            turnover=0,
            slowdown=slowdown,
        )
        env.reset(seed=1)
        s = without_ego(env)
        rho = s["num_cars"][0] / cells
        assert abs(rho - density) < 0.002
        run_traffic(env.params, s, 20_000)
        ticks = 40_000
        flow = run_traffic(env.params, s, ticks) / ticks / cells
        p = slowdown
        exact = (1 - np.sqrt(1 - 4 * (1 - p) * rho * (1 - rho))) / 2
        assert abs(flow / exact - 1) < 0.01, (density, flow, exact)


# ---------------------------------------------------------------- the long run, the expert


@kernel
def longest_wait(p, s, ticks):
    """Runs the traffic of the first environment; returns the longest time that any car stood."""
    longest = 0
    for _ in range(ticks):
        run_traffic(p, s, 1)
        e = s[0]
        for v in range(1, e.num_cars + 1):
            longest = max(longest, int(e.cars[v].wait))
    return longest


@pytest.mark.slow
def test_at_peak_no_car_stands_500_ticks_in_a_million():
    env = WorldVectorEnv(world.City, hour=8, observation="index")
    env.reset(seed=3)
    s = without_ego(env)
    assert GIVE_UP < longest_wait(env.params, s, 1_000_000) + 100 < 600
    assert s["num_cars"][0] > 0.9 * s["target_cars"][0]
    assert s["entries"][0] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("hour", [12, 8])
def test_the_expert_arrives_and_harms_nobody(split, hour):
    env = WorldVectorEnv(
        world.City, num_envs=512, max_episode_steps=512, observation="index", hour=hour, split=split
    )
    env.reset(seed=10_000)
    expert = env.reference("expert")
    over = np.zeros(512, bool)
    arrived = np.zeros(512, bool)
    for _ in range(512):
        _, _, terminated, truncated, info = env.step(expert())
        ended = (terminated | truncated) & ~over
        assert not info["cost"][ended].any()
        arrived |= ended & info["success"]
        over |= ended
    assert over.all() and arrived.mean() >= 0.98


def test_train_and_test_maps_differ():
    train, test = (
        {m.exits.tobytes() for m in maps.load_pool("generated", split, 64, CityConfig().streets)}
        for split in ("train", "test")
    )
    assert len(train) == len(test) == 64 and not train & test
