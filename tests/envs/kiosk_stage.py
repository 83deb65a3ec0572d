"""Instances and worlds of the kiosk's tests, and what a state should be, found from scratch."""

from typing import get_args, get_type_hints

import numpy as np
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.kiosk.config import KioskConfig
from meze.envs.kiosk.generator import TownConfig
from meze.envs.kiosk.instances import from_coordinates
from meze.envs.kiosk.objective import Objective, attractions, value
from meze.envs.kiosk.state import NOWHERE
from meze.envs.kiosk.world import Kiosk

OBJECTIVES = ("p-median", "p-center", "coverage", "revenue")
LAYOUTS = get_args(get_type_hints(TownConfig)["layout"])


def town(seed, points=12, sites=7, kiosks=3, rivals=1, name=None):
    """A little random city, some of whose points have nobody."""
    rng = np.random.default_rng(seed)
    return from_coordinates(
        name or f"town-{seed}",
        rng.integers(0, 100, (points, 2)),
        kiosks,
        weights=np.append(rng.integers(0, 6, points - 1), 3),
        sites=rng.integers(0, 100, (sites, 2)),
        rivals=np.sort(rng.choice(sites, rivals, replace=False)),
    )


def make(instances=None, num_envs=1, **settings):
    """Environments of these instances, or of those that the settings name."""
    world = Kiosk(KioskConfig(**{"radius": 25} | settings), instances)
    return WorldVectorEnv(world, num_envs, autoreset_mode="Disabled")


def scale(world, instance):
    """How many 1/1024 of the reward's unit a total of 1 is worth: numerator and denominator."""
    people = int(instance.weights.sum())
    return {
        "p-median": (1024, people),
        "p-center": (1024, 1),
        "coverage": (102400, people),
        "revenue": (100, people),
    }[world.config.objective]


def in_units(world, instance, total):
    """A total as rewards count it."""
    numerator, denominator = scale(world, instance)
    return total * numerator // denominator / 1024


def start_of(world, instance):
    """What an episode starts from."""
    if world.config.objective in ("coverage", "revenue"):
        return 0
    objective = Objective(world.config.objective, world.config.radius)
    return max(value(instance, objective, np.array([site])) for site in np.flatnonzero(instance.free))


def limits_of(world, instance):
    """The most steps that anybody walks, for each kind of walks."""
    if world.config.source == "fresh":
        reach = round(1024 * 4 / 9 / np.sqrt(np.pi * instance.num_kiosks))
        return 2048, 2 * reach, reach
    people = np.repeat(instance.distances, instance.weights * instance.num_kiosks, axis=1)
    share = np.sort(people, axis=1)[:, : instance.weights.sum()]
    reach = int(np.median(share.mean(axis=1).astype(int))) * 2 // 3
    return NOWHERE, 2 * reach, reach


def assert_follows(world, record):
    """A record says what follows from its city and its kiosks, and nothing else."""
    instance = world.pool.instance_of(record)
    objective = Objective(world.config.objective, world.config.radius)
    slots = np.flatnonzero(record["kiosks"] >= 0)
    sites, n, s = record["kiosks"][slots], instance.num_points, instance.num_sites
    taken = np.ones(len(record["taken"]), np.uint8)
    taken[:s] = ~instance.free
    taken[sites] = 1
    assert (record["taken"] == taken).all()
    steps = np.full(n, NOWHERE)
    if len(sites):
        table = instance.distances[sites]
        steps = table.min(axis=0)
        assert (record["visits"][:n] == slots[table.argmin(axis=0)]).all()
        assert record["total"] == value(instance, objective, sites)
    else:
        assert (record["visits"] == -1).all() and record["total"] == start_of(world, instance)
    assert (record["nearest"][:n] == steps).all() and not record["nearest"][n:].any()
    if objective.kind == "revenue":
        pulls = attractions(instance, objective.radius)
        assert (record["own"][:n] == pulls[sites].sum(axis=0)).all()
        assert (record["theirs"][:n] == pulls[instance.rivals].sum(axis=0)).all()
    if world.config.observation == "sites":
        for walks, limit in zip(record["walks"], limits_of(world, instance), strict=True):
            walked = np.minimum(np.minimum(instance.distances, steps), limit)
            assert (walks[:s] == walked @ instance.weights.astype(int)).all()
    assert record["info"]["total"] == record["total"]
    assert record["info"]["objective"] == in_units(world, instance, record["total"])
