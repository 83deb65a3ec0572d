"""What a user may set in the city."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ..core.fog import check_fog
from ..core.settings import check_settings
from ..core.splits import Split, first_seed
from ..streets.generator import StreetConfig
from .state import MAX_CARS

MAX_VIEW = 31


@dataclass(frozen=True)
class CityConfig:
    """Settings of the city; weights and chances are rounded to 1/1024 when the world is built."""

    map: str = "generated"
    """`generated` for a pool of random cities, the name of a shipped map, or the path of a map file, drawn by
    hand or made by `meze import-map`."""
    split: Split = "train"
    """Seeds of generated cities: one of two ranges that never overlap, or a number, those from it on."""
    pool_size: int = 64
    """Number of generated cities."""
    width: int = 40
    """Width of generated cities, in cells."""
    height: int = 40
    """Height of generated cities, in cells."""
    block: int = 9
    """Mean distance between streets, in cells."""
    one_way: float = 0.25
    """Share of one-way streets."""
    signals: float = 0.5
    """Share of junctions with signals."""
    left_hand: bool = False
    """Drive on the left."""
    closed: tuple[int, int] | None = None
    """A street of a single map that is closed to traffic, from junction to junction: column and row of one of
    its cells, counted from 0. Destinations stay as they are on the open map."""

    observation: Literal["grid", "index"] = "grid"
    """`grid`: what is around the car, as planes; `index`: one number, for tables."""
    index: Literal["situation", "place"] = "situation"
    """What the index tells: the situation around the car, or its place on the map and its destination."""
    view: int = 9
    """Side of the square that `grid` shows, in cells (odd)."""
    fog: bool = False
    """See less of the same city: a short view, signals that are seen late, and the route's next turn only
    behind a junction. It asks for memory, and for `grid`."""

    hour: int | None = None
    """Hour of the day, 0 to 23; by default drawn anew for each episode."""
    cars: int = 16
    """Number of other cars outside the rush hours."""
    peak_density: float = 0.3
    """Share of the lane cells that cars take at the height of a rush hour."""
    slowdown: float = 0.1
    """Chance that a driver hesitates for a tick."""
    turnover: float = 0.004
    """Chance per tick that a car parks; another one comes onto the streets instead."""
    pedestrians: int = 16
    """Number of pedestrians."""
    jaywalk: float = 0.02
    """Chance at each step along a kerb that a pedestrian crosses where there is no zebra."""
    ambulance: float = 0.005
    """Chance per tick that an ambulance sets out, when none is on its way."""
    green: int = 12
    """Ticks of green in each direction."""
    all_red: int = 3
    """Ticks of red for all between two greens."""
    min_distance: int = 12
    """Shortest trip, in cells."""

    arrival: float = 10.0
    """Reward for arriving."""
    progress: float = 0.1
    """Reward for each cell nearer to the destination, along the shortest legal route."""
    time: float = -0.05
    """Reward for each tick."""
    collision: float = -20.0
    """Reward for a collision."""
    red_light: float = -2.0
    """Reward for driving into a junction on red."""
    illegal: float = -0.5
    """Reward for a move that the road does not allow."""
    delay: float = -1.0
    """Reward for each tick that an ambulance is held up."""

    @property
    def streets(self) -> StreetConfig:
        """What generated cities look like.

        Raises:
            ValueError: naming the field and what it may be.
        """
        return StreetConfig(self.width, self.height, self.block, self.one_way, self.signals, self.left_hand)

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
            ValueError: naming the field and what it may be.
        """
        check_settings(
            self,
            {
                "pool_size": (1, 4096),
                "view": (3, MAX_VIEW),
                "hour": (0, 23),
                "cars": (0, MAX_CARS),
                "pedestrians": (0, 1024),
                "green": (1, 10_000),
                "all_red": (0, 10_000),
                "min_distance": (1, 60_000),
                **dict.fromkeys(("peak_density", "slowdown", "turnover", "jaywalk", "ambulance"), (0, 1)),
                **dict.fromkeys((field.name for field in fields(self)[-7:]), (-1000, 1000)),
            },
        )
        first_seed(self.split)  # which checks it
        _ = self.streets
        if self.view % 2 == 0:
            raise ValueError(f"view must be odd, got {self.view}")
        check_fog(self)
