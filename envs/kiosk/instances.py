"""The kiosk's static world: demand points, candidate sites and the distances between them.

All of it is in integers, so that sums are exact and equal on every machine. Coordinates and distances are
counted in steps; `unit` says how long one is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..streets.maps import BUILDING, UNREACHABLE, StreetMap, ahead
from ..streets.maps import distances as street_distances

Metric = Literal["euclidean", "manhattan", "streets", "matrix"]

MAX_DISTANCE = (1 << 24) - 1
MAX_TOTAL_WEIGHT = 1 << 24
"""With these two a sum of weighted distances in 1/1024 stays below 2^58."""
MAX_SITE_BITS = 15
MAX_SITES = 1 << MAX_SITE_BITS
MAX_PAIRS = 100_000_000
"""Sites times points: a table of 400 MB."""
MAX_KIOSKS = 1024
MAX_COORDINATE = 1 << 22
"""So that no two points are further apart than MAX_DISTANCE, by any metric of coordinates."""


class InstanceError(ValueError):
    """An instance that can't be played; the message is one line that names the instance or the file."""


@dataclass(frozen=True, eq=False)
class Instance:
    """Where people live and where kiosks may stand, as read-only arrays of S sites and N points."""

    name: str
    """File name or seed, for people."""
    distances: NDArray[np.int32]
    """(S, N) steps from each site to each point, 0 to MAX_DISTANCE."""
    weights: NDArray[np.int32]
    """(N,) people at each point, not negative; not all are 0."""
    num_kiosks: int
    """How many kiosks are to be placed, K."""
    points: NDArray[np.int32] | None = None
    """(N, 2) x and y of the points in steps, y growing downwards; None if only distances are known."""
    sites: NDArray[np.int32] | None = None
    """(S, 2) x and y of the sites."""
    rivals: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """(R,) numbers of the sites that rivals hold, increasing; no kiosk may be placed there."""
    metric: Metric = "matrix"
    """How the distances were found."""
    unit: float = 1.0
    """Length of a step, in the units of the source."""
    streets: StreetMap | None = None
    """The city whose streets are walked, if the distances are along streets."""
    optimum: int | None = None
    """The proven least sum of weighted distances to the nearest of `num_kiosks` kiosks, where known."""

    def __post_init__(self) -> None:
        """Checks everything and freezes the arrays.

        Raises:
            InstanceError: one line that says what can't be.
        """
        for name in ("distances", "weights", "points", "sites", "rivals"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _integers(getattr(self, name), f"{self.name}: {name}"))
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        if self.distances.ndim != 2 or 0 in self.distances.shape:
            raise InstanceError(f"{self.name}: there must be at least one site and one point")
        for name, shape in (
            ("weights", (self.num_points,)),
            ("points", (self.num_points, 2)),
            ("sites", (self.num_sites, 2)),
        ):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise InstanceError(f"{self.name}: {name} has the shape {array.shape}, not {shape}")
        if (self.points is None) != (self.sites is None):
            raise InstanceError(f"{self.name}: the coordinates of points and of sites go together")

    def _check_values(self) -> None:
        if self.weights.min() < 0:
            raise InstanceError(f"{self.name}: point {int(self.weights.argmin())} has a negative weight")
        if not 0 < int(self.weights.sum(dtype=np.int64)) <= MAX_TOTAL_WEIGHT:
            raise InstanceError(f"{self.name}: the sum of weights must be from 1 to {MAX_TOTAL_WEIGHT}")
        for wrong, problem in (
            (self.distances < 0, "is at a negative distance from"),
            (self.distances > MAX_DISTANCE, f"is more than {MAX_DISTANCE} steps away from"),
        ):
            if wrong.any():
                site, point = divmod(int(wrong.argmax()), self.num_points)
                raise InstanceError(f"{self.name}: point {point} {problem} site {site}")
        if self.rivals.ndim != 1 or (np.diff(self.rivals) <= 0).any():
            raise InstanceError(f"{self.name}: rivals must be increasing numbers of sites")
        if len(self.rivals) and not 0 <= self.rivals[0] <= self.rivals[-1] < self.num_sites:
            raise InstanceError(f"{self.name}: a rival stands on a site that does not exist")
        if self.num_sites > MAX_SITES:
            raise InstanceError(f"{self.name}: {self.num_sites} sites are more than {MAX_SITES}")
        if not 1 <= self.num_kiosks <= MAX_KIOSKS:
            raise InstanceError(f"{self.name}: 1 to {MAX_KIOSKS} kiosks, not {self.num_kiosks}")
        free = self.num_sites - len(self.rivals)
        if self.num_kiosks > free:
            raise InstanceError(f"{self.name}: {self.num_kiosks} kiosks do not fit on {free} free sites")
        if not 0 < self.unit < np.inf:
            raise InstanceError(f"{self.name}: the unit must be a positive number, not {self.unit}")

    @property
    def num_sites(self) -> int:
        """How many candidate sites there are, S; those of rivals count."""
        return self.distances.shape[0]

    @property
    def num_points(self) -> int:
        """How many demand points there are, N."""
        return self.distances.shape[1]

    @property
    def free(self) -> NDArray[np.bool_]:
        """(S,) whether a kiosk may be placed on a site: no rival is there."""
        free = np.ones(self.num_sites, bool)
        free[self.rivals] = False
        return free


def _integers(values: ArrayLike, what: str) -> NDArray[np.int32]:
    """A read-only copy of some whole numbers; `what` names them in errors."""
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        if array.dtype.kind != "f" or not np.isfinite(array).all() or (array != np.rint(array)).any():
            raise InstanceError(f"{what} must be whole numbers")
    limits = np.iinfo(np.int32)
    if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
        raise InstanceError(f"{what} must lie between {limits.min} and {limits.max}")
    array = np.array(array, np.int32, order="C")
    array.flags.writeable = False
    return array


# ------------------------------------------------------------ distances of coordinates


def euclidean(points: NDArray, sites: NDArray) -> NDArray[np.int32]:
    """(S, N) straight distances, rounded to the nearest step.

    The square of a distance is a whole number below 2^48, of which IEEE square roots are so exact that the
    nearest whole number is always the right one; halves do not occur. TSPLIB's EUC_2D rounds alike.
    """
    dx, dy = _differences(points, sites)
    return np.rint(np.sqrt(dx * dx + dy * dy)).astype(np.int32)


def manhattan(points: NDArray, sites: NDArray) -> NDArray[np.int32]:
    """(S, N) distances along the axes."""
    dx, dy = _differences(points, sites)
    return (abs(dx) + abs(dy)).astype(np.int32)


def _differences(points: NDArray, sites: NDArray) -> NDArray[np.int64]:
    """(2, S, N) of (N, 2) and (S, 2) coordinates."""
    return sites.T[:, :, None].astype(np.int64) - points.T[:, None, :]


METRICS: dict[str, Callable[[NDArray, NDArray], NDArray[np.int32]]] = {
    "euclidean": euclidean,
    "manhattan": manhattan,
}


def from_coordinates(
    name: str,
    points: ArrayLike,
    num_kiosks: int,
    *,
    weights: ArrayLike | None = None,
    sites: ArrayLike | None = None,
    rivals: ArrayLike = (),
    metric: Literal["euclidean", "manhattan"] = "euclidean",
    steps_per_unit: int = 1,
) -> Instance:
    """Makes an instance of places on a plane.

    Args:
        name: for people and errors.
        points: (N, 2) x and y, rounded to whole steps.
        num_kiosks: K.
        weights: (N,) people at the points; by default one each.
        sites: (S, 2); by default the points.
        rivals: (R,) numbers of the sites that rivals hold.
        metric: of the distances.
        steps_per_unit: how many steps make a unit of the coordinates.

    Raises:
        InstanceError: one line that says what can't be.
    """
    if metric not in METRICS:
        raise InstanceError(f"{name}: metric must be one of {', '.join(METRICS)}, not {metric!r}")
    exact = [_in_steps(name, what, steps_per_unit) for what in (points, points if sites is None else sites)]
    if len(exact[0]) * len(exact[1]) > MAX_PAIRS:
        raise InstanceError(f"{name}: more than {MAX_PAIRS} pairs of site and point")
    step = "1 unit" if steps_per_unit == 1 else f"1/{steps_per_unit} of a unit"
    hint = (
        f"a step is {step} of the coordinates: raise steps_per_unit, or give metres where these are degrees"
    )
    places = _whole_steps(name, exact, hint, steps_per_unit)
    return Instance(
        name,
        METRICS[metric](places[0], places[1]),
        _ones_unless(weights, len(places[0])),
        num_kiosks,
        points=places[0],
        sites=places[1],
        rivals=np.asarray(rivals, int),
        metric=metric,
        unit=1 / steps_per_unit,
    )


def _in_steps(name: str, places: ArrayLike, steps_per_unit: int) -> NDArray[np.float64]:
    """Coordinates counted in steps."""
    if steps_per_unit < 1:
        raise InstanceError(f"{name}: steps_per_unit must be at least 1, not {steps_per_unit}")
    coordinates = np.asarray(places, float) * steps_per_unit
    if coordinates.ndim != 2 or coordinates.shape[1] != 2:
        raise InstanceError(f"{name}: coordinates must be pairs of x and y")
    if not (abs(coordinates) <= MAX_COORDINATE).all():  # also refuses NaN
        raise InstanceError(f"{name}: coordinates must lie within {MAX_COORDINATE} steps of the origin")
    return coordinates


def _whole_steps(
    name: str, exact: Sequence[NDArray], hint: str, steps_per_unit: int = 1
) -> list[NDArray[np.int32]]:
    """Rounds places to whole steps, as long as those that differ stay apart.

    Args:
        name: for errors.
        exact: (N, 2) and (S, 2) coordinates in steps, within MAX_COORDINATE.
        hint: how long a step is, and what to do.
        steps_per_unit: of the coordinates as errors tell them.

    Raises:
        InstanceError: naming two places that would become one.
    """
    together = np.concatenate(exact)
    whole = np.rint(together)
    order = np.lexsort((*together.T, *whole.T))
    one, other = order[:-1], order[1:]
    alike = (whole[one] == whole[other]).all(axis=1) & (together[one] != together[other]).any(axis=1)
    if alike.any():
        pair = (together[each[alike.argmax()]] / steps_per_unit for each in (one, other))
        first, second = (f"{x:.9g}, {y:.9g}" for x, y in pair)
        raise InstanceError(f"{name}: the places {first} and {second} become one, since {hint}")
    return [np.rint(places).astype(np.int32) for places in exact]


def _ones_unless(weights: ArrayLike | None, count: int) -> NDArray:
    return np.ones(count, np.int32) if weights is None else np.asarray(weights)


# ------------------------------------------------------------ along the streets of a city


def walkable(streets: StreetMap) -> NDArray[np.uint8]:
    """(H, W) bits of the headings in which one can walk on from a cell: along streets and sidewalks."""
    open_cells = streets.kind != BUILDING
    return np.bitwise_or.reduce(
        [(open_cells & ahead(open_cells, h, False)).astype(np.uint8) << h for h in range(4)]
    )


def on_streets(
    streets: StreetMap,
    points: ArrayLike,
    num_kiosks: int,
    *,
    weights: ArrayLike | None = None,
    sites: ArrayLike | None = None,
    rivals: ArrayLike = (),
) -> Instance:
    """Makes an instance of cells of a city map; people walk from a cell to one of four neighbouring ones.

    A step is a metre where the map says how long its cells are, else a cell.

    Args:
        streets: the city.
        points: (N,) cell numbers y * W + x, of cells without a building.
        num_kiosks: K.
        weights: (N,) people at the points; by default one each.
        sites: (S,) cell numbers; by default the points.
        rivals: (R,) numbers of the sites that rivals hold.

    Raises:
        InstanceError: one line that says what can't be.
    """
    name = streets.name
    homes, corners = (np.asarray(cells, np.int64) for cells in (points, points if sites is None else sites))
    for cells in (homes, corners):
        if cells.ndim != 1 or ((cells < 0) | (cells >= streets.kind.size)).any():
            raise InstanceError(f"{name}: cells must be numbers from 0 to {streets.kind.size - 1}")
        indoors = streets.kind.ravel()[cells] == BUILDING
        if indoors.any():
            raise InstanceError(f"{name}: cell {cells[indoors.argmax()]} is a building")
    exits, way = walkable(streets), np.empty((1, *streets.kind.shape), np.uint16)
    cells = np.empty((len(corners), len(homes)), np.int32)
    for site, row in zip(corners, cells, strict=True):
        street_distances(exits, np.array([site]), way)
        row[:] = way.ravel()[homes]
    if (cells == UNREACHABLE).any():
        site, point = divmod(int((cells == UNREACHABLE).argmax()), len(homes))
        raise InstanceError(f"{name}: point {point} can't be reached from site {site}")
    width, metres = streets.kind.shape[1], streets.cell_metres or 1
    exact = [metres * np.stack([places % width, places // width], axis=1) for places in (homes, corners)]
    places = _whole_steps(name, exact, f"a step is 1 metre, and a cell only {metres:g}")
    return Instance(
        name,
        np.rint(cells * metres).astype(np.int32),
        _ones_unless(weights, len(homes)),
        num_kiosks,
        points=places[0],
        sites=places[1],
        streets=streets,
        rivals=np.asarray(rivals, int),
        metric="streets",
    )
