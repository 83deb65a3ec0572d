"""The expert: it plans with the whole scene, for one of many ways of weighing costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import each_level
from .process import DIGITS, process_of, solve

WEIGHTS = np.array([10.0, 3.0, 0.1])
"""What somebody hit, a passenger who fell, and a tick count."""


def planner(
    world: Any, weights: NDArray[np.float64] = WEIGHTS
) -> Callable[[Any, NDArray], NDArray[np.int64]]:
    """Policies of all scenes, each worked out when it is first met."""
    sizes = world.params().sizes

    def plan(scene: int) -> Callable[[NDArray], NDArray[np.int64]]:
        process, actions = process_of(world, scene), np.zeros(np.prod(sizes), np.int64)
        actions[process.numbers] = solve(process, weights)
        return lambda state: actions[np.ravel_multi_index([state[name] for name in DIGITS], sizes)]

    return each_level("scene", plan)
