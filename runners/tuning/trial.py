"""A part of a study, in a process of its own: a trial, or a run with the settings that were found.

    python -m meze.runners.tuning.trial FOLDER ENV trial NUMBER
    python -m meze.runners.tuning.trial FOLDER ENV fresh NUMBER|base SEED

`run.executor` starts it, and can ask it to save and stop. What was trained before goes on where it stood.
"""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from optuna.trial import TrialState

from ...files import refuse_links
from ..reporting.measures import STANDARD, Measure, measures_of, reported
from ..run.config import RunConfig
from ..run.evaluation import find_contestant, make_evaluation_env, on_split, play_episodes
from ..run.executor import Stopped, serve
from ..run.folder import RunDir
from ..run.metrics import METRICS, read_rows
from ..run.progress import ProgressLine
from ..run.start import begun, make_training
from ..setup.files import PATIENCE, held, write_json
from ..setup.kinds import KINDS
from ..setup.resolve import world_class
from .study import Study

LAST = 3
"""Evaluations at the end of a run whose mean is its score: a single one rewards policies that flicker."""
LATE = 2
"""What never reaches a score counts as so many times as long as it was trained."""


class Watched(ProgressLine):
    """Looks at each evaluation, and stops the training where no more is to be learned.

    Args:
        total: see `ProgressLine`.
        stop: ends the training.
        enough: takes what it found, as a row of `metrics.csv`; says whether training may end.
        measures: see `ProgressLine`.
    """

    def __init__(
        self,
        total: int,
        stop: threading.Event,
        enough: Callable[[Mapping[str, float]], bool],
        measures: Sequence[Measure] = STANDARD,
    ) -> None:
        super().__init__(total, measures=measures)
        self._stop, self._enough, self.ended = stop, enough, False

    def evaluated(self, done: int, row: Mapping[str, float]) -> None:
        """Shows an evaluation; see `ProgressLine.evaluated`."""
        super().evaluated(done, row)
        if self._enough(row):
            self.ended = True
            self._stop.set()


def train(
    config: RunConfig,
    out: Path,
    stop: threading.Event,
    enough: Callable[[Mapping[str, float]], bool] = lambda row: False,
) -> tuple[RunDir, float]:
    """Trains to the end, or goes on with what was begun.

    Args:
        config: what is trained.
        out: a folder for it alone.
        stop: set when it is to save.
        enough: whether it need not be trained on; see `Watched`.

    Returns:
        The run, and for how many seconds it was trained.

    Raises:
        Stopped: when `stop` was set before that.
        ValueError: one line, where a link leads out of the folder, its settings can't be trained with, or
            what they come to is no number.
    """
    refuse_links(out, *out.rglob("*"))
    asked, (config, run) = config, begun(config, out)
    if config.agent_config != asked.agent_config or not run.checkpoints.is_dir():
        # Of another trial with this number, or one that had ended: the journal has been cut short since.
        shutil.rmtree(run.path)
        config, run = begun(asked, out)
    with held(run.path, PATIENCE):
        training = make_training(config, run)
        ending = threading.Event()
        try:
            total = getattr(config.settings, KINDS[config.agent.kind].length)

            def seen(row: Mapping[str, float]) -> bool:
                if not math.isfinite(row["eval_return"]):
                    raise ValueError(f"its return is {row['eval_return']}")
                return enough({**row, "step": training.transitions})

            progress = Watched(total, ending, seen, training.evaluator.measures)
            if not any(map(enough, _evaluated(run))):
                with progress:
                    finished = training.advance(progress, _Either(stop, ending))
                if not finished and not progress.ended:
                    raise Stopped
            return run, training.seconds
        finally:
            training.close()


class _Either(threading.Event):
    """Is set as soon as one of two events is."""

    def __init__(self, *events: threading.Event) -> None:
        super().__init__()
        self._events = events

    def is_set(self) -> bool:
        return any(each.is_set() for each in self._events)


def _evaluated(run: RunDir) -> list[dict[str, float]]:
    """The rows of a run's `metrics.csv` that tell of an evaluation."""
    rows = [row for row in read_rows(run.path / METRICS) if row.get("eval_return")]
    return [{name: float(value) for name, value in row.items() if value} for row in rows]


# --- Trials ---------------------------------------------------------------------------------------------


class _GivenUp(Exception):
    """The trial is worse than the best one."""


def do_trial(study: Study, number: int, stop: threading.Event) -> None:
    """Trains a trial's runs, and tells what they came to.

    Raises:
        Stopped: when `stop` was set before that; what is trained is saved.
        ValueError: one line, when its settings can't be trained with.
    """
    folder, runs, values, seconds = study.path / "trials" / f"{number:04d}", [], [], 0.0
    try:
        for k, seed in enumerate(study.seeds):
            given_up = False

            def enough(row: Mapping[str, float], k: int = k) -> bool:
                nonlocal given_up
                given_up = study.report(number, study.step(k, int(row["step"])), row["eval_return"], values)
                return given_up or reached(study, row)

            config = study.config_of(number, seed)
            run, trained = train(config, folder, stop, enough)
            runs.append(run)
            seconds += trained
            if given_up:
                raise _GivenUp
            values.append(value_of(study, _evaluated(run)))
    except _GivenUp:
        study.note(number, seconds=seconds)
        study.tell(number, TrialState.PRUNED)
    else:
        study.note(number, seconds=seconds, runs=values)
        study.tell(number, TrialState.COMPLETE, np.mean(values, axis=0).tolist())
    for run in runs:
        shutil.rmtree(run.path / "checkpoints", ignore_errors=True)  # of many trials they would fill the disk


def reached(study: Study, row: Mapping[str, float]) -> bool:
    """Whether an evaluation shows the score, if it is the time to it that counts."""
    return study.aim.score is not None and row["eval_return"] >= study.aim.score


def value_of(study: Study, rows: Sequence[Mapping[str, float]]) -> list[float]:
    """What a run is worth by its evaluations: a number for each of the study's directions."""
    if study.aim.objective == "time-to-score":
        times = (row["step"] for row in rows if reached(study, row))
        return [next(times, LATE * rows[-1]["step"])]
    harms = [f"eval_{study.harm}"] if study.aim.objective == "score-and-harm" else []
    return [float(np.mean([row[name] for row in rows[-LAST:]])) for name in ("eval_return", *harms)]


# --- What was found -------------------------------------------------------------------------------------


def fresh_result(study: Study, number: int | None, seed: int) -> Path:
    """Where it stands what a run came to that nothing was searched with; None: with the first settings."""
    return study.path / "fresh" / ("base" if number is None else f"{number:04d}") / f"{seed}.json"


def do_fresh(study: Study, number: int | None, seed: int, stop: threading.Event) -> None:
    """Trains with settings of the study and a seed that it has not seen, and evaluates that.

    Raises:
        Stopped: when `stop` was set before that; what is trained is saved.
    """
    config, path = study.config_of(number, seed), fresh_result(study, number, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    run, seconds = train(config, path.parent / "runs", stop)
    environment, episodes = config.environment, config.settings.eval_episodes
    contestant = find_contestant(str(run.path), environment, checkpoint="newest")
    measures = measures_of(world_class(environment))
    where = on_split(contestant.env_config)
    limit = config.settings.max_episode_steps
    with closing(make_evaluation_env(environment, where, episodes, max_episode_steps=limit)) as env:
        played = play_episodes(env, contestant.policy(env), episodes).measures
    found = {name: float(each.mean()) for name, each in reported(played, measures, where).items()}
    rows = _evaluated(run)
    value = value_of(study, rows)
    if study.aim.objective != "time-to-score":  # judged on what nothing was chosen by
        value = value_of(study, [{f"eval_{name}": each for name, each in found.items()}])
    result: dict[str, Any] = {"seed": seed, "value": value, "measures": found, "seconds": seconds}
    write_json(path, result | {"run": str(run.path.relative_to(study.path)), "steps": rows[-1]["step"]})


def main(words: Sequence[str], stop: threading.Event) -> None:
    """Does what the words say; see `executor.serve`."""
    folder, env_name, what, which, *seeds = words
    study = Study.open(Path(folder), env_name)
    if what == "trial":
        do_trial(study, int(which), stop)
    else:
        do_fresh(study, None if which == "base" else int(which), int(seeds[0]), stop)


if __name__ == "__main__":
    serve(main)
