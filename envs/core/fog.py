"""Fogged twins: worlds of the same dynamics of which less is seen, so that what memory adds is a number.

A twin runs the clear world's own kernels and looks on: what decides whether something is hidden stands in one
more field of its record, `fog`, which no dynamics reads. So both share every trajectory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel
from .world import CORE_FIELDS, Kernels


def check_fog(config: Any) -> None:
    """Checks a config with the settings `fog` and `observation`, for its `__post_init__`.

    Raises:
        ValueError: one line, where fog is wanted but not the observation that has it.
    """
    if config.fog and config.observation != "grid":
        raise ValueError(f"fog lies on the observation grid only, got {config.observation}")


def fogged_state(clear: np.dtype[Any], fields: Sequence[tuple]) -> np.dtype[Any]:
    """The record of a fogged twin: that of the clear world, with a record `fog` behind the core's fields.

    There, since with it behind all others numba would take the twin's record for the clear one.

    Args:
        clear: the clear world's record.
        fields: of `fog`, as numpy field tuples.
    """
    known: Any = clear.fields
    own = [(name, known[name][0]) for name in clear.names or ()]
    own.insert(len(CORE_FIELDS), ("fog", np.dtype(list(fields), align=True)))
    return np.dtype(own, align=True)


@cache
def fogged_kernels(clear: Kernels, note_one: Callable[..., Any], observe_one: Callable[..., Any]) -> Kernels:
    """The kernels of a fogged twin: those of the clear world, which see less.

    Args:
        clear: the clear world's kernels.
        note_one: `(params, state, i) -> None`, compiled with `kernel`: writes the record's `fog`, and nothing
            else, after each reset (`elapsed` is 0 then: nothing may be left of the episode before) and step.
        observe_one: `(params, state, i, obs) -> None` in place of the clear world's.
    """
    clear_reset, clear_step = clear.reset_one, clear.step_one

    @kernel
    def reset_one(p, s, i):
        clear_reset(p, s, i)
        note_one(p, s, i)

    @kernel
    def step_one(p, s, i, action):
        reward, over = clear_step(p, s, i, action)
        note_one(p, s, i)
        return reward, over

    return Kernels(reset_one, step_one, observe_one, clear.mask_one)


def lines_of_sight(rows: int, columns: int, row: int, column: int) -> NDArray[np.int32]:
    """Where the line from a cell of a view to the eye leads, cell by cell.

    Args:
        rows: of the view.
        columns: of the view.
        row: of the eye.
        column: of the eye.

    Returns:
        (rows * columns - 1, 2) a cell and the next one of its line, numbered row by row. What is nearer to
        the eye comes first, so that in one pass whatever hides a cell hides those behind it.
    """
    places = [(y - row, x - column) for y in range(rows) for x in range(columns)]
    lines = []
    for y, x in sorted(places, key=lambda place: max(map(abs, place))):
        if steps := max(abs(y), abs(x)):
            # Halves are rounded away from the axis, the same on all four sides.
            v, u = (
                int(np.sign(each)) * ((2 * abs(each) * (steps - 1) + steps) // (2 * steps)) for each in (y, x)
            )
            lines.append(((y + row) * columns + x + column, (v + row) * columns + u + column))
    return np.array(lines, np.int32)
