"""Levels drawn by weights: a table of running sums, which all environments of a batch share.

A reset draws a lot; the level whose running sum is the first above it has won. With weights of 1 each this is
`uniform_int` of the number of levels, to the bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .compiling import kernel
from .rng import uniform_int

MOST_LOTS = 2**31 - 1
"""Lots of all levels together, at most: `uniform_int` draws from no more than twice as many."""


def lots_of(weights: ArrayLike, num_levels: int) -> NDArray[np.int64]:
    """The table of some weights.

    Args:
        weights: (M,) integers from 0, not all of them 0.
        num_levels: M; 0 in a world without levels.

    Returns:
        (M,) int64 running sums, not writable.

    Raises:
        ValueError: one line, for weights that do not fit, or too many lots.
    """
    given = np.asarray(weights)
    if num_levels == 0:
        raise ValueError("this world has no levels to be weighed")
    if given.shape != (num_levels,) or given.dtype.kind not in "biu" or given.min() < 0:
        problem = f"got {given.dtype} of shape {given.shape}"
        raise ValueError(f"weights of {num_levels} levels are as many integers from 0; {problem}")
    total = sum(given.tolist())  # which can't run over
    if not 1 <= total <= MOST_LOTS:
        raise ValueError(f"weights of levels must add up to 1 .. {MOST_LOTS:,}, got {total:,}")
    lots = np.cumsum(given, dtype=np.int64)
    lots.flags.writeable = False
    return lots


def even_lots(num_levels: int) -> NDArray[np.int64]:
    """The table of so many levels that are all alike; see `lots_of`."""
    return lots_of(np.ones(num_levels, np.int64), num_levels)


@kernel
def draw_lot(rng, lots):
    """Draws a level by its weight.

    Args:
        rng: (2,) uint64 key and counter.
        lots: (M,) int64 running sums; see `lots_of`.

    Returns:
        int64 in [0, M).
    """
    lot = uniform_int(rng, lots[len(lots) - 1])
    low, high = 0, len(lots) - 1
    while low < high:
        middle = (low + high) >> 1
        if lots[middle] > lot:
            high = middle
        else:
            low = middle + 1
    return low
