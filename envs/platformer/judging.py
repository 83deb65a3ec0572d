"""Levels judged beside others: how hard they are, how new, and how different from each other.

Start and flag are left out where levels are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...caching import compiled
from ..core.vector import WorldVectorEnv
from .config import PlatformerConfig
from .levels import Level
from .making import terrain
from .observe import NUM_SITUATIONS, SITUATION_WORDS
from .search import Plan
from .state import ACTION_SETS, JUMP, RIGHT, RUN
from .world import Platformer

PATTERNS = (2, 3, 4)
"""Sides of the squares whose letters make a pattern."""
SMOOTHING = 1e-6
"""Added to counts of patterns (Lucas & Volz 2019)."""
MOST_STEPS = 1024


@dataclass(frozen=True)
class Judgement:
    """What is told of a set of levels."""

    levels: int
    """How many were judged."""
    par: float
    """Mean ticks that the expert takes."""
    effort: int
    """Median states that its search tries until it finds some way."""
    deaths: float
    """Share of levels in which `run_hastily` dies."""
    reached: float
    """Mean share of the way to the flag that it comes."""
    divergence: float
    """Of tile patterns from those of the source: see `pattern_divergence`."""
    nearest: float
    """Mean edit distance to the nearest level of the source."""
    copies: int
    """Levels whose distance is 0: the source has them."""
    apart: float
    """Mean edit distance between two of the levels."""


def judge(
    levels: Sequence[Level], plans: Sequence[Plan], source: Sequence[Level], within: bool = False
) -> Judgement:
    """Judges levels beside those of a source.

    Args:
        levels: certified, two at least.
        plans: how the expert clears them.
        source: what they are compared with.
        within: they are levels of the source, two at least: each is compared with its others.
    """
    died, reached = run_hastily(levels)
    distances, among = edit_distances(levels, source), edit_distances(levels, levels)
    if within:
        distances[[[one is other for other in source] for one in levels]] = np.inf
    nearest = distances.min(axis=1)
    return Judgement(
        len(levels),
        float(np.mean([plan.ticks for plan in plans])),
        int(np.median([plan.effort for plan in plans])),
        float(died.mean()),
        float(reached.mean()),
        pattern_divergence(levels, source),
        float(nearest.mean()),
        int((nearest == 0).sum()),
        float(among.sum() / (len(levels) * (len(levels) - 1))),
    )


# ------------------------------------------------------------ patterns


def pattern_divergence(levels: Sequence[Level], source: Sequence[Level]) -> float:
    """How far the tile patterns of levels are from those of others; 0 for equal frequencies.

    Half the Kullback-Leibler divergence one way and half the other, in nats, averaged over squares of
    `PATTERNS` tiles: what is in the one and not in the other counts either way (Lucas & Volz, "Tile Pattern
    KL-Divergence for Analysing and Evolving Game Levels", GECCO 2019).
    """
    found = []
    for side in PATTERNS:
        mine, theirs = (_frequencies(each, side) for each in (levels, source))
        patterns = sorted(mine | theirs)
        p, q = (_smoothed(each, patterns) for each in (mine, theirs))
        found.append(0.5 * float(((p - q) * np.log(p / q)).sum()))
    return float(np.mean(found))


def _frequencies(levels: Sequence[Level], side: int) -> Counter[bytes]:
    counts: Counter[bytes] = Counter()
    for level in levels:
        cells = np.frombuffer("".join(terrain(level)).encode("ascii"), np.uint8).reshape(len(level.rows), -1)
        squares = np.lib.stride_tricks.sliding_window_view(cells, (side, side)).reshape(-1, side * side)
        counts.update(np.ascontiguousarray(squares).view(f"V{side * side}").ravel().tolist())
    return counts


def _smoothed(counts: Counter[bytes], patterns: Sequence[bytes]) -> NDArray[np.float64]:
    found = np.array([counts[pattern] for pattern in patterns], np.float64)
    return (found + SMOOTHING) / ((found.sum() + SMOOTHING) * (1 + SMOOTHING))


# ------------------------------------------------------------ edit distances


def edit_distances(levels: Sequence[Level], others: Sequence[Level]) -> NDArray[np.float64]:
    """How many columns must be put in, left out or exchanged to make one level of another (Levenshtein 1966).

    Returns:
        (N, M) distances as shares of the wider one's columns, 0 to 1.
    """
    number: dict[tuple[str, ...], int] = {}
    chains = [
        [
            np.array([number.setdefault(column, len(number)) for column in zip(*terrain(each), strict=True)])
            for each in part
        ]
        for part in (levels, others)
    ]
    ends = [np.cumsum([0, *map(len, part)]) for part in chains]
    mine, theirs = (np.concatenate(part) for part in chains)
    found = np.empty((len(levels), len(others)))
    _fill_distances(mine, ends[0], theirs, ends[1], found)
    return found


@compiled(nogil=True)
def _fill_distances(mine, my_ends, theirs, their_ends, found):
    row = np.empty(np.diff(their_ends).max() + 1, np.int64)
    for k in range(found.shape[0]):
        first = mine[my_ends[k] : my_ends[k + 1]]
        for m in range(found.shape[1]):
            second = theirs[their_ends[m] : their_ends[m + 1]]
            for j in range(len(second) + 1):
                row[j] = j
            for i in range(len(first)):
                before, row[0] = row[0], i + 1
                for j in range(len(second)):
                    exchanged = before + (first[i] != second[j])
                    before = row[j + 1]
                    row[j + 1] = min(exchanged, before + 1, row[j] + 1)
            found[k, m] = row[len(second)] / max(len(first), len(second))


# ------------------------------------------------------------ a fixed agent


def run_hastily(levels: Sequence[Level]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Has somebody play who runs to the right and jumps over what is near.

    Returns:
        (N,) whether it dies, and (N,) what share of the way it comes.
    """
    world = Platformer(PlatformerConfig(observation="index", actions="right_only"), levels)
    count = len(levels)
    envs = WorldVectorEnv(world, count, MOST_STEPS, AutoresetMode.DISABLED)
    seen, _ = envs.reset(seed=0, options={"level": np.arange(count)})
    died, over, reached = np.zeros(count, bool), np.zeros(count, bool), np.zeros(count)
    while not over.all():
        seen, _, terminated, truncated, info = envs.step(_haste()[seen])
        reached = np.where(over, reached, info["progress"])
        died |= ~over & terminated & ~info["clear"].astype(bool)
        ended = terminated | truncated
        over |= ended
        if ended.any():
            envs.reset(options={"reset_mask": ended})
    return died, reached


@cache
def _haste() -> NDArray[np.int64]:
    """(NUM_SITUATIONS,) actions of who is in a hurry, by `observe_situation`."""
    sizes = [len(words) for words in SITUATION_WORDS]
    footing, held, _, wall, gap, danger = np.unravel_index(np.arange(NUM_SITUATIONS), sizes)
    near = (wall > 0) | (gap == 1) | (gap == 2) | ((danger >= 1) & (danger <= 4))
    jump = np.where(footing == 0, near & (held == 0), footing == 1)  # held while rising
    run = ACTION_SETS["right_only"].index(RIGHT | RUN), ACTION_SETS["right_only"].index(RIGHT | RUN | JUMP)
    return np.where(jump, run[1], run[0])
