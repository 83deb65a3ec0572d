"""scikit-learn's regressors and classifiers by name: how each is fitted, and the arrays that then tell it.

scikit-learn fits; what comes of it are the plain arrays of a model (see `models`), which a file can keep.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .models import Arrays, Bayes, Layers, Model, Neighbours, Stack, Trees, Vectors

LEAVES = 512
"""Most leaves of a tree that stands alone."""


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


def fit(name: str, rows: NDArray[np.float32], targets: NDArray, seed: int) -> dict[str, NDArray]:
    """Fits an estimator.

    Args:
        name: one of `CLASSIFIERS` where targets are whole numbers from 0, else one of `REGRESSORS`.
        rows: (N, width).
        targets: (N,) classes or numbers, or (N, V) numbers.
        seed: of what is drawn.

    Returns:
        The arrays that tell it, for `make_model`.

    Raises:
        ValueError: when there is too little to learn from.
    """
    from sklearn.exceptions import ConvergenceWarning

    makers = REGRESSORS if targets.dtype.kind == "f" else CLASSIFIERS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # how long they are fitted is settled
        return _told(name, makers[name](seed, rows.shape[1]).fit(rows, targets))


def make_model(name: str, arrays: Arrays, width: int, classes: int) -> Model:
    """The model of some arrays, which may come from a stranger.

    Args:
        name: the estimator's.
        arrays: what `fit` gave.
        width: numbers of a row.
        classes: how many it tells apart; 0 for plain numbers.

    Raises:
        ValueError: one line, when they are damaged, or of other rows or classes.
    """
    if not arrays or any(each.dtype.kind not in "fi" for each in arrays.values()):
        raise ValueError(f"{name}: its arrays are missing or damaged")
    try:
        if name == "stacking":
            names, final = _PARTS[bool(classes)]
            parts = [make_model(part, _part(arrays, part), width, classes) for part in names]
            last = make_model(final, _part(arrays, "final"), Stack.width(parts, classes), classes)
            model: Model = Stack(parts, last, classes)
        else:
            model = _MODELS[name](arrays, width, classes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if classes and model.outputs != classes:
        raise ValueError(f"{name} is of other classes than {classes}")
    return model


_MODELS: dict[str, Callable[[Arrays, int, int], Model]] = {
    "linear": Layers,
    "polynomial": partial(Layers, products=True),
    "ridge": Layers,
    "logistic": Layers,
    "mlp": Layers,
    "naive-bayes": Bayes,
    "knn": Neighbours,
    "tree": Trees,
    "svm": Vectors,
    "random-forest": partial(Trees, mean=True),
    "gradient-boosting": partial(Trees, raw=True),
}
_PARTS = {True: (("tree", "naive-bayes"), "logistic"), False: (("tree", "ridge"), "ridge")}
"""What a stack is of, classifiers or regressors, and what puts their predictions together."""


def _part(arrays: Arrays, part: str) -> Arrays:
    return {name.partition(".")[2]: each for name, each in arrays.items() if name.startswith(f"{part}.")}


# --- What a fitted estimator is, in arrays --------------------------------------------------------------


def _told(name: str, fitted: Any) -> dict[str, NDArray]:
    """The arrays of a fitted estimator."""
    if name == "stacking":
        names, final = _PARTS[hasattr(fitted, "classes_")]
        parts = [
            *zip(names, names, fitted.estimators_, strict=True),
            ("final", final, fitted.final_estimator_),
        ]
        return {f"{part}.{key}": each for part, kind, own in parts for key, each in _told(kind, own).items()}
    return _TELLERS[name](fitted)


def _layers(*maps: tuple[NDArray, NDArray]) -> dict[str, NDArray]:
    told = {}
    for k, (weights, offsets) in enumerate(maps):
        told[f"{k}.weights"] = np.array(weights, np.float32, order="C")
        told[f"{k}.offsets"] = np.array(offsets, np.float32).reshape(-1)
    return told


def _linear_arrays(fitted: Any) -> dict[str, NDArray]:
    weights = np.atleast_2d(fitted.coef_).T
    return _layers((weights, np.broadcast_to(fitted.intercept_, weights.shape[1:])))


def _polynomial_arrays(fitted: Any) -> dict[str, NDArray]:
    pca, scaler, _, ridge = (part for _, part in fitted.steps)
    components = (pca.components_ / scaler.scale_[:, None]).T
    offsets = -pca.mean_ @ components - scaler.mean_ / scaler.scale_
    weights = np.atleast_2d(ridge.coef_).T  # the first row belongs to a one that stands in each row
    return _layers((components, offsets), (weights[1:], weights[0] + ridge.intercept_))


def _mlp_arrays(fitted: Any) -> dict[str, NDArray]:
    return _layers(*zip(fitted.coefs_, fitted.intercepts_, strict=True))


def _bayes_arrays(fitted: Any) -> dict[str, NDArray]:
    told = {"mean": fitted.theta_, "variance": fitted.var_, "log_share": np.log(fitted.class_prior_)}
    return {name: np.asarray(each, np.float64) for name, each in told.items()}


def _neighbour_arrays(fitted: Any) -> dict[str, NDArray]:
    told, had = {"point": np.asarray(fitted._fit_X, np.float32)}, np.asarray(fitted._y)
    if hasattr(fitted, "classes_"):
        return {**told, "label": had.astype(np.int32)}
    return {**told, "value": had.astype(np.float64).reshape(len(had), -1)}


def _vector_arrays(fitted: Any) -> dict[str, NDArray]:
    told = {
        "vector": np.asarray(fitted.support_vectors_, np.float32),
        "weight": np.asarray(fitted._dual_coef_, np.float64),
        "offset": np.asarray(fitted._intercept_, np.float64),
        "gamma": np.array([fitted._gamma], np.float64),
    }
    return {**told, "count": fitted._n_support.astype(np.int32)} if hasattr(fitted, "classes_") else told


def _tree_arrays(fitted: Any) -> dict[str, NDArray]:
    return _joined([_one_tree(fitted.tree_)], fitted.tree_.value[0].size)


def _forest_arrays(fitted: Any) -> dict[str, NDArray]:
    trees = [each.tree_ for each in fitted.estimators_]
    return _joined([_one_tree(each) for each in trees], trees[0].value[0].size)


def _boosting_arrays(fitted: Any) -> dict[str, NDArray]:
    told, start = [], fitted._baseline_prediction.ravel()
    for trees in fitted._predictors:
        for column, each in enumerate(trees):
            nodes = each.nodes
            left, right, leaves = nodes["left"], nodes["right"], nodes["is_leaf"].astype(bool)
            told.append(_nodes(nodes["feature_idx"], nodes["num_threshold"], left, right, leaves))
            told[-1] |= {"value": nodes["value"][leaves][:, None], "column": np.array([column])}
    return {**_joined(told, len(start)), "start": np.asarray(start, np.float64)}


def _one_tree(tree: Any) -> dict[str, NDArray]:
    leaves = tree.children_left < 0
    nodes = _nodes(tree.feature, tree.threshold, tree.children_left, tree.children_right, leaves)
    return {**nodes, "value": tree.value[leaves].reshape(leaves.sum(), -1), "column": np.zeros(1)}


def _nodes(
    feature: NDArray, threshold: NDArray, left: NDArray, right: NDArray, leaves: NDArray
) -> dict[str, NDArray]:
    """One tree's nodes; what stands of leaves where only inner nodes have something is the same in all."""
    return {
        "feature": np.where(leaves, -1, feature),
        "threshold": np.where(leaves, 0, threshold),
        "left": np.where(leaves, 0, left),
        "right": np.where(leaves, 0, right),
        "leaf": np.where(leaves, np.cumsum(leaves) - 1, -1),
    }


def _joined(trees: list[dict[str, NDArray]], outputs: int) -> dict[str, NDArray]:
    """The arrays of several trees, one after the other."""
    sizes = np.cumsum([0, *(len(each["feature"]) for each in trees)])
    leaves = np.cumsum([0, *(len(each["value"]) for each in trees)])
    for each, first, below in zip(trees, sizes, leaves, strict=False):
        inner = each["feature"] >= 0
        each["left"], each["right"] = (each[side] + first * inner for side in ("left", "right"))
        each["leaf"] = each["leaf"] + below * ~inner
    joined = {name: np.concatenate([each[name] for each in trees]) for name in trees[0]}
    joined |= {"root": sizes[:-1], "start": np.zeros(outputs)}
    plain = {"threshold": np.float64, "value": np.float64, "start": np.float64}
    return {name: np.asarray(each, plain.get(name, np.int32)) for name, each in joined.items()}


_TELLERS: dict[str, Callable[[Any], dict[str, NDArray]]] = {
    "linear": _linear_arrays,
    "polynomial": _polynomial_arrays,
    "ridge": _linear_arrays,
    "logistic": _linear_arrays,
    "mlp": _mlp_arrays,
    "naive-bayes": _bayes_arrays,
    "knn": _neighbour_arrays,
    "tree": _tree_arrays,
    "svm": _vector_arrays,
    "random-forest": _forest_arrays,
    "gradient-boosting": _boosting_arrays,
}
