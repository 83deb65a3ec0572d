"""One tick of all other road users; `t` is a `Town`, `e` one state record."""

from __future__ import annotations

from ..core.compiling import kernel
from ..core.rng import chance, uniform_int
from .ambulance import call_ambulance, drive_ambulance, sound_siren
from .cars import add_car, answer_cars, drive_cars, leave_cells, park_car
from .people import walk_people


@kernel
def move_traffic(t, e, closed, closed_too):
    """Moves everybody but the ego car, whose own move stands in its `next`.

    Args:
        t: tables of the map.
        e: state record.
        closed: junction that no car may enter in this tick, because the ego car is inside (-1: none).
        closed_too: junction that the ego car enters lawfully in this tick (-1: none).

    Returns:
        Whether the ego car held up the ambulance, and a car that stood for so long that it parks (0: none).
    """
    delayed = e.ambulance_cell >= 0 and drive_ambulance(t, e)
    asking, tired = drive_cars(t, e)
    tired = max(tired, answer_cars(t, e, asking, closed, closed_too))
    walk_people(t, e)
    leave_cells(e)
    return delayed, tired


@kernel
def end_tick(t, e, tired):
    """Lets cars come and go, and the siren claim its way for the next tick.

    Now and then a car parks; while the hour wants more cars, another one comes. Without it, full streets that
    wait for each other in a ring would do so for ever: hence `tired`, a car that has stood for so long that
    its driver parks now (0: nobody).
    """
    r = t.rules[0]
    leaving = tired
    if leaving == 0 and e.num_cars > 0 and chance(e.rng, e.num_cars * r.turnover):
        leaving = 1 + uniform_int(e.rng, e.num_cars)
    if leaving > 0:
        park_car(t, e, leaving)
    if e.num_cars < e.target_cars:
        add_car(t, e)
    if e.ambulance_cell >= 0:
        sound_siren(t, e)
    elif chance(e.rng, r.ambulance):
        call_ambulance(t, e)
    e.clock += 1
    if e.clock == 2 * (r.green + r.all_red):
        e.clock = 0
