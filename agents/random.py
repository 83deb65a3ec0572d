"""The random agent: the yardstick beside every score."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Discrete, Space
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .base import Memory, Policy


class RandomPolicy(Policy):
    """Acts uniformly at random among the possible actions, exploring or not.

    Masks are honoured where the action space is Discrete; other spaces are sampled as they define it.
    """

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: object = None,
        rng: np.random.Generator,
    ) -> None:
        """Keeps the action space and the generator; the rest is the constructor that all agents share."""
        self.action_space = action_space
        self.rng = rng
        self._batch_spaces: dict[int, Space] = {}

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Draws one action a row; see `Policy.act`."""
        size = len(obs)
        if not isinstance(self.action_space, Discrete):
            return self._sample(size), memory
        start = int(self.action_space.start)
        if mask is None:
            return self.rng.integers(start, start + int(self.action_space.n), size), memory
        possible = np.cumsum(np.asarray(mask) != 0, axis=1)  # (B, A), counts the possible actions up to each
        rank = self.rng.random(size) * possible[:, -1]
        return start + np.argmax(possible > rank[:, None], axis=1), memory

    def _sample(self, size: int) -> NDArray:
        if size not in self._batch_spaces:
            space = batch_space(self.action_space, size)
            space.seed(int(self.rng.integers(2**31)))
            self._batch_spaces[size] = space
        return self._batch_spaces[size].sample()
