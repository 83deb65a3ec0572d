"""The platformer's dynamics: scalar functions over (params, state, i), where alone an episode advances.

In a tick the player moves first, then the things near it, one after the other. There is no chance in it: the
only random draw is that of the level.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel, rare_kernel
from ..core.lots import draw_lot
from .physics import move_player
from .state import ALIVE, PIT, PIT_DEPTH, PIXEL, PLAYER_WIDTH, TILE_SHIFT
from .things import move_things, wake


@kernel
def clear_info(e):
    """Sets what a step reports to what a reset reports."""
    e.info.clear = False
    e.info.death = ALIVE
    e.parts.progress = 0
    e.parts.time = 0
    e.parts.death = 0
    e.parts.coins = 0
    e.parts.stomps = 0
    e.parts.flag = 0


@kernel
def tell_place(p, e):
    """Writes how far the player has come."""
    level = p.levels[np.uint64(e.level)]
    way = level.flag_x - PLAYER_WIDTH - level.start_x
    e.info.progress = min(max((e.x - level.start_x) / way, 0.0), 1.0)
    e.info.x = e.x // PIXEL


@rare_kernel
def reset_one(p, s, i):
    """Begins an episode, on the level asked for or a random one."""
    e = s[i]
    if e.ask_level > 0:
        e.level = e.ask_level - 1
        e.ask_level = 0
    else:
        e.level = draw_lot(e.rng, p.lots)
    level = p.levels[e.level]
    e.tick = 0
    e.x = level.start_x
    e.y = level.start_y
    e.vx = 0
    e.vy = 0
    e.jump_held = 0
    e.jump_class = 0
    e.grounded = True
    e.ride = 0
    e.big = False
    e.ducking = False
    e.facing_left = False
    e.invulnerable = 0
    e.chain = 0
    e.bump_timer = 0
    e.bump_cell = 0
    e.coins = 0
    e.stomps = 0
    e.score = 0
    for k in range(len(e.changed)):
        e.changed[k] = 0
    for k in range(len(e.things)):
        e.things[k] = p.things[e.level, k]
    e.num_awake = len(e.things)  # so that all of the list is written
    wake(e)
    clear_info(e)
    e.info.par_time = level.par_time
    tell_place(p, e)


@kernel
def tick(e, tiles, slots, releases, flag_x, buttons):
    """Advances the world by a 60th of a second."""
    e.tick += 1
    if e.invulnerable > 0:
        e.invulnerable -= 1
    if e.bump_timer > 0:
        e.bump_timer -= 1
    old_feet = int(e.y)
    move_player(e, tiles, slots, releases, buttons)
    move_things(e, tiles, slots, old_feet)
    if e.x >> TILE_SHIFT != e.column:
        wake(e)
    if e.y >= PIT_DEPTH:
        e.info.death = PIT
    elif e.x + PLAYER_WIDTH >= flag_x and e.info.death == ALIVE:
        e.info.clear = True


@kernel
def step_one(p, s, i, action):
    """Some ticks with the same buttons. Returns the reward in 1/1024, and whether the episode is over."""
    e = s[i]
    r = p.rules[0]
    tiles = p.tiles[np.uint64(e.level)]
    slots = p.slots[np.uint64(e.level)]
    releases = p.releases[np.uint64(e.level)]
    flag_x = int(p.levels[np.uint64(e.level)].flag_x)
    buttons = int(r.buttons[np.uint64(action)])
    old_x = int(e.x)
    old_tick = int(e.tick)
    old_coins = int(e.coins)
    old_stomps = int(e.stomps)
    clear_info(e)
    for _ in range(r.frame_skip):
        tick(e, tiles, slots, releases, flag_x, buttons)
        if e.info.clear or e.info.death != ALIVE:
            break
    over = e.info.clear or e.info.death != ALIVE
    tell_place(p, e)
    q = e.parts
    # The floors of a sum's terms telescope: the way there and back is worth nothing.
    q.progress = (r.reward_progress * e.x >> TILE_SHIFT) - (r.reward_progress * old_x >> TILE_SHIFT)
    q.time = r.reward_time * (e.tick - old_tick)
    q.coins = r.reward_coins * (e.coins - old_coins)
    q.stomps = r.reward_stomps * (e.stomps - old_stomps)
    if e.info.clear:
        q.flag = r.reward_flag
    elif over:
        q.death = r.reward_death
    return np.int64(q.progress + q.time + q.death + q.coins + q.stomps + q.flag), over
