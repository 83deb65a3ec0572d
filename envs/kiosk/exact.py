"""Proven optima: a Lagrangian bound fixes most sites, a mixed-integer program on HiGHS decides the rest.

All objectives here are p-medians of some cost: coverage has cost 1 a head beyond the radius (R. Church and
C. ReVelle, "The maximal covering location problem", 1974), and a p-center has a radius beyond which nobody
need be (E. Minieka, "The m-center problem", SIAM Review 12, 1970).
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import coo_array


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
    """What the search among cheaper choices has found."""

    sites: NDArray[np.int64] | None
    """(K,) the best of them, if any is known."""
    bound: float
    """None of them costs less; infinite if there is none."""


def _branch_and_bound(
    table: NDArray, kept: NDArray, fixed: NDArray, k: int, limits: NDArray, deadline: float
) -> _Found:
    """Solves the mixed-integer program among some sites.

    Args:
        table: (S, N) costs.
        kept: sites that may be chosen.
        fixed: those among them that must be.
        k: how many.
        limits: (N,) what the service of a point may cost at most.
        deadline: on the clock of `time.perf_counter`.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    costs, remaining = table[kept], deadline - time.perf_counter()
    limits = limits + 1e-6 * np.maximum(1, abs(limits))
    if len(kept) < k or (costs.min(axis=0) > limits).any():
        return _Found(None, math.inf)
    if remaining <= 0:
        return _Found(None, -math.inf)
    program = _radius_formulation(costs, limits)
    size = len(program.objective)
    chosen = csr_array(np.arange(size)[None] < len(kept), dtype=float)
    must = np.zeros(size)
    must[: len(kept)] = np.isin(kept, fixed)
    result = milp(
        program.objective,
        integrality=np.arange(size) < len(kept),
        bounds=Bounds(must, np.ones(size)),  # type: ignore[arg-type]
        constraints=[
            LinearConstraint(csr_array(program.entries), program.lower, np.inf),  # type: ignore[arg-type]
            LinearConstraint(chosen, k, k),
        ],
        options={"time_limit": remaining, "mip_rel_gap": 0},
    )
    if result.status == 2:  # infeasible
        return _Found(None, math.inf)
    sites = None if result.x is None else kept[np.argsort(-result.x[: len(kept)], kind="stable")[:k]]
    bound = -math.inf if result.mip_dual_bound is None else result.mip_dual_bound + program.constant
    return _Found(sites, bound if math.isinf(bound) else _round_up(bound))


class _Program(NamedTuple):
    """Minimise constant + objective @ x where entries @ x >= lower."""

    objective: NDArray[np.float64]
    constant: float
    entries: coo_array
    lower: NDArray[np.float64]


def _radius_formulation(costs: NDArray, limits: NDArray) -> _Program:
    """The program of S. Elloumi, "A tighter formulation of the p-median problem", J. Comb. Optim. 19 (2010).

    The first variables y[j] say whether site j is chosen. For each point there is a z[l] behind every cost
    level l but the last within its limit: whether nothing serves the point at that level or less. z need
    not be whole. Where z[-1] is 1 and the last z is 0, for every level

        z[l] + y of the sites at this level >= z[l - 1]
    """
    from scipy.sparse import coo_array

    rows, columns, values, lower, objective = [], [], [], [], [np.zeros(len(costs))]
    row, column, constant = 0, len(costs), 0
    for point, limit in zip(costs.T, limits, strict=True):
        levels, level = np.unique(point, return_inverse=True)
        count = int(np.searchsorted(levels, limit, "right"))
        sites, steps = np.flatnonzero(level < count), np.arange(count - 1)
        rows += [row + level[sites], row + steps, row + 1 + steps]
        columns += [sites, column + steps, column + steps]
        values += [np.ones(len(sites)), np.ones(count - 1), -np.ones(count - 1)]
        lower.append(np.arange(count) == 0)
        objective.append(np.diff(levels[:count]))
        constant += int(levels[0])
        row, column = row + count, column + count - 1
    place = np.concatenate(rows), np.concatenate(columns)
    entries = coo_array((np.concatenate(values), place), shape=(row, column))
    return _Program(np.concatenate(objective), constant, entries, np.concatenate(lower).astype(float))
