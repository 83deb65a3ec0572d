"""Reads what a step reports (`info`) from state records: the nested records `info` and `parts`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .world import REWARD_SCALE

_UNIT = 1.0 / REWARD_SCALE


class _Field(NamedTuple):
    name: str  # as reported
    reported: np.dtype  # that of a Python bool, int or float
    dtype: np.dtype
    offset: int  # bytes from the start of the record
    is_part: bool  # in 1/1024


class _Run(NamedTuple):
    """Neighbouring fields of one dtype, which one numpy call reads into rows `start` to `stop` of a block."""

    start: int
    stop: int
    dtype: np.dtype
    offset: int
    is_part: bool


class _Block(NamedTuple):
    """Fields that are reported with one dtype."""

    names: tuple[str, ...]
    dtype: np.dtype
    runs: tuple[_Run, ...]


class InfoReader:
    """Reads the reported fields of a state dtype, of one record or of a batch."""

    flags: tuple[str, ...]
    """Names of the masks that gymnasium sets beside the reported names."""

    def __init__(self, state_dtype: np.dtype) -> None:
        """Finds the fields.

        Args:
            state_dtype: as `world.state_dtype` makes it, or another with its nested `info` and `parts`.
        """
        fields = [*_fields(state_dtype, "info"), *_fields(state_dtype, "parts")]
        self._names = tuple(field.name for field in fields)
        self.flags = tuple("_" + name for name in self._names)
        names = state_dtype.names or ()
        self._has_info, self._has_parts = "info" in names, "parts" in names
        dtypes = dict.fromkeys(field.reported for field in fields)
        self._blocks = [_block([field for field in fields if field.reported == dtype]) for dtype in dtypes]

    def read_one(self, state: NDArray) -> dict[str, Any]:
        """Reads the record of a batch of one: name to Python bool, int or float."""
        values: tuple = state["info"].item() if self._has_info else ()
        if self._has_parts:
            values += tuple([part * _UNIT for part in state["parts"].item()])
        return dict(zip(self._names, values, strict=False))

    def read_blocks(
        self, state: NDArray, rows: NDArray[np.intp] | None = None, num_envs: int = 0
    ) -> Iterator[tuple[tuple[str, ...], NDArray]]:
        """Reads a batch.

        Args:
            state: (N,) contiguous records.
            rows: (N,) environments that they belong to, of `num_envs`; None for all, in order.
            num_envs: number of environments, where rows are given.

        Yields:
            K names and a fresh (K, N) array of their columns; where rows are given (K, num_envs), zeros
            elsewhere.
        """
        n, size = len(state), state.dtype.itemsize
        for names, dtype, runs in self._blocks:
            columns = (
                np.empty((len(names), n), dtype) if rows is None else np.zeros((len(names), num_envs), dtype)
            )
            for start, stop, kind, offset, is_part in runs:
                shape, strides = (stop - start, n), (kind.itemsize, size)
                fields = np.ndarray(shape, kind, state, offset, strides)  # type: ignore[call-overload]
                if rows is not None:
                    columns[start:stop, rows] = fields * _UNIT if is_part else fields
                elif is_part:
                    np.multiply(fields, _UNIT, out=columns[start:stop])
                else:
                    columns[start:stop] = fields
            yield names, columns


def _fields(state_dtype: np.dtype, nested: str) -> Iterator[_Field]:
    fields: Any = state_dtype.fields or {}  # name to (dtype, offset)
    if nested not in fields:
        return
    record, start = fields[nested][:2]
    for name in record.names:
        dtype, offset = record.fields[name][:2]
        if nested == "parts":
            yield _Field(f"reward_{name}", np.dtype(np.float64), dtype, start + offset, True)
        else:
            reported = {"b": np.bool_, "f": np.float64}.get(dtype.kind, np.int64)
            yield _Field(name, np.dtype(reported), dtype, start + offset, False)


def _block(fields: list[_Field]) -> _Block:
    runs: list[_Run] = []
    for row, (_, _, dtype, offset, is_part) in enumerate(fields):
        last = runs[-1] if runs else None
        if last and (last.dtype, last.is_part) == (dtype, is_part):
            if offset == last.offset + (row - last.start) * dtype.itemsize:
                runs[-1] = last._replace(stop=row + 1)
                continue
        runs.append(_Run(row, row + 1, dtype, offset, is_part))
    return _Block(tuple(field.name for field in fields), fields[0].reported, tuple(runs))
