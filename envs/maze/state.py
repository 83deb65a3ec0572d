"""The record of a maze, and the tables that the whole batch shares."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import state_dtype

HEIGHT, WIDTH = 15, 19  # cells of a maze, at most
SMALLEST = 9  # cells that one is high and wide, at least
MOST_CELLS = 192  # that are free; a generated maze has at most 175
VIEW = 11  # side of the square that the grid shows, cells
EDGE = VIEW // 2
# A board is read in words of eight bytes: behind each row lies room for what is in view beyond its end, and
# before the next row.
STRIDE = WIDTH + 2 * EDGE
BOARD = 448
PELLET, POWER = 85, 255  # what lies on a cell of the board, 0 for nothing
GHOSTS = 4
HUNTS, SCARED, EYES = 0, 1, 2  # modes of a ghost; eyes are on their way home
UP, RIGHT, DOWN, LEFT = 0, 1, 2, 3  # d ^ 2 is the way back
ROWS, COLUMNS = (-1, 0, 1, 0), (0, 1, 0, -1)  # of a step
FULL = 16  # speed of a cell a tick

STATE = state_dtype(
    [
        ("maze", np.int32),
        ("ask_maze", np.int32),  # 1 + the maze wanted at the next reset, 0 for a random one
        ("cell", np.int16, 1 + GHOSTS),  # of the eater and of the ghosts
        ("came", np.int16, 1 + GHOSTS),  # the same before the tick
        ("heading", np.int8, 1 + GHOSTS),  # the eater's last; in which the ghosts leave their cell
        ("last", np.int8, GHOSTS),  # direction in which they came into it
        ("earlier", np.int8, GHOSTS),  # and into the cell before that
        ("way", np.int8, GHOSTS),  # 1/16 of a cell that they have gone since
        ("mode", np.int8, GHOSTS),
        ("wait", np.int16, GHOSTS),  # ticks until they leave home
        ("power", np.int16),  # ticks that it lasts
        ("clock", np.int16),  # ticks until ghosts change between scatter and chase
        ("scatters", np.int8),  # 1 while they scatter
        ("left", np.int16),  # pellets
        ("food", np.uint8, BOARD),
    ],
    # All eaten; caught in this step; share of pellets eaten so far; ghosts eaten in this step.
    info=[("success", np.bool_), ("cost", np.int32), ("pellets", np.float32), ("ghosts", np.int32)],
)

LAYOUT = np.dtype(
    [
        ("next", np.int16, (MOST_CELLS, 4)),  # the neighbour in each direction; the cell itself before a wall
        ("onward", np.int8, (MOST_CELLS, 4)),  # the only way on for who comes in a direction, else -1
        ("at", np.int16, MOST_CELLS),  # on the board
        ("place", np.int16, (MOST_CELLS, 2)),  # row and column
        ("sides", np.int16, 2),  # how high and wide it is, cells
        ("corner", np.int16, (GHOSTS, 2)),  # row and column to which each ghost scatters
        ("free", np.uint8, BOARD),  # 255 where no wall is, beyond both ends of a row, too
        ("food", np.uint8, BOARD),  # at first
        ("cells", np.int16),
        ("pellets", np.int16),
        ("start", np.int16),
        ("home", np.int16),
    ],
    align=True,
)


class MazeParams(NamedTuple):
    """The mazes, and how hard they are."""

    mazes: NDArray[np.void]
    """(M,) records of `LAYOUT`."""
    near: NDArray[np.uint8]
    """(M, C, C) the cells in the order of how near they are to each; C is the most cells of a maze."""
    away: NDArray[np.uint8]
    """(M, C, C) steps from cell to cell."""
    toward: NDArray[np.uint8]
    """(M, C, C) the first direction of a shortest way from cell to cell."""
    ghosts: int
    speed: int
    """Of ghosts, 1/16 cell a tick."""
    power: int
    """Ticks that ghosts fear."""
    scatter: int
    """Ticks that they scatter."""
    chase: int
    """Ticks that they chase."""
    lots: NDArray[np.int64]
    """(M,) running sums of the mazes' weights, by which a reset draws one; see `core.lots`."""
