"""A corridor whose way out was shown at its beginning: who forgets it can only guess.

From this folder: meze train ppo corridor:Corridor --agent.net.memory gru
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray


class Corridor(gymnasium.Env):
    """Twenty steps; at the first a light shows left or right, at the last one goes left or right.

    Observations are (3,) float32: the light at the left, that at the right, and whether this is the last
    step. The last step brings 1 for the side that was shown, -1 for the other one.
    """

    observation_space = Box(0.0, 1.0, (3,), np.float32)
    action_space = Discrete(2)
    length = 20

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict]:
        """Begins at the light."""
        super().reset(seed=seed)
        self.step_number, self.side = 0, int(self.np_random.integers(2))
        return self._observation(), {}

    def step(self, action: int) -> tuple[NDArray, float, bool, bool, dict]:
        """Walks on, whatever the action is, but at the end."""
        self.step_number += 1
        ended = self.step_number == self.length
        reward = (1.0 if action == self.side else -1.0) if ended else 0.0
        return self._observation(), reward, ended, False, {}

    def _observation(self) -> NDArray[np.float32]:
        seen = np.zeros(3, np.float32)
        if self.step_number == 0:
            seen[self.side] = 1.0
        seen[2] = self.step_number == self.length - 1
        return seen
