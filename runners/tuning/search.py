"""How a study goes: trial after trial, several at a time, and in the end runs with what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from optuna.trial import TrialState

from ..reporting.scores import short
from ..run.executor import KILLED, Executor, Task
from ..run.progress import ProgressLine
from .study import Claim, Study
from .trial import fresh_result

LOOK_AGAIN = 1.0
"""Seconds between two looks at what others do, where there is nothing to do but to wait for it."""


class Piece(NamedTuple):
    """A part of the study that one process does."""

    key: int
    """A trial's number, or a run's seed."""
    task: Task
    claim: Claim


def run_trials(study: Study, executor: Executor, minutes: float | None = None) -> None:
    """Runs trials until there are as many as were asked for.

    Args:
        study: which; other processes may be at work on it.
        executor: who runs them.
        minutes: after which no more are begun.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once all that run have saved.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")

    def ended(piece: Piece, reason: str) -> str:
        if reason.startswith(KILLED) and "killed" not in study.trials[piece.key].user_attrs:
            study.note(piece.key, killed=True)  # maybe for memory that others needed at that time
            return f"trial {piece.key} was {reason}, and is run once more"
        if reason:
            study.note(piece.key, reason=reason)
            study.tell(piece.key, TrialState.FAIL)
        return _told(study, piece.key)

    def claim() -> Piece | None:
        return _next_trial(study) if time.monotonic() < end else None

    def over() -> bool:
        return time.monotonic() >= end or _finished(study) >= study.aim.trials

    with ProgressLine(study.aim.trials, _finished(study), unit="trials") as progress:
        _do_all(executor, claim, ended, over, lambda words: progress.told(_finished(study), words))


def run_fresh(study: Study, number: int | None, executor: Executor) -> dict[str, str]:
    """Trains with settings of the study and seeds that it has not seen; see `trial.do_fresh`.

    Args:
        study: which.
        number: the trial's whose settings they are; None: those that the study began with.
        executor: who runs them.

    Returns:
        Name of each run that failed to its reason.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once all that run have saved.
    """
    failures: dict[str, str] = {}

    def there(seed: int) -> bool:
        return fresh_result(study, number, seed).exists()

    def open_seeds() -> list[int]:
        return [seed for seed in study.fresh_seeds if f"seed {seed}" not in failures and not there(seed)]

    def claim() -> Piece | None:
        for seed in open_seeds():
            which = "base" if number is None else str(number)
            log = study.path / "logs" / f"fresh-{which}-{seed}.log"
            result = fresh_result(study, number, seed)
            folder = result.with_suffix("")
            if (own := Claim.take(folder)) is None:
                continue
            if not there(seed):  # nobody did it since we looked
                below = result.parent.relative_to(study.path)
                files = f"{below}/{result.name}", f"{below}/runs/*/*/*-s{seed}/**/*"
                words = "fresh", which, str(seed)
                return Piece(seed, _task(study, f"seed {seed}", log, files, words), own)
            own.release()
        return None

    def ended(piece: Piece, reason: str) -> str:
        if reason:
            failures[piece.task.name] = reason
        return f"{piece.task.name} {f'failed: {reason}' if reason else 'done'}"

    def done() -> int:
        return len(study.fresh_seeds) - len(open_seeds())

    with ProgressLine(len(study.fresh_seeds), done(), unit="fresh runs") as progress:
        _do_all(executor, claim, ended, lambda: not open_seeds(), lambda words: progress.told(done(), words))
    return failures


def _do_all(
    executor: Executor,
    claim: Callable[[], Piece | None],
    ended: Callable[[Piece, str], str],
    over: Callable[[], bool],
    tell: Callable[[str], None],
) -> None:
    """Does one piece after the other, until all is over, that which others do included.

    Whatever ends it, others may do at once what was under way.

    Args:
        executor: who does them.
        claim: takes a piece that nobody does; None: there is none now.
        ended: keeps why a piece failed, or nothing; returns what is to be told of it.
        over: whether no piece is left, nor under way.
        tell: shows what is told.
    """
    under_way: dict[Task, Piece] = {}

    def tasks() -> Iterator[Task]:
        while (piece := claim()) is not None:
            under_way[piece.task] = piece
            yield piece.task

    waiting = False
    try:
        while True:
            idle = True
            with executor.running(tasks()) as pieces:
                for task, reason in pieces:
                    idle = False
                    words = ended(under_way[task], reason)
                    under_way.pop(task).claim.release()
                    tell(words)
            if over():
                return
            if idle and not waiting:
                tell("waiting for what others do")
            waiting = idle
            time.sleep(LOOK_AGAIN)
    finally:
        for piece in under_way.values():
            piece.claim.release()


def _next_trial(study: Study) -> Piece | None:
    """Takes a trial whose owner is gone, or begins a new one; None where there is none to begin."""
    with study.alone():
        trials = study.trials
        begun = [trial.number for trial in trials if not trial.state.is_finished()]
        for number in begun:
            if claim := Claim.take(_folder(study, number)):
                if not study.trials[number].state.is_finished():  # nobody ended it since we looked
                    return _trial(study, number, claim)
                claim.release()
        if len(trials) >= study.aim.trials:
            return None
        number = study.ask()
        claim = Claim.take(_folder(study, number))
        assert claim is not None, "nobody else can know of it yet"
        return _trial(study, number, claim)


def _folder(study: Study, number: int) -> Path:
    return study.path / "trials" / f"{number:04d}"


def _trial(study: Study, number: int, claim: Claim) -> Piece:
    log = study.path / "logs" / f"trial-{number:04d}.log"
    files = (f"{_folder(study, number).relative_to(study.path)}/**/*",)
    return Piece(number, _task(study, f"trial {number}", log, files, ("trial", str(number))), claim)


def _task(study: Study, name: str, log: Path, files: Sequence[str], words: Sequence[str]) -> Task:
    path, env = study.path, study.config.environment.id
    task = Task(name, f"{__package__}.trial", (str(path), env, *words), log, path)
    files, gpus = ("study.json", *files), study.config.gpus
    return replace(task, files=files, lines=("journal.jsonl",), gpus=gpus)


def _finished(study: Study) -> int:
    return sum(trial.state.is_finished() for trial in study.trials)


def _told(study: Study, number: int) -> str:
    """What became of a trial, in words."""
    trial, best = study.trials[number], study.best
    if trial.state == TrialState.FAIL:
        words = f"failed: {trial.user_attrs.get('reason', 'no reason told')}"
    elif trial.state == TrialState.COMPLETE:
        words = ", ".join(map(short, trial.values))
    else:
        words = "given up"
    if best is None or len(study.aim.directions) > 1:
        return f"trial {number} {words}"
    return f"trial {number} {words}; best: trial {best.number} {short(best.values[0])}"
