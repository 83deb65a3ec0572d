"""Mazes as text: reading and checking, and the plain tables that kernels take.

A maze's file may begin with `# title: words`; then come its rows, a letter a cell:

    X  a wall        .  a pellet      o  a pellet that gives power      -  a free cell without one
    S  the eater's start              G  the ghosts' home

A free cell at the rim leads through a tunnel to the opposite one. Each free cell has two ways or more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, Shelf, read_drawing, shipped, ways_to
from .state import COLUMNS, EDGE, HEIGHT, LAYOUT, MOST_CELLS, PELLET, POWER, ROWS, SMALLEST, STRIDE, WIDTH

LETTERS = "X.o-SG"


def read_maze(text: str, name: str) -> Drawing:
    """Reads a maze, and refuses one that can't be played; see `read_drawing`."""
    maze = read_drawing(text, name, LETTERS, high=(SMALLEST, HEIGHT), wide=(SMALLEST, WIDTH))
    for r, row in enumerate(maze.rows):
        if len(row) != len(maze.rows[0]):
            maze.refuse(f"rows are equally long; this one has {len(row)} letters", r)
    maze.require("S", "a maze has one start, S")
    maze.require("G", "a maze has one home of ghosts, G")
    maze.require(".o", "a maze has pellets", most=MOST_CELLS)
    maze.require(LETTERS[1:], f"a maze has at most {MOST_CELLS} free cells", most=MOST_CELLS)
    cells, after = _free(maze)
    for k, place in enumerate(cells):
        if (after[:, k] != k).sum() < 2:
            maze.refuse("a dead end", *place)
    is_apart = np.isinf(ways_to(after, np.zeros(1, np.int64))[0])
    if is_apart.any():
        maze.refuse("there is no way to here from the first free cell", *cells[is_apart.argmax()])
    return maze


MAZES = Shelf("maze", shipped("mazes"), read_maze)
"""The hand-made ones."""


def _free(maze: Drawing) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Free cells: (n, 2) rows and columns; (4, n) the one in each direction, or the same before a wall."""
    free = np.array(list(map(list, maze.rows))) != "X"
    number = np.where(free, free.cumsum().reshape(free.shape) - 1, -1)
    beside = [
        np.roll(number, (-row, -column), (0, 1))[free] for row, column in zip(ROWS, COLUMNS, strict=True)
    ]
    return np.argwhere(free), np.where(np.array(beside) < 0, number[free], beside)


def lay_out(maze: Drawing) -> tuple[np.void, NDArray[np.uint8]]:
    """A maze as kernels take it.

    Returns:
        A record of `LAYOUT`, and (3, n, n) uint8: `near`, `away` and `toward` of `MazeParams`.
    """
    (cells, after), height, width = _free(maze), len(maze.rows), len(maze.rows[0])
    count = len(cells)
    m, k = np.zeros(1, LAYOUT)[0], np.arange(count)
    m["next"] = np.arange(MOST_CELLS)[:, None]
    m["next"][:count] = after.T
    m["onward"] = -1
    for d in range(4):
        ways = (after != k) & (np.arange(4) != d ^ 2)[:, None]
        m["onward"][:count, d] = np.where(ways.sum(axis=0) == 1, ways.argmax(axis=0), -1)
    m["place"][:count] = cells
    m["at"][:count] = 2 * EDGE + cells @ (STRIDE, 1)
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
    away = ways_to(after, k)
    near = np.argsort(away, axis=1, kind="stable")
    toward = np.where((after != k)[:, :, None], away[after], count).argmin(axis=0)
    return m, np.stack([near, away, toward]).astype(np.uint8)
