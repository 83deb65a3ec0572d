"""One run of the results, in a process of its own: trained, or trained on, and evaluated.

    python -m meze.runners.results.job FOLDER [UNTIL]

In the folder stands `task.json`, what is asked for; `outcome.json` is written beside it. `run.executor`
starts it, and can ask it to save and stop; at UNTIL, in seconds since 1970, it does so by itself.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from ...agents import checkpoint
from ...files import replaced
from ..reporting.measures import Episodes, measures_of, reported
from ..run.config import RunConfig, read_config
from ..run.evaluation import find_contestant, make_evaluation_env, on_split, play_episodes
from ..run.executor import Stopped, Task, serve
from ..run.folder import RunDir, unpack
from ..run.start import begun, make_training
from ..setup.files import held, read_json, write_json
from ..setup.machine import commit, cpu, versions
from ..setup.resolve import reference_names, world_class
from ..setup.settings import from_plain, override, to_plain
from .rows import Evaluation, Outcome, digest

TASK, OUTCOME, YARDSTICKS = "task.json", "outcome.json", "yardsticks"


def ask(folder: Path, name: str, config: RunConfig, episodes: int, places: Sequence[dict[str, Any]]) -> Task:
    """Writes down what is to be trained and evaluated, and makes the task of it.

    Args:
        folder: the task's own; beside it lie the yardsticks that all tasks share.
        name: how it is called in messages.
        config: what the run is asked to do.
        episodes: of each evaluation.
        places: what is different where it is evaluated, one after another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"settings": config.described(), "episodes": episodes, "places": list(places)}
    write_json(folder / TASK, asked)
    return Task(name, __name__, (str(folder),), folder / "log", folder, gpus=config.gpus)


def outcome_of(folder: Path) -> Outcome | None:
    """What came of a task; None where it is not done."""
    file = folder / OUTCOME
    return from_plain(Outcome, read_json(file), str(file)) if file.exists() else None


def main(words: Sequence[str], stop: threading.Event) -> None:
    """Does what stands in a folder; see `executor.serve`."""
    folder = Path(words[0])
    if words[1:]:
        clock = threading.Timer(max(0.0, float(words[1]) - time.time()), stop.set)
        clock.daemon = True
        clock.start()
    if (folder / OUTCOME).exists():  # whoever asked was gone before it was read
        return
    task = read_json(folder / TASK)
    config = read_config(task["settings"], folder / TASK)
    run, steps, seconds = _train(config, folder / "runs", stop)
    newest = run.latest_checkpoint()
    assert newest is not None, "who is trained to the end is saved"
    judge = _Judge(config, run, task["episodes"], folder.parent / YARDSTICKS, stop)
    outcome = Outcome(
        steps,
        round(seconds, 3),
        digest(unpack(checkpoint.load(newest), "learner")),
        tuple(judge.evaluation(place) for place in task["places"]),
        cpu(),
        versions(),
        commit(),
    )
    write_json(folder / OUTCOME, to_plain(outcome))


def _train(config: RunConfig, out: Path, stop: threading.Event) -> tuple[RunDir, int, float]:
    """Trains, or goes on; returns the run, its transitions and seconds.

    What can't go on as if it had never stopped, or was begun by other code, begins anew.

    Raises:
        Stopped: when `stop` was set; what is trained is saved.
    """
    asked, run = begun(config, out)
    told = read_json(run.path / "config.json")
    alike = (told["commit"], told["versions"]) == (commit(), versions())
    with held(run.path), closing(make_training(asked, run)) as training:
        if not training.done or alike and not training.caveats:
            with training.progress() as progress:
                if not training.advance(progress, stop):
                    raise Stopped
            return run, training.transitions, training.seconds
    shutil.rmtree(run.path)
    return _train(config, out, stop)


class _Judge:
    """Plays the episodes that all are judged by.

    Raises:
        Stopped: when `stop` is set before somebody plays; the run is saved, and is judged the next time.
    """

    def __init__(
        self, config: RunConfig, run: RunDir, episodes: int, kept: Path, stop: threading.Event
    ) -> None:
        self._config, self._run, self._episodes, self._kept = config, run, episodes, kept
        self._stop = stop

    def evaluation(self, place: dict[str, Any]) -> Evaluation:
        """How the run's newest checkpoint acts in its world, changed as the place says."""
        environment = self._config.environment
        env_config = on_split(override(self._config.env_config, place, "env."))
        played = self._played(str(self._run.path), env_config)
        names = ("random", *reference_names(environment, env_config)[-1:])
        others = {name: self._yardstick(name, env_config) for name in names}
        best = others[names[1]] if names[1:] else None
        found = reported(played.measures, measures_of(world_class(environment)), env_config, best)
        means = {name: float(values.mean()) for name, values in found.items()}
        return Evaluation(
            place,
            digest(played.measures),
            {name: mean for name, mean in means.items() if math.isfinite(mean)},
            {name: float(each["return"].mean()) for name, each in others.items()},
        )

    def _played(self, name: str, env_config: Any) -> Episodes:
        if self._stop.is_set():
            raise Stopped
        environment = self._config.environment
        contestant = find_contestant(name, environment, env_config, checkpoint="newest")
        with closing(make_evaluation_env(environment, env_config, self._episodes)) as env:
            return play_episodes(env, contestant.policy(env), self._episodes)

    def _yardstick(self, name: str, env_config: Any) -> dict[str, NDArray[np.float64]]:
        """What the random agent or a reference does in the same episodes, played once for all tasks."""
        key = {"env": self._config.environment.id, "config": to_plain(env_config), "episodes": self._episodes}
        self._kept.mkdir(parents=True, exist_ok=True)
        file = self._kept / f"{name}-{digest(key)}.npz"
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                played = self._played(name, env_config)
                with replaced(file) as temporary:
                    np.savez(temporary, allow_pickle=False, **played.measures)  # type: ignore[arg-type]
            with np.load(file, allow_pickle=False) as kept:
                return {each: kept[each] for each in kept.files}


if __name__ == "__main__":
    serve(main)
