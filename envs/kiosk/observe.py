"""What the kiosk shows: features of each site, the city as planes, coordinates and who goes where, a number.

`p` is a `KioskParams`, `e` one state record.
"""

from __future__ import annotations

import numpy as np

from ..core.compiling import kernel
from .kernels import steps_between
from .state import (
    ALONE,
    FAR_WALK,
    GRID,
    KIOSK,
    LEFT,
    MOST,
    MOST_WALK,
    NEAR_WALK,
    NOWHERE,
    NUM_WALKS,
    REACH,
    RIVAL,
    SIDE,
    UNIT,
    WALK,
)

CELL_SHIFT = (SIDE // GRID).bit_length() - 1


# ---------------------------------------------------------------- sites


@kernel
def reaches(steps, unit, most):
    """Steps in UNIT-ths of the reach, but no more than `most`."""
    return np.int32(most if steps >= NOWHERE else min(steps * unit, np.float64(most)))


@kernel
def describe_still(p, e, table):
    """Writes what of the features stands still."""
    standing = p.standing[np.uint64(e.instance)]
    for k in range(len(table)):
        table[k, ALONE] = standing[k, 0]
        table[k, RIVAL] = standing[k, 1]


@kernel
def describe_fresh(p, e, table, unit):
    """The same in a fresh city, where rivals hold the first points."""
    x = e.x
    y = e.y
    share = p.instances[0].share
    for k in range(len(table)):
        table[k, ALONE] = reaches(e.alone[k] * share, unit, MOST)
        nearest = np.int32(NOWHERE)
        for r in range(len(table)):
            if not p.taken[0, r]:
                break
            nearest = min(nearest, steps_between(x[k], y[k], x[r], y[r]))
        table[k, RIVAL] = reaches(nearest, unit, MOST)


@kernel
def observe_sites(p, s, i, obs):
    """Writes the features of each free site; zeros where none can be built on."""
    e = s[i]
    table = obs[i]
    instance = p.instances[np.uint64(e.instance)]
    reach = instance.limits[NUM_WALKS - 1]
    unit = UNIT / np.float64(reach)
    share = instance.share
    if p.rules[0].fresh:
        describe_fresh(p, e, table, unit)
    else:
        describe_still(p, e, table)
    homes = p.homes[np.uint64(e.instance)]
    left = np.int32((instance.num_kiosks - e.placed) * UNIT // instance.num_kiosks)
    walks = e.walks[0]
    far_walks = e.walks[1]
    near_walks = e.walks[2]
    taken = e.taken
    nearest = e.nearest
    for k in range(len(table)):  # whole rows: the compiler writes several at once
        free = np.int32(1 - taken[k])
        table[k, WALK] = free * reaches(walks[k] * share, unit, MOST_WALK)
        table[k, FAR_WALK] = free * reaches(far_walks[k] * share, unit, MOST)
        table[k, NEAR_WALK] = free * reaches(near_walks[k] * share, unit, MOST)
        table[k, ALONE] *= free
        table[k, KIOSK] = free * reaches(nearest[np.uint64(homes[k])], unit, MOST)
        table[k, RIVAL] *= free
        table[k, LEFT] = free * left
        table[k, REACH] = free * reach


# ---------------------------------------------------------------- grid


@kernel
def home_cell(p, e, j):
    """The grid's cell of a point."""
    if p.rules[0].fresh:
        return np.int64(e.y[j] >> CELL_SHIFT) * GRID + (e.x[j] >> CELL_SHIFT)
    return np.int64(p.cells[e.instance, 0, j])


@kernel
def site_cell(p, e, k):
    """The grid's cell of a site."""
    return home_cell(p, e, k) if p.rules[0].fresh else np.int64(p.cells[e.instance, 1, k])


@kernel
def observe_grid(p, s, i, obs):
    """Writes the planes of `PLANE_NAMES`."""
    e = s[i]
    planes = obs[i]
    instance = p.instances[np.uint64(e.instance)]
    left = min(255, instance.num_kiosks - e.placed)
    people = p.people[np.uint64(e.instance)]
    for y in range(GRID):
        for x in range(GRID):
            planes[0, y, x] = people[y * GRID + x]
            for plane in range(1, 5):
                planes[plane, y, x] = 0
            planes[5, y, x] = left
    begun = e.visits[0] >= 0
    for j in range(instance.num_points):
        cell = home_cell(p, e, j)
        y = cell // GRID
        x = cell % GRID
        if p.rules[0].fresh:
            planes[0, y, x] = min(255, planes[0, y, x] + 64)
        if begun:
            steps = min(255, 255 * np.int64(e.nearest[j]) // instance.span)
            planes[4, y, x] = max(steps, np.int64(planes[4, y, x]))
    for k in range(instance.num_sites):
        cell = site_cell(p, e, k)
        if not e.taken[k]:
            planes[1, cell // GRID, cell % GRID] = 255
        elif p.taken[e.instance, k]:
            planes[2, cell // GRID, cell % GRID] = 255
    for k in range(len(e.kiosks)):
        if e.kiosks[k] >= 0:
            cell = site_cell(p, e, e.kiosks[k])
            planes[3, cell // GRID, cell % GRID] = 255


# ---------------------------------------------------------------- plain, index


@kernel
def observe_plain(p, s, i, obs):
    """Writes x and y of the points, steps to their nearest kiosk and its number; x and y of other sites."""
    e = s[i]
    table = obs[i]
    if p.rules[0].fresh:
        copy_row(e.x, table[0])
        copy_row(e.y, table[1])
    else:
        places = p.places[np.uint64(e.instance)]
        copy_row(places[0], table[0])
        copy_row(places[1], table[1])
        copy_row(places[2], table[4])
        copy_row(places[3], table[5])
    copy_row(e.nearest, table[2])
    copy_row(e.visits, table[3])


@kernel
def copy_row(source, row):
    """Copies a row; zeros where it goes on."""
    n = len(source)
    for k in range(n):
        row[k] = source[k]
    for k in range(n, len(row)):
        row[k] = 0


@kernel
def observe_index(p, s, i, obs):
    """Writes instance * 2 ** sites + the sum of 2 ** site over the taken sites."""
    e = s[i]
    number = np.int64(e.instance)
    for k in range(len(e.taken) - 1, -1, -1):
        number = 2 * number + e.taken[k]
    obs[i] = number
