"""The matches of a tournament, several at a time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..run.executor import Executor, Processes, Task
from ..setup.text import printable
from .standings import standings
from .tournament import Tournament


def play_matches(tournament: Tournament, executor: Executor | None = None) -> dict[str, Any]:
    """Runs what is missing of a tournament.

    Args:
        tournament: which.
        executor: who plays the matches; by default processes, as many as there are cores.

    Returns:
        Its standings.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once all matches have saved.
    """
    missing = [each for each in tournament.matches() if not tournament.result_path(*each).exists()]
    failures: dict[str, str] = {}
    began = time.perf_counter()
    tasks = (_match(tournament, *each) for each in missing)
    with (executor or Processes()).running(tasks) as ended:
        for count, (task, reason) in enumerate(ended, 1):
            if reason:
                failures[task.name] = reason
            seconds = time.perf_counter() - began
            news = f"failed: {reason}" if reason else "done"
            line = f"{count}/{len(missing)} after {seconds:.0f} s: {task.name} {news}"
            print(printable(line), flush=True)
    return standings(tournament, failures)


def _match(tournament: Tournament, number: int, seed: int) -> Task:
    entry = tournament.entries[number]
    stem, named = tournament.stem(number), tournament.stem(number, seed)
    name = f"{entry.name} seed {seed}" if entry.kind == "trained" else entry.name
    words = str(tournament.path), tournament.environment.id, str(number), str(seed)
    log = tournament.path / "logs" / f"{named}.log"
    task = Task(name, f"{__package__}.match", words, log)
    if entry.paths:  # they lie anywhere
        return task
    own = f"runs/{stem}/*/*/*-s{seed}/**/*", f"results/{named}.npz", f"results/{stem}.gif"
    gpus = entry.config.gpus if entry.config else 0
    return replace(task, folder=tournament.path, files=("tournament.json", *own), gpus=gpus)
