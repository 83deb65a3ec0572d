"""What may be so before a tick of the vacuum, or happen in it, as recordings keep it and rules tell it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Digits, Event
from .kernels import NO_SIGN, observe_index
from .state import SENSED, SIDE, VacuumParams

DIGITS = Digits(observe_index, (1 + NO_SIGN, 4, 2, 3, 3, 3))
LATE, AHEAD = 2, 4  # digits
IN_THE_WAY, DIRT = 1, 2  # values of what is on a side


def _pet_near(params: VacuumParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    pet, cell = (np.stack(np.divmod(before[name], SIDE)) for name in ("pet", "cell"))
    return (before["pet"] > 0) & (np.abs(pet - cell).max(axis=0) <= SENSED)


def _at_dock(params: VacuumParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    dock = params.flats["dock"][before["flat"]]
    return (after["cell"] == dock) & (before["cell"] != dock)


def _turned(turn: int) -> Callable[..., Any]:
    return lambda params, before, after: (after["heading"] - before["heading"]) % 4 == turn


EVENTS = (
    Event("dirt_ahead", "dirt is ahead", DIGITS.holds(AHEAD, DIRT)),
    Event("blocked_ahead", "something is in the way", DIGITS.holds(AHEAD, IN_THE_WAY)),
    Event("pet_near", "the pet is near", _pet_near),
    Event("time_to_go", "it is time to go home", DIGITS.holds(LATE, 1)),
    Event("turned_left", "it turns left", _turned(3)),
    Event("turned_right", "it turns right", _turned(1)),
    Event("bumped", "it bumps into something", lambda params, before, after: after["bumped"] > 0),
    Event("hit_pet", "it runs into the pet", lambda params, before, after: after["info"]["cost"] > 0),
    Event("cleaned", "it cleans a cell", lambda params, before, after: after["dirty"] < before["dirty"]),
    Event("docked", "it comes to the dock", _at_dock),
    Event("battery_flat", "its battery is flat", lambda params, before, after: after["battery"] == 0),
)
