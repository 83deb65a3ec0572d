"""Whether records could be states of a platformer: what its kernels trust, since they check nothing.

Kernels look up tiles where bodies are and one tick on. The tables' margins hold that, so long as bodies are
within the level and move by less than a tile a tick.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.world import check_ranges, refuse_if
from .state import (
    BIG_HEIGHT,
    GONE,
    MUSHROOM,
    NUM_KINDS,
    PIT_DEPTH,
    PLATFORM_HEIGHT,
    PLAYER_WIDTH,
    SHELL_SLIDING,
    SKY,
    SMALL_HEIGHT,
    SPRING_CLASS,
    THING_HEIGHT,
    THING_WIDTH,
    TILE,
    PlatformerParams,
    capacity_of,
)

_SPEED = (1 - TILE, TILE - 1)
_FAR = 1024 * TILE  # what looks up no tiles may be anywhere, if only sums with it don't overflow
_RANGES = {
    "tick": (0, 1 << 30),  # a search counts on from it
    "vx": _SPEED,
    "vy": _SPEED,
    "jump_class": (0, SPRING_CLASS),
}
_THING_RANGES = {
    "vx": _SPEED,
    "vy": _SPEED,
    "kind": (0, NUM_KINDS - 1),
    "x": (-_FAR, _FAR),
    "y": (-_FAR, _FAR),
}


def check_state(params: PlatformerParams, state: NDArray) -> None:
    """Checks records of a platformer.

    Args:
        params: its tables.
        state: (N,) records, N at least 1.

    Raises:
        ValueError: in one line, for records that are no states of these levels.
    """
    levels, capacity = len(params.levels), capacity_of(params)
    sizes = {
        "level": (0, levels - 1),
        "ask_level": (0, levels),
        "ride": (0, capacity.things),
        "bump_cell": (0, capacity.cells - 1),
        "num_awake": (0, capacity.things),
        "awake": (0, capacity.things - 1),
    }
    check_ranges(state, _RANGES | sizes)
    width = params.levels["width"][state["level"]] * TILE
    height = np.where(state["big"] & ~state["ducking"], BIG_HEIGHT, SMALL_HEIGHT)
    refuse_if(_outside(state, PLAYER_WIDTH, height, width), "x and y are outside the level")
    things = state["things"]
    check_ranges(things, _THING_RANGES)
    kind = things["kind"]
    walks = (kind > GONE) & (kind <= SHELL_SLIDING) | (kind == MUSHROOM)
    released = params.releases[state["level"]]
    rows, slots = np.nonzero(released)
    walks[rows, released[rows, slots] - 1] = True  # a block that is hit makes a mushroom of it
    outside = _outside(things, THING_WIDTH, THING_HEIGHT, width[:, None])
    refuse_if(walks & outside, "things has one outside the level")
    rides = np.flatnonzero(state["ride"])
    tops = things["y"][rides, state["ride"][rides] - 1] - PLATFORM_HEIGHT
    refuse_if(tops != state["y"][rides], "ride is a thing that the player does not stand on")


def _outside(bodies: NDArray, body_width: int, height: NDArray | int, width: NDArray) -> NDArray[np.bool_]:
    x, y = bodies["x"], bodies["y"]
    return (x < 0) | (x > width - body_width) | (y - height < (1 - SKY) * TILE) | (y > PIT_DEPTH + TILE)
