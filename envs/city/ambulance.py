"""The ambulance: two cells a tick, past red lights and waiting cars, on a way that its siren claims."""

from __future__ import annotations

from ..core.kernel import kernel, rare_kernel
from ..core.rng import uniform_int
from .roads import heading_towards, route_heading
from .state import (
    AMBULANCE,
    CLAIM_MASK,
    CLAIM_SHIFT,
    JUNCTION,
    ON_ROAD_MASK,
    SIREN_AHEAD,
    STEPPING_MASK,
    VEHICLE_MASK,
)

FREE, BY_OTHERS, BY_EGO = 0, 1, 2
SPEED = 2  # cells a tick


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
        if word & STEPPING_MASK and not word & VEHICLE_MASK:
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


@rare_kernel
def drive_ambulance(p, e):
    """Moves the ambulance along its path; returns whether the ego car held it up."""
    e.ambulance_from = e.ambulance_cell
    e.ambulance_via = e.ambulance_cell
    for k in range(1, 1 + SPEED):
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


@rare_kernel
def sound_siren(p, e):
    """Claims the ambulance's cell and the next ones of its route, and gives the former ones back."""
    for k in range(SIREN_AHEAD):
        cell = e.ambulance_path[k]
        if cell < 0:
            break
        if (int(e.road[cell]) & CLAIM_MASK) >> CLAIM_SHIFT == AMBULANCE:
            e.road[cell] = int(e.road[cell]) & ~CLAIM_MASK
    e.ambulance_path[:] = -1
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


@rare_kernel
def call_ambulance(p, e):
    """Sends an ambulance from a random lane cell, if that is free, to a random destination."""
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
    sound_siren(p, e)
