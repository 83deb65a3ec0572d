"""How training shows that it goes on: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

REFRESH_SECONDS = 0.2
LINE_SECONDS = 10.0


class ProgressLine:
    """How far it is, steps per second and the latest score.

    Args:
        total: transitions in all, or what `unit` says.
        done: how many of them are done already.
        steps: transitions done already, if the unit is another.
        unit: what is counted.
    """

    def __init__(
        self, total: int, done: int = 0, steps: int | None = None, unit: str = "transitions"
    ) -> None:
        self._total = total
        self._unit = unit
        self._score = ""
        self._mark = time.perf_counter(), done if steps is None else steps  # since when the speed is measured
        self._due = 0.0
        self._console = Console()
        self._bar: Progress | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(bar_width=20),
                TextColumn("{task.percentage:3.0f} % {task.fields[text]}"),
                TimeRemainingColumn(),
                console=self._console,
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

    def score(self, row: Mapping[str, float]) -> None:
        """Takes the latest evaluation: `eval_return`, and shares of success where there are any."""
        self._score = f", return {row['eval_return']:.2f}"
        for name in ("success", "clear"):
            if f"eval_{name}" in row:
                self._score += f", {name} {100 * row[f'eval_{name}']:.0f} %"

    def generation(self, row: Mapping[str, float]) -> None:
        """Takes the fitness of the latest generation."""
        self._score = (
            f", best {row['best']:.4g}, median {row['median']:.4g}, diversity {row['diversity']:.2f}"
        )

    def update(self, done: int, now: float, steps: int | None = None) -> None:
        """Shows how far it is, if it is time to; cheap otherwise.

        Args:
            done: transitions so far, or what the unit says.
            now: `time.perf_counter()`.
            steps: transitions so far, if the unit is another.
        """
        if now < self._due and done < self._total:
            return
        steps = done if steps is None else steps
        since, before = self._mark
        speed = (steps - before) / max(now - since, 1e-9)
        text = f"{speed:,.0f} steps/s{self._score}"
        if self._bar:
            self._bar.update(self._task, completed=done, text=text)
        elif self._due:  # not at the very beginning, when there is nothing to tell
            print(f"{done:,} of {self._total:,} {self._unit}, {text}", flush=True)
        self._mark = now, steps
        self._due = now + (REFRESH_SECONDS if self._bar else LINE_SECONDS)
