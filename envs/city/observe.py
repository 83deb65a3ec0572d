"""What the city shows: the egocentric grid, the situation number, the place number; and the expert.

All read the state between two ticks. `e` is one state record, `p` a `CityParams`, `t` a `Town`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..core.compiling import copy_bytes, kernel
from .cars import ego_may_enter, is_called_aside, keeps_zebra_clear
from .kernels import ego_target, is_clear
from .roads import approach_at, is_green, junction_at, neighbour, route_heading, town_of, word_at
from .state import (
    CLAIM,
    FORWARD,
    JUNCTION,
    LEFT,
    ON_ROAD_MASK,
    PATIENCE,
    PEOPLE_MASK,
    RIGHT,
    SIREN,
    SIREN_RANGE,
    VEHICLE,
    WAIT,
)

# Planes of `grid`; the first three stand still on the map, the next three move, the rest are constant.
PLANE_NAMES = (
    "flow ahead",  # 255: traffic may leave the cell ahead of us, 0: towards us, 128: neither
    "flow across",  # 255: to the right, 0: to the left, 128: neither
    "kind",  # 0 building, 60 sidewalk, 120 road, 180 crossing, 240 junction
    "vehicles",  # 255 a car, 128 the ambulance
    "claims",  # 255: claimed by the ambulance, 128: by a car on its way through a junction
    "people",  # 255 somebody on the street, 128 somebody about to step there
    "signal",  # at a junction: 255 red, 128 green or none; 0 elsewhere
    "siren ahead",  # 128 + 10 cells, towards where we head; 0: no siren within 12 cells
    "siren across",  # 128 + 10 cells to the right; 0: no siren within 12 cells
    "route",  # next move of the shortest route: 85 forward, 170 left, 255 right
    "distance",  # cells to the destination, at most 255
    "entry",  # at a junction: 255 when our way through it is free and nobody goes first; 0 elsewhere
    "hour",  # 10 for each hour
)
NUM_PLANES = len(PLANE_NAMES)
STILL_PLANES = 3
FIRST_SCALAR = 6

# Codes of `situation`.
NO_ROAD, CLEAR, TAKEN, PERSON_AHEAD, GIVE_WAY = 0, 1, 2, 3, 4


@kernel
def route_move(t, e):
    """The action that follows the shortest legal route: FORWARD, LEFT or RIGHT."""
    ego = e.cars[0]
    turn = (route_heading(t, e.destination, ego.cell) - int(ego.heading)) & 3
    return LEFT if turn == 3 else RIGHT if turn == 1 else FORWARD


@kernel
def way_is_clear(t, e):
    """At an approach: whether the route's way through the junction to the cell beyond is free.

    Who has waited for long may drive in as soon as the first cell is free: with a car inside, nobody else is
    let in, and the rest of the way clears.
    """
    cell = e.cars[0].cell
    patient = e.cars[0].wait < 2 * PATIENCE
    for k in range(2 * t.ways[0].path.shape[1]):
        cell = neighbour(t, cell, route_heading(t, e.destination, cell))
        if word_at(e, cell) != 0 or cell == e.ambulance_cell:
            return k > 0 and not patient
        if t.cells[np.uint64(cell)].kind != JUNCTION:
            break
    return True


@kernel
def entry_is_clear(t, e, approach):
    """At an approach: whether the signal is green, nobody goes first, and the route's way is free."""
    return ego_may_enter(t, e, approach) and way_is_clear(t, e)


@kernel
def called_to_wait(t, e):
    """Whether the ambulance has claimed the ego car's cell, outside a junction: pull over."""
    return is_called_aside(e, e.cars[0].cell) and junction_at(t, e.cars[0].cell) < 0


@kernel
def siren_offset(t, e):
    """Cells to the ambulance, to the east and to the south; (0, 0, False) where it is not heard."""
    if e.ambulance_cell < 0:
        return 0, 0, False
    width = t.rules[0].width
    cell = e.cars[0].cell
    east = e.ambulance_cell % width - cell % width
    south = e.ambulance_cell // width - cell // width
    if max(abs(east), abs(south)) > SIREN_RANGE:
        return 0, 0, False
    return east, south, True


@kernel
def expert_one(p, s, i):
    """The expert: follows the shortest route, and moves only where it harms and hinders nobody."""
    e = s[i]
    t = town_of(p, e.map)
    if called_to_wait(t, e):
        return WAIT
    action = route_move(t, e)
    to = ego_target(t, e, action)
    if not is_clear(t, e, to) or not keeps_zebra_clear(t, e, to):
        return WAIT
    approach = approach_at(t, e.cars[0].cell)
    if approach >= 0 and not entry_is_clear(t, e, approach):
        return WAIT
    return action


# ---------------------------------------------------------------- index


@kernel
def situation_ahead(t, e, approach):
    """What is ahead: NO_ROAD, CLEAR, TAKEN, PERSON_AHEAD, or GIVE_WAY at a junction."""
    to = ego_target(t, e, FORWARD)
    if to == e.cars[0].cell:
        return NO_ROAD
    if word_at(e, to) & PEOPLE_MASK:
        return PERSON_AHEAD
    if not is_clear(t, e, to):
        return TAKEN
    if approach >= 0 and not entry_is_clear(t, e, approach):
        return GIVE_WAY
    return CLEAR


@kernel
def situation_aside(t, e, action):
    """What is to the left or right: NO_ROAD, CLEAR, TAKEN."""
    to = ego_target(t, e, action)
    if to == e.cars[0].cell:
        return NO_ROAD
    return CLEAR if is_clear(t, e, to) else TAKEN


@kernel
def observe_situation(p, s, i, obs):
    """Writes the situation's number, mixed radix: ahead, left, right, signal, siren, route."""
    e = s[i]
    t = town_of(p, e.map)
    approach = approach_at(t, e.cars[0].cell)
    signal = 0
    if approach >= 0:
        signal = 1 if is_green(t, e.clock, approach) else 2
    siren = 0
    if called_to_wait(t, e):
        siren = 2
    elif siren_offset(t, e)[2]:
        siren = 1
    number = situation_ahead(t, e, approach)
    number = number * 3 + situation_aside(t, e, LEFT)
    number = number * 3 + situation_aside(t, e, RIGHT)
    number = number * 3 + signal
    number = number * 3 + siren
    obs[i] = number * 3 + route_move(t, e) - FORWARD


SITUATION_WORDS = (
    ("no road ahead", "free ahead", "car ahead", "person ahead", "give way"),
    ("no road to the left", "free to the left", "taken to the left"),
    ("no road to the right", "free to the right", "taken to the right"),
    ("no signal", "signal green", "signal red"),
    ("no siren", "siren near", "siren: pull over"),
    ("route straight on", "route to the left", "route to the right"),
)


def describe_situation(number: int) -> list[str]:
    """The situation's number in words, one for each of its digits."""
    sizes = [len(words) for words in SITUATION_WORDS]
    digits = np.unravel_index(int(number), sizes)
    return [words[digit] for words, digit in zip(SITUATION_WORDS, digits, strict=True)]


@kernel
def observe_place(p, s, i, obs):
    """Writes (cell * 4 + heading) * destinations + destination."""
    e = s[i]
    place = e.cars[0].cell * 4 + int(e.cars[0].heading)
    obs[i] = place * p.destinations.shape[1] + e.destination


# ---------------------------------------------------------------- grid


STRIP = 8
"""Columns by which the strips of `cut_strips` follow each other."""


def cut_strips(planes: NDArray[np.uint8], view: int) -> NDArray[np.uint8]:
    """Lays planes out so that what one view needs of them lies close together in memory.

    Args:
        planes: (..., P, side, side).
        view: columns that are read at once.

    Returns:
        (..., strips, side, P, width): strip k holds columns 8 k and following, at least `view` from each of
        its first 8; zeros behind the border.
    """
    side = planes.shape[-1]
    width = -(-(view + STRIP - 1) // STRIP) * STRIP
    starts = range(0, side - view + 1, STRIP)
    padded = np.pad(planes, [(0, 0)] * (planes.ndim - 1) + [(0, width)])
    strips = np.stack([padded[..., start : start + width] for start in starts], axis=-4)
    return np.ascontiguousarray(strips.swapaxes(-3, -2))


@cache
def grid_kernel(view):
    """Makes the observation `grid` for one width of view: a constant unrolls the loops, three times as fast.

    Args:
        view: side of the square, odd number of cells.

    Returns:
        The kernel `(p, s, i, obs)`; it writes the planes of `PLANE_NAMES`, turned so that we head up.
    """
    reach = view // 2
    area = view * view
    plane_cells = np.uint64(area)  # unsigned loops and indices need no check for negative ones

    @kernel
    def fill(flat, plane, value):
        """Sets a whole plane."""
        start = np.uint64(plane * area)
        for k in range(plane_cells):
            flat[start + k] = np.uint8(value)

    @kernel
    def write_still(p, e, flat):
        """Copies the planes that stand still out of the map turned by our heading."""
        side = p.views.shape[3]
        width = p.rules[0].width
        heading = int(e.cars[0].heading)
        cell = e.cars[0].cell
        x = cell % width + reach
        y = cell // width + reach
        if heading == 1:
            x, y = y, side - 1 - x
        elif heading == 2:
            x, y = side - 1 - x, side - 1 - y
        elif heading == 3:
            x, y = side - 1 - y, x
        left = x - reach
        strip = p.views[e.map, heading, left // STRIP]
        first = left % STRIP
        for row in range(view):
            for plane in range(STILL_PLANES):
                source = strip[np.uint64(y - reach + row), np.uint64(plane)]
                copy_bytes(source, first, flat, plane * area + row * view, view)

    @kernel
    def write_moving(p, e, flat):
        """Writes vehicles, claims and people around the ego car."""
        r = p.rules[0]
        for plane in range(STILL_PLANES, FIRST_SCALAR):
            fill(flat, plane, 0)
        heading = int(e.cars[0].heading)
        # One cell to the south and one to the east, as steps within a plane.
        south = view if heading == 0 else 1 if heading == 1 else -view if heading == 2 else -1
        east = 1 if heading == 0 else -view if heading == 1 else -1 if heading == 2 else view
        cell = e.cars[0].cell
        x = cell % r.width
        y = cell // r.width
        left = max(-reach, -x)
        right = min(reach, r.width - 1 - x)
        centre = STILL_PLANES * area + reach * view + reach
        for dy in range(max(-reach, -y), min(reach, r.height - 1 - y) + 1):
            first = cell + dy * r.width
            something = 0
            for dx in range(left, right + 1):
                something |= word_at(e, first + dx)
            if something == 0:  # most rows are empty
                continue
            for dx in range(left, right + 1):
                word = word_at(e, first + dx)
                at = np.uint64(centre + dy * south + dx * east)
                if word & VEHICLE:
                    flat[at] = 255
                if word & (CLAIM | SIREN):
                    flat[at + plane_cells] = 255 if word & SIREN else 128
                if word & PEOPLE_MASK:
                    flat[at + plane_cells + plane_cells] = 255 if word & ON_ROAD_MASK else 128
        if e.ambulance_cell >= 0:
            dx = e.ambulance_cell % r.width - x
            dy = e.ambulance_cell // r.width - y
            if abs(dx) <= reach and abs(dy) <= reach:
                flat[centre + dy * south + dx * east] = 128

    @kernel
    def observe_grid(p, s, i, obs):
        """Writes the grid."""
        e = s[i]
        t = town_of(p, e.map)
        flat = obs[i].reshape(NUM_PLANES * area)
        write_still(p, e, flat)
        write_moving(p, e, flat)
        approach = approach_at(t, e.cars[0].cell)
        signal = 0
        entry = 0
        if approach >= 0:
            signal = 128 if is_green(t, e.clock, approach) else 255
            entry = 255 if entry_is_clear(t, e, approach) else 0
        ahead = 0
        across = 0
        east, south, heard = siren_offset(t, e)
        if heard:
            heading = int(e.cars[0].heading)
            ahead = -south if heading == 0 else east if heading == 1 else south if heading == 2 else -east
            across = east if heading == 0 else south if heading == 1 else -east if heading == 2 else -south
            ahead = 128 + 10 * ahead
            across = 128 + 10 * across
        fill(flat, FIRST_SCALAR, signal)
        fill(flat, FIRST_SCALAR + 1, ahead)
        fill(flat, FIRST_SCALAR + 2, across)
        fill(flat, FIRST_SCALAR + 3, 85 * route_move(t, e))
        fill(flat, FIRST_SCALAR + 4, min(255, e.info.distance))
        fill(flat, FIRST_SCALAR + 5, entry)
        fill(flat, FIRST_SCALAR + 6, 10 * e.info.hour)

    return observe_grid
