"""Kinds of levels side by side: how many can be played, how hard, how new and how different they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...envs.core.splits import FIRST_SEED
from ...envs.platformer.generator import draw_level
from ...envs.platformer.judging import Judgement, judge
from ...envs.platformer.levels import Level
from ...envs.platformer.making import Made
from ...envs.platformer.pool import search_levels
from ...envs.platformer.search import Plan
from ...envs.platformer.state import TICKS_PER_SECOND

JUDGED = 200
"""Levels of each kind that are judged, at most."""
COLUMNS = ("", "playable", "par", "effort", "deaths", "KL", "nearest", "copies", "apart")
NOTES = {
    "playable": "playable: share that the expert clears, before the others are left out.",
    "par": "par: mean seconds that the expert takes; effort: median states that it tries to find a way.",
    "deaths": "deaths: share in which who runs, and jumps over what is near, dies.",
    "KL": "KL: divergence of tile patterns from the source, in nats.",
    "nearest": "nearest: mean edit distance to the nearest level of the source, in shares of the columns.",
    "copies": "copies: levels that the source has.",
    "apart": "apart: mean edit distance between two of the levels.",
}


@dataclass(frozen=True)
class Kind:
    """A kind of levels, judged."""

    name: str
    playable: float | None
    """Share that the expert clears; None where those that it does not clear are not there any more."""
    judged: Judgement

    def cells(self) -> list[str]:
        """Of a table with `COLUMNS`."""
        found = self.judged
        return [
            self.name,
            "" if self.playable is None else f"{100 * self.playable:.1f} %",
            f"{found.par / TICKS_PER_SECOND:.1f} s",
            f"{found.effort:,}",
            f"{100 * found.deaths:.0f} %",
            f"{found.divergence:.3f}",
            f"{found.nearest:.3f}",
            f"{found.copies}",
            f"{found.apart:.3f}",
        ]

    def facts(self) -> dict[str, Any]:
        """For a report."""
        return {"playable": self.playable, **vars(self.judged)}


def kind_of_source(levels: Sequence[Level], generated: bool) -> Kind | None:
    """The source itself, each level beside the others; None where there are not two that are certified.

    Args:
        levels: all of them.
        generated: whether the generator made them, which certifies what it makes.
    """
    cleared, plans = _cleared([level for level in levels if level.par_time][:JUDGED])
    if len(cleared) < 2:
        return None
    playable = None if generated else sum(level.par_time > 0 for level in levels) / len(levels)
    return Kind("source", playable, judge(cleared, plans, levels, within=True))


def kind_of_generator(difficulty: float, source: Sequence[Level]) -> Kind:
    """Levels of the generator, at the first attempt, of seeds on which nothing is trained."""
    first = FIRST_SEED["test"]
    drawn = [draw_level(difficulty, seed) for seed in range(first, first + JUDGED)]
    cleared, plans = _cleared(drawn)
    return Kind("generator", len(cleared) / len(drawn), judge(cleared, plans, source))


def _cleared(levels: Sequence[Level]) -> tuple[list[Level], list[Plan]]:
    """Those levels that the expert clears, and how."""
    plans = search_levels(levels) if levels else []
    found = [(level, plan) for level, plan in zip(levels, plans, strict=True) if plan.clears]
    return [level for level, _ in found], [plan for _, plan in found]


def kind_of_made(name: str, made: Made, source: Sequence[Level]) -> Kind:
    """Levels that a model made."""
    return Kind(name, made.playable, judge(made.levels[:JUDGED], made.plans[:JUDGED], source))
