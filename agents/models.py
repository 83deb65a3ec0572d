"""How fitted estimators predict: from named plain arrays, each of which is checked when it is read.

Arrays may come from a stranger's file, so no object of another library is ever built from them: a model is
one of the classes below, and its kernels meet only arrays that can't lead them astray. What is predicted
for a row depends on that row alone, whatever the batch and whoever is beside it.
"""

from __future__ import annotations

from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..caching import compiled
from .affine import Affine
from .checks import Arrays, check_range, taken

BLOCK = 64
"""Rows that are multiplied with large matrices at once. Libraries round products of matrices otherwise where
there are more or fewer rows, so each block has as many, the last one filled up with zeros."""


class Model(Protocol):
    """Predicts (B, K) float64 numbers, K `outputs`, for (B, width) float32 rows; of classes, how likely."""

    outputs: int

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        ...


def check_nodes(
    root: NDArray, feature: NDArray, left: NDArray, right: NDArray, leaf: NDArray, width: int, leaves: int
) -> None:
    """Raises ValueError unless all ways through these trees lead on, to a leaf of their own.

    The nodes of a tree lie between its root and the next one: so no way is longer than the arrays, all trees
    together.
    """
    count = len(feature)
    if not {len(left), len(right), len(leaf)} == {count}:
        raise ValueError("the trees' arrays do not belong together")
    check_range("feature", feature, -1, width)
    if root[0] != 0 or (np.diff(root) < 1).any() or root[-1] >= count:
        raise ValueError("the trees' roots are out of order")
    end = np.repeat([*root[1:], count], np.diff([*root, count]))
    inner = np.flatnonzero(feature >= 0)
    children = np.concatenate([left[inner], right[inner]])
    check_range("leaf", leaf[feature < 0], 0, leaves)
    if not ((children > np.tile(inner, 2)) & (children < np.tile(end[inner], 2))).all():
        raise ValueError("the trees' nodes lead out of them")


# --- Linear maps ----------------------------------------------------------------------------------------


class Layers:
    """Linear maps one after the other: linear regressions, logistic regression, small networks.

    Args:
        arrays: of map k `k.weights`, (D, M) float32, and `k.offsets`, (M,) float32.
        width: numbers of a row.
        classes: whose probabilities are predicted; 0 for plain numbers.
        products: whether maps after the first take numbers with their squares and products, and not what is
            left of them above 0 (ReLU).
    """

    def __init__(self, arrays: Arrays, width: int, classes: int, *, products: bool = False) -> None:
        self._maps, self._classes, self._products = [], classes, products
        for k in range(-(-len(arrays) // 2)):
            weights = taken(arrays, f"{k}.weights", np.float32, width, None)
            offsets = taken(arrays, f"{k}.offsets", np.float32, weights.shape[1])
            self._maps.append(Affine(weights, offsets))
            width = self.outputs = len(offsets)
            width = width + width * (width + 1) // 2 if products else width
        if classes:
            self.outputs = _classes_of(self.outputs, classes)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        first, *others = self._maps
        rows = first(rows)
        for each in others:
            rows = each(_with_products(rows) if self._products else np.maximum(rows, 0))
        raw = rows.astype(np.float64)
        return probabilities(raw, self._classes) if self._classes else raw


def _with_products(rows: NDArray) -> NDArray:
    """(B, M + M (M + 1) / 2): a row's numbers, then the products of each with itself and later ones."""
    one, other = np.triu_indices(rows.shape[1])
    return np.concatenate([rows, rows[:, one] * rows[:, other]], axis=1)


def _classes_of(outputs: int, classes: int) -> int:
    """How many classes so many raw outputs tell apart: a single one tells two."""
    return classes if outputs == classes or (outputs == 1 and classes == 2) else 0


def probabilities(raw: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """(B, classes) of (B, K) raw outputs: softmax, or the logistic function of the only one."""
    if raw.shape[1] < classes:
        raw = np.concatenate([np.zeros_like(raw), raw], axis=1)
    likely = np.exp(raw - raw.max(axis=1, keepdims=True))
    return likely / likely.sum(axis=1, keepdims=True)


# --- Trees ----------------------------------------------------------------------------------------------


class Trees:
    """Sums of what trees say: a decision tree, a forest, gradient boosting.

    Args:
        arrays: of the nodes of all trees, (N,): `feature` int32, the number of the row that is looked at, -1
            at leaves; `threshold` float64, up to which rows go left; `left`, `right` int32, children; `leaf`
            int32, the number of a leaf. `value`, (L, V) float64, what each leaf adds. Of each tree, (T,)
            int32: `root`, its first node, and `column`, the first output that it adds to. `start`, (K,)
            float64, the sums before the first tree.
        width: numbers of a row.
        classes: whose probabilities are predicted; 0 for plain numbers.
        mean: whether means are wanted instead of sums.
        raw: whether the sums are still to be made probabilities.
    """

    def __init__(
        self, arrays: Arrays, width: int, classes: int, *, mean: bool = False, raw: bool = False
    ) -> None:
        value, start = (
            taken(arrays, "value", np.float64, None, None),
            taken(arrays, "start", np.float64, None),
        )
        feature = taken(arrays, "feature", np.int32, None)
        left, right, leaf = (
            taken(arrays, name, np.int32, len(feature)) for name in ("left", "right", "leaf")
        )
        root = taken(arrays, "root", np.int32, None)
        column = taken(arrays, "column", np.int32, len(root))
        threshold = taken(arrays, "threshold", np.float64, len(feature))
        check_nodes(root, feature, left, right, leaf, width, len(value))
        check_range("column", column, 0, len(start) - value.shape[1] + 1)
        self._trees = feature, threshold, left, right, leaf, value, root, column
        self._start, self._divisor = start, len(root) if mean else 1
        self._classes = classes if raw else 0
        self.outputs = _classes_of(len(start), classes) if self._classes else len(start)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        out = np.tile(self._start, (len(rows), 1))
        _add_trees(rows, *self._trees, out)
        out /= self._divisor
        return probabilities(out, self._classes) if self._classes else out


@compiled(nogil=True)
def leaf_numbers(rows, feature, threshold, left, right, leaf):
    """(B,) the numbers of the leaves of a binary tree.

    Args:
        rows: (B, D) raw numbers.
        feature: (N,) the component that node n asks for; -1 at leaves.
        threshold: (N,) float64; up to it rows go left.
        left: (N,) left children.
        right: (N,) right children.
        leaf: (N,) numbers of the leaves.
    """
    out = np.empty(len(rows), np.int64)
    for b in range(len(rows)):
        node = 0
        while feature[node] >= 0:
            node = left[node] if rows[b, feature[node]] <= threshold[node] else right[node]
        out[b] = leaf[node]
    return out


@compiled(nogil=True)
def _add_trees(rows, feature, threshold, left, right, leaf, value, root, column, out):
    """Adds to (B, K) sums what each tree says, see `Trees`; tree after tree, as each stays in the cache."""
    for t in range(len(root)):
        for b in range(len(rows)):
            node = root[t]
            while feature[node] >= 0:
                node = left[node] if rows[b, feature[node]] <= threshold[node] else right[node]
            for v in range(value.shape[1]):
                out[b, column[t] + v] += value[leaf[node], v]


# --- Densities, neighbours, support vectors -------------------------------------------------------------


class Bayes:
    """Naive Bayes with a Gaussian for each number of a row.

    Args:
        arrays: `mean`, `variance`, (C, D) float64, and `log_share`, (C,) float64, of the classes.
        width: numbers of a row.
        classes: C.
    """

    def __init__(self, arrays: Arrays, width: int, classes: int) -> None:
        self._mean = taken(arrays, "mean", np.float64, classes, width)
        variance = taken(arrays, "variance", np.float64, classes, width)
        if not (variance > 0).all():
            raise ValueError("the array 'variance' holds values out of range")
        share = taken(arrays, "log_share", np.float64, classes)
        self._precision = 1 / variance
        self._start = share - 0.5 * np.log(2 * np.pi * variance).sum(axis=1)
        self.outputs = classes

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        return probabilities(_log_densities(rows, self._mean, self._precision, self._start), self.outputs)


@compiled(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _log_densities(rows, mean, precision, start):
    """(B, C) start - sum of precision (row - mean)^2 / 2."""
    out = np.empty((len(rows), len(mean)))
    for b in range(len(rows)):
        for c in range(len(mean)):
            total = 0.0
            for d in range(rows.shape[1]):
                away = rows[b, d] - mean[c, d]
                total += away * away * precision[c, d]
            out[b, c] = start[c] - 0.5 * total
    return out


class Neighbours:
    """The mean of what the nearest points had.

    Args:
        arrays: `point`, (N, D) float32; and either `label`, (N,) int32, their classes, or `value`, (N, V)
            float64.
        width: numbers of a row.
        classes: how many there are; 0 for values.
    """

    NEAREST = 5

    def __init__(self, arrays: Arrays, width: int, classes: int) -> None:
        self._points = taken(arrays, "point", np.float32, None, width)
        self._squares = (self._points**2).sum(axis=1)
        if classes:
            self._value = taken(arrays, "label", np.int32, len(self._points))
            check_range("label", self._value, 0, classes)
            if self._value.max() < classes - 1:
                raise ValueError("the array 'label' holds other classes")
        else:
            self._value = taken(arrays, "value", np.float64, len(self._points), None)
        self._classes = classes
        self.outputs = classes or self._value.shape[1]

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        return in_blocks(self._predict, rows)

    def _predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        distances = self._squares - 2 * (rows @ self._points.T)
        count = min(self.NEAREST, len(self._points))
        nearest = np.sort(np.argpartition(distances, count - 1, axis=1)[:, :count], axis=1)
        found = self._value[nearest]
        return (np.eye(self._classes)[found] if self._classes else found).mean(axis=1)


class Vectors:
    """Support vector machines with radial basis functions; of classes, those that win most pairs.

    Args:
        arrays: `vector`, (S, D) float32, those of a class together; `weight`, (C - 1, S) float64, in
            libsvm's order, or (1, S) where numbers are predicted; `offset`, float64, of each pair of
            classes, or (1,); `gamma`, (1,) float64; of classes `count`, (C,) int32, vectors of each.
        width: numbers of a row.
        classes: C; 0 for plain numbers.
    """

    def __init__(self, arrays: Arrays, width: int, classes: int) -> None:
        self._vectors = taken(arrays, "vector", np.float32, None, width).astype(np.float64)
        self._squares = (self._vectors**2).sum(axis=1)
        self._weights = taken(arrays, "weight", np.float64, max(1, classes - 1), len(self._vectors))
        self._gamma = taken(arrays, "gamma", np.float64, 1)
        pairs = classes * (classes - 1) // 2
        self._offset = taken(arrays, "offset", np.float64, pairs or 1)
        self.outputs, self._ends = classes or 1, None
        if classes:
            count = taken(arrays, "count", np.int32, classes)
            check_range("count", count, 0, len(self._vectors) + 1)
            if count.sum() != len(self._vectors):
                raise ValueError("the array 'count' holds values out of range")
            self._ends = np.cumsum(count)[:-1]

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        return in_blocks(self._predict, rows)

    def _predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        exact = rows.astype(np.float64)
        squares = (exact**2).sum(axis=1)[:, None] + self._squares
        near = np.exp(-self._gamma * np.maximum(squares - 2 * (exact @ self._vectors.T), 0))
        if self._ends is None:
            return near @ self._weights.T + self._offset
        parts = (np.split(each, self._ends, axis=1) for each in (near, self._weights))
        says = [own @ weights.T for own, weights in zip(*parts, strict=True)]
        votes = np.zeros((len(rows), self.outputs))
        for (one, other), offset in zip(combinations(range(self.outputs), 2), self._offset, strict=True):
            first = says[one][:, other - 1] + says[other][:, one] + offset > 0
            votes[:, one] += first
            votes[:, other] += ~first
        return np.eye(self.outputs)[votes.argmax(axis=1)]


def in_blocks(predict, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a model that multiplies large matrices predicts, `BLOCK` rows at once."""
    count = -(-len(rows) // BLOCK)
    filled = np.zeros((count, BLOCK, rows.shape[1]), rows.dtype)
    filled.reshape(-1, rows.shape[1])[: len(rows)] = rows
    return np.concatenate([predict(block) for block in filled])[: len(rows)]


class Stack:
    """A model of what other models predict.

    Args:
        parts: the other models.
        final: what is made of their predictions (of two classes, of the second one's).
        classes: how many there are; 0 for plain numbers.
    """

    def __init__(self, parts: list[Model], final: Model, classes: int) -> None:
        self._parts, self._final, self._first = parts, final, int(classes == 2)
        self.outputs = final.outputs

    @staticmethod
    def width(parts: list[Model], classes: int) -> int:
        """Numbers of a row that the last model takes."""
        return sum(part.outputs - int(classes == 2) for part in parts)

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predicts."""
        found = np.concatenate([part(rows)[:, self._first :] for part in self._parts], axis=1)
        return self._final(found.astype(np.float32))
