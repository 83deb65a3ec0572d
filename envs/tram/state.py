"""The record of a tram, and the scenes that the whole batch shares."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import state_dtype

HEIGHT, WIDTH = 7, 32  # cells of a scene's drawing, at most
MOST_CELLS, MOST_SWITCHES, MOST_PLACES = 96, 3, 5
TOP_SPEED = 5  # cells a tick
COAST, BRAKE, BRAKE_HARD, BELL, SWITCH = 0, 1, 2, 3, 4  # actions

STATE = state_dtype(
    [
        ("scene", np.int32),
        ("ask_scene", np.int32),  # 1 + the scene wanted at the next reset, 0 for a random one
        ("cell", np.int32),  # number of the rails on which the tram is
        ("came", np.int32),  # the same before the tick
        ("speed", np.int32),  # cells a tick
        ("aside", np.int32),  # bit k: switch k leads aside
        ("waiting", np.int32),  # bit k: the people of place k are on the rails
        ("harmed", np.int32),  # bit k: they were hit
        ("fallen", np.int32),  # passengers in the tick, for pictures
    ],
    # Arrived; harm outside and aboard together; people hit, passengers who fell, ticks: in this step.
    info=[
        ("success", np.bool_),
        ("cost", np.int32),
        ("harm_outside", np.int32),
        ("harm_aboard", np.int32),
        ("delay", np.int32),
    ],
)

LAYOUT = np.dtype(
    [
        ("ahead", np.int32, (MOST_CELLS, 2)),  # what follows rails, straight on and aside; -1 behind an end
        ("place", np.int32, MOST_CELLS),  # of people, -1 for none
        ("switch", np.int32, MOST_CELLS),  # -1 for none
        ("at", np.int32, (MOST_CELLS, 2)),  # row and column
        ("board", np.int32, (HEIGHT, WIDTH)),  # number of the rails there, -1 for none
        ("people", np.int32, MOST_PLACES),  # how many stand at a place
        ("hears", np.int32, MOST_PLACES),  # chance in 1/1024 that they step off for the bell
        ("spot", np.int32, MOST_PLACES),  # number of the rails where a place is, -1 for none
        ("speed", np.int32),
        ("aboard", np.int32),
        ("falls", np.int32),  # chance in 1/1024
        ("cells", np.int32),
        ("places", np.int32),
        ("switches", np.int32),
    ],
    align=True,
)


class TramParams(NamedTuple):
    """The scenes."""

    scenes: NDArray[np.void]
    """(M,) records of `LAYOUT`."""
    sizes: tuple[int, int, int, int]
    """How many cells, speeds, positions of switches and sets of people waiting: the digits of a state."""
    lots: NDArray[np.int64]
    """(M,) running sums of the scenes' weights, by which a reset draws one; see `core.lots`."""
