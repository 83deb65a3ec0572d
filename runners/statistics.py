"""Statistics of few runs: interquartile means, performance profiles, probabilities of improvement.

Definitions are those of Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (2021). Scores are (R, T) arrays: R runs (seeds) of an algorithm in each of T tasks. Intervals hold
95 %, and come from the stratified percentile bootstrap: within each task, runs are drawn anew. The draws are
seeded, so that equal scores have equal intervals.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Bootstrap resamples."""

Interval = tuple[float, float]


def interquartile_mean(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the middle half of all scores, runs and tasks together.

    Args:
        scores: (..., R, T).

    Returns:
        (...,) means.
    """
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(scores.reshape(*scores.shape[:-2], -1), 0.25, axis=-1))


def performance_profile(scores: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of runs whose score is above each threshold, in the mean of the tasks.

    Args:
        scores: (..., R, T).
        thresholds: (K,).

    Returns:
        (..., K) shares.
    """
    return (scores[..., None] > thresholds).mean(axis=(-3, -2))


def probability_of_improvement(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """How probable it is that a run of X scores more than one of Y, the tasks' mean; ties count half.

    It is the Mann-Whitney U statistic over the number of pairs (Mann & Whitney 1947).

    Args:
        x: (..., R, T) scores of X.
        y: (..., S, T) scores of Y.

    Returns:
        (...,) probabilities.
    """
    difference = x[..., :, None, :] - y[..., None, :, :]
    return ((np.sign(difference) + 1.0) / 2.0).mean(axis=(-3, -2, -1))


def resampled(scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws the runs of each task anew, with replacement: (RESAMPLES, R, T)."""
    runs, tasks = scores.shape
    drawn = rng.integers(runs, size=(RESAMPLES, runs, tasks))
    return scores[drawn, np.arange(tasks)]


def interval(
    statistic: Callable[..., NDArray[np.float64]], *scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Ends of the 95 % interval of a statistic.

    Args:
        statistic: of arrays (..., R, T), one for each of `scores`.
        scores: (R, T) of one algorithm or several.

    Returns:
        Lower and upper ends in the shape of the statistic; None where no algorithm has two runs.
    """
    if all(len(each) < 2 for each in scores):
        return None
    rng = np.random.default_rng(0)
    values = statistic(*(resampled(each, rng) for each in scores))
    low, high = np.percentile(values, (2.5, 97.5), axis=0)
    return low, high
