"""The expert: it knows the flat, follows the shortest tour that it finds, and turns back in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing
from .flat import cells_of, letters_of, moves, ways_to
from .kernels import CAUTION
from .state import CELLS
from .tour import find_tour


class Plan(NamedTuple):
    """What the expert knows of a flat."""

    cells: NDArray[np.int64]
    """(N,) the dirty cells, in the order of the tour, then the dock."""
    ticks: NDArray[np.float64]
    """(N, STATES) to each of them."""
    after: NDArray[np.int64]
    """(A, STATES) which state follows."""
    home: NDArray[np.int64]
    """(STATES,) battery that the way to the dock takes."""
    drain: NDArray[np.int64]
    """(STATES,) battery that a tick takes there."""


class Expert:
    """Plans of all flats, each made when it is first met.

    Args:
        flats: the pool.
        turns: whether turning takes a tick.
    """

    def __init__(self, flats: Sequence[Drawing], turns: bool) -> None:
        self._flats, self._turns = flats, turns
        self._plans: dict[int, Plan] = {}

    def __call__(self, params: Any, state: NDArray) -> NDArray[np.int64]:
        """Chooses (N,) actions."""
        actions = np.zeros(len(state), np.int64)
        for flat in map(int, np.unique(state["flat"])):
            if flat not in self._plans:
                self._plans[flat] = self._plan(params.flats[flat], self._flats[flat])
            rows = state["flat"] == flat
            actions[rows] = _follow(self._plans[flat], state[rows])
        return actions

    def _plan(self, layout: NDArray[np.void], flat: Drawing) -> Plan:
        after = moves(letters_of(flat.rows), self._turns)
        states = find_tour(flat, self._turns).states
        docked = int(layout["dock"]) + CELLS * np.arange(4)
        ticks = np.concatenate([ways_to(after, states), ways_to(after, docked).min(axis=0)[None]])
        cells = np.append(states % CELLS, layout["dock"])
        home, drain = layout["home"].astype(np.int64), 1 + cells_of(layout["carpet"]).astype(np.int64)
        return Plan(cells, ticks, after, home.ravel(), np.tile(drain, 4))


def _follow(plan: Plan, state: NDArray) -> NDArray[np.int64]:
    """Takes the step that leads nearest to the first cell that is still dirty, or home while it can."""
    rows = np.arange(len(state))
    dirt = state["dirt"][:, 0, plan.cells >> 6] >> (plan.cells & 63).astype(np.uint64) & np.uint64(1)
    dirt[:, -1] = 1  # the dock comes last
    here = CELLS * state["heading"].astype(np.int64) + state["cell"]
    after = plan.after[:, here]
    stands = after % CELLS == state["pet"]  # in the way
    far = np.where(stands, np.inf, plan.ticks[dirt.argmax(axis=1), after])
    action = far.argmin(axis=0)
    then = after[action, rows]
    is_late = state["battery"] - plan.drain[then] <= plan.home[then] + CAUTION
    home = plan.home[after].argmin(axis=0)  # there is no time to wait: a pet that is hit steps aside
    return np.where(is_late, home, action)
