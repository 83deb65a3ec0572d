"""Draws flats: rooms with doors, carpets, furniture, dirt in spots, heaps and along walls, a dock, a pet."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, drawn_apart
from .flat import BLOCKED, least_battery, letters_of, read_flat
from .state import MOST_BATTERY, SIDE

ROOM = 3  # cells that a room is wide and high, at least
CARPETED, WITH_PET = 0.4, 0.75  # shares of rooms, and of flats


def draw_flat(seed: int) -> Drawing:
    """The flat of a seed."""
    rng = np.random.default_rng(seed)
    while True:
        rows = drawn_apart(seed, partial(_draw, rng))
        battery = least_battery(letters_of(rows)) + int(rng.integers(0, 80))
        if battery <= MOST_BATTERY:  # hardly ever is a flat too long
            return read_flat("\n".join([f"# battery: {battery}", *rows]), f"flat-{seed}")


def _draw(rng: np.random.Generator) -> list[str]:
    """Rooms with what is in them."""
    height, width = (int(each) for each in rng.integers(9, SIDE + 1, 2))
    rows = np.full((height, width), "X")
    rows[1:-1, 1:-1] = "."
    rooms = _divide(rng, rows, 1, 1, height - 1, width - 1)
    for top, left, bottom, right in rooms:
        if rng.random() < CARPETED:
            rows[top : bottom - 1, left + 1 : right] = ":"
    _furnish(rng, rows)
    _soil(rng, rows, rooms)
    if rng.random() < WITH_PET:
        rows[_any(rng, rows == ".")] = "P"
    return ["".join(row) for row in rows]


def _any(rng: np.random.Generator, cells: NDArray[np.bool_]) -> tuple[int, int]:
    """One of the cells."""
    found = np.argwhere(cells)
    row, column = found[rng.integers(len(found))]
    return int(row), int(column)


def _divide(rng, rows, top, left, bottom, right) -> list[tuple[int, int, int, int]]:
    """Parts a rectangle by walls with a door each, until rooms are small; returns the rooms."""
    high, wide = bottom - top, right - left
    if max(high, wide) < 2 * ROOM + 1 or high * wide < 40 and rng.random() < 0.5:
        return [(top, left, bottom, right)]
    if high <= wide:  # a wall across the longer side: as if columns were rows
        top, left, bottom, right, rows = left, top, right, bottom, rows.T
    # Where a wall of before has a door, none may end: so all rooms are connected.
    spots = [k for k in range(top + ROOM, bottom - ROOM) if rows[k, left - 1] == rows[k, right] == "X"]
    parts = [(top, left, bottom, right)]
    if spots:
        wall = int(rng.choice(spots))
        rows[wall, left:right] = "X"
        rows[wall, rng.integers(left, right)] = "."
        parts = [(top, left, wall, right), (wall + 1, left, bottom, right)]
    if high <= wide:
        parts, rows = [(left, top, right, bottom) for top, left, bottom, right in parts], rows.T
    return [room for part in parts for room in _divide(rng, rows, *part)] if spots else parts


def _furnish(rng: np.random.Generator, rows: NDArray[np.str_]) -> None:
    """Puts the dock beside a wall, and furniture wherever it parts nothing."""
    from scipy.ndimage import label

    beside = np.zeros(rows.shape, np.bool_)
    beside[1:-1, 1:-1] = (rows[:-2, 1:-1] == "X") | (rows[2:, 1:-1] == "X")
    rows[_any(rng, beside & (rows == "."))] = "D"
    for _ in range(int(rng.integers(3, 9))):
        cell = _any(rng, np.isin(rows, [".", ":"]))
        before, rows[cell] = str(rows[cell]), "o"
        parts: Any = label(~np.isin(rows, list(BLOCKED)))
        if parts[1] > 1:
            rows[cell] = before


def _soil(rng: np.random.Generator, rows: NDArray[np.str_], rooms: list[tuple[int, int, int, int]]) -> None:
    """Adds dirt: spots anywhere, a heap, and a strip along the wall of a room."""
    dirty = np.zeros(rows.shape, np.bool_)
    free = np.isin(rows, [".", ":"])
    for _ in range(int(rng.integers(3, 8))):
        dirty[_any(rng, free)] = True
    row, column = _any(rng, free)
    dirty[row : row + int(rng.integers(2, 4)), column : column + int(rng.integers(2, 4))] = True
    top, left, bottom, right = rooms[rng.integers(len(rooms))]
    if rng.integers(2):
        dirty[top if rng.integers(2) else bottom - 1, left:right] = True
    else:
        dirty[top:bottom, left if rng.integers(2) else right - 1] = True
    rows[dirty & (rows == ".")] = "*"
    rows[dirty & (rows == ":")] = "%"
