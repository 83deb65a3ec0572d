"""The training of a learner or trainer."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import partial

from ...agents import checkpoint
from ...agents.base import State
from ...agents.costs import Multiplier, Paying
from ...agents.curricula import Graded, PrioritizedLevels
from ...agents.wrappers import Taught, Wrapper
from ..reporting.scores import Scores
from ..setup.kinds import KINDS
from .base import Job, crossed
from .folder import pack, unpack
from .levels import levels_now, make_curriculum, native
from .metrics import Meter
from .progress import ProgressLine
from .rollout import Rollout
from .stopwatch import Stopwatch, count

ROWS = 100
"""Rows of metrics.csv in a run, apart from those of evaluations and checkpoints."""


class Training(Job):
    """The run of a learner or trainer; everything happens at points that depend on its transitions alone."""

    def _begin(self) -> None:
        self.step, self._limit = 0, self.config.limit
        self._multiplier = Multiplier(self._limit.most if self._limit else math.inf)
        self._curriculum = make_curriculum(self.config, self.env, self.agent)
        self._stopwatch, self._meter = Stopwatch(), Meter(self.evaluator.measures, self.config.env_config)
        self._rollout = self._begun(self.config.env_seeds())

    def _begun(self, seeds: Sequence[int]) -> Rollout:
        """New episodes."""
        rollout = KINDS[self.config.agent.kind].rollout_class()
        env, learner = self.agent.inside(self.env)
        policy, self._weights = learner.policy, self.config.weights
        self._weigh()
        self._weigh_levels()
        levels, costs = self._curriculum, {"costs": list(self._weights)} if self._weights else {}
        begun = rollout(env, policy, seeds, self._stopwatch, **costs)
        wrappers: list[Wrapper] = [Paying(self._weights)] if self._weights else []
        if isinstance(levels, PrioritizedLevels):
            now = partial(levels_now, native(self.env))
            levels.begin(now())
            wrappers.append(Graded(learner, levels, now))
        self._inside = Taught(learner, wrappers) if wrappers else learner
        return begun

    def _weigh(self) -> None:
        """Lets the cost that has a limit count what its multiplier says."""
        if self._limit:
            self._weights[self._limit.cost] = self._multiplier.value

    def _weigh_levels(self) -> None:
        """Lets the environments draw levels as the curriculum weighs them."""
        if self._curriculum:
            native(self.env).weigh_levels(self._curriculum.weights)

    def _restore(self, state: State) -> None:
        self.step = count(state["step"])
        self._stopwatch.restore(state["seconds"])
        if self._limit:
            self._multiplier.load_state_dict(unpack(state, "multiplier"))
            self._weigh()
        if self._curriculum:
            self._curriculum.load_state_dict(unpack(state, "curriculum"))
            self._weigh_levels()
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
        if self._limit:
            parts |= pack(multiplier=self._multiplier.state_dict())
        if self._curriculum:
            parts |= pack(curriculum=self._curriculum.state_dict())
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
            if self._curriculum and self._curriculum.advance(self.step / settings.steps):
                self._weigh_levels()
            taken, metrics, episodes = self._rollout.advance(self._inside)
            self._meter.add(metrics, episodes)
            before, self.step = self.step, self.step + taken
            last = self.step >= settings.steps
            due = crossed(before, self.step, eval_every)
            evaluation = last or due
            saving = last or stopping or crossed(before, self.step, checkpoint_every)
            progress.update(self.step, stopwatch.lap("other"))
            if not (evaluation or saving or crossed(before, self.step, row_every)):
                continue
            seconds = stopwatch.total
            row = {"seconds": seconds, "steps_per_second": (self.step - mark[1]) / (seconds - mark[0])}
            row |= {f"seconds_{part}": each for part, each in stopwatch.seconds.items()}
            row |= self._meter.take()
            if self._curriculum:
                row["levels"] = self._curriculum.num_open
            if evaluation:
                with progress.busy("evaluating"):
                    row |= self.evaluator.evaluate(self.agent.policy)
                if self._limit:
                    if due:  # the end of a run is none of a longer one
                        self._multiplier.learn(row[f"eval_{self._limit.cost}"])
                        self._weigh()
                    row["multiplier"] = self._multiplier.value
                if saving or not self._limit:  # with a limit there are too many to tell all
                    progress.evaluated(self.step, row)
            self.log.write(self.step, row)
            if saving or evaluation and self.evaluator.chooses(row, self.run):
                self.save()
            mark = seconds, self.step
            stopwatch.start()  # evaluating and saving are not training
        return self.step >= settings.steps

    def conclude(self) -> None:
        """Mixes checkpoints, where a cost has a limit; see `Job.conclude`."""
        if self._limit:
            self.evaluator.mix(self.run)

    def compare(self) -> Scores:
        """Tells where the time went, and evaluates; see `Job.compare`."""
        print(f"trained for {self._stopwatch.summary()}")
        return super().compare()
