r"""Flats as text: reading and checking, and the plain tables that kernels take.

A flat's file has `# name: value` lines, then its rows, a letter a cell:

    X  wall    .  floor    :  carpet    o  furniture
    *  dirt on the floor   %  dirt on carpet
    D  the dock            P  the pet, on the floor

Values: `title`, and `battery`, ticks on bare floor; a tick on carpet takes two.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, Shelf, read_drawing
from .state import CELLS, LAYOUT, MOST_BATTERY, SIDE, STEPS

LETTERS = "X.:o*%DP"
BLOCKED, CARPETS, DIRT = "Xo", ":%", "*%"
NO_WAY = 255
AHEAD = (np.arange(CELLS) + np.array(STEPS)[:, None]) % CELLS  # the cell in front, by heading and cell
SPARE = 24  # battery that is left, at least, after the way to any dirt and back


def read_flat(text: str, name: str) -> Drawing:
    """Reads a flat, and refuses one that can't be cleaned; see `read_drawing`."""
    sides = 3, SIDE
    values = {"battery": (1, MOST_BATTERY, 200)}
    flat = read_drawing(text, name, LETTERS, high=sides, wide=sides, values=values, blank="X")
    letters = letters_of(flat.rows)
    for letter, least, most, what in (("D", 1, 1, "dock"), ("P", 0, 1, "pet"), (DIRT, 1, CELLS, "dirt")):
        count = int(np.isin(letters, list(letter)).sum())
        if not least <= count <= most:
            wanted = "at most one" if least == 0 else "some" if most > 1 else "one"
            flat.refuse(f"a flat has {wanted} {what}; this one has {count or 'none'}")
    home = way_home(letters, True)[0].reshape(SIDE, SIDE)
    for row, column in np.argwhere(~np.isin(letters, list(BLOCKED))):
        if row in (0, SIDE - 1) or column in (0, SIDE - 1):
            flat.refuse("the flat is open here; all around it are walls", row, column)
        if home[row, column] == NO_WAY:
            flat.refuse("no way leads from here to the dock", row, column)
    need = least_battery(letters)
    if need > flat.values["battery"]:
        flat.refuse(f"the dirt needs a battery of {need}; it is {flat.values['battery']}")
    return flat


FLATS = Shelf("flat", files(__name__.partition(".")[0]) / "assets" / "flats", read_flat)
"""The hand-made ones."""


def letters_of(rows: Sequence[str]) -> NDArray[np.str_]:
    """(SIDE, SIDE) letters of a flat's rows; what lies outside is wall."""
    return np.array([list(row.ljust(SIDE, "X")) for row in rows] + (SIDE - len(rows)) * [["X"] * SIDE])


def least_battery(letters: NDArray[np.str_]) -> int:
    """What any dirt and back takes, and something to spare, since a pet may stand in the way."""
    home = way_home(letters, True).max(axis=0)
    return SPARE + 2 * int(home[np.isin(letters.ravel(), list(DIRT))].max())


def way_home(letters: NDArray[np.str_], turns: bool) -> NDArray[np.int64]:
    """(4, CELLS) battery that the way to the dock takes; `NO_WAY` where there is none."""
    flat = letters.ravel()
    is_open, dock = ~np.isin(flat, list(BLOCKED)), flat == "D"
    drain = 1 + np.isin(flat, list(CARPETS))
    home = np.where(dock, 0, np.full((4, CELLS), NO_WAY))
    while True:
        after = np.where(is_open, home + drain, NO_WAY)
        ahead = np.take_along_axis(after, AHEAD, axis=1)
        ways = (ahead, after[[3, 0, 1, 2]], after[[1, 2, 3, 0]]) if turns else ahead
        better = np.where(is_open, np.minimum(home, np.min(ways, axis=0)), NO_WAY)
        if (better == home).all():
            return home
        home = better


def board_of(cells: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(2, WORDS) bits of (SIDE, SIDE) cells: a line for each row, then one for each column."""
    both = np.stack([cells, cells.T]).reshape(2, -1)
    return np.packbits(both, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def cells_of(boards: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(..., CELLS) 0 or 1 for each cell, of the lines that rows are; of (..., 2, WORDS) boards."""
    words = np.ascontiguousarray(boards[..., 0, :], "<u8")
    return np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")


def lay_out(flat: Drawing, turns: bool) -> NDArray[np.void]:
    """A flat as kernels take it.

    Args:
        flat: what was read.
        turns: whether turning takes a tick.

    Returns:
        () record of `state.LAYOUT`.
    """
    letters, layout = letters_of(flat.rows), np.zeros((), LAYOUT)
    layout["open"] = board_of(~np.isin(letters, list(BLOCKED)))
    layout["carpet"] = board_of(np.isin(letters, list(CARPETS)))
    layout["dirt"] = board_of(np.isin(letters, list(DIRT)))
    layout["home"] = way_home(letters, turns)
    layout["dock"] = np.flatnonzero(letters == "D")[0]
    layout["pet"] = np.flatnonzero(letters == "P").sum()  # 0 for none
    layout["battery"], layout["dirty"] = flat.values["battery"], np.isin(letters, list(DIRT)).sum()
    return layout
