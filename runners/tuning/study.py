"""A study: what is tuned, and the folder in which that is kept and from which it goes on.

`tuning/<env>/<agent>/<stamp>/` holds `study.json` (all settings), `journal.jsonl` (trials; see `storage`),
`trials/` (what each trained, without checkpoints once it is over), `logs/`, `fresh/` (runs with the settings
that were found, and what they came to), `preset.toml`, `report.json` and `report.html`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import platform
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from ...checking import one_of
from ...envs.core.measures import COST
from ...files import check_regular, refuse_links, write_whole
from ..run.config import RunConfig, read_config
from ..run.start import EVALUATIONS
from ..setup.files import alone, read_versioned, write_json
from ..setup.kinds import KINDS
from ..setup.resolve import environment_of, world_class
from ..setup.seeds import FRESH_SEED, RANGE, SEARCH_SEED
from ..setup.settings import from_plain
from .space import Space, as_params, chosen, described, distributions, read_space, with_settings
from .storage import open_storage

FORMAT = 1
"""Version of the folder's layout; a folder with a higher one is refused."""
FRESH = 10
"""Seeds with which the settings that were found are trained in the end."""
MOST_SEEDS = 1000
"""Seeds of a trial, at most: those of two studies do not meet."""
MOST_STUDIES = RANGE // MOST_SEEDS
"""Seeds of studies, each of which has so many of its own for its runs."""
CERTAIN = 0.1
"""Wilcoxon's p of the evaluations so far, below which a trial may be given up. They are neither independent
nor looked at only once, so this is a rule of thumb, and no error rate."""
SIGN, SILENCE = 60.0, 600.0
"""Seconds between two signs of who does something, and without any, after which it is gone."""

Objective: TypeAlias = Literal["score", "time-to-score", "score-and-harm"]
Sampler: TypeAlias = Literal["tpe", "random"]


@dataclass(frozen=True)
class Aim:
    """What settings are chosen by, and how.

    Raises:
        ValueError: for what does not go together.
    """

    trials: int = 40
    """Settings that are tried."""
    seeds: int = 3
    """Runs of each trial, with the same seeds in all of them."""
    objective: Objective = "score"
    sampler: Sampler = "tpe"
    score: float | None = None
    """What is to be reached, where the objective is the time to it."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        one_of(self, "objective", "sampler")
        if not (1 <= self.seeds <= MOST_SEEDS and self.trials >= 1):
            raise ValueError(f"a study has at least one trial, with 1 to {MOST_SEEDS} seeds")
        if (self.objective == "time-to-score") != (self.score is not None):
            raise ValueError("--objective time-to-score goes with --score, which says what is to be reached")
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"score must be finite; got {self.score}")

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Whether each of its values is to be large or small."""
        if self.objective == "score-and-harm":
            return ["maximize", "minimize"]
        return ["maximize" if self.objective == "score" else "minimize"]

    @property
    def sign(self) -> int:
        """What makes of a score on the way a value that goes in the direction of the first value."""
        return 1 if self.directions[0] == "maximize" else -1


@dataclass(frozen=True)
class Study:
    """A study's settings and folder.

    Raises:
        ValueError: for a seed whose runs would have those of another study.
    """

    path: Path
    config: RunConfig
    """With what is trained but for what is searched; its seed is the study's."""
    space: Space
    aim: Aim

    def __post_init__(self) -> None:
        """Checks the seed."""
        if self.config.settings.seed >= MOST_STUDIES:
            raise ValueError(f"--seed of a study must be less than {MOST_STUDIES}")

    def create(self) -> None:
        """Makes its folder."""
        for name in ("trials", "logs", "fresh"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        _quiet()
        storage = open_storage(self.path / "journal.jsonl")
        optuna.create_study(storage=storage, study_name=NAME, directions=self.aim.directions)
        self.write()

    def write(self) -> None:
        """Writes its settings, which make the folder a study's."""
        plain = {
            "format": FORMAT,
            "settings": self.config.described(),
            "space": described(self.space),
            "aim": dataclasses.asdict(self.aim),
        }
        write_json(self.path / "study.json", plain)

    @classmethod
    def open(cls, path: Path, env_name: str | None = None) -> Study:
        """Reads its folder, which may come from a stranger: it may name only what is registered.

        Args:
            path: the folder.
            env_name: the environment as the caller named it, needed where it lies in another package.

        Raises:
            ValueError: one line, when there is no study, or it is altered or newer.
        """
        file = path / "study.json"
        if not file.is_file():
            raise ValueError(f"{path} is not a study's folder (it holds no study.json)")
        refuse_links(*path.iterdir())
        plain = read_versioned(file, FORMAT, "a study's settings")
        try:
            environment = environment_of(path, str(plain["settings"]["env"]["id"]), env_name)
            config = read_config(plain["settings"], file, environment.id)
            space = read_space(plain["space"], config.agent.name, config.agent_config, file)
            aim = from_plain(Aim, plain["aim"], f"{file}: aim")
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file} was cut short or altered") from error
        for name in ("trials", "logs", "fresh"):
            (path / name).mkdir(exist_ok=True)
        return cls(path, config, space, aim)

    # --- What is trained ------------------------------------------------------------------------------

    def config_of(self, number: int | None, seed: int) -> RunConfig:
        """With what a trial is trained; None: with the settings that the study began with.

        Raises:
            ValueError: one line, when its settings don't go together.
        """
        agent = self.config.agent_config
        if number is not None:
            agent = with_settings(agent, chosen(self.space, self.trials[number].params))
        settings = dataclasses.replace(self.config.settings, seed=seed)
        return dataclasses.replace(self.config, agent_config=agent, settings=settings)

    @property
    def seeds(self) -> list[int]:
        """Seeds of each trial's runs, in their order."""
        return self._seeds(SEARCH_SEED, self.aim.seeds)

    @property
    def fresh_seeds(self) -> list[int]:
        """Seeds with which nothing was searched."""
        return self._seeds(FRESH_SEED, FRESH)

    def _seeds(self, first: int, count: int) -> list[int]:
        own = first + self.config.settings.seed * MOST_SEEDS
        return list(range(own, own + count))

    @property
    def length(self) -> int:
        """Transitions of each run."""
        return getattr(self.config.settings, "max_steps", None) or self.config.settings.steps

    @property
    def every(self) -> int:
        """Transitions between two evaluations."""
        counted = KINDS[self.config.agent.kind].length == "steps"  # searchers count generations
        return counted and self.config.settings.eval_every or max(1, self.length // EVALUATIONS)

    def step(self, run: int, done: int) -> int:
        """The number of an evaluation: equal ones are of equal seeds, at equal transitions.

        Args:
            run: which of the trial's.
            done: transitions before it.
        """
        evaluations = -(-self.length // self.every)
        own = evaluations - 1 if done >= self.length else done // self.every - 1
        return run * evaluations + min(max(own, 0), evaluations - 1)

    @property
    def harm(self) -> str:
        """What is set against the score: the harm that the world measures, else the first cost that it tells.

        Raises:
            ValueError: when there is neither.
        """
        world = world_class(self.config.environment)
        measures, costs = ((), ()) if world is None else (world.measures, world.costs)
        names = [each.name for each in measures if each.name == COST.name] + [each.name for each in costs]
        if not names:
            raise ValueError(
                f"{self.config.environment.name} tells no harm that a score could be set against"
            )
        return names[0]

    # --- Trials ---------------------------------------------------------------------------------------

    @cached_property
    def _storage(self) -> Any:
        _quiet()
        return open_storage(self.path / "journal.jsonl")

    @cached_property
    def optuna(self) -> optuna.Study:
        """The study as Optuna has it.

        Raises:
            ValueError: one line, when its journal is damaged, or of another study.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the pruner is new to Optuna
            pruner = optuna.pruners.WilcoxonPruner(
                p_threshold=CERTAIN, n_startup_steps=max(2, -(-self.length // self.every))
            )
        try:
            study = optuna.load_study(study_name=NAME, storage=self._storage, pruner=pruner)
        except KeyError:
            raise ValueError(f"{self.path / 'journal.jsonl'} was cut short or is missing") from None
        if [each.name.lower() for each in study.directions] != self.aim.directions:
            raise ValueError(f"{self.path / 'journal.jsonl'} is of another study")
        for trial in study.get_trials(deepcopy=False):
            if not self._is_sound(trial):
                raise ValueError(f"{self.path / 'journal.jsonl'} has a trial {trial.number} that is damaged")
        return study

    def _is_sound(self, trial: FrozenTrial) -> bool:
        """Whether a trial, maybe a stranger's, is one that this study can have begun and ended."""
        try:
            chosen(self.space, trial.params)
        except ValueError:
            return False
        numbers = [*(trial.values or ()), *trial.intermediate_values.values()]
        counted = trial.state != TrialState.COMPLETE or len(trial.values or ()) == len(self.aim.directions)
        timed = not trial.state.is_finished() or None not in (trial.datetime_start, trial.datetime_complete)
        if trial.state == TrialState.COMPLETE:
            try:
                numbers += np.array(trial.user_attrs["runs"], float).reshape(self.aim.seeds, -1).flat
            except (KeyError, TypeError, ValueError, OverflowError):
                return False
        finite = all(map(is_finite, numbers))
        return trial.distributions == distributions(self.space) and counted and timed and finite

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials so far, by their numbers."""
        return self.optuna.get_trials(deepcopy=False)

    @property
    def complete(self) -> list[FrozenTrial]:
        """Trials that were trained to their end, by their numbers."""
        return [trial for trial in self.trials if trial.state == TrialState.COMPLETE and trial.values]

    @property
    def best(self) -> FrozenTrial | None:
        """The trial with the best value, of several the first; None before the first one is complete."""
        sign = self.aim.sign
        return max(self.complete, key=lambda trial: sign * trial.values[0], default=None)

    def ask(self) -> int:
        """Begins a new trial; returns its number.

        It is written at once or not at all, and chosen by what is known of the others and the seed alone.
        """
        trials = self.trials
        seed = self.config.settings.seed + len(trials)
        sampler = (
            optuna.samplers.RandomSampler(seed)
            if self.aim.sampler == "random"
            else optuna.samplers.TPESampler(seed=seed)
        )
        space, params = distributions(self.space), None
        if not trials:
            params = as_params(self.space, self.config.agent_config)  # the first is what is known to work
        if params is None:
            thought = optuna.create_study(directions=self.aim.directions, sampler=sampler)
            thought.add_trials(trials)
            params = thought.ask(space).params
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=space)
        self.optuna.add_trial(trial)
        return len(trials)

    def note(self, number: int, **notes: Any) -> None:
        """Keeps what is to be known of a trial."""
        for name, value in notes.items():
            self._storage.set_trial_user_attr(self._id(number), name, value)

    def report(self, number: int, step: int, score: float, runs: Sequence[Sequence[float]] = ()) -> bool:
        """Takes the score of an evaluation; see `step`.

        Args:
            number: the trial's.
            step: the evaluation's.
            score: what it told.
            runs: what the trial's runs before this one are worth.

        Returns:
            Whether the trial can be given up before its end: its evaluations are worse than those of the best
            one, as far as both were trained, and its runs are worth less in the mean.
        """
        trial = self.trials[number]
        if step not in trial.intermediate_values:
            self._storage.set_trial_intermediate_value(self._id(number), step, self.aim.sign * score)
        if len(self.aim.directions) > 1 or step == self.step(self.aim.seeds - 1, self.length):
            return False
        if not self._are_worth_less(runs):
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of steps that the best one did not need
            return self.optuna.pruner.prune(self.optuna, self.trials[number])

    def _are_worth_less(self, runs: Sequence[Sequence[float]]) -> bool:
        """Whether runs are worth less than those of the best trial with the same seeds."""
        best = self.best
        theirs = best.user_attrs["runs"][: len(runs)] if best else []
        return bool(theirs) and self.aim.sign * float(np.mean(runs) - np.mean(theirs)) < 0

    def tell(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        """Ends a trial, if nobody has."""
        self.optuna.tell(number, values, state, skip_if_finished=True)

    def _id(self, number: int) -> int:
        storage = self._storage
        return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(NAME), number)

    # --- Who does what --------------------------------------------------------------------------------

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """While one process finds out what there is to do; see `files.alone`."""
        return alone(self.path / "asking.lock")


NAME = "meze"
"""The study's name in its journal."""


def is_finite(value: Any) -> bool:
    """Whether a value, maybe a stranger's, is a number that can be calculated with."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all real ones
        return False


def _quiet() -> None:
    """Leaves it to the commands what is told."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class Claim:
    """Says that somebody does what a folder is for, until it is released, or who does it is gone.

    The operating system holds a lock for it. Where a folder is shared among machines that know nothing of
    each other's locks, a sign that is repeated tells that its owner lives.
    """

    def __init__(self, lock: FileLock, sign: Path) -> None:
        self._lock, self._sign = lock, sign
        self._released = threading.Event()
        threading.Thread(target=self._live, daemon=True).start()

    @classmethod
    def take(cls, folder: Path) -> Claim | None:
        """Claims a folder, which is made; None where somebody else has it.

        Raises:
            ValueError: one line, where a link leads out of the study.
        """
        refuse_links(folder.parent, folder)
        folder.mkdir(parents=True, exist_ok=True)
        refuse_links(*folder.iterdir())
        lock, sign = FileLock(folder / "claim.lock"), folder / "claim"
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        check_regular(sign)
        with contextlib.suppress(OSError):
            elsewhere = sign.read_text(encoding="utf-8", errors="replace") != platform.node()
            if elsewhere and time.time() - sign.stat().st_mtime < SILENCE:
                lock.release()
                return None
        write_whole(sign, platform.node().encode())
        return cls(lock, sign)

    def release(self) -> None:
        """Gives it back."""
        self._released.set()
        with contextlib.suppress(OSError):
            self._sign.unlink()
        self._lock.release()

    def _live(self) -> None:
        while not self._released.wait(SIGN):
            with contextlib.suppress(OSError):
                os.utime(self._sign)
