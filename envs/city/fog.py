"""What the city's fog hides: a short view, late signals, and a route told only behind junctions.

`e` is one state record, `p` a `CityParams`, `t` a `Town`.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..core.compiling import kernel
from .cars import goes_first_of_all
from .observe import FIRST_SCALAR, PLANE_NAMES, grid_kernel, route_move, way_is_clear
from .roads import approach_at, is_green, junction_at, neighbour, route_heading, route_length, town_of

REACH = 2  # cells to each side that are seen
LATE = 2  # ticks after which a change of signals is seen
SHOWN = 6  # ticks behind a junction, and at the start, in which the next turn is shown

FIELDS = (("since", np.uint8), ("inside", np.uint8))  # ticks, at most SHOWN + 1; whether in a junction
RANGES = {"since": (0, SHOWN + 1), "inside": (0, 1)}

NOTHING = np.array(
    [128, 128, 0, 0, 0, 0], np.uint8
)  # what the planes that are no constants hold beyond REACH
TURNS = np.array([85, 255, 212, 170], np.uint8)  # straight on, right, back, left
SIGNAL, ROUTE, ENTRY = (PLANE_NAMES.index(name) for name in ("signal", "route", "entry"))


@kernel
def note_one(p, s, i):
    """Counts the ticks since the start or the last junction."""
    e = s[i]
    is_inside = junction_at(town_of(p, e.map), e.cars[0].cell) >= 0
    if e.elapsed == 0 or e.fog.inside and not is_inside:
        e.fog.since = 0
    elif e.fog.since <= SHOWN:
        e.fog.since += 1
    e.fog.inside = is_inside


@kernel
def next_turn(t, e):
    """Quarter turns to the right that the route takes at the next junction; 0 if it ends before."""
    cell = e.cars[0].cell
    entered = False
    entering = leaving = np.int64(e.cars[0].heading)
    for _ in range(route_length(t, e.destination, cell)):
        inside = junction_at(t, cell) >= 0
        if entered and not inside:
            break
        leaving = route_heading(t, e.destination, cell)
        if not inside:
            entering = leaving
        entered = inside
        cell = neighbour(t, cell, leaving)
    return (leaving - entering) & 3


@kernel
def is_green_late(t, clock, approach):
    """What `is_green` told some ticks ago."""
    cycle = 2 * (t.rules[0].green + t.rules[0].all_red)
    return is_green(t, (clock + LATE * (cycle - 1)) % cycle, approach)


@cache
def fogged_grid_kernel(view):
    """Makes the observation `grid` in the fog; see `observe.grid_kernel`, whose planes it covers."""
    clear = grid_kernel(view)
    first, behind = max(0, view // 2 - REACH), min(view, view // 2 + REACH + 1)

    @kernel
    def observe_fogged(p, s, i, obs):
        """Writes the grid as it is seen in the fog."""
        clear(p, s, i, obs)
        e = s[i]
        t = town_of(p, e.map)
        planes = obs[i]
        for plane in range(FIRST_SCALAR):
            for row in range(view):
                for column in range(view):
                    if not (first <= row < behind and first <= column < behind):
                        planes[plane, row, column] = NOTHING[plane]
        cell = e.cars[0].cell
        approach = approach_at(t, cell)
        signal = entry = route = 0
        if approach >= 0:
            signal = 128 if is_green_late(t, e.clock, approach) else 255
            entry = 255 if goes_first_of_all(t, e, approach) and way_is_clear(t, e) else 0
        if e.fog.since <= SHOWN:
            route = 85 * route_move(t, e) if e.fog.inside else int(TURNS[next_turn(t, e)])
        planes[SIGNAL] = signal
        planes[ROUTE] = route
        planes[ENTRY] = entry

    return observe_fogged
