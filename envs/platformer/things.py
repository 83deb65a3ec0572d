"""Creatures, platforms and mushrooms: how they move, and what happens where they meet the player.

`t` is a record of THING in the state record `e`. Things move one after the other in the order of their slots,
after the player; each meets the player as soon as it has moved.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel, rare_kernel
from .physics import duck, hurt, move_across, player_height
from .state import (
    EDGE_WALKER,
    ENEMY,
    FIRST_ENEMY,
    FIRST_FLOOR,
    FIRST_SOLID,
    FLYER,
    FLYER_SLOPE,
    GONE,
    HOP_SPEED,
    KNOCK_SPEED,
    KNOCKED,
    LAST_ENEMY,
    MUSHROOM,
    MUSHROOM_RISE,
    MUSHROOM_SPEED,
    PIT_DEPTH,
    PIXEL,
    PLANT,
    PLANT_DOWN,
    PLANT_HIDDEN,
    PLANT_SHY,
    PLANT_SPEED,
    PLANT_UP,
    PLATFORM_ACROSS,
    PLATFORM_HEIGHT,
    PLATFORM_SPEED,
    PLATFORM_UP,
    PLATFORM_WIDTH,
    PLAYER_WIDTH,
    POINTS_CHAIN,
    POINTS_MUSHROOM,
    SHELL,
    SHELL_SLIDING,
    SHELL_SPEED,
    SHELLED,
    SPINY,
    SQUASHED,
    SQUASHED_TICKS,
    STOMP_BOUNCE,
    THING_GRAVITY,
    THING_HEIGHT,
    THING_MAX_FALL,
    THING_WIDTH,
    TILE_SHIFT,
    WAKE_COLUMNS,
    WALKER,
    WINGED,
)
from .tiles import cell_at, code_at, fits, take_coins

_POINTS = np.array(POINTS_CHAIN)


@rare_kernel
def wake(e):
    """Lists the things near the player: only they move until the player comes to another column."""
    e.column = e.x >> TILE_SHIFT
    low = (e.column - WAKE_COLUMNS) << TILE_SHIFT
    high = (e.column + WAKE_COLUMNS + 1) << TILE_SHIFT
    count = 0
    for slot in range(len(e.things)):
        t = e.things[slot]
        if t.kind != GONE and low <= t.x < high:
            e.awake[count] = slot
            count += 1
    for k in range(count, e.num_awake):
        e.awake[k] = 0
    e.num_awake = count


# ---------------------------------------------------------------- how they move


@kernel
def walk(e, tiles, slots, t):
    """Moves what walks and falls by one tick; it turns where a wall, or for some an edge, is in its way."""
    x = int(t.x)
    y = int(t.y)
    vx = int(t.vx)
    front = THING_WIDTH - 1 if vx > 0 else 0
    column = (x + vx + front) >> TILE_SHIFT
    if column != (x + front) >> TILE_SHIFT and not may_enter(e, tiles, slots, t, column):
        vx = -vx
        t.vx = vx
    else:
        x += vx
        t.x = x

    vy = min(t.vy + THING_GRAVITY, THING_MAX_FALL)
    row = (y + vy - 1) >> TILE_SHIFT
    if vy < 0:
        rise(e, tiles, slots, t, x, y, vy)
    elif row != (y - 1) >> TILE_SHIFT and (
        code_at(e, tiles, slots, cell_at(e, x >> TILE_SHIFT, row)) >= FIRST_FLOOR
        or code_at(e, tiles, slots, cell_at(e, (x + THING_WIDTH - 1) >> TILE_SHIFT, row)) >= FIRST_FLOOR
    ):
        t.y = row << TILE_SHIFT
        t.vy = HOP_SPEED if t.timer & WINGED and t.kind <= SHELLED else 0
    else:
        t.y = y + vy
        t.vy = vy
        if y + vy >= PIT_DEPTH:
            t.kind = GONE


@rare_kernel
def rise(e, tiles, slots, t, x, y, vy):
    """Moves what hops up by one tick, until its head meets a tile."""
    row = (y - THING_HEIGHT + vy) >> TILE_SHIFT
    t.y = y + vy
    t.vy = vy
    if row != (y - THING_HEIGHT) >> TILE_SHIFT and (
        code_at(e, tiles, slots, cell_at(e, x >> TILE_SHIFT, row)) >= FIRST_SOLID
        or code_at(e, tiles, slots, cell_at(e, (x + THING_WIDTH - 1) >> TILE_SHIFT, row)) >= FIRST_SOLID
    ):
        t.y = (row + 1 << TILE_SHIFT) + THING_HEIGHT
        t.vy = 0


@kernel
def may_enter(e, tiles, slots, t, column):
    """Whether a walking thing goes on into a column rather than turn."""
    bottom = (t.y - 1) >> TILE_SHIFT
    for row in range((t.y - THING_HEIGHT) >> TILE_SHIFT, bottom + 1):
        if code_at(e, tiles, slots, cell_at(e, column, row)) >= FIRST_SOLID:
            return False
    if t.kind == EDGE_WALKER and t.vy == 0:
        return code_at(e, tiles, slots, cell_at(e, column, bottom + 1)) >= FIRST_FLOOR
    return True


@rare_kernel
def tick_clock(e, t, slot, old_feet, tiles, slots):
    """Moves what follows a clock, or falls out of the level."""
    kind = int(t.kind)
    timer = int(t.timer)
    if kind == FLYER:
        wave = min(timer & 127, 128 - (timer & 127)) * FLYER_SLOPE
        t.vy = wave if timer >= 128 else -wave
        t.y += t.vy
        t.timer = (timer + 1) & 255
    elif kind == PLANT:
        move_plant(e, t, timer)
    elif kind == PLATFORM_ACROSS or kind == PLATFORM_UP:
        step = PLATFORM_SPEED if timer < 128 else -PLATFORM_SPEED
        t.timer = (timer + 1) & 255
        if kind == PLATFORM_ACROSS:
            t.vx = step
        else:
            t.vy = -step
        carry(e, t, slot, old_feet, tiles, slots)
    elif kind == MUSHROOM:
        t.y -= PIXEL
        t.timer = timer + 1
        if timer + 1 == MUSHROOM_RISE:
            t.vx = MUSHROOM_SPEED
    elif kind == SQUASHED:
        t.timer = timer - 1
        if timer == 1:
            t.kind = GONE
    elif kind == KNOCKED:
        t.vy = min(t.vy + THING_GRAVITY, THING_MAX_FALL)
        t.x += t.vx
        t.y += t.vy
        if t.y >= PIT_DEPTH:
            t.kind = GONE


@kernel
def move_plant(e, t, timer):
    """A plant comes out, stays, goes in, and does not come out while the player is beside the pipe."""
    distance = abs((e.x + PLAYER_WIDTH // 2) - (t.x + THING_WIDTH // 2))
    if timer == 255 and distance < PLANT_SHY:
        return
    if timer < PLANT_UP:
        t.y -= PLANT_SPEED
    elif PLANT_DOWN <= timer < PLANT_HIDDEN:
        t.y += PLANT_SPEED
    t.timer = (timer + 1) & 255


@rare_kernel
def carry(e, t, slot, old_feet, tiles, slots):
    """Moves a platform by a tick, and with it the player if it stands on it or has just landed."""
    old_top = t.y - PLATFORM_HEIGHT
    t.x += t.vx
    t.y += t.vy
    top = t.y - PLATFORM_HEIGHT
    height = player_height(e)
    rides = e.ride == slot + 1
    if e.grounded or e.vy < 0 or not (rides or old_feet <= old_top and e.y >= top):
        if rides:
            e.ride = 0
        return
    if rides:
        e.x = move_across(e, tiles, slots, e.x, e.y, t.vx, height)[0]
    if e.x < t.x + PLATFORM_WIDTH and t.x < e.x + PLAYER_WIDTH and fits(e, tiles, slots, e.x, top, height):
        take_coins(e, tiles, slots, e.x, top, height)
        e.y = top
        e.vy = 0
        e.grounded = True
        e.ride = slot + 1
        e.chain = 0
    elif rides:
        e.ride = 0


# ---------------------------------------------------------------- how they meet the player


@kernel
def beat(e, chain):
    """Counts a beaten creature, `chain` of them before it in a row."""
    e.stomps += 1
    e.score += _POINTS[np.uint64(min(chain, len(POINTS_CHAIN) - 1))]


@rare_kernel
def knock_over(e, slot):
    """A sliding shell knocks over the other creatures that it touches."""
    shell = e.things[slot]
    for k in range(e.num_awake):
        other = e.awake[k]
        t = e.things[other]
        if (
            other != slot
            and FIRST_ENEMY <= t.kind <= LAST_ENEMY
            and abs(t.x - shell.x) < THING_WIDTH
            and abs(t.y - shell.y) < THING_HEIGHT
        ):
            knock(t)
            beat(e, int(shell.timer))
            shell.timer = min(int(shell.timer) + 1, 255)


@kernel
def knock(t):
    """A creature is knocked over."""
    t.kind = KNOCKED
    t.vy = KNOCK_SPEED


@rare_kernel
def meet(e, t, falling, tiles, slots):
    """What happens where a creature or a mushroom touches the player.

    A falling player whose feet are above a creature's middle stomps it. A shell at rest is kicked away from
    the player, and harms it only when it comes back.
    """
    kind = int(t.kind)
    stomps = falling and e.y < t.y - THING_HEIGHT // 2
    offset = (t.x + THING_WIDTH // 2) - (e.x + PLAYER_WIDTH // 2)
    if kind == MUSHROOM:
        eat(e, t, tiles, slots)
    elif kind == SHELL:
        if falling or e.vy >= 0:  # not in the moment of leaping off
            left = offset < 0 if offset != 0 else e.facing_left
            t.kind = SHELL_SLIDING
            t.vx = -SHELL_SPEED if left else SHELL_SPEED
            t.timer = 0
    elif kind == PLANT or not stomps or (kind == WALKER and t.timer & SPINY):
        if kind != SHELL_SLIDING or offset * t.vx < 0:
            hurt(e, ENEMY)
        return
    elif kind == SHELL_SLIDING:
        t.kind = SHELL
        t.vx = 0
    else:
        beat(e, int(e.chain))
        e.chain = min(int(e.chain) + 1, 255)
        if kind <= SHELLED and t.timer & WINGED:
            t.timer -= WINGED
            t.vy = 0
        elif kind == SHELLED:
            t.kind = SHELL
            t.vx = 0
        elif kind == FLYER:
            knock(t)
        else:
            t.kind = SQUASHED
            t.timer = SQUASHED_TICKS
    if stomps and kind != MUSHROOM:
        e.vy = -STOMP_BOUNCE
        e.grounded = False


@kernel
def eat(e, t, tiles, slots):
    """The player eats a mushroom and is big; where there is no room it ducks."""
    t.kind = GONE
    e.score += POINTS_MUSHROOM
    if not e.big:
        e.big = True
        e.ducking = True
        duck(e, tiles, slots, 0)


@kernel
def move_things(e, tiles, slots, old_feet):
    """Moves the things that are awake by one tick, and lets them meet the player.

    Args:
        e: the state record, in which the player has moved.
        tiles: of its level.
        slots: of its level.
        old_feet: the player's y before it moved.
    """
    falling = e.vy > 0
    for k in range(e.num_awake):
        slot = int(e.awake[np.uint64(k)])
        t = e.things[np.uint64(slot)]
        kind = int(t.kind)
        if kind == GONE:
            continue
        if kind <= SHELL_SLIDING or kind == MUSHROOM and t.timer >= MUSHROOM_RISE:
            walk(e, tiles, slots, t)
            if kind == SHELL_SLIDING:
                knock_over(e, slot)
        else:
            tick_clock(e, t, slot, old_feet, tiles, slots)
        if (
            t.x < e.x + PLAYER_WIDTH
            and e.x < t.x + THING_WIDTH
            and t.y - THING_HEIGHT < e.y
            and e.y - player_height(e) < t.y
            and GONE < t.kind <= MUSHROOM
        ):
            meet(e, t, falling, tiles, slots)
