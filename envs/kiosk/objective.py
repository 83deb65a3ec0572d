"""What a placement of kiosks is worth: four objectives, each a whole number.

    p-median   sum over the people of the distance to the nearest kiosk          less is better
    p-center   the greatest distance of anybody to the nearest kiosk             less is better
    coverage   number of people with a kiosk within the radius                   more is better
    revenue    people won from the rivals, in 1/1024                             more is better

Points where nobody lives count for nothing. Revenue follows Huff's gravity model (D. L. Huff, "Defining and
Estimating a Trading Area", Journal of Marketing 28, 1964): the people of a point share themselves out among
all kiosks by their attraction, which falls with the square of the distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .instances import MAX_DISTANCE, Instance, InstanceError

Kind = Literal["p-median", "p-center", "coverage", "revenue"]
KINDS: tuple[Kind, ...] = ("p-median", "p-center", "coverage", "revenue")

ATTRACTION = 1 << 16
"""Attraction of a kiosk at one's door; a point's people times all attractions stay below 2^60."""
REVENUE_SCALE = 1024


@dataclass(frozen=True)
class Objective:
    """Which objective, and its distance."""

    kind: Kind = "p-median"
    """See above."""
    radius: int = 0
    """In steps. Coverage: how far people walk. Revenue: where the attraction has fallen to a quarter."""

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: naming the field and what it may be.
        """
        if self.kind not in KINDS:
            raise ValueError(f"objective must be one of {', '.join(KINDS)}, not {self.kind!r}")
        least = int(self.kind == "revenue")
        if not least <= self.radius <= MAX_DISTANCE:
            raise ValueError(f"radius must be from {least} to {MAX_DISTANCE} steps, got {self.radius}")

    @property
    def less_is_better(self) -> bool:
        """Whether it is a cost."""
        return self.kind in ("p-median", "p-center")

    def check(self, instance: Instance) -> None:
        """Checks that the objective means something on an instance.

        Raises:
            InstanceError: if the radius covers nobody, or there are no rivals to win people from.
        """
        if self.kind == "coverage":
            covered = instance.distances[instance.free] <= self.radius
            if not covered[:, instance.weights > 0].any():
                raise InstanceError(f"{instance.name}: a radius of {self.radius} steps covers nobody")
        if self.kind == "revenue" and not len(instance.rivals):
            raise InstanceError(f"{instance.name}: revenue needs at least one rival")


def attractions(instance: Instance, radius: int) -> NDArray[np.int32]:
    """(S, N) attraction of a kiosk on each site to each point: ATTRACTION / (1 + distance / radius)^2.

    Divided in floating point, which is the same everywhere, and rounded; at least 1.
    """
    far = (instance.distances + np.float64(radius)) / radius
    return np.maximum(np.rint(ATTRACTION / (far * far)), 1).astype(np.int32)


class Valuation:
    """Values many placements at once.

    What matters of a placement is one number a point: the distance to the nearest kiosk, or for revenue the
    attraction of all kiosks.
    """

    def __init__(self, instance: Instance, objective: Objective) -> None:
        self._objective = objective
        self._weights = instance.weights.astype(np.int64)
        self._pulls = objective.kind == "revenue"
        table = attractions(instance, objective.radius) if self._pulls else instance.distances
        self.table = table.astype(np.int64)
        """(S, N) what a kiosk on each site means to each point."""
        self.nothing = np.full(instance.num_points, 0 if self._pulls else MAX_DISTANCE + 1)
        """(N,) the same of no kiosk at all."""
        self._rivals = self.table[instance.rivals].sum(axis=0)

    def join(self, some: NDArray, more: NDArray) -> NDArray[np.int64]:
        """(..., N) of two placements together."""
        return some + more if self._pulls else np.minimum(some, more)

    def of(self, sites: NDArray) -> NDArray[np.int64]:
        """(..., N) of (..., K) sites."""
        return self.table[sites].sum(axis=-2) if self._pulls else self.table[sites].min(axis=-2)

    def value(self, placed: NDArray) -> NDArray[np.int64]:
        """(...,) objectives of (..., N)."""
        kind, weights = self._objective.kind, self._weights
        if kind == "p-median":
            return placed @ weights
        if kind == "p-center":
            return np.where(weights > 0, placed, 0).max(axis=-1)
        if kind == "coverage":
            return (placed <= self._objective.radius) @ weights
        return (REVENUE_SCALE * weights * placed // (placed + self._rivals)).sum(axis=-1)

    def cost(self, placed: NDArray) -> NDArray[np.int64]:
        """(...,) objectives of (..., N), negative where more is better."""
        return self.value(placed) if self._objective.less_is_better else -self.value(placed)


def value(instance: Instance, objective: Objective, sites: NDArray) -> int:
    """The objective of kiosks on some sites, (K,), at least one."""
    valuation = Valuation(instance, objective)
    return int(valuation.value(valuation.of(sites)))
