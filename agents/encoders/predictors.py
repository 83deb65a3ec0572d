"""Encoders that predict something useful, with scikit-learn's regressors and classifiers.

What is predicted are targets that come with the observations: how many steps remain, what is still to be
earned, what a teacher would do, whether harm is near. A code is the prediction, a vector; of a tree it is the
leaf in which the observation falls, an index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray

from ...checking import at_least
from ..base import OutdatedError
from ..checks import taken
from ..estimators import CLASSIFIERS, MOST_SAMPLES, REGRESSORS, fit, make_model
from ..models import Model, check_nodes, leaf_numbers
from .arrays import ArrayEncoder, vectors


@dataclass(frozen=True)
class TreeConfig:
    """Settings of the decision tree.

    Raises:
        ValueError: for a number below 1, or a tree of one leaf.
    """

    leaves: int = 512
    """Most leaves."""
    least: int = 5
    """Fewest observations of a leaf."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 2, "leaves")
        at_least(self, 1, "least")


@dataclass(frozen=True)
class ClassesConfig:
    """Settings of classifiers.

    Raises:
        ValueError: for fewer than two classes.
    """

    classes: int = 4
    """Classes of equal shares into which targets are sorted that have more values than two."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 2, "classes")


class TreeLeaves(ArrayEncoder):
    """The leaf of a decision tree (Breiman et al. 1984) in which an observation falls.

    The tree sorts targets that are whole numbers into classes, and predicts others.

    Observations in one leaf promise about the same: what a tree asks for is what matters to its target.
    """

    supervised: ClassVar[bool] = True

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        targets = np.asarray(targets)
        kind = DecisionTreeClassifier if targets.dtype.kind in "iub" else DecisionTreeRegressor
        settings = {"max_leaf_nodes": self.config.leaves, "min_samples_leaf": self.config.least}
        tree = kind(**settings, random_state=self._seed()).fit(rows, targets).tree_
        leaves = tree.children_left < 0
        return {
            "feature": np.where(leaves, -1, tree.feature).astype(np.int32),
            "threshold": tree.threshold.astype(np.float64),
            "left": tree.children_left.astype(np.int32),
            "right": tree.children_right.astype(np.int32),
            "leaf": np.where(leaves, np.cumsum(leaves) - 1, -1).astype(np.int64),
        }

    def _codes(self) -> Space:
        return Discrete(int((self._arrays["feature"] < 0).sum()))

    def _encode(self, rows: NDArray) -> NDArray[np.int64]:
        if self._prepared is None:
            # Thresholds of raw rows, so that nothing need be scaled.
            feature, scale = self._arrays["feature"], self._arrays["scale"].astype(np.float64)
            known = (feature >= 0) & (scale[feature] > 0)
            out = np.zeros(len(feature))
            self._prepared = np.divide(self._arrays["threshold"], scale[feature], where=known, out=out)
        names = ("left", "right", "leaf")
        tree = (self._arrays[name] for name in names)
        return leaf_numbers(rows, self._arrays["feature"], self._prepared, *tree)

    def _check(self) -> None:
        feature = taken(self._arrays, "feature", np.int32, None)
        left, right = (taken(self._arrays, name, np.int32, len(feature)) for name in ("left", "right"))
        leaf, leaves = taken(self._arrays, "leaf", np.int64, len(feature)), feature < 0
        taken(self._arrays, "threshold", np.float64, len(feature))
        check_nodes(np.zeros(1, np.int64), feature, left, right, leaf, self.width, int(leaves.sum()))


class Predictor(ArrayEncoder):
    """Predictions of one of scikit-learn's estimators.

    Targets that are whole numbers are classes, of which it gives a number each: classifiers their
    probabilities, regressors what they make of zeros with a single one.
    """

    supervised: ClassVar[bool] = True

    def __init__(
        self, observation_space: Space, *, config: Any, rng: np.random.Generator, estimator: str
    ) -> None:
        """Takes one environment's observations, and the name in `REGRESSORS` or `CLASSIFIERS`."""
        super().__init__(observation_space, config=config, rng=rng)
        self._name = estimator
        self._model: Model | None = None

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        targets = np.asarray(targets)
        chosen = self._drawn(np.arange(len(rows)), MOST_SAMPLES.get(self._name, len(rows)))
        if self._name not in REGRESSORS and targets.dtype.kind == "f":
            targets = sorted_into_classes(targets, self.config.classes)
        rows, targets = rows[chosen], targets[chosen]
        count = 0 if targets.dtype.kind == "f" else len(classes := np.unique(targets))
        if count:
            targets = np.searchsorted(classes, targets)
            if self._name not in CLASSIFIERS:
                targets = np.eye(count, dtype=np.float32)[targets]
        fitted = fit(self._name, rows, targets, self._seed())
        arrays = {"classes": np.array([count]), **{f"{_MODEL}{name}": each for name, each in fitted.items()}}
        self._take(arrays)
        return arrays

    def _take(self, arrays: Mapping[str, NDArray]) -> None:
        """Has the model of some arrays from now on."""
        count = int(taken(arrays, "classes", np.int64, 1)[0])
        own = {name.removeprefix(_MODEL): each for name, each in arrays.items() if name.startswith(_MODEL)}
        model = make_model(self._name, own, self.width, count if self._name in CLASSIFIERS else 0)
        if model.outputs != max(count, 1):
            raise ValueError("the encoder's estimator predicts something else")
        self._model = model

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        if "estimator" in state:
            raise OutdatedError("its encoder was saved as an object of scikit-learn")
        super().load_state_dict(state)

    def _check(self) -> None:
        self._take(self._arrays)

    def _codes(self) -> Space:
        return vectors(max(int(self._arrays["classes"].item()), 1))

    def _encode(self, rows: NDArray) -> NDArray[np.float32]:
        assert self._model is not None
        return self._model(rows.astype(np.float32) * self._arrays["scale"]).astype(np.float32)


_MODEL = "model."
"""What the names of the model's arrays begin with, among an encoder's."""


def sorted_into_classes(targets: NDArray, count: int) -> NDArray[np.int64]:
    """(N,) numbers of the classes of targets, of about equal shares; two values are two classes."""
    return np.searchsorted(class_edges(targets, count), targets, side="right")


def class_edges(targets: NDArray, count: int) -> NDArray:
    """(C - 1,) edges of the classes of targets: the least of each class but the first."""
    values = np.unique(targets)
    return values[1:] if len(values) <= 2 else np.unique(np.quantile(targets, np.arange(1, count) / count))
