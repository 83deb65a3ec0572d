"""Statistics of runs against rliable 1.2.0, which was given the same scores, and what can be counted.

Intervals of rliable are of 20,000 resamples.
"""

import math

import numpy as np
import pytest
from meze.runners.reporting.statistics import (
    LEAST_RUNS,
    area_under,
    difference_test,
    holm,
    interquartile_mean,
    interval,
    performance_profile,
    probability_of_improvement,
    resampled,
    tolerance_interval,
)

A = np.array(
    [
        [0.8, 0.9, 0.7],
        [0.5, 0.7, 0.5],
        [0.8, 1.2, 0.7],
        [0.6, 0.9, 0.9],
        [0.8, 0.5, 0.8],
        [1.0, 0.4, 0.7],
        [0.2, 0.4, 0.2],
        [0.7, 0.4, 0.9],
        [0.8, 0.7, 0.0],
        [0.6, 0.8, 0.8],
    ]
)
B = np.array(
    [
        [0.0, 0.4, 0.2],
        [0.3, 1.0, 0.3],
        [0.6, 1.0, 0.4],
        [0.6, 0.6, 0.6],
        [0.1, 0.6, 1.1],
        [0.0, 0.9, 0.6],
        [0.3, 1.4, 0.9],
    ]
)
THRESHOLDS = np.linspace(0, 1.2, 7) + 0.05


def test_interquartile_mean_is_that_of_rliable():
    assert interquartile_mean(A) == pytest.approx(0.7)
    assert interquartile_mean(B) == pytest.approx(0.5363636363636364)
    assert interval(interquartile_mean, A) == pytest.approx((0.59984375, 0.78125), abs=0.01)


def test_probability_of_improvement_is_that_of_rliable_ties_counting_half():
    assert probability_of_improvement(A, B) == pytest.approx(0.6)
    assert probability_of_improvement(B, A) == pytest.approx(0.4)
    assert probability_of_improvement(A, A) == pytest.approx(0.5)
    found = interval(probability_of_improvement, A, B)
    assert found == pytest.approx((0.45714286, 0.74767857), abs=0.015)


def test_performance_profile_is_that_of_rliable():
    profile = performance_profile(A, THRESHOLDS)
    assert profile == pytest.approx([29 / 30, 0.9, 0.8, 19 / 30, 0.2, 1 / 30, 0.0])
    low, high = interval(lambda x: performance_profile(x, THRESHOLDS), A)
    assert low == pytest.approx([0.9, 0.8, 0.667, 0.467, 0.067, 0.0, 0.0], abs=0.035)
    assert high == pytest.approx([1.0, 1.0, 0.933, 0.8, 0.333, 0.1, 0.0], abs=0.035)


def test_runs_are_drawn_within_their_task():
    scores = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    drawn = resampled(scores, np.random.default_rng(0))
    assert set(np.unique(drawn[..., 0])) == {1.0, 2.0, 3.0} and drawn[..., 1].min() == 10.0
    assert not (drawn[..., 0] * 10 == drawn[..., 1]).all()  # independently of each other


def test_one_run_has_no_interval_and_equal_scores_have_equal_ones():
    assert interval(interquartile_mean, A[:1]) is None
    assert interval(interquartile_mean, A) == interval(interquartile_mean, A)


def test_holm_corrects_step_by_step():
    """By hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and of 0.04 no less than of the one before."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])).max() == 1.0 == holm(np.array([0.5, 0.9])).min()
    assert len(holm(np.array([]))) == 0


def test_a_tolerance_interval_needs_eight_runs_to_hold_half():
    """Between the lowest and the highest of n lies half with probability 1 - (n + 1) / 2^n (Wilks 1941)."""
    for count in range(1, 40):
        found = tolerance_interval(np.arange(count, dtype=float)[::-1])
        assert (found is None) == (count < LEAST_RUNS) == (1 - (count + 1) / 2**count < 0.95)
    assert tolerance_interval(np.arange(8.0)) == [0.0, 7.0]


@pytest.mark.parametrize("count", [8, 13, 30])
def test_a_tolerance_interval_holds_half_as_often_as_it_says(count):
    rng = np.random.default_rng(0)
    drawn = rng.random((4000, count))  # of runs so spread as much lies between two as they are apart
    ends = np.array([tolerance_interval(runs) for runs in drawn])
    often = (ends[:, 1] - ends[:, 0] >= 0.5).mean()
    assert 0.94 < often
    narrower = np.sort(drawn, axis=1)
    first = round(float((narrower[0] < ends[0, 0]).sum()))
    assert (narrower[:, -2 - first] - narrower[:, first] >= 0.5).mean() < 0.95  # one run less would not do


def test_equals_are_told_apart_exactly():
    low, high = np.arange(5.0), np.arange(5.0) + 5
    assert difference_test(low, high) == pytest.approx(2 / math.comb(10, 5)) == difference_test(high, low)
    assert difference_test(np.zeros(3), np.ones(3)) == pytest.approx(2 / math.comb(6, 3))  # though runs tie
    assert difference_test(np.ones(1), np.array([1.0, 1.0, 2.0])) == 1.0  # a single run can't tell
    assert difference_test(np.ones(3), np.ones(3)) == 1.0
    assert difference_test(np.zeros(1), np.ones(1)) == 1.0


def test_the_area_under_a_curve_is_its_mean_height():
    assert area_under(np.array([[10.0, 0.0], [20.0, 1.0], [40.0, 1.0]])) == pytest.approx(25 / 30)
    assert area_under(np.array([[10.0, 3.0]])) is None
    assert area_under(np.array([[10.0, 3.0], [10.0, 4.0]])) is None
    assert area_under(np.zeros((0, 2))) is None
