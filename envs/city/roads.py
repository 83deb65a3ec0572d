"""Facts of the road that all road users share: the tables of one map, signals, junctions, routes.

`t` is a `Town`, `e` one state record. Cell numbers that come from tables are never negative; telling the
compiler so (`np.uint64`) saves it the check for indices that count from the end.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel
from .state import CROSSING, JUNCTION, ROAD, Town


@kernel
def town_of(p, m):
    """The tables of map `m`."""
    return Town(
        p.rules,
        p.cells[m],
        p.ways[m],
        p.rivals[m],
        p.lanes[m],
        p.walks[m],
        p.destinations[m],
        p.routes[m],
        p.counts[m],
    )


@kernel
def word_at(e, cell):
    """What is on a cell: its bits (see `state.py`)."""
    return int(e.road[np.uint64(cell)])


@kernel
def put_on(e, cell, bits):
    """Sets bits of a cell."""
    e.road[np.uint64(cell)] = word_at(e, cell) | bits


@kernel
def take_off(e, cell, bits):
    """Clears bits of a cell."""
    e.road[np.uint64(cell)] = word_at(e, cell) & (0xFF ^ bits)


@kernel
def count_on(e, cell, people):
    """Adds PERSON or STEP to a cell, or takes it off (negative)."""
    e.road[np.uint64(cell)] = word_at(e, cell) + people


@kernel
def neighbour(t, cell, heading):
    """The cell next to `cell`."""
    return cell + t.rules[0].delta[np.uint64(heading)]


@kernel
def approach_at(t, cell):
    """The approach that a lane cell is, -1 for other cells."""
    place = t.cells[np.uint64(cell)]
    return -1 if place.kind == JUNCTION else place.number


@kernel
def junction_at(t, cell):
    """The junction that a cell belongs to, -1 for none."""
    place = t.cells[np.uint64(cell)]
    return place.number if place.kind == JUNCTION else -1


@kernel
def is_green(t, clock, approach):
    """Whether traffic may enter the junction behind an approach: always where it has no signals."""
    phase = t.ways[np.uint64(approach)].phase
    if phase < 0:
        return True
    r = t.rules[0]
    tick = clock + phase  # both below a whole cycle
    cycle = 2 * (r.green + r.all_red)
    return (tick - cycle if tick >= cycle else tick) < r.green


@kernel
def heading_towards(t, cell, to):
    """The heading that leads from a cell to its neighbour."""
    delta = t.rules[0].delta
    step = to - cell
    return 0 if step == delta[0] else 1 if step == delta[1] else 2 if step == delta[2] else 3


@kernel
def route_heading(t, destination, cell):
    """The heading in which the shortest legal route leaves `cell`."""
    return int(t.routes[destination, np.uint64(cell)]) & 3


@kernel
def route_length(t, destination, cell):
    """Cells of the shortest legal route from `cell`."""
    return int(t.routes[destination, np.uint64(cell)]) >> 2


@kernel
def is_lane(t, cell):
    """Whether a pedestrian on the cell stands on the street."""
    kind = t.cells[np.uint64(cell)].kind
    return kind == CROSSING or kind == ROAD
