"""What may be so before a tick of the maze, or happen in it, as recordings keep it and rules tell it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Digits, Event
from .kernels import NEAR, observe_index
from .state import MazeParams

# Of the observation `index`: food or prey, the last direction, what is on each side.
WITHIN_TWO, WITHIN_FOUR = 1, 2  # values of what is on a side, as far as `NEAR` says
DIGITS = Digits(observe_index, (8, 4, 5, 5, 5, 5))


def _ghost(*values: int) -> Callable[..., Any]:
    return lambda params, before, after: np.isin(DIGITS(params, before)[2:], values).any(axis=0)


def _turns_back(params: MazeParams, before: NDArray, after: NDArray) -> NDArray[np.bool_]:
    return after["heading"][:, 0] == before["heading"][:, 0] ^ 2


EVENTS = (
    Event("ghost_near", f"a ghost is within {NEAR[1]} steps", _ghost(WITHIN_TWO, WITHIN_FOUR)),
    Event("ghost_here", f"a ghost is within {NEAR[0]} steps", _ghost(WITHIN_TWO)),
    Event("prey", "a scared ghost can be caught", DIGITS.holds(0, *range(4, 8))),
    Event("scatter", "the ghosts scatter", lambda params, before, after: before["scatters"] > 0),
    Event("turned_back", "it turns back", _turns_back),
    Event("ate", "it eats a pellet", lambda params, before, after: after["left"] < before["left"]),
    Event("power", "it eats power", lambda params, before, after: after["power"] > before["power"]),
    Event("ate_ghost", "it eats a ghost", lambda params, before, after: after["info"]["ghosts"] > 0),
    Event("caught", "a ghost catches it", lambda params, before, after: after["info"]["cost"] > 0),
    Event("cleared", "all is eaten", lambda params, before, after: after["info"]["success"]),
)
