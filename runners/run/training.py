"""The training of a learner or trainer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from gymnasium.vector import AutoresetMode

from ...agents import checkpoint
from ..setup.kinds import KINDS
from .config import RunConfig
from .evaluation import Judge
from .folder import RunDir, pack, restore, unpack
from .metrics import Meter, MetricsLog
from .progress import ProgressLine
from .rollout import Rollout, Savable
from .stopwatch import Stopwatch, count

ROWS = 100
"""Rows of metrics.csv in a run, apart from those of evaluations and checkpoints."""


class Training:
    """One training run of a learner or trainer: environment, learner, and where they stand.

    Everything happens at points of the loop that depend on the number of transitions alone, so a run that was
    killed and resumed goes through the same states as one that never stopped. (An environment that can't give
    its state begins new episodes instead.)
    """

    def __init__(self, config: RunConfig, run: RunDir, start: Path | None = None) -> None:
        """Makes everything, and goes on from the checkpoint `start`, if one is given."""
        self.config = config
        self.run = run
        self.step = 0
        self.env = config.make_env(config.settings.num_envs, AutoresetMode.SAME_STEP)
        self.learner = config.make_learner(self.env, config.settings.device)
        self.judge = Judge(config)
        self._stopwatch = Stopwatch()
        self._rollout = self._begin(config.env_seeds())
        self._meter = Meter()
        if start is not None:
            self._restore(start)
        self.log = MetricsLog(run.path, self.step)

    @property
    def done(self) -> str:
        """How far it is, in words; empty at the very beginning."""
        return f"{self.step:,} transitions" if self.step else ""

    @property
    def seconds(self) -> float:
        """How long it has been trained."""
        return self._stopwatch.total

    @property
    def transitions(self) -> int:
        """On how many it has been trained."""
        return self.step

    @property
    def notes(self) -> Sequence[str]:
        """What the learner has to say before it is trained, in lines."""
        return self.learner.notes

    @property
    def losses(self) -> list[str]:
        """Why a resumed run differs from one that never stopped, if it does."""
        savable = isinstance(self.env.unwrapped, Savable)
        losses = [] if savable else [f"{self.config.environment.id} can't save its state: new episodes begin"]
        if not self.learner.exact:
            losses.append("the replay was not saved: it begins empty")
        return losses

    def _begin(self, seeds: Sequence[int]) -> Rollout:
        """New episodes."""
        rollout = KINDS[self.config.agent.kind].rollout_class()
        env, self._inside = self.learner.inside(self.env)
        return rollout(env, self._inside.policy, seeds, self._stopwatch)

    def _restore(self, path: Path) -> None:
        state = checkpoint.load(path)
        restore(self.learner, state, path)
        try:
            self.step = count(state["step"])
            self._stopwatch.restore(state["seconds"])
            if not isinstance(self.env.unwrapped, Savable):
                self._rollout = self._begin(self.config.env_seeds(self.step))
            self._rollout.load_state_dict(unpack(state, "rollout"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} does not fit its run ({error})") from error

    def save(self) -> None:
        """Writes a checkpoint."""
        parts = pack(learner=self.learner.state_dict(), rollout=self._rollout.state_dict())
        state = {"step": self.step, "seconds": self._stopwatch.seconds, **parts}
        checkpoint.save(self.run.checkpoint_path(self.step), state)

    def progress(self) -> ProgressLine:
        """What shows how far it is."""
        return ProgressLine(self.config.settings.steps, self.step, measures=self.judge.measures)

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
            count, metrics, episodes = self._rollout.advance(self._inside)
            self._meter.add(metrics, episodes)
            before, self.step = self.step, self.step + count
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
                    row |= self.judge.evaluate(self.learner.policy)
                progress.evaluated(self.step, row)
            self.log.write(self.step, row)
            if saving or evaluation and self.judge.chooses(row, self.run):
                self.save()
            mark = seconds, self.step
            stopwatch.start()  # evaluating and saving are not training
        return self.step >= settings.steps

    def compare(self) -> None:
        """Evaluates the learner, the random agent and the world's references; prints and keeps the scores."""
        print(f"trained for {self._stopwatch.summary()}")
        self.log.final(self.judge.compare(self.learner.policy, self.run, self.done))

    def close(self) -> None:
        """Closes files and environments."""
        self.log.close()
        self.env.close()
        self.judge.close()


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every != after // every
