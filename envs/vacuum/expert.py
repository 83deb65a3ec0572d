"""The expert: it knows the flat, follows the shortest tour that it finds, and turns back in time.

A tour leads from the dock over all dirty cells and back, in ticks, without a pet and without a battery. Where
nothing is left out the search is dynamic programming over sets of cells (Held & Karp 1962), and exact; else
it is a beam search over the same states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, each_level, ways_to
from .flat import DIRT, cells_of, letters_of, moves
from .kernels import CAUTION
from .state import CELLS, VacuumParams


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


def expert(params: VacuumParams, flats: Sequence[Drawing]) -> Callable[[Any, NDArray], NDArray[np.int64]]:
    """The policy; each flat's tour is looked for when it is first met."""
    return each_level("flat", lambda flat: _follower(params.flats[flat], flats[flat], params.turns))


def _follower(layout: NDArray[np.void], flat: Drawing, turns: bool) -> Callable[[NDArray], NDArray[np.int64]]:
    """What takes the step that leads nearest to the first cell that is still dirty, or home while it can."""
    after, states = moves(letters_of(flat.rows), turns), find_tour(flat, turns).states
    cells = np.append(states % CELLS, layout["dock"])  # in the order of the tour; the dock comes last
    to_dock = ways_to(after, layout["dock"] + CELLS * np.arange(4)).min(axis=0)
    ticks = np.concatenate([ways_to(after, states), to_dock[None]])
    need = layout["home"].astype(np.int64).ravel()  # battery that the way to the dock takes, by state
    drain = np.tile(1 + cells_of(layout["carpet"]).astype(np.int64), 4)

    def act(state: NDArray) -> NDArray[np.int64]:
        dirt = state["dirt"][:, 0, cells >> 6] >> (cells & 63).astype(np.uint64) & np.uint64(1)
        dirt[:, -1] = 1
        then = after[:, CELLS * state["heading"].astype(np.int64) + state["cell"]]
        stands = then % CELLS == state["pet"]  # in the way
        action = np.where(stands, np.inf, ticks[dirt.argmax(axis=1), then]).argmin(axis=0)
        chosen = then[action, np.arange(len(state))]
        is_late = state["battery"] - drain[chosen] <= need[chosen] + CAUTION
        # There is no time to wait: a pet that is hit steps aside.
        return np.where(is_late, need[then].argmin(axis=0), action)

    return act
