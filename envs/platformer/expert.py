"""The platformer's expert: it searches a way to the flag, and follows it while all goes as foreseen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.binding import bind
from ..core.world import CORE_FIELDS
from .kernels import step_one
from .search import MOVE_TICKS, NO_PICTURES, Plan, Searcher, search_thoroughly
from .state import ACTION_SETS, LEVEL, RULES, THING

MAX_KNOWN = 1 << 16  # states whose action is remembered


class Expert:
    """Plays any number of environments of one world, from any state.

    A plan is remembered as a table from each state on its way to the action there. So nothing needs to be
    known about the calls before, environments in the same state share a plan, and whatever is not as foreseen
    (another level, a disturbed player) leads to a new search.
    """

    def __init__(self, num_actions: int, frame_skip: int) -> None:
        """Knows nothing yet.

        Args:
            num_actions: of the world's set of actions.
            frame_skip: ticks of a step.
        """
        self._repeat = max(1, MOVE_TICKS // frame_skip)
        forward, simple = len(ACTION_SETS["right_only"]), len(ACTION_SETS["simple"])
        self._choices = sorted({forward, min(num_actions, simple)})
        self._search: Searcher | None = None
        self._known: dict[bytes, int] = {}

    def __call__(self, params: Any, state: NDArray) -> NDArray[np.int64]:
        """Chooses actions.

        Args:
            params: the world's tables.
            state: (N,) records, which are left as they are.

        Returns:
            (N,) int64 actions; 0 where the episode is over.
        """
        actions = np.zeros(len(state), np.int64)
        for i, key in enumerate(_keys(state)):
            if not state[i]["done"]:
                if key not in self._known:
                    self._learn(params, state, i)
                actions[i] = self._known[key]
        return actions

    def _learn(self, params: Any, state: NDArray, i: int) -> None:
        """Searches from the state of row `i`, and notes the action in each state on the way."""
        plan = self.plan(params, state, i)
        actions = plan.actions.repeat(self._repeat)
        if not plan.clears:  # what lies behind its end is not known: search again half-way
            actions = actions[: -(-len(actions) // 2)]
        if len(actions) == 0:  # nothing helps
            actions = np.zeros(1, np.uint8)
        trail = _rows(state, [i] * (len(actions) + 1))
        _bound_follow(trail.dtype)(params._replace(**NO_PICTURES), trail, actions)
        if len(self._known) > MAX_KNOWN:
            self._known.clear()
        self._known.update(zip(_keys(trail[:-1]), actions.tolist(), strict=True))

    def plan(self, params: Any, state: NDArray, i: int) -> Plan:
        """Searches with the actions that every set has; where they do not do, also to the left.

        From the start of a level that is certified it is as thorough as the certification.
        """
        if self._search is None:
            self._search = Searcher()
        forward = self._choices[0]
        plan = self._search(params, state, i, forward, self._repeat)
        if not plan.clears and state[i]["tick"] == 0 and params.levels[state[i]["level"]]["par_time"] > 0:
            plan = search_thoroughly(params, state, i, forward, self._repeat)
        for num_actions in self._choices[1:]:
            if not plan.clears:
                plan = self._search(params, state, i, num_actions, self._repeat)
        return plan


def _keys(state: NDArray) -> list[bytes]:
    """Names what matters of (N,) records for what comes next: all but the random stream and the reports."""
    records = _rows(state, range(len(state)))
    for name in ("info", "parts", "ask_level", *(field[0] for field in CORE_FIELDS)):
        records[name] = np.zeros((), records.dtype[name])
    rows = records.view(np.uint8).reshape(len(records), -1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _rows(state: NDArray, rows: Sequence[int]) -> NDArray:
    """Copies records, also the bytes between their fields, which numpy else leaves undefined."""
    return state.view(np.dtype((np.void, state.itemsize)))[list(rows)].view(state.dtype)


@cache
def _bound_follow(record: np.dtype) -> Callable:
    return bind(_follow, __name__, {"step_one": step_one}, (record, RULES, LEVEL, THING))


def _follow(params, trail, actions):
    """Fills a trail of states, of which the first is given, with what the actions lead to."""
    for k in range(len(actions)):
        trail[k + 1] = trail[k]
        step_one(params, trail, k + 1, actions[k])
