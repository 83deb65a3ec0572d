"""A* over cloned state records: a quick way to the flag, with the world's own kernels as its model.

The search (Hart, Nilsson and Raphael, 1968) keeps records, which steps of the true dynamics turn into their
successors; where they would take too much memory it keeps one in some moves, and plays the others again from
there. Its estimate of the ticks to go is the distance to the flag at running speed. It is anytime:
weighted A* (Pohl, 1970) finds some way first, and restarts with smaller weights find quicker ones (Richter,
Thayer and Ruml, 2010) until the budget is spent. States that differ by less than half a tile and a few ticks
count as one, so the last result is near the quickest way, but no proof of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.binding import bind, fingerprint
from ..core.compiling import kernel, rare_kernel
from .kernels import step_one
from .state import LEVEL, PLATFORMER_STATE, PLAYER_WIDTH, RULES, RUN_SPEED, THING


class Limits(NamedTuple):
    """Where a search gives up, and what it may keep."""

    states: int
    """That it may try, all restarts together."""
    moves: int
    """Of a plan."""
    ticks: int
    """Weighted ticks beyond which no way is looked for."""
    record_every: int = 1
    """Moves from one state that is kept as a whole record to the next on the same way."""
    record_bytes: int = 1 << 62
    """For these records; once they are used up no more are kept."""


USUAL = Limits(200_000, moves=1024, ticks=8192)
"""Takes up to 150 MB, and twice that for the large record."""
THOROUGH = Limits(5_000_000, moves=4096, ticks=32_768, record_every=16, record_bytes=400 << 20)
"""For levels that somebody has drawn; takes up to 750 MB."""

WEIGHTS = (8, 6, 5, 4)
"""Of the estimate, in quarters, one after the other."""

MOVE_TICKS = 4
"""Ticks for which a search holds the buttons, or a step's if these are more."""

_KNUTH = np.uint64(0x9E3779B97F4A7C15)  # multiplicative hashing, The Art of Computer Programming, 6.4

NO_PICTURES = {"views": np.zeros((1, 1), np.uint8), "sprites": np.zeros(1, np.uint8)}
"""Takes the place of what observations are made of: one compiled search serves all worlds."""
for _table in NO_PICTURES.values():
    _table.flags.writeable = False

NODE = np.dtype(
    [
        ("parent", np.int32),
        ("next", np.int32),  # in the same bucket, -1 at its end
        ("record", np.int32),  # where its record is, -1 where it was not kept
        ("moves", np.uint16),  # from the root
        ("action", np.uint8),  # that led here
    ],
    align=True,
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
    limit: str = ""
    """Which of `Limits` ended it where no way was found: `states`, `moves` or `ticks`; empty: none, all that
    it tells apart was tried."""
    effort: int = 0
    """States that were tried until some way was found, 0 where none was."""
    furthest: int = 0
    """Units from the level's left edge, of the player that came furthest on firm ground, where no way was
    found."""


class Searcher:
    """Searches, one after the other, in the same scratch memory; each thread needs its own.

    Args:
        limits: of each search. The system gives memory as it is used.
    """

    def __init__(self, limits: Limits = USUAL) -> None:
        self.limits = limits
        self._states: NDArray = np.zeros(0)
        self._nodes = np.zeros(limits.states + 1, NODE)
        self._buckets = np.empty(limits.ticks, np.int32)
        self._met = np.empty(1 << (2 * limits.states).bit_length(), MET)
        self._path = np.empty(limits.moves, np.uint8)

    def __call__(self, params: Any, state: NDArray, i: int, num_actions: int, repeat: int) -> Plan:
        """Searches a way from the state of environment `i` to the flag.

        Args:
            params: the world's tables.
            state: batch of records, which are left as they are.
            i: which of them.
            num_actions: how many of the world's actions, from the first, are tried.
            repeat: steps for which each is repeated.
        """
        params, limits = params._replace(**NO_PICTURES), self.limits
        if self._states.dtype != state.dtype:
            count = min(limits.states, limits.record_bytes // state.itemsize)
            self._states = np.zeros(count + 2, state.dtype)  # two to work in
        best, tried, cuts = Plan(self._path[:0], 0, False, 0), 0, 0
        for weight in WEIGHTS:
            limit = best.ticks if best.clears else limits.ticks
            length, ticks, clears, more, cut, furthest = _bound_search(state.dtype)(
                params, state, i, num_actions, repeat, weight, limit, limits.states - tried,
                limits.record_every, self._states, self._nodes, self._buckets, self._met, self._path,
            )  # fmt: skip
            tried, cuts = tried + more, cuts | cut
            if clears or not best.clears and ticks > best.ticks:
                effort = best.effort or tried * clears
                best = Plan(self._path[:length].copy(), ticks, bool(clears), tried, "", effort, furthest)
        ended_by = "" if best.clears or not cuts else CUTS[cuts.bit_length() - 1]
        return best._replace(tried=tried, limit=ended_by)


def search_thoroughly(params: Any, state: NDArray, i: int, num_actions: int, repeat: int) -> Plan:
    """Searches up to the limits `THOROUGH`, one search at a time; see `Searcher`."""
    with _ALONE:
        return Searcher(THOROUGH)(params, state, i, num_actions, repeat)


_ALONE = threading.Lock()
CUTS = ("ticks", "moves", "states")
"""Limits by which ways were cut off, by the bits that tell of them."""


@cache
def search_fingerprint() -> str:
    """Names what a search's result depends on beside the state: physics, budget, method."""
    settings = *USUAL[:3], *WEIGHTS
    return "-".join(
        [fingerprint(_bound_search(PLATFORMER_STATE), (PLATFORMER_STATE, RULES)), *map(str, settings)]
    )


@cache
def _bound_search(record: np.dtype) -> Callable:
    return bind(_search, __name__, {}, (record, NODE, MET, RULES, LEVEL, THING))


def _search(
    params, state, i, num_actions, repeat, weight, limit, budget, every, states, nodes, buckets, met, path
):
    """One search.

    Returns:
        Moves of the plan in `path`, its ticks, whether it clears, states tried, bits of `CUTS`, and the x of
        the state on firm ground that came furthest.
    """
    for k in range(len(buckets)):
        buckets[k] = -1
    for k in range(len(met)):
        met[k].key = 0
    goal_x = params.levels[state[i].level].flag_x - PLAYER_WIDTH
    start = int(state[i].tick)
    spare = len(states) - 1  # where what was not kept is played again
    states[0] = state[i]
    nodes[0].parent = -1
    nodes[0].next = -1
    nodes[0].record = 0
    nodes[0].moves = 0
    low = ticks_to_go(states, 0, goal_x) * weight // 4
    if low >= len(buckets):
        return 0, 0, False, 0, 1, int(states[0].x)
    buckets[low] = 0
    count = 1
    kept = 1
    tried = 0
    cuts = 0
    goal = -1
    best = 0
    best_x = int(states[0].x)
    ticks = 0  # of the best
    while goal < 0:
        while low < len(buckets) and buckets[low] < 0:
            low += 1
        if low == len(buckets):
            break
        if tried + num_actions > budget:
            cuts |= 4
            break
        node = buckets[low]
        buckets[low] = nodes[node].next
        if nodes[node].moves == len(path):
            cuts |= 2
            continue
        at = int(nodes[node].record)
        if at < 0:
            at = spare
            play_again(params, states, nodes, node, path, repeat, at)
        survives = False
        for action in range(num_actions):
            states[kept] = states[at]
            tried += 1
            over = hold(params, states, kept, action, repeat)
            clears = states[kept].info.clear
            if over and not clears:
                continue
            survives = True
            passed = int(states[kept].tick) - start
            to_go = ticks_to_go(states, kept, goal_x)
            bound = passed + to_go * weight // 4
            if passed + to_go >= limit or bound >= len(buckets):
                cuts |= 1
                continue
            pace = passed * RUN_SPEED - states[kept].x
            if not clears and has_met(met, alike(states, kept), pace):
                continue
            nodes[count].parent = node
            nodes[count].action = action
            nodes[count].moves = nodes[node].moves + 1
            nodes[count].record = -1
            nodes[count].next = buckets[bound]
            buckets[bound] = count
            low = min(low, bound)
            if clears:
                goal = count
                ticks = passed
                break
            if nodes[count].moves % every == 0 and kept < spare - 1:
                nodes[count].record = kept
                kept += 1
            count += 1
        if goal < 0 and survives and states[at].grounded and states[at].x > best_x:
            best = node
            best_x = int(states[at].x)
            ticks = int(states[at].tick) - start
    last = goal if goal >= 0 else best
    length = nodes[last].moves
    for k in range(length - 1, -1, -1):
        path[k] = nodes[last].action
        last = nodes[last].parent
    return length, ticks, goal >= 0, tried, cuts, best_x


@rare_kernel
def hold(params, states, k, action, repeat):
    """Repeats an action in `states[k]`; whether the episode is over. Apart, for the compiler: it is large."""
    for _ in range(repeat):
        _, over = step_one(params, states, k, action)
        if over:
            return True
    return False


@rare_kernel
def play_again(params, states, nodes, node, path, repeat, at):
    """Writes the state of a node to `states[at]`: from the last record before it, by the moves since then."""
    length = 0
    while nodes[node].record < 0:
        path[length] = nodes[node].action
        length += 1
        node = nodes[node].parent
    states[at] = states[nodes[node].record]
    for k in range(length - 1, -1, -1):
        hold(params, states, at, np.int64(path[k]), repeat)  # of one type everywhere: compiled once


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
