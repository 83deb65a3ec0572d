"""Which levels are in play, each with the time that the expert takes for it.

A level is certified when the search of `search.py`, within its limits and with the actions that every set
has, finds a way to the flag. Generated levels are drawn again until they are; which attempt it was and the
time are kept in the user's cache folder, and shipped for the usual difficulty, so that the first step ever
need not wait for the search to be compiled. A level from a file is looked into far more thoroughly; where no
way is found it can be played all the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ..core.binding import bind
from ..core.lots import even_lots
from ..core.splits import Split, first_seed
from .generator import UNIT, draw_level
from .kernels import reset_one
from .levels import LEVELS, Level, build_pool
from .search import (
    MOVE_TICKS,
    NO_PICTURES,
    THOROUGH,
    Plan,
    Searcher,
    search_fingerprint,
    search_thoroughly,
)
from .sets import read_set
from .state import ACTION_SETS, LARGE, LEVEL, RULES, STATES, THING, TILE, PlatformerParams, capacity_of

if TYPE_CHECKING:
    from rich.console import Console

MAX_POOL_SIZE = 4096
MAX_ATTEMPTS = 100
"""Draws for one seed; of the generator's levels nearly all are certified at the first."""

MAX_THREADS = 8  # of a certification

Note = tuple[int, int, str]
"""Attempt, par time and digest of a seed's certified level; of a drawn one see `certify_drawn`."""

CERTIFIED = Path(str(files(__name__.split(".")[0]))) / "assets" / "certified"
"""Shipped notes, written by `assets/draw_levels.py`."""


STRATA = 8
"""Difficulties of a pool that goes from easy to hard, at most."""


def load_pool(
    level: str, difficulty: float, split: Split, pool_size: int, easiest: float | None = None
) -> list[Level]:
    """Makes or reads the levels of a pool, and certifies them.

    Args:
        level: `generated`, `shipped`, the name of a shipped level, or the path of a level file or a set.
        difficulty: of generated levels, 0 to 1.
        split: range of seeds of generated levels, or part of a set.
        pool_size: number of generated levels.
        easiest: difficulty of the first levels of the split `train`, from which it rises to that of the last.

    Returns:
        Levels with their `par_time`; of one that is not certified it is 0, and a warning says so.

    Raises:
        ValueError: for an unknown level, a faulty level file or a pool size out of range.
    """
    if level == "generated":
        if not 1 <= pool_size <= MAX_POOL_SIZE:
            raise ValueError(f"pool_size must be from 1 to {MAX_POOL_SIZE}, not {pool_size}")
        return [each for part in strata(difficulty, split, pool_size, easiest) for each in _generated(*part)]
    if level not in ("shipped", *LEVELS.names()) and Path(level).is_dir():
        levels = read_set(Path(level), split)
    else:
        names = LEVELS.names() if level == "shipped" else [level]
        levels = [LEVELS.find(name, "generated", "shipped") for name in names]
    notes = certify_drawn(levels)
    failed = [k for k, (_, time, _) in enumerate(notes) if not time]
    if failed:
        others = f", nor are {len(failed) - 1} others of {len(levels)}" if failed[1:] else ""
        first, words = levels[failed[0]], stuck(levels[failed[0]], notes[failed[0]])
        warnings.warn(f"level {first.name!r} is not certified{others}: {words}", stacklevel=3)
    return [replace(each, par_time=time) for each, (_, time, _) in zip(levels, notes, strict=True)]


# ------------------------------------------------------------ certification


def certify(levels: Sequence[Level]) -> list[int]:
    """Lets the expert play levels.

    Returns:
        For each level the ticks from its start to its flag, 0 where no way was found within the budget.
    """
    return [plan.ticks if plan.clears else 0 for plan in search_levels(levels)]


def search_levels(levels: Sequence[Level]) -> list[Plan]:
    """Searches levels from their starts, on all processors; in a terminal a bar shows how far it is."""
    params, state = starting_states(levels)
    local = threading.local()

    def search(k: int) -> Plan:
        if not hasattr(local, "search"):
            local.search = Searcher()
        return local.search(params, state, k, len(ACTION_SETS["right_only"]), 1)

    with ThreadPoolExecutor(min(len(levels), os.cpu_count() or 1, MAX_THREADS)) as threads:
        return list(_shown(threads.map(search, range(len(levels))), len(levels)))


def certify_drawn(levels: Sequence[Level]) -> list[Note]:
    """Lets the expert play levels of files; where it finds no way it searches up to far larger limits.

    What comes of it is kept in the cache folder.

    Returns:
        For each level how far the expert came (columns, 0 where it found a way), the ticks to its flag (0
        where it found none), and which limit ended the search.
    """
    files = [_drawn_file(level) for level in levels]
    notes = {k: known[0] for k, file in enumerate(files) if (known := _recall(file))}
    missing = [k for k in range(len(levels)) if k not in notes]
    if missing:
        for k, time in zip(missing, certify([levels[k] for k in missing]), strict=True):
            notes[k] = (0, time, "") if time else _search_thoroughly(levels[k])
            _note(files[k], [notes[k]])
    return [notes[k] for k in range(len(levels))]


def note_certified(levels: Iterable[Level]) -> None:
    """Notes levels that are certified already, so that `certify_drawn` need not search them again."""
    for level in levels:
        _note(_drawn_file(level), [(0, level.par_time, "")])


def _search_thoroughly(level: Level) -> Note:
    with _status(f"Looking for a way through level {level.name!r}"):
        plan = search_thoroughly(*starting_states([level]), 0, len(ACTION_SETS["right_only"]), 1)
    return (0, plan.ticks, "") if plan.clears else (plan.furthest // TILE, 0, plan.limit)


def stuck(level: Level, note: Note) -> str:
    """Says what a search came to that found no way."""
    column, _, limit = note
    found = LIMITS.get(limit, "and all that the expert can reach was tried")
    return f"no way to its flag {found}; it came to column {column + 1} of {level.width}"


LIMITS = {
    "states": f"was found among {THOROUGH.states:,} states",
    "moves": f"of at most {THOROUGH.moves:,} moves was found",
    "ticks": f"was found within {THOROUGH.ticks:,} ticks",
}
"""What ended a search, in words."""


def starting_states(levels: Sequence[Level]) -> tuple[PlatformerParams, NDArray]:
    """Tables of levels, with the forward actions and the ticks of a search's moves, and their (M,) states."""
    buttons = ACTION_SETS["right_only"]
    rules = np.zeros(1, RULES)
    rules["frame_skip"] = MOVE_TICKS
    rules["buttons"][0, : len(buttons)] = buttons
    rules.flags.writeable = False
    params = PlatformerParams(rules, *build_pool(levels), **NO_PICTURES, lots=even_lots(len(levels)))
    state = np.zeros(len(levels), STATES[capacity_of(params)])
    state["ask_level"] = 1 + np.arange(len(levels))
    _bound_begin(state.dtype)(params, state)
    return params, state


@cache
def _bound_begin(record: np.dtype) -> Callable:
    return bind(_begin, __name__, {"reset_one": reset_one}, (record, RULES, LEVEL, THING))


def _begin(params, state):
    for i in range(len(state)):
        reset_one(params, state, i)


def _terminal() -> Console | None:
    """Where to say what takes its time: rich's console, else the errors' output; None: no terminal.

    On rich's console others' words may be moving already; it keeps a line for each.
    """
    import rich
    from rich.console import Console

    if (console := rich.get_console()).is_terminal:
        return console
    return Console(stderr=True) if sys.stderr.isatty() else None


def _status(words: str) -> contextlib.AbstractContextManager:
    """Says what takes its time, in a terminal."""
    terminal = _terminal()
    return terminal.status(words) if terminal else contextlib.nullcontext()


def _shown(results: Iterable[Plan], total: int) -> Iterator[Plan]:
    """Passes results on; in a terminal with a bar that goes when it is full."""
    if not (terminal := _terminal()):
        yield from results
        return
    from rich.progress import track

    yield from track(results, "Certifying levels", total, console=terminal, transient=True)


# ------------------------------------------------------------ generated levels and their cache


def strata(
    difficulty: float, split: Split, count: int, easiest: float | None
) -> list[tuple[float, Split, int]]:
    """The parts of a pool that are equally hard: difficulty, split, number of levels; see `load_pool`.

    Those that `draw_level` can't tell apart are one: each begins with the same seed.
    """
    if easiest is None or split != "train":
        return [(difficulty, split, count)]
    edges = [count * k // STRATA for k in range(STRATA + 1)]
    rise = (difficulty - easiest) / (STRATA - 1)
    parts: list[tuple[float, Split, int]] = []
    for _, alike in groupby(range(STRATA), lambda k: round((easiest + rise * k) * UNIT)):
        first, *others = alike
        parts.append((easiest + rise * first, "train", edges[max([first, *others]) + 1] - edges[first]))
    return [each for each in parts if each[2]]


def _generated(difficulty: float, split: Split, count: int) -> list[Level]:
    """Draws certified levels; what is not known from an earlier time is certified and noted."""
    name = notes_name(difficulty, split)
    file = _cache_file(name)
    known = max(_recall(CERTIFIED / name), _recall(file), key=len)
    levels, notes = draw_certified(difficulty, first_seed(split), count, known)
    if notes != known:
        _note(file, notes)
    return levels


def draw_certified(
    difficulty: float, first: int, count: int, known: Sequence[Note] = ()
) -> tuple[list[Level], list[Note]]:
    """Draws levels until each is certified.

    Args:
        difficulty: 0 to 1.
        first: seed of the first one.
        count: how many.
        known: notes of earlier times; what does not fit them is certified.

    Returns:
        The levels, and the notes of all that are known now.

    Raises:
        ValueError: where none of a seed's draws is certified.
    """
    levels: dict[int, Level] = {}
    for k, (attempt, par_time, digest) in enumerate(known[:count]):
        level = draw_level(difficulty, first + k, attempt)
        if level.digest == digest:
            levels[k] = replace(level, par_time=par_time)
    notes = [*known, *[(0, 0, "")] * (count - len(known))]
    missing = [k for k in range(count) if k not in levels]
    for attempt in range(MAX_ATTEMPTS):
        if not missing:
            break
        drawn = [draw_level(difficulty, first + k, attempt) for k in missing]
        for k, level, time in zip(missing, drawn, certify(drawn), strict=True):
            if time:
                levels[k] = replace(level, par_time=time)
                notes[k] = attempt, time, level.digest
        missing = [k for k in missing if k not in levels]
    if missing:
        seed = first + missing[0]
        raise ValueError(f"{MAX_ATTEMPTS} levels of difficulty {difficulty} and seed {seed} can't be cleared")
    return [levels[k] for k in range(count)], notes


def notes_name(difficulty: float, split: Split) -> str:
    """What a file of notes is called."""
    return f"{split}-{round(difficulty * UNIT)}.json"


def _cache_file(of: str) -> Path:
    """Where notes are kept; the name covers all that a level's time depends on but the level itself."""
    return Path(platformdirs.user_cache_dir("meze"), "levels", f"{search_fingerprint()}-{of}")


def _drawn_file(level: Level) -> Path:
    """Where the note of a level that was not generated is kept."""
    return _cache_file("-".join([level.digest, *map(str, THOROUGH)]) + ".json")


def _recall(file: Path) -> list[Note]:
    """Reads notes, none if anything is amiss.

    Returns:
        One for each seed from the first on; of a drawn level one.
    """
    try:
        notes = json.loads(file.read_bytes())
        sound = all(
            [type(value) for value in note] == [int, int, str]
            and 0 <= note[0] < max(MAX_ATTEMPTS, LARGE.width)
            and 0 <= note[1] <= THOROUGH.ticks
            for note in notes
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return []
    return [tuple(note) for note in notes] if sound else []


def _note(file: Path, notes: list[Note]) -> None:
    """Writes notes, all or nothing; where they can't be written they are found again the next time."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            json.dump(notes, new)
        os.replace(new.name, file)
