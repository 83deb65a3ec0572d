"""One tick of all other road users; `p` is a `CityParams`, `e` one state record."""

from __future__ import annotations

from ..core.kernel import kernel
from .ambulance import call_ambulance, drive_ambulance, sound_siren
from .cars import decide_cars, move_cars, settle_junctions, turn_over
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
    delayed = drive_ambulance(p, e)
    decide_cars(p, e)
    settle_junctions(p, e, closed, closed_too)
    walk_people(p, e)
    return delayed, move_cars(p, e)


@kernel
def end_tick(p, e, tired):
    """Lets cars come and go, and the siren claim its way for the next tick."""
    turn_over(p, e, tired)
    call_ambulance(p, e)
    sound_siren(p, e)
    e.clock += 1
