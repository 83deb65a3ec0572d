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
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from ..checking import at_least, one_of
from .base import Imitator, Memory, MisfitError, OutdatedError, Policy, State
from .checks import check_range, restore_generator
from .estimators import MOST_SAMPLES, fit, make_model
from .models import Model
from .ranges import Choices, Range
from .spaces import MOST_COLUMNS, describe

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
    """Settings of behaviour cloning.

    Raises:
        ValueError: for a classifier that there is not.
    """

    classifier: Annotated[ClassifierName, Choices()] = "random-forest"
    """What is fitted to the teacher's actions."""

    def __post_init__(self) -> None:
        """Checks the field."""
        one_of(self, "classifier")


@dataclass(frozen=True)
class DAggerConfig(CloningConfig):
    """Settings of DAgger.

    Raises:
        ValueError: also for rounds of nothing.
    """

    round: Annotated[int, Range(1_000, 20_000, log=True)] = 10_000
    """Transitions of each round; in the first one the teacher plays, afterwards the imitator."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "round")


class ClonePolicy(Policy):
    """Does what the classifier thinks most likely, among the possible actions; exploring is the same."""

    def __init__(self, imitator: Cloning) -> None:
        self._imitator = imitator

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray[np.int64], Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        likely = self._imitator.likely(obs)
        if mask is not None:
            likely = np.where(np.asarray(mask) != 0, likely, -1.0)
        return self._imitator.first + likely.argmax(axis=1), memory


class Cloning(Imitator):
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
            raise MisfitError(
                f"imitators need observations that are arrays or numbers, and Discrete actions; "
                f"got {describe(observation_space)} and {describe(action_space)}"
            )
        self.config, self.first, self.num_actions = config, int(action_space.start), int(action_space.n)
        self.policy = ClonePolicy(self)
        numbers = observation_space if isinstance(observation_space, Discrete) else None
        if numbers and numbers.n > MOST_COLUMNS:
            raise MisfitError(
                f"imitators tell {MOST_COLUMNS:,} numbers apart at most; got {describe(numbers)}"
            )
        self._numbers = numbers
        self._width = int(numbers.n) if numbers else math.prod(observation_space.shape or (1,))
        self._rng = rng
        self._scale = np.ones(self._width, np.float32)
        self._known = np.zeros(0, np.int64)  # the actions that the classifier tells apart
        self._fitted: dict[str, NDArray] = {}  # its arrays
        self._classifier: Model | None = None  # before the first fit each action is as likely

    def imitate(self, obs: NDArray, action: NDArray) -> dict[str, float]:
        """Fits a new classifier.

        Args:
            obs: (N, ...) all observations so far.
            action: (N,) what the teacher did there, or would have done.

        Returns:
            `accuracy`: the share of these actions that it finds.
        """
        rows, action = self._rows(obs), np.asarray(action) - self.first
        largest = np.abs(rows).max(axis=0)
        self._scale = np.divide(1, largest, out=np.zeros_like(largest), where=largest > 0)
        most = MOST_SAMPLES.get(self.config.classifier, len(rows))
        chosen = np.sort(self._rng.choice(len(rows), min(most, len(rows)), replace=False))
        known, classes = np.unique(action[chosen], return_inverse=True)
        seed = int(self._rng.integers(2**31))
        fitted = fit(self.config.classifier, rows[chosen] * self._scale, classes, seed)
        self._take(known, fitted)
        found = self.likely(obs[chosen]).argmax(axis=1)
        return {"accuracy": float((found == action[chosen]).mean())}

    def likely(self, obs: NDArray) -> NDArray[np.float64]:
        """(B, A) how likely each action is the teacher's."""
        out = np.zeros((len(obs), self.num_actions))
        if self._classifier is None:
            return out
        out[:, self._known] = self._classifier(self._rows(obs) * self._scale)
        return out

    def state_dict(self) -> State:
        """The fitted classifier, as data."""
        fitted = {f"{_MODEL}{name}": each for name, each in self._fitted.items()}
        random = self._rng.bit_generator.state
        return {"scale": self._scale, "actions": self._known, **fitted, "random": random}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        scale = np.asarray(state["scale"], np.float32)
        if scale.shape != (self._width,) or not np.isfinite(scale).all():
            raise ValueError(f"it was fitted on other observations than {self._width} numbers")
        if "classifier" in state:
            raise OutdatedError("its classifier was saved as an object of scikit-learn")
        known = np.asarray(state["actions"])
        if known.dtype != np.int64 or known.ndim != 1 or (np.diff(known) < 1).any():
            raise ValueError("the classifier's actions are damaged")
        check_range("actions", known, 0, self.num_actions)
        fitted = {
            name.removeprefix(_MODEL): np.asarray(each)
            for name, each in state.items()
            if name.startswith(_MODEL)
        }
        self._take(known, fitted)
        restore_generator(self._rng, state["random"])
        self._scale = scale

    def _take(self, known: NDArray[np.int64], fitted: dict[str, NDArray]) -> None:
        """Has the classifier of some arrays from now on, which tells these actions apart; of none, none."""
        model = make_model(self.config.classifier, fitted, self._width, len(known)) if len(known) else None
        self._known, self._fitted, self._classifier = known, fitted, model

    def _rows(self, obs: NDArray) -> NDArray[np.float32]:
        """(B, width) rows of numbers; of a number, zeros with a single one."""
        if self._numbers is None:
            return np.asarray(obs).reshape(len(obs), self._width).astype(np.float32)
        rows = np.zeros((len(obs), self._width), np.float32)
        rows[np.arange(len(obs)), np.asarray(obs) - int(self._numbers.start)] = 1
        return rows


_MODEL = "classifier."
"""What the names of the classifier's arrays begin with in a state."""


class DAgger(Cloning):
    """Dataset aggregation: the same, on states to which the imitator comes."""

    config: DAggerConfig

    @property
    def round_steps(self) -> int:
        """Transitions of each round."""
        return self.config.round
