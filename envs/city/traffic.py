"""The other road users: cars, the ambulance and pedestrians.

Every decision of a tick reads the state at the tick's start; the moves are made afterwards. Cars follow
Nagel and Schreckenberg (1992) with a top speed of one cell a tick. `p` is a `CityParams`, `e` one state
record, `v` a vehicle's slot, `k` a pedestrian's.
"""

from __future__ import annotations

from ..core.kernel import kernel
from ..core.rng import chance, next_u64, uniform_int
from .state import (
    AMBULANCE,
    AT_KERB,
    CLAIM_MASK,
    CLAIM_SHIFT,
    CROSSING,
    JUNCTION,
    ON_ROAD,
    ON_ROAD_MASK,
    PATIENCE,
    PENDING,
    PEOPLE_MASK,
    PERSON,
    ROAD,
    SIREN_AHEAD,
    STEP,
    STEPPING_MASK,
    UNDRAWN,
    VEHICLE_MASK,
    WALKING,
)

FREE, BY_OTHERS, BY_EGO = 0, 1, 2
AMBULANCE_SPEED = 2  # cells a tick


# ---------------------------------------------------------------- junctions


@kernel
def is_green(p, m, junction, heading, clock):
    """Whether traffic with `heading` may enter; phases: north-south, all red, east-west, all red."""
    offset = p.signals[m, junction]
    if offset < 0:
        return True
    r = p.rules[0]
    half = r.green + r.all_red
    phase = (clock + offset) % (2 * half)
    if heading & 1:
        phase -= half
    return 0 <= phase < r.green


@kernel
def entered_junction(p, m, cell):
    """The junction in front of an approach cell."""
    c = p.cells[m, cell]
    return p.cells[m, cell + p.rules[0].delta[c.heading]].junction


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
def could_enter(p, e, v):
    """Whether car `v`, waiting at an approach, may ask for its way through the junction now."""
    m = e.map
    cell = e.car_cell[v]
    approach = p.cells[m, cell].approach
    if (int(e.road[cell]) & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE:
        return False
    if not is_green(p, m, entered_junction(p, m, cell), e.car_heading[v], e.clock):
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
    """Whose turn it is at a junction: whom no rival precedes; where they block in a ring, who waited longest."""
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
def settle_junction(p, e, junction):
    """Grants ways through a junction, each claimed whole, until nobody is left who could go."""
    m = e.map
    while True:
        v = next_granted(p, e, junction)
        if v < 0:
            return
        approach = p.cells[m, e.car_cell[v]].approach
        turn = e.car_turn[v]
        for k in range(p.paths.shape[3]):
            cell = p.paths[m, approach, turn, k]
            if cell < 0:
                break
            e.road[cell] |= (v + 1) << CLAIM_SHIFT
        e.car_approach[v] = approach
        e.car_to[v] = p.paths[m, approach, turn, 0]


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
def decide_cars(p, e):
    """Each car chooses where it goes in this tick (`car_to`), or asks to enter a junction (PENDING)."""
    m = e.map
    r = p.rules[0]
    road = e.road
    for v in range(1, e.num_cars + 1):
        cell = e.car_cell[v]
        e.car_to[v] = cell
        step = e.car_step[v]
        if step > 0:  # inside a junction, on cells that it has claimed
            to = p.paths[m, e.car_approach[v], e.car_turn[v], step]
            if int(road[to]) & (VEHICLE_MASK | PEOPLE_MASK) == 0 and not chance(e.rng, r.slowdown):
                e.car_to[v] = to
            continue
        c = p.cells[m, cell]
        if c.approach >= 0:
            if could_enter(p, e, v) and not chance(e.rng, r.slowdown):
                e.car_to[v] = PENDING
            continue
        to = cell + r.delta[c.heading]
        if road[to] != 0 or (int(road[cell]) & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE:
            continue
        if not chance(e.rng, r.slowdown):
            e.car_to[v] = to


@kernel
def settle_junctions(p, e, closed, closed_too):
    """Answers every car that asks to enter a junction; two junctions may be closed to them (-1: none)."""
    for v in range(1, e.num_cars + 1):
        if e.car_to[v] != PENDING:
            continue
        junction = entered_junction(p, e.map, e.car_cell[v])
        if junction == closed or junction == closed_too:
            e.car_to[v] = e.car_cell[v]
        else:
            settle_junction(p, e, junction)


@kernel
def heading_towards(p, cell, to):
    """The heading that leads from a cell to its neighbour."""
    delta = p.rules[0].delta
    step = to - cell
    return 0 if step == delta[0] else 1 if step == delta[1] else 2 if step == delta[2] else 3


@kernel
def move_cars(p, e):
    """Makes the moves that were decided; `car_to` then holds where each car came from."""
    m = e.map
    for v in range(1, e.num_cars + 1):
        cell = e.car_cell[v]
        to = e.car_to[v]
        e.car_to[v] = cell
        c = p.cells[m, to]
        if to == cell:
            if e.car_wait[v] < 32767:
                e.car_wait[v] += 1
            if c.approach >= 0 and e.car_wait[v] % PATIENCE == 0:
                draw_turn(p, e, v, c.approach)
            continue
        e.road[cell] = int(e.road[cell]) & ~VEHICLE_MASK
        e.road[to] = int(e.road[to]) | (v + 1)
        e.car_cell[v] = to
        e.car_wait[v] = 0
        if c.kind != JUNCTION:
            e.car_heading[v] = c.heading
        else:
            e.car_heading[v] = heading_towards(p, cell, to)
        if e.car_approach[v] >= 0:
            if e.car_step[v] > 0:
                e.road[cell] = int(e.road[cell]) & ~CLAIM_MASK
            e.car_step[v] += 1
            if c.kind != JUNCTION:  # the cell beyond: the car is through
                e.road[to] = int(e.road[to]) & ~CLAIM_MASK
                e.car_approach[v] = -1
                e.car_step[v] = 0
                e.car_turn[v] = UNDRAWN
        if c.approach >= 0:
            draw_turn(p, e, v, c.approach)


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


@kernel
def turn_over(p, e):
    """Now and then a car parks; while the hour wants more cars, one comes onto a free lane cell."""
    m = e.map
    if e.num_cars < e.target_cars:
        cell = p.lanes[m, uniform_int(e.rng, p.counts[m, 0])]
        if e.road[cell] == 0:
            e.num_cars += 1
            e.entries += 1
            put_car(p, e, e.num_cars, cell)
        return
    if e.num_cars == 0 or not chance(e.rng, p.rules[0].turnover):
        return
    v = 1 + uniform_int(e.rng, e.num_cars)
    cell = e.car_cell[v]
    if e.car_step[v] > 0 or p.cells[m, cell].kind != ROAD:
        return
    e.road[cell] = int(e.road[cell]) & ~VEHICLE_MASK
    last = e.num_cars
    if v != last:  # the last car takes over the slot, and its claims their new name
        e.car_cell[v] = e.car_cell[last]
        e.car_to[v] = e.car_to[last]
        e.car_heading[v] = e.car_heading[last]
        e.car_wait[v] = e.car_wait[last]
        e.car_approach[v] = e.car_approach[last]
        e.car_step[v] = e.car_step[last]
        e.car_turn[v] = e.car_turn[last]
        here = e.car_cell[v]
        e.road[here] = int(e.road[here]) & ~VEHICLE_MASK | (v + 1)
        if e.car_step[v] > 0:
            for k in range(e.car_step[v] - 1, p.paths.shape[3]):
                claimed = p.paths[m, e.car_approach[v], e.car_turn[v], k]
                if claimed < 0:
                    break
                e.road[claimed] = int(e.road[claimed]) & ~CLAIM_MASK | (v + 1) << CLAIM_SHIFT
    clear_slot(e, last)
    e.num_cars -= 1
    e.exits += 1


# ---------------------------------------------------------------- the ambulance


@kernel
def route_heading(p, m, destination, cell):
    """The heading in which the shortest legal route leaves `cell`."""
    exits = p.cells[m, cell].exits
    best = 0
    shortest = 65536
    for heading in range(4):
        if exits >> heading & 1:
            distance = int(p.distance[m, destination, cell + p.rules[0].delta[heading]])
            if distance < shortest:
                shortest = distance
                best = heading
    return best


@kernel
def ambulance_blocked(p, e, k):
    """Who keeps the ambulance from the next cell `k` of its path: FREE, BY_OTHERS, BY_EGO."""
    m = e.map
    to = e.ambulance_path[k]
    ego_moves = e.car_to[0] != e.car_cell[0]
    if ego_moves and e.car_to[0] == to:
        return BY_EGO
    word = int(e.road[to])
    if p.cells[m, to].kind != JUNCTION:
        if word & VEHICLE_MASK == 1 and ego_moves:
            return BY_EGO
        if (word & CLAIM_MASK) >> CLAIM_SHIFT != AMBULANCE or word & ON_ROAD_MASK:
            return BY_OTHERS
        return FREE  # cars that wait have pulled over
    for n in range(k, SIREN_AHEAD):  # the whole way through a junction must be free
        cell = e.ambulance_path[n]
        if cell < 0 or p.cells[m, cell].kind != JUNCTION:
            break
        word = int(e.road[cell])
        if word & VEHICLE_MASK == 1:
            return BY_EGO
        if word & VEHICLE_MASK or (word & CLAIM_MASK) >> CLAIM_SHIFT != AMBULANCE:
            return BY_OTHERS
    return FREE


@kernel
def drive_ambulance(p, e):
    """Moves the ambulance along its path; returns whether the ego car held it up."""
    if e.ambulance_cell < 0:
        return False
    e.ambulance_from = e.ambulance_cell
    e.ambulance_via = e.ambulance_cell
    for k in range(1, 1 + AMBULANCE_SPEED):
        to = e.ambulance_path[k]
        if to < 0:
            break
        blocked = ambulance_blocked(p, e, k)
        if blocked != FREE:
            return blocked == BY_EGO
        e.ambulance_heading = heading_towards(p, e.ambulance_cell, to)
        e.ambulance_via = e.ambulance_cell
        e.ambulance_cell = to
    return False


@kernel
def sound_siren(p, e):
    """Claims the ambulance's cell and the next ones of its route, and gives the former ones back."""
    for k in range(SIREN_AHEAD):
        cell = e.ambulance_path[k]
        if cell < 0:
            break
        if (int(e.road[cell]) & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE:
            e.road[cell] = int(e.road[cell]) & ~CLAIM_MASK
    e.ambulance_path[:] = -1
    if e.ambulance_cell < 0:
        return
    m = e.map
    d = e.ambulance_destination
    cell = e.ambulance_cell
    if p.distance[m, d, cell] == 0:  # arrived
        e.ambulance_cell = -1
        e.ambulance_from = -1
        e.ambulance_via = -1
        return
    for k in range(SIREN_AHEAD):
        e.ambulance_path[k] = cell
        if int(e.road[cell]) & CLAIM_MASK == 0:
            e.road[cell] = int(e.road[cell]) | AMBULANCE << CLAIM_SHIFT
        if p.distance[m, d, cell] == 0:
            break
        cell += p.rules[0].delta[route_heading(p, m, d, cell)]


@kernel
def call_ambulance(p, e):
    """Now and then an ambulance sets out from a free lane cell to a random destination."""
    if e.ambulance_cell >= 0 or not chance(e.rng, p.rules[0].ambulance):
        return
    m = e.map
    cell = p.lanes[m, uniform_int(e.rng, p.counts[m, 0])]
    destination = uniform_int(e.rng, p.destinations.shape[1])
    if e.road[cell] != 0 or p.distance[m, destination, cell] == 0:
        return
    e.ambulance_cell = cell
    e.ambulance_from = cell
    e.ambulance_via = cell
    e.ambulance_heading = p.cells[m, cell].heading
    e.ambulance_destination = destination


# ---------------------------------------------------------------- pedestrians


@kernel
def is_lane(p, m, cell):
    """Whether a pedestrian on the cell stands on the street."""
    kind = p.cells[m, cell].kind
    return kind == CROSSING or kind == ROAD


@kernel
def may_step(p, e, cell, heading, bold):
    """Whether a pedestrian may step onto a lane cell.

    Nobody steps where a vehicle stands, where the ambulance is about to pass, or where a vehicle goes in
    this tick; who has shown that they will step (`bold`) looks no longer, and others stop for them.
    """
    word = int(e.road[cell])
    if word & (VEHICLE_MASK | CLAIM_MASK) or word & ON_ROAD_MASK == ON_ROAD_MASK:
        return False
    after = cell + p.rules[0].delta[heading]
    if is_lane(p, e.map, after) and int(e.road[after]) & STEPPING_MASK == STEPPING_MASK:
        return False
    if bold:
        return True
    behind = cell - p.rules[0].delta[p.cells[e.map, cell].heading]
    v = (int(e.road[behind]) & VEHICLE_MASK) - 1
    return v < 0 or e.car_to[v] != cell


@kernel
def step_on(p, e, k, cell):
    """Puts pedestrian `k` on a lane cell and shows the lane cell where they step next, if there is one."""
    e.road[cell] = int(e.road[cell]) + PERSON
    after = cell + p.rules[0].delta[e.walker_heading[k]]
    if is_lane(p, e.map, after):
        e.road[after] = int(e.road[after]) + STEP
    e.walker_cell[k] = cell
    e.walker_mode[k] = ON_ROAD


@kernel
def choose_heading(mask, heading, bits):
    """A pedestrian's way on: ahead mostly, to a side now and then, back only where nothing else is left."""
    first = (heading + 1 + (bits & 2)) & 3  # one side or the other
    second = (first + 2) & 3
    if mask >> heading & 1 and bits & 12:
        return heading
    if mask >> first & 1:
        return first
    if mask >> second & 1:
        return second
    if mask >> heading & 1:
        return heading
    return (heading + 2) & 3


@kernel
def walk_pavement(p, e, k):
    """One tick of a pedestrian on the pavement."""
    m = e.map
    cell = e.walker_cell[k]
    bits = int(next_u64(e.rng) >> 40)
    kerb = p.kerbs[m, cell]
    if kerb and bits & 1023 < p.rules[0].jaywalk:
        heading = int(bits >> 10 & 3)
        while not kerb >> heading & 1:
            heading = (heading + 1) & 3
        to = cell + p.rules[0].delta[heading]
        if int(e.road[to]) & STEPPING_MASK != STEPPING_MASK:
            e.walker_heading[k] = heading
            e.walker_mode[k] = AT_KERB
            e.road[to] = int(e.road[to]) + STEP
        return
    if bits >> 12 & 1:  # strolls at half the speed of a car
        return
    mask = int(p.cells[m, cell].walk)
    if mask == 0:
        return
    heading = choose_heading(mask, int(e.walker_heading[k]), bits >> 13)
    to = cell + p.rules[0].delta[heading]
    e.walker_heading[k] = heading
    if not is_lane(p, m, to):
        e.walker_cell[k] = to
    elif may_step(p, e, to, heading, False):
        step_on(p, e, k, to)


@kernel
def walk_street(p, e, k):
    """One tick of a pedestrian who is on the street, or at the kerb and about to cross."""
    m = e.map
    cell = e.walker_cell[k]
    heading = int(e.walker_heading[k])
    to = cell + p.rules[0].delta[heading]
    if not is_lane(p, m, to):
        e.road[cell] = int(e.road[cell]) - PERSON
        e.walker_cell[k] = to
        e.walker_mode[k] = WALKING
    elif may_step(p, e, to, heading, True):
        e.road[to] = int(e.road[to]) - STEP
        if e.walker_mode[k] == ON_ROAD:
            e.road[cell] = int(e.road[cell]) - PERSON
        step_on(p, e, k, to)
    elif e.walker_mode[k] == AT_KERB:  # gives it up
        e.road[to] = int(e.road[to]) - STEP
        e.walker_mode[k] = WALKING


@kernel
def walk_people(p, e):
    """One tick of all pedestrians."""
    for k in range(p.rules[0].people):
        e.walker_from[k] = e.walker_cell[k]
        if e.walker_mode[k] == WALKING:
            walk_pavement(p, e, k)
        else:
            walk_street(p, e, k)
