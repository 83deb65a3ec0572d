"""Jams are what a count by hand finds: on the road ahead, and on the segments of the streets."""

import numpy as np
import pytest
from meze.envs.city.jams import road_ahead
from meze.envs.city.state import JUNCTION, VEHICLE
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.streets.maps import STEPS

ROWS = 8


@pytest.fixture(scope="module")
def city():
    env = WorldVectorEnv("meze.envs.city.world:City", ROWS, 200, pool_size=2)
    env.reset(seed=3, options={"map": 1, "hour": np.array([8, 12] * (ROWS // 2))})
    expert = env.reference("expert")
    for _ in range(20):
        env.step(expert())
    return env


def ahead(world, cell, heading):
    dy, dx = STEPS[heading]
    return cell + dy * world.shape[1] + dx


def test_the_road_ahead_is_the_shortest_route(city):
    world, params = city.world, city.params
    found = road_ahead(params, city.state)
    assert found.dtype == np.float32 and found[::2].mean() > found[1::2].mean()
    for row, share in zip(city.state, found, strict=True):
        cell, taken = row["cars"]["cell"][0], []
        distance = (params.routes[row["map"], row["destination"]] >> 2).astype(int)
        while len(taken) < 12 and distance[cell] > 0:
            exits = params.cells[row["map"], cell]["exits"]
            ways = [ahead(world, cell, heading) for heading in range(4) if exits >> heading & 1]
            cell = min(ways, key=distance.__getitem__)
            taken.append(bool(row["road"][cell] & VEHICLE))
        assert share == pytest.approx(np.mean(taken), abs=1 / 1024)


def test_segments_end_at_junctions_and_each_lane_cell_is_in_one(city):
    world, params = city.world, city.params
    segments = world.segments(1)
    cells, numbers = params.cells[1], segments.of_cell
    lanes = (cells["exits"] > 0) & (cells["kind"] != JUNCTION)
    assert ((numbers >= 0) == lanes).all()
    assert np.bincount(numbers[lanes]).tolist() == segments.features["length"].tolist()
    for cell in np.flatnonzero(lanes):
        to = ahead(world, cell, int(cells["heading"][cell]))
        assert cells["kind"][to] == JUNCTION or numbers[to] == numbers[cell]
    ends = [cell for cell in np.flatnonzero(lanes) if numbers[ahead(world, cell, cells["heading"][cell])] < 0]
    assert sorted(numbers[ends]) == list(range(len(segments.features["length"])))


def test_occupancy_is_the_share_of_a_segments_cells(city):
    segments = city.world.segments(1)
    state = city.state[:1].copy()  # the first environment's map may be another by now
    found = segments.occupancy(state)[0]
    for number in range(len(found)):
        words = state["road"][0][segments.of_cell == number]
        assert found[number] == pytest.approx(np.mean((words & VEHICLE) > 0))
