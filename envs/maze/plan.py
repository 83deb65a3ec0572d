"""Mazes as text: reading and checking, and the plain tables that kernels take.

A maze's file may begin with `# title: words`; then come its rows, a letter a cell:

    X  a wall        .  a pellet      o  a pellet that gives power      -  a free cell without one
    S  the eater's start              G  the ghosts' home

A free cell at the rim leads through a tunnel to the opposite one. Each free cell has two ways or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from .state import (
    COLUMNS,
    EDGE,
    GHOSTS,
    HEIGHT,
    LAYOUT,
    MOST_CELLS,
    PELLET,
    POWER,
    ROWS,
    SMALLEST,
    STRIDE,
    WIDTH,
)

LETTERS = "X.o-SG"


class MazeError(ValueError):
    """A maze that can't be played; the message is one line that names the file and the place."""


@dataclass(frozen=True)
class Maze:
    """A maze as it was written; two of equal rows are the same."""

    name: str
    title: str
    rows: tuple[str, ...]


def read_maze(text: str, name: str) -> Maze:
    """Reads a maze.

    Args:
        text: what the file holds.
        name: what errors call it.

    Raises:
        MazeError: one line, with line and column.
    """
    title, rows, first = name, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, _, words = line[1:].partition(":")
            if key.strip() != "title":
                raise MazeError(f"{name}, line {number}: before a maze may stand `# title: words`")
            title = words.strip()
        elif line.strip():
            rows.append(line.rstrip())
            first = first or number
    maze = Maze(name, title, tuple(rows))
    _check(maze, first)
    return maze


def _check(maze: Maze, first: int) -> None:
    def refuse(words: str, row: int | None = None, column: int = 0) -> NoReturn:
        place = "" if row is None else f", line {first + row}, column {column + 1}"
        raise MazeError(f"{maze.name}{place}: {words}")

    rows = maze.rows
    if not SMALLEST <= len(rows) <= HEIGHT:
        refuse(f"a maze has {SMALLEST} to {HEIGHT} rows; this one has {len(rows)}")
    for row, line in enumerate(rows):
        if not SMALLEST <= len(line) <= WIDTH or len(line) != len(rows[0]):
            refuse(f"rows are equally long, {SMALLEST} to {WIDTH} letters; this one has {len(line)}", row)
        for column, letter in enumerate(line):
            if letter not in LETTERS:
                refuse(f"{letter!r} is none of {' '.join(LETTERS)}", row, column)
    text = "".join(rows)
    for letter, words in (("S", "start, S"), ("G", "home of ghosts, G")):
        if text.count(letter) != 1:
            refuse(f"a maze has one {words}; this one has {text.count(letter)}")
    if "." not in text and "o" not in text:
        refuse("a maze has pellets")
    cells = _cells(maze)
    if len(cells) > MOST_CELLS:
        refuse(f"a maze has at most {MOST_CELLS} free cells; this one has {len(cells)}")
    after = _neighbours(maze, cells)
    for k, (row, column) in enumerate(cells):
        if (after[k] != k).sum() < 2:
            refuse("a dead end", row, column)
    is_apart = _distances(after)[0] < 0
    if is_apart.any():
        refuse("there is no way to here from the first free cell", *cells[int(is_apart.argmax())])


def _cells(maze: Maze) -> list[tuple[int, int]]:
    """Rows and columns of the free cells, in the order of the text."""
    return [(r, c) for r, line in enumerate(maze.rows) for c, letter in enumerate(line) if letter != "X"]


def _neighbours(maze: Maze, cells: list[tuple[int, int]]) -> NDArray[np.int16]:
    """(n, 4) the cell in each direction, or the cell itself before a wall."""
    number, height, width = {at: k for k, at in enumerate(cells)}, len(maze.rows), len(maze.rows[0])
    steps = list(zip(ROWS, COLUMNS, strict=True))
    found = [
        [number.get(((r + dr) % height, (c + dc) % width), k) for dr, dc in steps]
        for k, (r, c) in enumerate(cells)
    ]
    return np.array(found, np.int16)


def _distances(after: NDArray[np.int16]) -> NDArray[np.int16]:
    """(n, n) steps from cell to cell, -1 where there is no way; breadth first, from all cells at once."""
    away = np.where(np.eye(len(after), dtype=bool), 0, -1).astype(np.int16)
    reached, steps = away == 0, 0
    while True:
        steps += 1
        fresh = reached[after].any(axis=1) & (away < 0)  # those from which a neighbour was reached
        if not fresh.any():
            return away
        away[fresh] = steps
        reached = fresh


def lay_out(maze: Maze) -> tuple[np.void, NDArray[np.uint8]]:
    """A maze as kernels take it.

    Returns:
        A record of `LAYOUT`, and (3, n, n) uint8: `near`, `away` and `toward` of `MazeParams`.
    """
    cells, height, width = _cells(maze), len(maze.rows), len(maze.rows[0])
    after, count = _neighbours(maze, cells), len(cells)
    m, k = np.zeros(1, LAYOUT)[0], np.arange(count)
    m["next"] = np.arange(MOST_CELLS)[:, None]
    m["next"][:count] = after
    m["onward"] = -1
    for d in range(4):
        ways = (after != k[:, None]) & (np.arange(4) != d ^ 2)
        m["onward"][:count, d] = np.where(ways.sum(axis=1) == 1, ways.argmax(axis=1), -1)
    m["place"][:count] = cells
    m["at"][:count] = [EDGE + row * STRIDE + column for row, column in cells]
    ends = (0, width - 1), (0, 0), (height - 1, width - 1), (height - 1, 0)
    m["corner"] = ends[:GHOSTS]
    letters = "".join(maze.rows).replace("X", "")
    worth = {".": PELLET, "o": POWER}
    m["free"][m["at"][:count]] = 255
    m["food"][m["at"][:count]] = [worth.get(letter, 0) for letter in letters]
    m["cells"], m["pellets"] = count, np.count_nonzero(m["food"])
    m["start"], m["home"] = letters.index("S"), letters.index("G")
    away = _distances(after)
    near = np.argsort(away, axis=1, kind="stable")
    toward = np.where((after != k[:, None])[:, :, None], away[after], count).argmin(axis=1)
    return m, np.stack([near, away, toward]).astype(np.uint8)
