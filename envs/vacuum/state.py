"""The record of a robot vacuum, and the flats that the whole batch shares."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import state_dtype

SIDE = 16  # cells of a flat in each direction, outer walls included; a cell's number is SIDE * row + column
CELLS = SIDE * SIDE
STEPS = (-SIDE, 1, SIDE, -1)  # what facing up, right, down and left adds to the number of a cell
FORWARD, LEFT, RIGHT = 0, 1, 2  # actions, where they are turns
MOST_BATTERY = 250  # ticks on bare floor
WORDS = SIDE // 4  # of a board, which has a bit for each cell; a word holds four lines of 16
SENSED = 2  # cells away, in both directions, within which the pet is sensed

STATE = state_dtype(
    [
        ("flat", np.int32),
        ("ask_flat", np.int32),  # 1 + the flat wanted at the next reset, 0 for a random one
        ("cell", np.int16),  # where the robot is
        ("came", np.int16),  # the same before the tick
        ("pet", np.int16),  # where the pet is, 0 for none
        ("pet_came", np.int16),
        ("heading", np.int8),  # 0 to 3: up, right, down, left
        ("faced", np.int8),  # the same before the tick
        ("bumped", np.int8),  # 1 where something was in the way in the tick
        ("battery", np.int16),  # ticks on bare floor
        ("dirty", np.int16),  # cells that are still dirty
        # Boards: first with the lines that rows are, then with those that columns are.
        ("dirt", np.uint64, (2, WORDS)),
        ("known", np.uint64, (2, WORDS)),
    ],
    # All clean and back; ran into the pet in this step, 0 or 1; battery flat away from the dock; share of the
    # dirty cells that are clean now; cells cleaned, and times that something was in the way, in this step.
    info=[
        ("success", np.bool_),
        ("cost", np.int32),
        ("flat_battery", np.bool_),
        ("cleaned", np.float64),
        ("bumps", np.int32),
    ],
)

LAYOUT = np.dtype(
    [
        ("open", np.uint64, (2, WORDS)),  # boards, as in the record
        ("carpet", np.uint64, (2, WORDS)),
        ("dirt", np.uint64, (2, WORDS)),
        ("home", np.uint8, (4, CELLS)),  # battery that the way to the dock takes by heading; 255 for no way
        ("dock", np.int16),
        ("pet", np.int16),  # where it is at first, 0 for none
        ("battery", np.int16),
        ("dirty", np.int16),  # cells
    ],
    align=True,
)


class VacuumParams(NamedTuple):
    """The flats, and how the robot moves and remembers."""

    flats: NDArray[np.void]
    """(M,) records of `LAYOUT`."""
    turns: bool
    """Whether actions are turns."""
    remembered: bool
    lots: NDArray[np.int64]
    """(M,) running sums of the flats' weights, by which a reset draws one; see `core.lots`."""
