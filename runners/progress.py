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
    """Steps done, steps per second and the latest score.

    Args:
        steps: transitions in all.
        done: transitions already done.
    """

    def __init__(self, steps: int, done: int = 0) -> None:
        self._steps = steps
        self._score = ""
        self._mark = time.perf_counter(), done  # since when the speed is measured
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
            self._task = self._bar.add_task("", total=steps, completed=done, text="")

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
        """Takes the latest evaluation: `eval_return`, and `eval_success` where there is one."""
        self._score = f", return {row['eval_return']:.2f}"
        if "eval_success" in row:
            self._score += f", success {100 * row['eval_success']:.0f} %"

    def update(self, step: int, now: float) -> None:
        """Shows the number of transitions, if it is time to; cheap otherwise.

        Args:
            step: transitions so far.
            now: `time.perf_counter()`.
        """
        if now < self._due and step < self._steps:
            return
        since, done = self._mark
        speed = (step - done) / max(now - since, 1e-9)
        text = f"{speed:,.0f} steps/s{self._score}"
        if self._bar:
            self._bar.update(self._task, completed=step, text=text)
        elif self._due:  # not at the very beginning, when there is nothing to tell
            print(f"{step:,} of {self._steps:,} transitions, {text}", flush=True)
        self._mark = now, step
        self._due = now + (REFRESH_SECONDS if self._bar else LINE_SECONDS)
