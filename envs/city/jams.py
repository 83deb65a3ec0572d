"""How full the streets are: on the road ahead of the car, and on each segment of the streets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.compiling import kernel
from ..core.scalars import bind_policy
from ..streets.maps import NONE
from .roads import neighbour, route_heading, route_length, town_of, word_at
from .state import JUNCTION_AHEAD, VEHICLE, CityParams

CELLS_AHEAD = 12
"""Cells of its route within which a jam is on the road ahead of the car; a view of 9 shows 4 of them."""


@kernel
def jam_one(p, s, i):
    """The share of the next `CELLS_AHEAD` cells of the shortest legal route that cars take, in 1/1024."""
    e = s[i]
    t = town_of(p, e.map)
    cell = e.cars[0].cell
    cells = 0
    taken = 0
    while cells < CELLS_AHEAD and route_length(t, e.destination, cell) > 0:
        cell = neighbour(t, cell, route_heading(t, e.destination, cell))
        cells += 1
        if word_at(e, cell) & VEHICLE:
            taken += 1
    return np.int64(1024 * taken // max(cells, 1))


def road_ahead(params: CityParams, state: NDArray) -> NDArray[np.float32]:
    """(N,) how jammed the road ahead is: the share of the next 12 cells of the route that cars take."""
    return (bind_policy(jam_one)(params, state) / 1024).astype(np.float32)


class Segments(NamedTuple):
    """The S road segments of a map: lane cells that lead to one approach of a junction."""

    of_cell: NDArray[np.int32]
    """(C,) number of a cell's segment, -1 where there is none."""
    features: dict[str, NDArray[np.float32]]
    """Name to (S,) numbers that the map tells of each: where it is, how long, and what it leads to."""

    def occupancy(self, state: NDArray) -> NDArray[np.float64]:
        """(N, S) share of each segment's cells that cars take, for (N,) records on this map."""
        cells = np.argsort(self.of_cell, kind="stable")[np.count_nonzero(self.of_cell < 0) :]
        length = np.bincount(self.of_cell[cells])
        taken = (state["road"][:, cells] & VEHICLE) > 0
        return np.add.reduceat(taken, np.cumsum(length) - length, axis=1, dtype=np.int64) / length


def find_segments(params: CityParams, number: int) -> Segments:
    """Finds the road segments of a map of the pool."""
    cells, rules = params.cells[number], params.rules[0]
    lane = np.flatnonzero(cells["heading"] != NONE)
    # Each lane cell has one cell ahead: in C steps at most all have come to an approach, and stay there.
    to = np.arange(len(cells))
    moving = lane[cells["ahead"][lane] != JUNCTION_AHEAD]
    to[moving] += rules["delta"][cells["heading"][moving]]
    while not np.array_equal(to, to[to]):
        to = to[to]
    ends, of_lane = np.unique(to[lane], return_inverse=True)
    of_cell = np.full(len(cells), -1, np.int32)
    of_cell[lane] = of_lane

    length = np.bincount(of_lane)
    way = params.ways[number][cells["number"][ends]]
    junction = way["junction"]
    y, x = (np.bincount(of_lane, part) / length for part in np.divmod(lane, rules["width"]))
    features = {
        "east": x,
        "south": y,
        "from centre": np.hypot(x - rules["width"] / 2, y - rules["height"] / 2),
        "length": length,
        "heading": cells["heading"][ends],
        "turns": (way["path"][:, :, 0] >= 0).sum(axis=1),  # ways out of it
        "rivals": (params.rivals[number][junction] >= 0).sum(axis=1),  # approaches of its junction
        "signals": params.signals[number][junction] >= 0,
    }
    return Segments(of_cell, {name: np.asarray(each, np.float32) for name, each in features.items()})
