"""The solvers as reference policies: a plan for each city, placed one kiosk after the other."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.world import Sight
from .instances import Instance
from .objective import Objective
from .pool import Pool
from .solvers import NAMES, Frame, frames, solve
from .state import KioskParams
from .validate import with_kiosks

SOLVERS = tuple(name for name in NAMES if name != "random")
"""Those that are reference policies; the agent `random` places kiosks at random, too."""
EXPERT = "interchange"
"""The solver that bears the name `expert`, too: it knows all objectives, needs no coordinates, and finds the
best placements that are known of every shipped instance in less than two seconds."""
MOST_PLANS = 4096
"""Cities whose plans are kept."""


class SolverPolicy:
    """Solves a city when it sees it first, and then places what the plan has and the city has not.

    Args:
        name: the solver's.
        pool: the cities of the world where it acts.
        params: that world's tables.
        objective: what counts.
    """

    def __init__(self, name: str, pool: Pool, params: KioskParams, objective: Objective) -> None:
        self._name, self._pool, self._params, self._objective = name, pool, params, objective
        self._plans: OrderedDict[Any, NDArray[np.int64]] = OrderedDict()

    def __call__(self, params: Any, state: NDArray) -> NDArray[np.int64]:
        """The (N,) next sites."""
        return np.array([self._next(record) for record in state], np.int64)

    def _next(self, record: np.void) -> int:
        """The next site of the plan that is free, or any."""
        plan = self._plan(record)
        free = record["taken"] == 0
        return int(plan[free[plan].argmax()] if free[plan].any() else free.argmax())

    def _plan(self, record: np.void) -> NDArray[np.int64]:
        key = self._pool.key_of(record)
        if key not in self._plans:
            instance = self._pool.instance_of(record)
            self._plans[key] = solve(self._name, instance, self._objective).sites
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        return self._plans[key]

    def sights(self, state: NDArray) -> Iterator[Sight]:
        """Shows how the solver searches the cities of some records, where that is a sight.

        Args:
            state: (N,) records.

        Yields:
            (N,) records in which the kiosks stand where the search has them, and for each of them the (C, 2)
            places, in steps, that the renderer is to mark. Where a search is over, its end stays.
        """
        searches = [self._frames(self._pool.instance_of(record)) for record in state]
        latest: list[Frame | None] = [None] * len(state)
        while True:
            shown = [next(search, None) for search in searches]
            if all(frame is None for frame in shown):
                return
            latest = [new or old for new, old in zip(shown, latest, strict=True)]
            kiosks = state["kiosks"].copy()
            for row, frame in zip(kiosks, latest, strict=True):
                if frame is not None:
                    row[: len(frame.sites)] = frame.sites
            yield with_kiosks(self._params, state, kiosks), [frame and frame.centres for frame in latest]

    def _frames(self, instance: Instance) -> Iterator[Frame]:
        with contextlib.suppress(ValueError):  # not of every solver and objective there is something to see
            yield from frames(self._name, instance, self._objective)
