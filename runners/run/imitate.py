"""The run of an imitator: a teacher plays, or says what it would do, and the imitator is fitted to that."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...agents import checkpoint
from ...agents.checks import check_range
from .config import RunConfig
from .evaluation import Judge
from .folder import RunDir, pack, restore, unpack
from .metrics import MetricsLog
from .progress import ProgressLine
from .recording import Mixture, collect, find_teacher
from .rollout import Rollout, Savable
from .stopwatch import duration


class Imitation:
    """One run of an imitator: environment, teacher, data, and where they stand.

    Each round goes on with the episodes of the one before, and is saved with all that was recorded so far, so
    a run that was killed and resumed goes through the same rounds as one that never stopped. (An environment
    that can't give its state begins new episodes instead.)
    """

    def __init__(self, config: RunConfig, run: RunDir, start: Path | None = None) -> None:
        """Makes everything, and goes on from the checkpoint `start`, if one is given."""
        self.config, self.run = config, run
        self.env = config.make_env(config.settings.num_envs, AutoresetMode.SAME_STEP)
        self.teacher = find_teacher(self.env, config.environment, config.settings.teacher)
        self.imitator = config.make_learner(self.env)
        self.judge = Judge(config)
        space = self.env.single_observation_space
        self.obs = np.zeros((0, *(space.shape or ())), space.dtype)
        self.action = np.zeros(0, np.int64)
        self.seconds = 0.0
        rng = np.random.default_rng(config.settings.seed)
        actions = int(self.env.single_action_space.n)  # type: ignore[attr-defined]
        self._mixture = Mixture([self.teacher], 0.0, actions, rng, self.teacher)
        self._rollout = Rollout(self.env, self._mixture, config.env_seeds())
        if start is not None:
            self._restore(start)
        self.log = MetricsLog(run.path, self.step)

    @property
    def step(self) -> int:
        """Transitions recorded so far."""
        return len(self.action)

    transitions = step

    @property
    def notes(self) -> list[str]:
        """What is to be said before it begins; see `Training`."""
        name, size = self.config.agent.name, self.imitator.round_steps
        if size is None or size < self.config.settings.steps:
            return []
        return [f"{name} never acts itself: its first round has {size:,} transitions, the whole run no more"]

    @property
    def losses(self) -> list[str]:
        """Why a resumed run differs from one that never stopped, if it does."""
        savable = isinstance(self.env.unwrapped, Savable)
        return [] if savable else [f"{self.config.environment.id} can't save its state: new episodes begin"]

    @property
    def done(self) -> str:
        """How far it is, in words; empty at the very beginning."""
        return f"{self.step:,} transitions" if self.step else ""

    def _restore(self, start: Path) -> None:
        state = checkpoint.load(start)
        restore(self.imitator, state, start)
        try:
            obs, action = np.asarray(state["data.obs"]), np.asarray(state["data.action"])
            same = obs.shape[1:] == self.obs.shape[1:] and obs.dtype == self.obs.dtype
            if not same or action.dtype != np.int64 or action.shape != (len(obs),):
                raise ValueError("its data are of other observations")
            space: Any = self.env.single_action_space
            check_range("data.action", action, int(space.start), int(space.start + space.n))
            self.obs, self.action, self.seconds = obs, action, duration(state["seconds"])
            size = self.imitator.round_steps
            if size is not None and self.step > size:  # who played when it was saved
                self._mixture.replace([self.imitator.policy])
            if not isinstance(self.env.unwrapped, Savable):
                self._rollout = Rollout(self.env, self._mixture, self.config.env_seeds(self.step))
            self._rollout.load_state_dict(unpack(state, "rollout"))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{start} does not fit its run ({error})") from error

    def save(self) -> None:
        """Writes a checkpoint."""
        data, rollout = {"obs": self.obs, "action": self.action}, self._rollout.state_dict()
        parts = pack(learner=self.imitator.state_dict(), data=data, rollout=rollout)
        checkpoint.save(self.run.checkpoint_path(self.step), {"seconds": self.seconds, **parts})

    def progress(self) -> ProgressLine:
        """What shows how far it is."""
        return ProgressLine(self.config.settings.steps, self.step, measures=self.judge.measures)

    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Records and fits, round after round.

        Returns:
            False when `stop` was set before the end; the round under way was finished.
        """
        settings, size = self.config.settings, self.imitator.round_steps
        while self.step < settings.steps:
            if stop.is_set():
                return False
            begun, left = time.perf_counter(), settings.steps - self.step
            obs, action = self._record(min(size or left, left), progress)
            self.obs = np.concatenate([self.obs, obs])
            self.action = np.concatenate([self.action, action])
            with progress.busy(f"fitting {self.config.agent.name}"):
                row = self.imitator.imitate(self.obs, self.action)
            self.seconds += time.perf_counter() - begun
            with progress.busy("evaluating"):
                row |= self.judge.evaluate(self.imitator.policy)
            progress.evaluated(self.step, row)
            self.log.write(self.step, {"seconds": self.seconds, **row})
            self.save()
        return True

    def _record(self, count: int, progress: ProgressLine) -> tuple[NDArray, NDArray[np.int64]]:
        """Plays so many transitions: the teacher; in later rounds the imitator, with the teacher's advice."""
        before = self.step
        if before and self.imitator.round_steps is not None:
            self._mixture.replace([self.imitator.policy])
        recorded = collect(
            self._rollout,
            self._mixture,
            count,
            tell=lambda done: progress.update(before + done, time.perf_counter()),
        )
        obs = recorded.obs.reshape(-1, *recorded.obs.shape[2:])[:count]
        return obs, np.asarray(recorded.advice).reshape(-1)[:count]

    def compare(self) -> None:
        """Evaluates the imitator, the random agent and the references; prints and keeps the scores."""
        self.log.final(self.judge.compare(self.imitator.policy, self.run, self.done))

    def close(self) -> None:
        """Closes files and environments."""
        self.log.close()
        self.env.close()
        self.judge.close()
