"""The city's dynamics: scalar functions over (params, state, i), the only place where an episode advances.

The order of a tick: everybody decides on the state at its start (the ego car first, whose action is
known; then the ambulance, the cars, the pedestrians), then all moves are made, harm is told, cars come
and go, and the siren claims its way for the next tick. So whatever will matter in a tick can be seen
before it, but for the drivers' hesitation.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel, rare_kernel
from ..core.lots import draw_lot
from ..core.rng import uniform_int
from .cars import clear_slot, ego_may_enter, put_car
from .people import come_onto_pavement
from .roads import (
    approach_at,
    is_green,
    junction_at,
    neighbour,
    put_on,
    route_length,
    take_off,
    town_of,
    word_at,
)
from .state import FORWARD, LEFT, NO_LANE, ON_ROAD_MASK, RIGHT, SIREN, VEHICLE, WAIT, WALKING
from .traffic import end_tick, move_traffic


@kernel
def free_lane_cell(t, e):
    """A free cell where a car may be put down; -1 when many tries found none."""
    for _ in range(256):
        cell = t.lanes[uniform_int(e.rng, t.counts[0])]
        if e.road[cell] == 0:
            return cell
    return -1


@rare_kernel
def place_ego(t, e):
    """Chooses destination and start, with a trip of the least length where the map allows."""
    e.destination = uniform_int(e.rng, len(t.destinations))
    start = -1
    distance = 0
    for _ in range(64):
        cell = t.lanes[uniform_int(e.rng, t.counts[0])]
        trip = route_length(t, e.destination, cell)
        if trip > distance:
            start = cell
            distance = trip
        if distance >= t.rules[0].min_distance:
            break
    e.start_distance = distance
    put_car(t, e, 0, start)
    ego = e.cars[0]
    ego.next = start
    ego.ahead = NO_LANE


@rare_kernel
def place_people(t, e):
    """Puts the pedestrians on the pavements."""
    for k in range(t.rules[0].people):
        w = e.walkers[k]
        come_onto_pavement(t, w, t.walks[uniform_int(e.rng, t.counts[1])])
        w.came = w.cell
        w.heading = uniform_int(e.rng, 4)
        w.mode = WALKING


@kernel
def clear_info(e):
    """Sets what a step reports to what a reset reports."""
    e.info.cost = 0
    e.info.success = False
    e.info.harm_car = False
    e.info.harm_person = False
    e.info.harm_ambulance = False
    e.info.own_fault = False
    e.info.ambulance_delayed = False
    e.info.time = 0
    e.parts.arrival = 0
    e.parts.progress = 0
    e.parts.time = 0
    e.parts.collision = 0
    e.parts.red_light = 0
    e.parts.illegal = 0
    e.parts.ambulance = 0


@kernel
def tell_progress(t, e):
    """Writes how far the trip has come; returns the cells still to drive."""
    distance = route_length(t, e.destination, e.cars[0].cell)
    e.info.distance = distance
    e.info.progress = (e.start_distance - distance) / e.start_distance
    return distance


@rare_kernel
def reset_one(p, s, i):
    """Begins an episode: a map, an hour, a trip, and traffic for the hour."""
    e = s[i]
    r = p.rules[0]
    e.map = e.ask_map - 1 if e.ask_map > 0 else draw_lot(e.rng, p.lots)
    t = town_of(p, e.map)
    hour = e.ask_hour - 1 if e.ask_hour > 0 else r.hour
    e.info.hour = hour if hour >= 0 else uniform_int(e.rng, 24)
    e.ask_map = 0
    e.ask_hour = 0
    e.clock = uniform_int(e.rng, 2 * (r.green + r.all_red))
    e.road[:] = 0
    e.waiting[:] = 0
    place_ego(t, e)
    peak = t.counts[3] * r.peak_density // 1024
    extra = max(0, peak - r.cars) * r.profile[e.info.hour] // 1024
    e.target_cars = min(r.cars + extra, len(e.cars) - 1)
    e.num_cars = 0
    for v in range(1, e.target_cars + 1):
        cell = free_lane_cell(t, e)
        if cell < 0:
            break
        put_car(t, e, v, cell)
        e.num_cars = v
    for v in range(e.num_cars + 1, len(e.cars)):
        clear_slot(e, v)
    e.entries = 0
    e.exits = 0
    e.ambulance_cell = -1
    e.ambulance_from = -1
    e.ambulance_via = -1
    e.ambulance_heading = 0
    e.ambulance_destination = 0
    e.ambulance_path[:] = -1
    place_people(t, e)
    clear_info(e)
    tell_progress(t, e)


@kernel
def ego_target(t, e, action):
    """The cell that an action leads to; the car's own for WAIT and for a move that the road forbids."""
    ego = e.cars[0]
    if action == WAIT:
        return ego.cell
    turn = 0 if action == FORWARD else 3 if action == LEFT else 1
    heading = (int(ego.heading) + turn) & 3
    if t.cells[np.uint64(ego.cell)].exits >> heading & 1:
        return neighbour(t, ego.cell, heading)
    return ego.cell


@kernel
def is_clear(t, e, cell):
    """Whether the ego car may lawfully drive onto a neighbouring cell, junction rules apart.

    Within a junction it clears the way instead of stopping for the siren.
    """
    word = word_at(e, cell)
    if word & SIREN and junction_at(t, e.cars[0].cell) >= 0:
        word -= SIREN
    return word == 0 and cell != e.ambulance_cell


@kernel
def move_ego(e, action):
    """Makes the ego car's move."""
    ego = e.cars[0]
    cell = ego.cell
    ego.came = cell
    if ego.next == cell:
        if ego.wait < 32767:
            ego.wait += 1
        return
    turn = 0 if action == FORWARD else 3 if action == LEFT else 1
    take_off(e, cell, VEHICLE)
    ego.cell = ego.next
    ego.turn = 0 if action == FORWARD else 1 if action == LEFT else 2
    ego.heading = (int(ego.heading) + turn) & 3
    ego.wait = 0


@kernel
def tell_harm(e, lawful):
    """Writes what the ego car's move has hit; returns whether it hit anything.

    Nobody moves onto a cell that was taken when the tick began, so a car that waits is never hit and two
    never swap cells: harm can only meet a car that has moved.
    """
    ego = e.cars[0]
    word = word_at(e, ego.cell)
    if ego.came == ego.cell:
        return False
    if word & VEHICLE:
        e.info.harm_car = True
    else:
        put_on(e, ego.cell, VEHICLE)
    if word & ON_ROAD_MASK:
        e.info.harm_person = True
    if e.ambulance_cell == ego.cell:
        e.info.harm_ambulance = True
    harm = e.info.harm_car or e.info.harm_person or e.info.harm_ambulance
    if harm:
        e.info.cost = 1
        e.info.own_fault = not lawful
    return harm


@kernel
def step_one(p, s, i, action):
    """One tick. Returns the reward in 1/1024, and whether the episode is over (arrived or collided)."""
    e = s[i]
    t = town_of(p, e.map)
    r = t.rules[0]
    clear_info(e)
    ego = e.cars[0]
    cell = ego.cell
    to = ego_target(t, e, action)
    ego.next = to

    approach = approach_at(t, cell)
    entering = -1
    lawful = to == cell or is_clear(t, e, to)
    if to != cell and approach >= 0:
        if not is_green(t, e.clock, approach):
            e.parts.red_light = r.reward_red_light
        if lawful and ego_may_enter(t, e, approach):
            entering = t.ways[np.uint64(approach)].junction
        else:
            lawful = False

    delayed, tired = move_traffic(t, e, junction_at(t, cell), entering)
    move_ego(e, action)
    harm = tell_harm(e, lawful)

    before = e.info.distance
    distance = tell_progress(t, e)
    e.parts.time = r.reward_time
    e.parts.progress = r.reward_progress * (before - distance)
    if action != WAIT and to == cell:
        e.parts.illegal = r.reward_illegal
    e.info.time = 1
    if delayed:
        e.info.ambulance_delayed = True
        e.parts.ambulance = r.reward_ambulance
    if harm:
        e.parts.collision = r.reward_collision
    elif distance == 0:
        e.parts.arrival = r.reward_arrival
        e.info.success = True

    end_tick(t, e, tired)
    q = e.parts
    reward = q.arrival + q.progress + q.time + q.collision + q.red_light + q.illegal + q.ambulance
    return np.int64(reward), harm or distance == 0


@kernel
def mask_one(p, s, i, mask):
    """Moves that the road allows; waiting always is."""
    e = s[i]
    exits = p.cells[e.map, np.uint64(e.cars[0].cell)].exits
    heading = int(e.cars[0].heading)
    mask[i, WAIT] = 1
    mask[i, FORWARD] = exits >> heading & 1
    mask[i, LEFT] = exits >> ((heading + 3) & 3) & 1
    mask[i, RIGHT] = exits >> ((heading + 1) & 3) & 1
