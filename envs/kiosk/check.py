"""The independent checker: recomputes an objective from its definition, with no code that solvers use.

Sums run in Python's whole numbers, point by point, so nothing can overflow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .instances import Instance
from .objective import ATTRACTION, REVENUE_SCALE, Objective


class CheckError(ValueError):
    """A placement that breaks the rules, or an objective that it does not have."""


def recompute(instance: Instance, objective: Objective, sites: ArrayLike) -> int:
    """The objective of kiosks on some sites.

    Args:
        instance: the city.
        objective: what counts.
        sites: (K,) numbers of sites.

    Raises:
        CheckError: if these are not K different sites without rivals.
    """
    chosen = [int(site) for site in np.asarray(sites).ravel()]
    if len(chosen) != instance.num_kiosks:
        raise CheckError(f"{instance.name}: {len(chosen)} kiosks were placed, not {instance.num_kiosks}")
    for site in chosen:
        if not 0 <= site < len(instance.distances):
            raise CheckError(f"{instance.name}: there is no site {site}")
        if site in instance.rivals:
            raise CheckError(f"{instance.name}: a rival holds site {site}")
        if chosen.count(site) > 1:
            raise CheckError(f"{instance.name}: site {site} was chosen more than once")

    people = [int(weight) for weight in instance.weights]
    walks = [min(column) for column in zip(*instance.distances[chosen].tolist(), strict=True)]
    if objective.kind == "p-median":
        return sum(count * walk for count, walk in zip(people, walks, strict=True))
    if objective.kind == "p-center":
        return max(walk for count, walk in zip(people, walks, strict=True) if count)
    if objective.kind == "coverage":
        return sum(count for count, walk in zip(people, walks, strict=True) if walk <= objective.radius)
    return sum(
        count * REVENUE_SCALE * own // (own + theirs)
        for count, own, theirs in zip(
            people,
            _pull(instance, objective.radius, chosen),
            _pull(instance, objective.radius, instance.rivals.tolist()),
            strict=True,
        )
    )


def _pull(instance: Instance, radius: int, sites: list[int]) -> list[int]:
    """Attraction of the kiosks on some sites to each point."""

    def attraction(walk: int) -> int:
        times_further = (walk + radius) / radius
        return max(1, round(ATTRACTION / (times_further * times_further)))

    return [sum(map(attraction, column)) for column in zip(*instance.distances[sites].tolist(), strict=True)]


def confirm(instance: Instance, objective: Objective, sites: ArrayLike, value: int) -> None:
    """Checks what somebody says a placement is worth.

    Raises:
        CheckError: if the sites are not allowed or the objective is another one.
    """
    found = recompute(instance, objective, sites)
    if found != value:
        raise CheckError(f"{instance.name}: {objective.kind} is {found}, not {value} as reported")
