"""Draws mazes: symmetric, connected, without dead ends, with a tunnel; no two splits share one."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..core import Drawing, drawn_apart, shown_seed
from .plan import read_maze
from .state import COLUMNS, ROWS


def draw_maze(seed: int, width: int, height: int) -> Drawing:
    """The maze of a seed."""
    rng = np.random.default_rng([seed, width, height])
    rows = drawn_apart(seed, partial(_draw, rng, width, height))
    return read_maze("\n".join([f"# title: Garden, {shown_seed(seed)}", *rows]), f"maze-{seed}")


def _draw(rng: np.random.Generator, width: int, height: int) -> list[str]:
    """Places lie on odd rows and columns, ways between them; what is drawn on the left is mirrored."""
    free = np.zeros((height, width), bool)
    middle, sides = width // 2, list(zip(ROWS, COLUMNS, strict=True))
    home, start = 2 * (height // 4) + 1, height - 2
    half = [(r, c) for r in range(1, height, 2) for c in range(1, middle + 1, 2)]

    def join(place: tuple[int, int], other: tuple[int, int]) -> None:
        for (r, c), (v, u) in ((place, other), (other, place)):
            for mirror in (False, True):
                free[r, width - 1 - c if mirror else c] = True
            between = (r + v) // 2, (c + u) // 2
            free[between] = free[between[0], width - 1 - between[1]] = True

    def beside(place: tuple[int, int]) -> list[tuple[int, int]]:
        r, c = place
        found = [(r + 2 * dr, c + 2 * dc) for dr, dc in sides]
        return [(v, u) for v, u in found if 0 < v < height and 0 < u < width and u <= middle + 1]

    visited, trail = {half[0]}, [half[0]]
    while trail:  # a tree that reaches all places of the half, depth first
        fresh = [each for each in beside(trail[-1]) if each in half and each not in visited]
        if not fresh:
            trail.pop()
            continue
        place = fresh[rng.integers(len(fresh))]
        join(trail[-1], place)
        visited.add(place)
        trail.append(place)
    if middle % 2 == 0:  # the halves have no place in common: ways join them
        for row in (home, start):
            join((row, middle - 1), (row, middle + 1))
    tunnel = int(rng.choice([each for each in range(3, height - 2, 2)]))
    free[tunnel, [0, width - 1]] = True
    for place in [half[k] for k in rng.permutation(len(half))]:
        between = {other: ((place[0] + other[0]) // 2, (place[1] + other[1]) // 2) for other in beside(place)}
        shut = [other for other in between if not free[between[other]]]
        ways = sum(free[place[0] + dr, place[1] + dc] for dr, dc in sides)
        if shut and (ways < 2 or rng.random() < 0.12):
            join(place, shut[rng.integers(len(shut))])
    letters = np.where(free, ".", "X")
    for row in (1, height - 2):
        letters[row, [1, width - 2]] = "o"
    letters[tunnel, [0, width - 1]] = "-"
    letters[home, middle], letters[start, middle] = "G", "S"
    return ["".join(row) for row in letters]
