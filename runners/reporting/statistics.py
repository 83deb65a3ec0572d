"""Statistics with their intervals: of episodes, of few runs, and of predictions.

Intervals hold 95 %, and come from the percentile bootstrap: what is independent is drawn anew, be it
episodes, runs within each task, or groups of rows. Draws are seeded: equal values have equal intervals.

Those of runs (interquartile means, performance profiles, probabilities of improvement) are defined as in
Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (2021). Scores are
(R, T) arrays: R runs (seeds) of an algorithm in each of T tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
"""Bootstrap resamples."""
CONFIDENCE, SHARE = 0.95, 0.5
"""How sure a tolerance interval is that at least this share of all runs lies in it."""
LEAST_RUNS = 8
"""Fewer runs give no tolerance interval."""
PERMUTATIONS = 10_000
"""Ways of dealing out runs that tie, at most: all there are, or as many at random."""


def statistics(values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean and interquartile mean of (E,) values of episodes, with their intervals; None of less than two."""
    from scipy.stats import bootstrap

    def iqm(x: NDArray, axis: int = -1) -> NDArray:
        return interquartile_mean(np.expand_dims(x, axis))

    result: dict[str, Any] = {}
    for name, statistic in (("mean", np.mean), ("iqm", iqm)):
        ends = None
        if len(values) > 1:
            rng = np.random.default_rng(0)
            found = bootstrap(
                (values,), statistic, n_resamples=RESAMPLES, batch=100, method="percentile", rng=rng, axis=-1
            ).confidence_interval
            ends = [float(found.low), float(found.high)]
        result |= {name: float(statistic(values)), f"{name}_95": ends}
    return result


def cost_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the 95 % interval of a cost's mean, also where next to no episode costs anything.

    The bootstrap knows nothing of what was not drawn: of 1,000 episodes without harm it says that none are.
    So no end lies further in than that of the exact interval of the share of episodes that cost something
    (Clopper & Pearson 1934), times what these cost, or 1 where none does.

    Args:
        values: (E,) what each episode cost, at least 0.
    """
    from scipy.stats import binomtest

    paid = values[values > 0]
    share = binomtest(len(paid), len(values)).proportion_ci()
    each = float(paid.mean()) if len(paid) else 1.0
    low, high = statistics(values)["mean_95"] or (0.0, np.inf)
    return min(low, share.low * each), max(high, share.high * each)


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
    return _ends(values)


def over_runs(values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean and interquartile mean of (R,) runs, with their intervals."""
    scores = values[:, None]
    mean = with_interval(lambda x: x.mean(axis=(-2, -1)), scores)
    iqm = with_interval(interquartile_mean, scores)
    return {"mean": mean[0], "mean_95": mean[1:] or None, "iqm": iqm[0], "iqm_95": iqm[1:] or None}


def with_interval(statistic: Any, *scores: NDArray[np.float64]) -> list[Any]:
    """A statistic and the ends of its interval, if it has one."""
    ends = interval(statistic, *scores) or ()
    return [np.asarray(each).tolist() for each in (statistic(*scores), *ends)]


def tolerance_interval(values: NDArray[np.float64]) -> list[float] | None:
    """Ends between which, with 95 % confidence, at least half of all runs lie that there might be.

    Nothing is assumed of their distribution: the ends are two of the runs, as far from the lowest as from the
    highest (Wilks 1941). An interval of a mean narrows with more runs, this one does not.

    Args:
        values: (R,) runs.

    Returns:
        Lower and upper end; None of fewer than `LEAST_RUNS`.
    """
    from scipy.stats import binom

    # Between the runs of ranks r and s lies SHARE or more as often as s - r is above a binomial number.
    apart = int(binom.ppf(CONFIDENCE, len(values), SHARE)) + 1
    first = (len(values) + 1 - apart) // 2
    if first < 1:
        return None
    ordered = np.sort(values)
    return [float(ordered[first - 1]), float(ordered[-first])]


def difference_test(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """How probable it is that equals come to differ as (R,) and (S,) runs do, or more, in either direction.

    It is the exact test of what `probability_of_improvement` estimates (Mann & Whitney 1947); where runs tie,
    they are permuted.
    """
    from scipy.stats import PermutationMethod, mannwhitneyu

    method: Any = "exact"
    if len(np.unique(np.concatenate([x, y]))) < len(x) + len(y):
        if min(len(x), len(y)) < 2:  # SciPy permutes no single run, and one run can't tell
            return 1.0
        method = PermutationMethod(n_resamples=PERMUTATIONS, rng=np.random.default_rng(0))
    return float(mannwhitneyu(x, y, method=method).pvalue)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) probabilities of K tests, corrected for there being K (Holm 1979).

    Of the tests whose corrected probability is below 0.05 not one is wrong, with a probability of 95 %.
    """
    order = np.argsort(p_values)
    corrected = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    result = np.empty(len(order))
    result[order] = np.minimum(corrected, 1.0)
    return result


def area_under(curve: NDArray[np.float64]) -> float | None:
    """The area under a curve of learning over its width: the mean score on the way.

    Args:
        curve: (K, 2) transitions, rising, and the score after each.

    Returns:
        It; None of a curve without width.
    """
    if len(curve) < 2 or not (width := curve[-1, 0] - curve[0, 0]) > 0:
        return None
    return float(np.trapezoid(curve[:, 1], curve[:, 0]) / width)


def _ends(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which 95 % of (RESAMPLES, ...) values lie; those that are none are left out."""
    low, high = np.nanquantile(values, (0.025, 0.975), axis=0)
    return low, high


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


def shares(hits: NDArray, total: NDArray) -> list[Score]:
    """Shares of hits in all that might be some.

    The bootstrap knows nothing of what was not drawn. So where all are hits, or none is, the interval is the
    exact one of as many draws as there are groups with any (Clopper & Pearson 1934).

    Args:
        hits: (G, K) counts in each of G groups, which are resampled as a whole.
        total: (G, K) counts of all, 1 at least in one group.
    """
    from scipy.stats import binomtest

    groups, count = hits.shape
    if not count:
        return []
    counted, of = np.split(_resampled(np.hstack([hits, total]), np.arange(groups)), [count])
    drawn = np.divide(counted, of, out=np.full_like(of, np.nan), where=of > 0)
    found = [Score(*map(float, each)) for each in zip(drawn[:, 0], *_ends(drawn[:, 1:].T), strict=True)]
    for k, score in enumerate(found):
        if score.value in (0.0, 1.0):
            seen = np.count_nonzero(total[:, k])
            exact = binomtest(seen * int(score.value), seen).proportion_ci()
            found[k] = Score(score.value, exact.low, exact.high)
    return found


def covariance_test(total: NDArray, first: NDArray, second: NDArray, both: NDArray) -> NDArray[np.float64]:
    """How probable it is that chance makes the second of two as frequent with the first as it is, or more so.

    It is the greater of two probabilities. The one is that of a t test of the covariance, to which each group
    of rows adds its own part, however much the rows of a group depend on each other. It takes the variance
    from what was seen, which is too little where the second is nearly always so and no exception was seen.
    The other is the binomial one of the share that was seen, of as many draws as there are groups with the
    first, with the second's usual share, which knows of exceptions.

    Args:
        total: (G, K) rows of each group, 1 at least in one.
        first: (G, K) how many of them have the first of two.
        second: (G, K) the second.
        both: (G, K) both.

    Returns:
        (K,) probabilities; 1 where nothing varies.
    """
    from scipy.special import betainc
    from scipy.stats import ttest_1samp

    rows, firsts = total.sum(axis=0), first.sum(axis=0)
    share, other = firsts / rows, second.sum(axis=0) / rows
    parts = both - share * second - other * first + share * other * total
    varies = (np.ptp(parts, axis=0) > 0) & (both.sum(axis=0) > 0)
    found = np.ones(parts.shape[1])
    test: Any = ttest_1samp(parts[:, varies], 0, axis=0, alternative="greater")
    draws = np.count_nonzero(first, axis=0)[varies]
    hits = draws * (both.sum(axis=0)[varies] / firsts[varies])  # hardly ever whole, which the integral allows
    found[varies] = np.maximum(test.pvalue, betainc(hits, draws - hits + 1, other[varies]))
    return found


def _resampled(rows: NDArray, group: NDArray) -> NDArray[np.float64]:
    """(K, 1 + RESAMPLES) sums of (N, K) rows: of all groups, then of as many drawn with replacement."""
    numbers, of_row = np.unique(group, return_inverse=True)
    sums = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(sums, of_row, rows)
    share = np.full(len(numbers), 1 / len(numbers))
    drawn = np.random.default_rng(0).multinomial(len(numbers), share, RESAMPLES)
    return (np.concatenate([np.ones((1, len(numbers))), drawn]) @ sums).T


def _interval(values: NDArray[np.float64]) -> Score:
    return Score(float(values[0]), *map(float, _ends(values[1:])))


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
        else:
            from sklearn.linear_model import Ridge

            # Not standardised: numbers that are nearly always zero, as tiles are, would count too much.
            self._model = Ridge(1.0).fit(codes.astype(np.float64), wanted)

    def __call__(self, codes: NDArray) -> NDArray[np.float64]:
        """(N, K) predictions."""
        if self._model is not None:
            return self._model.predict(codes.astype(np.float64)).reshape(len(codes), -1)
        return self._means[codes]
