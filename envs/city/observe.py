"""What the city shows: the egocentric grid, the situation number, the place number; and the expert.

All read the state between two ticks. `e` is one state record, `p` a `CityParams`.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..core.kernel import kernel
from .cars import ego_may_enter, keeps_zebra_clear
from .kernels import ego_target, is_clear
from .roads import entered_junction, is_green, route_heading
from .state import (
    AMBULANCE,
    CLAIM_MASK,
    CLAIM_SHIFT,
    FORWARD,
    JUNCTION,
    LEFT,
    ON_ROAD_MASK,
    PATIENCE,
    PEOPLE_MASK,
    RIGHT,
    SIREN_RANGE,
    VEHICLE_MASK,
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
NUM_SITUATIONS = 5 * 3 * 3 * 3 * 3 * 3


@kernel
def at_approach(p, e):
    """Whether the ego car stands before a junction."""
    return p.cells[e.map, e.car_cell[0]].approach >= 0


@kernel
def in_junction(p, e):
    """Whether the ego car is within a junction."""
    return p.cells[e.map, e.car_cell[0]].junction >= 0


@kernel
def route_move(p, e):
    """The action that follows the shortest legal route: FORWARD, LEFT or RIGHT."""
    heading = route_heading(p, e.map, e.destination, e.car_cell[0])
    turn = (heading - int(e.car_heading[0])) & 3
    return LEFT if turn == 3 else RIGHT if turn == 1 else FORWARD


@kernel
def entry_is_clear(p, e):
    """At an approach: whether nobody goes first, and the route's way through to the cell beyond is free.

    Who has waited for long may drive in as soon as the first cell is free: with a car inside, nobody else is
    let in, and the rest of the way clears.
    """
    m = e.map
    cell = e.car_cell[0]
    if not ego_may_enter(p, e, cell):
        return False
    patient = e.car_wait[0] < 2 * PATIENCE
    for k in range(2 * p.paths.shape[3]):
        cell += p.rules[0].delta[route_heading(p, m, e.destination, cell)]
        if e.road[cell] != 0 or cell == e.ambulance_cell:
            return k > 0 and not patient
        if p.cells[m, cell].kind != JUNCTION:
            break
    return True


@kernel
def called_to_wait(p, e):
    """Whether the ambulance has claimed the ego car's cell, outside a junction: pull over."""
    word = int(e.road[e.car_cell[0]])
    return (word & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE and not in_junction(p, e)


@kernel
def siren_offset(p, e):
    """Cells to the ambulance, to the east and to the south; (0, 0, False) where it is not heard."""
    if e.ambulance_cell < 0:
        return 0, 0, False
    width = p.rules[0].width
    cell = e.car_cell[0]
    east = e.ambulance_cell % width - cell % width
    south = e.ambulance_cell // width - cell // width
    if max(abs(east), abs(south)) > SIREN_RANGE:
        return 0, 0, False
    return east, south, True


@kernel
def expert_one(p, s, i):
    """The expert: follows the shortest route, and moves only where it harms and hinders nobody."""
    e = s[i]
    if called_to_wait(p, e):
        return WAIT
    action = route_move(p, e)
    to = ego_target(p, e, action)
    if not is_clear(p, e, to) or not keeps_zebra_clear(p, e, to):
        return WAIT
    if at_approach(p, e) and not entry_is_clear(p, e):
        return WAIT
    return action


# ---------------------------------------------------------------- index


@kernel
def situation_ahead(p, e):
    """What is ahead: NO_ROAD, CLEAR, TAKEN, PERSON_AHEAD, or GIVE_WAY at a junction."""
    to = ego_target(p, e, FORWARD)
    if to == e.car_cell[0]:
        return NO_ROAD
    if int(e.road[to]) & PEOPLE_MASK:
        return PERSON_AHEAD
    if not is_clear(p, e, to):
        return TAKEN
    if at_approach(p, e) and not entry_is_clear(p, e):
        return GIVE_WAY
    return CLEAR


@kernel
def situation_aside(p, e, action):
    """What is to the left or right: NO_ROAD, CLEAR, TAKEN."""
    to = ego_target(p, e, action)
    if to == e.car_cell[0]:
        return NO_ROAD
    return CLEAR if is_clear(p, e, to) else TAKEN


@kernel
def observe_situation(p, s, i, obs):
    """Writes the situation's number, mixed radix: ahead, left, right, signal, siren, route."""
    e = s[i]
    signal = 0
    if at_approach(p, e):
        junction = entered_junction(p, e.map, e.car_cell[0])
        signal = 1 if is_green(p, e.map, junction, e.car_heading[0], e.clock) else 2
    siren = 0
    if called_to_wait(p, e):
        siren = 2
    elif siren_offset(p, e)[2]:
        siren = 1
    number = situation_ahead(p, e)
    number = number * 3 + situation_aside(p, e, LEFT)
    number = number * 3 + situation_aside(p, e, RIGHT)
    number = number * 3 + signal
    number = number * 3 + siren
    obs[i] = number * 3 + route_move(p, e) - FORWARD


@kernel
def observe_place(p, s, i, obs):
    """Writes (cell * 4 + heading) * destinations + destination."""
    e = s[i]
    place = e.car_cell[0] * 4 + int(e.car_heading[0])
    obs[i] = place * p.destinations.shape[1] + e.destination


# ---------------------------------------------------------------- grid


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
    columns = np.uint64(view)  # unsigned loops and indices need no check for negative ones
    plane_cells = np.uint64(area)

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
        heading = int(e.car_heading[0])
        cell = e.car_cell[0]
        x = cell % width + reach
        y = cell // width + reach
        if heading == 1:
            x, y = y, side - 1 - x
        elif heading == 2:
            x, y = side - 1 - x, side - 1 - y
        elif heading == 3:
            x, y = side - 1 - y, x
        first = np.uint64(x - reach)
        for plane in range(STILL_PLANES):
            for row in range(view):
                source = p.views[e.map, heading, plane, y - reach + row]
                at = np.uint64(plane * area + row * view)
                for k in range(columns):
                    flat[at + k] = source[first + k]

    @kernel
    def write_moving(p, e, flat):
        """Writes vehicles, claims and people around the ego car from the road words."""
        r = p.rules[0]
        for plane in range(STILL_PLANES, FIRST_SCALAR):
            fill(flat, plane, 0)
        heading = int(e.car_heading[0])
        # One cell to the south and one to the east, as steps within a plane.
        south = view if heading == 0 else 1 if heading == 1 else -view if heading == 2 else -1
        east = 1 if heading == 0 else -view if heading == 1 else -1 if heading == 2 else view
        cell = e.car_cell[0]
        x = cell % r.width
        y = cell // r.width
        left = max(-reach, -x)
        right = min(reach, r.width - 1 - x)
        centre = STILL_PLANES * area + reach * view + reach
        for dy in range(max(-reach, -y), min(reach, r.height - 1 - y) + 1):
            first = cell + dy * r.width
            for dx in range(left, right + 1):
                word = int(e.road[first + dx])
                if word == 0:
                    continue
                at = centre + dy * south + dx * east
                if word & VEHICLE_MASK:
                    flat[at] = 255
                claim = (word & CLAIM_MASK) >> CLAIM_SHIFT
                if claim:
                    flat[at + area] = 255 if claim == AMBULANCE else 128
                if word & PEOPLE_MASK:
                    flat[at + 2 * area] = 255 if word & ON_ROAD_MASK else 128
        if e.ambulance_cell >= 0:
            dx = e.ambulance_cell % r.width - x
            dy = e.ambulance_cell // r.width - y
            if abs(dx) <= reach and abs(dy) <= reach:
                flat[centre + dy * south + dx * east] = 128

    @kernel
    def observe_grid(p, s, i, obs):
        """Writes the grid."""
        e = s[i]
        flat = obs[i].reshape(NUM_PLANES * area)
        write_still(p, e, flat)
        write_moving(p, e, flat)
        signal = 0
        entry = 0
        if at_approach(p, e):
            junction = entered_junction(p, e.map, e.car_cell[0])
            signal = 128 if is_green(p, e.map, junction, e.car_heading[0], e.clock) else 255
            entry = 255 if entry_is_clear(p, e) else 0
        ahead = 0
        across = 0
        east, south, heard = siren_offset(p, e)
        if heard:
            heading = int(e.car_heading[0])
            ahead = -south if heading == 0 else east if heading == 1 else south if heading == 2 else -east
            across = east if heading == 0 else south if heading == 1 else -east if heading == 2 else -south
            ahead = 128 + 10 * ahead
            across = 128 + 10 * across
        fill(flat, FIRST_SCALAR, signal)
        fill(flat, FIRST_SCALAR + 1, ahead)
        fill(flat, FIRST_SCALAR + 2, across)
        fill(flat, FIRST_SCALAR + 3, 85 * route_move(p, e))
        fill(flat, FIRST_SCALAR + 4, min(255, e.info.distance))
        fill(flat, FIRST_SCALAR + 5, entry)
        fill(flat, FIRST_SCALAR + 6, 10 * e.info.hour)

    return observe_grid
