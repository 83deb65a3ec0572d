"""Statistics of runs against rliable 1.2.0, which was given the same scores.

Its intervals are of 20,000 resamples.
"""

import numpy as np
import pytest
from meze.runners.reporting.statistics import (
    interquartile_mean,
    interval,
    performance_profile,
    probability_of_improvement,
    resampled,
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
