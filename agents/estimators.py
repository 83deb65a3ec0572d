"""scikit-learn's regressors and classifiers by name, and how they are saved without pickles.

A saved estimator is a skops file, of which only the types named here are built. Compiled trees hold numbers
of nodes that scikit-learn follows without looking, so they are checked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRUSTED = (
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.utils._bunch.Bunch",
)
"""Types beside skops's own that an estimator's file may hold."""
LEAVES = 512
"""Most leaves of a tree that stands alone."""
BLOCK = 64
"""Rows of which an estimator that multiplies matrices predicts at once."""


def _polynomial(seed: int, width: int) -> Any:
    """Squares and products of a few principal components; those of all numbers would be millions."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    parts = PCA(min(16, width), random_state=seed), StandardScaler(), PolynomialFeatures(2), Ridge(1.0)
    return make_pipeline(*parts)


def _linear(seed: int, width: int) -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def _ridge(seed: int, width: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(1.0)


def _logistic(seed: int, width: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=200)


def _naive_bayes(seed: int, width: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(var_smoothing=1e-3)


def _neighbours(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    kind = KNeighborsClassifier if classify else KNeighborsRegressor
    return kind(5, algorithm="brute")  # in many dimensions no tree is faster


def _tree(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if classify else DecisionTreeRegressor
    return kind(max_leaf_nodes=LEAVES, min_samples_leaf=5, random_state=seed)


def _svm(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.svm import SVC, SVR

    return SVC(random_state=seed) if classify else SVR()


def _forest(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if classify else RandomForestRegressor
    # Of a grid's many numbers few matter: with the usual square root of them, most splits see none of those.
    settings: dict[str, Any] = {"max_features": 0.2, "max_leaf_nodes": 2048}
    return kind(30, **settings, random_state=seed)


def _boosting(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    settings: dict[str, Any] = {"max_iter": 100, "early_stopping": False}
    return kind(**settings, random_state=seed)


def _stacking(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.ensemble import StackingClassifier, StackingRegressor

    if classify:
        parts = [("tree", _tree(seed, width, classify=True)), ("naive-bayes", _naive_bayes(seed, width))]
        return StackingClassifier(parts, _logistic(seed, width), cv=3)
    parts = [("tree", _tree(seed, width, classify=False)), ("ridge", _ridge(seed, width))]
    return StackingRegressor(parts, _ridge(seed, width), cv=3)


def _mlp(seed: int, width: int, *, classify: bool) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if classify else MLPRegressor
    settings = {"hidden_layer_sizes": (64, 64), "max_iter": 100, "early_stopping": True}
    return kind(**settings, random_state=seed)


REGRESSORS: dict[str, Callable[[int, int], Any]] = {
    "linear": _linear,
    "polynomial": _polynomial,
    "ridge": _ridge,
    "knn": partial(_neighbours, classify=False),
    "tree": partial(_tree, classify=False),
    "svm": partial(_svm, classify=False),
    "random-forest": partial(_forest, classify=False),
    "gradient-boosting": partial(_boosting, classify=False),
    "stacking": partial(_stacking, classify=False),
    "mlp": partial(_mlp, classify=False),
}
"""Name to what makes an unfitted estimator from a seed and the width of rows."""
CLASSIFIERS: dict[str, Callable[[int, int], Any]] = {
    "logistic": _logistic,
    "naive-bayes": _naive_bayes,
    "knn": partial(_neighbours, classify=True),
    "tree": partial(_tree, classify=True),
    "svm": partial(_svm, classify=True),
    "random-forest": partial(_forest, classify=True),
    "gradient-boosting": partial(_boosting, classify=True),
    "stacking": partial(_stacking, classify=True),
    "mlp": partial(_mlp, classify=True),
}
"""The same for classifiers."""
MOST_SAMPLES = {"svm": 5_000, "knn": 20_000, "stacking": 20_000}
"""Observations that an estimator is fitted on at most, where its time grows faster than their number."""
ROW_BY_ROW = {"naive-bayes", "tree", "svm", "random-forest", "gradient-boosting"}
"""Estimators that look at each row by itself; the others multiply matrices."""


def predicted(name: str, estimator: Any, rows: NDArray) -> NDArray:
    """What a fitted estimator makes of each row, whatever the batch and whoever is beside it.

    Products of matrices are rounded otherwise where there are more or fewer rows. So estimators that use them
    are given blocks of one size, the last one filled up with zeros.

    Args:
        name: the estimator's.
        estimator: fitted.
        rows: (B, width).

    Returns:
        (B, classes) probabilities; (B,) or (B, values) predictions of those that give none.
    """
    predict = getattr(estimator, "predict_proba", estimator.predict)
    if name in ROW_BY_ROW:
        return predict(rows)
    count = -(-len(rows) // BLOCK)
    filled = np.zeros((count, BLOCK, rows.shape[1]), rows.dtype)
    filled.reshape(-1, rows.shape[1])[: len(rows)] = rows
    return np.concatenate([predict(block) for block in filled])[: len(rows)]


def to_bytes(estimator: Any) -> NDArray[np.uint8]:
    """A fitted estimator as bytes."""
    import skops.io

    return np.frombuffer(skops.io.dumps(estimator), np.uint8)


def from_bytes(data: NDArray[np.uint8], like: Any, width: int) -> Any:
    """The estimator of which `to_bytes` made bytes, which may come from a stranger.

    Args:
        data: the bytes.
        like: an estimator that is not fitted, of the same kind and of the same parts.
        width: numbers of each row that it was fitted on.

    Raises:
        ValueError: one line, when they are damaged, of another kind, or name a type that is not trusted.
    """
    import skops.io

    try:
        estimator = skops.io.loads(np.asarray(data, np.uint8).tobytes(), trusted=list(TRUSTED))
    except Exception as error:  # a stranger's archive can fail in any way
        raise ValueError(f"the estimator can't be read ({' '.join(str(error).split())[:200]})") from None
    kind = type(like).__name__
    if type(estimator) is not type(like):
        raise ValueError(f"the file holds a {type(estimator).__name__}, where a {kind} should be")
    try:
        sound = _kinds(estimator) == _kinds(like) and estimator.n_features_in_ == width
        sound = sound and _is_sound(estimator, width)
        _check_trees(estimator, width)
    except ValueError:
        raise
    except Exception as error:  # attributes that are missing, or no arrays
        raise ValueError(f"the {kind} is damaged ({error})") from None
    if not sound:
        raise ValueError(f"the {kind} is damaged, or of other observations than {width} numbers")
    return estimator


def _kinds(estimator: Any) -> list[str]:
    """The kinds of all parts of a pipeline or a stack, as they were put together."""
    parts = [each for _, each in getattr(estimator, "steps", None) or getattr(estimator, "estimators", [])]
    final = getattr(estimator, "final_estimator", None)
    return [type(each).__name__ for each in (*parts, *(() if final is None else (final,)))]


def _is_sound(estimator: Any, width: int) -> bool:
    """Whether arrays that compiled code reads without looking belong together."""
    kind = type(estimator).__name__
    if kind.startswith("KNeighbors"):
        points, values = estimator._fit_X, np.asarray(estimator._y)
        inside = kind == "KNeighborsRegressor" or (
            values.dtype.kind == "i" and 0 <= values.min() and values.max() < len(estimator.classes_)
        )
        plain = estimator._fit_method == "brute" and estimator.effective_metric_ == "euclidean"
        return plain and inside and points.shape == (len(values), width) and estimator._tree is None
    if kind in ("SVC", "SVR"):
        counts, vectors = estimator._n_support, estimator.support_vectors_
        rows = max(1, len(counts) - 1)
        return (
            not estimator._sparse
            and estimator.kernel == "rbf"
            and (counts >= 0).all()
            and vectors.shape == (int(counts.sum()) if kind == "SVC" else len(estimator.support_), width)
            and estimator._dual_coef_.shape == (rows, len(vectors))
            and len(estimator.support_) == len(vectors)
            and len(estimator._intercept_) == (len(counts) * (len(counts) - 1) // 2 if kind == "SVC" else 1)
        )
    if kind.startswith("RandomForest"):
        tree = kind.replace("RandomForest", "DecisionTree")
        return all(type(each).__name__ == tree for each in estimator.estimators_)
    if kind.startswith("Stacking"):
        parts = [type(each) for _, each in estimator.estimators]
        same = parts == [type(each) for each in estimator.estimators_]
        same &= type(estimator.final_estimator_) is type(estimator.final_estimator)
        return same and all(each.n_features_in_ == width for each in estimator.estimators_)
    return True


def _check_trees(value: Any, width: int) -> None:
    """Follows everything that an estimator holds to its trees, all of which see rows of so many numbers.

    Raises:
        ValueError: when a tree's nodes lead out of it, or ask for numbers that rows do not have.
    """
    waiting, seen = [value], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        kind = type(part).__name__
        if kind == "Tree":
            _check_nodes(part.children_left, part.children_right, part.feature, width)
            if part.value.shape[0] != part.node_count or part.n_features != width:
                raise ValueError("the estimator's trees are damaged")
        elif kind == "TreePredictor":
            nodes = part.nodes
            left = np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.int64))
            right = np.where(nodes["is_leaf"], -1, nodes["right"].astype(np.int64))
            _check_nodes(left, right, nodes["feature_idx"], width)
            if nodes["is_categorical"].any():
                raise ValueError("the estimator's trees are damaged")
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list | tuple) or (isinstance(part, np.ndarray) and part.dtype == object):
            waiting += list(np.ravel(part)) if isinstance(part, np.ndarray) else part
        elif hasattr(part, "__dict__"):
            waiting += vars(part).values()


def _check_nodes(left: NDArray, right: NDArray, feature: NDArray, width: int) -> None:
    inner = left >= 0
    own, count = np.flatnonzero(inner), len(left)
    children = np.stack([left[inner], right[inner]])
    below = len(own) == 0 or ((children > own).all() and (children < count).all())
    known = ((feature[inner] >= 0) & (feature[inner] < width)).all()
    if not (count and below and known and (right[~inner] < 0).all()):
        raise ValueError("the estimator's trees are damaged")
