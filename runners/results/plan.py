"""Which runs results are made of, and in which order they are trained until the time is over."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ...agents.registry import AgentSpec
from ..run.config import RunConfig
from ..run.executor import STOPPED, Executor, Task
from ..run.start import usual
from ..setup.files import held
from ..setup.resolve import Environment
from ..setup.settings import override
from ..setup.text import printable
from .job import ask, outcome_of
from .rows import Row, Table, add_row, digest, read_rows

LEAST, MOST = 5, 30
"""Seeds that each pair is trained with, and those of which a run takes less than `SHORT` seconds."""
SHORT = 10.0
"""Seconds of a run that is quick."""


@dataclass(frozen=True)
class Pair:
    """An agent in an environment, with the settings of one of the tables."""

    table: Table
    config: RunConfig
    """With what it is trained, but for the seed."""
    places: tuple[dict[str, Any], ...] = ({},)
    """What is different where it is evaluated, one after another; its own world first."""

    def with_seed(self, seed: int) -> RunConfig:
        """What the run with a seed is asked to do."""
        settings = dataclasses.replace(self.config.settings, seed=seed)
        return dataclasses.replace(self.config, settings=settings)

    def key(self, episodes: int) -> str:
        """What it has in common with its rows, all settings but the seed: see `key_of`."""
        return _key(self.table, self.config, episodes, self.places)


def key_of(row: Row) -> str:
    """What a row has in common with its pair."""
    return _key(row.table, row.config, row.episodes, [each.env for each in row.outcome.evaluations])


def _key(table: Table, config: RunConfig, episodes: int, places: Sequence[dict[str, Any]]) -> str:
    settings = config.described()
    del settings["run"]["seed"]
    return digest({"table": table, "settings": settings, "episodes": episodes, "places": list(places)})


def pair_of(
    table: Table, environment: Environment, spec: AgentSpec, places: Sequence[dict[str, Any]] = ()
) -> Pair:
    """An agent that is asked for with nothing but its name; on the CPU, so that it comes to the same again.

    Args:
        table: in which it stands.
        environment: where it is trained, and what is known of it.
        spec: who.
        places: what is different where it is evaluated as well.
    """
    config = usual(spec, environment).config
    if spec.on_device:
        config = dataclasses.replace(config, settings=override(config.settings, {"device": "cpu"}))
    return Pair(table, config, ({}, *places))


@dataclass
class Account:
    """What a pair has come to so far, and what it has taken."""

    rows: dict[int, Row]
    """By their seeds."""
    under_way: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Seeds to when they began, and when they are to stop."""
    patience: float = 2 * SHORT
    """Seconds that a run of unknown cost is given before others have their turn."""
    done: float = 0.0
    """Seconds that the runs with a row have taken, evaluations included."""
    lost: float = 0.0
    """Seconds of runs that were stopped."""
    failed: bool = False

    @property
    def cost(self) -> float:
        """Seconds of the next run: what the others have taken, or for how long it may go on."""
        return self.done / len(self.rows) if self.rows else self.patience

    @property
    def taken(self) -> float:
        """Seconds that it has taken in all, those of runs under way included."""
        return self.done + self.lost + self.cost * len(self.under_way)

    @property
    def next_seed(self) -> int | None:
        """The lowest seed that is missing; None where there are enough, or it can't be trained."""
        seconds = [row.outcome.seconds for row in self.rows.values()]
        wanted = MOST if seconds and median(seconds) < SHORT else LEAST
        there = self.rows.keys() | self.under_way.keys()
        return None if self.failed or len(there) >= wanted else min({*range(MOST)} - there)


@dataclass
class Results:
    """The runs of some pairs, and the file in which each has its row.

    Pairs share the time: the next run is that of the pair which would have taken the least with it, times its
    number of seeds then, so that a slow pair's first seed comes before a quick one's tenth. As long as nobody
    knows what a run costs, it is stopped and saved after a while, which doubles each time; so who is slow
    keeps nobody waiting.

    Raises:
        ValueError: one line, when a row in the file is damaged.
    """

    path: Path
    """The file of rows; it need not be there."""
    work: Path
    """Folder of what is under way, from which it goes on."""
    pairs: Sequence[Pair]
    episodes: int
    """Of each evaluation."""
    until: float
    """When to stop, in seconds since 1970."""
    failures: dict[str, str] = field(default_factory=dict)
    """Name of each run that failed to its reason."""

    def __post_init__(self) -> None:
        """Reads what is there."""
        found: dict[str, dict[int, Row]] = {}
        for row in read_rows(self.path) if self.path.exists() else ():
            found.setdefault(key_of(row), {})[row.config.settings.seed] = row
        self._accounts = [Account(found.get(pair.key(self.episodes), {})) for pair in self.pairs]
        for account in self._accounts:
            account.done = sum(row.outcome.seconds for row in account.rows.values())
        self._asked: dict[Task, tuple[int, int]] = {}

    def rows(self) -> list[tuple[Pair, list[Row]]]:
        """Each pair's rows, by their seeds."""
        known = [[row for _, row in sorted(account.rows.items())] for account in self._accounts]
        return list(zip(self.pairs, known, strict=True))

    def run(self, executor: Executor) -> None:
        """Trains what is missing; each run that is done is in the file before the next one begins.

        Raises:
            KeyboardInterrupt: after Ctrl-C, once all that was under way is saved.
            ValueError: when another process is at it.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        began = time.time()
        with held(self.work):
            while self._next() is not None:  # what is known after a round may ask for another one
                with executor.running(iter(self._next_task, None)) as ended:
                    for task, reason in ended:
                        said = self._take(task, reason)
                        print(printable(f"{time.time() - began:.0f} s: {task.name} {said}"), flush=True)

    def _next(self) -> tuple[int, int] | None:
        """The next pair and its seed, while there is time; see the class."""
        left = self.until - time.time()
        missing = [
            ((account.taken + account.cost) * (1 + len(account.rows)), number, seed)
            for number, account in enumerate(self._accounts)
            if (seed := account.next_seed) is not None
            and 0 < left
            and (account.cost < left or not account.rows)
        ]
        return min(missing)[1:] if missing else None

    def _next_task(self) -> Task | None:
        found = self._next()
        if found is None:
            return None
        number, seed = found
        pair, account = self.pairs[number], self._accounts[number]
        now = time.time()
        until = self.until if account.rows else min(self.until, now + account.patience)
        account.under_way[seed] = now, until
        config = pair.with_seed(seed)
        name = f"{config.agent.name} in {config.environment.name} ({pair.table}), seed {seed}"
        folder = self.work / f"{pair.key(self.episodes)}-s{seed}"
        task = ask(folder, name, config, self.episodes, pair.places)
        task = dataclasses.replace(task, words=(*task.words, str(until)))
        self._asked[task] = found
        return task

    def _take(self, task: Task, reason: str) -> str:
        """Takes what a task came to into the file; returns what is said of it."""
        number, seed = self._asked.pop(task)
        pair, account, folder = self.pairs[number], self._accounts[number], task.log.parent
        now, outcome = time.time(), outcome_of(folder)
        began, _ = account.under_way.pop(seed)
        if outcome is None and reason == STOPPED:
            account.lost += now - began
            account.patience *= 2
            return "is saved, and goes on later"
        if outcome is None:
            self.failures[task.name], account.failed = reason, True
            return f"failed: {reason}"
        # Pieces that were trained before, in this invocation or an earlier one, have cost time, too.
        account.done += max(account.lost + now - began, outcome.seconds)
        account.lost = 0.0
        account.rows[seed] = row = Row(pair.table, pair.with_seed(seed), self.episodes, outcome)
        add_row(self.path, row)
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        return f"scores {outcome.evaluations[0].score:.3g} after {outcome.seconds:.0f} s"
