"""What encoders of arrays share: rows of numbers, their compiled maps, and saved arrays.

An encoder is fitted on observations and then turns each into an index (for tables) or a vector (for
networks). Each fitted encoder is a few arrays, and what turns observations into codes are the kernels below,
row by row: a row's code depends on that row alone, whatever the batch and whoever is beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from ..caching import compiled
from .base import State
from .checks import taken
from .spaces import told

WIDE = 64
"""Rows with as many numbers are summed along the row; narrower ones along the result."""


@dataclass(frozen=True)
class NoSettings:
    """Encoders that have none."""


class ArrayEncoder:
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
            raise ValueError(f"encoders need observations that are arrays; got {told(observation_space)}")
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

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        raise NotImplementedError

    def _check(self) -> None:
        """Raises ValueError for arrays, which may come from a stranger, that `_fit` could not have made."""
        raise NotImplementedError

    def _encode(self, rows: NDArray) -> NDArray:
        raise NotImplementedError

    def _codes(self) -> Space:
        raise NotImplementedError


def vectors(width: int) -> Box:
    """The space of (width,) vectors."""
    return Box(-np.inf, np.inf, (width,), np.float32)


def indices(count: int) -> Discrete:
    """The space of so many indices."""
    return Discrete(count)


# --- Kernels --------------------------------------------------------------------------------------------


class Affine:
    """A linear map of rows and an offset, row by row: what a row becomes does not depend on the others.

    Args:
        weights: (D, M).
        offsets: (M,).
    """

    def __init__(self, weights: NDArray, offsets: NDArray) -> None:
        if np.ndim(weights) != 2 or np.shape(offsets) != (np.shape(weights)[1],) or not np.size(weights):
            raise ValueError("the encoder's arrays do not belong together")  # kernels would not notice
        self._width, wide = len(weights), len(weights) >= WIDE
        self._weights = np.ascontiguousarray(weights.T if wide else weights, np.float32)
        self._offsets = np.ascontiguousarray(offsets, np.float32)
        self._map = _wide_map if wide else _narrow_map
        self._lowest = _wide_lowest if wide else _narrow_lowest

    def __call__(self, rows: NDArray) -> NDArray[np.float32]:
        """(B, M) of offsets + rows @ weights, for (B, D) rows of any numbers."""
        return self._map(self._checked(rows), self._weights, self._offsets)

    def lowest(self, rows: NDArray) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The (B,) columns of the lowest of these values, the first of equals; and the (B,) values."""
        return self._lowest(self._checked(rows), self._weights, self._offsets)

    def _checked(self, rows: NDArray) -> NDArray:
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ValueError("the encoder's arrays do not belong together")
        return rows


# Sums over a wide row may be taken in any order, so that many parts of them are added at once.
@compiled(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _dots(row, weights, offsets, out):
    """Writes offsets + weights @ row, weights (M, D)."""
    whole = len(out) // 4 * 4
    for m in range(0, whole, 4):  # four at once: none waits for its own last sum
        one = two = three = four = np.float32(0)
        for d in range(len(row)):
            one += row[d] * weights[m, d]
            two += row[d] * weights[m + 1, d]
            three += row[d] * weights[m + 2, d]
            four += row[d] * weights[m + 3, d]
        out[m] = offsets[m] + one
        out[m + 1] = offsets[m + 1] + two
        out[m + 2] = offsets[m + 2] + three
        out[m + 3] = offsets[m + 3] + four
    for m in range(whole, len(out)):
        one = np.float32(0)
        for d in range(len(row)):
            one += row[d] * weights[m, d]
        out[m] = offsets[m] + one


@compiled(nogil=True)
def _sums(row, weights, offsets, out):
    """Writes offsets + row @ weights, weights (D, M)."""
    out[:] = offsets
    for d in range(len(row)):
        for m in range(len(out)):
            out[m] += row[d] * weights[d, m]


@compiled(nogil=True)
def _first_lowest(values):
    """The column of the lowest value, the first of equals."""
    least = values[0]
    for m in range(1, len(values)):
        least = values[m] if values[m] < least else least
    for m in range(len(values)):
        if values[m] == least:
            return m
    return 0  # nothing but values that are no numbers


@compiled(nogil=True)
def _wide_map(rows, weights, offsets):
    row = np.empty(rows.shape[1], np.float32)
    out = np.empty((len(rows), len(offsets)), np.float32)
    for b in range(len(rows)):
        for d in range(len(row)):
            row[d] = rows[b, d]
        _dots(row, weights, offsets, out[b])
    return out


@compiled(nogil=True)
def _narrow_map(rows, weights, offsets):
    row = np.empty(rows.shape[1], np.float32)
    out = np.empty((len(rows), len(offsets)), np.float32)
    for b in range(len(rows)):
        for d in range(len(row)):
            row[d] = rows[b, d]
        _sums(row, weights, offsets, out[b])
    return out


@compiled(nogil=True)
def _wide_lowest(rows, weights, offsets):
    row = np.empty(rows.shape[1], np.float32)
    values = np.empty(len(offsets), np.float32)
    index, least = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    for b in range(len(rows)):
        for d in range(len(row)):
            row[d] = rows[b, d]
        _dots(row, weights, offsets, values)
        index[b] = _first_lowest(values)
        least[b] = values[index[b]]
    return index, least


@compiled(nogil=True)
def _narrow_lowest(rows, weights, offsets):
    row = np.empty(rows.shape[1], np.float32)
    values = np.empty(len(offsets), np.float32)
    index, least = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    for b in range(len(rows)):
        for d in range(len(row)):
            row[d] = rows[b, d]
        _sums(row, weights, offsets, values)
        index[b] = _first_lowest(values)
        least[b] = values[index[b]]
    return index, least
