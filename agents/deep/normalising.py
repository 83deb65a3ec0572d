"""Running normalisation, of observations and of rewards: what was seen so far says how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray
from torch import Tensor, nn

from ..base import State, Transition
from ..checks import check_discounts, taken
from ..spaces import describe

LARGEST = 10.0
"""What is normalised is cut off here: nothing that a network has never seen is far outside."""
TINY = 1e-8


def spread(values: Tensor) -> Tensor:
    """The standard deviation of (B,) values, to be divided by."""
    return values.std(correction=0) + TINY


class RunningNorm(nn.Module):
    """Brings vectors to mean 0 and deviation 1 in each component, as far as `see` has seen them.

    Args:
        space: of one observation.

    Attributes:
        space: of what comes out.

    Raises:
        ValueError: for observations that are no vectors of floats.
    """

    count: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, space: Space) -> None:
        super().__init__()
        if not (isinstance(space, Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)):
            raise ValueError(f"normalize_observations needs vectors of floats; got {describe(space)}")
        self.space = Box(-np.inf, np.inf, space.shape, np.float32)
        for name, shape in (("count", ()), ("mean", space.shape), ("square", space.shape)):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def forward(self, obs: Tensor) -> Tensor:
        """(B, ..., D) observations to float32, cut off at `LARGEST`; before any was seen, as they are."""
        if self.count == 0:
            return obs.float()
        deviation = (self.square / self.count).sqrt() + TINY
        return ((obs - self.mean) / deviation).float().clamp(-LARGEST, LARGEST)

    @torch.no_grad()
    def see(self, obs: Tensor) -> None:
        """Takes (B, ..., D) observations into account (Chan et al. 1983, equations 2.1)."""
        rows = obs.reshape(-1, self.mean.numel()).double()
        mean, both = rows.mean(dim=0), self.count + len(rows)
        away = mean - self.mean
        self.square += (rows - mean).square().sum(dim=0) + away.square() * (self.count * len(rows) / both)
        self.mean += away * (len(rows) / both)
        self.count.copy_(both)


class Returns:
    """Divides rewards by the standard deviation of the discounted returns so far.

    Args:
        num_envs: N.
        gamma: discount factor.
    """

    def __init__(self, num_envs: int, gamma: float) -> None:
        self._gamma = gamma
        self._discount = np.full(num_envs, gamma)  # of the last step
        self._running = np.zeros(num_envs)
        self._told = np.zeros(3)  # count, mean, sum of squared distances from it

    @property
    def deviation(self) -> float:
        """What rewards are divided by; 1 before any was seen."""
        count, _, square = self._told
        return float(np.sqrt(square / count) + TINY) if count else 1.0

    def scaled(self, batch: Transition) -> NDArray[np.float64]:
        """The (N,) rewards of a step, divided."""
        self._running = self._running * self._discount + batch.reward
        if batch.discount is not None:
            self._discount = batch.discount
        count, mean, square = self._told
        both, away = count + len(self._running), self._running.mean() - mean
        square += ((self._running - self._running.mean()) ** 2).sum()
        square += away**2 * count * len(self._running) / both
        self._told = np.array([both, mean + away * len(self._running) / both, square])
        self._running[batch.terminated | batch.truncated] = 0.0
        return np.clip(batch.reward / self.deviation, -LARGEST, LARGEST)

    def state_dict(self) -> State:
        """What was seen so far."""
        state = {"returns.running": self._running, "returns.told": self._told}
        if (self._discount != self._gamma).any():
            state["returns.discount"] = self._discount
        return {name: each.copy() for name, each in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it is of other environments.
        """
        self._running = np.array(taken(state, "returns.running", np.float64, len(self._running)))
        self._told = np.array(taken(state, "returns.told", np.float64, 3))
        self._discount = np.full(len(self._running), self._gamma)
        if "returns.discount" in state:
            self._discount = np.array(taken(state, "returns.discount", np.float64, len(self._running)))
            check_discounts("returns.discount", self._discount)
        if self._told[0] < 0 or self._told[2] < 0:
            raise ValueError("the returns so far are damaged")
