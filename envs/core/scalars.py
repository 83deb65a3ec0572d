"""What scalar functions of a world tell of whole batches: reference policies, and digits of observations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import observe_one
from .binding import bind, record_types

act_one = observe_one  # names that `bind` gives a meaning


def _act_rows(params, state, action):
    for i in range(len(state)):
        action[i] = act_one(params, state, i)


def _observe_rows(params, state, obs):
    for i in range(len(state)):
        observe_one(params, state, i, obs)


@cache
def bind_policy(act_one: Callable[..., Any]) -> Callable[[Any, NDArray[Any]], NDArray[np.int64]]:
    """Makes a reference policy of a jitted scalar function.

    Args:
        act_one: `(params, state, i) -> action`, compiled with `kernel`; it must not write to the state.

    Returns:
        `(params, state) -> (N,) int64 actions`.
    """

    def act(params: Any, state: NDArray[Any]) -> NDArray[np.int64]:
        return _written(_act_rows, "act_one", act_one, params, state)

    return act


class Digits:
    """The digits of an observation that is a number in mixed radix, the highest first.

    Args:
        observe_one: `(params, state, i, obs) -> None`, compiled with `kernel`.
        sizes: how many values each digit has.

    Attributes:
        sizes: the same, for the space of these observations (`MixedRadix`).
    """

    def __init__(self, observe_one: Callable[..., Any], sizes: Sequence[int]) -> None:
        self._observe_one, self.sizes = observe_one, tuple(sizes)

    def __call__(self, params: Any, state: NDArray[Any]) -> tuple[NDArray[np.int64], ...]:
        """Of (N,) states, each (N,) int64."""
        number = _written(_observe_rows, "observe_one", self._observe_one, params, state)
        return np.unravel_index(number, self.sizes)

    def of(self, number: int) -> tuple[int, ...]:
        """Of a single number."""
        return tuple(map(int, np.unravel_index(int(number), self.sizes)))

    def holds(self, digit: int, *values: int) -> Callable[[Any, NDArray[Any], NDArray[Any]], NDArray[Any]]:
        """For an `Event`: whether a digit has one of some values before a step."""
        return lambda params, before, after: np.isin(self(params, before)[digit], values)


def _written(
    template: Callable[..., Any], name: str, function: Callable[..., Any], params: Any, state: NDArray[Any]
) -> NDArray[np.int64]:
    """(N,) what a function says of each record."""
    numbers = np.empty(len(state), np.int64)
    _bound(template, name, function, record_types(params, state.dtype))(params, state, numbers)
    return numbers


@cache
def _bound(
    template: Callable[..., Any], name: str, function: Any, records: tuple[np.dtype[Any], ...]
) -> Callable[..., Any]:
    return bind(template, f"{function.__module__}.{function.__name__}", {name: function}, records)
