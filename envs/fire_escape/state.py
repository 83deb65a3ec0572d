"""The record of a burning building, and what the whole batch shares."""

from typing import NamedTuple

import numpy as np

from ..core import state_dtype

HEIGHT, WIDTH = 17, 23  # cells; the outermost ring lies outside, the next one is the outer wall
CELLS = HEIGHT * WIDTH
STEPS = (-WIDTH, 1, WIDTH, -1)  # what up, right, down and left add to the number of a cell
FLOOR, DOOR, EXIT, WALL, OUTER = 0, 1, 2, 3, 4  # kinds of cell; OUTER: the outer wall, and what is outside
FIRE = 13  # instead of a level of smoke, where it burns
EXITS, NEAREST = 3, 3  # their number; and instead of the number of an exit: whichever is nearest
# Steps where there is no way. Ways are at most 106: a shortest way enters a room once, and takes w + h steps
# with the door; rooms are rectangles of w, h >= 3 cells, and need (w + 1) (h + 1) of 14 * 20. So numbers of
# steps, and 13 more, are less than 128 (see `nearness`).
FAR = 114

STATE = state_dtype(
    [
        ("people", np.int16, 17),  # cells of the agent and of the others, 0 for who is gone
        ("were", np.int16, 17),  # the same before the tick
        ("goal", np.int8, 17),  # exit for which each of them makes
        ("num_burning", np.int16),
        ("burning", np.int16, CELLS),  # the cells on fire, in the order in which they caught it, then zeros
        ("kind", np.int8, CELLS),
        ("smoke", np.int8, CELLS),  # level, 0 to 12, or FIRE
        ("taken", np.int8, CELLS),  # 1 where somebody stands
        ("plan", np.uint8, (EXITS + 1, CELLS)),  # steps to each exit and to the nearest, fire or not
    ],
    # Got out; harmed in this step, 0 or 1; from 100 to 0, overcome by smoke; others who got out.
    info=[("success", np.bool_), ("cost", np.int32), ("health", np.int32), ("out", np.int32)],
)


class FireEscapeParams(NamedTuple):
    """What all buildings have in common."""

    people: int
    spread: int  # chance in 1/1024
