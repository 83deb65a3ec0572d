"""Rows of results that are trained again, and what is different."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..run.executor import Executor
from .job import ask, outcome_of
from .rows import Outcome, Row


class Verdict(NamedTuple):
    """What became of a row that was trained again."""

    row: Row
    same: bool
    """Whether it came to the same, bit for bit."""
    words: str
    """What is different, and why that may be."""


def verdicts(rows: Sequence[Row], executor: Executor) -> Iterator[Verdict]:
    """Trains rows again in a folder that is gone afterwards, and tells of each as it is done.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    with TemporaryDirectory(prefix="meze-verify-") as folder:
        asked = {}
        for number, row in enumerate(rows):
            places = [each.env for each in row.outcome.evaluations]
            task = ask(Path(folder) / str(number), row.name, row.config, row.episodes, places)
            asked[task] = row
        with executor.running(asked) as ended:
            for task, reason in ended:
                outcome = outcome_of(task.log.parent)
                yield _verdict(asked[task], outcome, reason)


def _verdict(row: Row, now: Outcome | None, reason: str) -> Verdict:
    if now is None:
        return Verdict(row, False, f"could not be trained: {reason}")
    then = row.outcome
    found = list(_differences(then, now))
    if not found:
        return Verdict(row, True, "the same")
    others = list(_circumstances(then, now))
    exact = "on any machine" if row.is_exact else "on the same processor"
    broken = not others or row.is_exact and others == [_processors(then, now)]
    promise = f"{'though' if broken else 'and'} it promises the same bits with the same versions {exact}"
    scores = f"its score was {then.evaluations[0].score:.4g}, and is {now.evaluations[0].score:.4g}"
    why = "; ".join(others) or "nothing else is different"
    return Verdict(row, False, f"differs in {' and '.join(found)}, {promise}; {scores}; {why}")


def _differences(then: Outcome, now: Outcome) -> Iterator[str]:
    """What a run came to that it did not come to before."""
    if then.policy != now.policy or then.steps != now.steps:
        yield "policy"
    if [each.digest for each in then.evaluations] != [each.digest for each in now.evaluations]:
        yield "episodes"
    elif then.evaluations != now.evaluations:
        yield "what is told of the same episodes"


def _circumstances(then: Outcome, now: Outcome) -> Iterator[str]:
    """In what else the two runs are different."""
    if then.cpu != now.cpu:
        yield _processors(then, now)
    for name in sorted(then.versions.keys() | now.versions.keys()):
        before, after = (each.versions.get(name, "none") for each in (then, now))
        if before != after:
            yield f"{name} {before} then, {after} now"
    if then.commit != now.commit:
        yield f"commit {_short(then.commit)} then, {_short(now.commit)} now"


def _processors(then: Outcome, now: Outcome) -> str:
    return f"on {then.cpu} then, {now.cpu} now"


def _short(commit: str | None) -> str:
    return "none" if commit is None else commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")
