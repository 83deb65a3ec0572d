"""Proven optima: a Lagrangian bound fixes most sites, branch and bound decides the rest.

All objectives here are p-medians of some cost: coverage has cost 1 a head beyond the radius (R. Church and
C. ReVelle, "The maximal covering location problem", 1974), and a p-center has a radius beyond which nobody
need be (E. Minieka, "The m-center problem", SIAM Review 12, 1970).

The Lagrangian bound is counted in integers, so that it holds to the last digit. HiGHS computes in floating
point, to about 1e-6 of the total: where that is less than 1, the cost of a head by a step, it branches, being
the quicker where many choices cost the same. Larger totals are left to a tree of Lagrangian bounds.
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
    """The best of a Lagrangian relaxation, in parts of a cost of 1."""

    bound: int
    """No choice costs less."""
    prices: NDArray[np.int64]
    """(N,) multipliers: what the service of a point may cost."""
    savings: NDArray[np.int64]
    """(S,) what each site adds to the bound when it is chosen, at most 0."""
    chosen: NDArray[np.int64]
    """(K,) the sites of the bound."""


class _Effort(NamedTuple):
    """Of the subgradient method."""

    step: float
    """At first ..."""
    patience: int
    """... halved after so many rounds without a better bound ..."""
    last: float
    """... until it is less than this."""


ROUNDS = 3000
"""Of the subgradient method at most."""
THOROUGH, QUICK = _Effort(2.0, 30, 1e-4), _Effort(0.5, 10, 0.02)
"""For the root of the tree, and for nodes, which begin from the prices of their parents."""
TOLERANCE = 1e-6
"""Of HiGHS, as a share of a total."""


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
    search = _Search(table, incumbent, deadline, below)
    prices = (table[incumbent].min(axis=0) + 1) * search.unit
    root = search.relax(np.arange(len(table)), 0, prices, THOROUGH)
    bound = max(0, search.whole(root.bound))
    if bound >= search.least:
        return Proof(incumbent, search.least)
    if search.least * TOLERANCE >= 1:
        bound = max(bound, search.tree(root))
        return Proof(search.sites, min(search.least, bound))
    kept, num_fixed = search.undecided(root, 0)
    limits = (root.prices + search.slack(root)) // search.unit
    found = _branch_and_bound(table, kept, num_fixed, search.k, limits, deadline)
    if found.sites is not None:
        search.consider(found.sites)
    return Proof(search.sites, int(min(search.least, max(bound, found.bound))))


class _Node(NamedTuple):
    """A part of all choices."""

    kept: NDArray[np.int64]
    """Sites that a choice may have; the first ones it must have ..."""
    num_fixed: int
    """... and that many these are."""
    prices: NDArray[np.int64]
    """(N,) of the parent's bound."""
    bound: int
    """What the parent has proven."""


class _Search:
    """What is known while the proof goes on.

    Args:
        table: (S, N) costs.
        incumbent: (K,) sites.
        deadline: on the clock of `time.perf_counter`.
        below: only choices that cost less are of interest.
    """

    def __init__(self, table: NDArray, incumbent: NDArray, deadline: float, below: int | None) -> None:
        self._table, self._deadline = table, deadline
        self.sites, self.k = incumbent, len(incumbent)
        cost = int(table[incumbent].min(axis=0).sum())
        self.least = cost if below is None else min(cost, below)
        """Only choices that cost less are looked for."""
        total = int(table.max(axis=0).sum()) + table.shape[1]
        self.unit = 1 << min(20, max(0, 60 - total.bit_length()))
        """Prices are counted in this part of a cost of 1: the finest in which sums stay far below 2^63."""

    def whole(self, bound: int) -> int:
        """The least whole cost not below a bound."""
        return -(-bound // self.unit)

    def slack(self, relaxed: _Relaxed) -> int:
        """How much a choice that is looked for may cost beyond a bound."""
        return (self.least - 1) * self.unit - relaxed.bound

    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() > self._deadline

    def consider(self, sites: NDArray) -> None:
        """Takes (K,) sites as the best known, if they are."""
        cost = int(self._table[sites].min(axis=0).sum())
        if cost < self.least:
            self.sites, self.least = sites, cost

    def relax(self, kept: NDArray, num_fixed: int, prices: NDArray, effort: _Effort) -> _Relaxed:
        """Maximises the Lagrangian bound where each point's one service is relaxed (Cornuejols et al., 1977).

        With prices u, every choice of K sites costs at least the sum of u plus the K least savings, where a
        site saves what it serves for less than the price. The subgradient method is that of Held and Karp.

        Args:
            kept: sites that a choice may have.
            num_fixed: so many of them, the first ones, it must have; at most K.
            prices: (N,) to begin with.
            effort: how long to go on.
        """
        costs, target = self._table[kept] * self.unit, self.least * self.unit
        # What lies beyond the cheapest and the dearest service makes no better bound.
        low, high = costs.min(axis=0), costs.max(axis=0) + self.unit
        prices = np.clip(prices, low, high)
        fixed, more = np.arange(num_fixed), self.k - num_fixed
        best, step, stale = None, effort.step, 0
        for _ in range(ROUNDS):
            savings = np.minimum(costs - prices, 0).sum(axis=1)
            others = savings[num_fixed:].argpartition(more - 1)[:more] if more else fixed[:0]
            chosen = np.concatenate([fixed, others + num_fixed])
            # Not by numpy: the K savings together may pass 2^63.
            bound = int(prices.sum()) + sum(savings[chosen].tolist())
            stale += 1
            if best is None or bound > best.bound:
                stale = 0
                best = _Relaxed(bound, prices, savings, chosen)
            if self.whole(best.bound) >= self.least or step < effort.last or self.is_over():
                break
            if stale == effort.patience:
                step, stale, prices = step / 2, 0, best.prices
            slope = 1.0 - (costs[chosen] < prices).sum(axis=0)
            steepness = slope @ slope
            if steepness == 0:
                break
            prices = np.clip(prices + step * (target - bound) / steepness * slope, low, high)
            prices = np.rint(prices).astype(np.int64)
        assert best is not None
        return best

    def undecided(self, relaxed: _Relaxed, num_fixed: int) -> tuple[NDArray, int]:
        """Which of the relaxed sites a choice that is looked for may have; it must have the first ones.

        Returns:
            Their indices, and how many it must have. These may be fewer or more than K: there is no choice.
        """
        free, more, slack = relaxed.savings[num_fixed:], self.k - num_fixed, self.slack(relaxed)
        may, must = np.zeros(len(free), bool), np.zeros(len(free), bool)
        if more:
            ranked = np.sort(free)
            may = free - ranked[more - 1] <= slack
            if more < len(free):
                must = ranked[more] - free > slack
        fixed = np.concatenate([np.arange(num_fixed), num_fixed + np.flatnonzero(must)])
        rest = num_fixed + np.flatnonzero(may & ~must)
        rest = rest[np.argsort(relaxed.savings[rest], kind="stable")]
        return np.concatenate([fixed, rest]), len(fixed)

    def tree(self, root: _Relaxed) -> int:
        """Branches on one site after the other, the most promising one first; the bound that is proven."""
        everywhere = np.arange(len(self._table))
        waiting = self._branches(_Node(everywhere, 0, root.prices, 0), root)
        while waiting and not self.is_over():
            node = waiting.pop()
            if node.bound < self.least:
                relaxed = self.relax(node.kept, node.num_fixed, node.prices, QUICK)
                waiting += self._branches(node, relaxed)
        return min([self.least, *(node.bound for node in waiting)])

    def _branches(self, node: _Node, relaxed: _Relaxed) -> list[_Node]:
        """The parts of a node in which there may be a better choice: without its best site, and with it."""
        self.consider(node.kept[relaxed.chosen])
        bound = max(node.bound, self.whole(relaxed.bound))
        if bound >= self.least:
            return []
        order, num_fixed = self.undecided(relaxed, node.num_fixed)
        kept = node.kept[order]
        if num_fixed > self.k or len(kept) < self.k:
            return []
        if num_fixed == self.k or len(kept) == self.k:
            self.consider(kept[: self.k])
            return []
        without = np.delete(kept, num_fixed)
        return [
            _Node(without, num_fixed, relaxed.prices, bound),
            _Node(kept, num_fixed + 1, relaxed.prices, bound),
        ]


class _Found(NamedTuple):
    """What the search among cheaper choices has found."""

    sites: NDArray[np.int64] | None
    """(K,) the best of them, if any is known."""
    bound: float
    """None of them costs less; infinite if there is none."""


def _branch_and_bound(
    table: NDArray, kept: NDArray, num_fixed: int, k: int, limits: NDArray, deadline: float
) -> _Found:
    """Solves the mixed-integer program among some sites.

    Args:
        table: (S, N) costs.
        kept: sites that may be chosen.
        num_fixed: so many of them, the first ones, must be.
        k: how many.
        limits: (N,) what the service of a point may cost at most.
        deadline: on the clock of `time.perf_counter`.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    costs, remaining = table[kept], deadline - time.perf_counter()
    if len(kept) < k or (costs.min(axis=0) > limits).any():
        return _Found(None, math.inf)
    if remaining <= 0:
        return _Found(None, -math.inf)
    program = _radius_formulation(costs, limits)
    size = len(program.objective)
    chosen = csr_array(np.arange(size)[None] < len(kept), dtype=float)
    must = np.zeros(size)
    must[:num_fixed] = 1
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
    return _Found(sites, bound if math.isinf(bound) else math.ceil(bound - TOLERANCE * max(1.0, bound)))


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
