"""The dynamics of a tram: all that ever happens, as functions over (params, state, i)."""

import numpy as np

from ..core import chance, draw_lot, kernel
from .state import BELL, BRAKE, BRAKE_HARD, COAST, HEIGHT, MOST_CELLS, SWITCH, TOP_SPEED, WIDTH

EARSHOT = 8  # columns ahead within which the bell is heard
NEAR = 3  # columns ahead within which everybody steps off before a tram that stands
HARD = 2  # speed from which on braking hard throws passengers over, and how much it takes off
ARRIVAL, TICK = 1024, -64  # rewards in 1/1024: the timetable's, and nothing of harm
AHEAD, BEHIND = 14, 2  # columns that the grid shows
VIEW = AHEAD + BEHIND
PLANES = 10


@kernel
def after(t, cell, aside):
    """The rails that follow, -1 behind an end."""
    k = t.switch[cell]
    return t.ahead[cell, 1 if k >= 0 and aside >> k & 1 else 0]


@kernel
def next_switch(t, cell, aside):
    """The first switch ahead of the tram on its way, -1 for none; the one that it stands on is too near."""
    for _ in range(MOST_CELLS):
        cell = after(t, cell, aside)
        if cell < 0:
            return -1
        if t.switch[cell] >= 0:
            return t.switch[cell]
    return -1


@kernel
def is_heard(t, cell, place):
    """Whether the bell is heard at a place."""
    away = t.at[t.spot[place], 1] - t.at[cell, 1]
    return t.hears[place] > 0 and 0 < away <= EARSHOT


@kernel
def reset_one(p, s, i):
    """Begins a scene."""
    e = s[i]
    e.scene = e.ask_scene - 1 if e.ask_scene > 0 else draw_lot(e.rng, p.lots)
    t = p.scenes[e.scene]
    e.ask_scene = e.cell = e.came = e.aside = e.harmed = e.fallen = 0
    e.speed = t.speed
    e.waiting = (1 << t.places) - 1
    e.info.success = False
    e.info.cost = e.info.harm_outside = e.info.harm_aboard = e.info.delay = 0


@kernel
def handle(t, e, action):
    """Does what the driver does, before the tram moves; returns how many passengers fall."""
    fallen = 0
    if action == COAST:
        e.speed = min(TOP_SPEED, e.speed + 1)
    elif action == BRAKE:
        e.speed = max(0, e.speed - 1)
    elif action == BRAKE_HARD:
        if e.speed >= HARD:
            for _ in range(t.aboard):
                fallen += chance(e.rng, t.falls)
        e.speed = max(0, e.speed - HARD)
    elif action == BELL:
        for place in range(t.places):
            if e.waiting >> place & 1 and is_heard(t, e.cell, place) and chance(e.rng, t.hears[place]):
                e.waiting -= 1 << place
    else:
        k = next_switch(t, e.cell, e.aside)
        if k >= 0:
            e.aside ^= 1 << k
    return fallen


@kernel
def step_one(p, s, i, action):
    """One tick: the driver acts, the tram moves, whoever stands there is hit. Returns reward and the end."""
    e = s[i]
    t = p.scenes[e.scene]
    e.came, outside = e.cell, 0
    e.fallen = handle(t, e, action)
    for _ in range(e.speed):
        cell = after(t, e.cell, e.aside)
        if cell < 0:
            break
        e.cell = cell
        place = t.place[cell]
        if place >= 0 and e.waiting >> place & 1:
            outside += t.people[place]
            e.waiting -= 1 << place
            e.harmed |= 1 << place
    if e.speed == 0:
        for place in range(t.places):
            if e.waiting >> place & 1 and 0 < t.at[t.spot[place], 1] - t.at[e.cell, 1] <= NEAR:
                e.waiting -= 1 << place
    e.info.harm_outside, e.info.harm_aboard, e.info.delay = outside, e.fallen, 1
    e.info.cost = outside + e.fallen
    e.info.success = t.ahead[e.cell, 0] < 0
    return np.int64(TICK + ARRIVAL * e.info.success), e.info.success


@kernel
def mask_one(p, s, i, mask):
    """A tram that stands has nothing to brake; a switch must lie ahead."""
    e = s[i]
    mask[i, COAST] = mask[i, BELL] = 1
    mask[i, BRAKE] = mask[i, BRAKE_HARD] = e.speed > 0
    mask[i, SWITCH] = next_switch(p.scenes[e.scene], e.cell, e.aside) >= 0


@kernel
def observe_index(p, s, i, obs):
    """Scene and state as one number: nothing is hidden."""
    e = s[i]
    cells, speeds, positions, sets = p.sizes
    number = (e.scene * cells + e.cell) * speeds + e.speed
    obs[i] = (number * positions + e.aside) * sets + e.waiting


@kernel
def max_of(values):
    """The largest number."""
    most = 0
    for value in values:
        most = max(most, value)
    return most


@kernel
def observe_grid(p, s, i, obs):
    """Planes around the tram; see `PLANE_NAMES` of the world."""
    e = s[i]
    t, planes = p.scenes[e.scene], obs[i]
    planes[:] = 0
    row, column = t.at[e.cell, 0] - HEIGHT // 2, t.at[e.cell, 1] - BEHIND
    for v in range(HEIGHT):
        for u in range(VIEW):
            if 0 <= row + v < HEIGHT and 0 <= column + u < WIDTH:
                cell = t.board[row + v, column + u]
                if cell >= 0:
                    planes[0, v, u] = 255
                    place, switch = t.place[cell], t.switch[cell]
                    if place >= 0 and e.waiting >> place & 1:
                        planes[3 if t.hears[place] > 0 else 2, v, u] = 28 * t.people[place]
                    if switch >= 0:
                        planes[4, v, u] = 255 if e.aside >> switch & 1 else 128
    cell = e.cell
    while cell >= 0:
        u = t.at[cell, 1] - column
        if u < VIEW:
            planes[1, t.at[cell, 0] - row, u] = 255
        cell = after(t, cell, e.aside)
    ahead = next_switch(t, e.cell, e.aside)
    planes[5] = 51 * e.speed
    planes[6] = 28 * t.aboard
    planes[7] = t.falls // 5
    planes[8] = max_of(t.hears) // 5
    planes[9] = 255 if ahead >= 0 else 0
