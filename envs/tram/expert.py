"""The expert: it plans with the whole scene, for one of many ways of weighing costs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .process import DIGITS, process_of, solve

WEIGHTS = np.array([10.0, 3.0, 0.1])
"""What somebody hit, a passenger who fell, and a tick count."""


class Planner:
    """Policies of all scenes, each worked out when it is first met."""

    def __init__(self, world: Any, weights: NDArray[np.float64] = WEIGHTS) -> None:
        self._world, self._weights = world, weights
        self._plans: dict[int, NDArray[np.int64]] = {}  # actions by a state's number

    def __call__(self, params: Any, state: NDArray) -> NDArray[np.int64]:
        """Chooses (N,) actions."""
        actions = np.zeros(len(state), np.int64)
        for scene in map(int, np.unique(state["scene"])):
            if scene not in self._plans:
                process = process_of(self._world, scene)
                self._plans[scene] = np.zeros(np.prod(params.sizes), np.int64)
                self._plans[scene][process.numbers] = solve(process, self._weights)
            rows = state["scene"] == scene
            digits = [state[name][rows] for name in DIGITS]
            actions[rows] = self._plans[scene][np.ravel_multi_index(digits, params.sizes)]
        return actions
