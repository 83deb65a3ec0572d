"""What the platformer shows: the grid around the player, and the situation number.

Both read the state between two ticks. `e` is one state record, `p` a `PlatformerParams`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.compiling import copy_bytes, kernel
from .state import (
    BRICK,
    CLASS_1_SPEED,
    CLASS_2_SPEED,
    COIN,
    COIN_BLOCK,
    EMPTY,
    FIRST_FLOOR,
    FIRST_SOLID,
    FLAG,
    GONE,
    HEIGHT,
    IN_BLOCK,
    LEDGE,
    LOOKS_LIKE,
    MARGIN,
    MUSHROOM,
    MUSHROOM_BLOCK,
    MUSHROOM_RISE,
    NUM_KINDS,
    NUM_TILES,
    PLANT,
    PLATFORM_ACROSS,
    PLATFORM_TILES,
    PLATFORM_UP,
    SHELL_SLIDING,
    SHELLED,
    SKY,
    SPIKE,
    SPRING,
    TABLE_ROWS,
    THING_WIDTH,
    TILE,
    TILE_SHIFT,
)
from .tiles import after_change, cell_at, code_at, stride

# ---------------------------------------------------------------- grid

VIEW = 13  # side of the square that `grid` shows, in tiles
BEHIND = 4  # columns of it to the left of the player's
ABOVE = 6  # rows of it above that of the player's feet
AREA = VIEW * VIEW

# Planes of `grid`; two of tiles, six of things (each in the tile of its left bottom corner), constant ones.
PLANE_NAMES = (
    "solid",  # 255 solid, 192 brick, 128 block with a coin, 64 block with a mushroom, 0 none
    "special",  # 255 spike, or below the level; 192 flag, 128 spring, 64 coin, 32 jump-through floor
    "creature",  # 36 times the kind, WALKER to PLANT; 8 more if it is winged, 16 if it is spiny
    "help",  # 255 platform that goes across, 192 one that goes up, 64 mushroom
    "thing x",  # within its tile, in 1/256
    "thing y",  # within its tile, in 1/256
    "thing across",  # 128 + speed / 8; phase, 0 to 255, of what follows a clock
    "thing down",  # 128 + speed / 16
    "x",  # of the player within its tile, in 1/256
    "y",
    "speed across",  # 128 + speed * 3 / 16
    "speed down",  # 128 + speed * 5 / 64
    "footing",  # 255 on a platform, 128 on the ground, 0 in the air
    "size",  # 255 big, 128 big and ducking, 0 small
    "jump held",  # 8 for each tick that the button has been held; 0: it is released
    "jump class",  # 80 times the class
    "invulnerable",  # 2 for each tick that is left
)
NUM_PLANES = len(PLANE_NAMES)
TILE_PLANES = 2
FIRST_SCALAR = 8

VIEW_SKY = SKY + ABOVE  # rows of a view above row 0
VIEW_ROWS = VIEW_SKY + HEIGHT + 2 + VIEW

_CREATURE_LOOKS = np.array([36 * kind if kind <= PLANT else 0 for kind in range(NUM_KINDS)], np.uint8)
_HELP_LOOKS = np.zeros(NUM_KINDS, np.uint8)
_HELP_LOOKS[[PLATFORM_ACROSS, PLATFORM_UP, MUSHROOM]] = 255, 192, 64
_AREA = np.uint64(AREA)  # unsigned loops and indices need no check for negative ones


def make_views(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draws the grid's tile planes of whole levels as they are at the start.

    Args:
        tiles: (M, cells) codes.

    Returns:
        (M, TILE_PLANES * VIEW_ROWS * stride) planes of VIEW_ROWS rows of tiles, with margins like the tables.
    """
    looks = np.zeros((TILE_PLANES, NUM_TILES), np.uint8)
    looks[0, FIRST_SOLID:] = 255
    looks[0, [BRICK, COIN_BLOCK, MUSHROOM_BLOCK]] = 192, 128, 64
    looks[1, [SPIKE, FLAG, SPRING, COIN, LEDGE]] = 255, 192, 128, 64, 32
    looks[:, list(LOOKS_LIKE)] = looks[:, list(LOOKS_LIKE.values())]
    inside = tiles.reshape(len(tiles), TABLE_ROWS, -1)
    rows = np.clip(np.arange(VIEW_ROWS) - ABOVE, 0, TABLE_ROWS - 1)
    views = looks[:, inside[:, rows]].swapaxes(0, 1)
    below = VIEW_SKY + HEIGHT
    views[:, 1, below:][views[:, 0, below:] == 0] = 255
    return np.ascontiguousarray(views.reshape(len(tiles), -1))


@kernel
def fill(flat, plane, value):
    """Sets a whole plane."""
    start = np.uint64(plane * AREA)
    for k in range(_AREA):
        flat[start + k] = np.uint8(value)


@kernel
def write_tiles(p, e, flat, left, top):
    """Copies the planes of tiles from the level's view, then corrects the tiles that have changed."""
    source = p.views[np.uint64(e.level)]
    for plane in range(TILE_PLANES):
        for row in range(VIEW):
            start = (plane * VIEW_ROWS + VIEW_SKY + top + row) * stride(e) + MARGIN + left
            copy_bytes(source, start, flat, plane * AREA + row * VIEW, VIEW)
    for word in range(len(e.changed)):
        bits = e.changed[word]
        slot = word * 64
        while bits != np.uint64(0):
            if bits & np.uint64(1):
                write_changed(p, e, flat, left, top, slot)
            bits >>= np.uint64(1)
            slot += 1


@kernel
def write_changed(p, e, flat, left, top, slot):
    """Writes a tile that has changed: a used block is solid, bricks and coins are gone."""
    cell = int(p.slot_cells[np.uint64(e.level), np.uint64(slot)])
    column = cell % stride(e) - MARGIN - left
    row = cell // stride(e) - SKY - top
    if 0 <= column < VIEW and 0 <= row < VIEW:
        code = p.tiles[np.uint64(e.level), np.uint64(cell)]
        at = np.uint64(row * VIEW + column)
        flat[at] = np.uint8(0 if after_change(code) == EMPTY else 255)
        flat[at + _AREA] = np.uint8(0)


@kernel
def write_things(e, flat, left, top):
    """Writes the things that are awake."""
    for plane in range(TILE_PLANES, FIRST_SCALAR):
        fill(flat, plane, 0)
    for k in range(e.num_awake):
        t = e.things[np.uint64(e.awake[np.uint64(k)])]
        column = (t.x >> TILE_SHIFT) - left
        row = ((t.y - 1) >> TILE_SHIFT) - top
        if GONE < t.kind < IN_BLOCK and 0 <= row < VIEW and -PLATFORM_TILES < column < VIEW:
            width = PLATFORM_TILES if t.kind > MUSHROOM else 1
            for c in range(max(column, 0), min(column + width, VIEW)):
                write_thing(t, flat, row * VIEW + c)


@kernel
def write_thing(t, flat, tile):
    """Writes one tile of a thing."""
    kind = int(t.kind)
    follows_clock = kind > SHELL_SLIDING and (kind != MUSHROOM or t.timer < MUSHROOM_RISE)
    at = np.uint64(TILE_PLANES * AREA + tile)
    traits = int(t.timer) if kind <= SHELLED else 0
    flat[at] = np.uint8(_CREATURE_LOOKS[np.uint64(kind)] + 8 * traits)
    flat[at + _AREA] = _HELP_LOOKS[np.uint64(kind)]
    flat[at + np.uint64(2 * AREA)] = np.uint8((t.x & TILE - 1) >> 4)
    flat[at + np.uint64(3 * AREA)] = np.uint8((t.y - 1 & TILE - 1) >> 4)
    flat[at + np.uint64(4 * AREA)] = np.uint8(int(t.timer) if follows_clock else 128 + (t.vx >> 3))
    flat[at + np.uint64(5 * AREA)] = np.uint8(128 + (t.vy >> 4))


@kernel
def observe_grid(p, s, i, obs):
    """Writes the grid, the player in column BEHIND and row ABOVE."""
    e = s[i]
    flat = obs[i].reshape(NUM_PLANES * AREA)
    left = (e.x >> TILE_SHIFT) - BEHIND
    top = ((e.y - 1) >> TILE_SHIFT) - ABOVE
    write_tiles(p, e, flat, left, top)
    write_things(e, flat, left, top)
    fill(flat, FIRST_SCALAR, (e.x & TILE - 1) >> 4)
    fill(flat, FIRST_SCALAR + 1, (e.y - 1 & TILE - 1) >> 4)
    fill(flat, FIRST_SCALAR + 2, 128 + (e.vx * 3 >> 4))
    fill(flat, FIRST_SCALAR + 3, 128 + (e.vy * 5 >> 6))
    fill(flat, FIRST_SCALAR + 4, 255 if e.ride > 0 else 128 if e.grounded else 0)
    fill(flat, FIRST_SCALAR + 5, 0 if not e.big else 128 if e.ducking else 255)
    fill(flat, FIRST_SCALAR + 6, min(8 * int(e.jump_held), 255))
    fill(flat, FIRST_SCALAR + 7, 80 * int(e.jump_class))
    fill(flat, FIRST_SCALAR + 8, 2 * int(e.invulnerable))


# ---------------------------------------------------------------- index

AHEAD = 5  # tiles that the situation looks ahead
NUM_SITUATIONS = 3 * 2 * 3 * 5 * 4 * 6


@kernel
def wall_ahead(e, tiles, slots, column, row):
    """The nearest wall: 0 none, 1 or 2 within 2 tiles, 3 or 4 further off; even: higher than 2 tiles."""
    for k in range(1, AHEAD):
        if code_at(e, tiles, slots, cell_at(e, column + k, row)) >= FIRST_SOLID:
            low = code_at(e, tiles, slots, cell_at(e, column + k, max(row - 2, -SKY))) < FIRST_SOLID
            return (1 if k <= 2 else 3) + (0 if low else 1)
    return 0


@kernel
def gap_ahead(e, tiles, slots, column, row):
    """The nearest column without ground: 0 none, 1 here or next, 2 within 3 tiles, 3 further off."""
    for k in range(0, AHEAD + 1):
        ground = False
        for r in range(row + 1, HEIGHT):
            if code_at(e, tiles, slots, cell_at(e, column + k, r)) >= FIRST_FLOOR:
                ground = True
                break
        if not ground:
            return 1 if k <= 1 else 2 if k <= 3 else 3
    return 0


@kernel
def danger_ahead(e, tiles, slots, column, row):
    """The nearest creature or spike, no more than 2 tiles above the player nor 4 below it.

    Returns:
        1 to 5, the tiles from the player's left edge within which its far edge is; 0 for none.
    """
    nearest = AHEAD * TILE
    for k in range(e.num_awake):
        t = e.things[np.uint64(e.awake[np.uint64(k)])]
        away = t.x - e.x
        below = t.y - e.y
        if GONE < t.kind <= PLANT and -THING_WIDTH < away < nearest and -2 * TILE < below <= 4 * TILE:
            nearest = away
    for k in range(0, AHEAD):
        for r in range(row, row + 5):
            if code_at(e, tiles, slots, cell_at(e, column + k, r)) == SPIKE:
                nearest = min(nearest, k * TILE)
    return ((nearest + THING_WIDTH) // TILE + 1) % (AHEAD + 1)


SITUATION_WORDS = (
    ("on the ground", "rising", "falling"),
    ("jump released", "jump held"),
    ("slow", "walking", "running"),
    (
        "no wall ahead",
        "low wall within 2 tiles",
        "high wall within 2 tiles",
        "low wall in 3 or 4 tiles",
        "high wall in 3 or 4 tiles",
    ),
    ("no gap ahead", "gap at once", "gap within 3 tiles", "gap in 4 or 5 tiles"),
    ("no danger", "danger here", *(f"danger within {k} tiles" for k in range(2, AHEAD + 1))),
)


def describe_situation(number: int) -> list[str]:
    """The situation's number in words, one for each of its digits."""
    sizes = [len(words) for words in SITUATION_WORDS]
    digits = np.unravel_index(int(number), sizes)
    return [words[digit] for words, digit in zip(SITUATION_WORDS, digits, strict=True)]


@kernel
def observe_situation(p, s, i, obs):
    """Writes the situation's number, mixed radix: footing, jump button, speed, wall, gap, danger."""
    e = s[i]
    tiles = p.tiles[np.uint64(e.level)]
    slots = p.slots[np.uint64(e.level)]
    column = (e.x + TILE // 2) >> TILE_SHIFT
    row = (e.y - 1) >> TILE_SHIFT
    speed = abs(e.vx)
    number = 0 if e.grounded else 1 if e.vy < 0 else 2
    number = number * 2 + int(e.jump_held > 0)
    number = number * 3 + int(speed >= CLASS_1_SPEED) + int(speed >= CLASS_2_SPEED)
    number = number * 5 + wall_ahead(e, tiles, slots, column, row)
    number = number * 4 + gap_ahead(e, tiles, slots, column, row)
    obs[i] = number * 6 + danger_ahead(e, tiles, slots, column, row)
