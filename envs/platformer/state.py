"""The platformer's state record, its shared tables, and every constant of its physics.

Positions are in units of 1/256 pixel, speeds in units a tick, accelerations in units a tick and tick; there
are 60 ticks a second and 16 pixels to a tile. x grows to the right, y downwards. A body's place is its left
edge `x` and its bottom edge `y` (the feet): the box [x, x + width) by [y - height, y).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.world import state_dtype

# ---------------------------------------------------------------- measures

PIXEL = 256  # units
TILE_SHIFT = 12
TILE = 1 << TILE_SHIFT  # units: 16 pixels
TICKS_PER_SECOND = 60

HEIGHT = 15  # tiles, of every level
MIN_WIDTH = 32  # tiles

# Tables of tiles hold a margin around each level, so that no look-up needs to ask where the level ends.
SKY = 8  # rows above row 0
MARGIN = 8  # columns to the left of column 0, and at least as many behind the last one
TABLE_ROWS = 32


class Capacity(NamedTuple):
    """What a level may hold at most; a world's record and tables have that of its levels."""

    width: int
    """Tiles."""
    things: int
    """Creatures, platforms and mushrooms, those still in blocks included."""
    slots: int
    """Tiles that can change: bricks, blocks, coins."""

    @property
    def stride(self) -> int:
        """Cells from one row of the tables to the next."""
        return self.width + 2 * MARGIN

    @property
    def cells(self) -> int:
        """Cells of a level's tables."""
        return TABLE_ROWS * self.stride

    def cell(self, column: int, row: int) -> int:
        """The index of a tile in the tables of cells; margins have negative columns and rows."""
        return (SKY + row) * self.stride + MARGIN + column


USUAL = Capacity(256, 32, 256)
LARGE = Capacity(512, 64, 1024)
"""Of worlds with a level beyond `USUAL`; nothing may be larger."""


# ---------------------------------------------------------------- tiles

# Codes below BRICK let bodies through, all others are solid; those from LEDGE on bear. HIDDEN_COIN to
# MUSHROOM_BLOCK can change, once, but for LEDGE: a taken coin and a broken BRICK to EMPTY, the others, when
# hit from below, to USED.
EMPTY = 0
FLAG = 1  # the pole: foot and the cells above it
HIDDEN_COIN = 2  # not to be seen, stops who comes from below, gives a coin
HIDDEN_MUSHROOM = 3
COIN = 4
LEDGE = 5  # bears who comes from above
BRICK = 6  # breaks when hit by a big player
COIN_BRICK = 7  # looks like BRICK, gives a coin
MUSHROOM_BRICK = 8
COIN_BLOCK = 9  # gives a coin
MUSHROOM_BLOCK = 10  # releases a mushroom
USED = 11
GROUND = 12
PIPE_MOUTH_LEFT = 13
PIPE_MOUTH_RIGHT = 14
PIPE_LEFT = 15
PIPE_RIGHT = 16
SPIKE = 17  # solid, harms on touch
SPRING = 18  # solid, throws up who lands on it
# Pipes that hang, and that lie with their mouth to the left or to the right.
HANGING_MOUTH_LEFT = 19
HANGING_MOUTH_RIGHT = 20
LYING_UPPER = 21
LYING_LOWER = 22
WEST_MOUTH_UPPER = 23
WEST_MOUTH_LOWER = 24
EAST_MOUTH_UPPER = 25
EAST_MOUTH_LOWER = 26
NUM_TILES = 27
FIRST_SOLID = BRICK
FIRST_FLOOR = LEDGE
FIRST_CHANGING, LAST_CHANGING = HIDDEN_COIN, MUSHROOM_BLOCK
LOOKS_LIKE = {
    HIDDEN_COIN: EMPTY,
    HIDDEN_MUSHROOM: EMPTY,
    COIN_BRICK: BRICK,
    MUSHROOM_BRICK: BRICK,
}
"""What players and agents see in place of tiles that keep a secret."""

FLAG_HEIGHT = 9  # cells of the pole, its foot included

# ---------------------------------------------------------------- things

# Kinds. WALKER to PLANT harm the player; WALKER to SHELL_SLIDING and MUSHROOM walk and fall.
GONE = 0  # squashed, fallen out of the level, or eaten
WALKER = 1  # turns at walls
EDGE_WALKER = 2  # turns at walls and edges
SHELLED = 3  # walks like WALKER; stomped it becomes SHELL
SHELL = 4  # at rest; kicked it becomes SHELL_SLIDING
SHELL_SLIDING = 5  # knocks over other creatures; stomped it comes to rest
FLYER = 6  # hovers up and down
PLANT = 7  # goes in and out of a pipe; can't be stomped
MUSHROOM = 8  # makes the player big
PLATFORM_ACROSS = 9  # goes to the right and back
PLATFORM_UP = 10  # goes up and back
IN_BLOCK = 11  # a mushroom that is still in its block
SQUASHED = 12  # a stomped walker, for a moment
KNOCKED = 13  # knocked over: falls out of the level, touches nothing
NUM_KINDS = 14
FIRST_ENEMY, LAST_ENEMY = WALKER, PLANT

# What WALKER and SHELLED may have besides: bits of their `timer`, for which they have no other use.
WINGED = 1  # hops; stomped it loses its wings
SPINY = 2  # can't be stomped
NUM_TRAITS = 4

THING_WIDTH = 14 * PIXEL  # of all things but platforms
THING_HEIGHT = 14 * PIXEL
PLATFORM_TILES = 3
PLATFORM_WIDTH = PLATFORM_TILES * TILE
PLATFORM_HEIGHT = 8 * PIXEL  # one-way: bodies land on its top and pass it otherwise

WAKE_COLUMNS = 14  # things within so many columns of the player move, the others stand still
WALKER_SPEED = 128
SHELL_SPEED = 768
MUSHROOM_SPEED = 256
MUSHROOM_RISE = 16  # ticks, a pixel each, in which it comes out of its block
THING_GRAVITY = 64
THING_MAX_FALL = 1024
HOP_SPEED = -1024  # upwards, of what has wings: 2 tiles high
KNOCK_SPEED = -768  # upwards, of what is knocked over
SQUASHED_TICKS = 30

# What follows a clock does so in cycles of 256 ticks, and is back where it was after each.
PLATFORM_SPEED = 128  # out for 128 ticks, back for 128: 4 tiles
FLYER_SLOPE = 2  # up for 128 ticks, down for 128, speed growing and shrinking by so much a tick: 2 tiles
PLANT_SPEED = 128
PLANT_UP, PLANT_DOWN, PLANT_HIDDEN = 32, 112, 144  # clock: rises from 0, stays out, goes in, stays in to 255
PLANT_SHY = 2 * TILE  # it does not come out while the player's middle is nearer than this

# ---------------------------------------------------------------- the player

# The constants follow the well-known numbers of the 1985 classic, rounded to our units.
PLAYER_WIDTH = 12 * PIXEL
SMALL_HEIGHT = 14 * PIXEL  # small, or big and ducking
BIG_HEIGHT = 28 * PIXEL

WALK_SPEED = 400  # 1.5625 pixels a tick
RUN_SPEED = 640  # 2.5 pixels a tick
WALK_ACCELERATION = 10
RUN_ACCELERATION = 14
FRICTION = 13  # no direction pressed, or faster than the top speed; on the ground only
SKID = 26  # the opposite direction pressed, on the ground
AIR_TURN = 14  # the opposite direction pressed, in the air

# A jump's class is set by the speed across at its start (also at that of a fall): below 1 pixel a tick, below
# 2.25, from there on. In the air the class sets gravity and the speed up to which the player can speed up.
# Bounces off creatures keep the class; springs have their own.
CLASS_1_SPEED = 256
CLASS_2_SPEED = 576
SPRING_CLASS = 3
JUMP_SPEED = (1024, 1024, 1280, 1536)  # upwards, by class
GRAVITY_HELD = (32, 30, 40, 40)  # while rising with the jump button held
GRAVITY_FREE = (112, 96, 144, 80)  # otherwise
AIR_SPEED = (WALK_SPEED, WALK_SPEED, RUN_SPEED, RUN_SPEED)
MAX_FALL = 1152  # 4.5 pixels a tick
STOMP_BOUNCE = 1024  # upwards

STEP_UP = 2 * PIXEL  # a falling player this little below the top of the tile ahead steps onto it
INVULNERABLE_TICKS = 120  # after a hit that was survived
BUMP_TICKS = 12  # for which a block that was hit is shown to jump

PIT_DEPTH = (HEIGHT + 1) * TILE  # feet at or below this have fallen into a pit; things are gone

# Points of the score, which is for show.
POINTS_COIN = 200
POINTS_BRICK = 50
POINTS_MUSHROOM = 1000
POINTS_CHAIN = (100, 200, 400, 500, 800, 1000, 2000, 4000, 5000, 8000)  # creatures beaten in a row

# ---------------------------------------------------------------- actions

RIGHT, LEFT, DOWN, UP, JUMP, RUN = 1, 2, 4, 8, 16, 32  # buttons, as bits
BUTTON_NAMES = {RIGHT: "right", LEFT: "left", DOWN: "down", UP: "up", JUMP: "jump", RUN: "run"}

_RIGHT_ONLY = (0, RIGHT, RIGHT | JUMP, RIGHT | RUN, RIGHT | JUMP | RUN)
_SIMPLE = (*_RIGHT_ONLY, JUMP, LEFT)
ACTION_SETS = {
    "right_only": _RIGHT_ONLY,
    "simple": _SIMPLE,
    "complex": (*_SIMPLE, LEFT | JUMP, LEFT | RUN, LEFT | JUMP | RUN, DOWN, UP),
}
"""The buttons that each action holds, by name of the set."""
MAX_ACTIONS = 12

# ---------------------------------------------------------------- the record

ALIVE, PIT, ENEMY, SPIKES = 0, 1, 2, 3  # causes of death
DEATH_NAMES = ("none", "pit", "enemy", "spike")

PARTS = ("progress", "time", "death", "coins", "stomps", "flag")
INFO = (
    ("progress", np.float64),  # share of the way from the start to the flag, 1 at the flag
    ("death", np.int32),  # its cause, 0 while alive
    ("x", np.int32),  # pixels from the level's left edge
    ("par_time", np.int32),  # ticks that the expert took for this level, 0 where it is not certified
    ("clear", np.bool_),  # at the flag
)

THING = np.dtype(
    [
        ("x", np.int32),  # left edge
        ("y", np.int32),  # bottom edge
        ("vx", np.int16),
        ("vy", np.int16),
        ("kind", np.uint8),
        # Ticks: of a cycle; since it left its block; until it is gone. Shell: its kills; walkers: traits.
        ("timer", np.uint8),
    ],
    align=True,
)


def _record(capacity: Capacity) -> np.dtype:
    fields = [
        ("level", np.int32),  # index into the pool of levels
        ("ask_level", np.int32),  # 1 + the level wanted at the next reset, 0 for a random one
        ("tick", np.int32),  # ticks since the episode began
        ("x", np.int32),  # left edge of the player
        ("y", np.int32),  # feet of the player
        ("vx", np.int16),
        ("vy", np.int16),
        ("column", np.int16),  # the player's, of `x`; where it changes, things fall asleep and wake
        ("jump_held", np.uint8),  # ticks for which the jump button has been held, at most 255
        ("jump_class", np.uint8),  # 0 to SPRING_CLASS
        ("grounded", np.bool_),
        ("ride", np.uint8),  # 1 + the slot of the platform that the player stands on
        ("big", np.bool_),
        ("ducking", np.bool_),
        ("facing_left", np.bool_),
        ("invulnerable", np.uint8),  # ticks left
        ("chain", np.uint8),  # creatures stomped since the player last stood
        ("bump_timer", np.uint8),  # ticks left for which the block `bump_cell` is shown to jump
        ("bump_cell", np.uint16),
        ("coins", np.uint16),  # taken in this episode
        ("stomps", np.uint16),  # creatures beaten in this episode
        ("score", np.int32),  # points of this episode, for show
        ("changed", np.uint64, (capacity.slots // 64,)),  # bit by slot: the tile has changed
        ("num_awake", np.uint8),
        ("awake", np.uint8, (capacity.things,)),  # slots of the things that move, rising; 0 behind the end
        ("things", THING, (capacity.things,)),  # unused slots are zeros
    ]
    return state_dtype(fields, info=INFO, parts=PARTS)


STATES = {capacity: _record(capacity) for capacity in (USUAL, LARGE)}
"""The state record of each capacity."""
PLATFORMER_STATE = STATES[USUAL]

# ---------------------------------------------------------------- tables

RULES = np.dtype(
    [
        ("frame_skip", np.int32),  # ticks an agent's step lasts
        ("buttons", np.int32, (MAX_ACTIONS,)),  # held by each action
        *[("reward_" + name, np.int32) for name in PARTS],  # weights, in 1/1024
    ],
    align=True,
)

LEVEL = np.dtype(
    [
        ("width", np.int32),  # tiles
        ("start_x", np.int32),  # left edge and feet of the player at the start, see `player_start`
        ("start_y", np.int32),
        ("flag_x", np.int32),  # the pole's middle: half a tile right of its column's left edge
        ("par_time", np.int32),  # ticks, 0 where the level is not certified
        ("num_things", np.int32),
        ("num_slots", np.int32),
    ],
    align=True,
)


class LevelTables(NamedTuple):
    """Read-only tables of M levels, made by `levels.build_pool`; cells are numbered by `Capacity.cell`."""

    levels: NDArray[np.void]
    """(M,) records of LEVEL."""
    tiles: NDArray[np.uint8]
    """(M, cells) code of each tile at the start. Margins: GROUND beside the level and in the table's topmost
    row; above row 0 GROUND where row 0 is solid, else EMPTY; below the last row EMPTY."""
    slots: NDArray[np.unsignedinteger]
    """(M, cells) number of each tile that can change, in the order of columns, then rows; 0 elsewhere."""
    slot_cells: NDArray[np.uint16]
    """(M, slots) the cell of each slot, 0 behind the end."""
    releases: NDArray[np.uint8]
    """(M, slots) of a tile with a mushroom: 1 + the thing in it (of kind IN_BLOCK); 0 elsewhere."""
    things: NDArray[np.void]
    """(M, things) records of THING at the start (`thing_start`), by rising x; zeros behind the end."""


class PlatformerParams(NamedTuple):
    """Read-only tables that the whole batch shares: rules, those of `LevelTables`, then what is derived."""

    rules: NDArray[np.void]
    """(1,) record of RULES."""
    levels: NDArray[np.void]
    tiles: NDArray[np.uint8]
    slots: NDArray[np.unsignedinteger]
    slot_cells: NDArray[np.uint16]
    releases: NDArray[np.uint8]
    things: NDArray[np.void]
    views: NDArray[np.uint8]
    """(M, planes, rows, columns) the grid's still planes with a margin; none for other observations."""
    sprites: NDArray[np.uint8]
    """What the observation `pixels` draws with; none for other observations."""
    lots: NDArray[np.int64]
    """(M,) running sums of the levels' weights, by which a reset draws one; see `core.lots`."""


def capacity_of(tables: LevelTables | PlatformerParams) -> Capacity:
    """The capacity for which tables were made."""
    return USUAL if tables.things.shape[1] == USUAL.things else LARGE


def player_start(column: int, row: int) -> tuple[int, int]:
    """Where the player stands in a cell: left edge and feet."""
    return column * TILE + (TILE - PLAYER_WIDTH) // 2, (row + 1) * TILE


def thing_start(kind: int, column: int, row: int, traits: int = 0) -> tuple[int, int, int, int, int, int]:
    """The record of THING that a thing starts with.

    Args:
        kind: WALKER, EDGE_WALKER, SHELLED, FLYER, PLANT, PLATFORM_ACROSS, PLATFORM_UP or IN_BLOCK.
        column: of its cell; a plant's is above the left half of its pipe's mouth, a platform's its left one.
        row: of its cell.
        traits: bits of a WALKER or SHELLED.
    """
    x, y = column * TILE + (TILE - THING_WIDTH) // 2, (row + 1) * TILE
    if kind in (WALKER, EDGE_WALKER, SHELLED):
        return x, y, -WALKER_SPEED, 0, kind, traits
    if kind == PLANT:
        return x + TILE // 2, y + TILE, 0, 0, kind, PLANT_HIDDEN
    if kind in (PLATFORM_ACROSS, PLATFORM_UP):
        return column * TILE, row * TILE + PLATFORM_HEIGHT, 0, 0, kind, 0
    return x, y, 0, 0, kind, 0
