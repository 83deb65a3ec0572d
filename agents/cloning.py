"""Learning by imitation: behaviour cloning and DAgger, with scikit-learn's classifiers.

Both fit a classifier to what a teacher does: cloning (Pomerleau 1991) on states that the teacher comes to,
DAgger (Ross, Gordon & Bagnell, "A Reduction of Imitation Learning and Structured Prediction to No-Regret
Online Learning", AISTATS 2011) on those that the imitator itself comes to, of which the teacher says what it
would have done there. So DAgger learns to mend its own mistakes, which a teacher never makes.

An imitator knows neither environment nor teacher: whoever runs it brings observations and what the teacher
does there.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from .base import Memory, State
from .estimators import CLASSIFIERS, MOST_SAMPLES, from_bytes, predicted, to_bytes

ClassifierName: TypeAlias = Literal[
    "logistic",
    "naive-bayes",
    "knn",
    "tree",
    "svm",
    "random-forest",
    "gradient-boosting",
    "stacking",
    "mlp",
]


@dataclass(frozen=True)
class CloningConfig:
    """Settings of behaviour cloning."""

    classifier: ClassifierName = "random-forest"
    """What is fitted to the teacher's actions."""

    @property
    def round_steps(self) -> int | None:
        """Transitions between two fits; None: one fit on all."""
        return None


@dataclass(frozen=True)
class DAggerConfig(CloningConfig):
    """Settings of DAgger.

    Raises:
        ValueError: for rounds of nothing.
    """

    round: int = 10_000
    """Transitions of each round; in the first one the teacher plays, afterwards the imitator."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.round < 1:
            raise ValueError(f"round must be at least 1; got {self.round}")

    @property
    def round_steps(self) -> int | None:
        """Transitions between two fits."""
        return self.round


class ClonePolicy:
    """Does what the classifier thinks most likely, among the possible actions; exploring is the same."""

    def __init__(self, imitator: Cloning) -> None:
        self._imitator = imitator

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool, mask: NDArray | None = None
    ) -> tuple[NDArray[np.int64], Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        likely = self._imitator.likely(obs)
        if mask is not None:
            likely = np.where(np.asarray(mask) != 0, likely, -1.0)
        return self._imitator.first + likely.argmax(axis=1), memory


class Cloning:
    """Behaviour cloning.

    Attributes:
        policy: acts as the teacher would, as far as the classifier knows.
        first: the number of the first action.
    """

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: CloningConfig,
        rng: np.random.Generator,
    ) -> None:
        """Takes one environment's spaces.

        Raises:
            ValueError: one line, when they do not fit.
        """
        fitting = isinstance(observation_space, Box | Discrete | MultiBinary | MultiDiscrete)
        if not (fitting and isinstance(action_space, Discrete)):
            raise ValueError(
                f"imitators need observations that are arrays or numbers, and Discrete actions; "
                f"got {observation_space} and {action_space}"
            )
        self.config, self.first, self.num_actions = config, int(action_space.start), int(action_space.n)
        self.policy = ClonePolicy(self)
        numbers = observation_space if isinstance(observation_space, Discrete) else None
        self._numbers = numbers
        self._width = int(numbers.n) if numbers else math.prod(observation_space.shape or (1,))
        self._rng = rng
        self._scale = np.ones(self._width, np.float32)
        self._classifier: Any = None  # before the first fit each action is as likely

    def imitate(self, obs: NDArray, action: NDArray) -> dict[str, float]:
        """Fits a new classifier.

        Args:
            obs: (N, ...) all observations so far.
            action: (N,) what the teacher did there, or would have done.

        Returns:
            `accuracy`: the share of these actions that it finds.
        """
        from sklearn.exceptions import ConvergenceWarning

        rows, action = self._rows(obs), np.asarray(action) - self.first
        largest = np.abs(rows).max(axis=0)
        self._scale = np.divide(1, largest, out=np.zeros_like(largest), where=largest > 0)
        most = MOST_SAMPLES.get(self.config.classifier, len(rows))
        chosen = np.sort(self._rng.choice(len(rows), min(most, len(rows)), replace=False))
        classifier = self._make(int(self._rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # how long they are fitted is settled
            self._classifier = classifier.fit(rows[chosen] * self._scale, action[chosen])
        found = self.likely(obs[chosen]).argmax(axis=1)
        return {"accuracy": float((found == action[chosen]).mean())}

    def likely(self, obs: NDArray) -> NDArray[np.float64]:
        """(B, A) how likely each action is the teacher's."""
        out = np.zeros((len(obs), self.num_actions))
        if self._classifier is None:
            return out
        known = self._classifier.classes_
        found = predicted(self.config.classifier, self._classifier, self._rows(obs) * self._scale)
        out[:, known] = found if found.ndim == 2 else found[:, None] == known
        return out

    def state_dict(self) -> State:
        """The fitted classifier, as data."""
        fitted = np.zeros(0, np.uint8) if self._classifier is None else to_bytes(self._classifier)
        return {"classifier": fitted, "scale": self._scale, "random": self._rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        scale = np.asarray(state["scale"], np.float32)
        if scale.shape != (self._width,) or not np.isfinite(scale).all():
            raise ValueError(f"it was fitted on other observations than {self._width} numbers")
        data, classifier = np.asarray(state["classifier"], np.uint8), None
        if len(data):
            classifier = from_bytes(data, self._make(0), self._width)
            known = np.asarray(classifier.classes_)
            if (
                classifier.n_features_in_ != self._width
                or not np.isin(known, np.arange(self.num_actions)).all()
            ):
                raise ValueError("the classifier is of other observations or actions")
        self._rng.bit_generator.state = state["random"]
        self._scale, self._classifier = scale, classifier

    def _make(self, seed: int) -> Any:
        return CLASSIFIERS[self.config.classifier](seed, self._width)

    def _rows(self, obs: NDArray) -> NDArray[np.float32]:
        """(B, width) rows of numbers; of a number, zeros with a single one."""
        if self._numbers is None:
            return np.asarray(obs).reshape(len(obs), self._width).astype(np.float32)
        rows = np.zeros((len(obs), self._width), np.float32)
        rows[np.arange(len(obs)), np.asarray(obs) - int(self._numbers.start)] = 1
        return rows


class DAgger(Cloning):
    """Dataset aggregation: the same, on states to which the imitator comes."""
