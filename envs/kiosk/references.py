"""The solvers as reference policies: a plan for each city, placed one kiosk after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .objective import Objective
from .solvers import NAMES, Frame, frames, solve

if TYPE_CHECKING:
    from .world import Kiosk

SOLVERS = tuple(name for name in NAMES if name != "random")
"""Those that are reference policies; the agent `random` places kiosks at random, too."""
MOST_PLANS = 4096
"""Cities whose plans are kept."""


class SolverPolicy:
    """Solves a city when it sees it first, and then places what the plan has and the city has not.

    Args:
        world: where it acts.
        name: the solver's.
    """

    def __init__(self, world: Kiosk, name: str) -> None:
        self._world, self._name = world, name
        self._objective = Objective(world.config.objective, world.config.radius)
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
        key = self._world.city_key(record)
        if key not in self._plans:
            instance = self._world.instance_of(record)
            self._plans[key] = solve(self._name, instance, self._objective).sites
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        return self._plans[key]

    def frames(self, record: np.void) -> Iterator[Frame]:
        """How the solver searches the city of a record, to look at; nothing where that is no sight.

        Args:
            record: a state record.
        """
        try:
            yield from frames(self._name, self._world.instance_of(record), self._objective)
        except ValueError:
            return
