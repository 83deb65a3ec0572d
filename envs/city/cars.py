"""The other cars: a cellular automaton after Nagel and Schreckenberg (1992), top speed one cell a tick.

Every decision of a tick reads the state at the tick's start; the moves are made afterwards. `p` is a
`CityParams`, `e` one state record, `v` a car's slot.
"""

from __future__ import annotations

from ..core.kernel import kernel, rare_kernel
from ..core.rng import chance, next_u64, uniform_int
from .roads import entered_junction, heading_towards, is_green
from .state import (
    AMBULANCE,
    CLAIM_MASK,
    CLAIM_SHIFT,
    CROSSING,
    GIVE_UP,
    JUNCTION,
    JUNCTION_AHEAD,
    LANE_AHEAD,
    PATIENCE,
    PENDING,
    PEOPLE_MASK,
    ROAD,
    UNDRAWN,
    VEHICLE_MASK,
    ZEBRA_AHEAD,
)

# ---------------------------------------------------------------- junctions


@kernel
def path_is_free(p, e, approach, turn):
    """Whether nothing stands on or has claimed the way through the junction and the cell beyond."""
    m = e.map
    for k in range(p.paths.shape[3]):
        cell = p.paths[m, approach, turn, k]
        if cell < 0:
            break
        if e.road[cell] != 0:
            return False
    return True


@kernel
def paths_cross(p, m, approach, turn, other_approach, other_turn):
    """Whether two ways through a junction share a cell."""
    for k in range(p.paths.shape[3]):
        cell = p.paths[m, approach, turn, k]
        if cell < 0:
            break
        for n in range(p.paths.shape[3]):
            if p.paths[m, other_approach, other_turn, n] == cell:
                return True
    return False


@kernel
def is_called_aside(e, cell):
    """Whether the ambulance has claimed a cell: outside a junction, who stands there waits."""
    return e.ambulance_cell >= 0 and (int(e.road[cell]) & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE


@kernel
def could_enter(p, e, v):
    """Whether car `v`, waiting at an approach, may ask for its way through the junction now."""
    m = e.map
    cell = e.car_cell[v]
    approach = p.cells[m, cell].approach
    if is_called_aside(e, cell) or not is_green(
        p, m, entered_junction(p, m, cell), e.car_heading[v], e.clock
    ):
        return False
    return path_is_free(p, e, approach, e.car_turn[v])


@kernel
def goes_first(e, v, w):
    """Whether `v` goes before its rival `w`: right before left, longest wait, index."""
    side = (int(e.car_heading[w]) - int(e.car_heading[v])) & 3
    if side == 1:  # v comes from the right of w
        return True
    if side == 3:
        return False
    if e.car_wait[v] != e.car_wait[w]:
        return e.car_wait[v] > e.car_wait[w]
    return v < w


@kernel
def ego_may_enter(p, e, cell):
    """Whether the ego car, on approach `cell`, has the signal and nobody goes before it."""
    m = e.map
    junction = entered_junction(p, m, cell)
    if not is_green(p, m, junction, e.car_heading[0], e.clock):
        return False
    for k in range(p.approaches.shape[2]):
        rival_cell = p.approaches[m, junction, k]
        if rival_cell < 0:
            break
        v = (int(e.road[rival_cell]) & VEHICLE_MASK) - 1
        if v > 0 and goes_first(e, v, 0) and could_enter(p, e, v):
            return False
    return True


@kernel
def pending_at(p, e, junction, k):
    """The car that asks for its way at the junction's approach `k`; -1 nobody, -2 no further approach."""
    cell = p.approaches[e.map, junction, k]
    if cell < 0:
        return -2
    v = (int(e.road[cell]) & VEHICLE_MASK) - 1
    if v < 1 or e.car_to[v] != PENDING:
        return -1
    if not path_is_free(p, e, p.cells[e.map, cell].approach, e.car_turn[v]):
        e.car_to[v] = cell  # somebody has just been granted a part of it
        return -1
    return v


@kernel
def next_granted(p, e, junction):
    """Whose turn it is at a junction: whom no rival precedes; if they block in a ring, who waited longest."""
    m = e.map
    longest = -1
    for k in range(p.approaches.shape[2]):
        v = pending_at(p, e, junction, k)
        if v == -2:
            break
        if v < 0:
            continue
        preceded = False
        for n in range(p.approaches.shape[2]):
            w = pending_at(p, e, junction, n)
            if w == -2:
                break
            if w < 0 or w == v or not goes_first(e, w, v):
                continue
            if paths_cross(
                p,
                m,
                p.cells[m, e.car_cell[v]].approach,
                e.car_turn[v],
                p.cells[m, e.car_cell[w]].approach,
                e.car_turn[w],
            ):
                preceded = True
                break
        if not preceded:
            return v
        if longest < 0 or e.car_wait[v] > e.car_wait[longest]:
            longest = v
    return longest


@kernel
def has_rivals(p, e, junction, v):
    """Whether anybody but `v` asks to enter the junction, or already has a way in it that could cross."""
    if not path_is_free(p, e, p.cells[e.map, e.car_cell[v]].approach, e.car_turn[v]):
        return True
    for k in range(p.approaches.shape[2]):
        cell = p.approaches[e.map, junction, k]
        if cell < 0:
            break
        w = (int(e.road[cell]) & VEHICLE_MASK) - 1
        if w > 0 and w != v and e.car_to[w] == PENDING:
            return True
    return False


@kernel
def grant_way(p, e, v):
    """Lets car `v` enter its junction: claims its whole way."""
    approach = p.cells[e.map, e.car_cell[v]].approach
    path = p.paths[e.map, approach, e.car_turn[v]]
    for k in range(p.paths.shape[3]):
        cell = path[k]
        if cell < 0:
            break
        e.road[cell] = int(e.road[cell]) | (v + 1) << CLAIM_SHIFT
    e.car_approach[v] = approach
    e.car_to[v] = path[0]


@rare_kernel
def settle_junction(p, e, junction):
    """Grants ways through a junction, each claimed whole, until nobody is left who could go."""
    while True:
        v = next_granted(p, e, junction)
        if v < 0:
            return
        grant_way(p, e, v)


# ---------------------------------------------------------------- cars


@kernel
def draw_turn(p, e, v, approach):
    """Chooses the turn at the next junction: straight on half of the time, where the road allows."""
    bits = next_u64(e.rng) >> 40
    turn = int(bits & 3)
    if turn == 3:
        turn = 0
    for _ in range(3):
        if p.paths[e.map, approach, turn, 0] >= 0:
            break
        turn = (turn + 1) % 3
    e.car_turn[v] = turn


@kernel
def keeps_zebra_clear(p, e, cell):
    """Whether a car may drive onto a cell: onto a zebra only when there is room behind it.

    Otherwise queues would stand on zebras, and pedestrians in the middle of the street stop the other lane.
    """
    m = e.map
    c = p.cells[m, cell]
    while c.kind == CROSSING:
        cell += p.rules[0].delta[c.heading]
        if int(e.road[cell]) & VEHICLE_MASK:
            return False
        c = p.cells[m, cell]
    return True


@kernel
def decide_at_junction(p, e, v, ahead, to):
    """Where a car goes, hesitation apart, that has no plain lane ahead; PENDING asks to enter a junction."""
    cell = e.car_cell[v]
    if ahead == ZEBRA_AHEAD:
        free = e.road[to] == 0 and not is_called_aside(e, cell) and keeps_zebra_clear(p, e, to)
    elif ahead == JUNCTION_AHEAD:
        to = PENDING
        free = could_enter(p, e, v)
    else:  # within the junction, on cells that it has claimed
        to = p.paths[e.map, e.car_approach[v], e.car_turn[v], e.car_step[v]]
        free = int(e.road[to]) & (VEHICLE_MASK | PEOPLE_MASK) == 0
    return to if free else cell


@kernel
def decide_cars(p, e):
    """Each car chooses where it goes in this tick (`car_to`), or asks to enter a junction (PENDING)."""
    r = p.rules[0]
    siren = e.ambulance_cell >= 0
    for v in range(1, e.num_cars + 1):
        cell = e.car_cell[v]
        c = p.cells[e.map, cell]
        if c.ahead == LANE_AHEAD:
            to = cell + r.delta[c.heading]
            if e.road[to] != 0 or (siren and is_called_aside(e, cell)):
                to = cell
        else:
            to = decide_at_junction(p, e, v, c.ahead, cell + r.delta[c.heading & 3])
        if to != cell and chance(e.rng, r.slowdown):
            to = cell
        e.car_to[v] = to


@kernel
def settle_junctions(p, e, closed, closed_too):
    """Answers every car that asks to enter a junction; two junctions may be closed to them (-1: none)."""
    for v in range(1, e.num_cars + 1):
        if e.car_to[v] != PENDING:
            continue
        junction = entered_junction(p, e.map, e.car_cell[v])
        if junction != closed and junction != closed_too:
            if has_rivals(p, e, junction, v):
                settle_junction(p, e, junction)
            else:
                grant_way(p, e, v)
        if e.car_to[v] == PENDING:
            e.car_to[v] = e.car_cell[v]


@kernel
def go_through(p, e, v, cell):
    """Notes that a car has come from `cell` on its way through a junction; gives back what lies behind."""
    to = e.car_cell[v]
    e.car_heading[v] = heading_towards(p, cell, to)
    if e.car_step[v] > 0:
        e.road[cell] = int(e.road[cell]) & ~CLAIM_MASK
    e.car_step[v] += 1
    if p.cells[e.map, to].kind != JUNCTION:  # the cell beyond: the car is through
        e.road[to] = int(e.road[to]) & ~CLAIM_MASK
        e.car_approach[v] = -1
        e.car_step[v] = 0
        e.car_turn[v] = UNDRAWN


@kernel
def move_cars(p, e):
    """Makes the moves that were decided; `car_to` then holds where each car came from.

    Returns a car that has stood for GIVE_UP ticks, 0 where there is none.
    """
    tired = 0
    for v in range(1, e.num_cars + 1):
        cell = e.car_cell[v]
        to = e.car_to[v]
        e.car_to[v] = cell
        c = p.cells[e.map, to]
        if to == cell:
            wait = min(e.car_wait[v] + 1, 32767)
            e.car_wait[v] = wait
            if wait >= GIVE_UP and c.kind == ROAD:
                tired = v
            if wait % PATIENCE == 0 and c.ahead == JUNCTION_AHEAD:
                draw_turn(p, e, v, c.approach)
            continue
        e.road[cell] = int(e.road[cell]) & ~VEHICLE_MASK
        e.road[to] = int(e.road[to]) | (v + 1)
        e.car_cell[v] = to
        e.car_wait[v] = 0
        if e.car_approach[v] >= 0:
            go_through(p, e, v, cell)
        if c.ahead <= JUNCTION_AHEAD:
            e.car_heading[v] = c.heading
        if c.ahead == JUNCTION_AHEAD:
            draw_turn(p, e, v, c.approach)
    return tired


@kernel
def put_car(p, e, v, cell):
    """Puts vehicle `v` on a free lane cell, heading along the lane."""
    e.car_cell[v] = cell
    e.car_to[v] = cell
    e.car_heading[v] = p.cells[e.map, cell].heading
    e.car_wait[v] = 0
    e.car_approach[v] = -1
    e.car_step[v] = 0
    e.car_turn[v] = UNDRAWN
    e.road[cell] = int(e.road[cell]) | (v + 1)


@kernel
def clear_slot(e, v):
    """Gives an empty slot its fixed values."""
    e.car_cell[v] = -1
    e.car_to[v] = -1
    e.car_heading[v] = 0
    e.car_wait[v] = 0
    e.car_approach[v] = -1
    e.car_step[v] = 0
    e.car_turn[v] = UNDRAWN


@rare_kernel
def take_over(p, e, v, last):
    """Moves the car in slot `last` to slot `v`, with its claims, and empties slot `last`."""
    e.car_cell[v] = e.car_cell[last]
    e.car_to[v] = e.car_to[last]
    e.car_heading[v] = e.car_heading[last]
    e.car_wait[v] = e.car_wait[last]
    e.car_approach[v] = e.car_approach[last]
    e.car_step[v] = e.car_step[last]
    e.car_turn[v] = e.car_turn[last]
    cell = e.car_cell[v]
    e.road[cell] = int(e.road[cell]) & ~VEHICLE_MASK | (v + 1)
    if e.car_step[v] > 0:
        for k in range(e.car_step[v] - 1, p.paths.shape[3]):
            claimed = p.paths[e.map, e.car_approach[v], e.car_turn[v], k]
            if claimed < 0:
                break
            e.road[claimed] = int(e.road[claimed]) & ~CLAIM_MASK | (v + 1) << CLAIM_SHIFT
    clear_slot(e, last)


@rare_kernel
def park_car(p, e, v):
    """Takes car `v` off the road, unless it is at a junction's inside or on a zebra."""
    cell = e.car_cell[v]
    if e.car_step[v] > 0 or p.cells[e.map, cell].kind != ROAD:
        return
    e.road[cell] = int(e.road[cell]) & ~VEHICLE_MASK
    if v == e.num_cars:
        clear_slot(e, v)
    else:
        take_over(p, e, v, e.num_cars)
    e.num_cars -= 1
    e.exits += 1


@rare_kernel
def add_car(p, e):
    """Puts another car on a random lane cell, if that is free."""
    cell = p.lanes[e.map, uniform_int(e.rng, p.counts[e.map, 0])]
    if e.road[cell] == 0:
        e.num_cars += 1
        e.entries += 1
        put_car(p, e, e.num_cars, cell)
