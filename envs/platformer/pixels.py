"""The observation `pixels`: the level around the player, four pixels to a tile, below four gauges.

The still level is drawn once, when the world is made, and copied row by row; what has changed or moves is
drawn over it. Sprites are the renderer's, averaged over 4 x 4 pixels. `e` is one state record, `p` a
`PlatformerParams`, `flat` one picture as bytes.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ..core.compiling import copy_bytes, kernel
from .state import (
    BRICK,
    COIN,
    COIN_BLOCK,
    EAST_MOUTH_LOWER,
    EAST_MOUTH_UPPER,
    EDGE_WALKER,
    EMPTY,
    FLAG,
    FLYER,
    GONE,
    GROUND,
    HANGING_MOUTH_LEFT,
    HANGING_MOUTH_RIGHT,
    HEIGHT,
    HIDDEN_COIN,
    HIDDEN_MUSHROOM,
    INVULNERABLE_TICKS,
    JUMP_SPEED,
    LEDGE,
    LOOKS_LIKE,
    LYING_LOWER,
    LYING_UPPER,
    MARGIN,
    MUSHROOM,
    MUSHROOM_BLOCK,
    NUM_TILES,
    NUM_TRAITS,
    PIPE_LEFT,
    PIPE_MOUTH_LEFT,
    PIPE_MOUTH_RIGHT,
    PIPE_RIGHT,
    PLANT,
    PLATFORM_ACROSS,
    PLATFORM_UP,
    PLAYER_WIDTH,
    RUN_SPEED,
    SHELL,
    SHELL_SLIDING,
    SHELLED,
    SKY,
    SPIKE,
    SPINY,
    SPRING,
    TABLE_ROWS,
    THING_WIDTH,
    TILE,
    USED,
    WALKER,
    WEST_MOUTH_LOWER,
    WEST_MOUTH_UPPER,
    WINGED,
    LevelTables,
)
from .tiles import after_change, stride

SIDE = 64
"""Height and width of the picture."""
CELL = 4
"""Pixels of a tile's side."""
TOP = SIDE - HEIGHT * CELL
"""Rows above the level, one for each gauge: speed across, speed up or down, jump held, invulnerable."""
PLAYER_COLUMN = 20
"""Where the player always is, from the left."""
AROUND = 12
"""Columns of tiles beside a level that are drawn, too."""
SHIFT = 10
"""Units to pixels."""
OVERHANG = (TILE - PLAYER_WIDTH) // 2
"""By how much the player's sprite is wider than the player, on each side."""
THING_OVERHANG = (TILE - THING_WIDTH) // 2

AIR, INK = (154, 208, 238), (38, 30, 54)
GAUGES = ((70, 180, 255), (255, 196, 64), (120, 220, 120), (255, 120, 200))
NOT_FILLED = (40, 44, 60)
GAUGE_SPEED = RUN_SPEED // (SIDE // 2)
"""Speed across for each pixel of its gauge."""
GAUGE_RISE = JUMP_SPEED[-1] // (SIDE // 2)
"""Speed up or down for each pixel of its gauge."""

# Sprites are bottom-aligned in boxes of ROWS x COLUMNS; most look to the right, and the next one to the left.
ROWS, COLUMNS = 8, 12
SPRITE_BYTES = ROWS * COLUMNS * 4
PLANT_HEIGHT = 6
AIR_SPRITE, USED_SPRITE = 0, 1
SMALL_SPRITE, BIG_SPRITE, DUCK_SPRITE = 2, 4, 6
FIRST_THING_SPRITE = 8
PLAYER_NAMES = ("player_small_stand", "player_big_stand", "player_big_duck")
THING_NAMES = {
    WALKER: "walker_0", EDGE_WALKER: "edger_0", SHELLED: "shelled_0", SHELL: "shell_0",
    SHELL_SLIDING: "shell_1", FLYER: "flyer_0", PLANT: "plant_0", MUSHROOM: "mushroom",
    PLATFORM_ACROSS: "platform", PLATFORM_UP: "platform",
}  # fmt: skip
TRAITED_NAMES = {
    (WALKER, WINGED): "walker_winged_0", (SHELLED, WINGED): "shelled_winged_0",
    (WALKER, SPINY): "spiny_0", (WALKER, SPINY | WINGED): "spiny_winged_0",
}  # fmt: skip
TILE_NAMES = {
    COIN: "coin_0", BRICK: "brick", COIN_BLOCK: "question_0", MUSHROOM_BLOCK: "question_0", USED: "used",
    GROUND: "ground", PIPE_MOUTH_LEFT: "pipe_mouth_left", PIPE_MOUTH_RIGHT: "pipe_mouth_right",
    PIPE_LEFT: "pipe_left", PIPE_RIGHT: "pipe_right", SPIKE: "spike", SPRING: "spring_0", FLAG: "flag_pole",
    LEDGE: "ledge", HANGING_MOUTH_LEFT: "hanging_mouth_left", HANGING_MOUTH_RIGHT: "hanging_mouth_right",
    LYING_UPPER: "lying_upper", LYING_LOWER: "lying_lower", WEST_MOUTH_UPPER: "west_mouth_upper",
    WEST_MOUTH_LOWER: "west_mouth_lower", EAST_MOUTH_UPPER: "east_mouth_upper",
    EAST_MOUTH_LOWER: "east_mouth_lower",
}  # fmt: skip
TOP_OF_GROUND, WATER, FLAG_FOOT, FLAG_TOP = range(NUM_TILES, NUM_TILES + 4)
MORE_NAMES = {
    TOP_OF_GROUND: "ground_top", WATER: "water_0", FLAG_FOOT: "flag_foot", FLAG_TOP: "flag_top",
}  # fmt: skip

_TRAITED_SPRITES = np.zeros((SHELLED + 1, NUM_TRAITS), np.int64)
"""By kind and traits, which of the things' sprites it is, before those that look the other way."""
_TRAITED_SPRITES[:] = np.arange(SHELLED + 1)[:, None]
for _number, _key in enumerate(TRAITED_NAMES, PLATFORM_UP + 1):
    _TRAITED_SPRITES[_key] = _number

_ONE = np.uint64(1)
_GAUGE_BYTES = np.array(
    [[NOT_FILLED] * SIDE + [color] * SIDE + [NOT_FILLED] * SIDE for color in GAUGES], np.uint8
)
_GAUGE_BYTES = _GAUGE_BYTES.reshape(TOP, SIDE * 9)


# ---------------------------------------------------------------- tables


def pixel_tables(tables: LevelTables) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws the still levels and the sprites, in integers.

    Args:
        tables: of M levels.

    Returns:
        (M, 1, 60, 3 * width) rows of red, green and blue, the level's column 0 at pixel `AROUND * CELL`; and
        (K, ROWS, COLUMNS, 4) sprites, whose last channel is 255 where they are solid and 0 elsewhere.
    """
    return _still_levels(tables), _sprites()


def _still_levels(tables: LevelTables) -> NDArray[np.uint8]:
    images = np.full((NUM_TILES + len(MORE_NAMES), CELL, CELL, 3), AIR, np.uint8)
    for code, name in (TILE_NAMES | MORE_NAMES).items():
        images[code] = _on_air(_reduced(name))
    images[list(LOOKS_LIKE)] = images[list(LOOKS_LIKE.values())]
    rows = slice(SKY, SKY + HEIGHT)
    tiles = tables.tiles.reshape(len(tables.tiles), TABLE_ROWS, -1)
    tiles = np.pad(tiles, ((0, 0), (0, 0), (AROUND - MARGIN, AROUND)), mode="edge")
    tiles = tiles[:, :, : int(tables.levels["width"].max()) + 2 * AROUND]
    above, codes, below = (tiles[:, rows.start + k : rows.stop + k] for k in (-1, 0, 1))
    looks = codes.copy()
    looks[(codes == GROUND) & (above != GROUND)] = TOP_OF_GROUND
    looks[(codes == FLAG) & (below != FLAG)] = FLAG_FOOT
    looks[(codes == FLAG) & (above != FLAG)] = FLAG_TOP
    looks[:, -1][np.isin(codes[:, -1], (EMPTY, HIDDEN_COIN, HIDDEN_MUSHROOM))] = WATER
    count, _, width = looks.shape
    return images[looks].swapaxes(2, 3).reshape(count, 1, HEIGHT * CELL, width * CELL * 3)


def _sprites() -> NDArray[np.uint8]:
    pictures: list[NDArray] = [np.array([[[*AIR, 255]] * CELL] * CELL), _reduced("used")]
    for name in PLAYER_NAMES:
        pictures += _both_ways(_reduced(name, INK))
    for name in (*map(THING_NAMES.get, range(PLATFORM_UP + 1)), *TRAITED_NAMES.values()):
        pictures += _both_ways(_reduced(name, INK)) if name else [np.zeros((0, 0, 4))] * 2
    boxes = np.zeros((len(pictures), ROWS, COLUMNS, 4), np.uint8)
    for box, picture in zip(boxes, pictures, strict=True):
        height, width = picture.shape[:2]
        box[ROWS - height :, :width, :3] = picture[..., :3]
        box[ROWS - height :, :width, 3] = np.where(picture[..., 3] < 128, 0, 255)
    return boxes


def _reduced(name: str, outline: tuple[int, int, int] | None = None) -> NDArray[np.int64]:
    """A sprite with 4 x 4 pixels averaged.

    Args:
        name: of its file.
        outline: color that counts only where there is no other, so that small sprites are not dull.

    Returns:
        (height, width, 4), the colors those of what is solid.
    """
    from imageio.v3 import imread

    path = files(__name__.split(".")[0]) / "assets" / "sprites" / "platformer" / f"{name}.png"
    picture = imread(path.read_bytes(), extension=".png").astype(np.int64)
    height, width = picture.shape[0] // CELL, picture.shape[1] // CELL
    blocks = picture.reshape(height, CELL, width, CELL, 4).swapaxes(1, 2).reshape(height, width, -1, 4)
    solid = blocks[..., 3]
    weight = np.where((blocks[..., :3] == outline).all(axis=3), 1, 256) * solid if outline else solid
    color = (blocks[..., :3] * weight[..., None]).sum(axis=2) // np.maximum(weight.sum(axis=2), 1)[..., None]
    return np.concatenate([color, solid.sum(axis=2)[..., None] // CELL**2], axis=2)


def _on_air(picture: NDArray[np.int64]) -> NDArray[np.int64]:
    solid = picture[..., 3:]
    return (picture[..., :3] * solid + np.array(AIR) * (255 - solid)) // 255


def _both_ways(picture: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """A sprite that looks to the right and to the left; its front is brighter, so that one can tell."""
    half = picture.shape[1] // 2
    picture[:, :half, :3] = picture[:, :half, :3] * 3 // 4
    picture[:, half:, :3] += (255 - picture[:, half:, :3]) // 6
    return [picture, picture[:, ::-1]]


# ---------------------------------------------------------------- kernels


@kernel
def blit(flat, sprite, x, bottom, height, width, floor):
    """Draws a sprite.

    Args:
        flat: one picture's bytes.
        sprite: (ROWS * COLUMNS * 4,) bytes of the sprite.
        x: its left edge; what is outside of the picture is left out.
        bottom: the row below its last one.
        height: its rows.
        width: its columns.
        floor: rows from here on hide it.
    """
    for k in range(height):
        row = bottom - height + k
        if row < TOP or row >= floor:
            continue
        source = (ROWS - height + k) * COLUMNS * 4
        for column in range(max(0, -x), min(width, SIDE - x)):
            at = np.uint64(source + column * 4)
            if sprite[at + np.uint64(3)] != 0:
                to = np.uint64((row * SIDE + x + column) * 3)
                flat[to] = sprite[at]
                flat[to + np.uint64(1)] = sprite[at + np.uint64(1)]
                flat[to + np.uint64(2)] = sprite[at + np.uint64(2)]


@kernel
def draw_gauge(flat, row, length):
    """Fills a gauge from the left."""
    filled = min(max(length, 0), SIDE)
    copy_bytes(_GAUGE_BYTES[row], (2 * SIDE - filled) * 3, flat, row * SIDE * 3, SIDE * 3)


@kernel
def draw_balance(flat, row, length):
    """Fills a gauge from its middle to the right, or to the left where the length is negative."""
    half = SIDE // 2
    left = min(max(-length, 0), half)
    right = min(max(length, 0), half)
    copy_bytes(_GAUGE_BYTES[row], (half + left) * 3, flat, row * SIDE * 3, half * 3)
    copy_bytes(_GAUGE_BYTES[row], (2 * SIDE - right) * 3, flat, (row * SIDE + half) * 3, half * 3)


@kernel
def draw_gauges(e, flat):
    """Draws what would not be seen: speeds, how long the jump has been held, the grace after a hit."""
    draw_balance(flat, 0, e.vx // GAUGE_SPEED)
    draw_balance(flat, 1, e.vy // GAUGE_RISE)
    draw_gauge(flat, 2, e.jump_held)
    draw_gauge(flat, 3, e.invulnerable * SIDE // INVULNERABLE_TICKS)


@kernel
def draw_changed(p, e, flat, left):
    """Draws the tiles that have changed over the still level."""
    level = np.uint64(e.level)
    cells = p.slot_cells[level]
    tiles = p.tiles[level]
    for word in range(len(e.changed)):
        bits = e.changed[word]
        slot = word * 64
        while bits != 0:
            if bits & _ONE:
                cell = int(cells[np.uint64(slot)])
                x = (cell % stride(e) - MARGIN) * CELL - left
                if -CELL < x < SIDE:
                    gone = after_change(tiles[np.uint64(cell)]) == EMPTY
                    sprite = p.sprites[np.uint64(AIR_SPRITE if gone else USED_SPRITE)]
                    bottom = TOP + (cell // stride(e) - SKY + 1) * CELL
                    blit(flat, sprite.reshape(SPRITE_BYTES), x, bottom, CELL, CELL, SIDE)
            bits >>= _ONE
            slot += 1


@kernel
def draw_things(p, e, flat, left):
    """Draws what moves; what is asleep is out of sight."""
    for k in range(e.num_awake):
        slot = np.uint64(e.awake[np.uint64(k)])
        t = e.things[slot]
        kind = int(t.kind)
        if kind == GONE or kind > PLATFORM_UP:
            continue
        height = CELL
        width = CELL
        bottom = TOP + (t.y >> SHIFT)
        floor = SIDE
        x = t.x - THING_OVERHANG
        if kind == PLANT:
            height = PLANT_HEIGHT
            bottom += PLANT_HEIGHT - CELL
            floor = TOP + ((p.things[np.uint64(e.level), slot].y - TILE) >> SHIFT)
        elif kind >= PLATFORM_ACROSS:
            height = 2
            width = COLUMNS
            x = int(t.x)
        look = kind
        if kind <= SHELLED and t.timer < NUM_TRAITS:
            look = _TRAITED_SPRITES[np.uint64(kind), np.uint64(t.timer)]
        sprite = p.sprites[np.uint64(FIRST_THING_SPRITE + 2 * look + (t.vx < 0))]
        blit(flat, sprite.reshape(SPRITE_BYTES), (x >> SHIFT) - left, bottom, height, width, floor)


@kernel
def draw_player(p, e, flat):
    """Draws the player, whose feet are seen even where it has jumped out of the picture."""
    number = SMALL_SPRITE
    if e.big:
        number = DUCK_SPRITE if e.ducking else BIG_SPRITE
    sprite = p.sprites[np.uint64(number + e.facing_left)]
    bottom = max(TOP + (e.y >> SHIFT), TOP + 2)
    blit(flat, sprite.reshape(SPRITE_BYTES), PLAYER_COLUMN, bottom, ROWS, CELL, SIDE)


@kernel
def observe_pixels(p, s, i, obs):
    """Draws the picture."""
    e = s[i]
    flat = obs[i].reshape(SIDE * SIDE * 3)
    left = ((e.x - OVERHANG) >> SHIFT) - PLAYER_COLUMN
    still = p.views[np.uint64(e.level), np.uint64(0)]
    first = (AROUND * CELL + left) * 3
    for row in range(HEIGHT * CELL):
        copy_bytes(still[np.uint64(row)], first, flat, (TOP + row) * SIDE * 3, SIDE * 3)
    draw_gauges(e, flat)
    draw_changed(p, e, flat, left)
    draw_things(p, e, flat, left)
    draw_player(p, e, flat)
