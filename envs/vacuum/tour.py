"""Shortest tours: from the dock over all dirty cells and back, in ticks, without a pet and without a battery.

Where nothing is left out the search is dynamic programming over sets of cells (Held & Karp 1962), and exact;
else it is a beam search over the same states.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing
from .flat import DIRT, letters_of, moves, ways_to
from .state import CELLS


class Tour(NamedTuple):
    """A way to clean a flat."""

    ticks: int
    states: NDArray[np.int64]
    """(N,) for each dirty cell, in the order in which they are cleaned, where and how the robot arrives."""
    is_best: bool
    """Whether there is no shorter one."""


def find_tour(flat: Drawing, turns: bool, width: int = 200) -> Tour:
    """Looks for a short tour, which begins at the dock, facing up.

    Args:
        flat: the flat.
        turns: whether turning takes a tick.
        width: how many ways are followed at a time, the shortest ones; the tour is the best one where these
            are all that there are.
    """
    letters = letters_of(flat.rows)
    dirty, dock = np.flatnonzero(np.isin(letters, list(DIRT))), int(np.flatnonzero(letters == "D")[0])
    goals = (np.arange(4) * CELLS + dirty[:, None]).ravel()
    after = moves(letters, turns)
    to_goals = ways_to(after, goals)
    legs = to_goals[:, goals].T  # (G, G) from one to another
    to_dock = ways_to(after, np.arange(4) * CELLS + dock).min(axis=0)[goals]
    # A set is called the sum of its cells' random names, which leave room for the number of a goal.
    names = np.random.default_rng(0).integers(1, 1 << 52, len(dirty)) << 10
    cost, last = to_goals[:, dock], np.arange(len(goals))
    visited = np.eye(len(dirty), dtype=np.bool_).repeat(4, axis=0)
    trail = last[:, None]
    is_best = True
    for k in range(len(dirty)):
        if k > 0:
            longer = cost[:, None] + legs[last]
            longer[visited.repeat(4, axis=1)] = np.inf
            row, goal = np.nonzero(np.isfinite(longer))
            cost, last, visited = longer[row, goal], goal, visited[row]
            visited[np.arange(len(row)), goal // 4] = True
            trail = np.column_stack([trail[row], goal])
        order = np.argsort(cost, kind="stable")
        _, first = np.unique((visited @ names + last)[order], return_index=True)
        kept = order[np.sort(first)]
        is_best &= len(kept) <= width
        kept = kept[:width]
        cost, last, visited, trail = cost[kept], last[kept], visited[kept], trail[kept]
    total = cost + to_dock[last]
    best = int(total.argmin())
    return Tour(int(total[best]), goals[trail[best]], bool(is_best))
