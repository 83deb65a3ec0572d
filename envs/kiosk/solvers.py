"""The kiosk's yardsticks: from random placement to proven optima, all through `solve`.

    random         the first K of a random order
    greedy         one site after the other, each the best for the moment
    k-means        clusters of points by straight distance (scikit-learn), each served from its best site
    k-medoids      clusters by the instance's own distances, again and again (F. E. Maranzana, "On the
                   location of supply points to minimize transport costs", Operational Research Quarterly 15,
                   1964)
    interchange    iterated fast interchange, see `interchange.py`
    genetic-sets   a genetic algorithm on sets, see `genetic.py`
    exact          the proven optimum, or a bound, see `exact.py`; not for revenue, which is not linear

What they return has been confirmed by the independent checker. Without a time limit, and with equal seeds, a
solver returns the same again; on another machine, too, unless it rests on another library's floating point:
k-means on that of scikit-learn, and exact, where there are several optima, on that of HiGHS.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...checking import unknown
from . import interchange
from .check import confirm
from .exact import Proof, prove
from .genetic import PATIENCE as GENETIC_PATIENCE
from .genetic import evolve
from .instances import Instance
from .objective import Objective, Valuation

INTERCHANGE_PATIENCE = 300
"""Rounds without an improvement after which the search ends, if no time limit is given."""
REVENUE_PATIENCE = 10
"""The same for revenue, where a round takes longer."""
CLUSTER_STARTS = 10
"""Random starts of `k-means` and `k-medoids`, of which the best counts."""


@dataclass(frozen=True)
class Solution:
    """A placement that the checker confirmed."""

    solver: str
    """One of NAMES."""
    sites: NDArray[np.int64]
    """(K,) numbers of sites, increasing."""
    objective: int
    """What the placement is worth."""
    bound: int | None
    """What no placement can beat, proven; None if nothing is proven."""
    seconds: float
    """How long it took."""

    @property
    def is_optimal(self) -> bool:
        """Whether it is proven that there is no better one."""
        return self.bound == self.objective

    @property
    def gap(self) -> float | None:
        """The distance from the bound, as a share of it; None if nothing is proven."""
        if self.bound is None or self.is_optimal:
            return None if self.bound is None else 0.0
        return abs(self.objective - self.bound) / self.bound if self.bound else float("inf")


@dataclass(frozen=True)
class _Task:
    """What a solver is to do."""

    instance: Instance
    objective: Objective
    valuation: Valuation
    random: np.random.Generator
    deadline: float | None
    """On the clock of `time.perf_counter`; None: until patience is at an end."""
    target: int | None
    """A cost that is good enough."""
    is_patient: bool = True
    """Searches go on until the deadline, if there is one."""

    @property
    def k(self) -> int:
        return self.instance.num_kiosks

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """(S,) the sites of people whose walks count."""
        return self.instance.weights > 0

    @property
    def burdens(self) -> NDArray[np.int64]:
        """(S, N) costs of service whose sum is the objective or, for p-center and revenue, goes with it."""
        distances = self.instance.distances
        if self.objective.kind == "coverage":
            return self.instance.weights * (distances > self.objective.radius).astype(np.int64)
        return self.instance.weights * distances.astype(np.int64)

    def beyond(self, radius: int) -> NDArray[np.int64]:
        """(S, N) cost 1 for every point with people further than a radius."""
        return ((self.instance.distances > radius) & self.occupied).astype(np.int64)

    def cost(self, sites: NDArray) -> int:
        return int(self.valuation.cost(self.valuation.of(sites)))

    def is_over(self) -> bool:
        return self.deadline is not None and time.perf_counter() > self.deadline

    def stop(self, patience: int, target: int | None) -> Callable[[int, int], bool]:
        """Says when a search is to end: in time, when its patience is, or once it reaches the target."""

        def stop(stale: int, cost: int) -> bool:
            if target is not None and cost <= target:
                return True
            waits = self.is_patient and self.deadline is not None
            return self.is_over() or (stale >= patience and not waits)

        return stop


def solve(
    name: str,
    instance: Instance,
    objective: Objective | None = None,
    seed: int = 0,
    time_limit: float | None = None,
    target: int | None = None,
) -> Solution:
    """Places the kiosks.

    Args:
        name: one of NAMES.
        instance: the city.
        objective: what counts; by default p-median.
        seed: a non-negative integer.
        time_limit: in seconds. `interchange` and `genetic-sets` use all of it, and `exact` returns what it
            has; the others take no notice, being quick. By default the two end when they no longer improve,
            and `exact` with the proof.
        target: an objective with which `interchange` and `genetic-sets` are content.

    Raises:
        ValueError: for an unknown solver, or one that can't solve this.
    """
    if name not in NAMES:
        raise ValueError(unknown("solver", name, NAMES))
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be positive, got {time_limit}")
    objective = Objective() if objective is None else objective
    objective.check(instance)
    began = time.perf_counter()
    cost_target = target if target is None or objective.less_is_better else -target
    task = _Task(
        instance,
        objective,
        Valuation(instance, objective),
        np.random.default_rng(seed),
        None if time_limit is None else began + time_limit,
        cost_target,
    )
    sites, bound = _exact(task) if name == "exact" else (_HEURISTICS[name](task), None)
    sites = np.sort(sites)
    found = abs(task.cost(sites))
    seconds = time.perf_counter() - began
    confirm(instance, objective, sites, found)
    return Solution(name, sites, found, bound, seconds)


def able(objective: Objective, instances: Sequence[Instance]) -> tuple[str, ...]:
    """The solvers that can solve all these: k-means needs coordinates, and exact does not know revenue."""
    unable = set()
    if objective.kind == "revenue":
        unable.add("exact")
    if any(instance.points is None for instance in instances):
        unable.add("k-means")
    return tuple(name for name in NAMES if name not in unable)


# ------------------------------------------------------------ simple ones


def _random(task: _Task) -> NDArray[np.int64]:
    return task.random.permutation(np.flatnonzero(task.instance.free))[: task.k]


def _greedy(task: _Task) -> NDArray[np.int64]:
    return _fill(task, [])


def _fill(task: _Task, sites: list[int]) -> NDArray[np.int64]:
    """Adds the best site until there are enough; of equals the one that spares most walking."""
    valuation, burdens = task.valuation, task.burdens
    open_sites = task.instance.free.copy()
    open_sites[sites] = False
    placed = valuation.of(np.array(sites)) if sites else valuation.nothing
    walked = burdens[sites].min(axis=0) if sites else burdens.max(axis=0) + 1
    while len(sites) < task.k:
        candidates = np.flatnonzero(open_sites)
        costs = valuation.cost(valuation.join(placed, valuation.table[candidates]))
        walks = np.minimum(walked, burdens[candidates]).sum(axis=1)
        site = int(candidates[np.lexsort((walks, costs))[0]])
        sites = [*sites, site]
        open_sites[site] = False
        placed, walked = valuation.join(placed, valuation.table[site]), np.minimum(walked, burdens[site])
    return np.array(sites)


# ------------------------------------------------------------ clusters


def _k_means(task: _Task) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    instance, places = task.instance, _coordinates(task, "k-means")
    here = np.flatnonzero(task.occupied)
    seed = int(task.random.integers(1 << 31))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer places than clusters are no mistake
        means = KMeans(min(task.k, len(here)), n_init=CLUSTER_STARTS, random_state=seed)  # type: ignore[arg-type]
        labels = means.fit_predict(places[here], sample_weight=instance.weights[here])
    everywhere = np.full(instance.num_points, -1)
    everywhere[here] = labels
    return _snap(task, everywhere)


def _coordinates(task: _Task, what: str) -> NDArray[np.int32]:
    if task.instance.points is None:
        raise ValueError(f"{task.instance.name}: {what} needs coordinates, and only distances are known")
    return task.instance.points


def _k_medoids(task: _Task) -> NDArray[np.int64]:
    return min((_medoids(task) for _ in range(CLUSTER_STARTS)), key=task.cost)


def _medoids(task: _Task) -> NDArray[np.int64]:
    """Serves each kiosk's people from their best site, until that is no better."""
    best = _random(task)
    while True:
        sites = _snap(task, task.instance.distances[best].argmin(axis=0))
        if task.cost(sites) >= task.cost(best):
            return best
        best = sites


def _snap(task: _Task, labels: NDArray) -> NDArray[np.int64]:
    """Chooses for each cluster the site that serves it best, for empty ones what helps most.

    Args:
        task: what counts.
        labels: (N,) cluster of each point, 0 to K - 1, or -1.
    """
    burdens, sites = task.burdens, []
    open_sites = task.instance.free.copy()
    for cluster in range(task.k):
        members = labels == cluster
        if members.any():
            whole = burdens[:, members]
            worst = task.instance.distances[:, members & task.occupied].max(axis=1, initial=0)
            first = worst if task.objective.kind == "p-center" else np.zeros_like(worst)
            order = np.lexsort((whole.sum(axis=1), first, ~open_sites))
            sites.append(int(order[0]))
            open_sites[order[0]] = False
    return _fill(task, sites)


# ------------------------------------------------------------ searches


def _interchange(task: _Task) -> NDArray[np.int64]:
    if task.objective.kind == "p-center":
        return _shrink(task)
    if task.objective.kind == "revenue":
        return _swap_revenue(task)
    total = 0 if task.objective.kind == "p-median" else int(task.instance.weights.sum(dtype=np.int64))
    target = None if task.target is None else task.target + total
    costs = interchange.Costs.of(task.burdens, task.instance.free)
    stop = task.stop(INTERCHANGE_PATIENCE, target)
    return interchange.iterate(costs, _greedy(task), task.random, stop)


def _shrink(task: _Task) -> NDArray[np.int64]:
    """p-center: looks for a placement that covers all within the next smaller radius, until it finds none."""
    radii = np.unique(task.instance.distances)
    best = _greedy(task)
    while task.target is None or task.cost(best) > task.target:
        smaller = radii[radii < task.cost(best)]
        if not len(smaller):
            break
        sites = _cover(task, int(smaller[-1]), best)
        if task.beyond(int(smaller[-1]))[sites].min(axis=0).any():
            break
        best = sites
    return best


def _cover(task: _Task, radius: int, sites: NDArray) -> NDArray[np.int64]:
    """Searches for a placement with everybody within a radius, from some sites."""
    costs = interchange.Costs.of(task.beyond(radius), task.instance.free)
    return interchange.iterate(costs, sites, task.random, task.stop(INTERCHANGE_PATIENCE, 0))


def _swap_revenue(task: _Task) -> NDArray[np.int64]:
    """Revenue is no sum of nearest distances: the best of all swaps, each from scratch, then perturbed."""
    candidates = np.flatnonzero(task.instance.free)
    best = current = _best_swaps(task, _greedy(task))
    stop, stale = task.stop(REVENUE_PATIENCE, task.target), 0
    while not stop(stale, task.cost(best)):
        stale += 1
        trial = current.copy()
        new = task.random.choice(candidates, int(task.random.integers(1, max(2, task.k // 4), endpoint=True)))
        new = np.setdiff1d(new, trial)[: task.k]
        trial[task.random.choice(task.k, len(new), replace=False)] = new
        trial = _best_swaps(task, trial)
        if task.cost(trial) <= task.cost(current):
            current = trial
        if task.cost(trial) < task.cost(best):
            best, stale = trial, 0
    return best


def _best_swaps(task: _Task, sites: NDArray) -> NDArray[np.int64]:
    valuation, sites = task.valuation, sites.copy()
    cost = task.cost(sites)
    while not task.is_over():
        candidates = np.setdiff1d(np.flatnonzero(task.instance.free), sites)
        least, slot, site = cost, -1, -1
        for k in range(len(sites)):
            rest = valuation.of(np.delete(sites, k)) if len(sites) > 1 else valuation.nothing
            costs = valuation.cost(valuation.join(rest, valuation.table[candidates]))
            if len(costs) and costs.min() < least:
                least, slot, site = int(costs.min()), k, int(candidates[costs.argmin()])
        if slot < 0:
            break
        sites[slot], cost = site, least
    return sites


def _genetic(task: _Task) -> NDArray[np.int64]:
    stop = task.stop(GENETIC_PATIENCE, task.target)
    return evolve(task.valuation, task.burdens, task.instance.free, task.k, task.random, stop)


# ------------------------------------------------------------ proofs


def _exact(task: _Task) -> tuple[NDArray[np.int64], int]:
    """The best sites known, and the bound."""
    if task.objective.kind == "revenue":
        raise ValueError("exact knows p-median, p-center and coverage; revenue is not linear")
    deadline = math.inf if task.deadline is None else task.deadline
    frugal = replace(task, is_patient=False, target=None)
    if task.objective.kind == "p-center":
        return _exact_center(frugal, deadline)
    proof = _prove(task, task.burdens, _interchange(frugal), deadline)
    if task.objective.kind == "coverage":
        return proof.sites, int(task.instance.weights.sum(dtype=np.int64)) - proof.bound
    return proof.sites, proof.bound


def _prove(
    task: _Task, table: NDArray, incumbent: NDArray, deadline: float, below: int | None = None
) -> Proof:
    """`prove` among the sites without rivals."""
    free = np.flatnonzero(task.instance.free)
    proof = prove(table[free], np.searchsorted(free, incumbent), deadline, below)
    return Proof(free[proof.sites], proof.bound)


def _exact_center(task: _Task, deadline: float) -> tuple[NDArray[np.int64], int]:
    """Halves the range of radii, each time finding a cover or proving that there is none."""
    distances = task.instance.distances[task.instance.free][:, task.occupied]
    radii = np.unique(distances[distances >= distances.min(axis=0).max()])
    best = _shrink(task)
    low, high = 0, int(np.searchsorted(radii, task.cost(best)))
    while low < high:
        middle = (low + high) // 2
        table = task.beyond(int(radii[middle]))
        proof = _prove(task, table, _cover(task, int(radii[middle]), best), deadline, below=1)
        if not table[proof.sites].min(axis=0).any():
            best, high = proof.sites, int(np.searchsorted(radii, task.cost(proof.sites)))
        elif proof.bound >= 1:
            low = middle + 1
        else:
            break
    return best, int(radii[low])


# ------------------------------------------------------------ to look at


@dataclass(frozen=True)
class Frame:
    """A moment of a search."""

    sites: NDArray[np.int64]
    """(K,) sites, each cluster's in its place."""
    objective: int
    """What they are worth."""
    centres: NDArray[np.float64] | None = None
    """(K, 2) x and y of the clusters' means in steps, for k-means."""


def frames(
    name: str, instance: Instance, objective: Objective | None = None, seed: int = 0
) -> Iterator[Frame]:
    """Shows one run of `k-means` or of the swap search (`interchange`) from a random start, step by step.

    Raises:
        ValueError: for another solver, or if it can't solve this.
    """
    objective = Objective() if objective is None else objective
    objective.check(instance)
    valuation = Valuation(instance, objective)
    task = _Task(instance, objective, valuation, np.random.default_rng(seed), None, None)
    if name == "k-means":
        steps = _lloyd(task)
    elif name == "interchange" and objective.kind in ("p-median", "coverage"):
        steps = ((sites, None) for sites in _swapped(task))
    else:
        raise ValueError(f"there is nothing to see of {name} for {objective.kind}")
    for sites, centres in steps:
        yield Frame(sites, abs(task.cost(sites)), centres)


def _lloyd(task: _Task) -> Iterator[tuple[NDArray, NDArray]]:
    """Lloyd's steps of k-means, with the sites to which the means would be snapped."""
    places = _coordinates(task, "k-means")
    weights = task.instance.weights
    centres = places[task.random.choice(np.flatnonzero(task.occupied), task.k)].astype(float)
    labels = None
    while True:
        last, labels = labels, ((places[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
        yield _snap(task, labels), centres.copy()
        if last is not None and (labels == last).all():
            return
        for cluster in range(task.k):
            if weights[labels == cluster].any():
                members = labels == cluster
                centres[cluster] = np.average(places[members], axis=0, weights=weights[members])


def _swapped(task: _Task) -> Iterator[NDArray]:
    """The choices of a descent by best swaps."""
    costs = interchange.Costs.of(task.burdens, task.instance.free)
    swaps = interchange.start(costs, _random(task))
    yield swaps.chosen.copy()
    while interchange.improve(costs, swaps):
        yield swaps.chosen.copy()


_HEURISTICS: dict[str, Callable[[_Task], NDArray[np.int64]]] = {
    "random": _random,
    "greedy": _greedy,
    "k-means": _k_means,
    "k-medoids": _k_medoids,
    "interchange": _interchange,
    "genetic-sets": _genetic,
}
NAMES = (*_HEURISTICS, "exact")
"""Every solver."""
