"""Encoders that predict something useful, with scikit-learn's regressors and classifiers.

What is predicted are targets that come with the observations: how many steps remain, what is still to be
earned, what a teacher would do, whether harm is near. A code is the prediction, a vector; of a tree it is the
leaf in which the observation falls, an index.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Space
from numpy.typing import NDArray

from .encoding import ArrayEncoder, indices, leaf_numbers, vectors
from .estimators import CLASSIFIERS, MOST_SAMPLES, REGRESSORS, from_bytes, predicted, to_bytes


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
        if self.leaves < 2 or self.least < 1:
            raise ValueError(f"a tree has 2 leaves or more, of 1 or more; got {self.leaves} and {self.least}")


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
        if self.classes < 2:
            raise ValueError(f"classes must be at least 2; got {self.classes}")


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
        return indices(int((self._arrays["feature"] < 0).sum()))

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

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; its kernel follows the nodes without looking.

        Raises:
            ValueError: when it does not fit.
        """
        super().load_state_dict(state)
        try:
            feature, left, right, leaf = (self._arrays[name] for name in ("feature", "left", "right", "leaf"))
            inner, count = np.flatnonzero(feature >= 0), len(feature)
            children = np.concatenate([left[inner], right[inner]])
            sound = count > 0 and {len(each) for each in (left, right, leaf)} == {count}
            sound &= bool((feature < self.width).all() and (children < count).all())
            sound &= bool((children > np.tile(inner, 2)).all())
            sound &= bool((np.sort(leaf[feature < 0]) == np.arange(count - len(inner))).all())
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"the encoder's tree is damaged ({error})") from None
        if not sound:
            raise ValueError("the encoder's tree is damaged")


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
        self._estimator: Any = None

    def _fit(self, rows: NDArray[np.float32], targets: NDArray | None) -> dict[str, NDArray]:
        from sklearn.exceptions import ConvergenceWarning

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # how long they are fitted is settled
            self._estimator = self._made(count).fit(rows, targets)
        return {"estimator": to_bytes(self._estimator), "classes": np.array([count])}

    def _made(self, classes: int) -> Any:
        """An estimator, not fitted; of as many classes, or 0."""
        makers = CLASSIFIERS if classes and self._name in CLASSIFIERS else REGRESSORS
        return makers[self._name](self._seed(), self.width)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        super().load_state_dict(state)
        try:
            data, count = self._arrays["estimator"], int(self._arrays["classes"].item())
        except (KeyError, ValueError) as error:
            raise ValueError(f"the encoder was cut short or altered ({error})") from None
        self._estimator = from_bytes(data, self._made(count), self.width)
        if self._estimator.n_features_in_ != self.width:
            raise ValueError(f"the encoder was fitted on other observations than {self.width} numbers")
        if self._encode(np.zeros((1, self.width), np.float32)).shape[1] != max(count, 1):
            raise ValueError("the encoder's estimator predicts something else")

    def _codes(self) -> Space:
        return vectors(max(int(self._arrays["classes"].item()), 1))

    def _encode(self, rows: NDArray) -> NDArray[np.float32]:
        found = predicted(self._name, self._estimator, rows * self._arrays["scale"])
        if found.ndim == 1 and hasattr(self._estimator, "classes_"):
            return (found[:, None] == self._estimator.classes_).astype(np.float32)
        return found.reshape(len(rows), -1).astype(np.float32)


def sorted_into_classes(targets: NDArray, count: int) -> NDArray[np.int64]:
    """(N,) numbers of the classes of targets, of about equal shares; two values are two classes."""
    return np.searchsorted(class_edges(targets, count), targets, side="right")


def class_edges(targets: NDArray, count: int) -> NDArray:
    """(C - 1,) edges of the classes of targets: the least of each class but the first."""
    values = np.unique(targets)
    return values[1:] if len(values) <= 2 else np.unique(np.quantile(targets, np.arange(1, count) / count))
