"""Fronts of several costs: the policies that are best for some way of weighing them, and how good others are.

A point is what a policy costs: (N,) numbers, of which less is better. The convex coverage set holds the
points that cost least for some weights of at least 0 (Roijers et al. 2013, "A survey of multi-objective
sequential decision-making"); who mixes policies comes to everything between them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

Points = NDArray[np.float64]


def coverage_set(
    best: Callable[[NDArray[np.float64]], NDArray[np.float64]], count: int, tolerance: float = 1e-6
) -> Points:
    """The convex coverage set, by optimistic linear support (Roijers et al. 2015).

    Between the points that are known lie weights at which the next one may show: the corners of what they
    leave open. Each is asked about once; when none wins anything, there are no other points.

    Args:
        best: the point that costs least for (N,) weights, exactly.
        count: N, at least 2.
        tolerance: a point that wins less, by weighted cost, is none.

    Returns:
        (P, N) points, none twice, sorted.
    """
    points = np.array([best(weights) for weights in np.eye(count) + tolerance])
    asked: set[tuple[float, ...]] = set()
    while True:
        corners = [each for each in _corners(points) if tuple(each.round(9)) not in asked]
        for weights in corners:
            asked.add(tuple(weights.round(9)))
            found = best(weights)
            if found @ weights < (points @ weights).min() - tolerance:
                points = np.vstack([points, found])
                break
        else:
            return needed(points, tolerance)


def _corners(points: Points) -> Points:
    """(C, N) weights, of sum 1, at which the least weighted cost of some points has a corner."""
    count = points.shape[1]
    # Of the first N - 1 weights w and a height h: h <= cost of each point, w >= 0, sum(w) <= 1, h >= low.
    planes = np.column_stack([points[:, -1:] - points[:, :-1], np.ones(len(points)), -points[:, -1]])
    walls = np.column_stack([-np.eye(count - 1), np.zeros((count - 1, 2))])
    roof = np.array([[*np.ones(count - 1), 0.0, -1.0]])
    low = points.min() - 1.0
    floor = np.array([[*np.zeros(count - 1), -1.0, low]])
    middle = np.full(count - 1, 1.0 / count)
    height = (points @ np.append(middle, 1.0 - middle.sum())).min()
    inside = np.append(middle, (height + low) / 2)
    try:
        found = HalfspaceIntersection(np.vstack([planes, walls, roof, floor]), inside).intersections
    except QhullError:
        return np.empty((0, count))
    found = found[(found[:, -1] > low + 1e-9) & np.isfinite(found).all(axis=1)]
    return np.clip(np.column_stack([found[:, :-1], 1.0 - found[:, :-1].sum(axis=1)]), 0.0, None)


def needed(points: Points, tolerance: float) -> Points:
    """Points that cost least somewhere, each once."""
    ordered = points[np.lexsort(points.T[::-1])]
    steps = np.abs(np.diff(ordered, axis=0)).max(axis=1)
    kept = ordered[np.append(True, steps > tolerance)]
    return kept[[not _is_covered(np.delete(kept, k, axis=0), each, tolerance) for k, each in enumerate(kept)]]


def _is_covered(others: Points, point: NDArray[np.float64], tolerance: float) -> bool:
    """Whether others, mixed, cost no more than a point in anything."""
    if len(others) == 0:
        return False
    found = linprog(
        np.zeros(len(others)),
        A_ub=others.T,
        b_ub=point + tolerance,
        A_eq=np.ones((1, len(others))),
        b_eq=[1.0],
        bounds=(0, 1),
    )
    return found.status == 0


def hypervolume(points: Points, worst: NDArray[np.float64]) -> float:
    """How much costs less than a reference and no less than some mixture of points.

    Args:
        points: (P, N).
        worst: (N,) the reference; what costs more in anything counts for nothing.
    """
    inside = points[(points <= worst).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if len(worst) == 1:
        return float((worst - inside).max())
    # All that costs more than a mixture is the hull of the boxes between the points and the reference.
    some = product((False, True), repeat=len(worst))
    corners = np.concatenate([np.where(mask, worst, inside) for mask in some])
    try:
        return float(ConvexHull(corners).volume)
    except QhullError:  # flat: a point costs as much as the reference
        return 0.0


def largest_regret(front: Points, points: Points) -> float:
    """By how much points cost more than the front, at the weights where that is most.

    Args:
        front: (F, N) the coverage set.
        points: (P, N) what somebody comes to.

    Returns:
        The largest difference of least weighted costs, of all weights of sum 1.
    """
    corners = np.vstack([np.eye(front.shape[1]), _corners(front), _corners(points)])
    return float(((points @ corners.T).min(axis=0) - (front @ corners.T).min(axis=0)).max())
