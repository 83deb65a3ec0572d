"""The dynamics of a robot vacuum: all that ever happens, as functions over (params, state, i)."""

import numpy as np

from ..core import draw_lot, kernel, next_u64, put_word
from .state import FORWARD, LEFT, RIGHT, SENSED, SIDE, STEPS

PET_MOVES = 256  # chance of 1024 that the pet takes a step
CLEAN, DONE, TICK, PET, FLAT = 1024, 10240, -32, -256, -10240  # rewards in 1/1024
VIEW, AREA = 9, 81  # side and area of the square that the grid shows, cells
HALF = VIEW // 2
PLANES = 12
CAUTION = 12  # battery that is kept beyond what the way home takes
CLEAN_UP, EXPLORE, GO_HOME = 0, 1, 2  # what a sign leads to
NO_SIGN = 12

ONE, LINE = np.uint64(1), np.uint64(0xFFFF)
DOWN, UP = np.uint64(16), np.uint64(48)  # shifts by a line, within a word and into the next one
BITS = 255 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
SPREAD = np.stack([BITS, BITS[:, ::-1]]).view("<u8")[..., 0]  # as bytes, in their order and turned round


@kernel
def has(board, cell):
    """Whether a cell's bit is set in a board's (WORDS,) words."""
    return (board[cell >> 6] >> np.uint64(cell & 63)) & ONE != 0


@kernel
def line_of(board, k):
    """The 16 bits of a line, the first cell the lowest."""
    return np.int64((board[k >> 2] >> np.uint64(16 * (k & 3))) & LINE)


@kernel
def turned(cell):
    """A cell's number where lines are columns."""
    return (cell % SIDE) * SIDE + cell // SIDE


@kernel
def sense_lines(is_open, known, cell):
    """Adds to the known cells those around the cell, and those around each of these that is open."""
    row, column = cell // SIDE, cell % SIDE
    above = line_of(is_open, row - 1) & (7 << column >> 1)
    here = line_of(is_open, row) & (7 << column >> 1)
    below = line_of(is_open, row + 1) & (7 << column >> 1)
    for k in range(max(0, row - 2), min(SIDE, row + 3)):
        away = k - row
        bits = (above if away < 1 else 0) | (here if -1 <= away <= 1 else 0) | (below if away > -1 else 0)
        bits |= bits << 1 | bits >> 1
        known[k >> 2] |= np.uint64(bits & 0xFFFF) << np.uint64(16 * (k & 3))


@kernel
def sense(p, t, e):
    """Discovers what is around the robot; who remembers nothing knows nothing else."""
    if not p.remembered:
        e.known[:] = 0
    sense_lines(t.open[0], e.known[0], np.int64(e.cell))
    sense_lines(t.open[1], e.known[1], turned(np.int64(e.cell)))


@kernel
def reset_one(p, s, i):
    """Begins at the dock of a flat, facing up."""
    e = s[i]
    e.flat = e.ask_flat - 1 if e.ask_flat > 0 else draw_lot(e.rng, p.lots)
    t = p.flats[e.flat]
    e.ask_flat = e.heading = e.faced = e.bumped = 0
    e.cell = e.came = t.dock
    e.pet = e.pet_came = t.pet
    e.battery, e.dirty = t.battery, t.dirty
    e.dirt = t.dirt
    e.known[:] = 0
    e.info.success = e.info.flat_battery = False
    e.info.cost = e.info.bumps = 0
    e.info.cleaned = 0.0
    sense(p, t, e)


@kernel
def move(p, t, e, action):
    """Turns the robot, or moves it a cell; returns the cell for which it makes."""
    e.bumped = e.info.cost = 0
    if p.turns and action != FORWARD:
        e.heading = (e.heading + (3 if action == LEFT else 1)) & 3
        return np.int64(e.cell)
    if not p.turns:
        e.heading = action
    to = np.int64(e.cell) + STEPS[e.heading]
    if has(t.open[0], to) and to != e.pet:
        e.cell = to
    else:
        e.bumped = 1
        e.info.cost = to == e.pet
    return to


@kernel
def move_pet(t, e, to):
    """The pet steps aside when hit, else now and then; not onto the dock, nor where the robot was or goes.

    It takes the first way that is free, from any direction on clockwise.
    """
    e.pet_came = e.pet
    if e.pet > 0:
        draw = next_u64(e.rng)
        if e.info.cost > 0 or np.int64(draw & np.uint64(1023)) < PET_MOVES:
            first = np.int64(draw >> np.uint64(62))
            for turn in range(4):
                cell = np.int64(e.pet_came) + STEPS[(first + turn) & 3]
                if has(t.open[0], cell) and cell != e.came and cell != to and cell != t.dock:
                    e.pet = cell
                    break


@kernel
def step_one(p, s, i, action):
    """One tick: the robot and the pet move, and it sucks where it is then. Returns reward and the end."""
    e = s[i]
    t = p.flats[e.flat]
    e.came, e.faced = e.cell, e.heading
    move_pet(t, e, move(p, t, e, action))
    cell = np.int64(e.cell)
    cleans = has(e.dirt[0], cell)
    if cleans:
        other = turned(cell)
        e.dirt[0, cell >> 6] ^= ONE << np.uint64(cell & 63)
        e.dirt[1, other >> 6] ^= ONE << np.uint64(other & 63)
        e.dirty -= 1
        e.info.cleaned = (t.dirty - e.dirty) / t.dirty
    if e.cell != e.came or not p.remembered:
        sense(p, t, e)
    e.battery = t.battery if cell == t.dock else max(0, e.battery - 1 - has(t.carpet[0], cell))
    e.info.bumps = e.bumped
    e.info.success = e.dirty == 0 and cell == t.dock
    e.info.flat_battery = e.battery == 0
    reward = TICK + CLEAN * cleans + PET * e.info.cost + DONE * e.info.success + FLAT * e.info.flat_battery
    return np.int64(reward), e.info.success or e.info.flat_battery


@kernel
def seen_from(down, right, heading):
    """A difference in rows and columns for who faces a heading: what is ahead is up."""
    if heading >> 1:
        down, right = -down, -right
    return (-right, down) if heading & 1 else (down, right)


@kernel
def put_line(planes, at, bits, back):
    """Writes nine bits as bytes of 0 or 255, turned round where lines run back."""
    put_word(planes, at, np.uint64(SPREAD[back, bits >> back & 255]))
    planes[at + 8] = 255 * (bits >> (0 if back else 8) & 1)


@kernel
def put_cell(e, cell, heading, planes, plane, value, most):
    """Marks a cell in a plane, where it is at most so many cells away in both directions."""
    down, right = cell // SIDE - e.cell // SIDE, cell % SIDE - e.cell % SIDE
    if max(abs(down), abs(right)) <= most:
        down, right = seen_from(down, right, heading)
        planes[plane * AREA + (HALF + down) * VIEW + HALF + right] = value


@kernel
def observe_grid(p, s, i, obs):
    """Planes around the robot, ahead of it up; see `observation_names` of the world."""
    e, planes = s[i], obs[i].reshape(obs[i].size)
    t = p.flats[e.flat]
    heading = np.int64(e.heading) if p.turns else 0
    planes[: 6 * AREA] = 0
    lines, back, first = heading & 1, heading >> 1, 1 - 2 * (0 < heading < 3)
    row, column = e.cell // SIDE, e.cell % SIDE
    if lines == 1:
        row, column = column, row
    for v in range(VIEW):
        k = row + first * (v - HALF)
        if 0 <= k < SIDE:
            known = line_of(e.known[lines], k)
            ways = line_of(t.open[lines], k) & known
            dirt, carpet = line_of(e.dirt[lines], k) & known, line_of(t.carpet[lines], k) & known
            at = v * VIEW
            put_line(planes, at, (known & ~ways) << HALF >> column & 511, back)
            put_line(planes, AREA + at, ways << HALF >> column & 511, back)
            put_line(planes, 2 * AREA + at, dirt << HALF >> column & 511, back)
            put_line(planes, 3 * AREA + at, carpet << HALF >> column & 511, back)
    if e.pet > 0:
        put_cell(e, np.int64(e.pet), heading, planes, 4, 255, SENSED)
    put_cell(e, np.int64(t.dock), heading, planes, 5, 255, HALF)
    down, right = t.dock // SIDE - e.cell // SIDE, t.dock % SIDE - e.cell % SIDE
    down, right = seen_from(down, right, heading)
    planes[6 * AREA : 7 * AREA] = e.battery
    planes[7 * AREA : 8 * AREA] = 128 + 9 * down
    planes[8 * AREA : 9 * AREA] = 128 + 9 * right
    planes[9 * AREA : 10 * AREA] = 255 * e.bumped
    planes[10 * AREA :] = 0
    to, purpose = sign(t, e)
    if to >= 0:
        put_cell(e, e.cell + STEPS[to], heading, planes, 10, 255 - 85 * purpose, 1)
    put_cell(e, e.cell + STEPS[homewards(t, e)], heading, planes, 11, 255 if must_return(t, e) else 85, 1)


@kernel
def grow(a, b, c, d):
    """The four words of a board, each set cell with its neighbours; outer walls keep lines apart."""
    return (
        a | a << ONE | a >> ONE | a << DOWN | a >> DOWN | b << UP,
        b | b << ONE | b >> ONE | b << DOWN | b >> DOWN | a >> UP | c << UP,
        c | c << ONE | c >> ONE | c << DOWN | c >> DOWN | b >> UP | d << UP,
        d | d << ONE | d >> ONE | d << DOWN | d >> DOWN | c >> UP,
    )


@kernel
def holds(a, b, c, d, cell):
    """Whether a cell's bit is set in the four words of a board."""
    word = a if cell < 64 else b if cell < 128 else c if cell < 192 else d
    return (word >> np.uint64(cell & 63)) & ONE != 0


@kernel
def way_to(ways, goals, cell, heading):
    """The heading in which the nearest goal lies, by cells that are ways; -1 where none can be reached.

    The goals grow, all at once, until they reach the cell; of several headings the first one counts,
    beginning with the robot's own.
    """
    wa, wb, wc, wd = ways
    a, b, c, d = goals
    while True:
        for turn in (0, 3, 1, 2):
            to = (heading + turn) & 3
            if holds(a, b, c, d, cell + STEPS[to]):
                return to
        ga, gb, gc, gd = grow(a, b, c, d)
        ga, gb, gc, gd = ga & wa | a, gb & wb | b, gc & wc | c, gd & wd | d
        if ga == a and gb == b and gc == c and gd == d:
            return np.int64(-1)
        a, b, c, d = ga, gb, gc, gd


@kernel
def sign(t, e):
    """Where the known map leads: (heading, purpose); heading -1 where it leads nowhere."""
    known, dirt, is_open = e.known[0], e.dirt[0], t.open[0]
    cell, heading = np.int64(e.cell), np.int64(e.heading)
    ka, kb, kc, kd = known[0], known[1], known[2], known[3]
    ways = is_open[0] & ka, is_open[1] & kb, is_open[2] & kc, is_open[3] & kd
    goals = dirt[0] & ka, dirt[1] & kb, dirt[2] & kc, dirt[3] & kd
    to = way_to(ways, goals, cell, heading)
    if to >= 0:
        return to, CLEAN_UP
    ga, gb, gc, gd = grow(~ka, ~kb, ~kc, ~kd)
    to = way_to(ways, (ga & ways[0], gb & ways[1], gc & ways[2], gd & ways[3]), cell, heading)
    if to >= 0:
        return to, EXPLORE
    return (homewards(t, e), GO_HOME) if cell != t.dock else (np.int64(-1), GO_HOME)


@kernel
def homewards(t, e):
    """The heading of the neighbouring cell from which the way home takes the least battery."""
    best, least = np.int64(0), np.int64(256)
    for turn in (0, 3, 1, 2):
        to = (e.heading + turn) & 3
        need = np.int64(t.home[to, e.cell + STEPS[to]])
        if need < least:
            best, least = np.int64(to), need
    return best


@kernel
def must_return(t, e):
    """Whether the battery suffices for little more than the way home."""
    return e.battery <= t.home[e.heading, e.cell] + CAUTION


@kernel
def beside(t, e, turn):
    """What is on a side: 0 clean floor, 1 in the way, 2 dirt."""
    to = e.cell + STEPS[(e.heading + turn) & 3]
    return 1 if to == e.pet or not has(t.open[0], to) else 2 if has(e.dirt[0], to) else 0


@kernel
def observe_index(p, s, i, obs):
    """The sign of the known map, the way home, whether it is time for it, and what is on three sides."""
    e = s[i]
    t = p.flats[e.flat]
    to, purpose = sign(t, e)
    number = 3 * ((to - e.heading) & 3) + purpose if to >= 0 else NO_SIGN
    number = (4 * number + ((homewards(t, e) - e.heading) & 3)) * 2 + must_return(t, e)
    for turn in (3, 0, 1):
        number = 3 * number + beside(t, e, turn)
    obs[i] = number


@kernel
def steer(p, e, to):
    """The action that brings the robot towards a heading."""
    turn = (to - e.heading) & 3
    return np.int64(to if not p.turns else FORWARD if turn == 0 else LEFT if turn == 3 else RIGHT)


@kernel
def follow_one(p, s, i):
    """Keeps a wall at its left, as the first robots did; it reads no map, and never heads for the dock."""
    e = s[i]
    t = p.flats[e.flat]
    corner = e.cell + STEPS[(e.heading + 3) & 3] + STEPS[(e.heading + 2) & 3]
    if e.cell != e.came and beside(t, e, 3) != 1 and not has(t.open[0], corner):
        return steer(p, e, (e.heading + 3) & 3)
    for turn in (0, 1, 3):
        if beside(t, e, turn) != 1:
            return steer(p, e, (e.heading + turn) & 3)
    return steer(p, e, (e.heading + 2) & 3)


@kernel
def explore_one(p, s, i):
    """Follows the sign of the known map, and goes home in time: what one would program first."""
    e = s[i]
    t = p.flats[e.flat]
    to, _ = sign(t, e)
    return steer(p, e, to if to >= 0 and not must_return(t, e) else homewards(t, e))
