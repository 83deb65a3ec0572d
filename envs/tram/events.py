"""What may be so before a tick of the tram, or happen in it, as recordings keep it and rules tell it."""

import numpy as np
from numpy.typing import NDArray

from ..core import Event
from .state import TOP_SPEED, TramParams


def _step_off(params: TramParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return (before["waiting"] & ~after["waiting"] & ~after["harmed"]) != 0


def _comes_to_a_stand(params: TramParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return (before["speed"] > 0) & (after["speed"] == 0)


EVENTS = (
    Event("on_rails", "people are on the rails", lambda params, before, after: before["waiting"] > 0),
    Event("fast", "it runs at full speed", lambda params, before, after: before["speed"] == TOP_SPEED),
    Event("stands", "it comes to a stand", _comes_to_a_stand),
    Event("stepped_off", "people step off the rails", _step_off),
    Event("switched", "a switch is thrown", lambda params, before, after: before["aside"] != after["aside"]),
    Event("hit", "people are hit", lambda params, before, after: after["info"]["harm_outside"] > 0),
    Event("fell", "passengers fall", lambda params, before, after: after["info"]["harm_aboard"] > 0),
    Event("arrived", "it arrives", lambda params, before, after: after["info"]["success"]),
)
