"""What the runs of all kinds of agents are."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gymnasium.vector import AutoresetMode, VectorEnv

from ...agents import checkpoint
from ...agents.base import State
from ..reporting.scores import Scores
from .config import RunConfig
from .evaluation import Evaluator
from .folder import RunDir, restore
from .metrics import MetricsLog
from .progress import ProgressLine
from .rollout import Rollout, Savable


class Job(ABC):
    """A run: environment, agent, and where they stand.

    What it does depends on how far it is alone, so a run that was killed and resumed goes through the same
    states as one that never stopped. (An environment that can't give its state begins new episodes instead.)

    Args:
        config: what it was asked to do.
        run: its folder.
        start: the checkpoint from which it goes on, if there is one.

    Raises:
        ValueError: one line, when the agent does not fit the environment, or the checkpoint does not fit.

    Attributes:
        env: the environments that the agent learns in.
        agent: who is trained.
        evaluator: plays the evaluations.
        log: where metrics are written.
        shown: whether TensorBoard shows them.
    """

    shown: bool = True

    def __init__(self, config: RunConfig, run: RunDir, start: Path | None = None) -> None:
        self.config, self.run = config, run
        self.env = self._make_env()
        self.agent: Any = self._make_agent()
        self.evaluator: Any = self._make_evaluator()
        self._seconds, self._anew = 0.0, False
        self._begin()
        if start is not None:
            state = checkpoint.load(start)
            restore(self.agent, state, start)
            try:
                self._restore(state)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"{start} does not fit its run ({error})") from error
        self.log = MetricsLog(run.path, self.transitions, events=self.shown)

    def _make_env(self) -> VectorEnv:
        return self.config.make_env(self.config.settings.num_envs, AutoresetMode.SAME_STEP)

    def _make_evaluator(self) -> Evaluator | None:
        return Evaluator(self.config)

    def _make_agent(self) -> Any:
        return self.config.make_agent(self.env, self.config.settings.device)

    @abstractmethod
    def _begin(self) -> None:
        """Makes what else there is, at the very beginning."""

    @abstractmethod
    def _restore(self, state: State) -> None:
        """Goes on from a checkpoint, whose agent has been restored."""

    @property
    @abstractmethod
    def transitions(self) -> int:
        """How many it has been trained with."""

    @property
    def seconds(self) -> float:
        """How long it has been trained."""
        return self._seconds

    @property
    def done(self) -> str:
        """How far it is, in words; empty at the very beginning."""
        return f"{self.transitions:,} transitions" if self.transitions else ""

    @property
    def notes(self) -> Sequence[str]:
        """What is to be said before it begins, in lines."""
        return ()

    @property
    def caveats(self) -> list[str]:
        """Why a resumed run differs from one that never stopped, if it does."""
        if not isinstance(self.env.unwrapped, Savable):
            return [f"{self.config.environment.id} can't save its state: new episodes begin"]
        if self._anew:
            return ["states were saved by a version that lays them out otherwise: new episodes begin"]
        return []

    def _going_on(self, rollout: Rollout, anew: Callable[[], Rollout], state: State) -> Rollout:
        """The stream as it stood; where states can't be put back, one of new episodes."""
        self._anew = not rollout.fits(state)
        if self._anew:
            return anew()
        rollout.load_state_dict(state)
        return rollout

    def progress(self) -> ProgressLine:
        """What shows how far it is."""
        return ProgressLine(self.config.settings.steps, self.transitions, measures=self.evaluator.measures)

    @abstractmethod
    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Trains to the end; returns False when `stop` was set before that."""

    @abstractmethod
    def save(self) -> None:
        """Writes a checkpoint."""

    def conclude(self) -> None:  # noqa: B027 most have nothing to do
        """Chooses who acts for it, where that is not the checkpoint with the highest return."""

    def compare(self) -> Scores:
        """Evaluates the agent, the random agent and the world's references; prints and keeps the scores."""
        self.conclude()
        scores = self.evaluator.compare(self.agent.policy, self.run, self.done)
        self.log.final({name: each["mean"] for name, each in scores[self.config.agent.name].items()})
        return scores

    def close(self) -> None:
        """Closes files and environments."""
        self.log.close()
        self.env.close()
        self.evaluator.close()


def crossed(before: float, after: float, every: float) -> bool:
    """Whether a multiple of `every` lies beyond `before`, and not beyond `after`."""
    return before // every != after // every
