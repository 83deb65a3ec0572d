"""Fast interchange: local search over swaps of one site, for objectives that are sums over the points.

R. A. Whitaker, "A fast algorithm for the greedy interchange for large-scale clustering and median location
problems", INFOR 21 (1983); M. G. C. Resende and R. F. Werneck, "A fast swap-based local search procedure for
location problems", Annals of Operations Research 150 (2007). What a swap is worth is never computed from
scratch: bringing site f in for the chosen site r lowers the cost by

    gain[f] - loss[r] + extra[f, r]

where gain is what f saves if nothing leaves, loss what the leaving of r costs if nothing comes, and extra
corrects for the points of r that f serves better than their second nearest site. A swap changes the three
only through points whose nearest or second nearest site changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...caching import compiled
from .instances import MAX_SITE_BITS, MAX_SITES


class Costs(NamedTuple):
    """What it costs to serve N points from S sites: weight times distance, or any other whole numbers."""

    order: NDArray[np.int32]
    """(N, S) for each point the sites, cheapest first."""
    cost: NDArray[np.int64]
    """(N, S) for each point the costs in that order."""
    table: NDArray[np.int64]
    """(N, S) for each point the cost of each site."""
    free: NDArray[np.bool_]
    """(S,) which sites may be chosen."""

    @classmethod
    def of(cls, table: NDArray, free: NDArray[np.bool_]) -> Costs:
        """Sorts (S, N) costs below 2^48 of at most MAX_SITES sites, equal ones by site."""
        table = np.ascontiguousarray(table.T, np.int64)
        # Cost and site in one number: sorting numbers is several times faster than sorting indices.
        both = np.sort((table << MAX_SITE_BITS) + np.arange(table.shape[1]), axis=1)
        return cls((both & (MAX_SITES - 1)).astype(np.int32), both >> MAX_SITE_BITS, table, free)


class Swaps(NamedTuple):
    """A choice of K sites, and what every swap of one is worth."""

    chosen: NDArray[np.int64]
    """(K,) sites by slot; the one that comes takes the slot of the one that leaves."""
    slot: NDArray[np.int64]
    """(S,) slot of each site, -1 outside the choice."""
    near: NDArray[np.int64]
    """(N, 2) slots of each point's nearest and second nearest site; the latter -1 if K is 1."""
    cost: NDArray[np.int64]
    """(N, 2) their costs; where there is no second, more than any site's."""
    gain: NDArray[np.int64]
    """(S,) see above."""
    loss: NDArray[np.int64]
    """(K,)"""
    extra: NDArray[np.int64]
    """(S, K)"""

    @property
    def total(self) -> int:
        """The cost of the choice."""
        return int(self.cost[:, 0].sum())

    def copy_from(self, other: Swaps) -> None:
        """Takes over another choice of as many sites."""
        for mine, its in zip(self, other, strict=True):
            mine[:] = its


def start(costs: Costs, chosen: NDArray) -> Swaps:
    """Prepares the search from some sites.

    Args:
        costs: of the instance.
        chosen: (K,) different sites.
    """
    (points, sites), k = costs.table.shape, len(chosen)
    near, gain, loss = np.empty((points, 2), np.int64), np.zeros(sites, np.int64), np.zeros(k, np.int64)
    swaps = Swaps(
        np.array(chosen, np.int64),
        np.full(sites, -1, np.int64),
        near,
        np.empty_like(near),
        gain,
        loss,
        np.zeros((sites, k), np.int64),
    )
    swaps.slot[swaps.chosen] = np.arange(k)
    _build(costs, swaps)
    return swaps


@compiled
def _find_near(costs, swaps, point):
    """Finds a point's two nearest sites anew."""
    found = 0
    for j in range(costs.order.shape[1]):
        slot = swaps.slot[costs.order[point, j]]
        if slot >= 0:
            swaps.near[point, found] = slot
            swaps.cost[point, found] = costs.cost[point, j]
            found += 1
            if found == 2:
                return
    swaps.near[point, 1] = -1
    swaps.cost[point, 1] = costs.cost[point, -1] + 1


@compiled
def _count(costs, swaps, point, sign):
    """Adds (sign 1) or takes away (-1) what a point contributes to gain, loss and extra."""
    nearest, first, second = swaps.near[point, 0], swaps.cost[point, 0], swaps.cost[point, 1]
    swaps.loss[nearest] += sign * (second - first)
    order, cost = costs.order[point], costs.cost[point]
    for j in range(len(order)):
        if cost[j] >= second:
            break
        site = order[j]
        if cost[j] < first:
            swaps.gain[site] += sign * (first - cost[j])
            swaps.extra[site, nearest] += sign * (second - first)
        else:
            swaps.extra[site, nearest] += sign * (second - cost[j])


@compiled
def _build(costs, swaps):
    """Fills all but the choice."""
    for point in range(len(costs.order)):
        _find_near(costs, swaps, point)
        _count(costs, swaps, point, 1)


@compiled
def swap(costs, swaps, site, slot):
    """Brings a site in for the one in a slot."""
    swaps.slot[swaps.chosen[slot]] = -1
    swaps.slot[site] = slot
    swaps.chosen[slot] = site
    for point in range(len(costs.order)):
        price = costs.table[point, site]
        leaves = swaps.near[point, 0] == slot or swaps.near[point, 1] == slot
        if not leaves and price >= swaps.cost[point, 1]:
            continue
        _count(costs, swaps, point, -1)
        if leaves:
            _find_near(costs, swaps, point)
        elif price < swaps.cost[point, 0]:
            swaps.near[point, 1], swaps.cost[point, 1] = swaps.near[point, 0], swaps.cost[point, 0]
            swaps.near[point, 0], swaps.cost[point, 0] = slot, price
        else:
            swaps.near[point, 1], swaps.cost[point, 1] = slot, price
        _count(costs, swaps, point, 1)


@compiled
def _best_swap(swaps, comes, leaves):
    """The best swap of sites that may come and slots that may be left: its worth, site and slot (or -1)."""
    best, best_site, best_slot = np.iinfo(np.int64).min, -1, -1
    for site in range(len(comes)):
        if not comes[site] or swaps.slot[site] >= 0:
            continue
        extra = swaps.extra[site]
        for slot in range(len(extra)):
            worth = swaps.gain[site] - swaps.loss[slot] + extra[slot]
            if worth > best and leaves[slot]:
                best, best_site, best_slot = worth, site, slot
    return best, best_site, best_slot


@compiled
def improve(costs, swaps):
    """Makes the best swap, of equals that of the lowest site, then of the lowest slot.

    Args:
        costs: of the instance.
        swaps: the choice, changed only if that lowers its cost.

    Returns:
        Whether it does.
    """
    worth, site, slot = _best_swap(swaps, costs.free, np.ones(len(swaps.chosen), np.bool_))
    if site < 0 or worth <= 0:
        return False
    swap(costs, swaps, site, slot)
    return True


@compiled
def descend(costs, swaps):
    """Improves a choice of sites until no swap does."""
    while improve(costs, swaps):
        pass


@compiled
def _relink(costs, swaps, comes, best):
    """Walks to another choice, each time by the best swap towards it.

    Args:
        costs: of the instance.
        swaps: where the walk starts; it ends next to the other choice.
        comes: (S,) bool, the other choice.
        best: (K,) overwritten with the best choice strictly between the two ends, if there is one.
    """
    leaves = np.empty(len(swaps.chosen), np.bool_)
    for slot in range(len(leaves)):
        leaves[slot] = not comes[swaps.chosen[slot]]
    total, least = np.int64(0), np.iinfo(np.int64).max  # the total counts from the start
    for _ in range(leaves.sum() - 1):
        worth, site, slot = _best_swap(swaps, comes, leaves)
        swap(costs, swaps, site, slot)
        leaves[slot] = False
        total -= worth
        if total < least:
            least = total
            best[:] = swaps.chosen


@compiled
def _perturb(costs, swaps, sites, slots):
    """Swaps in some sites, whatever they cost; sites that are chosen already stay where they are."""
    for site, slot in zip(sites, slots):  # noqa: B905 (numba)
        if swaps.slot[site] < 0:
            swap(costs, swaps, site, slot)


ELITE = 8
"""Choices that are kept for relinking."""
PERTURBED = 0.5
"""Share of the sites that are swapped at random, at most."""


def iterate(
    costs: Costs,
    chosen: NDArray,
    random: np.random.Generator,
    stop: Callable[[int, int], bool],
) -> NDArray[np.int64]:
    """Local search again and again: from the current choice, perturbed, and between it and earlier ones.

    Path relinking after Resende and Werneck, "A hybrid heuristic for the p-median problem", Journal of
    Heuristics 10 (2004).

    Args:
        costs: of the instance.
        chosen: (K,) sites to start from.
        random: for the perturbation.
        stop: called before every round with the number of rounds since the last improvement, and the least
            cost so far; says whether to stop.

    Returns:
        (K,) the best sites found.
    """
    candidates = np.flatnonzero(costs.free)
    k = len(chosen)
    current, trial = start(costs, chosen), start(costs, chosen)
    descend(costs, current)
    elite = [(current.total, np.sort(current.chosen))]
    stale = 0
    most = max(2, int(PERTURBED * k))
    while not stop(stale, elite[0][0]):
        stale += 1
        count = random.integers(1, most, endpoint=True)
        trial.copy_from(current)
        _perturb(costs, trial, random.choice(candidates, count), random.integers(k, size=count))
        descend(costs, trial)
        _relink_with(costs, trial, elite[random.integers(len(elite))][1])
        if trial.total <= current.total:
            current.copy_from(trial)
        if trial.total < elite[0][0]:
            stale = 0
        _remember(elite, trial)
    return elite[0][1]


def _relink_with(costs: Costs, trial: Swaps, other: NDArray) -> None:
    """Searches on the way from a choice to another, and keeps what is found if it is better."""
    comes = np.zeros(len(costs.free), bool)
    comes[other] = True
    if np.count_nonzero(~comes[trial.chosen]) < 3:
        return
    before, between = trial.total, trial.chosen.copy()
    here = start(costs, between)
    _relink(costs, here, comes, between)
    here = start(costs, between)
    descend(costs, here)
    if here.total < before:
        trial.copy_from(here)


def _remember(elite: list[tuple[int, NDArray]], swaps: Swaps) -> None:
    """Puts a choice among the best ones, which are sorted, if it is new and good enough."""
    chosen = np.sort(swaps.chosen)
    if all(cost != swaps.total or (chosen != other).any() for cost, other in elite):
        elite.append((swaps.total, chosen))
        elite.sort(key=lambda entry: entry[0])
        del elite[ELITE:]
