"""Rows of results: what a run was asked, where it was trained, and what came of it; a line of JSON each.

A row comes from a stranger, maybe. Its settings are read as those of a run's `config.json` are: they may name
only what is registered, nothing in them is code, and no file is one that a row names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_origin, get_type_hints

import numpy as np

from ...files import check_regular, write_whole
from ..run.config import RunConfig, read_config
from ..setup.files import alone
from ..setup.resolve import reference_names
from ..setup.settings import from_plain, to_plain

FORMAT = 1
"""Version of a row; one with a higher version is refused."""
MOST_BYTES = 1 << 28
"""The largest file that is read."""
MOST_EPISODES = 100_000
"""Of an evaluation, whose measures are kept until its end."""
NAME = re.compile(r"[\w-]+", re.ASCII)
"""What a row may call a map, a level or an instance."""

Table: TypeAlias = Literal["presets", "defaults"]
"""In which table a row stands: settings known to work well, or one setting over all worlds."""


@dataclass(frozen=True)
class Evaluation:
    """What a run's final policy did in the episodes that all are judged by."""

    env: dict[str, bool | int | float | str]
    """In what its world differs from the run's own; empty: in nothing."""
    digest: str
    """Of all measures of all episodes; see `digest`."""
    measures: dict[str, float]
    """The episodes' mean measures."""
    yardsticks: dict[str, float]
    """Mean returns of the random agent and of the world's best reference in the same episodes."""

    @property
    def score(self) -> float:
        """The mean return, normalised where the world has a reference: the random agent has 0, that has 1."""
        value, low = self.measures["return"], self.yardsticks["random"]
        high = max(self.yardsticks.values())
        return (value - low) / (high - low) if low < high else value


@dataclass(frozen=True)
class Outcome:
    """What came of a run, and where."""

    steps: int
    """Transitions that it was trained with."""
    seconds: float
    """Seconds that it was trained for."""
    policy: str
    """Digest of all that the agent knows at its end; see `digest`."""
    evaluations: tuple[Evaluation, ...]
    """In the run's own world first."""
    cpu: str
    """The processor's model."""
    versions: dict[str, str]
    """Of meze, Python and libraries."""
    commit: str | None
    """Of the checkout that ran."""


@dataclass(frozen=True)
class Row:
    """A trained run."""

    table: Table
    config: RunConfig
    """What it was asked to do."""
    episodes: int
    """Episodes of each evaluation."""
    outcome: Outcome

    @property
    def name(self) -> str:
        """How it is called in messages."""
        defaults = " with its defaults" if self.table == "defaults" else ""
        config = self.config
        return f"{config.agent.name} in {config.environment.name}{defaults}, seed {config.settings.seed}"

    @property
    def is_exact(self) -> bool:
        """Whether any machine comes to the same bits: with tables of numbers alone, and no other library.

        Elsewhere sums and exponentials are rounded as the processor and the library like best.
        """
        return self.config.agent.extra is None and not self.config.agent.is_plugin

    def described(self) -> dict[str, Any]:
        """The row as plain values; see `read_row`."""
        outcome = to_plain(self.outcome)
        settings = self.config.described()
        return {
            "format": FORMAT,
            "table": self.table,
            "episodes": self.episodes,
            **outcome,
            "settings": settings,
        }


def read_row(plain: Any, file: Path) -> Row:
    """Reads what `Row.described` told, which may come from a stranger.

    Args:
        plain: decoded JSON.
        file: where it stands, for messages.

    Raises:
        ValueError: one line, when it is damaged, newer, or names what is not there.
    """
    if not isinstance(plain, dict) or type(plain.get("format")) is not int or plain["format"] < 1:
        raise ValueError("it is no row of results")
    if plain["format"] > FORMAT:
        raise ValueError(
            f"it is from a newer version of meze (format {plain['format']}; this one reads {FORMAT})"
        )
    rest = dict(plain)
    try:
        table, episodes, settings = (rest.pop(name) for name in ("table", "episodes", "settings"))
    except KeyError as error:
        raise ValueError(f"it lacks {error.args[0]}") from None
    del rest["format"]
    config = read_config(settings, file)
    teacher = getattr(config.settings, "teacher", None)
    named = teacher is None or teacher in reference_names(config.environment, config.env_config)
    if config.encoding or config.macros or not named:
        raise ValueError(
            "it has an encoder, macro-actions, or a teacher that is no reference, which no result has"
        )
    outcome = from_plain(Outcome, rest, "outcome")
    if not 1 <= from_plain(int, episodes, "episodes") <= MOST_EPISODES or not outcome.evaluations:
        raise ValueError(f"it has no evaluation of 1 to {MOST_EPISODES:,} episodes")
    for words in _files_named(config.env_config, [each.env for each in outcome.evaluations]):
        raise ValueError(f"its world is made of a file, {words!r}, which no result has")
    numbers = [outcome.seconds]
    for each in outcome.evaluations:
        numbers += [*each.measures.values(), *each.yardsticks.values()]
    if not all(map(math.isfinite, numbers)):
        raise ValueError("it has a number that is not finite")
    if not all("return" in each.measures and "random" in each.yardsticks for each in outcome.evaluations):
        raise ValueError("it has an evaluation without a return, or without the random agent's")
    return Row(from_plain(Table, table, "table"), config, episodes, outcome)


def _files_named(env_config: Any, places: Sequence[Mapping[str, Any]]) -> list[str]:
    """What may be a path among the settings of a world, and of others where its agent was judged."""
    hints = get_type_hints(type(env_config))
    usual = {
        each.name: each.default
        for each in dataclasses.fields(env_config)
        if get_origin(hints[each.name]) is not Literal
    }
    own = {name: getattr(env_config, name) for name in usual}
    words = [
        value
        for settings in (own, *places)
        for name, value in settings.items()
        if isinstance(value, str) and name in usual and value != usual[name]
    ]
    return [
        each
        for each in words
        if not NAME.fullmatch(each) or os.path.lexists(each) or os.path.lexists(f"{each}.txt")
    ]


def read_rows(path: Path) -> list[Row]:
    """Reads a file of rows.

    Raises:
        OSError: when it can't be read.
        ValueError: one line, which names that of the file that is damaged.
    """
    check_regular(path)
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        where = f"{path}, line {number}"
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"{where} was cut short or altered") from None
        try:
            rows.append(read_row(plain, path))
        except RecursionError:
            raise ValueError(f"{where} was cut short or altered") from None
        except ValueError as error:
            raise ValueError(f"{where}: {str(error).removeprefix(f'{path}: ')}") from None
    return rows


def add_row(path: Path, row: Row) -> None:
    """Adds a row to a file, which need not be there, at once or not at all."""
    line = json.dumps(row.described(), separators=(",", ":"), allow_nan=False) + "\n"
    with alone(path.with_suffix(".lock")):
        before = path.read_bytes() if path.exists() else b""
        end = b"" if before.endswith(b"\n") or not before else b"\n"  # which an editor may have taken away
        write_whole(path, before, end, line.encode())


def digest(values: Mapping[str, Any]) -> str:
    """A hash of arrays and plain values by their names: equal bits have equal ones, on any machine."""
    found = hashlib.blake2b(digest_size=16)
    for name, value in sorted(values.items()):
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            found.update(f"{name} {array.dtype.descr} {value.shape} ".encode())
            found.update(array.tobytes())
        else:
            found.update(f"{name} {json.dumps(value, sort_keys=True)} ".encode())
    return found.hexdigest()
