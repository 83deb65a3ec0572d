"""Draws scenes: a line with one or two switches, and people on it in groups that pose a question."""

from __future__ import annotations

import numpy as np

from ..core import Drawing
from .scene import read_scene
from .state import HEIGHT, MOST_PLACES, WIDTH

MAIN = HEIGHT // 2  # row of the line
MOST = 72, 2, MOST_PLACES
"""Cells, switches and places with people, at most: a line of 28, and beside it cells 4 to 27 and 8 to 27."""


def draw_scene(seed: int) -> Drawing:
    """The scene of a seed."""
    rng = np.random.default_rng(seed)
    length = int(rng.integers(16, WIDTH - 3))
    rows = np.full((HEIGHT, WIDTH), ".")
    rows[MAIN, :length] = "-"
    rows[MAIN, 0], rows[MAIN, length - 1] = "T", "E"
    free = [(MAIN, column) for column in range(3, length - 1)]
    side, column = int(rng.choice([-1, 1])), int(rng.integers(3, 8))
    for _ in range(int(rng.integers(1, 3))):
        if column > length - 7:
            break
        row, last = MAIN + side, int(rng.integers(column + 5, length))
        rows[MAIN, column], rows[row, column + 1] = "Y", "\\" if side > 0 else "/"
        rows[row, column + 2 : last] = "-"
        joins = bool(rng.integers(2)) and last < length - 2
        rows[row, last] = ("/" if side > 0 else "\\") if joins else "E"
        free = [cell for cell in free if cell != (MAIN, column)]
        free += [(row, each) for each in range(column + 2, last)]
        side, column = -side, int(rng.integers(column + 4, column + 9))
    count = int(rng.integers(2, MOST_PLACES + 1))
    for k in rng.permutation(len(free))[:count]:
        rows[free[k]] = rng.choice(list("PPPp235"))
    numbers = {"speed": rng.integers(1, 4), "aboard": rng.integers(1, 8)}
    shares = {"hears": 0.3 + 0.2 * rng.integers(4), "falls": 0.1 + 0.1 * rng.integers(5)}
    head = [f"# {key}: {value:g}" for key, value in {**numbers, **shares}.items()]
    return read_scene(
        "\n".join([*head, *("".join(row) for row in rows if (row != ".").any())]), f"scene-{seed}"
    )
