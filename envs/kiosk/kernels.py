"""The kiosk's dynamics: scalar functions over (params, state, i), where alone an episode advances.

`p` is a `KioskParams`, `e` one state record. What a kiosk changes is found in passes over the points, one
after the other, each so plain that the compiler does many points at once.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel, rare_kernel
from ..core.lots import draw_lot
from ..core.rng import next_u64
from .state import COVERAGE, NOWHERE, NUM_WALKS, P_CENTER, P_MEDIAN, REVENUE

# ---------------------------------------------------------------- distances of fresh cities


@kernel
def steps_between(x, y, other_x, other_y):
    """Steps between two places of a fresh city: the distance, rounded to the nearest.

    Single precision is exact here (see `state.SIDE`), and twice as many fit into a register.
    """
    dx = np.float32(x) - np.float32(other_x)
    dy = np.float32(y) - np.float32(other_y)
    return np.int32(np.sqrt(dx * dx + dy * dy) + np.float32(0.5))


@kernel
def attraction_at(r, steps):
    """Attraction of a kiosk so many steps away, as `objective.attractions` has it."""
    far = (steps + np.float64(r.radius)) / r.radius
    return max(np.int64(np.rint(r.attraction / (far * far))), 1)


# ---------------------------------------------------------------- what an objective counts


@kernel
def total_walk(weights, steps):
    """The sum over all people of the steps that they walk."""
    total = np.int64(0)
    for j in range(len(steps)):
        total += np.int64(weights[j]) * np.int64(steps[j])
    return total


@kernel
def worst_walk(weights, steps):
    """The most steps that anybody walks; nobody lives at points without weight."""
    worst = np.int32(0)
    for j in range(len(steps)):
        worst = max(worst, np.int32(steps[j] if weights[j] > 0 else 0))
    return np.int64(worst)


@kernel
def covered(weights, steps, radius):
    """How many people walk no further than the radius."""
    people = np.int32(0)
    for j in range(len(steps)):
        people += np.int32(weights[j] if steps[j] <= radius else 0)
    return np.int64(people)


@kernel
def revenue(weights, own, theirs):
    """People won from the rivals, in 1/1024."""
    total = np.int64(0)
    for j in range(len(own)):
        total += 1024 * np.int64(weights[j]) * own[j] // (np.int64(own[j]) + theirs[j])
    return total


@kernel
def count_total(p, e):
    """The objective of the kiosks that stand; there must be one."""
    r = p.rules[0]
    weights = p.weights[np.uint64(e.instance)]
    if r.objective == P_MEDIAN:
        return total_walk(weights, e.nearest)
    if r.objective == P_CENTER:
        return worst_walk(weights, e.nearest)
    if r.objective == COVERAGE:
        return covered(weights, e.nearest, r.radius)
    return revenue(weights, e.own, e.theirs)


@kernel
def value_of(instance, total):
    """A total in 1/1024 of the reward's unit. Differences of these floors telescope: returns are exact."""
    return total * instance.scale // instance.per


# ---------------------------------------------------------------- placing a kiosk


@kernel
def walk_to(p, e, site, number):
    """Sends everybody to kiosk `number`, on `site`, who is nearer to it than to those before."""
    row = p.distances[np.uint64(e.instance), np.uint64(site)]
    nearest = e.nearest
    visits = e.visits
    for j in range(len(nearest)):
        steps = row[j]
        nearer = steps < nearest[j]
        nearest[j] = steps if nearer else nearest[j]
        visits[j] = number if nearer else visits[j]


@kernel
def walk_to_fresh(e, site, number):
    """The same in a fresh city, which has no table of distances."""
    x = e.x
    y = e.y
    nearest = e.nearest
    visits = e.visits
    here_x = x[site]
    here_y = y[site]
    for j in range(len(nearest)):
        steps = steps_between(x[j], y[j], here_x, here_y)
        nearer = steps < nearest[j]
        nearest[j] = steps if nearer else nearest[j]
        visits[j] = number if nearer else visits[j]


@kernel
def save_walks(p, e, site):
    """Brings `walks` up to date for a kiosk on a site, before anybody goes there.

    Only points that come nearer to a kiosk matter (Whitaker, "A fast algorithm for the greedy interchange for
    large-scale clustering and median location problems", INFOR 21, 1983).
    """
    limits = p.instances[np.uint64(e.instance)].limits
    weights = p.weights[np.uint64(e.instance)]
    row = p.distances[np.uint64(e.instance), np.uint64(site)]
    for level in range(NUM_WALKS):
        walks = e.walks[level]
        for j in range(len(weights)):
            away = np.int64(row[j])
            nearer = min(np.int64(e.nearest[j]), np.int64(limits[level])) - away
            if nearer > 0:
                weight = np.int64(weights[j])
                back = p.distances_back[np.uint64(e.instance), np.uint64(j)]
                for k in range(len(walks)):
                    further = max(np.int64(back[k]), away) - away
                    walks[k] -= weight * min(further, nearer)


@kernel
def save_walks_fresh(p, e, site):
    """The same in a fresh city, where the costly part is the distance: once for all limits."""
    limits = p.instances[0].limits
    x = e.x
    y = e.y
    walks = e.walks[0]
    far_walks = e.walks[1]
    near_walks = e.walks[2]
    for j in range(len(x)):
        there_x = x[j]
        there_y = y[j]
        away = steps_between(there_x, there_y, x[site], y[site])
        nearer = np.int32(min(e.nearest[j], limits[0]) - away)
        if nearer > 0:
            far_nearer = np.int32(min(nearer, max(limits[1] - away, 0)))
            near_nearer = np.int32(min(nearer, max(limits[2] - away, 0)))
            for k in range(len(x)):
                steps = steps_between(there_x, there_y, x[k], y[k])
                further = np.int32(max(steps, away) - away)
                walks[k] -= min(further, nearer)
                if far_nearer > 0:
                    far_walks[k] -= min(further, far_nearer)
                    near_walks[k] -= min(further, near_nearer)


@kernel
def attract(p, e, site, to):
    """Adds the attraction of a kiosk on a site to what the points are under already, `to`."""
    r = p.rules[0]
    if r.fresh:
        for j in range(len(to)):
            to[j] += attraction_at(r, steps_between(e.x[j], e.y[j], e.x[site], e.y[site]))
    else:
        row = p.pulls[np.uint64(e.instance), np.uint64(site)]
        for j in range(len(to)):
            to[j] += row[j]


@kernel
def place(p, e, site):
    """Places the next kiosk, if there is one left; on a taken site, or with -1, it is wasted."""
    number = e.placed
    if number >= p.instances[np.uint64(e.instance)].num_kiosks:  # only in a record that somebody made up
        return
    e.placed += 1
    if site < 0 or e.taken[np.uint64(site)]:
        return
    e.kiosks[number] = site
    e.taken[site] = 1
    if p.rules[0].fresh:
        if p.rules[0].walks:
            save_walks_fresh(p, e, site)
        walk_to_fresh(e, site, number)
    else:
        if p.rules[0].walks:
            save_walks(p, e, site)
        walk_to(p, e, site, number)
    if p.rules[0].objective == REVENUE:
        attract(p, e, site, e.own)
    e.total = count_total(p, e)


@kernel
def report(p, e):
    """Writes what a step reports."""
    instance = p.instances[np.uint64(e.instance)]
    e.info.total = e.total
    e.info.objective = value_of(instance, e.total) / 1024.0
    e.info.optimum = instance.optimum
    e.info.regret = -1.0
    if instance.optimum >= 0:
        e.info.regret = abs(e.total - instance.optimum) / max(instance.optimum, 1)


@kernel
def step_one(p, s, i, action):
    """Places a kiosk. Returns the reward in 1/1024, and whether it was the last one."""
    e = s[i]
    instance = p.instances[np.uint64(e.instance)]
    before = value_of(instance, e.total)
    place(p, e, action)
    report(p, e)
    gain = before - value_of(instance, e.total)
    if p.rules[0].objective >= COVERAGE:
        gain = -gain
    return np.int64(gain), e.placed >= instance.num_kiosks


# ---------------------------------------------------------------- beginning


@rare_kernel
def measure_city(p, e):
    """Writes how far everybody in a fresh city walks to each single site.

    Returns:
        The greatest distance from a free site to anybody.
    """
    far = p.instances[0].limits[1]
    near = p.instances[0].limits[2]
    limited = p.rules[0].walks
    x = e.x
    y = e.y
    alone = e.alone
    far_walks = e.walks[1]
    near_walks = e.walks[2]
    taken = e.taken
    farthest = np.int32(0)
    for k in range(len(alone)):
        alone[k] = 0
        if limited:
            far_walks[k] = 0
            near_walks[k] = 0
    for j in range(len(x)):
        there_x = x[j]
        there_y = y[j]
        for k in range(len(alone)):
            steps = steps_between(there_x, there_y, x[k], y[k])
            alone[k] += steps
            farthest = max(farthest, np.int32(0 if taken[k] else steps))
            if limited:
                far_walks[k] += min(steps, far)
                near_walks[k] += min(steps, near)
    return farthest


@kernel
def worst_alone(e):
    """The most steps of everybody to a single free site of a fresh city."""
    most = np.int32(0)
    for k in range(len(e.alone)):
        most = max(most, np.int32(0 if e.taken[k] else e.alone[k]))
    return most


@kernel
def draw_city(p, e):
    """Draws the places of a fresh city."""
    x = e.x
    y = e.y
    for j in range(len(x)):
        bits = next_u64(e.rng)
        x[j] = np.int32(bits >> np.uint64(54))
        y[j] = np.int32((bits >> np.uint64(44)) & np.uint64(1023))


@rare_kernel
def open_city(p, e):
    """Makes a record an episode's beginning; its instance, and a fresh city's places, are chosen already."""
    instance = p.instances[e.instance]
    taken = p.taken[e.instance]
    for k in range(len(taken)):
        e.taken[k] = taken[k]
    for k in range(len(e.kiosks)):
        e.kiosks[k] = -1
    e.start = instance.start
    if p.rules[0].fresh:
        farthest = measure_city(p, e)
        if p.rules[0].objective == P_MEDIAN:
            e.start = worst_alone(e)
        elif p.rules[0].objective == P_CENTER:
            e.start = farthest
    if p.rules[0].walks:
        if p.rules[0].fresh:
            for k in range(len(e.alone)):
                e.walks[0, k] = e.alone[k]
        else:
            for level in range(NUM_WALKS):
                walks = p.walks[e.instance, level]
                for k in range(len(walks)):
                    e.walks[level, k] = walks[k]
    for j in range(len(e.nearest)):
        e.nearest[j] = NOWHERE if j < instance.num_points else 0
        e.visits[j] = -1
    if p.rules[0].objective == REVENUE:
        theirs = p.theirs[e.instance]
        for j in range(len(theirs)):
            e.own[j] = 0
            e.theirs[j] = theirs[j]
        if p.rules[0].fresh:
            for k in range(len(taken)):
                if taken[k]:
                    attract(p, e, k, e.theirs)
    e.placed = 0
    e.total = e.start
    report(p, e)


@rare_kernel
def reset_one(p, s, i):
    """Begins an episode, in the city asked for or a random one."""
    e = s[i]
    if e.ask_instance > 0:
        e.instance = e.ask_instance - 1
        e.ask_instance = 0
    else:
        e.instance = draw_lot(e.rng, p.lots)
    if p.rules[0].fresh:
        draw_city(p, e)
    open_city(p, e)


@kernel
def mask_one(p, s, i, mask):
    """Tells the sites where a kiosk can be placed."""
    taken = s[i].taken
    row = mask[i]
    for k in range(len(taken)):
        row[k] = 1 - taken[k]


@kernel
def rebuild(p, e, kiosks, placed):
    """Makes a record again from what it says of its city and its kiosks; what it kept for speed follows.

    Args:
        p: tables.
        e: the record.
        kiosks: its kiosks, copied, since the record's own are written.
        placed: how many of them have been placed.
    """
    open_city(p, e)
    for k in range(placed):
        place(p, e, kiosks[k])
    report(p, e)
