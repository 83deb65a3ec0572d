"""The tiny problem on which agents are checked: nine states, three actions, episodes of one step.

Two states tell truncated from terminated episodes, one is where the first of their actions leads, and in each
of the others one action lights a lamp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

CUT, ENDS, RICH = 0, 1, 2
"""The first action leads to RICH, and the episode is truncated in CUT, terminated in ENDS."""
LAMPS = np.arange(3, 9)
STATES = 9
ACTIONS = Discrete(3)
RIGHT = np.array([0, 1, 0, 0, 1, 2, 2, 0, 1])
"""(STATES,) what is best to do."""
OBSERVATIONS: dict[str, Space] = {
    "index": Discrete(STATES),
    "plain": Box(0.0, 1.0, (STATES,), np.float32),
    "grid": Box(0, 1, (STATES, 3, 3), np.uint8),
}
"""Observation mode to the space in which the toy is observed."""


def encode(mode: str, states: NDArray) -> NDArray:
    """(N,) states as observations of a mode."""
    if mode == "index":
        return states.astype(np.int64)
    if mode == "plain":
        return np.eye(STATES, dtype=np.float32)[states]
    planes = np.zeros((len(states), *(OBSERVATIONS["grid"].shape or ())), np.uint8)
    planes[np.arange(len(states)), states] = 1
    return planes


class Toy(VectorEnv):
    """The problem as a vector environment in `SAME_STEP`.

    Args:
        mode: how it is observed.
        num_envs: how many.
        seed: of the states in which episodes begin.

    Attributes:
        count: transitions so far.
        last_action: what was done last.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, mode: str, num_envs: int, seed: int) -> None:
        self.num_envs, self.mode, self.count = num_envs, mode, 0
        self.single_observation_space, self.single_action_space = OBSERVATIONS[mode], ACTIONS
        self.observation_space = batch_space(OBSERVATIONS[mode], num_envs)
        self.action_space = batch_space(ACTIONS, num_envs)
        self._rng = np.random.default_rng(seed)
        self._states = self._rng.integers(STATES, size=num_envs)
        self.last_action = np.zeros(num_envs, np.int64)

    @property
    def obs(self) -> NDArray:
        """What is observed now, (N, ...)."""
        return encode(self.mode, self._states)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[NDArray, dict[str, Any]]:
        """Begins new episodes."""
        self._states = self._rng.integers(STATES, size=self.num_envs)
        return self.obs, self._info()

    def step(self, actions: Any) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """Takes one step, with which all episodes end."""
        self.last_action = np.array(actions)
        self.count += self.num_envs
        reward, following, truncated = self.outcome(self._states, self.last_action)
        every = np.ones(self.num_envs, np.bool_)
        finals = {"action_mask": self.mask(following), "_action_mask": every}
        self._states = self._rng.integers(STATES, size=self.num_envs)
        info = self._info() | {"final_obs": encode(self.mode, following), "_final_obs": every}
        return self.obs, reward, ~truncated, truncated, info | {"final_info": finals, "_final_info": every}

    def action_masks(self) -> NDArray[np.int8]:
        """(N, 3) actions that are possible now."""
        return self.mask(self._states)

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.action_masks(), "_action_mask": np.ones(self.num_envs, np.bool_)}

    @staticmethod
    def mask(states: NDArray) -> NDArray[np.int8]:
        """(N, 3) actions that are possible in (N,) states: the third at lamps alone."""
        mask = np.ones((len(states), 3), np.int8)
        mask[states <= RICH, 2] = 0
        return mask

    @staticmethod
    def outcome(states: NDArray, actions: NDArray) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
        """(N,) rewards, successors, and whether the episode is truncated, not terminated."""
        leads = (states <= ENDS) & (actions == 0)
        right = np.where(states == RICH, True, actions == RIGHT[states])
        reward = np.where(states <= ENDS, np.where(leads, 0.0, 0.5), right.astype(np.float64))
        return reward, np.where(leads, RICH, states), leads & (states == CUT)
