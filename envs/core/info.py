"""Reads what a step reports (`info`) from state records: the nested records `info` and `parts`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
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
    scale: float | None


class InfoReader:
    """Reads the reported fields of a state dtype, of one record or of a batch."""

    def __init__(self, state_dtype: np.dtype) -> None:
        """Finds the fields.

        Args:
            state_dtype: as `world.state_dtype` makes it.
        """
        names = state_dtype.names or ()
        self._info = tuple(state_dtype["info"].names or ()) if "info" in names else ()
        self._parts = tuple(state_dtype["parts"].names or ()) if "parts" in names else ()
        self._runs = [*_runs(state_dtype, "info", self._info), *_runs(state_dtype, "parts", self._parts)]
        self._part_names = tuple(f"reward_{name}" for name in self._parts)

    def one(self, state: NDArray) -> dict[str, Any]:
        """Reads the first record: name to Python bool, int or float."""
        report: dict[str, Any] = {}
        if self._info:
            report.update(zip(self._info, state["info"][0].item(), strict=True))
        if self._parts:
            parts = state["parts"][0].item()
            report.update(zip(self._part_names, [part * _UNIT for part in parts], strict=True))
        return report

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
            if run.scale is None:
                columns[...] = fields
            else:
                np.multiply(fields, run.scale, out=columns)
            yield run.names, columns


def _runs(state_dtype: np.dtype, nested: str, names: tuple[str, ...]) -> Iterator[_Run]:
    if not names:
        return
    dtype, start = state_dtype[nested], state_dtype.fields[nested][1]  # type: ignore
    prefix, scale = ("reward_", _UNIT) if nested == "parts" else ("", None)
    fields = [(name, *dtype.fields[name][:2]) for name in names]
    # Within a run, offset minus rank times size is constant.
    ranked = enumerate(fields)
    for (kind, _), group in groupby(
        ranked, lambda pair: (pair[1][1], pair[1][2] - pair[0] * pair[1][1].itemsize)
    ):
        members = [field for _, field in group]
        reported = np.dtype(np.float64 if scale else {"b": bool, "f": np.float64}.get(kind.kind, np.int64))
        pairs = tuple((f"{prefix}{name}", f"_{prefix}{name}") for name, *_ in members)
        yield _Run(pairs, start + members[0][2], kind, reported, scale)
