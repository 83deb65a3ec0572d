"""The city's dynamics: scalar functions over (params, state, i), the only place where an episode advances.

The order of a tick: everybody decides on the state at its start (the ego car first, whose action is
known; then the ambulance, the cars, the pedestrians), then all moves are made, harm is told, cars come
and go, and the siren claims its way for the next tick. So whatever will matter in a tick can be seen
before it, but for the drivers' hesitation.
"""

from __future__ import annotations

import numpy as np

from ..core.kernel import kernel, rare_kernel
from ..core.rng import uniform_int
from .cars import clear_slot, ego_may_enter, put_car
from .roads import entered_junction, is_green
from .state import (
    AMBULANCE,
    CLAIM_MASK,
    CLAIM_SHIFT,
    FORWARD,
    JUNCTION,
    LEFT,
    ON_ROAD_MASK,
    RIGHT,
    VEHICLE_MASK,
    WAIT,
    WALKING,
)
from .traffic import end_tick, move_traffic


@kernel
def free_lane_cell(p, e):
    """A free cell where a car may be put down; -1 when many tries found none."""
    m = e.map
    for _ in range(256):
        cell = p.lanes[m, uniform_int(e.rng, p.counts[m, 0])]
        if e.road[cell] == 0:
            return cell
    return -1


@rare_kernel
def place_ego(p, e):
    """Chooses destination and start, with a trip of the least length where the map allows."""
    m = e.map
    e.destination = uniform_int(e.rng, p.destinations.shape[1])
    start = -1
    distance = 0
    for _ in range(64):
        cell = p.lanes[m, uniform_int(e.rng, p.counts[m, 0])]
        trip = int(p.distance[m, e.destination, cell])
        if trip > distance:
            start = cell
            distance = trip
        if distance >= p.rules[0].min_distance:
            break
    e.start_distance = distance
    put_car(p, e, 0, start)


@rare_kernel
def place_people(p, e):
    """Puts the pedestrians on the pavements."""
    m = e.map
    for k in range(p.rules[0].people):
        cell = p.walks[m, uniform_int(e.rng, p.counts[m, 1])]
        e.walker_cell[k] = cell
        e.walker_from[k] = cell
        e.walker_heading[k] = uniform_int(e.rng, 4)
        e.walker_mode[k] = WALKING


@kernel
def clear_info(e):
    """Sets what a step reports to what a reset reports."""
    e.info.cost = 0
    e.info.success = False
    e.info.harm_car = False
    e.info.harm_person = False
    e.info.harm_ambulance = False
    e.info.own_fault = False
    e.parts.arrival = 0
    e.parts.progress = 0
    e.parts.time = 0
    e.parts.collision = 0
    e.parts.red_light = 0
    e.parts.illegal = 0
    e.parts.ambulance = 0


@kernel
def tell_progress(p, e):
    """Writes how far the trip has come; returns the cells still to drive."""
    distance = int(p.distance[e.map, e.destination, e.car_cell[0]])
    e.info.distance = distance
    e.info.progress = (e.start_distance - distance) / e.start_distance
    return distance


@rare_kernel
def reset_one(p, s, i):
    """Begins an episode: a map, an hour, a trip, and traffic for the hour."""
    e = s[i]
    r = p.rules[0]
    e.map = e.ask_map - 1 if e.ask_map > 0 else uniform_int(e.rng, r.num_maps)
    hour = e.ask_hour - 1 if e.ask_hour > 0 else r.hour
    e.info.hour = hour if hour >= 0 else uniform_int(e.rng, 24)
    e.ask_map = 0
    e.ask_hour = 0
    e.clock = uniform_int(e.rng, 2 * (r.green + r.all_red))
    e.road[:] = 0
    place_ego(p, e)
    peak = p.counts[e.map, 3] * r.peak_density // 1024
    extra = max(0, peak - r.cars) * r.profile[e.info.hour] // 1024
    e.target_cars = min(r.cars + extra, e.car_cell.shape[0] - 1)
    e.num_cars = 0
    for v in range(1, e.target_cars + 1):
        cell = free_lane_cell(p, e)
        if cell < 0:
            break
        put_car(p, e, v, cell)
        e.num_cars = v
    for v in range(e.num_cars + 1, e.car_cell.shape[0]):
        clear_slot(e, v)
    e.entries = 0
    e.exits = 0
    e.ambulance_cell = -1
    e.ambulance_from = -1
    e.ambulance_via = -1
    e.ambulance_heading = 0
    e.ambulance_destination = 0
    e.ambulance_path[:] = -1
    place_people(p, e)
    clear_info(e)
    tell_progress(p, e)


@kernel
def ego_target(p, e, action):
    """The cell that an action leads to; the car's own for WAIT and for a move that the road forbids."""
    cell = e.car_cell[0]
    if action == WAIT:
        return cell
    turn = 0 if action == FORWARD else 3 if action == LEFT else 1
    heading = (int(e.car_heading[0]) + turn) & 3
    if p.cells[e.map, cell].exits >> heading & 1:
        return cell + p.rules[0].delta[heading]
    return cell


@kernel
def is_clear(p, e, cell):
    """Whether the ego car may lawfully drive onto a neighbouring cell, junction rules apart.

    Within a junction it clears the way instead of stopping for the siren.
    """
    word = int(e.road[cell])
    if (word & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE and p.cells[e.map, e.car_cell[0]].junction >= 0:
        word &= ~CLAIM_MASK
    return word == 0 and cell != e.ambulance_cell


@kernel
def move_ego(p, e, to, action):
    """Makes the ego car's move; `car_to` then holds where it came from."""
    cell = e.car_cell[0]
    e.car_to[0] = cell
    if to == cell:
        if e.car_wait[0] < 32767:
            e.car_wait[0] += 1
        return
    turn = 0 if action == FORWARD else 3 if action == LEFT else 1
    e.road[cell] = int(e.road[cell]) & ~VEHICLE_MASK
    e.car_cell[0] = to
    e.car_turn[0] = 0 if action == FORWARD else 1 if action == LEFT else 2
    e.car_heading[0] = (int(e.car_heading[0]) + turn) & 3
    e.car_wait[0] = 0


@kernel
def tell_harm(e, lawful):
    """Writes what the ego car's move has hit; returns whether it hit anything.

    Nobody moves onto a cell that was taken when the tick began, so a car that waits is never hit and two
    never swap cells: harm can only meet a car that has moved.
    """
    cell = e.car_cell[0]
    word = int(e.road[cell])
    if e.car_to[0] == cell:
        return False
    if word & VEHICLE_MASK:
        e.info.harm_car = True
    else:
        e.road[cell] = word | 1
    if word & ON_ROAD_MASK:
        e.info.harm_person = True
    if e.ambulance_cell == cell:
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
    r = p.rules[0]
    m = e.map
    clear_info(e)
    cell = e.car_cell[0]
    to = ego_target(p, e, action)
    e.car_to[0] = to

    inside = p.cells[m, cell].junction
    entering = -1
    lawful = to == cell or is_clear(p, e, to)
    if to != cell and inside < 0 and p.cells[m, to].kind == JUNCTION:
        junction = entered_junction(p, m, cell)
        if not is_green(p, m, junction, e.car_heading[0], e.clock):
            e.parts.red_light = r.reward_red_light
        if lawful and ego_may_enter(p, e, cell):
            entering = junction
        else:
            lawful = False

    delayed, tired = move_traffic(p, e, inside, entering)
    move_ego(p, e, to, action)
    harm = tell_harm(e, lawful)

    before = e.info.distance
    distance = tell_progress(p, e)
    e.parts.time = r.reward_time
    e.parts.progress = r.reward_progress * (before - distance)
    if action != WAIT and to == cell:
        e.parts.illegal = r.reward_illegal
    if delayed:
        e.parts.ambulance = r.reward_ambulance
    if harm:
        e.parts.collision = r.reward_collision
    elif distance == 0:
        e.parts.arrival = r.reward_arrival
        e.info.success = True

    end_tick(p, e, tired)
    q = e.parts
    reward = q.arrival + q.progress + q.time + q.collision + q.red_light + q.illegal + q.ambulance
    return np.int64(reward), harm or distance == 0


@kernel
def mask_one(p, s, i, mask):
    """Moves that the road allows; waiting always is."""
    e = s[i]
    cell = e.car_cell[0]
    mask[i, WAIT] = 1
    mask[i, FORWARD] = ego_target(p, e, FORWARD) != cell
    mask[i, LEFT] = ego_target(p, e, LEFT) != cell
    mask[i, RIGHT] = ego_target(p, e, RIGHT) != cell
