"""Facts of the road that all road users share: signals, junctions, routes.

`p` is a `CityParams`, `e` one state record, `m` a map's number, `v` a vehicle's slot.
"""

from __future__ import annotations

from ..core.kernel import kernel
from .state import (
    CROSSING,
    ROAD,
)


@kernel
def is_green(p, m, junction, heading, clock):
    """Whether traffic with `heading` may enter; phases: north-south, all red, east-west, all red."""
    offset = p.signals[m, junction]
    if offset < 0:
        return True
    r = p.rules[0]
    half = r.green + r.all_red
    phase = clock + offset  # both below a whole cycle
    if phase >= 2 * half:
        phase -= 2 * half
    if heading & 1:
        phase -= half
    return 0 <= phase < r.green


@kernel
def entered_junction(p, m, cell):
    """The junction in front of an approach cell."""
    c = p.cells[m, cell]
    return p.cells[m, cell + p.rules[0].delta[c.heading]].junction


@kernel
def heading_towards(p, cell, to):
    """The heading that leads from a cell to its neighbour."""
    delta = p.rules[0].delta
    step = to - cell
    return 0 if step == delta[0] else 1 if step == delta[1] else 2 if step == delta[2] else 3


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
def is_lane(p, m, cell):
    """Whether a pedestrian on the cell stands on the street."""
    kind = p.cells[m, cell].kind
    return kind == CROSSING or kind == ROAD
