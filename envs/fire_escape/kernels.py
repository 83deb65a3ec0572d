"""The dynamics of a burning building: all that ever happens there, as functions over (params, state, i)."""

import numpy as np

from ..core import chance, eight, kernel, later_u64, put_word, rare_kernel, skip, uniform_int, word_of
from .state import CELLS, DOOR, EXIT, EXITS, FAR, FIRE, FLOOR, HEIGHT, NEAREST, OUTER, STEPS, WALL, WIDTH

ROOM = 3  # cells that a room is wide and high, at least
ALARM = 24  # ticks that it has burnt when the alarm goes off
TRIP = 10  # steps from a start to the nearest exit, at least
SIGHT = 4  # steps ahead within which fire is seen
HARMLESS = 4  # level of smoke that takes no health
VIEW, AREA = 11, 121  # side and area of the square that the grid shows, cells
ESCAPE, NEARER, TICK, BREATH, HARM = 10240, 512, -51, -20, -10240  # rewards in 1/1024


@kernel
def any_cell(e):
    """Draws a cell of floor where nobody stands and nothing burns."""
    while True:
        cell = uniform_int(e.rng, CELLS)
        if e.kind[cell] == FLOOR and e.taken[cell] == 0 and e.smoke[cell] < FIRE:
            return cell


@kernel
def floor(e, cell, step):
    """How many cells of floor follow in a direction."""
    count = 0
    while e.kind[cell + (count + 1) * step] == FLOOR:
        count += 1
    return count


@kernel
def measure(e, steps, start):
    """Writes each cell's (CELLS,) steps to an exit: breadth-first, the queue where fires are listed later."""
    steps[:] = FAR
    steps[start], e.burning[0] = 0, start
    head, tail = 0, 1
    while head < tail:
        cell = e.burning[head]
        e.burning[head] = 0
        head += 1
        for step in STEPS:
            if e.kind[cell + step] < WALL and steps[cell + step] == FAR:
                steps[cell + step] = steps[cell] + 1
                e.burning[tail] = cell + step
                tail += 1


@rare_kernel
def build(e):
    """Divides the floor by walls, none of which ends at a door: so all rooms are connected. Adds exits."""
    for cell in range(CELLS):
        inside = 2 * WIDTH <= cell < CELLS - 2 * WIDTH and 2 <= cell % WIDTH < WIDTH - 2
        e.kind[cell] = FLOOR if inside else OUTER
    for _ in range(80):
        cell, turn = any_cell(e), uniform_int(e.rng, 2)
        along, across = STEPS[turn], STEPS[turn + 1]
        first = cell - along * floor(e, cell, -along)
        length = 1 + floor(e, first, along)
        is_wide = min(floor(e, cell, across), floor(e, cell, -across)) >= ROOM
        if is_wide and min(e.kind[first - along], e.kind[first + length * along]) >= WALL:
            for k in range(length):
                e.kind[first + k * along] = WALL
            for _ in range(1 + length // 7):
                e.kind[first + along * uniform_int(e.rng, length)] = DOOR
    side = uniform_int(e.rng, 4)
    for g in range(EXITS):
        cell, step = any_cell(e), STEPS[(side + g) % 4]
        while e.kind[cell] != OUTER:
            cell = any_cell(e)
            cell += step * (1 + floor(e, cell, step))
        e.kind[cell] = EXIT
        measure(e, e.plan[g], cell)
    for cell in range(CELLS):
        e.plan[NEAREST, cell] = min(min(e.plan[0, cell], e.plan[1, cell]), e.plan[2, cell])


@kernel
def ignite(e, cell):
    """Sets a cell on fire."""
    e.smoke[cell] = FIRE
    e.burning[e.num_burning] = cell
    e.num_burning += 1


@kernel
def spread(p, e):
    """Each burning cell throws a flame at one neighbour; smoke thickens beside what is thicker by two."""
    count = burning = int(e.num_burning)
    for n in range(count):
        draw = later_u64(e.rng, n + 1) >> np.uint64(52)  # evenly from 4 * 1024 numbers
        cell = np.uint64(e.burning[np.uint64(n)] + STEPS[draw & np.uint64(3)])
        smoke = e.smoke[cell]
        # Written whether it burns or not: branches on random numbers are slow.
        catches = (e.kind[cell] < EXIT) & (smoke < FIRE) & (np.int64(draw >> np.uint64(2)) < p.spread)
        e.smoke[cell] = FIRE if catches else smoke
        e.burning[np.uint64(burning)] = cell if catches else 0
        burning += catches
    e.num_burning = burning
    skip(e.rng, count)
    eight.thicken(e.smoke, e.kind, EXIT, 2 * WIDTH, CELLS - 2 * WIDTH, WIDTH)


@kernel
def way(e, g, cell):
    """The direction, 0 to 3, in which the sign to an exit points."""
    best = 0
    for d in range(1, 4):
        if e.plan[g, cell + STEPS[d]] < e.plan[g, cell + STEPS[best]]:
            best = d
    return best


@kernel
def burns(e, g, cell, sight):
    """Whether fire, or what was forged to be a wall, is on the next steps of the way to an exit."""
    for _ in range(min(sight, e.plan[g, cell])):
        cell += STEPS[way(e, g, cell)]
        if e.smoke[cell] == FIRE or e.kind[cell] >= WALL:
            return True
    return False


@rare_kernel
def reset_one(p, s, i):
    """Begins an episode: a building, two fires that burn until the alarm, the agent and the others."""
    e = s[i]
    e.taken[:] = e.people[:] = e.were[:] = e.info.cost = e.info.out = 0
    e.goal[:] = NEAREST
    e.info.success, e.info.health = False, 100
    start = 0
    while start == 0:  # hardly ever is there no such start in a building
        e.burning[:] = e.smoke[:] = e.num_burning = 0
        build(e)
        ignite(e, any_cell(e))
        ignite(e, any_cell(e))
        for _ in range(ALARM):
            spread(p, e)
        for _ in range(64):
            cell = any_cell(e)
            is_free = not (burns(e, 0, cell, FAR) and burns(e, 1, cell, FAR) and burns(e, 2, cell, FAR))
            if is_free and e.smoke[cell] <= HARMLESS and e.plan[NEAREST, cell] >= TRIP:
                start = cell
                break
    for k in range(1 + p.people):
        cell = any_cell(e) if k else start
        e.people[k] = e.were[k] = cell
        e.taken[cell] = 1


@kernel
def act(e, k, d):
    """Moves somebody in a direction, -1 for none; whoever sees fire then makes for the nearest other exit."""
    cell = e.people[k] + STEPS[d]
    if d >= 0 and e.kind[cell] < WALL and e.taken[cell] == 0 and (k == 0 or e.smoke[cell] < FIRE):
        e.taken[cell], e.taken[e.people[k]] = 1, 0
        e.people[k] = cell
    cell, least = e.people[k], 2 * FAR
    if burns(e, e.goal[k], cell, SIGHT):
        for g in range(EXITS):
            steps = e.plan[g, cell] + FAR * burns(e, g, cell, SIGHT)
            if steps < least:
                least, e.goal[k] = steps, g


@kernel
def step_one(p, s, i, action):
    """One tick: the agent moves, then the others, then fire and smoke. Returns reward and whether it ends."""
    e = s[i]
    before = int(e.plan[NEAREST, e.people[0]])
    for k in range(1 + p.people):
        cell = e.were[k] = e.people[k]
        if k > 0 and (e.smoke[cell] == FIRE or e.kind[cell] == EXIT):
            e.info.out += e.kind[cell] == EXIT
            e.taken[cell] = e.people[k] = 0
        elif cell > 0:
            act(e, k, action - 1 if k == 0 else way(e, e.goal[k], cell) if chance(e.rng, 768) else -1)
    spread(p, e)
    cell = e.people[0]
    breath = min(e.info.health, max(0, e.smoke[cell] - HARMLESS))
    e.info.health -= breath
    e.info.success = e.kind[cell] == EXIT
    e.info.cost = e.smoke[cell] == FIRE or e.info.health == 0
    reward = TICK + NEARER * (before - int(e.plan[NEAREST, cell])) + BREATH * breath
    reward += ESCAPE * e.info.success + HARM * e.info.cost
    return np.int64(reward), e.info.success or e.info.cost > 0


@kernel
def mask_one(p, s, i, mask):
    """Nobody runs into a wall; waiting is always possible."""
    mask[i, 0] = 1
    for d in range(4):
        mask[i, 1 + d] = s[i].kind[s[i].people[0] + STEPS[d]] < WALL


@kernel
def observe_index(p, s, i, obs):
    """Where the sign to the exit that it makes for points, the last move, and what is on each side."""
    e = s[i]
    cell, goal, last, around = e.people[0], e.goal[0], 4, 0
    for d in range(4):
        to = cell + STEPS[d]
        last = d if e.were[0] + STEPS[d] == cell else last
        smoke = 2 if e.smoke[to] > max(HARMLESS, e.smoke[cell]) else 0  # that harms, and is thicker than here
        what = 3 if e.smoke[to] == FIRE else 1 if e.taken[to] or e.kind[to] >= WALL else smoke
        around = 4 * around + what
    obs[i] = (way(e, goal, cell) * 5 + last) * 4**4 + around


@kernel
def observe_eight(e, here, cell, on_floor, planes, at):
    """Writes all planes of eight cells."""
    seen, smoke = eight.whole(eight.below(word_of(e.kind, cell), WALL)) & on_floor, word_of(e.smoke, cell)
    put_word(planes, at, np.uint64(19) * smoke & seen)
    put_word(planes, AREA + at, ~eight.whole(eight.below(smoke, FIRE)) & seen)
    put_word(planes, 2 * AREA + at, np.uint64(255) * word_of(e.taken, cell) & seen)
    for n in range(EXITS + 1):  # first the exit that the agent makes for
        plan = e.plan[np.uint64(e.goal[0] + n) % np.uint64(EXITS + 1)]
        nearer = eight.less(13 + int(plan[here]), word_of(plan, cell), 25)  # by -13 to 12 steps
        put_word(planes, (3 + n) * AREA + at, np.uint64(10) * nearer & seen)


@kernel
def observe_grid(p, s, i, obs):
    """Planes around the agent, 0 in walls: smoke, fire, people, and how much nearer each exit is."""
    e, planes = s[i], obs[i].reshape(obs[i].size)
    here, last = int(e.people[0]), VIEW - 8  # eight cells of a row, and the last eight
    planes[:] = 0
    left = here % WIDTH - VIEW // 2
    halves = eight.between(-left, WIDTH - left), eight.between(-left - last, WIDTH - left - last)
    for v in range(VIEW):
        if 0 < here // WIDTH + v - VIEW // 2 < HEIGHT - 1:
            cell, at = here + (v - VIEW // 2) * WIDTH - VIEW // 2, v * VIEW
            observe_eight(e, here, cell, halves[0], planes, at)
            observe_eight(e, here, cell + last, halves[1], planes, at + last)


@kernel
def rules_one(p, s, i):
    """What one would program first: follow the signs to the nearest exit, and never step into fire."""
    e = s[i]
    return 0 if burns(e, NEAREST, e.people[0], 1) else 1 + way(e, NEAREST, e.people[0])
