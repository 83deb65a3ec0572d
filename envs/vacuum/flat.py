r"""Flats as text: reading and checking, and the plain tables that kernels take.

A flat's file has `# name: value` lines, then its rows, a letter a cell:

    X  wall    .  floor    :  carpet    o  furniture
    *  dirt on the floor   %  dirt on carpet
    D  the dock            P  the pet, on the floor

Values: `title`, and `battery`, ticks on bare floor; a tick on carpet takes two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .state import CELLS, LAYOUT, MOST_BATTERY, SIDE, STEPS

LETTERS = "X.:o*%DP"
BLOCKED, CARPETS, DIRT = "Xo", ":%", "*%"
NO_WAY = 255
AHEAD = (np.arange(CELLS) + np.array(STEPS)[:, None]) % CELLS  # the cell in front, by heading and cell
SPARE = 24  # battery that is left, at least, after the way to any dirt and back


class FlatError(ValueError):
    """A flat that can't be cleaned; the message is one line that names the file and the place."""


@dataclass(frozen=True)
class Flat:
    """A flat as it was written; two of equal rows and battery are the same."""

    name: str
    title: str
    battery: int
    rows: tuple[str, ...]

    @property
    def letters(self) -> NDArray[np.str_]:
        """(SIDE, SIDE) letters; what lies outside is wall."""
        rows = [row.ljust(SIDE, "X") for row in self.rows] + (SIDE - len(self.rows)) * ["X" * SIDE]
        return np.array([list(row) for row in rows])


def read_flat(text: str, name: str) -> Flat:
    """Reads a flat.

    Args:
        text: what the file holds.
        name: what errors call it.

    Raises:
        FlatError: one line, with line and column where there is one.
    """
    values: dict[str, str] = {}
    rows, first = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, colon, value = (part.strip() for part in line[1:].partition(":"))
            if not colon or key not in ("title", "battery"):
                raise FlatError(f"{name}, line {number}: a value is one of title, battery")
            values[key] = value
        elif line.strip():
            first = first or number
            rows.append(line.rstrip().replace(" ", "X"))
    battery = values.get("battery", "200")
    if not (battery.isdecimal() and 0 < int(battery) <= MOST_BATTERY):
        raise FlatError(f"{name}: battery is a whole number from 1 to {MOST_BATTERY}; got {battery}")
    flat = Flat(name, values.get("title", name), int(battery), tuple(rows))
    _check(flat, first)
    return flat


def _check(flat: Flat, first_line: int) -> None:
    """Raises FlatError where a flat has no room, is open or not connected, or takes more battery."""
    name, rows = flat.name, flat.rows
    if not (3 <= len(rows) <= SIDE and 3 <= max(map(len, rows)) <= SIDE):
        raise FlatError(f"{name}: there is no room; a flat has 3 to {SIDE} rows of 3 to {SIDE} letters")
    letters = flat.letters
    for row, column in np.argwhere(~np.isin(letters, list(LETTERS))):
        place = f"{name}, line {first_line + row}, column {column + 1}"
        raise FlatError(f"{place}: {str(letters[row, column])!r} is none of {LETTERS}")
    for letter, least, most, what in (("D", 1, 1, "dock"), ("P", 0, 1, "pet"), (DIRT, 1, CELLS, "dirt")):
        count = int(np.isin(letters, list(letter)).sum())
        if not least <= count <= most:
            wanted = "at most one" if least == 0 else "some" if most > 1 else "one"
            raise FlatError(f"{name}: a flat has {wanted} {what}; this one has {count or 'none'}")
    home = way_home(letters, True)[0].reshape(SIDE, SIDE)
    for row, column in np.argwhere(~np.isin(letters, list(BLOCKED))):
        place = f"{name}, line {first_line + row}, column {column + 1}"
        if not (0 < row < SIDE - 1 and 0 < column < SIDE - 1):
            raise FlatError(f"{place}: the flat is open here; all around it are walls")
        if home[row, column] == NO_WAY:
            raise FlatError(f"{place}: no way leads from here to the dock")
    need = least_battery(letters)
    if need > flat.battery:
        raise FlatError(f"{name}: the dirt needs a battery of {need}; it is {flat.battery}")


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


def lay_out(flat: Flat, turns: bool) -> NDArray[np.void]:
    """A flat as kernels take it.

    Args:
        flat: what was read.
        turns: whether turning takes a tick.

    Returns:
        () record of `state.LAYOUT`.
    """
    letters, layout = flat.letters, np.zeros((), LAYOUT)
    layout["open"] = board_of(~np.isin(letters, list(BLOCKED)))
    layout["carpet"] = board_of(np.isin(letters, list(CARPETS)))
    layout["dirt"] = board_of(np.isin(letters, list(DIRT)))
    layout["home"] = way_home(letters, turns)
    layout["dock"] = np.flatnonzero(letters == "D")[0]
    layout["pet"] = np.flatnonzero(letters == "P").sum()  # 0 for none
    layout["battery"], layout["dirty"] = flat.battery, np.isin(letters, list(DIRT)).sum()
    return layout
