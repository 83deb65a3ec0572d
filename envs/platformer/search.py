"""A* over cloned state records: a quick way to the flag, with the world's own kernels as its model.

The search (Hart, Nilsson and Raphael, 1968) keeps whole records, which steps of the true dynamics turn into
their successors. Its estimate of the ticks to go is the distance to the flag at running speed. It is anytime:
weighted A* (Pohl, 1970) finds some way first, and restarts with smaller weights find quicker ones (Richter,
Thayer and Ruml, 2010) until the budget is spent. States that differ by less than half a tile and a few ticks
count as one, so the last result is near the quickest way, but no proof of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.binding import bind, fingerprint
from ..core.compiling import kernel
from .kernels import step_one
from .state import LEVEL, PLATFORMER_STATE, PLAYER_WIDTH, RULES, RUN_SPEED, THING

BUDGET = 200_000
"""States that one search may try, all restarts together."""

WEIGHTS = (8, 6, 5, 4)
"""Of the estimate, in quarters, one after the other."""

MOVE_TICKS = 4
"""Ticks for which a search holds the buttons, or a step's if these are more."""

MAX_MOVES = 1024  # of a plan

MAX_TICKS = 8192
"""Weighted ticks beyond which no way is looked for."""
_KNUTH = np.uint64(0x9E3779B97F4A7C15)  # multiplicative hashing, The Art of Computer Programming, 6.4

NO_PICTURES = {"views": np.zeros((1, 1), np.uint8), "sprites": np.zeros(1, np.uint8)}
"""Takes the place of what observations are made of: one compiled search serves all worlds."""
for _table in NO_PICTURES.values():
    _table.flags.writeable = False

NODE = np.dtype(
    [
        ("parent", np.int32),
        ("action", np.int32),  # that led here
        ("moves", np.int32),  # from the root
        ("next", np.int32),  # in the same bucket, -1 at its end
    ]
)

MET = np.dtype(
    [
        ("key", np.int64),  # of states that count as one, 0 where there is none yet
        ("pace", np.int64),  # of the best of them: units behind a player that runs from the root on
    ]
)


class Plan(NamedTuple):
    """What a search found."""

    actions: NDArray[np.uint8]
    """(L,) actions, each to be repeated as the search was told."""
    ticks: int
    """Ticks that it lasts."""
    clears: bool
    """False where no way to the flag was found: the plan then ends on firm ground, nearer to it."""
    tried: int
    """States that were tried."""


class Searcher:
    """Searches, one after the other, in the same scratch memory; each thread needs its own."""

    def __init__(self, budget: int = BUDGET) -> None:
        """Sets the memory aside: 0.7 KB for each state of the budget, of which the system gives what is used.

        Args:
            budget: states that one search may try.
        """
        self.budget = budget
        self._states: NDArray = np.zeros(0)
        self._nodes = np.zeros(budget + 1, NODE)
        self._buckets = np.empty(MAX_TICKS, np.int32)
        self._met = np.empty(1 << (2 * budget).bit_length(), MET)
        self._path = np.empty(MAX_MOVES, np.uint8)

    def __call__(self, params: Any, state: NDArray, i: int, num_actions: int, repeat: int) -> Plan:
        """Searches a way from the state of environment `i` to the flag.

        Args:
            params: the world's tables.
            state: batch of records, which are left as they are.
            i: which of them.
            num_actions: how many of the world's actions, from the first, are tried.
            repeat: steps for which each is repeated.
        """
        params = params._replace(**NO_PICTURES)
        if self._states.dtype != state.dtype:
            self._states = np.zeros(self.budget + 1, state.dtype)
        best, tried = Plan(self._path[:0], 0, False, 0), 0
        for weight in WEIGHTS:
            limit = best.ticks if best.clears else MAX_TICKS
            length, ticks, clears, more = _bound_search(state.dtype)(
                params, state, i, num_actions, repeat, weight, limit, self.budget - tried,
                self._states, self._nodes, self._buckets, self._met, self._path,
            )  # fmt: skip
            tried += more
            if clears or not best.clears and ticks > best.ticks:
                best = Plan(self._path[:length].copy(), ticks, bool(clears), tried)
        return best._replace(tried=tried)


@cache
def search_fingerprint() -> str:
    """Names what a search's result depends on beside the state: physics, budget, method."""
    settings = BUDGET, *WEIGHTS
    return "-".join(
        [fingerprint(_bound_search(PLATFORMER_STATE), (PLATFORMER_STATE, RULES)), *map(str, settings)]
    )


@cache
def _bound_search(record: np.dtype) -> Callable:
    return bind(_search, __name__, {"step_one": step_one}, (record, NODE, MET, RULES, LEVEL, THING))


def _search(params, state, i, num_actions, repeat, weight, limit, budget, states, nodes, buckets, met, path):
    for k in range(len(buckets)):
        buckets[k] = -1
    for k in range(len(met)):
        met[k].key = 0
    goal_x = params.levels[state[i].level].flag_x - PLAYER_WIDTH
    start = int(state[i].tick)
    states[0] = state[i]
    nodes[0].parent = -1
    nodes[0].moves = 0
    nodes[0].next = -1
    low = ticks_to_go(states, 0, goal_x) * weight // 4
    buckets[low] = 0
    count = 1
    tried = 0
    goal = -1
    best = 0
    while tried + num_actions <= budget and goal < 0:
        while low < len(buckets) and buckets[low] < 0:
            low += 1
        if low == len(buckets):
            break
        node = buckets[low]
        buckets[low] = nodes[node].next
        if nodes[node].moves == len(path):
            continue
        survives = False
        for action in range(num_actions):
            states[count] = states[node]
            tried += 1
            over = False
            for _ in range(repeat):
                _, over = step_one(params, states, count, action)
                if over:
                    break
            clears = states[count].info.clear
            if over and not clears:
                continue
            survives = True
            ticks = states[count].tick - start
            to_go = ticks_to_go(states, count, goal_x)
            bound = ticks + to_go * weight // 4
            if ticks + to_go >= limit or bound >= len(buckets):
                continue
            pace = ticks * RUN_SPEED - states[count].x
            if not clears and has_met(met, alike(states, count), pace):
                continue
            nodes[count].parent = node
            nodes[count].action = action
            nodes[count].moves = nodes[node].moves + 1
            nodes[count].next = buckets[bound]
            buckets[bound] = count
            low = min(low, bound)
            if clears:
                goal = count
                break
            count += 1
        if survives and states[node].grounded and states[node].x > states[best].x:
            best = node
    last = goal if goal >= 0 else best
    length = nodes[last].moves
    for k in range(length - 1, -1, -1):
        path[k] = nodes[last].action
        last = nodes[last].parent
    return length, states[goal if goal >= 0 else best].tick - start, goal >= 0, tried


@kernel
def ticks_to_go(states, k, goal_x):
    """The estimate: ticks at running speed. Only on a moving platform is one faster, for a moment."""
    return max(goal_x - states[k].x, 0) // RUN_SPEED


@kernel
def alike(states, k):
    """A number, not 0, that states have in common which count as one."""
    s = states[k]
    flags = s.grounded + 2 * (s.jump_held > 0) + 4 * s.jump_class + 16 * s.big + 32 * (s.invulnerable > 0)
    key = np.int64(s.x >> 11)
    for part in (s.y >> 11, s.vx >> 6, s.vy >> 8, flags + 64 * s.ride, s.tick >> 4):
        key = key * np.int64(1_000_003) + part
    return key | np.int64(1) << np.int64(62)


@kernel
def has_met(met, key, pace):
    """Whether a state alike was met before that was as far at least; notes this one (linear probing)."""
    place = np.int64(np.uint64(key) * _KNUTH >> np.uint64(20)) & (len(met) - 1)
    while met[place].key != 0 and met[place].key != key:
        place = (place + 1) & (len(met) - 1)
    if met[place].key == key and met[place].pace <= pace:
        return True
    met[place].key = key
    met[place].pace = pace
    return False
