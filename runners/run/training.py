"""The training of a learner or trainer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from ...agents import checkpoint
from ...agents.base import State
from ..reporting.scores import Scores
from ..setup.kinds import KINDS
from .base import Job
from .folder import pack, unpack
from .metrics import Meter
from .progress import ProgressLine
from .rollout import Rollout
from .stopwatch import Stopwatch, count

ROWS = 100
"""Rows of metrics.csv in a run, apart from those of evaluations and checkpoints."""


class Training(Job):
    """The run of a learner or trainer; everything happens at points that depend on its transitions alone."""

    def _begin(self) -> None:
        self.step = 0
        self._stopwatch, self._meter = Stopwatch(), Meter(self.evaluator.measures, self.config.env_config)
        self._rollout = self._begun(self.config.env_seeds())

    def _begun(self, seeds: Sequence[int]) -> Rollout:
        """New episodes."""
        rollout = KINDS[self.config.agent.kind].rollout_class()
        env, self._inside = self.agent.inside(self.env)
        weights = {"weights": self.config.weights} if self.config.weights else {}
        return rollout(env, self._inside.policy, seeds, self._stopwatch, **weights)

    def _restore(self, state: State) -> None:
        self.step = count(state["step"])
        self._stopwatch.restore(state["seconds"])
        anew = partial(self._begun, self.config.env_seeds(self.step))
        self._rollout = self._going_on(self._rollout, anew, unpack(state, "rollout"))

    @property
    def transitions(self) -> int:
        """On how many it has been trained."""
        return self.step

    @property
    def seconds(self) -> float:
        """How long it has been trained."""
        return self._stopwatch.total

    @property
    def notes(self) -> Sequence[str]:
        """What the learner has to say before it is trained, in lines."""
        return self.agent.notes

    @property
    def caveats(self) -> list[str]:
        """The same as of all runs, and whether the replay is lost."""
        return super().caveats + ([] if self.agent.exact else ["the replay was not saved: it begins empty"])

    def save(self) -> None:
        """Writes a checkpoint."""
        parts = pack(learner=self.agent.state_dict(), rollout=self._rollout.state_dict())
        state = {"step": self.step, "seconds": self._stopwatch.seconds, **parts}
        checkpoint.save(self.run.checkpoint_path(self.step), state)

    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Trains up to the run's number of transitions.

        Returns:
            False when `stop` was set before that; the run is saved all the same.
        """
        settings, stopwatch = self.config.settings, self._stopwatch
        row_every = max(1, settings.steps // ROWS)
        eval_every = settings.eval_every or settings.steps
        checkpoint_every = settings.checkpoint_every or settings.steps
        mark = stopwatch.total, self.step  # the last row
        stopwatch.start()
        stopping = False
        while self.step < settings.steps and not stopping:
            stopping = stop.is_set()
            taken, metrics, episodes = self._rollout.advance(self._inside)
            self._meter.add(metrics, episodes)
            before, self.step = self.step, self.step + taken
            last = self.step >= settings.steps
            evaluation = last or _crossed(before, self.step, eval_every)
            saving = last or stopping or _crossed(before, self.step, checkpoint_every)
            progress.update(self.step, stopwatch.lap("other"))
            if not (evaluation or saving or _crossed(before, self.step, row_every)):
                continue
            seconds = stopwatch.total
            row = {"seconds": seconds, "steps_per_second": (self.step - mark[1]) / (seconds - mark[0])}
            row |= {f"seconds_{part}": each for part, each in stopwatch.seconds.items()}
            row |= self._meter.take()
            if evaluation:
                with progress.busy("evaluating"):
                    row |= self.evaluator.evaluate(self.agent.policy)
                progress.evaluated(self.step, row)
            self.log.write(self.step, row)
            if saving or evaluation and self.evaluator.chooses(row, self.run):
                self.save()
            mark = seconds, self.step
            stopwatch.start()  # evaluating and saving are not training
        return self.step >= settings.steps

    def compare(self) -> Scores:
        """Tells where the time went, and evaluates; see `Job.compare`."""
        print(f"trained for {self._stopwatch.summary()}")
        return super().compare()


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every != after // every
