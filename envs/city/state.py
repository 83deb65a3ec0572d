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

# One int32 word for each cell of the map tells everything that is there: zero means free.
#   bits 0-12   the vehicle on the cell, its slot + 1
#   bits 13-25  the vehicle that has claimed the cell, its slot + 1 (AMBULANCE for the ambulance)
#   bits 26-27  people on the cell (counted on streets only)
#   bits 28-29  people about to step on it
VEHICLE_MASK = 0x1FFF
CLAIM_SHIFT = 13
CLAIM_MASK = 0x1FFF << CLAIM_SHIFT
PERSON_SHIFT = 26
PERSON = 1 << PERSON_SHIFT
STEP_SHIFT = 28
STEP = 1 << STEP_SHIFT
PEOPLE_MASK = 0xF << PERSON_SHIFT
ON_ROAD_MASK = 0x3 << PERSON_SHIFT
STEPPING_MASK = 0x3 << STEP_SHIFT
MAX_PEOPLE = 3  # on a street cell, those about to step there included
AMBULANCE = 0x1FFF  # claims of the ambulance
MAX_CARS = AMBULANCE - 2

# What lies ahead of a cell.
LANE_AHEAD, ZEBRA_AHEAD, JUNCTION_AHEAD, INSIDE_JUNCTION, NO_LANE = 0, 1, 2, 3, 4

UNDRAWN = 255  # a car that has not yet chosen its turn at the next junction
PENDING = -2  # `car_to` of a car that asks to enter a junction in this tick
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
)


def city_state(num_cells: int, num_vehicles: int, num_people: int) -> np.dtype:
    """The state record for maps of at most `num_cells` cells.

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
            ("car_cell", np.int32, (num_vehicles,)),  # -1 where the slot is empty
            ("car_to", np.int32, (num_vehicles,)),  # where it goes; between ticks: where it came from
            (
                "car_next",
                np.int32,
                (num_vehicles,),
            ),  # the lane cell ahead, -1 at and in junctions; ego: unused
            ("car_wait", np.int16, (num_vehicles,)),  # ticks without a move
            ("car_approach", np.int16, (num_vehicles,)),  # the junction's approach it came by, -1 on lanes
            ("car_heading", np.uint8, (num_vehicles,)),
            ("car_turn", np.uint8, (num_vehicles,)),  # 0 straight, 1 left, 2 right, UNDRAWN; ego: last move
            ("car_step", np.uint8, (num_vehicles,)),  # cells done of its path through the junction
            ("walker_cell", np.int32, (num_people,)),
            ("walker_from", np.int32, (num_people,)),  # its cell before the tick
            ("walker_heading", np.uint8, (num_people,)),
            ("walker_mode", np.uint8, (num_people,)),  # WALKING, AT_KERB, ON_ROAD
            ("road", np.int32, (num_cells,)),  # the word of each cell, see above
        ],
        info=INFO,
        parts=PARTS,
    )


RULES = np.dtype(
    [
        ("width", np.int32),  # cells
        ("height", np.int32),  # cells
        ("num_maps", np.int32),
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
    """(M, C) kind, exits, walk, heading, junction and approach of each cell."""
    paths: NDArray[np.int32]
    """(M, A, 3, P) cells through the junction by approach and turn, then the cell beyond; -1 padded."""
    approaches: NDArray[np.int32]
    """(M, J, K) approach cells of each junction, -1 padded."""
    signals: NDArray[np.int32]
    """(M, J) offset of the junction's signals in ticks, less than a cycle; -1 where there are none."""
    lanes: NDArray[np.int32]
    """(M, L) cells where a car may be put down."""
    walks: NDArray[np.int32]
    """(M, S) sidewalk cells."""
    destinations: NDArray[np.int32]
    """(M, D) cells."""
    distance: NDArray[np.uint16]
    """(M, D, C) cells along the shortest legal route, 65535 where there is none."""
    counts: NDArray[np.int32]
    """(M, 4) numbers of lanes, walks, junctions and lane cells in all."""
    views: NDArray[np.uint8]
    """(M, 4, 3, side, side) padded maps turned by each heading: the grid's still planes; none for `index`."""
