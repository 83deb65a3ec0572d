"""Levels that a model draws: what is to be learnt of a level, and which drawings become levels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from .levels import THINGS, TILES, Level, LevelError, check_level, check_rows
from .mending import mend_parts, place_ends
from .pool import note_certified, search_levels
from .search import Plan
from .state import HEIGHT

MOST_DRAWS = 10
"""Drawings for each level that is wanted."""
_NO_ENDS = str.maketrans("@F", "..")


class TooFewError(ValueError):
    """Too few drawings can be played."""


class Made(NamedTuple):
    """Levels that were made, and what became of all that was drawn."""

    levels: list[Level]
    """Each certified, and different from all others."""
    plans: list[Plan]
    """How the expert cleared them."""
    drawn: int
    """How many drawings there were."""
    unfit: int
    """Those that are no level by the rules, even mended."""
    repeats: int
    """Those that were drawn before."""
    uncertified: int
    """Those through which the expert finds no way."""
    mended: int
    """Those of which something was left out, or made ground."""

    @property
    def playable(self) -> float:
        """Share of drawings that the expert clears, repeats left out of account."""
        return len(self.levels) / max(self.drawn - self.repeats, 1)


def terrain(level: Level) -> tuple[str, ...]:
    """A level's rows without its start and its flag, which a rule puts where they belong."""
    return tuple(row.translate(_NO_ENDS) for row in level.rows)


def check_letters(letters: str, height: int, name: str) -> None:
    """Refuses a model of other tiles.

    Raises:
        LevelError: one line.
    """
    if strange := sorted(set(letters) - (TILES.keys() | THINGS.keys())):
        raise LevelError(
            f"{name} is a model of another tile set: {strange[0]!r} is no tile of the platformer"
        )
    if height != HEIGHT:
        raise LevelError(f"{name} is a model of another tile set: {height} rows; a level has {HEIGHT}")


def make_levels(draw: Callable[[int], Sequence[str]], count: int) -> Made:
    """Has levels be drawn until enough are certified.

    The first levels of a larger set are those of a smaller one.

    Args:
        draw: makes drawing `k` of a level, rows of letters as `check_letters` allows; equal for equal k.
        count: how many levels are wanted.

    Raises:
        TooFewError: one line, where too few of the drawings can be played.
    """
    levels: list[Level] = []
    plans: list[Plan] = []
    seen: set[Level] = set()
    drawn, counts = 0, Counter[str]()
    while len(levels) < count:
        batch = range(drawn, min(drawn + count - len(levels), MOST_DRAWS * count))
        if not batch:
            raise TooFewError(
                f"only {len(levels)} of {drawn:,} drawings are levels that can be cleared; "
                f"{count:,} are wanted"
            )
        found: list[Level] = []
        for k in batch:
            level = _finish(draw(k), f"made-{k:05}", counts)
            if level in seen:
                counts["repeats"] += 1
            elif level:
                seen.add(level)
                found.append(level)
        for level, plan in zip(found, search_levels(found) if found else (), strict=True):
            if plan.clears:
                levels.append(replace(level, par_time=plan.ticks))
                plans.append(plan)
            else:
                counts["uncertified"] += 1
        drawn = batch.stop
    note_certified(levels)
    return Made(levels, plans, drawn, **{name: counts[name] for name in Made._fields[3:]})


def _finish(rows: Sequence[str], name: str, counts: Counter[str]) -> Level | None:
    """Makes a level of a drawing; None where the rules forbid it."""
    lost: Counter[str] = Counter()
    try:
        check_rows(rows, name, 1, TILES.keys() | THINGS.keys(), HEIGHT)
        cells = list(map(list, rows))
        place_ends(cells, name, lost)
        level = mend_parts(Level(name, tuple(map("".join, cells))), lost)
        check_level(level, 1)
    except LevelError:
        counts["unfit"] += 1
        return None
    counts["mended"] += bool(+lost)
    return level
