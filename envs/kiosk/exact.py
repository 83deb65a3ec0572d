"""Proven optima: a Lagrangian bound fixes most sites, a mixed-integer program on HiGHS decides the rest.

All objectives here are p-medians of some cost: coverage has cost 1 a head beyond the radius (R. Church and
C. ReVelle, "The maximal covering location problem", 1974), and a p-center has a radius beyond which nobody
need be (E. Minieka, "The m-center problem", SIAM Review 12, 1970).
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Proof(NamedTuple):
    """Sites, and what is proven about them."""

    sites: NDArray[np.int64]
    """(K,) the best sites known."""
    bound: int
    """No choice of K sites costs less."""


class _Relaxed(NamedTuple):
    """The best of the Lagrangian relaxation."""

    bound: float
    """No choice costs less."""
    prices: NDArray[np.float64]
    """(N,) multipliers: what the service of a point may cost."""
    savings: NDArray[np.float64]
    """(S,) what each site adds to the bound when it is chosen, at most 0."""


ROUNDS = 3000
"""Of the subgradient method."""
PATIENCE = 30
"""Rounds without a better bound after which its step is halved."""


def prove(
    table: NDArray[np.int64], incumbent: NDArray[np.int64], deadline: float, below: int | None = None
) -> Proof:
    """Finds K sites of least cost, or a bound.

    Args:
        table: (S, N) whole costs to serve each point from each site, not negative.
        incumbent: (K,) a good choice of sites.
        deadline: on the clock of `time.perf_counter`; the bound is what is proven then.
        below: only choices that cost less than this are of interest; the bound never exceeds it.
    """
    least = int(table[incumbent].min(axis=0).sum())
    if below is not None:
        least = min(least, below)
    k = len(incumbent)
    relaxed = _relax(table, incumbent, least, deadline)
    bound = max(0, _round_up(relaxed.bound))
    if bound >= least:
        return Proof(incumbent, least)
    kept, fixed = _undecided(relaxed, k, least)
    slack = least - 1 - relaxed.bound
    found = _branch_and_bound(table, kept, fixed, k, relaxed.prices + slack, deadline)
    if found.sites is not None:
        value = int(table[found.sites].min(axis=0).sum())
        if value < least:
            incumbent, least = found.sites, value
    return Proof(incumbent, int(min(least, max(bound, found.bound))))


def _round_up(bound: float) -> int:
    """The least whole number not below a bound that was computed in floating point."""
    return math.ceil(bound - 1e-6 * max(1.0, abs(bound)))


def _relax(table: NDArray, incumbent: NDArray, target: int, deadline: float) -> _Relaxed:
    """Maximises the Lagrangian bound where each point's one service is relaxed (Cornuejols et al., 1977).

    With prices u, every choice of K sites costs at least the sum of u plus the K least savings, where a
    site saves what it serves for less than the price. The subgradient method is that of Held and Karp.
    """
    costs, k = table.astype(float), len(incumbent)
    prices = costs[incumbent].min(axis=0) + 1
    best = _Relaxed(-math.inf, prices, np.zeros(len(table)))
    step, stale = 2.0, 0
    for _ in range(ROUNDS):
        savings = np.minimum(costs - prices, 0).sum(axis=1)
        chosen = np.argpartition(savings, k - 1)[:k]
        bound = prices.sum() + savings[chosen].sum()
        stale += 1
        if bound > best.bound:
            stale = 0
            best = _Relaxed(float(bound), prices, savings)
        if _round_up(best.bound) >= target or step < 1e-4 or time.perf_counter() > deadline:
            break
        if stale == PATIENCE:
            step, stale, prices = step / 2, 0, best.prices
        slope = 1.0 - (costs[chosen] < prices).sum(axis=0)
        steepness = slope @ slope
        if steepness == 0:
            break
        prices = prices + step * (target - bound) / steepness * slope
    return best


def _undecided(relaxed: _Relaxed, k: int, least: int) -> tuple[NDArray, NDArray]:
    """The sites that a choice cheaper than `least` may have, and those among them that it must have."""
    ranked = np.sort(relaxed.savings)
    better = least - 1 + 1e-6 * least
    may = relaxed.bound + relaxed.savings - ranked[k - 1] <= better
    must = np.zeros_like(may)
    if k < len(ranked):
        must = relaxed.bound + ranked[k] - relaxed.savings > better
    return np.flatnonzero(may | must), np.flatnonzero(must)


class _Found(NamedTuple):
    sites: NDArray[np.int64] | None
    bound: float


def _branch_and_bound(
    table: NDArray, kept: NDArray, fixed: NDArray, k: int, limits: NDArray, deadline: float
) -> _Found:
    """Solves the mixed-integer program.

    It is the radius formulation of S. Elloumi, "A tighter formulation of the p-median problem", Journal of
    Combinatorial Optimization 19 (2010).

    y[j] says whether site j is chosen, z[i, l] whether nothing serves point i at its l-th cost or less; z
    need not be whole. A point that costs more than its limit can't be part of a better choice.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    costs = table[kept]
    remaining = deadline - time.perf_counter()
    if len(kept) < k:
        return _Found(None, math.inf)
    if remaining <= 0:
        return _Found(None, -math.inf)
    rows, columns, entries, lower, objective = [], [], [], [], [np.zeros(len(kept))]
    row, column, constant = 0, len(kept), 0.0
    for i in range(costs.shape[1]):
        levels = np.unique(costs[:, i])
        within = levels[levels <= limits[i] + 1e-6 * abs(limits[i])]
        if not len(within):
            return _Found(None, math.inf)
        constant += float(within[0])
        for place, level in enumerate(within):
            sites = np.flatnonzero(costs[:, i] == level)
            last = place == len(within) - 1
            # z[l] + y of this level's sites >= z[l - 1], where z[-1] is 1 and the last z is 0.
            own = sites.tolist() + ([] if last else [column])
            values = [1.0] * len(own)
            if place:
                own, values = [*own, column - 1], [*values, -1.0]
            rows += [row] * len(own)
            columns += own
            entries += values
            lower.append(0.0 if place else 1.0)
            row += 1
            column += not last
        objective.append(np.diff(within).astype(float))
    rows += [row] * len(kept)
    columns += list(range(len(kept)))
    entries += [1.0] * len(kept)
    lower.append(float(k))
    upper = np.full(row + 1, np.inf)
    upper[-1] = k
    matrix = csr_array((entries, (rows, columns)), shape=(row + 1, column))
    whole = np.zeros(column)
    whole[: len(kept)] = 1
    least = np.zeros(column)
    least[np.flatnonzero(np.isin(kept, fixed))] = 1
    result = milp(
        np.concatenate(objective),
        integrality=whole,
        bounds=Bounds(least, np.ones(column)),  # type: ignore[arg-type]
        constraints=LinearConstraint(matrix, np.array(lower), upper),  # type: ignore[arg-type]
        options={"time_limit": remaining, "mip_rel_gap": 0},
    )
    if result.status == 2:  # infeasible: nothing better exists
        return _Found(None, math.inf)
    sites = None if result.x is None else kept[np.argsort(-result.x[: len(kept)], kind="stable")[:k]]
    proven = -math.inf if result.mip_dual_bound is None else _round_up(result.mip_dual_bound + constant)
    return _Found(sites, proven)
