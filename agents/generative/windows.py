"""Windows of drawings, and how many different ones a model makes: whether its modes have collapsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST = 0.5
"""Share of the source's spread below which a model is said to have collapsed."""


class Spread(NamedTuple):
    """How different windows are."""

    distinct: float
    """Share of them that are different from all before."""
    difference: float
    """Share of the cells in which two of them differ, on average."""


def cut_windows(
    drawings: Sequence[NDArray], width: int, count: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Cuts windows of drawings at places that are left to chance; wide drawings are cut more often.

    Args:
        drawings: (height, columns) each; narrow ones are continued by their last column.
        width: columns of a window.
        count: how many windows.
        rng: of the places.

    Returns:
        (count, height, width) windows.
    """
    places = np.array([max(each.shape[1] - width + 1, 1) for each in drawings])
    ends = np.cumsum(places)
    windows = np.empty((count, len(drawings[0]), width), np.uint8)
    for window, place in zip(windows, rng.integers(ends[-1], size=count), strict=True):
        k = int(np.searchsorted(ends, place, side="right"))
        first = int(place - (ends[k] - places[k]))
        columns = np.minimum(np.arange(first, first + width), drawings[k].shape[1] - 1)
        window[:] = drawings[k][:, columns]
    return windows


def spread(windows: NDArray) -> Spread:
    """How different (N, height, width) windows are, N at least 2."""
    count = len(windows)
    flat = windows.reshape(count, -1)
    distinct = len({row.tobytes() for row in flat}) / count
    same = 0.0  # pairs of equal letters in the same cell, each with itself included
    for letter in np.unique(flat):
        here = (flat == letter).sum(axis=0, dtype=np.float64)
        same += (here * here).sum()
    pairs = flat.shape[1] * count * (count - 1)
    return Spread(distinct, float((flat.shape[1] * count * count - same) / pairs))


def has_collapsed(made: Spread, source: Spread) -> bool:
    """Whether what a model makes is far less different than what it learnt from."""
    return any(mine < LEAST * theirs for mine, theirs in zip(made, source, strict=True))
