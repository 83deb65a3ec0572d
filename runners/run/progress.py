"""How long work shows that it goes on: what moves in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

import rich
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from ...envs.core.measures import Measure
from ..reporting.measures import STANDARD
from ..setup.text import printable

REFRESH_SECONDS = 0.2
LINE_SECONDS = 10.0


class Waiting(AbstractContextManager):
    """Says what is being done while nobody knows how long it takes.

    Args:
        words: what it is.
    """

    def __init__(self, words: str) -> None:
        self._words = printable(words)
        console = rich.get_console()  # which moves several things at once, of the worlds' making too
        self._status = console.status(Text(self._words)) if console.is_terminal else None
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Waiting:
        if self._status:
            self._status.start()
        else:
            self._teller.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()
        else:
            self._over.set()
            self._teller.join()

    def say(self, words: str) -> None:
        """Goes on to something else."""
        self._words = printable(words)
        if self._status:
            self._status.update(Text(self._words))

    def _tell(self) -> None:
        began = time.perf_counter()
        while not self._over.wait(LINE_SECONDS):
            print(f"{self._words}, for {time.perf_counter() - began:.0f} s now", flush=True)


class _Busy(AbstractContextManager):
    """Shows words in place of the speed of a bar."""

    def __init__(self, bar: Progress, task: int, words: str) -> None:
        self._bar, self._task, self._words = bar, task, words

    def __enter__(self) -> None:
        self._before = self._bar.tasks[self._task].fields["text"]  # type: ignore[index]
        self._bar.update(self._task, text=self._words)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        self._bar.update(self._task, text=self._before)  # type: ignore[arg-type]


class ProgressLine:
    """How far it is, steps per second and the latest evaluation.

    Args:
        total: transitions in all, or what `unit` says.
        done: how many of them are done already.
        steps: transitions done already, if the unit is another.
        unit: what is counted.
        measures: what episodes are measured by, some of which are shown.
    """

    def __init__(
        self,
        total: int,
        done: int = 0,
        steps: int | None = None,
        unit: str = "transitions",
        measures: Sequence[Measure] = STANDARD,
    ) -> None:
        self._total = total
        self._measures = [each for each in measures if each.progress]
        self._unit = unit
        self._untold = 0  # how far it is, where nothing has told it yet
        self._score = self._speed = ""
        self._mark = time.perf_counter(), done if steps is None else steps  # since when the speed is measured
        self._due = 0.0
        console = rich.get_console()
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                BarColumn(bar_width=10, table_column=Column(no_wrap=True)),
                TextColumn("{task.percentage:3.0f} %", table_column=Column(no_wrap=True)),
                TimeRemainingColumn(table_column=Column(no_wrap=True)),
                TextColumn(
                    "{task.fields[text]}",
                    markup=False,
                    table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
                ),
                console=console,
                expand=True,
            )
            self._task = self._bar.add_task("", total=total, completed=done, text="")

    def __enter__(self) -> ProgressLine:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        elif self._untold:
            self._print(self._untold)

    def busy(self, words: str) -> AbstractContextManager:
        """Says what is done meanwhile, for which nothing is counted."""
        return _Busy(self._bar, self._task, words) if self._bar else Waiting(words)

    def evaluated(self, done: int, row: Mapping[str, float]) -> None:
        """Shows an evaluation.

        Args:
            done: when it was, in transitions or what the unit says.
            row: of `metrics.csv`, where each measure is called `eval_<name>`.
        """
        there = [(each, row[f"eval_{each.name}"]) for each in self._measures if f"eval_{each.name}" in row]
        words = [
            f"{each.title} {100 * value:.0f} %" if each.share else f"{each.title} {value:.2f}"
            for each, value in there
        ]
        score = ", ".join(words)
        if self._bar:
            self._score = f"evaluated at {done:,}: {score}"
            self._show(done)
        else:
            self._print(done, f" evaluated: {score}")

    def generation(self, row: Mapping[str, float]) -> None:
        """Takes the fitness of the latest generation."""
        self._score = f"best {row['best']:.4g}, median {row['median']:.4g}, diversity {row['diversity']:.2f}"

    def told(self, done: int, words: str) -> None:
        """Shows what became of the last one, where whole runs are counted.

        Args:
            done: how many of them are done.
            words: what is to be told.
        """
        self._score = printable(words)
        if self._bar:
            self._show(done)
        else:
            self._print(done, f": {self._score}")

    def update(self, done: int, now: float, steps: int | None = None) -> None:
        """Shows how far it is, if it is time to; cheap otherwise.

        Args:
            done: transitions so far, or what the unit says.
            now: `time.perf_counter()`.
            steps: transitions so far, if the unit is another.
        """
        self._untold = done
        if now < self._due:
            return
        steps = done if steps is None else steps
        since, before = self._mark
        if steps > before:
            self._speed = f"{(steps - before) / max(now - since, 1e-9):,.0f} steps/s"
        if self._bar or self._due:  # not at the very beginning, when there is nothing to tell
            self._show(done)
        self._mark = now, steps
        self._due = now + (REFRESH_SECONDS if self._bar else LINE_SECONDS)

    def _show(self, done: int) -> None:
        text = ", ".join(filter(None, (self._score, self._speed)))
        if self._bar:
            self._bar.update(self._task, completed=done, text=text)
        else:
            self._print(done, f", {text}")

    def _print(self, done: int, text: str = "") -> None:
        self._untold = 0
        print(f"{done:,} of {self._total:,} {self._unit}{text}", flush=True)
