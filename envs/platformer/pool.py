"""Which levels are in play, each with the time that the expert takes for it.

A level is certified when the search of `search.py`, with its budget of states and the actions that every set
has, finds a way to the flag. Generated levels are drawn again until they are; which attempt it was and the
time are kept in the user's cache folder. A hand-made level that is not certified can be played all the same.
"""

from __future__ import annotations

import contextlib
import difflib
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
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ..core.binding import bind
from ..core.splits import Split, first_seed
from .generator import draw_level
from .kernels import reset_one
from .levels import Level, build_pool, read_level, shipped_level, shipped_levels
from .search import MAX_TICKS, MOVE_TICKS, NO_PICTURES, Searcher, search_fingerprint
from .state import ACTION_SETS, LEVEL, RULES, STATES, THING, PlatformerParams, capacity_of

MAX_POOL_SIZE = 4096
MAX_ATTEMPTS = 100
"""Draws for one seed; of the generator's levels nearly all are certified at the first."""

MAX_THREADS = 8  # of a certification; a search takes up to 150 MB


def load_pool(level: str, difficulty: float, split: Split, pool_size: int) -> list[Level]:
    """Makes or reads the levels of a pool, and certifies them.

    Args:
        level: `generated`, `shipped`, the name of a shipped level, or the path of a level file.
        difficulty: of generated levels, 0 to 1.
        split: range of seeds of generated levels.
        pool_size: number of generated levels.

    Returns:
        Levels with their `par_time`; of one that is not certified it is 0, and a warning says so.

    Raises:
        ValueError: for an unknown level, a faulty level file or a pool size out of range.
    """
    if level == "generated":
        if not 1 <= pool_size <= MAX_POOL_SIZE:
            raise ValueError(f"pool_size must be from 1 to {MAX_POOL_SIZE}, not {pool_size}")
        return _generated(difficulty, split, pool_size)
    levels = _read(level)
    times = certify(levels)
    for each, time in zip(levels, times, strict=True):
        if not time:
            problem = "is not certified: the expert did not find a way to its flag"
            warnings.warn(f"level {each.name!r} {problem}", stacklevel=2)
    return [replace(each, par_time=time) for each, time in zip(levels, times, strict=True)]


def _read(level: str) -> list[Level]:
    if level == "shipped":
        return [shipped_level(name) for name in shipped_levels()]
    if level in shipped_levels():
        return [shipped_level(level)]
    if Path(level).exists() or Path(level).name != level or level.endswith(".txt"):
        return [read_level(level)]
    names = ("generated", "shipped", *shipped_levels())
    close = difflib.get_close_matches(level, names, 1)
    there = f"there are {', '.join(names)}, or the path of a level file"
    raise ValueError(f"unknown level {level!r}; " + (f"did you mean {close[0]!r}?" if close else there))


# ------------------------------------------------------------ certification


def certify(levels: Sequence[Level]) -> list[int]:
    """Lets the expert play levels, on all processors; in a terminal a bar shows how far it is.

    Returns:
        For each level the ticks from its start to its flag, 0 where no way was found within the budget.
    """
    params, state = starting_states(levels)
    local = threading.local()

    def time(k: int) -> int:
        if not hasattr(local, "search"):
            local.search = Searcher()
        plan = local.search(params, state, k, len(ACTION_SETS["right_only"]), 1)
        return plan.ticks if plan.clears else 0

    with ThreadPoolExecutor(min(len(levels), os.cpu_count() or 1, MAX_THREADS)) as threads:
        return list(_shown(threads.map(time, range(len(levels))), len(levels)))


def starting_states(levels: Sequence[Level]) -> tuple[PlatformerParams, NDArray]:
    """Tables of levels, with the forward actions and the ticks of a search's moves, and their (M,) states."""
    buttons = ACTION_SETS["right_only"]
    rules = np.zeros(1, RULES)
    rules["num_levels"], rules["frame_skip"] = len(levels), MOVE_TICKS
    rules["buttons"][0, : len(buttons)] = buttons
    rules.flags.writeable = False
    params = PlatformerParams(rules, *build_pool(levels), **NO_PICTURES)
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


def _shown(results: Iterable[int], total: int) -> Iterator[int]:
    """Passes results on; where the errors' output is a terminal, with a bar that goes when it is full."""
    if not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(results, "Certifying levels", total, console=console, transient=True)


# ------------------------------------------------------------ generated levels and their cache


def _generated(difficulty: float, split: Split, count: int) -> list[Level]:
    """Draws certified levels; what is not known from an earlier time is certified and noted."""
    file, first = _cache_file(difficulty, split), first_seed(split)
    notes = _recall(file)
    levels: dict[int, Level] = {}
    for k, (attempt, par_time, digest) in enumerate(notes[:count]):
        level = draw_level(difficulty, first + k, attempt)
        if level.digest == digest:
            levels[k] = replace(level, par_time=par_time)
    missing = [k for k in range(count) if k not in levels]
    if not missing:
        return [levels[k] for k in range(count)]
    notes += [(0, 0, "")] * (count - len(notes))
    for attempt in range(MAX_ATTEMPTS):
        drawn = [draw_level(difficulty, first + k, attempt) for k in missing]
        for k, level, time in zip(missing, drawn, certify(drawn), strict=True):
            if time:
                levels[k] = replace(level, par_time=time)
                notes[k] = attempt, time, level.digest
        missing = [k for k in missing if k not in levels]
        if not missing:
            _note(file, notes)
            return [levels[k] for k in range(count)]
    seed = first + missing[0]
    raise ValueError(f"{MAX_ATTEMPTS} levels of difficulty {difficulty} and seed {seed} can't be cleared")


def _cache_file(difficulty: float, split: Split) -> Path:
    """Where notes are kept; the name covers all that a level's time depends on but the level itself."""
    folder = Path(platformdirs.user_cache_dir("meze"), "levels")
    return folder / f"{search_fingerprint()}-{split}-{round(difficulty * 1024)}.json"


def _recall(file: Path) -> list[tuple[int, int, str]]:
    """Reads the notes (attempt, par time, digest) of seeds from the first on; none if anything is amiss."""
    try:
        notes = json.loads(file.read_bytes())
        sound = all(
            [type(value) for value in note] == [int, int, str]
            and 0 <= note[0] < MAX_ATTEMPTS
            and 0 <= note[1] <= MAX_TICKS
            for note in notes
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return []
    return [tuple(note) for note in notes] if sound else []


def _note(file: Path, notes: list[tuple[int, int, str]]) -> None:
    """Writes notes, all or nothing; where they can't be written they are found again the next time."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            json.dump(notes, new)
        os.replace(new.name, file)
