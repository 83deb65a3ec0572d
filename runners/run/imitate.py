"""The run of an imitator: a teacher plays, or says what it would do, and the imitator is fitted to that."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agents import checkpoint
from ...agents.base import State, decide
from ...agents.checks import check_range
from ...agents.memory import leaves
from .base import Job
from .folder import pack, unpack
from .progress import ProgressLine
from .recording import PolicyMixture, collect, find_teacher
from .rollout import Rollout
from .stopwatch import duration


class Imitation(Job):
    """The run of an imitator: environment, teacher, data.

    Each round goes on with the episodes of the one before, and is saved with all that was recorded so far.
    """

    def _begin(self) -> None:
        config, space = self.config, self.env.single_observation_space
        self.teacher = find_teacher(self.env, config.environment, config.settings.teacher)
        self.obs = np.zeros((0, *(space.shape or ())), space.dtype)
        self.action = np.zeros(0, np.int64)
        rng = np.random.default_rng(config.settings.seed)
        actions = int(self.env.single_action_space.n)  # type: ignore[attr-defined]
        self._mixture = PolicyMixture([self.teacher], 0.0, actions, rng, self.teacher)
        self._rollout = Rollout(self.env, self._mixture, config.env_seeds())

    def _restore(self, state: State) -> None:
        obs, action = np.asarray(state["data.obs"]), np.asarray(state["data.action"])
        same = obs.shape[1:] == self.obs.shape[1:] and obs.dtype == self.obs.dtype
        if not same or action.dtype != np.int64 or action.shape != (len(obs),):
            raise ValueError("its data are of other observations")
        space: Any = self.env.single_action_space
        check_range("data.action", action, int(space.start), int(space.start + space.n))
        self.obs, self.action, self._seconds = obs, action, duration(state["seconds"])
        size, rollout = self.agent.round_steps, unpack(state, "rollout")
        if size is not None and self.transitions > size:  # who played when it was saved
            self._mixture.replace([self.agent.policy])
            if not leaves(decide(self.agent.policy, obs[:1]).memory):
                # Older runs handed on to it what the teacher had remembered.
                rollout = {name: each for name, each in rollout.items() if not name.startswith("memory.0")}
        anew = partial(Rollout, self.env, self._mixture, self.config.env_seeds(self.transitions))
        self._rollout = self._going_on(self._rollout, anew, rollout)

    @property
    def transitions(self) -> int:
        """How many were recorded so far."""
        return len(self.action)

    @property
    def notes(self) -> list[str]:
        """Whether the imitator never acts itself."""
        name, size = self.config.agent.name, self.agent.round_steps
        if size is None or size < self.config.settings.steps:
            return []
        return [f"{name} never acts itself: its first round has {size:,} transitions, the whole run no more"]

    def save(self) -> None:
        """Writes a checkpoint."""
        data, rollout = {"obs": self.obs, "action": self.action}, self._rollout.state_dict()
        parts = pack(learner=self.agent.state_dict(), data=data, rollout=rollout)
        checkpoint.save(self.run.checkpoint_path(self.transitions), {"seconds": self._seconds, **parts})

    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Records and fits, round after round.

        Returns:
            False when `stop` was set before the end; the round under way was finished.
        """
        settings, size = self.config.settings, self.agent.round_steps
        while self.transitions < settings.steps:
            if stop.is_set():
                return False
            begun, left = time.perf_counter(), settings.steps - self.transitions
            obs, action = self._record(min(size or left, left), progress)
            self.obs = np.concatenate([self.obs, obs])
            self.action = np.concatenate([self.action, action])
            with progress.busy(f"fitting {self.config.agent.name}"):
                row = self.agent.imitate(self.obs, self.action)
            self._seconds += time.perf_counter() - begun
            with progress.busy("evaluating"):
                row |= self.evaluator.evaluate(self.agent.policy)
            progress.evaluated(self.transitions, row)
            self.log.write(self.transitions, {"seconds": self._seconds, **row})
            self.save()
        return True

    def _record(self, count: int, progress: ProgressLine) -> tuple[NDArray, NDArray[np.int64]]:
        """Plays so many transitions: the teacher; in later rounds the imitator, with the teacher's advice."""
        before = self.transitions
        if before and self.agent.round_steps is not None:
            self._mixture.replace([self.agent.policy])
        recorded = collect(
            self._rollout,
            self._mixture,
            count,
            tell=lambda done: progress.update(before + done, time.perf_counter()),
        )
        obs = recorded.obs.reshape(-1, *recorded.obs.shape[2:])[:count]
        return obs, np.asarray(recorded.advice).reshape(-1)[:count]
