"""What an agent sees and expects, put into names, words and numbers; `board` draws it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from ...agents.spaces import KNOWN, bounds
from ...envs.core.world import World

MOST_NUMBERS = 48
"""Numbers of a vector that are written out; longer ones are drawn as a plane."""
MOST_ROWS = 64
"""Rows of a table that are kept to be shown."""


class Plane(NamedTuple):
    """One plane of an observation."""

    name: str
    values: NDArray[np.float64]
    """(height, width)."""
    low: float
    high: float
    """Ends of its scale."""


class Sees(NamedTuple):
    """What an agent sees and expects."""

    title: str
    words: tuple[str, ...] = ()
    """Lines of text."""
    numbers: tuple[tuple[str, str], ...] = ()
    """Names and numbers."""
    picture: NDArray[np.uint8] | None = None
    planes: tuple[Plane, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    """A head and rows, the best ones first."""
    values: tuple[tuple[str, float | None], ...] = ()
    """Names of actions and their values, None where an action is not possible."""
    values_are: str = "expects"
    """What these are; see `Policy`."""


def see(
    space: Space,
    obs: Any,
    world: World | None,
    values: NDArray | None,
    mask: NDArray | None,
    name_of: Callable[[int], str],
) -> Sees:
    """Puts an observation into what can be shown.

    Args:
        space: of observations.
        obs: one of them.
        world: that it is of, which may name its parts; None for environments of others.
        values: (A,) values of the actions, if the agent has any.
        mask: (A,) nonzero where an action is possible, if it is known.
        name_of: names an action by its number among the values.
    """
    possible = None if mask is None else mask != 0
    told = [] if values is None else values.tolist()
    if possible is not None:
        told = [value if ok else None for value, ok in zip(told, possible, strict=False)]
    expected = tuple((name_of(action), value) for action, value in enumerate(told))
    names: Sequence[str] = () if world is None else world.observation_names
    if isinstance(space, Discrete):
        words = () if world is None else world.describe(int(obs))
        number = int(obs) - int(space.start)
        title = f"sees number {number:,} of {int(space.n):,}"
        return Sees(title, tuple(words), values=expected)
    if not isinstance(space, Box):
        return Sees("sees", numbers=_numbers(np.ravel(obs), ()), values=expected)
    if obs.ndim == 3 and obs.shape[2] == 3 and obs.dtype == np.uint8:
        return Sees(f"sees a picture of {obs.shape[1]} x {obs.shape[0]}", picture=obs, values=expected)
    actions = len(told) if mask is None else len(mask)
    if obs.ndim == 2 and len(obs) == actions:
        table = _table(obs, names, None if values is None else told, possible, name_of)
        return Sees(f"sees a table of {len(obs)} rows, of which these are", table=table)
    if obs.ndim <= 1 and obs.size <= MOST_NUMBERS:
        return Sees(f"sees {obs.size} numbers", numbers=_numbers(np.ravel(obs), names), values=expected)
    planes = _planes(space, obs, names)
    height, width = planes[0].values.shape
    title = f"sees {len(planes)} planes of {width} x {height}" if len(planes) > 1 else "sees"
    return Sees(title, planes=planes, values=expected)


def _numbers(row: NDArray, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    named = names if len(names) == len(row) else [str(k) for k in range(len(row))]
    return tuple((name, number_text(value)) for name, value in zip(named, row.tolist(), strict=True))


def number_text(value: float) -> str:
    """A number in a few letters."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= KNOWN:
        return f"{value:.3g}"
    return (
        f"{int(value):,}" if value == int(value) else f"{value:,.3f}" if abs(value) >= 0.1 else f"{value:.2g}"
    )


def _table(
    obs: NDArray,
    names: Sequence[str],
    values: list[float | None] | None,
    possible: NDArray | None,
    name_of: Callable[[int], str],
) -> tuple[tuple[str, ...], ...]:
    """Head and rows: the best by value, or the first, of those that are possible."""
    rows = np.arange(len(obs)) if possible is None else np.flatnonzero(possible)
    columns = list(names) if len(names) == obs.shape[1] else [str(k) for k in range(obs.shape[1])]
    head = ["row", *columns]
    if values is not None:
        known = np.array([-np.inf if value is None else value for value in values])
        rows = rows[np.argsort(-known[rows], kind="stable")]
        head.insert(1, "value")
    table = [tuple(head)]
    for row in rows[:MOST_ROWS].tolist():
        cells = [number_text(value) for value in obs[row].tolist()]
        if values is not None:
            cells.insert(0, f"{values[row]:.2f}")
        table.append((name_of(row), *cells))
    return tuple(table)


def _planes(space: Box, obs: NDArray, names: Sequence[str]) -> tuple[Plane, ...]:
    """The planes of an array of one to three dimensions; of three, two that are equal are height and width.

    Planes of unknown bounds each have a scale of their own; so have the rows of a matrix with names.
    """
    low, high = space.low, space.high
    if obs.ndim == 3 and obs.shape[0] == obs.shape[1] != obs.shape[2]:
        obs, low, high = (np.moveaxis(each, 2, 0) for each in (obs, low, high))
    elif obs.ndim == 2 and len(names) == len(obs):
        obs, low, high = (each[:, None] for each in (obs, low, high))
    elif obs.ndim != 3:
        obs, low, high = (np.atleast_2d(each.reshape(-1, each.shape[-1]))[None] for each in (obs, low, high))
    obs, low, high = (each.astype(np.float64) for each in (obs, low, high))
    known = bool((bounds(space) < KNOWN).all())
    named = names if len(names) == len(obs) else [str(k) for k in range(len(obs))]
    return tuple(
        Plane(
            name,
            plane,
            float(low.min() if known else plane.min()),
            float(high.max() if known else plane.max()),
        )
        for name, plane in zip(named, obs, strict=True)
    )
