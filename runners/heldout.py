"""Scores on held-out groups of rows, episodes or days, with intervals; and readouts that judge codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .scores import RESAMPLES


class Score(NamedTuple):
    """A value and its 95 % percentile bootstrap interval over groups."""

    value: float
    low: float
    high: float


def r_squared(truth: NDArray, found: NDArray, group: NDArray) -> Score:
    """The share of the variance that is predicted: 1 at best, 0 for the truth's own mean.

    Args:
        truth: (N,) or (N, K) numbers; of K the variances are added up.
        found: the same, predicted.
        group: (N,) integers, what each row belongs to. Groups are resampled as a whole, since their rows are
            not independent.
    """
    truth, found = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (truth, found))
    wrong = np.square(truth - found).sum(axis=1)
    truth = truth - truth.mean(axis=0)  # which changes no variance, and keeps the sums small
    count, wrong, squares, *sums = _resampled(
        np.column_stack([np.ones(len(truth)), wrong, np.square(truth).sum(axis=1), truth]), group
    )
    return _interval(1 - wrong / (squares - np.square(sums).sum(axis=0) / count))


def accuracy(truth: NDArray, found: NDArray, group: NDArray) -> Score:
    """The share of rows whose (N,) class is the one that was found; see `r_squared`."""
    count, hits = _resampled(np.column_stack([np.ones(len(truth)), truth == found]), group)
    return _interval(hits / count)


def _resampled(rows: NDArray, group: NDArray) -> NDArray[np.float64]:
    """(K, 1 + RESAMPLES) sums of (N, K) rows: of all groups, then of as many drawn with replacement."""
    numbers, of_row = np.unique(group, return_inverse=True)
    sums = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(sums, of_row, rows)
    share = np.full(len(numbers), 1 / len(numbers))
    drawn = np.random.default_rng(0).multinomial(len(numbers), share, RESAMPLES)
    return (np.concatenate([np.ones((1, len(numbers))), drawn]) @ sums).T


def _interval(values: NDArray[np.float64]) -> Score:
    return Score(float(values[0]), *map(float, np.quantile(values[1:], (0.025, 0.975))))


class Readout:
    """The plainest predictor of (N, K) numbers from codes: of an index the mean, of a vector a linear map.

    So it tells what is in a code, not what could be made of it by a better predictor.
    """

    def __init__(self, codes: NDArray, wanted: NDArray) -> None:
        """Fits.

        Args:
            codes: (N,) indices or (N, D) vectors.
            wanted: (N, K) numbers.
        """
        self._model: Any = None
        if codes.ndim == 1:
            self._means = np.tile(wanted.mean(axis=0, dtype=np.float64), (int(codes.max()) + 1, 1))
            seen, of_row = np.unique(codes, return_inverse=True)
            sums = np.zeros((len(seen), wanted.shape[1]))
            np.add.at(sums, of_row, wanted)
            self._means[seen] = sums / np.bincount(of_row)[:, None]
            self._otherwise = self._means
        else:
            from sklearn.linear_model import Ridge

            # Not standardised: numbers that are nearly always zero, as tiles are, would count too much.
            self._model = Ridge(1.0).fit(codes.astype(np.float64), wanted)

    def __call__(self, codes: NDArray) -> NDArray[np.float64]:
        """(N, K) predictions."""
        if self._model is not None:
            return self._model.predict(codes.astype(np.float64)).reshape(len(codes), -1)
        return self._means[codes]
