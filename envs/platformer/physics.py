"""How the player moves: running, jumping, and what its body does where it meets tiles.

A tick moves by less than a tile along each axis, across first. So the only tiles that a move can run into are
those of the one column or row that its leading edge enters: nothing is passed through at any speed.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel, rare_kernel
from .state import (
    AIR_SPEED,
    AIR_TURN,
    BIG_HEIGHT,
    BRICK,
    CLASS_1_SPEED,
    CLASS_2_SPEED,
    COIN,
    DOWN,
    EMPTY,
    FIRST_FLOOR,
    FIRST_SOLID,
    FLAG,
    FRICTION,
    GRAVITY_FREE,
    GRAVITY_HELD,
    HIDDEN_COIN,
    HIDDEN_MUSHROOM,
    INVULNERABLE_TICKS,
    JUMP,
    JUMP_SPEED,
    LEDGE,
    LEFT,
    MAX_FALL,
    MUSHROOM_BLOCK,
    PLAYER_WIDTH,
    RIGHT,
    RUN,
    RUN_ACCELERATION,
    RUN_SPEED,
    SKID,
    SMALL_HEIGHT,
    SPIKE,
    SPIKES,
    SPRING,
    SPRING_CLASS,
    STEP_UP,
    TILE_SHIFT,
    WALK_ACCELERATION,
    WALK_SPEED,
)
from .tiles import bump, cell_at, code_at, fits, take_coins

_JUMP_SPEED = np.array(JUMP_SPEED)
_GRAVITY = np.array(GRAVITY_FREE + GRAVITY_HELD)
_AIR_SPEED = np.array(AIR_SPEED)


@kernel
def player_height(e):
    """Units from the player's feet to the top of its head."""
    return BIG_HEIGHT if e.big and not e.ducking else SMALL_HEIGHT


@rare_kernel
def hurt(e, cause):
    """Harms the player: a big one becomes small, a small one dies. For a while after a hit nothing does."""
    if e.invulnerable > 0:
        return
    if e.big:
        e.big = False
        e.ducking = False
        e.invulnerable = INVULNERABLE_TICKS
    else:
        e.info.death = cause


@rare_kernel
def duck(e, tiles, slots, down):
    """A big player ducks on the ground, and stands up where there is room above."""
    if down and e.grounded:
        e.ducking = True
    elif e.ducking and not down and fits(e, tiles, slots, e.x, e.y, BIG_HEIGHT):
        e.ducking = False
        take_coins(e, tiles, slots, e.x, e.y, BIG_HEIGHT)


@kernel
def steer(vx, direction, run, grounded, jump_class):
    """The speed across after a tick: it moves towards the wanted one by the acceleration that applies."""
    along = vx * direction
    if grounded:
        top = RUN_SPEED if run else WALK_SPEED
        rate = RUN_ACCELERATION if run else WALK_ACCELERATION
        rate = SKID if along < 0 else rate
        rate = FRICTION if direction == 0 or along > top else rate
    else:
        top = _AIR_SPEED[np.uint64(jump_class)]
        rate = WALK_ACCELERATION if along < WALK_SPEED else RUN_ACCELERATION
        rate = AIR_TURN if along < 0 else rate
        rate = 0 if direction == 0 or along > top else rate
    return vx + min(max(top * direction - vx, -rate), rate)


@kernel
def control(e, buttons, direction):
    """What the buttons do. Returns the speeds across and down, and the class of the jump.

    The first tick of a jump moves at its full speed; gravity works from the next one on.
    """
    vx = int(e.vx)
    jump_class = int(e.jump_class)
    if e.grounded:
        jump_class = int(abs(vx) >= CLASS_1_SPEED) + int(abs(vx) >= CLASS_2_SPEED)
    vx = steer(vx, direction, buttons & RUN, e.grounded, jump_class)
    held = buttons & JUMP
    gravity = _GRAVITY[np.uint64(jump_class + 4 if held != 0 and e.vy < 0 else jump_class)]
    vy = min(e.vy + gravity, MAX_FALL)
    if held != 0 and e.jump_held == 0 and e.grounded:
        vy = -_JUMP_SPEED[np.uint64(jump_class)]
        e.ride = 0
    e.jump_held = min(int(e.jump_held) + 1, 255) if held != 0 else 0
    return vx, vy, jump_class


@kernel
def enters_column(e, tiles, slots, x, y, height, column):
    """Whether the column that the body's leading edge enters is free; spikes in it harm."""
    free = True
    coin = False
    spike = False
    for row in range((y - height) >> TILE_SHIFT, ((y - 1) >> TILE_SHIFT) + 1):
        code = code_at(e, tiles, slots, cell_at(e, column, row))
        free &= code < FIRST_SOLID
        coin |= code == COIN
        spike |= code == SPIKE
    if spike:
        hurt(e, SPIKES)
    if coin and free:
        take_coins(e, tiles, slots, x, y, height)
    return free


@kernel
def move_across(e, tiles, slots, x, y, dx, height):
    """Moves the body across as far as it is free. Returns the new x, and whether it was blocked."""
    front = PLAYER_WIDTH - 1 if dx > 0 else 0
    column = (x + dx + front) >> TILE_SHIFT
    if column == (x + front) >> TILE_SHIFT or enters_column(e, tiles, slots, x + dx, y, height, column):
        return x + dx, False
    return (column << TILE_SHIFT) - PLAYER_WIDTH if dx > 0 else (column + 1) << TILE_SHIFT, True


@rare_kernel
def step_up(e, tiles, slots, x, y, height):
    """The top of the tile that the feet are only a little below, if there is room above it; else y."""
    top = (y - 1) >> TILE_SHIFT << TILE_SHIFT
    if y - top <= STEP_UP and fits(e, tiles, slots, x, top, height):
        take_coins(e, tiles, slots, x, top, height)
        return top
    return y


@rare_kernel
def enters_row(e, tiles, slots, releases, x, y, dy, height, row):
    """The body enters a row without solid tiles, where it may meet coins, a floor or a hidden block.

    Returns:
        The new y; the code of the tile that it met, EMPTY for none.
    """
    column = x >> TILE_SHIFT
    other = (x + PLAYER_WIDTH - 1) >> TILE_SHIFT
    code = code_at(e, tiles, slots, cell_at(e, column, row))
    other_code = code_at(e, tiles, slots, cell_at(e, other, row))
    if dy > 0 and (code == LEDGE or other_code == LEDGE):
        return row << TILE_SHIFT, LEDGE
    if dy < 0:
        is_hidden = HIDDEN_COIN <= code <= HIDDEN_MUSHROOM
        other_is_hidden = HIDDEN_COIN <= other_code <= HIDDEN_MUSHROOM
        middle = (x + PLAYER_WIDTH // 2) >> TILE_SHIFT
        if other_is_hidden and (middle == other or not is_hidden):
            column = other
            code = other_code
        if is_hidden or other_is_hidden:
            bump(e, slots, releases, cell_at(e, column, row), code)
            return (row + 1 << TILE_SHIFT) + height, code
    if code == COIN or other_code == COIN:
        take_coins(e, tiles, slots, x, y + dy, height)
    return y + dy, EMPTY


@kernel
def move_down(e, tiles, slots, releases, x, y, dy, height):
    """Moves the body down or up until it meets a tile.

    Returns:
        The new y; the code of the tile that it met, EMPTY for none.
    """
    edge = y - 1 if dy > 0 else y - height
    row = (edge + dy) >> TILE_SHIFT
    if row == edge >> TILE_SHIFT:
        return y + dy, EMPTY
    column = x >> TILE_SHIFT
    other = (x + PLAYER_WIDTH - 1) >> TILE_SHIFT
    code = code_at(e, tiles, slots, cell_at(e, column, row))
    other_code = code_at(e, tiles, slots, cell_at(e, other, row))
    if code < FIRST_SOLID and other_code < FIRST_SOLID:
        if code > FLAG or other_code > FLAG:
            return enters_row(e, tiles, slots, releases, x, y, dy, height, row)
        return y + dy, EMPTY
    # Of two tiles that stop it the one that the body's middle is over or under counts.
    middle = (x + PLAYER_WIDTH // 2) >> TILE_SHIFT
    first = FIRST_FLOOR if dy > 0 else FIRST_SOLID
    if code < first or (other_code >= first and middle == other):
        code = other_code
        column = other
    if code == SPIKE:
        hurt(e, SPIKES)
    if dy > 0:
        return row << TILE_SHIFT, code
    if BRICK <= code <= MUSHROOM_BLOCK:
        bump(e, slots, releases, cell_at(e, column, row), code)
    return (row + 1 << TILE_SHIFT) + height, code


@kernel
def move_player(e, tiles, slots, releases, buttons):
    """Moves the player by one tick."""
    direction = (buttons & RIGHT) - (buttons & LEFT) // LEFT
    if e.big:
        duck(e, tiles, slots, buttons & DOWN)
        if e.ducking and e.grounded and buttons & DOWN:
            direction = 0
    if direction != 0:
        e.facing_left = direction < 0
    height = player_height(e)
    vx, vy, jump_class = control(e, buttons, direction)
    x, blocked = move_across(e, tiles, slots, e.x, e.y, vx, height)
    y = int(e.y)
    if blocked:
        stepped = step_up(e, tiles, slots, e.x + vx, y, height) if vy > 0 else y
        if stepped == y:
            vx = 0
        else:
            x = e.x + vx
            y = stepped
    y, met = move_down(e, tiles, slots, releases, x, y, vy, height)
    lands = met != EMPTY and vy > 0
    if lands:
        e.chain = 0
    if met == SPRING and lands:
        vy = -_JUMP_SPEED[SPRING_CLASS]
        jump_class = SPRING_CLASS
        lands = False
    elif met != EMPTY:
        vy = 0
    e.x = x
    e.y = y
    e.vx = vx
    e.vy = vy
    e.grounded = lands
    e.jump_class = jump_class
