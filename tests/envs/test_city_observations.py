"""What the city shows, against plain re-computations from the map and the state record."""

import numpy as np
import pytest
from meze.envs.city.observe import NUM_PLANES
from meze.envs.city.state import (
    CLAIM,
    FORWARD,
    JUNCTION_AHEAD,
    LEFT,
    ON_ROAD_MASK,
    RIGHT,
    SIREN,
    SIREN_RANGE,
    STEPPING_MASK,
    VEHICLE,
)
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.streets.maps import STEPS

CITY = "meze.envs.city.world:City"
BUSY = {"hour": 8, "ambulance": 0.2, "jaywalk": 0.1, "pool_size": 4, "min_distance": 5, "pedestrians": 96}


def driven(steps, **config):
    """A batch some way into its episodes, with observations and infos."""
    env = WorldVectorEnv(CITY, num_envs=32, **{**BUSY, **config})
    obs, info = env.reset(seed=11)
    expert = env.reference("expert")
    for _ in range(steps):
        obs, _, _, _, info = env.step(expert())
    return env, obs, info


def expected_planes(env, s, view):
    """The six planes that show the surroundings, cell by cell."""
    city_map = env.world.maps[s["map"]]
    height, width = city_map.kind.shape
    heading, cell = int(s["cars"]["heading"][0]), int(s["cars"]["cell"][0])
    y, x = divmod(cell, width)
    (fy, fx), (ry, rx) = STEPS[heading], STEPS[(heading + 1) % 4]
    planes = np.zeros((6, view, view), np.uint8)
    planes[:2] = 128
    for row in range(view):
        for column in range(view):
            up, right = view // 2 - row, column - view // 2
            v, u = y + fy * up + ry * right, x + fx * up + rx * right
            if not (0 <= v < height and 0 <= u < width):
                continue
            exits, word = int(city_map.exits[v, u]), int(s["road"][v * width + u])
            goes = [exits >> (heading + turn) % 4 & 1 for turn in range(4)]
            planes[0, row, column] = 255 if goes[0] else 0 if goes[2] else 128
            planes[1, row, column] = 255 if goes[1] else 0 if goes[3] else 128
            planes[2, row, column] = 60 * city_map.kind[v, u]
            ambulance = s["ambulance_cell"] == v * width + u
            planes[3, row, column] = 128 if ambulance else 255 if word & VEHICLE else 0
            planes[4, row, column] = 255 if word & SIREN else 128 if word & CLAIM else 0
            planes[5, row, column] = 255 if word & ON_ROAD_MASK else 128 if word & STEPPING_MASK else 0
    return planes


@pytest.mark.parametrize("view", [9, 5])
def test_grid_shows_the_surroundings_turned_by_the_heading(view):
    env, obs, info = driven(40, observation="grid", view=view)
    states = env.get_state()
    assert obs.shape == (32, NUM_PLANES, view, view) and obs.dtype == np.uint8
    assert len(set(states["cars"]["heading"][:, 0].tolist())) == 4
    for s, seen in zip(states, obs, strict=True):
        np.testing.assert_array_equal(seen[:6], expected_planes(env, s, view))
    assert (obs[:, 3] == 255).sum() > 32 and (obs[:, 4] > 0).any() and (obs[:, 5] > 0).any()


def test_grid_tells_scalars_as_constant_planes():
    env, obs, info = driven(60, observation="grid")
    scalars = obs[:, 6:]
    assert (scalars == scalars[:, :, :1, :1]).all()
    values = scalars[:, :, 0, 0].astype(int)
    states = env.get_state()
    width = env.world.shape[1]
    np.testing.assert_array_equal(values[:, 4], np.minimum(255, info["distance"]))
    np.testing.assert_array_equal(values[:, 6], 80)
    heard = 0
    for s, (_, ahead, across, *_) in zip(states, values, strict=True):
        if s["ambulance_cell"] < 0:
            assert ahead == across == 0
            continue
        y, x = divmod(int(s["cars"]["cell"][0]), width)
        v, u = divmod(int(s["ambulance_cell"]), width)
        if max(abs(v - y), abs(u - x)) > SIREN_RANGE:
            assert ahead == across == 0
            continue
        heard += 1
        heading = int(s["cars"]["heading"][0])
        (fy, fx), (ry, rx) = STEPS[heading], STEPS[(heading + 1) % 4]
        assert ahead == 128 + 10 * ((v - y) * fy + (u - x) * fx)
        assert across == 128 + 10 * ((v - y) * ry + (u - x) * rx)
    assert heard > 3


def test_route_and_situation_agree_with_the_map():
    env, obs, info = driven(50, observation="index")
    number = obs.copy()
    digits = {}
    for name in ("route", "siren", "signal", "right", "left"):
        digits[name] = number % 3
        number //= 3
    digits["ahead"] = number
    mask = info["action_mask"]
    np.testing.assert_array_equal(digits["ahead"] == 0, mask[:, FORWARD] == 0)
    np.testing.assert_array_equal(digits["left"] == 0, mask[:, LEFT] == 0)
    np.testing.assert_array_equal(digits["right"] == 0, mask[:, RIGHT] == 0)
    states, p = env.get_state(), env.params
    for s, route in zip(states, digits["route"], strict=True):
        cell, heading = int(s["cars"]["cell"][0]), int(s["cars"]["heading"][0])
        best = {}
        for action, turn in ((FORWARD, 0), (LEFT, 3), (RIGHT, 1)):
            h = (heading + turn) % 4
            if p.cells[s["map"], cell]["exits"] >> h & 1:
                best[action] = p.routes[s["map"], s["destination"], cell + p.rules[0]["delta"][h]] >> 2
        assert best[route + FORWARD] == min(best.values())
    approach = p.cells[states["map"], states["cars"]["cell"][:, 0]]["ahead"] == JUNCTION_AHEAD
    np.testing.assert_array_equal(digits["signal"] > 0, approach)


def test_place_is_cell_heading_and_destination():
    env, obs, _ = driven(20, observation="index", index="place", pool_size=1)
    states = env.get_state()
    place, destination = np.divmod(obs, 32)
    cell, heading = np.divmod(place, 4)
    np.testing.assert_array_equal(cell, states["cars"]["cell"][:, 0])
    np.testing.assert_array_equal(heading, states["cars"]["heading"][:, 0])
    np.testing.assert_array_equal(destination, states["destination"])
    assert env.single_observation_space.n == 1600 * 4 * 32
