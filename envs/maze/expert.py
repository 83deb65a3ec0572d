"""The expert: it searches with the true dynamics over copies of the record, and so foresees chance, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import bind_policy, kernel
from .kernels import nearest_food, step_one
from .state import STATE, MazeParams

DEPTH, BEAM = 24, 16  # ticks that it looks ahead, and ways that it keeps of each: at most 1,536 nodes
NEVER = np.int64(-(1 << 40))
FAR = 96  # what a step to the nearest pellet counts, in 1/1024


class Search(NamedTuple):
    """Params, and room for a search."""

    p: MazeParams
    kept: NDArray[np.void]
    """(BEAM,) records."""
    found: NDArray[np.void]
    """(4 BEAM,) records."""
    ways: NDArray[np.int64]
    """(5, 4 BEAM) return and first action of what is kept; return, first action, worth of what is found."""


@kernel
def expand(q, count, is_first):
    """Steps from all that is kept. Returns how many live; return and first action of the best that ends."""
    live, best, action = 0, NEVER, np.int64(0)
    for k in range(count):
        m = q.p.mazes[q.kept[k].maze]
        for d in range(4):
            if m.next[q.kept[k].cell[0], d] != q.kept[k].cell[0]:
                q.found[live] = q.kept[k]
                reward, is_over = step_one(q.p, q.found, live, d)
                e, total, first = q.found[live], q.ways[0, k] + reward, d if is_first else q.ways[1, k]
                if is_over:
                    if total > best:
                        best, action = total, np.int64(first)
                else:
                    steps = q.p.away[e.maze, e.cell[0], nearest_food(q.p, m, e)]
                    q.ways[2, live], q.ways[3, live], q.ways[4, live] = total, first, total - FAR * steps
                    live += 1
    return live, best, action


@kernel
def keep(q, live):
    """Keeps the best of what was found, of equals one; returns how many. The best is the first."""
    count = 0
    while count < BEAM:
        best = -1
        for k in range(live):
            if q.ways[4, k] > NEVER and (best < 0 or q.ways[4, k] > q.ways[4, best]):
                best = k
        if best < 0:
            break
        is_new, e = True, q.found[best]
        q.ways[4, best] = NEVER
        for k in range(count):
            same = q.kept[k].cell[0] == e.cell[0] and q.kept[k].left == e.left
            is_new &= not (same and q.ways[0, k] == q.ways[2, best])
        if is_new:
            q.kept[count] = e
            q.ways[0, count], q.ways[1, count] = q.ways[2, best], q.ways[3, best]
            count += 1
    return count


@kernel
def search_one(q, s, i):
    """The first step of the best way that a beam search finds."""
    q.kept[0] = s[i]
    q.ways[0, 0], count = 0, 1
    end, last = NEVER, np.int64(0)
    for depth in range(DEPTH):
        live, best, action = expand(q, count, depth == 0)
        if best > end:
            end, last = best, action
        count = keep(q, live)
        if count == 0:
            return last  # no way goes on
    return last if end > q.ways[0, 0] else q.ways[1, 0]


def expert() -> Callable[[Any, NDArray], NDArray[np.int64]]:
    """The policy; the room for its search is its own."""
    room = np.zeros(BEAM, STATE), np.zeros(4 * BEAM, STATE), np.zeros((5, 4 * BEAM), np.int64)
    return lambda params, state: bind_policy(search_one)(Search(params, *room), state)
