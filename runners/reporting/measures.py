"""What episodes are measured by: the standard names, and beside them what a world declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...envs.core.env import world_of
from ...envs.core.measures import BY_NAME, Measure, Played, check_measures
from ...envs.core.world import World

RETURN = Measure("return", "sum", note="sum of the rewards", better=True, progress=True)
LENGTH = Measure("length", "sum", note="steps of an episode")


def measures_of(world: World | type[World] | None) -> tuple[Measure, ...]:
    """All that a world's episodes may be measured by, in the order of tables.

    Args:
        world: it, or its class; None for the environments of others.

    Raises:
        ValueError: one line, when a world declares a name twice, or one that is taken.
    """
    own = () if world is None else tuple(world.measures)
    check_measures(own)
    names = {measure.name for measure in own}
    costs = () if world is None else (each for each in world.costs if each.name not in names)
    apart = (Measure(each.name, "sum", note=f"{each.note}, in an episode", better=False) for each in costs)
    return (RETURN, *(each for each in BY_NAME if each.name not in names), *own, LENGTH, *apart)


STANDARD = measures_of(None)
"""What the episodes of others are measured by."""


def measured_in(env: VectorEnv) -> tuple[Measure, ...]:
    """What the episodes of an environment are measured by."""
    return measures_of(world_of(env))


def reported(
    counted: Mapping[str, NDArray],
    measures: Sequence[Measure] = STANDARD,
    config: Any = None,
    best: Mapping[str, NDArray] | None = None,
) -> dict[str, NDArray]:
    """What is told of E episodes, in the order of tables.

    Args:
        counted: name to (E,) values.
        measures: what they are measured by.
        config: the world's.
        best: what was counted of the world's best reference in the same episodes, if it has played them.
    """
    played = Played(counted, config, best)
    uncounted = {each.name for each in measures if each.how} - (counted.keys() & (best or counted).keys())
    values = {each.name: _value(each, played, uncounted) for each in measures if each.told}
    return {name: each for name, each in values.items() if each is not None}


def _value(measure: Measure, played: Played, uncounted: Set[str]) -> NDArray | None:
    if measure.of is None:
        return played.counted.get(measure.name)
    try:
        return measure.of(played)
    except KeyError as error:
        if error.args[0] in uncounted:  # results that are older than what it is made of
            return None
        raise ValueError(f"measure {measure.name} is made of {error}, which nobody counts") from error


class Episodes(NamedTuple):
    """Episodes that ended, one a row."""

    index: NDArray[np.int64]
    """(E,) the stream an episode belongs to (training) or its number (evaluation)."""
    measures: dict[str, NDArray[np.float64]]
    """Name to (E,) values: `return` (undiscounted), `length` (steps), and what infos had of the others."""
