"""`meze verify results.jsonl`: trains rows of results again, and compares."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checking import at_least
from .results.again import verdicts
from .results.rows import read_rows
from .run.executor import Processes
from .setup.interrupts import exit_code
from .setup.settings import leading_names, parse, wrapped
from .setup.text import printable

USAGE = "meze verify FILE [flags]"
DESCRIPTION = """Draws rows of a file of results, trains each again as it was asked for, evaluates it in the
same episodes, and compares what it has learned, what its episodes came to, and the scores that are told.

Agents with tables (q-learning, sarsa, dyna-q ...) promise the same bits with the same versions, on any
machine. All others compute with libraries that round as the processor likes best: torch, scikit-learn, BLAS.
They promise the same bits on the same processor alone. What is different is named: a version, the processor,
the commit.

A file that you were given runs nothing but registered agents in registered environments. The command ends
with code 0 where all rows came to the same, and with code 1 where one did not."""


@dataclass(frozen=True)
class VerifySettings:
    """What to verify.

    Raises:
        ValueError: for a number below 1.
    """

    sample: int = 20
    """So many rows, drawn at random; all, where there are no more."""
    jobs: int | None = None
    """Runs side by side; by default as many as there are cores."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "sample", "jobs")


FLAGS = VerifySettings()


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    settings = parse(FLAGS, args[1:], prog=f"meze verify {names[0]}", description=DESCRIPTION)
    rows = read_rows(Path(names[0]))
    if not rows:
        raise ValueError(f"{names[0]} has no row")
    drawn = sorted(random.SystemRandom().sample(range(len(rows)), min(settings.sample, len(rows))))
    chosen = [rows[k] for k in drawn]
    lines = {id(row): k + 1 for row, k in zip(chosen, drawn, strict=True)}
    minutes = sum(row.outcome.seconds for row in chosen) / 60
    print(
        f"{len(chosen):,} of {len(rows):,} rows: {minutes:.1f} min of training, and evaluations on top",
        flush=True,
    )
    same = 0
    try:
        for count, (row, is_same, words) in enumerate(verdicts(chosen, Processes(settings.jobs)), 1):
            same += is_same
            said = f"{count}/{len(chosen)} line {lines[id(row)]}, {row.name}: {words}"
            print(wrapped(printable(said, 1000)), flush=True)
    except KeyboardInterrupt as error:
        return exit_code(error)
    print(f"{same} the same, {len(chosen) - same} not")
    return 0 if same == len(chosen) else 1
