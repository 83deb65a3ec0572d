"""What a user may set in the kiosk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core.settings import check_settings
from ..core.splits import Split, first_seed

KIOSKS = 10
"""Kiosks by default, where an instance does not say."""


@dataclass(frozen=True)
class KioskConfig:
    """Settings of the kiosk. A step is the unit of all distances; a generated city is 1024 of them wide."""

    source: str = "generated"
    """`generated` for a pool of random cities, `fresh` for a new city in every episode (uniform, euclidean, a
    person at each point, the points are the sites), `village` for a small one with 10 sites, `shipped` for
    all instances of the OR-Library that come with the package, the name of one of them, or the path of an
    instance file (CSV, OR-Library, TSPLIB)."""
    split: Split = "train"
    """Seeds of generated cities: one of two ranges that never overlap, or a number, those from it on."""
    pool_size: int = 64
    """Number of generated cities."""
    layout: Literal["districts", "uniform", "streets"] = "districts"
    """Where people live in generated cities: crowded in districts, anywhere, or along streets."""
    map: str = "generated"
    """The name of a shipped map of streets, or the path of one: then people live along its streets, whatever
    the layout, and a step is a metre if the map says how long its cells are."""
    points: int = 100
    """Demand points of generated and fresh cities."""
    sites: int = 50
    """Candidate sites of generated cities."""
    least_points: int | None = None
    """Generated cities have from so many to `points` demand points, and sites in the same proportion; by
    default, or if this is more, all have `points`."""
    kiosks: int | None = None
    """Kiosks to be placed; by default 10, or what an instance file says."""
    least_kiosks: int | None = None
    """If `kiosks` is not given: in generated cities from so many, 10 by default ..."""
    most_kiosks: int | None = None
    """... to so many kiosks are to be placed, small numbers more often; at most one on each site."""
    rivals: int = 0
    """Kiosks of rivals in generated and fresh cities."""
    metric: Literal["euclidean", "manhattan"] | None = None
    """Of the distances between coordinates; by default euclidean, or what an instance file says."""
    steps_per_unit: int = 1
    """How many steps make a unit of an instance file's coordinates."""

    objective: Literal["p-median", "p-center", "coverage", "revenue"] = "p-median"
    """What counts: mean distance, worst distance, people within the radius, people won from rivals."""
    radius: int = 128
    """Steps: of coverage; for revenue, where a kiosk's attraction has fallen to a quarter."""
    observation: Literal["sites", "grid", "plain", "index"] = "sites"
    """`sites`: features of each site; `grid`: the city as planes; `plain`: coordinates and who goes where;
    `index`: one number, for tables, where there are few sites."""

    def __post_init__(self) -> None:
        """Checks every field that the instances do not check themselves.

        Raises:
            ValueError: naming the field and what it may be.
        """
        check_settings(
            self,
            {
                "pool_size": (1, 4096),
                "points": (1, 10_000),
                "sites": (1, 10_000),
                "least_points": (1, 10_000),
                "kiosks": (1, 1024),
                "most_kiosks": (1, 1024),
                "rivals": (0, 10_000),
                "steps_per_unit": (1, 1 << 20),
                "radius": (0, 1 << 24),
            },
        )
        first_seed(self.split)  # which checks it
        check_settings(self, {"least_kiosks": (1, self.most_kiosks or KIOSKS)})
