"""Makes cities of hungry people: in districts, uniformly, or along the streets of a generated city."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..core.settings import check_settings
from ..streets.maps import BUILDING, SIDEWALK, StreetConfig, StreetMap, ahead
from ..streets.maps import generate as generate_streets
from .instances import MAX_COORDINATE, MAX_KIOSKS, Instance, from_coordinates, on_streets

MAX_PLACES = 10_000
FRONT_GARDEN = 3  # cells between a house and the sidewalk on which its people step


@dataclass(frozen=True)
class TownConfig:
    """What a generated instance looks like."""

    layout: Literal["districts", "uniform", "streets"] = "districts"
    """Where people live: crowded in districts, anywhere, or along the streets of a generated city."""
    num_points: int = 100
    """Demand points."""
    num_sites: int = 100
    """Candidate sites, which lie as the points do; rivals hold the first of them."""
    num_kiosks: int = 10
    """Kiosks to be placed."""
    num_rivals: int = 0
    """Kiosks of rivals."""
    side: int = 1024
    """Side of the square city in steps; on streets a step is a cell, and the side 16 to 256."""
    max_people: int = 9
    """A point has 1 to so many people, drawn uniformly."""
    metric: Literal["euclidean", "manhattan"] = "euclidean"
    """Of the distances; `streets` has its own, on foot."""

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: naming the field and what it may be.
        """
        check_settings(
            self,
            {
                "num_points": (1, MAX_PLACES),
                "num_sites": (1, MAX_PLACES),
                "num_kiosks": (1, MAX_KIOSKS),
                "num_rivals": (0, MAX_PLACES),
                "side": (16, 256 if self.layout == "streets" else MAX_COORDINATE),
                "max_people": (1, 1000),
            },
        )
        if self.num_kiosks + self.num_rivals > self.num_sites:
            kiosks = f"{self.num_kiosks} kiosks and {self.num_rivals} rivals"
            raise ValueError(f"{kiosks} do not fit on {self.num_sites} sites")


class _Random:
    """Draws from the raw bits of PCG64, whose stream numpy promises never to change."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def below(self, bound: int, *shape: int) -> NDArray[np.int64]:
        """Whole numbers from 0 to `bound - 1`, at most 2^23; the bias is below 2^-30."""
        drawn = self._bits.random_raw(int(np.prod(shape))) >> np.uint64(11)
        return (drawn * 2.0**-53 * bound).astype(np.int64).reshape(shape)


def generate(config: TownConfig, seed: int, streets: StreetMap | None = None) -> Instance:
    """Makes an instance; equal arguments give equal instances.

    Args:
        config: what it looks like.
        seed: a non-negative integer; see `splits`.
        streets: a city along whose streets people live, whatever the layout.
    """
    random = _Random(seed)
    weights = 1 + random.below(config.max_people, config.num_points)
    rivals = np.arange(config.num_rivals)
    count = config.num_points + config.num_sites
    if config.layout == "streets" or streets is not None:
        city = streets or generate_streets(StreetConfig(width=config.side, height=config.side), seed)
        open_cells = np.flatnonzero(city.kind.ravel() != BUILDING)
        addresses = open_cells if streets is None else _addresses(city)
        homes = addresses[random.below(len(addresses), config.num_points)]
        sites = open_cells[random.below(len(open_cells), config.num_sites)]
        town = on_streets(city, homes, config.num_kiosks, weights=weights, sites=sites, rivals=rivals)
        return replace(town, name=f"{'streets' if streets is None else city.name}-{seed}")
    scatter = _in_districts if config.layout == "districts" else _anywhere
    homes, sites = np.split(scatter(count, config.side, random), [config.num_points])
    return from_coordinates(
        f"{config.layout}-{seed}",
        homes,
        config.num_kiosks,
        weights=weights,
        sites=sites,
        rivals=rivals,
        metric=config.metric,
    )


def _addresses(city: StreetMap) -> NDArray[np.int64]:
    """The sidewalk cells beside which houses stand, or all of them where the map has no houses."""
    near = (city.kind == BUILDING) & ~city.ground
    for _ in range(FRONT_GARDEN):
        near = np.logical_or.reduce([near, *(ahead(near, h, False) for h in range(4))])
    sidewalk = city.kind == SIDEWALK
    return np.flatnonzero(sidewalk & near if (sidewalk & near).any() else sidewalk)


def _anywhere(count: int, side: int, random: _Random) -> NDArray[np.int64]:
    """(count, 2) places, uniformly in the square."""
    return random.below(side, count, 2)


def _in_districts(count: int, side: int, random: _Random) -> NDArray[np.int64]:
    """(count, 2) places around 3 to 8 centres, each with its own spread.

    The sum of four uniform numbers stands for a normal one, which would need a logarithm.
    """
    num_districts = 3 + int(random.below(6, 1)[0])
    centres = random.below(side, num_districts, 2)
    spread = side // 16 + random.below(max(side // 8, 1), num_districts, 1)
    home = random.below(num_districts, count)
    offset = random.below(1024, count, 2, 4).sum(axis=2) - 2046  # -2046 to 2046, standard deviation 591
    return np.clip(centres[home] + offset * spread[home] // 591, 0, side - 1)
