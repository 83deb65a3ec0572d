"""Inputs of small networks: means over parts of an observation, so that few weights can see a large one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from ...caching import compiled
from ..spaces import PLANES_LAST, describe, sizes

MAX_INPUTS = 1024
"""More inputs than this are refused."""
STRETCH = np.uint64(16)
"""Cells that are tested for zeros at once."""


@dataclass(frozen=True)
class Retina:
    """Which parts of a grid of planes a network sees: sharp in some places, coarse in the others.

    Raises:
        ValueError: for a plane that is negative, or a band of no cells.
    """

    planes: tuple[int, ...] | None = None
    """Planes of which places matter; of each other plane the network sees only the cell in the middle, which
    is enough where all cells are equal. None: all planes."""
    rows: tuple[int, ...] | None = None
    """Heights of the bands, from top to bottom, in cells; they add up to the grid's height. None: three
    single cells in the middle, one band above and one below."""
    columns: tuple[int, ...] | None = None
    """Widths of the bands, from left to right, in the same way."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.planes and min(self.planes) < 0:
            raise ValueError(f"planes count from 0; got {self.planes}")
        for name in ("rows", "columns"):
            bands = getattr(self, name)
            if bands is not None and (not bands or min(bands) < 1):
                raise ValueError(f"{name} are bands of at least one cell; got {bands}")


class Cells(NamedTuple):
    """Which cells of a flat observation are seen, in their order, and what becomes of them."""

    runs: NDArray[np.uint32]
    """(R, 2) first cell and end of each stretch of neighbouring cells."""
    owners: NDArray[np.uint32]
    """(K,) the input that each cell belongs to, over all stretches."""
    scales: NDArray[np.float32]
    """(F,) what the sum of an input's cells is multiplied by."""


class Features(NamedTuple):
    """The F inputs of a network: each is the mean of some cells of an observation, scaled to its bounds."""

    cells: Cells
    names: tuple[str, ...]
    """What each input is, in a few words."""
    digits: tuple[int, ...] = ()
    """Of observations that are numbers: how many values each digit has."""
    first: int = 0
    """The lowest of these numbers."""

    def rows(self, obs: NDArray) -> NDArray:
        """(B, cells) flat observations of (B, ...) ones; each digit of a number has a single one."""
        if not self.digits:
            return np.ascontiguousarray(obs).reshape(len(obs), -1)
        rows, every, first = np.zeros((len(obs), sum(self.digits)), np.uint8), np.arange(len(obs)), 0
        for size, digit in zip(
            self.digits, np.unravel_index(np.asarray(obs) - self.first, self.digits), strict=True
        ):
            rows[every, first + digit] = 1
            first += size
        return rows


@compiled(nogil=True)
def gather_inputs(row, cells, inputs, listed, met):
    """Computes the inputs of one row that are not zero, since grids are mostly empty.

    Args:
        row: flat observation.
        cells: `Cells`.
        inputs: (F,) float32; the inputs that are met are written, the others are left alone.
        listed: (F,) bool, all False, before and after.
        met: (F,) uint32; takes the numbers of the inputs that are met, in the order of their first cell that
            is not zero. Everything that follows is summed in that order, which the row alone decides.

    Returns:
        How many are met.
    """
    count = np.uint64(0)  # unsigned indices need no check for negative ones
    k = np.uint64(0)
    for r in range(len(cells.runs)):
        cell, end = np.uint64(cells.runs[r, 0]), np.uint64(cells.runs[r, 1])
        while cell < end:
            size, found = STRETCH, False
            if end - cell < STRETCH:
                size, found = end - cell, True
            else:
                for c in range(STRETCH):  # one instruction or two
                    found |= row[cell + c] != 0
            if found:
                for c in range(size):
                    value = row[cell + c]
                    if value != 0:
                        owner = np.uint64(cells.owners[k + c])
                        if listed[owner]:
                            inputs[owner] += np.float32(value)
                        else:
                            inputs[owner] = np.float32(value)
                            listed[owner] = True
                            met[count] = owner
                            count += np.uint64(1)
            cell += size
            k += size
    for n in range(count):
        owner = np.uint64(met[n])
        inputs[owner] *= cells.scales[owner]
        listed[owner] = False
    return count


def make_features(space: Space, retina: Retina) -> Features:
    """Chooses the inputs for a space of observations.

    A number is one input a value; where its space tells its `digits`, what the values of each mean, one input
    a value of each digit. A vector is one input a component, of several numbers or bits each. Of a
    grid (height, width), or planes of it, `retina` chooses. Components with finite bounds are divided by the
    larger of them, several numbers each by its largest.

    Raises:
        ValueError: for a space of another kind, too many inputs, or a retina that does not fit.
    """
    if isinstance(space, Discrete):
        start, numbers = int(space.start), range(min(int(space.n), MAX_INPUTS + 1))
        digits = getattr(space, "digits", None) or (tuple(f"is {start + k}" for k in numbers),)
        names = [name for digit in digits for name in digit]
        fields, bounds = [[k] for k in range(len(names))], np.ones(len(names))
    elif isinstance(space, Box | MultiDiscrete | MultiBinary):
        box = space if isinstance(space, Box) else _box(space)
        bounds = sizes(box)
        if isinstance(space, Box) and len(space.shape) in (2, 3) and min(space.shape) > 1:
            fields, names = _grid_fields(space.shape, retina)
        else:
            fields = [[k] for k in range(min(bounds.size, MAX_INPUTS + 1))]
            names = [f"x{k}" for k in range(len(fields))]
    else:
        raise ValueError("a network needs observations that are arrays or numbers")
    if len(fields) > MAX_INPUTS:
        raise ValueError(f"a network has at most {MAX_INPUTS} inputs; {describe(space)} has more")
    flat = np.array([cell for field in fields for cell in field])
    owners = np.repeat(np.arange(len(fields)), list(map(len, fields)))
    order = flat.argsort()
    breaks = np.flatnonzero(np.diff(flat[order]) != 1) + 1
    runs = [(part[0], part[-1] + 1) for part in np.split(flat[order], breaks)]
    scales = [1.0 / (len(field) * bounds[field].max()) for field in fields]
    cells = Cells(np.array(runs, np.uint32), owners[order].astype(np.uint32), np.array(scales, np.float32))
    if isinstance(space, Discrete):
        return Features(cells, tuple(names), tuple(map(len, digits)), start)
    return Features(cells, tuple(names))


def _box(space: MultiDiscrete | MultiBinary) -> Box:
    """The box that holds several numbers or bits."""
    low = np.broadcast_to(getattr(space, "start", 0), space.shape)
    return Box(low, low + (getattr(space, "nvec", 2) - 1), dtype=np.int64)


def _grid_fields(shape: Sequence[int], retina: Retina) -> tuple[list[list[int]], list[str]]:
    """Lists of cells, and their names, for (height, width), (planes, height, width) or (.., .., planes)."""
    index = np.arange(math.prod(shape)).reshape(shape)
    if index.ndim == 2:
        index = index[None]
    elif shape[2] in PLANES_LAST:
        index = np.moveaxis(index, 2, 0)
    num_planes, height, width = index.shape
    sharp = range(num_planes) if retina.planes is None else retina.planes
    if any(plane >= num_planes for plane in sharp):
        raise ValueError(f"there are {num_planes} planes; the retina names {max(sharp)}")
    rows = _bands(height, retina.rows, "rows")
    columns = _bands(width, retina.columns, "columns")
    fields, names = [], []
    for plane in range(num_planes):
        if plane not in sharp:
            fields.append([int(index[plane, height // 2, width // 2])])
            names.append(f"plane {plane}")
            continue
        for top, bottom in rows:
            for left, right in columns:
                fields.append(index[plane, top:bottom, left:right].ravel().tolist())
                names.append(f"plane {plane}, {_span(top, bottom)}:{_span(left, right)}")
    return fields, names


def _bands(size: int, given: Sequence[int] | None, name: str) -> list[tuple[int, int]]:
    if given is None:
        rest = (size - 3) // 2
        given = (1,) * size if size <= 5 else (rest, 1, 1, 1, size - 3 - rest)
    if sum(given) != size:
        raise ValueError(f"the retina's {name} {tuple(given)} add up to {sum(given)}; the grid has {size}")
    edges = np.cumsum([0, *given]).tolist()
    return list(zip(edges[:-1], edges[1:], strict=True))


def _span(start: int, end: int) -> str:
    return str(start) if end == start + 1 else f"{start}-{end - 1}"
