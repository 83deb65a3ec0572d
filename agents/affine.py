"""Affine maps of rows, each row on its own: the same numbers in any batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..caching import compiled

WIDE = 64
"""Rows with as many numbers are summed along the row; narrower ones along the result."""


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
