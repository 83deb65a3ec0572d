"""The other cars: a cellular automaton after Nagel and Schreckenberg (1992), top speed one cell a tick.

Every decision of a tick reads the state at the tick's start. So that cars can move one after the other all
the same, a car that moves holds its old cell, too, until all have moved (`leave_cells`).

`t` is a `Town`, `e` one state record, `v` a car's slot.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel, rare_kernel
from ..core.rng import next_u64, uniform_int
from .roads import heading_towards, is_green, neighbour, put_on, take_off, word_at
from .state import (
    ASKING,
    CLAIM,
    CROSSING,
    GIVE_UP,
    INSIDE_JUNCTION,
    JUNCTION,
    JUNCTION_AHEAD,
    LANE_AHEAD,
    NO_LANE,
    NOT_ASKING,
    PATIENCE,
    PEOPLE_MASK,
    REFUSED,
    ROAD,
    SIREN,
    UNDRAWN,
    VEHICLE,
    ZEBRA_AHEAD,
)

# ---------------------------------------------------------------- junctions


@kernel
def way_is_free(t, e, approach, turn):
    """Whether nothing stands on or has claimed the way through the junction and the cell beyond."""
    way = t.ways[np.uint64(approach)]
    for k in range(way.path.shape[1]):
        cell = way.path[np.uint64(turn), k]
        if cell < 0:
            break
        if word_at(e, cell) != 0:
            return False
    return True


@kernel
def ways_cross(t, approach, turn, other_approach, other_turn):
    """Whether two ways through a junction share a cell."""
    way = t.ways[approach]
    other = t.ways[other_approach]
    for k in range(way.path.shape[1]):
        cell = way.path[turn, k]
        if cell < 0:
            break
        for n in range(way.path.shape[1]):
            if other.path[other_turn, n] == cell:
                return True
    return False


@kernel
def is_called_aside(e, cell):
    """Whether the ambulance has claimed a cell: outside a junction, who stands there waits."""
    return e.ambulance_cell >= 0 and word_at(e, cell) & SIREN != 0


@kernel
def could_enter(t, e, v):
    """Whether car `v`, waiting at an approach, may ask for its way through the junction now."""
    c = e.cars[np.uint64(v)]
    return (
        is_green(t, e.clock, c.approach)
        and way_is_free(t, e, c.approach, c.turn)
        and not is_called_aside(e, c.cell)
    )


@kernel
def goes_first(e, v, w):
    """Whether `v` goes before its rival `w`: right before left, longest wait, index."""
    c = e.cars[np.uint64(v)]
    d = e.cars[np.uint64(w)]
    side = (int(d.heading) - int(c.heading)) & 3
    if side == 1:  # v comes from the right of w
        return True
    if side == 3:
        return False
    if c.wait != d.wait:
        return c.wait > d.wait
    return v < w


@kernel
def goes_first_of_all(t, e, approach):
    """Whether nobody who could enter goes before the ego car at an approach; its own signal apart."""
    rivals = t.rivals[t.ways[np.uint64(approach)].junction]
    for k in range(len(rivals)):
        if rivals[k] < 0:
            break
        v = e.waiting[rivals[k]]
        if v > 0 and goes_first(e, v, 0) and could_enter(t, e, v):
            return False
    return True


@kernel
def ego_may_enter(t, e, approach):
    """Whether the ego car, at an approach, has the signal and nobody goes before it."""
    return is_green(t, e.clock, approach) and goes_first_of_all(t, e, approach)


@kernel
def asking_at(t, e, approach):
    """The car at an approach, if it asks for its way through the junction and can still have it; else -1."""
    v = e.waiting[approach]
    if v == 0 or e.cars[v].asks != ASKING:
        return -1
    if not way_is_free(t, e, e.cars[v].approach, e.cars[v].turn):
        e.cars[v].asks = REFUSED  # somebody has just been granted a part of it
        return -1
    return v


@kernel
def is_preceded(t, e, v, rivals):
    """Whether another car that asks goes before `v`, on a way that crosses its own."""
    c = e.cars[v]
    for k in range(len(rivals)):
        if rivals[k] < 0:
            break
        w = asking_at(t, e, rivals[k])
        if w < 0 or w == v or not goes_first(e, w, v):
            continue
        if ways_cross(t, c.approach, c.turn, e.cars[w].approach, e.cars[w].turn):
            return True
    return False


@kernel
def next_granted(t, e, rivals):
    """Whose turn it is at a junction: whom no rival precedes; if they block in a ring, who waited longest."""
    longest = -1
    for k in range(len(rivals)):
        if rivals[k] < 0:
            break
        v = asking_at(t, e, rivals[k])
        if v < 0:
            continue
        if not is_preceded(t, e, v, rivals):
            return v
        if longest < 0 or e.cars[v].wait > e.cars[longest].wait:
            longest = v
    return longest


@kernel
def has_rivals(t, e, v, rivals):
    """Whether anybody but `v` asks to enter the junction, or has just been granted a part of its way."""
    if not way_is_free(t, e, e.cars[v].approach, e.cars[v].turn):
        return True
    for k in range(len(rivals)):
        if rivals[k] < 0:
            break
        w = e.waiting[rivals[k]]
        if w > 0 and w != v and e.cars[w].asks == ASKING:
            return True
    return False


@kernel
def grant_way(t, e, v):
    """Lets car `v` enter its junction: claims its whole way, and drives onto the first cell of it."""
    c = e.cars[np.uint64(v)]
    way = t.ways[np.uint64(c.approach)]
    for k in range(way.path.shape[1]):
        cell = way.path[np.uint64(c.turn), k]
        if cell < 0:
            break
        put_on(e, cell, CLAIM)
    e.waiting[np.uint64(c.approach)] = 0
    c.asks = NOT_ASKING
    drive_inside(t, e, v, way.path[np.uint64(c.turn), 0])


@rare_kernel
def settle_junction(t, e, rivals):
    """Grants ways through a junction, each claimed whole, until nobody is left who could go."""
    while True:
        v = next_granted(t, e, rivals)
        if v < 0:
            return
        grant_way(t, e, v)


# ---------------------------------------------------------------- moves


@kernel
def choose_turn(t, approach, bits):
    """The turn at a junction, by two random bits: straight on half of the time, where the road allows."""
    way = t.ways[np.uint64(approach)]
    turn = int(bits & np.uint64(3))
    if turn == 3:
        turn = 0
    for _ in range(3):
        if way.path[np.uint64(turn), 0] >= 0:
            break
        turn = 0 if turn == 2 else turn + 1
    return turn


@kernel
def keeps_zebra_clear(t, e, cell):
    """Whether a car may drive onto a cell: onto a zebra only when there is room behind it.

    Otherwise queues would stand on zebras, and pedestrians in the middle of the street stop the other lane.
    """
    while t.cells[np.uint64(cell)].kind == CROSSING:
        cell = neighbour(t, cell, t.cells[np.uint64(cell)].heading)
        if word_at(e, cell) & VEHICLE:
            return False
    return True


@kernel
def look_ahead(t, e, v, cell, bits):
    """Notes what lies ahead of a car that has come onto a lane cell; at a junction it chooses its turn."""
    c = e.cars[np.uint64(v)]
    k = t.cells[np.uint64(cell)]
    c.next = neighbour(t, cell, k.heading)
    c.ahead = k.ahead
    c.heading = k.heading
    c.approach = k.number
    c.turn = UNDRAWN
    if k.ahead == JUNCTION_AHEAD:
        c.turn = choose_turn(t, k.number, bits)
        e.waiting[np.uint64(k.number)] = v


@kernel
def take_cell(e, v, to):
    """Moves a car onto a cell; the one it came from stays taken until `leave_cells`."""
    c = e.cars[np.uint64(v)]
    put_on(e, to, VEHICLE)
    c.cell = to
    c.wait = 0


@kernel
def drive_inside(t, e, v, to):
    """Takes a car to the next cell of the way that it has claimed through a junction."""
    c = e.cars[np.uint64(v)]
    c.ahead = INSIDE_JUNCTION
    c.heading = heading_towards(t, c.cell, to)
    if c.step > 0:
        take_off(e, c.cell, CLAIM)
    c.step += 1
    take_cell(e, v, to)


@kernel
def drive_out(t, e, v, to, bits):
    """Takes a car to the cell beyond the junction, and gives back what it still has claimed."""
    c = e.cars[np.uint64(v)]
    take_off(e, c.cell, CLAIM)
    take_off(e, to, CLAIM)
    c.step = 0
    look_ahead(t, e, v, to, bits)
    take_cell(e, v, to)


@kernel
def stay(t, e, v):
    """Lets a car wait; returns whether its driver has lost patience for good (see `park_car`)."""
    c = e.cars[np.uint64(v)]
    wait = min(int(c.wait) + 1, 32767)
    c.wait = wait
    if c.ahead == JUNCTION_AHEAD and wait % PATIENCE == 0:
        c.turn = choose_turn(t, c.approach, next_u64(e.rng) >> np.uint64(40))
    return wait >= GIVE_UP and t.cells[np.uint64(c.cell)].kind == ROAD


@kernel
def hesitates(t, bits):
    """Whether a driver hesitates, by the first ten of 64 random bits."""
    return np.int64(bits >> np.uint64(54)) < t.rules[0].slowdown


@kernel
def drive_cars(t, e):
    """Moves each car that can, those before junctions apart: these ask.

    Returns:
        How many cars ask, and a car that has stood for GIVE_UP ticks (0: none).
    """
    siren = e.ambulance_cell >= 0
    asking = 0
    tired = 0
    for v in range(1, e.num_cars + 1):
        c = e.cars[np.uint64(v)]
        cell = c.cell
        c.came = cell
        bits = np.uint64(0)
        if c.ahead <= ZEBRA_AHEAD:
            to = c.next
            if word_at(e, to) == 0 and not (siren and is_called_aside(e, cell)):
                bits = next_u64(e.rng)
                if not hesitates(t, bits) and (c.ahead == LANE_AHEAD or keeps_zebra_clear(t, e, to)):
                    look_ahead(t, e, v, to, bits >> np.uint64(40))
                    take_cell(e, v, to)
                    continue
        elif c.ahead == JUNCTION_AHEAD:
            if could_enter(t, e, v) and not hesitates(t, next_u64(e.rng)):
                c.asks = ASKING
                asking += 1
                continue
        else:
            to = t.ways[np.uint64(c.approach)].path[np.uint64(c.turn), np.uint64(c.step)]
            if word_at(e, to) & (VEHICLE | PEOPLE_MASK) == 0:
                bits = next_u64(e.rng)
                if not hesitates(t, bits):
                    if t.cells[np.uint64(to)].kind == JUNCTION:
                        drive_inside(t, e, v, to)
                    else:
                        drive_out(t, e, v, to, bits >> np.uint64(40))
                    continue
        if stay(t, e, v):
            tired = v
    return asking, tired


@kernel
def answer_cars(t, e, asking, closed, closed_too):
    """Answers the cars that ask to enter a junction.

    Args:
        t: tables of the map.
        e: state record.
        asking: how many cars ask.
        closed: junction that no car may enter in this tick (-1: none).
        closed_too: another one.

    Returns:
        A car that has stood for GIVE_UP ticks (0: none).
    """
    tired = 0
    if asking == 0:
        return tired
    for v in range(1, e.num_cars + 1):
        c = e.cars[np.uint64(v)]
        if c.asks == ASKING:
            junction = t.ways[np.uint64(c.approach)].junction
            if junction != closed and junction != closed_too:
                rivals = t.rivals[junction]
                if asking > 1 and has_rivals(t, e, v, rivals):
                    settle_junction(t, e, rivals)
                else:
                    grant_way(t, e, v)
        if c.asks != NOT_ASKING:
            c.asks = NOT_ASKING
            if stay(t, e, v):
                tired = v
    return tired


@kernel
def leave_cells(e):
    """Gives back the cells from which cars have moved."""
    for v in range(1, e.num_cars + 1):
        c = e.cars[np.uint64(v)]
        if c.came != c.cell:
            take_off(e, c.came, VEHICLE)


# ---------------------------------------------------------------- come and go


@kernel
def put_car(t, e, v, cell):
    """Puts a car on a free lane cell, heading along the lane."""
    c = e.cars[v]
    c.cell = cell
    c.came = cell
    c.wait = 0
    c.step = 0
    c.asks = NOT_ASKING
    look_ahead(t, e, v, cell, np.uint64(0))
    put_on(e, cell, VEHICLE)


@kernel
def clear_slot(e, v):
    """Gives an empty slot its fixed values."""
    c = e.cars[v]
    c.cell = -1
    c.came = -1
    c.next = -1
    c.wait = 0
    c.approach = -1
    c.ahead = NO_LANE
    c.heading = 0
    c.turn = UNDRAWN
    c.step = 0
    c.asks = NOT_ASKING


@rare_kernel
def park_car(t, e, v):
    """Takes car `v` off the road, unless it is at a junction's inside or on a zebra.

    The car in the last slot takes over its slot.
    """
    c = e.cars[v]
    if c.step > 0 or t.cells[c.cell].kind != ROAD:
        return
    take_off(e, c.cell, VEHICLE)
    if c.ahead == JUNCTION_AHEAD:
        e.waiting[c.approach] = 0
    if v != e.num_cars:
        e.cars[v] = e.cars[e.num_cars]
        if c.ahead == JUNCTION_AHEAD:
            e.waiting[c.approach] = v
    clear_slot(e, e.num_cars)
    e.num_cars -= 1
    e.exits += 1


@rare_kernel
def add_car(t, e):
    """Puts another car on a random lane cell, if that is free."""
    cell = t.lanes[uniform_int(e.rng, t.counts[0])]
    if e.road[cell] == 0:
        e.num_cars += 1
        e.entries += 1
        put_car(t, e, e.num_cars, cell)
