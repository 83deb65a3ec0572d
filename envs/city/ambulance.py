"""The ambulance: two cells a tick, past red lights and waiting cars, on a way that its siren claims.

`t` is a `Town`, `e` one state record.
"""

from __future__ import annotations

from ..core.compiling import kernel, rare_kernel
from ..core.rng import uniform_int
from .roads import heading_towards, neighbour, put_on, route_heading, route_length, take_off, word_at
from .state import CLAIM, JUNCTION, ON_ROAD_MASK, SIREN, SIREN_AHEAD, STEPPING_MASK, VEHICLE

FREE, BY_OTHERS, BY_EGO = 0, 1, 2
SPEED = 2  # cells a tick


@kernel
def ambulance_blocked(t, e, k):
    """Who keeps the ambulance from the next cell `k` of its path: FREE, BY_OTHERS, BY_EGO."""
    to = e.ambulance_path[k]
    ego = e.cars[0]
    ego_moves = ego.next != ego.cell
    if ego_moves and ego.next == to:
        return BY_EGO
    word = word_at(e, to)
    if t.cells[to].kind != JUNCTION:
        if to == ego.cell and ego_moves:
            return BY_EGO
        if not word & SIREN or word & ON_ROAD_MASK:
            return BY_OTHERS
        if word & STEPPING_MASK and not word & VEHICLE:
            return BY_OTHERS
        return FREE  # cars that wait have pulled over
    for n in range(k, SIREN_AHEAD):  # the whole way through a junction must be free
        cell = e.ambulance_path[n]
        if cell < 0 or t.cells[cell].kind != JUNCTION:
            break
        if cell == ego.cell:
            return BY_EGO
        word = word_at(e, cell)
        if word & VEHICLE or not word & SIREN:
            return BY_OTHERS
    return FREE


@rare_kernel
def drive_ambulance(t, e):
    """Moves the ambulance along its path; returns whether the ego car held it up."""
    e.ambulance_from = e.ambulance_cell
    e.ambulance_via = e.ambulance_cell
    for k in range(1, 1 + SPEED):
        to = e.ambulance_path[k]
        if to < 0:
            break
        blocked = ambulance_blocked(t, e, k)
        if blocked != FREE:
            return blocked == BY_EGO
        e.ambulance_heading = heading_towards(t, e.ambulance_cell, to)
        e.ambulance_via = e.ambulance_cell
        e.ambulance_cell = to
    return False


@rare_kernel
def sound_siren(t, e):
    """Claims the ambulance's cell and the next ones of its route, and gives the former ones back."""
    for k in range(SIREN_AHEAD):
        cell = e.ambulance_path[k]
        if cell < 0:
            break
        take_off(e, cell, SIREN)
    e.ambulance_path[:] = -1
    d = e.ambulance_destination
    cell = e.ambulance_cell
    if route_length(t, d, cell) == 0:  # arrived
        e.ambulance_cell = -1
        e.ambulance_from = -1
        e.ambulance_via = -1
        return
    for k in range(SIREN_AHEAD):
        e.ambulance_path[k] = cell
        if not word_at(e, cell) & CLAIM:
            put_on(e, cell, SIREN)
        if route_length(t, d, cell) == 0:
            break
        cell = neighbour(t, cell, route_heading(t, d, cell))


@rare_kernel
def call_ambulance(t, e):
    """Sends an ambulance from a random lane cell, if that is free, to a random destination."""
    cell = t.lanes[uniform_int(e.rng, t.counts[0])]
    destination = uniform_int(e.rng, len(t.destinations))
    if e.road[cell] != 0 or route_length(t, destination, cell) == 0:
        return
    e.ambulance_cell = cell
    e.ambulance_from = cell
    e.ambulance_via = cell
    e.ambulance_heading = t.cells[cell].heading
    e.ambulance_destination = destination
    sound_siren(t, e)
