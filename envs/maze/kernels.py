"""The dynamics of a maze: all that ever happens, as functions over (params, state, i)."""

import numpy as np

from ..core import draw_lot, kernel, put_word, uniform_int, word_of
from .state import BOARD, COLUMNS, EDGE, EYES, FULL, GHOSTS, HUNTS, POWER, ROWS, SCARED, STRIDE, VIEW

CHASER, CUTTER, CIRCLER, WANDERER = range(4)  # characters of the ghosts
PELLET_REWARD, GHOST, CLEARED, CAUGHT, TICK = 128, 512, 5120, -5120, -16  # rewards in 1/1024
SLOW = 8  # speed of ghosts that are scared
WAIT = 8  # ticks from one ghost's leaving home to the next one's
AHEAD = 4  # cells before the eater where it is cut off
NEAR = (2, 4, 8)  # steps of the classes of distance
PLANES, AREA = 6, VIEW * VIEW


@kernel
def reset_one(p, s, i):
    """Begins a maze."""
    e = s[i]
    e.maze = e.ask_maze - 1 if e.ask_maze > 0 else draw_lot(e.rng, p.lots)
    m = p.mazes[e.maze]
    e.ask_maze = e.power = 0
    e.scatters, e.clock, e.left = 1, p.scatter, m.pellets
    for at in range(0, BOARD, 8):
        put_word(e.food, at, word_of(m.food, at))
    for k in range(1 + GHOSTS):
        cell = m.start if k == 0 else m.home
        e.cell[k] = e.came[k] = cell
        d = 0
        while d < 3 and m.next[cell, d] == cell:
            d += 1
        e.heading[k] = d
    for g in range(GHOSTS):
        e.last[g] = e.earlier[g] = e.heading[1 + g] ^ 2
        e.way[g], e.mode[g], e.wait[g] = 0, HUNTS, WAIT * g
    e.info.success, e.info.cost, e.info.ghosts, e.info.pellets = False, 0, 0, 0


@kernel
def turn(e):
    """Turns round all ghosts that hunt."""
    for g in range(GHOSTS):
        if e.mode[g] == HUNTS:
            e.heading[1 + g] = e.last[g] ^ 2


@kernel
def any_way(m, e, cell, back):
    """Draws a direction, but not back."""
    count = 0
    for d in range(4):
        count += d != back and m.next[cell, d] != cell
    nth = uniform_int(e.rng, max(1, count))
    for d in range(4):
        if d != back and m.next[cell, d] != cell:
            if nth == 0:
                return d
            nth -= 1
    return back


@kernel
def decide(p, m, e, g):
    """The direction in which a ghost leaves the cell that it has come to.

    It knows where all were when the tick began. The chaser makes for the eater; another for where the eater
    is about to be; the third for the eater's other side, seen from the chaser; the last one wanders.
    """
    cell, back = int(e.cell[1 + g]), e.last[g] ^ 2
    if e.mode[g] == EYES:
        return np.int64(p.toward[e.maze, cell, m.home])
    only = np.int64(m.onward[cell, e.last[g]])
    if only >= 0:
        return only
    if e.mode[g] == SCARED or g == WANDERER:
        return any_way(m, e, cell, back)
    row, column = int(m.place[e.came[0], 0]), int(m.place[e.came[0], 1])
    if e.scatters:
        row, column = int(m.corner[g, 0]), int(m.corner[g, 1])
    elif g == CUTTER:
        row, column = row + AHEAD * ROWS[e.heading[0]], column + AHEAD * COLUMNS[e.heading[0]]
    elif g != CHASER:
        chaser = e.came[1 + CHASER]
        row, column = 2 * row - m.place[chaser, 0], 2 * column - m.place[chaser, 1]
    best, least = np.int64(back), np.int64(1 << 30)
    for d in range(4):
        to = m.next[cell, d]
        if d != back and to != cell:
            away = (m.place[to, 0] - row) ** 2 + (m.place[to, 1] - column) ** 2
            if away < least:
                best, least = np.int64(d), away
    return best


@kernel
def move_eater(p, m, e, action):
    """Moves the eater, straight on where its way is shut; returns the reward."""
    cell = e.cell[0]
    d = action if m.next[cell, action] != cell else int(e.heading[0])
    if m.next[cell, d] != cell:
        cell = e.cell[0] = m.next[cell, d]
        e.heading[0] = d
    food = e.food[m.at[cell]]
    if food == 0:
        return TICK
    e.food[m.at[cell]] = 0
    e.left -= 1
    if food == POWER:
        e.power = p.power
        turn(e)
        for g in range(GHOSTS):
            if e.mode[g] == HUNTS:
                e.mode[g] = SCARED
    return TICK + PELLET_REWARD


@kernel
def move_ghost(p, m, e, g):
    """Moves a ghost by its speed; whoever comes to a cell decides there how it goes on."""
    if e.wait[g] > 0:
        e.wait[g] -= 1
        return
    way = e.way[g] + (p.speed if e.mode[g] == HUNTS else SLOW if e.mode[g] == SCARED else FULL)
    if way >= FULL:
        way -= FULL
        e.cell[1 + g] = m.next[e.cell[1 + g], e.heading[1 + g]]
        e.earlier[g], e.last[g] = e.last[g], e.heading[1 + g]
        if e.mode[g] == EYES and e.cell[1 + g] == m.home:
            e.mode[g] = HUNTS
        e.heading[1 + g] = decide(p, m, e, g)
    e.way[g] = way


@kernel
def tick_clocks(p, e):
    """Power fades; while there is none, ghosts scatter and chase in turn."""
    if e.power > 0:
        e.power -= 1
        if e.power == 0:
            for g in range(GHOSTS):
                if e.mode[g] == SCARED:
                    e.mode[g] = HUNTS
        return
    e.clock -= 1
    if e.clock == 0:
        e.scatters = 1 - e.scatters
        e.clock = p.scatter if e.scatters else p.chase
        turn(e)


@kernel
def step_one(p, s, i, action):
    """One tick: ghosts move, then the eater; where they meet, one of both is eaten. Returns reward and end.

    Ghosts move first, so that they do not see where the eater goes.
    """
    e = s[i]
    m = p.mazes[e.maze]
    for k in range(1 + GHOSTS):
        e.came[k] = e.cell[k]
    tick_clocks(p, e)
    for g in range(p.ghosts):
        move_ghost(p, m, e, g)
    reward, is_caught, eaten = move_eater(p, m, e, action), False, 0
    for g in range(p.ghosts):
        cell = e.cell[1 + g]
        if cell == e.cell[0] or (cell == e.came[0] and e.cell[0] == e.came[1 + g]):
            is_caught |= e.mode[g] == HUNTS
            if e.mode[g] == SCARED:
                e.mode[g], e.way[g], eaten = EYES, 0, eaten + 1
                e.heading[1 + g] = p.toward[e.maze, cell, m.home]
    e.info.cost, e.info.ghosts = is_caught, eaten
    e.info.pellets = (m.pellets - e.left) / m.pellets
    e.info.success = e.left == 0 and not is_caught
    reward += GHOST * eaten + CAUGHT * is_caught + CLEARED * e.info.success
    return np.int64(reward), is_caught or e.info.success


@kernel
def mask_one(p, s, i, mask):
    """Nobody runs into a wall."""
    m, cell = p.mazes[s[i].maze], s[i].cell[0]
    for d in range(4):
        mask[i, d] = m.next[cell, d] != cell


@kernel
def nearest_food(p, m, e):
    """The cell of the nearest pellet; the eater's own where there is none."""
    cell = int(e.cell[0])
    for k in range(m.cells):
        to = int(p.near[e.maze, cell, k])
        if e.food[m.at[to]] > 0:
            return to
    return cell


@kernel
def way_to_food(p, m, e):
    """The direction of the nearest pellet."""
    return int(p.toward[e.maze, e.cell[0], nearest_food(p, m, e)])


@kernel
def way_to_prey(p, m, e):
    """The direction of the nearest scared ghost that can be caught in time, -1 where there is none."""
    best, least = -1, int(e.power)
    for g in range(p.ghosts):
        away = int(p.away[e.maze, e.cell[0], e.cell[1 + g]])
        if e.mode[g] == SCARED and away < least:
            best, least = int(p.toward[e.maze, e.cell[0], e.cell[1 + g]]), away
    return best


@kernel
def threats(p, m, e):
    """How many steps away the nearest ghost that hunts comes next, on shortest ways in each direction.

    Returns 8 bits for each direction, the first in the lowest; 255 where there is none.
    """
    cell, least = e.cell[0], (1 << 32) - 1
    for g in range(p.ghosts):
        if e.mode[g] == HUNTS:
            to = m.next[e.cell[1 + g], e.heading[1 + g]]
            to = e.cell[1 + g] if to == cell else to
            shift, steps = 8 * int(p.toward[e.maze, cell, to]), int(p.away[e.maze, cell, to])
            least += (min(0, steps - (least >> shift & 255))) << shift
    return least


@kernel
def distance_class(threat, d):
    """0 (a ghost is at most two steps away in a direction) to 3 (more than eight)."""
    steps = threat >> 8 * d & 255
    return (steps > NEAR[0]) + (steps > NEAR[1]) + (steps > NEAR[2])


@kernel
def observe_index(p, s, i, obs):
    """Where prey or food is, the last direction, and on each side a wall, or how near ghosts are that way."""
    e = s[i]
    m, prey = p.mazes[e.maze], way_to_prey(p, p.mazes[e.maze], e)
    number, threat = 4 + prey if prey >= 0 else way_to_food(p, m, e), threats(p, m, e)
    number = 4 * number + e.heading[0]
    for d in range(4):
        number = 5 * number + (0 if m.next[e.cell[0], d] == e.cell[0] else 1 + distance_class(threat, d))
    obs[i] = number


@kernel
def inside(k, count):
    """A row or column, of the maze or beyond a rim, where it goes on at the other one."""
    return k + count if k < 0 else k - count if k >= count else k


@kernel
def mark(m, planes, plane, here, cell, value):
    """Writes a number into a plane wherever a cell is in view, if that holds less."""
    v = inside(m.place[cell, 0] - m.place[here, 0] + EDGE, m.sides[0])
    left = inside(m.place[cell, 1] - m.place[here, 1] + EDGE, m.sides[1])
    while v < VIEW:
        u = left
        while u < VIEW:
            at = plane * AREA + v * VIEW + u
            planes[at] = max(planes[at], value)
            u += m.sides[1]
        v += m.sides[0]


@kernel
def observe_grid(p, s, i, obs):
    """Planes around the eater, who sees through tunnels; see `observation_names` of the world."""
    e, planes = s[i], obs[i].reshape(obs[i].size)
    m = p.mazes[e.maze]
    here, high, wide = int(e.cell[0]), int(m.sides[0]), int(m.sides[1])
    row, column = int(m.place[here, 0]), int(m.place[here, 1])
    left, right = wide if column < EDGE else 0, -wide if column >= wide - EDGE else 0
    planes[2 * AREA :] = 0
    for v in range(VIEW):
        start = m.at[here] - EDGE + (inside(row + v - EDGE, high) - row) * STRIDE
        for k in (0, VIEW - 8):  # eight cells of a row, and the last eight
            at, cell = v * VIEW + k, start + k
            put_word(planes, at, word_of(m.free, cell))
            food = word_of(e.food, cell)  # with nothing beyond a rim
            if left != 0:
                food |= word_of(e.food, cell + left)
            if right != 0:
                food |= word_of(e.food, cell + right)
            put_word(planes, AREA + at, food)
    for g in range(p.ghosts):
        cell, mode = e.cell[1 + g], e.mode[g]
        if mode == HUNTS:
            mark(m, planes, 2, here, m.next[cell, e.heading[1 + g]], 128)
        mark(m, planes, 2 + mode, here, cell, 32 + 4 * e.power if mode == SCARED else 255)
    mark(m, planes, 5, here, m.next[here, way_to_food(p, m, e)], 255)


@kernel
def rules_one(p, s, i):
    """What one would program first: go for prey or food, but not where a ghost is near."""
    e = s[i]
    m = p.mazes[e.maze]
    prey, threat = way_to_prey(p, m, e), threats(p, m, e)
    aim = prey if prey >= 0 else way_to_food(p, m, e)
    best, most = 0, -1
    for d in range(4):
        to = m.next[e.cell[0], d]
        if to != e.cell[0]:
            worth = 4 * min(2, distance_class(threat, d)) + 2 * (d == aim) + (d == e.heading[0])
            if worth > most:
                best, most = d, worth
    return best
