"""A genetic algorithm on sets of sites, on DEAP's population tools.

O. Alp, E. Erkut and Z. Drezner, "An efficient genetic algorithm for the p-median problem", Annals of
Operations Research 122 (2003): a child starts with all sites of both parents, and drops the one that it
misses least until K are left; sites that both parents have stay. A mutation exchanges one site.
"""

from __future__ import annotations

import random as global_random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...caching import compiled
from .objective import Valuation

POPULATION = 64
TOURNAMENT = 2
MUTATION = 0.5
"""Chance of a child to be mutated."""
PATIENCE = 30
"""Generations without an improvement after which evolution ends, if no time limit is given."""


def evolve(
    valuation: Valuation,
    costs: NDArray[np.int64],
    free: NDArray[np.bool_],
    k: int,
    random: np.random.Generator,
    stop: Callable[[int, int], bool],
) -> NDArray[np.int64]:
    """Breeds sets of sites.

    Args:
        valuation: their fitness.
        costs: (S, N) costs of service, by which children drop sites.
        free: (S,) which sites may be chosen.
        k: how many are to be chosen.
        random: for everything.
        stop: called before every generation with the number of generations since the last improvement, and
            the least cost so far; says whether to stop.

    Returns:
        (K,) the best sites found.
    """
    from deap import base, tools

    class Fitness(base.Fitness):
        weights = (-1.0,)

    class Placement(np.ndarray):
        fitness: Any

    def individual(sites: NDArray) -> Placement:
        made = np.sort(sites).view(Placement)
        made.fitness = Fitness((float(valuation.cost(valuation.of(np.asarray(made)))),))
        return made

    candidates, by_point = np.flatnonzero(free), np.ascontiguousarray(costs.T)
    with _private_stream(random):
        population = [individual(random.choice(candidates, k, replace=False)) for _ in range(POPULATION)]
        best, stale = tools.selBest(population, 1)[0], 0
        while not stop(stale, -int(best.fitness.wvalues[0])):
            stale += 1
            parents = tools.selTournament(population, 2 * POPULATION, TOURNAMENT)
            children = []
            for mother, father in zip(parents[::2], parents[1::2], strict=True):
                child = _cross(by_point, np.asarray(mother), np.asarray(father))
                if random.random() < MUTATION:
                    _mutate(child, candidates, random)
                children.append(individual(child))
            population = _survivors([*population, *children])
            if population[0].fitness > best.fitness:
                best, stale = population[0], 0
    return np.array(best, np.int64)


@contextmanager
def _private_stream(random: np.random.Generator) -> Iterator[None]:
    """Lends the module `random`, from which DEAP draws, a stream of its own."""
    state = global_random.getstate()
    global_random.seed(int(random.integers(1 << 62)))
    try:
        yield
    finally:
        global_random.setstate(state)


def _survivors(placements: list) -> list:
    """The fittest, each set once."""
    found = {placement.tobytes(): placement for placement in placements}
    return sorted(found.values(), key=lambda placement: placement.fitness, reverse=True)[:POPULATION]


def _mutate(sites: NDArray, candidates: NDArray, random: np.random.Generator) -> None:
    """Exchanges one site, unless the one drawn is there already."""
    new = random.choice(candidates)
    if new not in sites:
        sites[random.integers(len(sites))] = new


@compiled
def _cross(costs, mother, father):
    """A child of two sets of sites; see above.

    Args:
        costs: (N, S) costs of service.
        mother: (K,) sites.
        father: (K,) sites.

    Returns:
        (K,) sites.
    """
    points, sites = costs.shape
    times = np.zeros(sites, np.int64)
    for j in range(len(mother)):
        times[mother[j]] += 1
        times[father[j]] += 1
    union = np.flatnonzero(times)
    near = np.empty((points, 2), np.int64)  # the two sites of the union that serve each point cheapest
    loss = np.zeros(sites, np.int64)
    for i in range(points):
        _two_nearest(costs[i], union, times, near[i])
        loss[near[i, 0]] += costs[i, near[i, 1]] - costs[i, near[i, 0]]
    left = len(union)
    while left > len(mother):
        out = -1
        for site in union:
            if times[site] == 1 and (out < 0 or loss[site] < loss[out]):
                out = site
        times[out] = 0
        left -= 1
        for i in range(points):
            if near[i, 0] == out or near[i, 1] == out:
                loss[near[i, 0]] -= costs[i, near[i, 1]] - costs[i, near[i, 0]]
                _two_nearest(costs[i], union, times, near[i])
                loss[near[i, 0]] += costs[i, near[i, 1]] - costs[i, near[i, 0]]
    return np.flatnonzero(times)


@compiled
def _two_nearest(costs, union, times, near):
    """Finds the cheapest two sites that are not dropped, equal ones if there is but one."""
    first, second = -1, -1
    for site in union:
        if times[site] == 0:
            continue
        if first < 0 or costs[site] < costs[first]:
            first, second = site, first
        elif second < 0 or costs[site] < costs[second]:
            second = site
    near[0] = first
    near[1] = second if second >= 0 else first
