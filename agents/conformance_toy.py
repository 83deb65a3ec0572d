"""The tiny problems on which agents are checked: nine states, three actions.

Episodes of the first have one step. Two states tell truncated from terminated episodes, one is where the
first of their actions leads, and in each of the others one action lights a lamp. Those of the second begin
with a cue, and the action that pays at their end is the one that it told: only memory solves it.
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
CUES, BLANK, ASKED = LAMPS[:3], LAMPS[3], LAMPS[4]
"""Of episodes with a cue: what tells each of the three actions, what is seen then, and where it pays."""
BLANKS = (1, 2)
"""How many steps nothing is seen."""
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
    """The first problem as a vector environment in `SAME_STEP`.

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
        self._states = self._begun(np.ones(num_envs, np.bool_))
        self.last_action = np.zeros(num_envs, np.int64)

    @property
    def obs(self) -> NDArray:
        """What is observed now, (N, ...)."""
        return encode(self.mode, self._states)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[NDArray, dict[str, Any]]:
        """Begins new episodes."""
        self._states = self._begun(np.ones(self.num_envs, np.bool_))
        return self.obs, self._info()

    def step(self, actions: Any) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """Takes one step; final observations are given of all rows, whether their episodes ended or not."""
        self.last_action = np.array(actions)
        self.count += self.num_envs
        reward, following, terminated, truncated = self._following(self.last_action)
        ended = terminated | truncated
        finals = {"action_mask": self.mask(following), "_action_mask": ended}
        self._states = np.where(ended, self._begun(ended), following)
        info = self._info() | {"final_obs": encode(self.mode, following), "_final_obs": ended}
        return self.obs, reward, terminated, truncated, info | {"final_info": finals, "_final_info": ended}

    def _begun(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(N,) states in which episodes begin, of which those of the given rows are taken."""
        return self._rng.integers(STATES, size=self.num_envs)

    def _following(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """(N,) rewards, successors, and whether the episodes are terminated, and truncated."""
        reward, following, truncated = self.outcome(self._states, actions)
        return reward, following, ~truncated, truncated

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


class Recall(Toy):
    """The second problem: a cue, a step or two without one, and then it is asked for."""

    _cue = _blanks = np.zeros(1, np.int64)  # (N,) the action that pays, and steps until it is asked for

    def _begun(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        cue, blanks = self._rng.integers(3, size=self.num_envs), self._rng.choice(BLANKS, self.num_envs)
        self._cue, self._blanks = np.where(rows, cue, self._cue), np.where(rows, blanks, self._blanks)
        return CUES[cue]

    def _following(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        asked = self._states == ASKED
        reward = (asked & (actions == self._cue)).astype(np.float64)
        following = np.where(asked | (self._blanks == 0), ASKED, BLANK)
        self._blanks = self._blanks - 1
        return reward, following, asked, np.zeros(self.num_envs, np.bool_)
