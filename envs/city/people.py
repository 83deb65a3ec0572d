"""Pedestrians: on pavements, over zebras, and a few where there is none. `k` is a pedestrian's slot."""

from __future__ import annotations

from ..core.kernel import kernel
from ..core.rng import chance, next_u64
from .roads import is_lane
from .state import (
    AT_KERB,
    CLAIM_MASK,
    MAX_PEOPLE,
    ON_ROAD,
    ON_ROAD_MASK,
    PERSON,
    PERSON_SHIFT,
    STEP,
    STEP_SHIFT,
    STEPPING_MASK,
    VEHICLE_MASK,
    WALKING,
)

TURN_BACK = 128  # chance, in 1/1024, that a pedestrian who can't get on steps back to the pavement


@kernel
def has_room(p, e, cell):
    """Whether one more person may announce themselves for a cell; only a full street cell has no room."""
    word = int(e.road[cell])
    people = ((word & ON_ROAD_MASK) >> PERSON_SHIFT) + ((word & STEPPING_MASK) >> STEP_SHIFT)
    return people < MAX_PEOPLE or not is_lane(p, e.map, cell)


@kernel
def may_set_out(p, e, cell, heading, announced):
    """Whether a pedestrian may step from the pavement onto a lane cell.

    Nobody does where a vehicle stands, where one has claimed the way, or where one goes in this tick. Who has
    announced it (a jaywalker) does not look for the last, since others stop for them. There must be room for
    them up to the other side: who is on the street always gets off it.
    """
    word = int(e.road[cell])
    if word & (VEHICLE_MASK | CLAIM_MASK) or not has_room(p, e, cell + p.rules[0].delta[heading]):
        return False
    if announced:
        return True
    behind = cell - p.rules[0].delta[p.cells[e.map, cell].heading]
    v = (int(e.road[behind]) & VEHICLE_MASK) - 1
    return (v < 0 or e.car_to[v] != cell) and has_room(p, e, cell)


@kernel
def may_go_on(p, e, cell, heading):
    """Whether a pedestrian on the street may step onto the next lane; even the ambulance waits for them."""
    if int(e.road[cell]) & VEHICLE_MASK or cell == e.ambulance_cell or cell == e.ambulance_via:
        return False
    return has_room(p, e, cell + p.rules[0].delta[heading])


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
    bits = int(next_u64(e.rng) >> 40)
    m = e.map
    cell = e.walker_cell[k]
    walk = int(p.cells[m, cell].walk)
    kerb = walk >> 4
    if kerb and bits >> 1 & 1023 < p.rules[0].jaywalk:
        heading = int(bits >> 11 & 3)
        while not kerb >> heading & 1:
            heading = (heading + 1) & 3
        to = cell + p.rules[0].delta[heading]
        if has_room(p, e, to):
            e.walker_heading[k] = heading
            e.walker_mode[k] = AT_KERB
            e.road[to] = int(e.road[to]) + STEP
        return
    mask = walk & 15
    if mask == 0:
        return
    heading = choose_heading(mask, int(e.walker_heading[k]), bits >> 13)
    to = cell + p.rules[0].delta[heading]
    e.walker_heading[k] = heading
    if not is_lane(p, m, to):
        e.walker_cell[k] = to
    elif may_set_out(p, e, to, heading, False):
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
    elif e.walker_mode[k] == ON_ROAD:
        if may_go_on(p, e, to, heading):
            e.road[to] = int(e.road[to]) - STEP
            e.road[cell] = int(e.road[cell]) - PERSON
            step_on(p, e, k, to)
        elif not is_lane(p, m, cell - p.rules[0].delta[heading]) and chance(e.rng, TURN_BACK):
            e.road[to] = (
                int(e.road[to]) - STEP
            )  # otherwise people and cars could wait for each other in a ring
            e.walker_heading[k] = (heading + 2) & 3
    else:  # at the kerb: now or never
        e.road[to] = int(e.road[to]) - STEP
        if may_set_out(p, e, to, heading, True):
            step_on(p, e, k, to)
        else:
            e.walker_mode[k] = WALKING


@kernel
def walk_people(p, e):
    """One tick of all pedestrians; on the pavement they take a step in every other tick."""
    for k in range(p.rules[0].people):
        e.walker_from[k] = e.walker_cell[k]
        if e.walker_mode[k] != WALKING:
            walk_street(p, e, k)
        elif (e.clock + k) & 1:
            walk_pavement(p, e, k)
