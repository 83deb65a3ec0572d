"""One tick of all other road users; `p` is a `CityParams`, `e` one state record."""

from __future__ import annotations

from ..core.kernel import kernel
from ..core.rng import chance, uniform_int
from .ambulance import call_ambulance, drive_ambulance, sound_siren
from .cars import add_car, decide_cars, move_cars, park_car, settle_junctions
from .people import walk_people


@kernel
def move_traffic(p, e, closed, closed_too):
    """Moves everybody but the ego car, whose own move stands in `car_to[0]`.

    Args:
        p: tables.
        e: state record.
        closed: junction that no car may enter in this tick, because the ego car is inside (-1: none).
        closed_too: junction that the ego car enters lawfully in this tick (-1: none).

    Returns:
        Whether the ego car held up the ambulance, and a car that stood for so long that it parks (0: none).
    """
    delayed = e.ambulance_cell >= 0 and drive_ambulance(p, e)
    decide_cars(p, e)
    settle_junctions(p, e, closed, closed_too)
    walk_people(p, e)
    return delayed, move_cars(p, e)


@kernel
def end_tick(p, e, tired):
    """Lets cars come and go, and the siren claim its way for the next tick.

    Now and then a car parks; while the hour wants more cars, another one comes. Without it, full streets that
    wait for each other in a ring would do so for ever: hence `tired`, a car that has stood for so long that
    its driver parks now (0: nobody).
    """
    r = p.rules[0]
    leaving = tired
    if leaving == 0 and e.num_cars > 0 and chance(e.rng, e.num_cars * r.turnover):
        leaving = 1 + uniform_int(e.rng, e.num_cars)
    if leaving > 0:
        park_car(p, e, leaving)
    if e.num_cars < e.target_cars:
        add_car(p, e)
    if e.ambulance_cell >= 0:
        sound_siren(p, e)
    elif chance(e.rng, r.ambulance):
        call_ambulance(p, e)
    e.clock += 1
    if e.clock == 2 * (r.green + r.all_red):
        e.clock = 0
