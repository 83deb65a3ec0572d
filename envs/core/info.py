"""What a step reports (`info`), as columns of a batch.

These are the fields of the nested records `info` and `parts` of a state, and what was drawn that a reset can
be asked for, such as the level (see `World.reset_choices`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import literal_unroll
from numpy.typing import NDArray

from .compiling import kernel
from .world import REWARD_SCALE

_UNIT = 1.0 / REWARD_SCALE


class Columns(NamedTuple):
    """Reports of N environments, one column of a block each; K differs from block to block."""

    numbers: NDArray[np.float64]
    """(K, N), the parts of the reward among them, in full units."""
    counts: NDArray[np.int64]
    """(K, N)."""
    flags: NDArray[np.bool_]
    """(K, N)."""

    def of(self, rows: NDArray[np.intp]) -> Columns:
        """The same, but zeros in all other rows."""
        found = Columns._make(map(np.zeros_like, self))
        for mine, its in zip(self, found, strict=True):
            its[:, rows] = mine[:, rows]
        return found


class Reports:
    """Knows what a world's states report.

    Args:
        state_dtype: as `world.state_dtype` makes it.

    Attributes:
        names: of what is reported, column after column.
        flags: names of the masks that gymnasium sets beside them.
        blocks: K and dtype of each block of `Columns`.
        writers: kernels `(state, i, block)` by the names that the batch loop has for them; they write row i.
    """

    def __init__(self, state_dtype: np.dtype) -> None:
        info, parts = (_nested(state_dtype, name) for name in ("info", "parts"))
        names = state_dtype.names or ()
        drawn = tuple(name for name in names if f"ask_{name}" in names)
        by_kind: dict[str, list[str]] = {"numbers": [], "counts": [], "flags": []}
        for name, dtype in info.items():
            by_kind[{"f": "numbers", "b": "flags"}.get(dtype.kind, "counts")].append(name)
        self.writers = {f"write_{kind}": _info_writer(tuple(names)) for kind, names in by_kind.items()}
        self.writers["write_drawn"] = _drawn_writer(drawn, len(by_kind["counts"]))
        self.writers["write_parts"] = _parts_writer(tuple(parts), len(by_kind["numbers"]))
        self._has_info, self._has_parts, self._drawn = bool(info), bool(parts), list(drawn)
        rewards = tuple(f"reward_{name}" for name in parts)
        self._of_one = *info, *rewards, *drawn
        by_kind["numbers"] += rewards
        by_kind["counts"] += drawn
        dtypes = np.float64, np.int64, np.bool_
        self.blocks = [(len(each), dtype) for each, dtype in zip(by_kind.values(), dtypes, strict=True)]
        self.names = tuple(name for names in by_kind.values() for name in names)
        self.flags = tuple("_" + name for name in self.names)

    def read_one(self, state: NDArray) -> dict[str, Any]:
        """Reads the record of a batch of one: name to Python bool, int or float."""
        values: tuple = state["info"].item() if self._has_info else ()
        if self._has_parts:
            values += tuple([part * _UNIT for part in state["parts"].item()])
        values += tuple([state[name].item() for name in self._drawn])
        return dict(zip(self._of_one, values, strict=True))


def _nested(state_dtype: np.dtype, name: str) -> dict[str, np.dtype]:
    """Fields of a nested record, if there is one."""
    names = state_dtype.names or ()
    record = state_dtype[name] if name in names else np.dtype([])
    return {each: record[each] for each in record.names or ()}


@kernel
def _write_nothing(state, i, block):
    pass


@cache
def _info_writer(names: tuple[str, ...]) -> Callable:
    @kernel
    def write(state, i, block):
        k = 0
        for name in literal_unroll(names):
            block[k, i] = state[i].info[name]
            k += 1

    return write if names else _write_nothing


@cache
def _drawn_writer(names: tuple[str, ...], first: int) -> Callable:
    @kernel
    def write(state, i, block):
        k = first
        for name in literal_unroll(names):
            block[k, i] = state[i][name]
            k += 1

    return write if names else _write_nothing


@cache
def _parts_writer(names: tuple[str, ...], first: int) -> Callable:
    @kernel
    def write(state, i, block):
        k = first
        for name in literal_unroll(names):
            block[k, i] = state[i].parts[name] * _UNIT
            k += 1

    return write if names else _write_nothing
