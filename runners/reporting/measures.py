"""What episodes are measured by: the standard names, and beside them what a world declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...envs.core.env import world_of
from ...envs.core.measures import COST, SUCCESS, Measure, Played
from ...envs.core.world import World

RETURN = Measure("return", "sum", note="sum of the rewards", better=True, progress=True)
LENGTH = Measure("length", "sum", note="steps of an episode")
BY_NAME = (SUCCESS, COST)
"""Measured wherever infos have them, without being declared."""
TAKEN = {"step", "episodes", "generation", "seconds", "steps_per_second"}
"""Columns of `metrics.csv` that are no measures."""


def measures_of(world: World | type[World] | None) -> tuple[Measure, ...]:
    """All that a world's episodes may be measured by, in the order of tables.

    Args:
        world: it, or its class; None for the environments of others.

    Raises:
        ValueError: one line, when a world declares a name twice, or one that is taken.
    """
    own = () if world is None else tuple(world.measures)
    names = {measure.name for measure in own}
    if doubled := names & ({RETURN.name, LENGTH.name} | TAKEN):
        raise ValueError(f"the world can't declare a measure {min(doubled)}: the name is taken")
    if len(names) < len(own):
        raise ValueError(f"the world declares a measure twice: {', '.join(each.name for each in own)}")
    return (RETURN, *(each for each in BY_NAME if each.name not in names), *own, LENGTH)


STANDARD = measures_of(None)
"""What the episodes of others are measured by."""


def measured_in(env: VectorEnv) -> tuple[Measure, ...]:
    """What the episodes of an environment are measured by."""
    return measures_of(world_of(env))


def told(
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
    values = {each.name: _value(each, played) for each in measures if each.told}
    return {name: each for name, each in values.items() if each is not None}


def _value(measure: Measure, played: Played) -> NDArray | None:
    if measure.of is None:
        return played.counted.get(measure.name)
    try:
        return measure.of(played)
    except KeyError:  # results that are older than the measure, or what it is made of
        return None


class Episodes(NamedTuple):
    """Episodes that ended, one a row."""

    index: NDArray[np.int64]
    """(E,) the stream an episode belongs to (training) or its number (evaluation)."""
    measures: dict[str, NDArray[np.float64]]
    """Name to (E,) values: `return` (undiscounted), `length` (steps), and what infos had of the others."""
