"""Mazes as text: reading and checking, and the plain tables that kernels take.

A maze's file may begin with `# title: words`; then come its rows, a letter a cell:

    X  a wall        .  a pellet      o  a pellet that gives power      -  a free cell without one
    S  the eater's start              G  the ghosts' home

A free cell at the rim leads through a tunnel to the opposite one. Each free cell has two ways or more.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, Shelf, read_drawing
from .state import COLUMNS, EDGE, HEIGHT, LAYOUT, MOST_CELLS, PELLET, POWER, ROWS, SMALLEST, STRIDE, WIDTH

LETTERS = "X.o-SG"


def read_maze(text: str, name: str) -> Drawing:
    """Reads a maze, and refuses one that can't be played; see `read_drawing`."""
    maze = read_drawing(text, name, LETTERS, high=(SMALLEST, HEIGHT), wide=(SMALLEST, WIDTH))
    for r, row in enumerate(maze.rows):
        if len(row) != len(maze.rows[0]):
            maze.refuse(f"rows are equally long; this one has {len(row)} letters", r)
    letters = "".join(maze.rows)
    for letter, words in (("S", "start, S"), ("G", "home of ghosts, G")):
        if letters.count(letter) != 1:
            maze.refuse(f"a maze has one {words}; this one has {letters.count(letter)}")
    if "." not in letters and "o" not in letters:
        maze.refuse("a maze has pellets")
    cells = _cells(maze)
    if len(cells) > MOST_CELLS:
        maze.refuse(f"a maze has at most {MOST_CELLS} free cells; this one has {len(cells)}")
    after = _neighbours(maze, cells)
    for k, place in enumerate(cells):
        if (after[k] != k).sum() < 2:
            maze.refuse("a dead end", *place)
    is_apart = _distances(after)[0] < 0
    if is_apart.any():
        maze.refuse("there is no way to here from the first free cell", *cells[int(is_apart.argmax())])
    return maze


MAZES = Shelf("maze", files(__name__.partition(".")[0]) / "assets" / "mazes", read_maze)
"""The hand-made ones."""


def _cells(maze: Drawing) -> list[tuple[int, int]]:
    """Rows and columns of the free cells, in the order of the text."""
    return [(r, c) for r, line in enumerate(maze.rows) for c, letter in enumerate(line) if letter != "X"]


def _neighbours(maze: Drawing, cells: list[tuple[int, int]]) -> NDArray[np.int16]:
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


def lay_out(maze: Drawing) -> tuple[np.void, NDArray[np.uint8]]:
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
    m["at"][:count] = [2 * EDGE + row * STRIDE + column for row, column in cells]
    m["sides"] = height, width
    m["corner"] = (0, width - 1), (0, 0), (height - 1, width - 1), (height - 1, 0)
    letters = "".join(maze.rows).replace("X", "")
    worth = {".": PELLET, "o": POWER}
    for shift in (-width, 0, width):  # beyond a rim it goes on at the other one
        column = m["place"][:count, 1] + shift
        m["free"][(m["at"][:count] + shift)[(column >= -EDGE) & (column < width + EDGE)]] = 255
    m["food"][m["at"][:count]] = [worth.get(letter, 0) for letter in letters]
    m["cells"], m["pellets"] = count, np.count_nonzero(m["food"])
    m["start"], m["home"] = letters.index("S"), letters.index("G")
    away = _distances(after)
    near = np.argsort(away, axis=1, kind="stable")
    toward = np.where((after != k[:, None])[:, :, None], away[after], count).argmin(axis=1)
    return m, np.stack([near, away, toward]).astype(np.uint8)
