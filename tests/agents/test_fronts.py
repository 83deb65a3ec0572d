"""Fronts against brute force over all deterministic policies of small random processes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from meze.agents.fronts import coverage_set, hypervolume, largest_regret


def costs_of_all(seed, count, rounded):
    """(P, N) what each of the 3 ** 5 deterministic policies of a process costs from its first state."""
    rng = np.random.default_rng(seed)
    after, cost = rng.dirichlet(np.ones(5) / 2, (5, 3)), rng.random((5, 3, count))
    cost = (3 * cost).round() if rounded else cost
    rows = np.arange(5)
    policies = (np.array(each) for each in product(range(3), repeat=5))
    return np.array(
        [np.linalg.solve(np.eye(5) - 0.9 * after[rows, each], cost[rows, each])[0] for each in policies]
    )


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_it_holds_what_is_best_for_any_weights_and_no_more(seed, count):
    points = costs_of_all(seed, count, rounded=seed % 2 == 0)
    asked = []

    def best(weights):
        asked.append(weights)
        return points[(points @ weights).argmin()]

    front = coverage_set(best, count)
    weights = np.random.default_rng(9).dirichlet(np.ones(count), 3000)
    least = (points @ weights.T).min(axis=0)
    assert (front @ weights.T).min(axis=0) == pytest.approx(least, abs=1e-6)
    winners = (front @ weights.T).argmin(axis=0)
    assert len(np.unique(winners)) >= len(front) - 1  # a narrow one may be missed by 3,000 weights
    assert len(asked) < 20 * len(front) + 20
    assert largest_regret(front, front) == pytest.approx(0, abs=1e-9)


def test_one_point_is_a_front():
    assert coverage_set(lambda weights: np.array([1.0, 2.0, 3.0]), 3).tolist() == [[1.0, 2.0, 3.0]]


def test_hypervolume_by_hand():
    worst = np.array([4.0, 4.0])
    assert hypervolume(np.array([[1.0, 1.0]]), worst) == 9
    assert hypervolume(np.array([[0.0, 2.0], [2.0, 0.0]]), worst) == 14  # mixtures between them count
    assert hypervolume(np.array([[0.0, 2.0], [1.5, 1.5], [2.0, 0.0]]), worst) == 14
    assert hypervolume(np.array([[5.0, 0.0]]), worst) == 0


def test_regret_by_hand():
    front = np.array([[0.0, 2.0], [2.0, 0.0]])
    assert largest_regret(front, np.array([[0.0, 2.0]])) == pytest.approx(2)  # where the second alone counts
    assert largest_regret(front, np.array([[0.0, 2.0], [2.0, 1.0]])) == pytest.approx(1)
