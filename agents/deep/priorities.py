"""Priorities of transitions in a replay (Schaul et al. 2016, arXiv 1511.05952, proportional variant)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..schedules import Schedule
from .tensors import to_device

LEAST_ERROR = 1e-6
"""Added to errors, so that a transition without one may be drawn again."""


class PriorityConfig(NamedTuple):
    """How to draw by priority."""

    alpha: float
    """A transition is drawn in proportion to its error to the power of alpha; 0: evenly."""
    beta: Schedule
    """How far weights make up for that, from 0 to 1 (fully); goes on with each step of the world."""


class Priorities:
    """Numbers from 0, one a slot, and sums of them: three levels of a tree with K branches at each node.

    Every sum is added up anew from its parts, so that no error builds up.

    Args:
        config: settings.
        slots: how many there are.
        device: where they are kept.

    Attributes:
        values: (slots,) float32 errors to the power of alpha; 0 where there is nothing to draw.
        highest: () float32 the highest seen, which new transitions get.
    """

    def __init__(self, config: PriorityConfig, slots: int, device: torch.device) -> None:
        self._config, self._device = config, device
        self._branches = branches = _branches(slots)
        self._sums = torch.zeros(branches, branches, dtype=torch.float64, device=device)
        self._leaves = torch.zeros(branches**2, branches, device=device)
        self.values = self._leaves.view(-1)[:slots]
        self.highest = torch.ones((), device=device)
        self._beta = torch.tensor(config.beta.value(0), device=device)

    @staticmethod
    def bytes_of(slots: int) -> int:
        """Bytes of the tree of so many slots."""
        branches = _branches(slots)
        return 4 * branches**3 + 8 * branches**2

    def advance(self, steps: int) -> None:
        """Moves beta along its schedule, to so many steps of the world."""
        self._beta.fill_(self._config.beta.value(steps))

    def admit(self, gone: NDArray[np.int64], fresh: NDArray[np.int64]) -> None:
        """Takes slots out, then puts others in, with the highest priority seen."""
        both = np.concatenate([gone, fresh])
        slots = to_device(both, self._device)
        self.values.index_fill_(0, slots[: len(gone)], 0.0)  # a number assigned would wait for the device
        self.values[slots[len(gone) :]] = self.highest
        touched = np.zeros(self._branches**2, np.bool_)
        touched[both // self._branches] = True
        self._add_up(to_device(np.flatnonzero(touched), self._device))

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Draws (B,) slots, each in proportion to its value, from the root to the leaves."""
        levels = self._sums.sum(dim=1)[None], self._sums, self._leaves
        shares = torch.rand(len(levels), size, dtype=torch.float64, device=self._device, generator=generator)
        node = torch.zeros(size, dtype=torch.int64, device=self._device)
        for level, share in zip(levels, shares, strict=True):
            ends = level.index_select(0, node).cumsum(dim=1, dtype=torch.float64)
            branch = torch.searchsorted(ends, (share * ends[:, -1])[:, None], right=True)
            node = node * self._branches + branch[:, 0].clamp(max=self._branches - 1)
        return node.clamp(max=len(self.values) - 1)  # beyond the last only where all values are 0

    def weights(self, slot: Tensor, weight: Tensor) -> Tensor:
        """(B,) importance weights (N P)^-beta, the batch's highest of them 1; 0 where `weight` is."""
        value = self.values.take(slot)
        valid = (weight > 0) & (value > 0)
        least = torch.where(valid, value, torch.inf).amin()
        return torch.where(valid, (least / value) ** self._beta, 0.0)

    def update(self, slot: Tensor, error: Tensor) -> None:
        """Sets the priorities of (B,) slots by their absolute errors; what is taken out stays so."""
        value = (error.float() + LEAST_ERROR) ** self._config.alpha
        value = torch.where(self.values.take(slot) > 0, value, 0.0)
        self.values[slot] = value
        torch.maximum(self.highest, value.amax(), out=self.highest)
        self._add_up(slot // self._branches)

    def restore(self, highest: float, steps: int) -> None:
        """Adds up all `values` after they were set from outside."""
        self.highest.fill_(highest)
        self.advance(steps)
        self._sums.copy_(self._leaves.sum(dim=1, dtype=torch.float64).view_as(self._sums))

    def _add_up(self, node: Tensor) -> None:
        """Adds up the leaves of (B,) nodes."""
        self._sums.view(-1)[node] = self._leaves.index_select(0, node).sum(dim=1, dtype=torch.float64)


def _branches(slots: int) -> int:
    """The least K with K^3 slots or more."""
    branches = math.floor(slots ** (1 / 3))
    return branches if branches**3 >= slots else branches + 1
