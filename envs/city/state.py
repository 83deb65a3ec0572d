"""The city's state record, its shared tables, and what the bits of a road word mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.world import state_dtype

# Headings; y grows downwards. A right turn adds one, a left turn subtracts one (modulo 4).
NORTH, EAST, SOUTH, WEST = 0, 1, 2, 3

# Kinds of cell.
BUILDING, SIDEWALK, ROAD, CROSSING, JUNCTION = 0, 1, 2, 3, 4

# Actions.
WAIT, FORWARD, LEFT, RIGHT = 0, 1, 2, 3

# One byte for each cell of the map tells everything that is there: zero means free.
VEHICLE = 1  # a car, the ego car included
CLAIM = 2  # a car on its way through a junction has claimed it
SIREN = 4  # the ambulance has claimed it
PERSON = 8  # times the number of people on the cell (counted on streets only)
ON_ROAD_MASK = 3 * PERSON
STEP = 32  # times the number of people about to step on it
STEPPING_MASK = 3 * STEP
PEOPLE_MASK = ON_ROAD_MASK | STEPPING_MASK
MAX_PEOPLE = 3  # on a street cell, those about to step there included
MAX_CARS = 32767

# What lies ahead of a car.
LANE_AHEAD, ZEBRA_AHEAD, JUNCTION_AHEAD, INSIDE_JUNCTION, NO_LANE = 0, 1, 2, 3, 4

UNDRAWN = 255  # a car that has not yet chosen its turn at the next junction
NOT_ASKING, ASKING, REFUSED = 0, 1, 2  # for its way through a junction, within a tick
PATIENCE = 20  # ticks after which a waiting car chooses its turn anew
GIVE_UP = 200  # ticks after which the driver of a standing car parks
SIREN_RANGE = 12  # cells (larger of the two axes) within which the siren is heard
SIREN_AHEAD = 8  # cells of its route that an ambulance claims, its own included

# What a pedestrian is doing.
WALKING, AT_KERB, ON_ROAD = 0, 1, 2

PARTS = ("arrival", "progress", "time", "collision", "red_light", "illegal", "ambulance")
INFO = (
    ("progress", np.float64),  # share of the route done, 1 at the destination
    ("distance", np.int32),  # cells still to drive along the shortest legal route
    ("hour", np.int32),  # hour of the day
    ("cost", np.int32),  # harm done in this step
    ("success", np.bool_),  # arrived
    ("harm_car", np.bool_),
    ("harm_person", np.bool_),
    ("harm_ambulance", np.bool_),
    ("own_fault", np.bool_),  # the harm could have been avoided by the ego car
    ("ambulance_delayed", np.bool_),  # the ego car held it up
    ("time", np.int32),  # 1: each tick
)


CAR = np.dtype(
    [
        ("cell", np.int32),  # -1 where the slot is empty
        ("came", np.int32),  # its cell before the tick
        ("next", np.int32),  # the cell ahead on a lane; ego: where it wants to go in the tick
        ("wait", np.int16),  # ticks without a move
        ("approach", np.int16),  # the junction's approach where it waits or by which it came, -1 on lanes
        ("ahead", np.uint8),  # what lies ahead; ego: NO_LANE
        ("heading", np.uint8),
        ("turn", np.uint8),  # 0 straight, 1 left, 2 right, UNDRAWN; ego: last move
        ("step", np.uint8),  # cells done of its path through the junction
        ("asks", np.uint8),  # NOT_ASKING between ticks
    ],
    align=True,
)

WALKER = np.dtype(
    [
        ("cell", np.int32),
        ("came", np.int32),  # its cell before the tick
        ("heading", np.uint8),
        ("mode", np.uint8),  # WALKING, AT_KERB, ON_ROAD
        ("walk", np.uint8),  # of its cell, see `maps.CELL`; up to date while WALKING
        ("onto", np.uint8),
    ],
    align=True,
)


def city_state(num_cells: int, num_approaches: int, num_vehicles: int, num_people: int) -> np.dtype:
    """The state record for maps of at most `num_cells` cells and `num_approaches` approaches.

    Vehicle 0 is the ego car; the others fill slots 1 to `num_cars` without gaps.
    """
    return state_dtype(
        [
            ("map", np.int32),  # index into the pool of maps
            ("ask_map", np.int32),  # 1 + the map wanted at the next reset, 0 for a random one
            ("ask_hour", np.int32),  # 1 + the hour wanted at the next reset, 0 for the config's
            ("clock", np.int32),  # ticks of the cycle of signals
            ("destination", np.int32),  # index into the map's destinations
            ("start_distance", np.int32),  # cells from start to destination
            ("num_cars", np.int32),  # cars on the map, the ego car not counted
            ("target_cars", np.int32),  # cars that this hour wants
            ("entries", np.int32),  # cars that came onto the map since the reset
            ("exits", np.int32),  # cars that left it
            ("ambulance_cell", np.int32),  # -1 where there is none
            ("ambulance_from", np.int32),  # its cell before the tick
            ("ambulance_via", np.int32),  # the cell it passed through in the tick
            ("ambulance_heading", np.int32),
            ("ambulance_destination", np.int32),  # index into the map's destinations
            ("ambulance_path", np.int32, (SIREN_AHEAD,)),  # its cell and the next ones, -1 padded
            ("walkers", WALKER, (num_people,)),
            ("cars", CAR, (num_vehicles,)),
            ("waiting", np.int16, (num_approaches,)),  # the car at each approach, 0 for none; ego not counted
            ("road", np.uint8, (num_cells,)),  # what is on each cell, see above
        ],
        info=INFO,
        parts=PARTS,
    )


RULES = np.dtype(
    [
        ("width", np.int32),  # cells
        ("height", np.int32),  # cells
        ("hour", np.int32),  # -1: drawn per episode
        ("cars", np.int32),  # cars off-peak
        ("peak_density", np.int32),  # share of the lane cells at peak, in 1/1024
        ("people", np.int32),
        ("min_distance", np.int32),  # shortest trip, cells
        ("slowdown", np.int32),  # chances per tick, in 1/1024
        ("turnover", np.int32),
        ("jaywalk", np.int32),
        ("ambulance", np.int32),
        ("green", np.int32),  # ticks
        ("all_red", np.int32),  # ticks
        ("delta", np.int32, (4,)),  # cell number to add for each heading
        ("profile", np.int32, (24,)),  # share of the peak's extra traffic by hour, in 1/1024
        *[("reward_" + name, np.int32) for name in PARTS],  # weights, in 1/1024
    ],
    align=True,
)


class CityParams(NamedTuple):
    """Read-only tables that the whole batch shares: M maps of C cells, C = height * width."""

    rules: NDArray[np.void]
    """(1,) record of RULES."""
    cells: NDArray[np.void]
    """(M, C) records of `maps.CELL`: what the kernels ask of a cell."""
    ways: NDArray[np.void]
    """(M, A) records of `maps.way_dtype`: what lies behind each approach of a junction."""
    rivals: NDArray[np.int32]
    """(M, J, K) approaches of each junction, -1 padded."""
    signals: NDArray[np.int32]
    """(M, J) offset of the junction's signals in ticks, less than a cycle; -1 where there are none."""
    lanes: NDArray[np.int32]
    """(M, L) cells where a car may be put down."""
    walks: NDArray[np.int32]
    """(M, S) sidewalk cells."""
    destinations: NDArray[np.int32]
    """(M, D) cells."""
    routes: NDArray[np.uint16]
    """(M, D, C) shortest legal routes: 4 times their cells (16383 where there is none), and the heading."""
    counts: NDArray[np.int32]
    """(M, 4) numbers of lanes, walks, junctions and lane cells in all."""
    views: NDArray[np.uint8]
    """(M, 4, strips, side, 3, width) the grid's still planes, turned by each heading, in strips of columns
    (see `observe.cut_strips`); empty for `index`."""
    lots: NDArray[np.int64]
    """(M,) running sums of the maps' weights, by which a reset draws one; see `core.lots`."""


class Town(NamedTuple):
    """The rows of `CityParams` that belong to one map."""

    rules: NDArray[np.void]
    cells: NDArray[np.void]
    ways: NDArray[np.void]
    rivals: NDArray[np.int32]
    lanes: NDArray[np.int32]
    walks: NDArray[np.int32]
    destinations: NDArray[np.int32]
    routes: NDArray[np.uint16]
    counts: NDArray[np.int32]
