"""What may be so before a step of the platformer, or happen in it, as recordings keep and rules tell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.measures import Event
from ..core.scalars import Digits
from .observe import SITUATION_WORDS, observe_situation
from .state import ENEMY, PIT, SPIKES, PlatformerParams

SPEED, WALL, GAP, DANGER = 2, 3, 4, 5  # digits of a situation
RUNNING = 2  # value of SPEED
NEAR_WALLS, NEAR_GAPS = (1, 2), (1, 2)  # values of WALL and GAP

_situation = Digits(observe_situation, [len(words) for words in SITUATION_WORDS])


def _danger(params: PlatformerParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return _situation(params, before)[DANGER] > 0


def _grows(name: str) -> Callable[..., Any]:
    return lambda params, before, after: after[name] > before[name]


def _jumps(params: PlatformerParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return before["grounded"] & ~after["grounded"] & (after["vy"] < 0)


def _hurt(params: PlatformerParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return (before["big"] & ~after["big"]) | np.isin(after["info"]["death"], (ENEMY, SPIKES))


EVENTS = (
    Event("danger_ahead", "an enemy or a spike is ahead", _danger),
    Event("gap_ahead", "a gap is within 3 tiles", _situation.holds(GAP, *NEAR_GAPS)),
    Event("wall_ahead", "a wall is within 2 tiles", _situation.holds(WALL, *NEAR_WALLS)),
    Event("running", "it runs fast", _situation.holds(SPEED, RUNNING)),
    Event("in_air", "it is in the air", lambda params, before, after: ~before["grounded"]),
    Event("jumped", "it jumps", _jumps),
    Event("landed", "it lands", lambda params, before, after: ~before["grounded"] & after["grounded"]),
    Event("stomped", "it beats an enemy", _grows("stomps")),
    Event("coin", "it takes a coin", _grows("coins")),
    Event("grown", "it becomes big", lambda params, before, after: ~before["big"] & after["big"]),
    Event("hurt", "it is hurt", _hurt),
    Event("fell", "it falls into a pit", lambda params, before, after: after["info"]["death"] == PIT),
    Event("cleared", "it comes to the flag", lambda params, before, after: after["info"]["clear"]),
)
