"""Reads what a step reports (`info`) from state records: the nested records `info` and `parts`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .world import REWARD_SCALE

_UNIT = 1.0 / REWARD_SCALE


class _Run(NamedTuple):
    """Neighbouring fields of one dtype, which one numpy call reads."""

    names: tuple[tuple[str, str], ...]  # as reported, and the same with the underscore of its mask
    offset: int  # bytes from the start of the record
    dtype: np.dtype
    reported: np.dtype  # that of a Python bool, int or float
    is_part: bool  # in 1/1024


class InfoReader:
    """Reads the reported fields of a state dtype, of one record or of a batch."""

    def __init__(self, state_dtype: np.dtype) -> None:
        """Finds the fields.

        Args:
            state_dtype: as `world.state_dtype` makes it, or another with its nested `info` and `parts`.
        """
        names = state_dtype.names or ()
        self._has_info, self._has_parts = "info" in names, "parts" in names
        self._runs = _runs(state_dtype, "info") + _runs(state_dtype, "parts")
        self._names = tuple(name for run in self._runs for name, _ in run.names)

    def read_one(self, state: NDArray) -> dict[str, Any]:
        """Reads the record of a batch of one: name to Python bool, int or float."""
        values: tuple = state["info"].item() if self._has_info else ()
        if self._has_parts:
            values += tuple([part * _UNIT for part in state["parts"].item()])
        return dict(zip(self._names, values, strict=True))

    def blocks(self, state: NDArray) -> Iterator[tuple[tuple[tuple[str, str], ...], NDArray]]:
        """Reads a batch.

        Args:
            state: (N,) contiguous records.

        Yields:
            K names (each with the name of its mask) and a fresh (K, N) array of their columns.
        """
        n, size = len(state), state.dtype.itemsize
        for run in self._runs:
            shape = len(run.names), n
            fields = np.ndarray(shape, run.dtype, state, run.offset, (run.dtype.itemsize, size))  # type: ignore
            columns = np.empty(shape, run.reported)
            if run.is_part:
                np.multiply(fields, _UNIT, out=columns)
            else:
                columns[...] = fields
            yield run.names, columns


def _runs(state_dtype: np.dtype, nested: str) -> list[_Run]:
    fields: Any = state_dtype.fields or {}  # name to (dtype, offset)
    if nested not in fields:
        return []
    is_part = nested == "parts"
    dtype, start = fields[nested][:2]
    runs: list[_Run] = []
    for name in dtype.names or ():
        kind, offset = dtype.fields[name][:2]
        reported = "reward_" + name if is_part else name
        run = _Run(((reported, "_" + reported),), start + offset, kind, _python_dtype(kind, is_part), is_part)
        last = runs[-1] if runs else None
        if last and last.dtype == kind and run.offset == last.offset + len(last.names) * kind.itemsize:
            runs[-1] = last._replace(names=last.names + run.names)
        else:
            runs.append(run)
    return runs


def _python_dtype(kind: np.dtype, is_part: bool) -> np.dtype:
    """The dtype of the Python scalar that a field is reported as."""
    if is_part or kind.kind == "f":
        return np.dtype(np.float64)
    return np.dtype(np.bool_ if kind.kind == "b" else np.int64)
