"""What is to be seen where: the renderer's picture before it is drawn.

Places are x and y from 0 to 1, from the left and from the top of a square map.
"""

from __future__ import annotations

import colorsys
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..streets.maps import UNREACHABLE, distances
from .instances import METRICS, Instance, walkable
from .pool import Pool

REALM_CELLS = 192
"""Cells along a side of the map by which the kiosks' realms are found."""
BINS = 24
HOUSE, PAVEMENT, STREET, LAWN = (206, 192, 172), (236, 230, 214), (252, 250, 244), (214, 222, 190)
GOLDEN_ANGLE = 0.381966
"""Of a full turn: hues that are so far apart from each other stay apart, however many there are."""
MOST_CITIES = 64
"""Cities that are kept."""
MAX_LAID_OUT = 1000
"""Sites and points of cities without coordinates that are laid out by their distances."""


class City(NamedTuple):
    """A city to look at."""

    instance: Instance
    homes: NDArray[np.float64]
    """(N, 2) places of the points."""
    corners: NDArray[np.float64]
    """(S, 2) places of the sites."""
    origin: NDArray[np.float64] | None
    """(2,) steps at the map's left top; None where the places are made up."""
    side: float
    """Steps along the map's side."""
    reach: int
    """Steps that the histogram shows: twice the mean walk to the best single site."""


class Histogram(NamedTuple):
    """Who walks how far."""

    people: NDArray[np.int64]
    """(K, BINS) people of each kiosk by steps; the last bin has all who walk farther."""
    mean: float
    """Steps."""


@cache
def color(number: int) -> tuple[int, int, int]:
    """The color of a kiosk, by its number."""
    hue = (0.02 + number * GOLDEN_ANGLE) % 1.0
    # Every other round through the hues is darker, so that near hues differ, too.
    red, green, blue = colorsys.hls_to_rgb(hue, (0.52, 0.4)[number // 7 % 2], 0.72)
    return round(255 * red), round(255 * green), round(255 * blue)


class Scene:
    """Finds out what there is to see.

    Args:
        pool: cities of the world whose states are seen.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._cities: dict[Any, City] = {}

    def city(self, record: np.void) -> City:
        """The city of a state record."""
        key = self._pool.key_of(record)
        if key not in self._cities:
            if len(self._cities) >= MOST_CITIES:
                self._cities.clear()
            self._cities[key] = self._see(self._pool.instance_of(record))
        return self._cities[key]

    def _see(self, instance: Instance) -> City:
        if instance.points is None or instance.sites is None:
            homes, corners = laid_out(instance.distances)
            known = False
        else:
            homes, corners = instance.points.astype(float), instance.sites.astype(float)
            known = True
        both = np.concatenate([homes, corners])
        low, high = both.min(axis=0), both.max(axis=0)
        side = float(max((high - low).max(), 1e-9)) * 1.08
        origin = (low + high - side) / 2
        homes, corners = (homes - origin) / side, (corners - origin) / side
        best = int((instance.distances @ instance.weights.astype(np.int64)).min())
        reach = max(1, 2 * best // int(instance.weights.sum()))
        return City(instance, homes, corners, origin if known else None, side, reach)

    def realms(self, record: np.void) -> NDArray[np.int64] | None:
        """(y, x) number of the kiosk that is nearest to each part of the map.

        None where there is no kiosk, or distances are not those of the plane.
        """
        city = self.city(record)
        kiosks = np.flatnonzero(record["kiosks"] >= 0)
        metric = METRICS.get(city.instance.metric)
        if metric is None or city.origin is None or not len(kiosks):
            return None
        middles = (np.arange(REALM_CELLS) + 0.5) / REALM_CELLS * city.side
        y, x = np.meshgrid(middles + city.origin[1], middles + city.origin[0], indexing="ij")
        assert city.instance.sites is not None
        places = np.stack([x.ravel(), y.ravel()], axis=1)
        steps = metric(places, city.instance.sites[record["kiosks"][kiosks]])
        return kiosks[steps.argmin(axis=0)].reshape(REALM_CELLS, REALM_CELLS)

    def plan(self, record: np.void) -> NDArray[np.uint8] | None:
        """(H, W, 3) colors of the cells of a city with streets, None for others.

        What people walk on has the color of the kiosk nearest to it on foot.
        """
        instance = self.city(record).instance
        streets, sites = instance.streets, instance.sites
        if streets is None or sites is None:
            return None
        colors = np.array([HOUSE, PAVEMENT, STREET, STREET, STREET], np.uint8)[streets.kind]
        colors[streets.ground] = LAWN
        chosen = record["kiosks"][record["kiosks"] >= 0]
        if len(chosen):
            metres = streets.cell_metres or 1
            x, y = np.rint(sites[chosen].T / metres).astype(int)
            ways = np.empty((len(chosen), *streets.kind.shape), np.uint16)
            distances(walkable(streets), y * streets.kind.shape[1] + x, ways)
            tints = np.array([color(k) for k in range(len(chosen))])[ways.argmin(axis=0)]
            walked = ways.min(axis=0) < UNREACHABLE
            colors[walked] = (colors[walked] + tints[walked]) // 2
        return colors

    def histogram(self, record: np.void) -> Histogram:
        """Who walks how far; there must be a kiosk."""
        city = self.city(record)
        count = city.instance.num_points
        steps, visits = record["nearest"][:count].astype(np.int64), record["visits"][:count]
        weights = city.instance.weights.astype(np.int64)
        people = np.zeros((len(record["kiosks"]), BINS), np.int64)
        np.add.at(people, (visits, np.minimum(steps * BINS // city.reach, BINS - 1)), weights)
        return Histogram(people, float(steps @ weights / weights.sum()))


def laid_out(distances: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lays places out on a plane so that they are about as far apart as their distances say.

    Classical scaling (W. S. Torgerson, "Multidimensional scaling", Psychometrika 17, 1952), of which the two
    greatest dimensions are kept; for very many places, or one in a row, a circle.

    Args:
        distances: (S, N).

    Returns:
        (N, 2) places of the points and (S, 2) of the sites.
    """
    sites, points = distances.shape
    if max(sites, points) > MAX_LAID_OUT or min(sites, points) < 3:
        return _circle(points), _circle(sites)
    squares = distances.astype(float) ** 2
    inner = -0.5 * (squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean())
    left, sizes, right = np.linalg.svd(inner, full_matrices=False)
    root = np.sqrt(sizes[:2])
    return right[:2].T * root, left[:, :2] * root


def _circle(count: int) -> NDArray[np.float64]:
    turns = 2 * np.pi * np.arange(count) / count
    return np.stack([np.sin(turns), -np.cos(turns)], axis=1)
