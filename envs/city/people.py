"""Pedestrians: on pavements, over zebras, and a few where there is none.

They move after the cars; a cell that a car has left in this tick still counts as taken. `t` is a `Town`, `e`
one state record, `k` a pedestrian's slot.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel
from ..core.rng import chance, next_u64
from .roads import count_on, is_lane, neighbour, word_at
from .state import (
    AT_KERB,
    CLAIM,
    MAX_PEOPLE,
    ON_ROAD,
    ON_ROAD_MASK,
    PERSON,
    SIREN,
    STEP,
    STEPPING_MASK,
    VEHICLE,
    WALKING,
)

TURN_BACK = 128  # chance, in 1/1024, that a pedestrian who can't get on steps back to the pavement


@kernel
def has_room(t, e, cell):
    """Whether one more person may announce themselves for a cell; only a full street cell has no room."""
    word = word_at(e, cell)
    people = (word & ON_ROAD_MASK) // PERSON + (word & STEPPING_MASK) // STEP
    return people < MAX_PEOPLE or not is_lane(t, cell)


@kernel
def may_set_out(t, e, cell, heading):
    """Whether a pedestrian may step from the pavement onto a lane cell.

    Nobody does where a vehicle stands or has just come, or where one has claimed the way. There must be room
    for them up to the other side: who is on the street always gets off it.
    """
    return word_at(e, cell) & (VEHICLE | CLAIM | SIREN) == 0 and has_room(t, e, neighbour(t, cell, heading))


@kernel
def may_go_on(t, e, cell, heading):
    """Whether a pedestrian on the street may step onto the next lane; even the ambulance waits for them."""
    if word_at(e, cell) & VEHICLE or cell == e.ambulance_cell or cell == e.ambulance_via:
        return False
    return has_room(t, e, neighbour(t, cell, heading))


@kernel
def step_on(t, e, k, cell):
    """Puts pedestrian `k` on a lane cell and shows the lane cell where they step next, if there is one."""
    w = e.walkers[np.uint64(k)]
    count_on(e, cell, PERSON)
    after = neighbour(t, cell, w.heading)
    if is_lane(t, after):
        count_on(e, after, STEP)
    w.cell = cell
    w.mode = ON_ROAD


def choose_heading(heading: int, mask: int, bits: int) -> int:
    """A pedestrian's way on: ahead mostly, to a side now and then, back only where nothing else is left.

    Args:
        heading: their heading until now.
        mask: bit h is set where they may go on with heading h.
        bits: three random bits.
    """
    first = (heading + 1 + 2 * (bits & 1)) & 3  # one side or the other
    second = (first + 2) & 3
    if mask >> heading & 1 and bits & 6:
        return heading
    for way in (first, second, heading):
        if mask >> way & 1:
            return way
    return (heading + 2) & 3


HEADINGS = np.array(
    [choose_heading(h, mask, bits) for h in range(4) for mask in range(16) for bits in range(8)], np.uint8
)
"""`choose_heading` at heading * 128 + mask * 8 + bits: looked up, since branches on random bits are slow."""


@kernel
def come_onto_pavement(t, w, cell):
    """Puts a pedestrian on a cell of the pavement."""
    w.cell = cell
    place = t.cells[np.uint64(cell)]
    w.walk = place.walk
    w.onto = place.onto


@kernel
def come_to_kerb(t, e, k, kerb, heading):
    """Lets a jaywalker show where they will cross: in `heading`, or the next one in which they can."""
    w = e.walkers[np.uint64(k)]
    while not kerb >> heading & 1:
        heading = (heading + 1) & 3
    to = neighbour(t, w.cell, heading)
    if has_room(t, e, to):
        w.heading = heading
        w.mode = AT_KERB
        count_on(e, to, STEP)


@kernel
def walk_pavement(t, e, k):
    """One tick of a pedestrian on the pavement."""
    bits = int(next_u64(e.rng) >> np.uint64(40))
    w = e.walkers[np.uint64(k)]
    kerb = int(w.walk) >> 4
    if kerb and bits >> 1 & 1023 < t.rules[0].jaywalk:
        come_to_kerb(t, e, k, kerb, bits >> 11 & 3)
        return
    mask = int(w.walk) & 15
    if mask == 0:
        return
    heading = int(HEADINGS[np.uint64(int(w.heading) * 128 + mask * 8 + (bits >> 13 & 7))])
    to = neighbour(t, w.cell, heading)
    w.heading = heading
    if not int(w.onto) >> heading & 1:
        come_onto_pavement(t, w, to)
    elif e.cars[0].next != to and may_set_out(t, e, to, heading) and has_room(t, e, to):
        step_on(t, e, k, to)


@kernel
def walk_street(t, e, k):
    """One tick of a pedestrian who is on the street, or at the kerb and about to cross."""
    w = e.walkers[np.uint64(k)]
    cell = w.cell
    heading = int(w.heading)
    to = neighbour(t, cell, heading)
    if not is_lane(t, to):
        count_on(e, cell, -PERSON)
        w.mode = WALKING
        come_onto_pavement(t, w, to)
    elif w.mode == ON_ROAD:
        if may_go_on(t, e, to, heading):
            count_on(e, to, -STEP)
            count_on(e, cell, -PERSON)
            step_on(t, e, k, to)
        elif not is_lane(t, neighbour(t, cell, (heading + 2) & 3)) and chance(e.rng, TURN_BACK):
            # otherwise people and cars could wait for each other in a ring
            count_on(e, to, -STEP)
            w.heading = (heading + 2) & 3
    else:  # at the kerb, now or never: others, the ego car too, have seen it and stop
        count_on(e, to, -STEP)
        if may_set_out(t, e, to, heading):
            step_on(t, e, k, to)
        else:
            w.mode = WALKING


@kernel
def walk_people(t, e):
    """One tick of all pedestrians; on the pavement they take a step in every other tick."""
    for k in range(t.rules[0].people):
        w = e.walkers[np.uint64(k)]
        w.came = w.cell
        if w.mode != WALKING:
            walk_street(t, e, k)
        elif (e.clock + k) & 1:
            walk_pavement(t, e, k)
