"""A closed street: nobody drives on it, and everything else is as before."""

from collections import deque

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.envs.city.config import CityConfig
from meze.envs.city.maps import street_at
from meze.envs.city.world import City
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.streets.maps import CROSSING, NONE, ROAD, SIDEWALK, STEPS, MapError, format_map, parse_map

OPEN = City(CityConfig(map="downtown", observation="index", index="place"))
STREETS = OPEN.maps[0]
HEIGHT, WIDTH = STREETS.kind.shape
DESTINATIONS = OPEN.params().destinations[0].tolist()
CLOSED = (12, 18)


def closed_city(cell, **settings):
    return City(
        CityConfig(**{"map": "downtown", "observation": "index", "index": "place", **settings}, closed=cell)
    )


def reached(streets, start, forward):
    """Oracle: breadth-first search over the legal moves, along or against them."""
    height, width = streets.kind.shape
    found, queue = {start}, deque([start])
    while queue:
        y, x = queue.popleft()
        for h, (dy, dx) in enumerate(STEPS):
            v, u = (y + dy, x + dx) if forward else (y - dy, x - dx)
            if 0 <= v < height and 0 <= u < width and (v, u) not in found:
                if streets.exits[(y, x) if forward else (v, u)] >> h & 1:
                    found.add((v, u))
                    queue.append((v, u))
    return found


def all_streets():
    left = np.isin(STREETS.kind, (ROAD, CROSSING))
    while left.any():
        y, x = map(int, np.argwhere(left)[0])
        street = street_at(STREETS, x, y)
        assert street[y, x] and not (street & ~left).any()
        yield (x, y), street
        left &= ~street


def without(street):
    """Oracle: the map's text with the street's characters overwritten."""
    rows = [list(row) for row in format_map(STREETS).splitlines()]
    for y, x in np.argwhere(street):
        rows[y][x] = "."
    return "\n".join("".join(row) for row in rows)


def test_a_street_goes_from_junction_to_junction_both_ways():
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[18:20, 12:18] = True
    for x, y in ((12, 18), (17, 19), (14, 18)):
        np.testing.assert_array_equal(street_at(STREETS, x, y), expected)


def test_every_street_is_closed_with_the_rest_as_before_or_refused_for_a_reason():
    closed = 0
    for cell, street in all_streets():
        try:
            city = closed_city(cell)
        except ValueError as error:
            assert f"the street in column {cell[0]}, row {cell[1]} can't be closed" in str(error)
            if "destination" in str(error):
                assert street.ravel()[DESTINATIONS].any()
            else:
                with pytest.raises(MapError):
                    parse_map(without(street), "closed")
            continue
        closed += 1
        (left,) = city.maps
        assert (left.kind[street] == SIDEWALK).all() and (left.exits[street] == 0).all()
        for part in ("kind", "heading", "junction"):
            np.testing.assert_array_equal(getattr(left, part)[~street], getattr(STREETS, part)[~street])
        np.testing.assert_array_equal(left.signalled, STREETS.signalled)
        np.testing.assert_array_equal(city.params().signals, OPEN.params().signals)
        drivable = set(zip(*np.nonzero(left.exits), strict=True))
        start = min(drivable)
        assert reached(left, start, True) == reached(left, start, False) == drivable
        assert city.params().destinations[0].tolist() == DESTINATIONS
        assert city.observation_space == OPEN.observation_space
    assert closed == 4


@pytest.mark.parametrize("reference", [None, "expert"])
def test_nobody_drives_on_it_and_places_keep_their_numbers(reference):
    city = closed_city(CLOSED, hour=12)
    env = WorldVectorEnv(city, 32, autoreset_mode=AutoresetMode.SAME_STEP)
    street, arrived = np.flatnonzero(street_at(STREETS, *CLOSED)), 0
    obs, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(150):
        state = env.get_state()
        ego = state["cars"][:, 0]
        place = ego["cell"].astype(int) * 4 + ego["heading"]
        np.testing.assert_array_equal(obs, place * len(DESTINATIONS) + state["destination"])
        assert not np.isin(state["cars"]["cell"], street).any()
        assert not np.isin(state["ambulance_cell"], street).any()
        action = env.reference(reference)() if reference else env.action_space.sample()
        obs, _, _, _, info = env.step(action)
        if "final_info" in info:
            arrived += info["final_info"]["success"].sum()
    assert arrived > 30 or not reference


def test_ways_lead_round_it():
    here, before = closed_city(CLOSED).params(), OPEN.params()
    street = np.flatnonzero(street_at(STREETS, *CLOSED))
    left = np.setdiff1d(np.flatnonzero(STREETS.heading != NONE), street)
    longer = (here.routes[0][:, left] >> 2).astype(int) - (before.routes[0][:, left] >> 2)
    assert (longer >= 0).all() and (longer > 0).any()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"closed": (4, 10)}, "column 4, row 10 can't be closed: a destination lies on it"),
        ({"closed": (0, 0)}, "map downtown has no lane in column 0, row 0"),
        ({"closed": (40, 3)}, "has no lane in column 40, row 3"),
        ({"closed": (12, 18), "map": "generated"}, "closed names a street of one map"),
        ({"closed": (12,)}, r"closed must be \(a whole number, a whole number\) or None, got \(12,\)"),
        ({"closed": 5}, r"closed must be \(a whole number, a whole number\) or None, got 5"),
    ],
)
def test_what_can_not_be_closed_is_refused_in_one_line(settings, problem):
    with pytest.raises(ValueError, match=problem) as refused:
        City(CityConfig(**{"map": "downtown", **settings}))
    assert "\n" not in str(refused.value)
