"""Distributions over actions: what a policy's network says, to be drawn from and learned by.

One class for numbers, alone or several at once, and one for Box actions. All work on batches, with the random
numbers of the generator that they are given. On a CPU, actions are drawn in one compiled call.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray
from torch import Tensor

from .fitting import FLOOR, draw


class Distribution(ABC):
    """Distributions over the actions of a space, one for each row of a batch.

    Attributes:
        size: P, numbers that say what a row's distribution is.
        outputs: how many of them, the first ones, depend on the observation.
        parts: columns of an action.
        choices: (parts,) int64 how many choices each of them has; (0,) for Box actions.
        dtype: of an action on the device.
    """

    size: int
    outputs: int
    parts: int
    choices: NDArray[np.int64]
    dtype: torch.dtype

    def draw(self, given: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws (B, parts) actions from (B, P) numbers; returns them and their (B,) log-probabilities."""
        noise = self._noise(given, generator)
        if given.device.type != "cpu":
            action = self._drawn(given, noise)
            return action, self.log_probability(given, action)
        action, log = torch.empty((len(given), self.parts), dtype=self.dtype), torch.empty(len(given))
        draw(
            *(each.numpy() for each in (given.contiguous(), noise)), self.choices, action.numpy(), log.numpy()
        )
        return action, log

    @abstractmethod
    def _noise(self, given: Tensor, generator: torch.Generator) -> Tensor:
        """The random numbers that draws need."""

    @abstractmethod
    def _drawn(self, given: Tensor, noise: Tensor) -> Tensor:
        """The (B, parts) actions that they make of (B, P) numbers."""

    @abstractmethod
    def best(self, given: Tensor) -> Tensor:
        """The (B, parts) likeliest actions."""

    @abstractmethod
    def log_probability(self, given: Tensor, action: Tensor) -> Tensor:
        """(B,) logarithms of the actions' probabilities, or densities."""

    @abstractmethod
    def entropy(self, given: Tensor) -> Tensor:
        """(B,) entropies, in nats."""

    @abstractmethod
    def to_space(self, action: NDArray) -> NDArray:
        """(B, parts) actions as the environment takes them."""

    @abstractmethod
    def told(self, given: Tensor, action: Tensor) -> dict[str, Tensor]:
        """(B, parts) actions as the environment takes them, `action`, and what (B, P) numbers say."""

    def probabilities(self, given: Tensor) -> NDArray[np.float64] | None:
        """The (B, A) probabilities of actions that are one number; None of any others."""
        return None

    def masked(self, given: Tensor, mask: Tensor | None) -> Tensor:
        """The (B, P) numbers under which what the (B, P) bool mask forbids is never done."""
        return given if mask is None else given.masked_fill(~mask, float(FLOOR))


class Categoricals(Distribution):
    """Numbers, drawn independently of each other: Discrete, MultiDiscrete, MultiBinary.

    Args:
        space: of actions.
    """

    dtype = torch.int64

    def __init__(self, space: Discrete | MultiDiscrete | MultiBinary) -> None:
        if isinstance(space, Discrete):
            choices, start = [int(space.n)], np.array([space.start])
        elif isinstance(space, MultiDiscrete):
            choices, start = space.nvec.ravel().tolist(), space.start.ravel()
        else:
            choices = [2] * math.prod(space.shape or ())
            start = np.zeros(len(choices), np.int64)
        self._start, self._shape, self._space_dtype = start, space.shape, space.dtype
        self.size = self.outputs = sum(choices)
        self.choices, self.parts = np.array(choices), len(choices)

    def _log(self, given: Tensor) -> list[Tensor]:
        """For each part its (B, choices) log-probabilities."""
        return [part.log_softmax(dim=1) for part in given.split(self.choices.tolist(), dim=1)]

    def _noise(self, given: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(given.shape, device=given.device, generator=generator).clamp_(1e-20, 1.0 - 1e-7)

    def _drawn(self, given: Tensor, noise: Tensor) -> Tensor:
        """By Gumbel's trick: the largest of logits with noise."""
        return self.best(given - torch.log(-torch.log(noise)))

    def best(self, given: Tensor) -> Tensor:
        """See `Distribution`."""
        return torch.stack([part.argmax(dim=1) for part in given.split(self.choices.tolist(), dim=1)], dim=1)

    def log_probability(self, given: Tensor, action: Tensor) -> Tensor:
        """See `Distribution`."""
        chosen = zip(self._log(given), action.split(1, dim=1), strict=True)
        return sum(part.gather(1, column)[:, 0] for part, column in chosen)  # type: ignore[return-value]

    def entropy(self, given: Tensor) -> Tensor:
        """See `Distribution`."""
        return -sum((part.exp() * part).sum(dim=1) for part in self._log(given))  # type: ignore[return-value]

    def probabilities(self, given: Tensor) -> NDArray[np.float64] | None:
        """See `Distribution`."""
        return given.softmax(dim=1).cpu().numpy().astype(np.float64) if self.parts == 1 else None

    def told(self, given: Tensor, action: Tensor) -> dict[str, Tensor]:
        """See `Distribution`; `probabilities` are (B, P), part after part."""
        placed = (action + torch.from_numpy(self._start)).reshape(action.shape[0], *(self._shape or ()))
        dtype = torch.from_numpy(np.zeros(0, self._space_dtype)).dtype
        parts = [part.exp() for part in self._log(given)]
        return {"action": placed.to(dtype), "probabilities": torch.cat(parts, dim=1)}

    def to_space(self, action: NDArray) -> NDArray:
        """See `Distribution`."""
        return (action + self._start).reshape(len(action), *(self._shape or ())).astype(self._space_dtype)


class Gaussian(Distribution):
    """Numbers of a Box, each from a normal distribution; 0 is the middle of its bounds, and 1 the upper one.

    A network gives means and logarithms of standard deviations. What is drawn beyond a bound is done at it.

    Args:
        space: of actions, bounded.
    """

    dtype = torch.float32
    choices = np.empty(0, np.int64)

    def __init__(self, space: Box) -> None:
        self._low, self._high = space.low, space.high
        self._shape, self._space_dtype = space.shape, space.dtype
        self.parts = self.outputs = math.prod(space.shape)
        self.size = 2 * self.parts

    def _noise(self, given: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn((len(given), self.parts), device=given.device, generator=generator)

    def _drawn(self, given: Tensor, noise: Tensor) -> Tensor:
        mean, log_deviation = given.chunk(2, dim=1)
        return mean + log_deviation.exp() * noise

    def best(self, given: Tensor) -> Tensor:
        """See `Distribution`."""
        return given.chunk(2, dim=1)[0]

    def log_probability(self, given: Tensor, action: Tensor) -> Tensor:
        """See `Distribution`."""
        mean, log_deviation = given.chunk(2, dim=1)
        away = (action - mean) * (-log_deviation).exp()
        return (-0.5 * away.square() - log_deviation - 0.5 * math.log(2.0 * math.pi)).sum(dim=1)

    def entropy(self, given: Tensor) -> Tensor:
        """See `Distribution`."""
        return (given.chunk(2, dim=1)[1] + 0.5 * math.log(2.0 * math.pi * math.e)).sum(dim=1)

    def told(self, given: Tensor, action: Tensor) -> dict[str, Tensor]:
        """See `Distribution`; `mean` and `deviation` are (B, parts), 1 the way from the middle to a bound."""
        low, high = (torch.from_numpy(each).double() for each in (self._low, self._high))
        within = action.clamp(-1.0, 1.0).reshape(action.shape[0], *self._shape)
        placed = (low + (within + 1.0) * (0.5 * (high - low))).clamp(low, high)
        mean, log_deviation = given.chunk(2, dim=1)
        dtype = torch.from_numpy(np.zeros(0, self._space_dtype)).dtype
        return {"action": placed.to(dtype), "mean": mean, "deviation": log_deviation.exp()}

    def to_space(self, action: NDArray) -> NDArray:
        """See `Distribution`."""
        within = action.clip(-1.0, 1.0).reshape(len(action), *self._shape)
        low, high = self._low.astype(np.float64), self._high.astype(np.float64)
        return (low + (within + 1.0) * (0.5 * (high - low))).clip(low, high).astype(self._space_dtype)


def make_distribution(space: Space) -> Distribution:
    """The distribution over the actions of a space.

    Raises:
        ValueError: one line, for a space that none fits.
    """
    if isinstance(space, Box) and space.is_bounded() and np.issubdtype(space.dtype, np.floating):
        return Gaussian(space)
    if isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        return Categoricals(space)
    raise ValueError("it needs Discrete, MultiDiscrete, MultiBinary or bounded Box actions")
