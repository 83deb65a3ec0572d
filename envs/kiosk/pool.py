"""Which instances are in play, and the tables that the kernels read of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...checking import unknown
from ..core.lots import even_lots
from ..core.splits import first_seed
from ..streets.maps import MAPS
from .config import KIOSKS, KioskConfig
from .generator import TownConfig, generate
from .instances import MAX_PAIRS, Instance, InstanceError, from_coordinates
from .objective import ATTRACTION, Objective, attractions
from .readers import read_instance, shipped_instance, shipped_instances
from .state import (
    BEYOND,
    COVERAGE,
    GRID,
    INSTANCE,
    MOST,
    NOWHERE,
    NUM_WALKS,
    P_CENTER,
    P_MEDIAN,
    REVENUE,
    RULES,
    SIDE,
    UNIT,
    KioskParams,
)

KIND_CODES = {"p-median": P_MEDIAN, "p-center": P_CENTER, "coverage": COVERAGE, "revenue": REVENUE}
"""The objectives as kernels know them."""
VILLAGE_KIOSKS, VILLAGE_OPTIMUM = 3, 2529


class Pool(NamedTuple):
    """The cities of a world, and which of them a state record is about."""

    instances: list[Instance]
    """Empty where each episode has a fresh city ..."""
    num_kiosks: int
    """... with so many kiosks ..."""
    num_rivals: int
    """... and rivals."""

    def instance_of(self, record: np.void) -> Instance:
        """The city that a state record is about; a fresh one is made of the record's places."""
        if self.instances:
            return self.instances[record["instance"]]
        places = np.stack([record["x"], record["y"]], axis=1)
        return from_coordinates("fresh", places, self.num_kiosks, rivals=np.arange(self.num_rivals))

    def key_of(self, record: np.void) -> Any:
        """What tells the city of a state record from others of this world."""
        return int(record["instance"]) if self.instances else (record["x"].tobytes(), record["y"].tobytes())


def load_pool(config: KioskConfig) -> list[Instance]:
    """Makes or reads the instances of a pool; for fresh cities there is none.

    Raises:
        ValueError: one line, for an unknown source, a faulty file or impossible numbers.
    """
    source = config.source
    if source == "fresh":
        return []
    if source == "generated":
        _check_size(config.pool_size, config.sites, config.points)
        first = first_seed(config.split)
        streets = None if config.map == "generated" else MAPS.find(config.map, "generated")
        seeds = range(first, first + config.pool_size)
        return [generate(_town(config, seed), seed, streets) for seed in seeds]
    shipped = shipped_instances()
    if source == "shipped":
        return [shipped_instance(name, config.kiosks) for name in shipped]
    if source in shipped:
        return [shipped_instance(source, config.kiosks)]
    if Path(source).exists() or Path(source).name != source or Path(source).suffix:
        return [read_instance(source, config.kiosks, config.metric, config.steps_per_unit)]
    if source == "village":
        return [_village(config)]
    names = ("generated", "fresh", "village", "shipped", *shipped)
    raise ValueError(unknown("source", source, names, ", or the path of an instance file"))


def _town(config: KioskConfig, seed: int) -> TownConfig:
    """What the generated city of a seed looks like."""
    # Numpy promises never to change these; they are other numbers than those that the city is made of.
    first, second = np.random.PCG64([seed, 1]).random_raw(2).tolist()
    points = config.points - first % max(1, config.points - (config.least_points or config.points) + 1)
    sites = max(1, config.sites * points // config.points)
    kiosks = config.kiosks
    if kiosks is None:
        numbers = np.arange(config.least_kiosks or KIOSKS, (config.most_kiosks or KIOSKS) + 1)
        # As often 5 to 9 as 10 to 19: each number's chance is one over it.
        chances = ((1 << 32) // numbers).cumsum()
        kiosks = int(numbers[chances.searchsorted(second % int(chances[-1]), "right")])
        if len(numbers) > 1:
            kiosks = max(1, min(kiosks, sites - config.rivals))
    return TownConfig(
        layout=config.layout,
        num_points=points,
        num_sites=sites,
        num_kiosks=kiosks,
        num_rivals=config.rivals,
        side=64 if config.layout == "streets" else SIDE,
        metric=config.metric or "euclidean",
    )


def _village(config: KioskConfig) -> Instance:
    """The hand-made instance for tables: 10 sites, and greedy misses the optimum by 16 %."""
    file = files(__name__.split(".")[0]) / "assets" / "instances" / "village.csv"
    village = read_instance(file, config.kiosks or VILLAGE_KIOSKS, config.metric)
    known = village.num_kiosks == VILLAGE_KIOSKS and village.metric == "euclidean"
    return replace(village, optimum=VILLAGE_OPTIMUM if known else None)


def _check_size(count: int, sites: int, points: int) -> None:
    if count * sites * points > MAX_PAIRS:
        raise InstanceError(f"the instances' tables would hold more than {MAX_PAIRS} pairs of site and point")


def build_tables(config: KioskConfig, instances: Sequence[Instance]) -> KioskParams:
    """Computes the tables of a pool, or of fresh cities where it is empty.

    Raises:
        ValueError: one line, where the objective means nothing on an instance, or the tables are too big.
    """
    objective = Objective(config.objective, config.radius)
    for instance in instances:
        objective.check(instance)
    walks = config.observation == "sites"
    tables = _tables(instances, objective, walks) if instances else _fresh_tables(config)
    for table in tables.values():
        table.flags.writeable = False
    rules = np.zeros(1, RULES)
    rules["objective"] = KIND_CODES[config.objective]
    rules["radius"] = config.radius
    rules["attraction"] = ATTRACTION
    rules["fresh"] = not instances
    rules["walks"] = walks
    rules.flags.writeable = False
    return KioskParams(rules, **tables, lots=even_lots(len(tables["instances"])))


def _record(kind: int, sites: int, points: int, kiosks: int, people: int) -> NDArray[np.void]:
    """An instance's record, so far as it follows from numbers."""
    record = np.zeros(1, INSTANCE)[0]
    record["num_sites"], record["num_points"], record["num_kiosks"] = sites, points, kiosks
    record["people"], record["share"], record["optimum"] = people, 1 / people, -1
    scales = {P_MEDIAN: 1024, P_CENTER: 1024, COVERAGE: 102400, REVENUE: 100}  # the two last in percent
    record["scale"], record["per"] = scales[kind], 1 if kind == P_CENTER else people
    return record


def _fresh_tables(config: KioskConfig) -> dict[str, NDArray]:
    """Tables of the cities that are drawn at every reset: rivals hold the first of the points."""
    kiosks, rivals, points = config.kiosks or KIOSKS, config.rivals, config.points
    if kiosks + rivals > points:
        raise InstanceError(f"fresh: {kiosks} kiosks and {rivals} rivals do not fit on {points} sites")
    if config.objective == "revenue" and not rivals:
        raise InstanceError("fresh: revenue needs at least one rival")
    record = _record(KIND_CODES[config.objective], points, points, kiosks, points)
    record["span"] = SIDE
    # As `_reach` of a circle with the K-th part of the city: the mean distance to its centre is 2/3 radius.
    reach = max(1, round(4 / 9 * SIDE / math.sqrt(math.pi * kiosks)))
    record["limits"] = BEYOND, 2 * reach, reach
    return {
        "instances": np.array([record]),
        "weights": np.ones((1, points), np.int32),
        "distances": np.zeros((1, 1, 1), np.int32),
        "distances_back": np.zeros((1, 1, 1), np.int32),
        "walks": np.zeros((1, NUM_WALKS, 1), np.int64),
        "pulls": np.zeros((1, 1, 1), np.int32),
        "theirs": np.zeros((1, points), np.int32),
        "taken": (np.arange(points) < rivals).astype(np.uint8)[None],
        "places": np.zeros((1, 4, points), np.int32),
        "cells": np.zeros((1, 2, points), np.int32),
        "people": np.zeros((1, GRID * GRID), np.uint8),
        "homes": np.arange(points, dtype=np.int32)[None],
        "standing": np.zeros((1, 1, 2), np.int32),
    }


def _tables(instances: Sequence[Instance], objective: Objective, walks: bool) -> dict[str, NDArray]:
    """Tables of a pool, padded to the largest instance."""
    count = len(instances)
    sites = max(instance.num_sites for instance in instances)
    points = max(instance.num_points for instance in instances)
    places = max(sites, points)
    _check_size(count, sites, points)
    kind = KIND_CODES[objective.kind]
    tables = {
        "instances": np.zeros(count, INSTANCE),
        "weights": np.zeros((count, points), np.int32),
        "distances": np.zeros((count, sites, points), np.int32),
        "distances_back": np.zeros((count, points, sites) if walks else (1, 1, 1), np.int32),
        "walks": np.zeros((count, NUM_WALKS, sites) if walks else (1, NUM_WALKS, 1), np.int64),
        "pulls": np.zeros((count, sites, points) if kind == REVENUE else (1, 1, 1), np.int32),
        "theirs": np.ones((count, points), np.int32),
        "taken": np.ones((count, sites), np.uint8),
        "places": np.zeros((count, 4, places), np.int32),
        "cells": np.zeros((count, 2, places), np.int32),
        "people": np.zeros((count, GRID * GRID), np.uint8),
        "homes": np.zeros((count, sites), np.int32),
        "standing": np.zeros((count, sites, 2) if walks else (1, 1, 2), np.int32),
    }
    for m, instance in enumerate(instances):
        s, n = instance.num_sites, instance.num_points
        tables["instances"][m] = _measure(instance, kind)
        tables["weights"][m, :n] = instance.weights
        tables["distances"][m, :s, :n] = instance.distances
        if walks:
            reach = _reach(instance)
            limits = NOWHERE, min(2 * reach, NOWHERE), reach
            tables["instances"]["limits"][m] = limits
            tables["standing"][m, :s] = _standing(instance, reach)
            tables["distances_back"][m, :n, :s] = instance.distances.T
            for level, limit in enumerate(limits):
                walked = np.minimum(instance.distances, limit)
                tables["walks"][m, level, :s] = walked @ instance.weights.astype(np.int64)
        tables["taken"][m, :s] = ~instance.free
        tables["homes"][m, :s] = instance.distances.argmin(axis=1)
        if kind == REVENUE:
            pulls = attractions(instance, objective.radius)
            tables["pulls"][m, :s, :n] = pulls
            tables["theirs"][m, :n] = pulls[instance.rivals].sum(axis=0)
        if instance.points is not None and instance.sites is not None:
            tables["places"][m, :2, :n], tables["places"][m, 2:, :s] = instance.points.T, instance.sites.T
            homes, corners = _cells(instance.points, instance.sites)
            tables["cells"][m, 0, :n], tables["cells"][m, 1, :s] = homes, corners
            people = np.bincount(homes, instance.weights, GRID * GRID)
            mean = instance.weights.sum() / n
            tables["people"][m] = np.minimum(255, people * 64 // mean)
    return tables


def _measure(instance: Instance, kind: int) -> NDArray[np.void]:
    """The record of an instance."""
    weights = instance.weights.astype(np.int64)
    people = int(weights.sum())
    record = _record(kind, instance.num_sites, instance.num_points, instance.num_kiosks, people)
    record["span"] = max(1, instance.distances.max())
    free = instance.distances[instance.free]
    if kind == P_MEDIAN:
        record["start"] = (free @ weights).max()
        record["optimum"] = -1 if instance.optimum is None else instance.optimum
    elif kind == P_CENTER:
        record["start"] = free[:, weights > 0].max()
    return record


def _reach(instance: Instance) -> int:
    """The reach, see `state.INSTANCE`; the typical site is the median."""
    weights = instance.weights.astype(np.int64) * instance.num_kiosks
    share = instance.weights.sum(dtype=np.int64)
    means = []
    for distances in np.array_split(instance.distances, 1 + instance.distances.size // (1 << 20)):
        order = distances.argsort(axis=1)
        people = weights[order]
        nearest = (share - people.cumsum(axis=1) + people).clip(0, people)
        means.append((nearest * np.take_along_axis(distances, order, axis=1)).sum(axis=1) // share)
    return max(1, int(np.median(np.concatenate(means))) * 2 // 3)


def _standing(instance: Instance, reach: int) -> NDArray[np.int32]:
    """(S, 2) the features that stand still, ALONE and RIVAL."""
    weights = instance.weights.astype(np.int64)
    homes = instance.distances.argmin(axis=1)
    steps = np.full((instance.num_sites, 2), np.inf)
    steps[:, 0] = (instance.distances @ weights) / weights.sum()
    if len(instance.rivals):
        steps[:, 1] = instance.distances[instance.rivals].min(axis=0)[homes]
    return np.minimum(steps * (UNIT / reach), MOST).astype(np.int32)


def _cells(*places: NDArray) -> list[NDArray[np.int64]]:
    """The grid's cells in which places lie: the grid is a square around all of them."""
    corner = np.min([each.min(axis=0) for each in places], axis=0).astype(np.int64)
    side = 1 + int(np.max([(each - corner).max() for each in places]))
    x_and_y = [((each - corner) * GRID // side).T for each in places]
    return [y * GRID + x for x, y in x_and_y]
