"""What encoders of arrays share: rows of numbers, and saved arrays.

An encoder is fitted on observations and then turns each into an index (for tables) or a vector (for
networks). Each fitted encoder is a few arrays, and kernels turn observations into codes row by row: a row's
code depends on that row alone, whatever the batch and whoever is beside it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from ..base import State
from ..checks import taken
from ..spaces import describe


class ArrayEncoder(ABC):
    """An encoder of arrays, fitted on rows that are scaled by their largest components.

    Subclasses have `_fit(rows, targets)`, which returns the arrays that describe what was fitted,
    `_check()`, `_encode(rows)` for raw rows, and `_codes()`, the space of what comes out.

    Attributes:
        space: of codes, once it is fitted: Discrete for indices, Box for (D,) float32 vectors.
    """

    supervised: ClassVar[bool] = False
    """Whether `fit` needs targets."""

    def __init__(self, observation_space: Space, *, config: Any, rng: np.random.Generator) -> None:
        """Takes one environment's observations.

        Raises:
            ValueError: for observations that are no arrays.
        """
        if not isinstance(observation_space, Box | MultiBinary | MultiDiscrete):
            raise ValueError(f"encoders need observations that are arrays; got {describe(observation_space)}")
        self.config, self._rng = config, rng
        self.width = math.prod(observation_space.shape or (1,))
        self._arrays: dict[str, NDArray] = {}
        self._prepared: Any = None  # what `_encode` makes of the arrays, once

    @property
    def space(self) -> Space:
        """The space of one code.

        Raises:
            ValueError: before it was fitted.
        """
        self._check_fitted()
        return self._codes()

    def fit(self, obs: NDArray, targets: NDArray | None = None) -> ArrayEncoder:
        """Fits.

        Args:
            obs: (N, ...) observations.
            targets: (N,) what supervised encoders are to predict.

        Raises:
            ValueError: when they are too few, or targets are missing.
        """
        if self.supervised and targets is None:
            raise ValueError(f"{type(self).__name__} needs targets")
        raw = self.rows(obs)
        largest = np.abs(raw).max(axis=0).astype(np.float32)
        scale = np.divide(1, largest, out=np.zeros_like(largest), where=largest > 0)
        scaled = raw.astype(np.float32) * scale
        found = {"scale": scale, **self._fit(scaled, targets)}
        # In the order in which a file gives them back: sums of matrices in another are rounded otherwise.
        self._arrays = {name: np.ascontiguousarray(each) for name, each in found.items()}
        self._prepared = None
        return self

    def transform(self, obs: NDArray) -> NDArray:
        """(B, ...) observations to (B,) int64 indices or (B, D) float32 vectors.

        Raises:
            ValueError: before it was fitted.
        """
        self._check_fitted()
        return self._encode(self.rows(obs))

    def rows(self, obs: NDArray) -> NDArray:
        """(B, width) raw rows of (B, ...) observations, in their own dtype."""
        return np.ascontiguousarray(obs).reshape(len(obs), self.width)

    def state_dict(self) -> State:
        """What was fitted."""
        self._check_fitted()
        return dict(self._arrays)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        arrays = {name: np.asarray(each) for name, each in state.items()}
        if arrays.get("scale", np.zeros(0)).shape != (self.width,):
            raise ValueError(f"the encoder was fitted on other observations than {self.width} numbers")
        taken(arrays, "scale", np.float32, self.width)
        self._arrays, self._prepared = arrays, None
        try:
            self._check()
        except ValueError:
            self._arrays = {}
            raise

    def _check_fitted(self) -> None:
        if not self._arrays:
            raise ValueError(f"{type(self).__name__} has to be fitted first")

    def _drawn(self, rows: NDArray, count: int) -> NDArray:
        """At most so many of the rows."""
        if len(rows) <= count:
            return rows
        return rows[np.sort(self._rng.choice(len(rows), count, replace=False))]

    def _seed(self) -> int:
        """A seed for scikit-learn."""
        return int(self._rng.integers(2**31))

    @abstractmethod
    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        """The arrays that fitting comes to."""

    @abstractmethod
    def _check(self) -> None:
        """Raises ValueError for arrays, which may come from a stranger, that `_fit` could not have made."""

    @abstractmethod
    def _encode(self, rows: NDArray) -> NDArray:
        """Codes of (B, width) rows."""

    @abstractmethod
    def _codes(self) -> Space:
        """The space of one code."""


def vectors(width: int) -> Box:
    """The space of (width,) vectors."""
    return Box(-np.inf, np.inf, (width,), np.float32)
