"""What a tile is now, and what happens to those that can change.

`e` is one state record; `tiles`, `slots` and `releases` are its level's rows of the tables in `state.py`.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from ..core.compiling import kernel, rare_kernel
from .state import (
    BRICK,
    BUMP_TICKS,
    COIN,
    EMPTY,
    FIRST_CHANGING,
    FIRST_SOLID,
    LARGE,
    LAST_CHANGING,
    LEDGE,
    MARGIN,
    MUSHROOM,
    PLAYER_WIDTH,
    POINTS_BRICK,
    POINTS_COIN,
    SKY,
    TILE_SHIFT,
    USED,
    USUAL,
)

_STRIDES = {capacity.things: capacity.stride for capacity in (USUAL, LARGE)}

# Indices are unsigned, which spares the check for negative ones; uint64 must not meet a signed number.
_ONE = np.uint64(1)
_WORD_SHIFT = np.uint64(6)
_BIT_MASK = np.uint64(63)


def stride(e):
    """Cells from one row of the tables to the next."""
    return _STRIDES[len(e.things)]


@overload(stride, inline="always")
def _compiled_stride(e):
    (things,) = e.typeof("things").shape
    value = _STRIDES[things]  # the record's type tells it: a constant
    return lambda e: value


@kernel
def cell_at(e, column, row):
    """The cell of a column and a row; see `Capacity.cell`."""
    return (SKY + row) * stride(e) + MARGIN + column


@kernel
def code_at(e, tiles, slots, cell):
    """The code of a tile as it is now."""
    code = int(tiles[np.uint64(cell)])
    if FIRST_CHANGING <= code <= LAST_CHANGING and code != LEDGE:
        slot = np.uint64(slots[np.uint64(cell)])
        if e.changed[slot >> _WORD_SHIFT] >> (slot & _BIT_MASK) & _ONE:
            code = after_change(code)
    return code


@kernel
def after_change(code):
    """What a tile that can change becomes."""
    return EMPTY if COIN <= code <= BRICK else USED


@kernel
def mark_changed(e, slots, cell):
    """Notes that a tile has changed."""
    slot = np.uint64(slots[np.uint64(cell)])
    e.changed[slot >> _WORD_SHIFT] |= _ONE << (slot & _BIT_MASK)


@rare_kernel
def take_coins(e, tiles, slots, x, y, height):
    """Takes the coins that the player touches."""
    for row in range((y - height) >> TILE_SHIFT, ((y - 1) >> TILE_SHIFT) + 1):
        for column in range(x >> TILE_SHIFT, ((x + PLAYER_WIDTH - 1) >> TILE_SHIFT) + 1):
            cell = cell_at(e, column, row)
            if code_at(e, tiles, slots, cell) == COIN:
                mark_changed(e, slots, cell)
                e.coins += 1
                e.score += POINTS_COIN


@rare_kernel
def fits(e, tiles, slots, x, y, height):
    """Whether the player's box is free of solid tiles."""
    for row in range((y - height) >> TILE_SHIFT, ((y - 1) >> TILE_SHIFT) + 1):
        for column in range(x >> TILE_SHIFT, ((x + PLAYER_WIDTH - 1) >> TILE_SHIFT) + 1):
            if code_at(e, tiles, slots, cell_at(e, column, row)) >= FIRST_SOLID:
                return False
    return True


@rare_kernel
def bump(e, slots, releases, cell, code):
    """Hits a tile from below: breaks a brick if the player is big, takes out what is in it."""
    e.bump_cell = cell
    e.bump_timer = BUMP_TICKS
    if code == BRICK:
        if e.big:
            mark_changed(e, slots, cell)
            e.score += POINTS_BRICK
        return
    mark_changed(e, slots, cell)
    thing = int(releases[np.uint64(slots[np.uint64(cell)])]) - 1
    if thing >= 0:
        e.things[thing].kind = MUSHROOM
    else:
        e.coins += 1
        e.score += POINTS_COIN
