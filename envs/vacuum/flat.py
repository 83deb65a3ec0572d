r"""Flats as text: reading and checking, and the plain tables that kernels take.

A flat's file has `# name: value` lines, then its rows, a letter a cell:

    X  wall    .  floor    :  carpet    o  furniture
    *  dirt on the floor   %  dirt on carpet
    D  the dock            P  the pet, on the floor

Values: `title`, and `battery`, ticks on bare floor; a tick on carpet takes two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, Shelf, read_drawing, shipped, ways_to
from .state import CELLS, LAYOUT, MOST_BATTERY, SIDE, STEPS

LETTERS = "X.:o*%DP"
BLOCKED, CARPETS, DIRT = "Xo", ":%", "*%"
NO_WAY = 255
STATES = 4 * CELLS  # of a robot: CELLS * heading + cell
AHEAD = (np.arange(CELLS) + np.array(STEPS)[:, None]) % CELLS  # the cell in front, by heading and cell
SPARE = 24  # battery that is left, at least, after the way to any dirt and back


def read_flat(text: str, name: str) -> Drawing:
    """Reads a flat, and refuses one that can't be cleaned; see `read_drawing`."""
    sides = 3, SIDE
    values = {"battery": (1, MOST_BATTERY, 200)}
    flat = read_drawing(text, name, LETTERS, high=sides, wide=sides, values=values, blank="X")
    letters = letters_of(flat.rows)
    flat.require("D", "a flat has one dock")
    flat.require("P", "a flat has at most one pet", least=0)
    flat.require(DIRT, "a flat has some dirt", most=CELLS)
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


FLATS = Shelf("flat", shipped("flats"), read_flat)
"""The hand-made ones."""


def letters_of(rows: Sequence[str]) -> NDArray[np.str_]:
    """(SIDE, SIDE) letters of a flat's rows; what lies outside is wall."""
    return np.array([list(row.ljust(SIDE, "X")) for row in rows] + (SIDE - len(rows)) * [["X"] * SIDE])


def least_battery(letters: NDArray[np.str_]) -> int:
    """What any dirt and back takes, and something to spare, since a pet may stand in the way."""
    home = way_home(letters, True).max(axis=0)
    return SPARE + 2 * int(home[np.isin(letters.ravel(), list(DIRT))].max())


def moves(letters: NDArray[np.str_], turns: bool) -> NDArray[np.int64]:
    """(A, STATES) which state follows, by action; an action that a wall stops changes nothing."""
    is_open = ~np.isin(letters.ravel(), list(BLOCKED))
    heading, cell = np.divmod(np.arange(STATES), CELLS)
    if turns:
        to = AHEAD[heading, cell]
        ahead = np.where(is_open[to], heading * CELLS + to, np.arange(STATES))
        return np.stack([ahead, (heading + 3) % 4 * CELLS + cell, (heading + 1) % 4 * CELLS + cell])
    to = AHEAD[:, cell]
    return np.where(is_open[to], np.arange(4)[:, None] * CELLS + to, np.arange(STATES))


def way_home(letters: NDArray[np.str_], turns: bool) -> NDArray[np.int64]:
    """(4, CELLS) battery that the way to the dock takes; `NO_WAY` where there is none."""
    flat = np.tile(letters.ravel(), 4)
    home = ways_to(moves(letters, turns), np.flatnonzero(flat == "D"), 1 + np.isin(flat, list(CARPETS)))
    home = np.where(np.isin(flat, list(BLOCKED)), NO_WAY, home.min(axis=0))
    return np.minimum(home, NO_WAY).astype(np.int64).reshape(4, CELLS)


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
