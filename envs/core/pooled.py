"""What worlds of drawn or generated levels have in common: their settings, and experts that plan in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from .settings import check_settings
from .splits import Split, first_seed


@dataclass(frozen=True)
class PoolConfig:
    """Settings of a world whose pool is generated."""

    split: Split = "train"
    """Seeds of what is generated: `train`, `test`, or the first seed as a number."""
    pool_size: int = 64
    """How many are generated."""
    observation: Literal["grid", "index"] = "grid"
    """`grid`: what is around, as planes; `index`: the situation as one number, for tables."""
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Name of a further field to the least and the greatest number that it may hold."""

    def __post_init__(self) -> None:
        """Checks the fields; raises ValueError."""
        check_settings(self, {"pool_size": (1, 1024), **self.ranges})
        first_seed(self.split)  # which checks it


def each_level(
    level: str, plan: Callable[[int], Callable[[NDArray[Any]], NDArray[np.int64]]]
) -> Callable[[Any, NDArray[Any]], NDArray[np.int64]]:
    """A reference policy that plans a level when it first meets it.

    Args:
        level: the field of the record that tells the level.
        plan: makes of a level's number what chooses (N,) actions in (N,) records of that level.
    """
    plans: dict[int, Callable[[NDArray[Any]], NDArray[np.int64]]] = {}

    def act(params: Any, state: NDArray[Any]) -> NDArray[np.int64]:
        actions = np.zeros(len(state), np.int64)
        for number in map(int, np.unique(state[level])):
            if number not in plans:
                plans[number] = plan(number)
            rows = state[level] == number
            actions[rows] = plans[number](state[rows])
        return actions

    return act
