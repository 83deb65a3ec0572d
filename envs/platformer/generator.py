"""Draws levels: pieces of terrain side by side, each passable as far as its builder can tell.

A level is drawn as the characters of a level file (see `levels.py`) and goes through the same checks. Whether
it can really be finished is for the expert to say (see `pool.py`): a level is known by its difficulty, its
seed and the number of the attempt at which the expert succeeded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .levels import THINGS, Level, parse_level
from .state import HEIGHT, USUAL

VERSION = 1
"""To be raised with any change of what is drawn."""

UNIT = 1024
"""Difficulties and chances are counted in 1/1024."""

LENGTH = 96  # columns of terrain, at least, between the start and the flag's ground
LOW, HIGH = 2, 6  # rows of ground between which the terrain mostly stays


def draw_level(difficulty: float, seed: int, attempt: int = 0) -> Level:
    """Draws a level.

    Args:
        difficulty: from 0 to 1, rounded to 1/1024: it widens pits, raises steps and adds to the creatures.
        seed: a non-negative integer.
        attempt: draws another level for the same seed. Equal arguments give equal levels.
    """
    terrain = _Terrain(round(difficulty * UNIT), seed, attempt)
    terrain.floor(7)
    terrain.put(2, 0, "@")
    last = None
    while terrain.width < 7 + LENGTH:
        pieces = [piece for piece in PIECES if piece is not last]
        weights = [terrain.scale(*PIECES[piece]) for piece in pieces]
        last = pieces[terrain.weighted(weights)]
        last(terrain)
    flag = terrain.floor(12, terrain.between(LOW, min(terrain.ground + 1, HIGH))) + 7
    terrain.put(flag, 0, "F")
    name = f"generated-{terrain.difficulty / UNIT:.3f}-{seed}"
    level = parse_level("\n" + "\n".join(terrain.rows()), name)
    return replace(level, difficulty=terrain.difficulty / UNIT)


class _Terrain:
    """A level's columns so far, from left to right, and the random numbers that make them.

    The numbers are raw bits of PCG64, whose stream numpy promises never to change; all else is done in whole
    numbers.
    """

    def __init__(self, difficulty: int, seed: int, attempt: int) -> None:
        self._bits = np.random.PCG64([difficulty, seed, attempt])
        self._columns: list[list[str]] = []
        self._num_things = 0
        self.difficulty = difficulty
        self.ground = LOW
        """Rows of ground on which the next piece begins."""

    @property
    def width(self) -> int:
        return len(self._columns)

    def rows(self) -> list[str]:
        return ["".join(row) for row in zip(*self._columns, strict=True)]

    # ------------------------------------------------------------ chance

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included; `low` if `high` is smaller."""
        return low + ((int(self._bits.random_raw()) >> 32) * max(high - low + 1, 1) >> 32)

    def chance(self, easy: int, hard: int) -> bool:
        """True with a chance, in 1/1024, that goes from `easy` at difficulty 0 to `hard` at 1."""
        return self.between(0, UNIT - 1) < self.scale(easy, hard)

    def weighted(self, weights: list[int]) -> int:
        """An index, each as likely as its weight."""
        left = self.between(0, sum(weights) - 1)
        for index, weight in enumerate(weights):
            left -= weight
            if left < 0:
                return index
        raise AssertionError

    def scale(self, easy: int, hard: int) -> int:
        """A number that goes from `easy` at difficulty 0 to `hard` at 1."""
        return easy + (hard - easy) * self.difficulty // UNIT

    # ------------------------------------------------------------ building

    def floor(self, width: int, ground: int | None = None) -> int:
        """Adds columns of ground, `ground` rows high from now on; returns the first one's number."""
        self.ground = self.ground if ground is None else ground
        return self._extend(width, self.ground)

    def pit(self, width: int) -> int:
        """Adds columns without ground; what follows is as high as before."""
        return self._extend(width, 0)

    def _extend(self, width: int, ground: int) -> int:
        first = self.width
        self._columns += [["."] * (HEIGHT - ground) + ["#"] * ground for _ in range(width)]
        return first

    def put(self, x: int, up: int, character: str) -> None:
        """Sets a cell, `up` rows above the one that stands on the ground; things only while there is room."""
        if character in THINGS:
            if self._num_things == USUAL.things:
                return
            self._num_things += 1
        self._columns[x][HEIGHT - 1 - self.ground - up] = character

    def pipe(self, x: int, tall: int) -> None:
        for up in range(tall):
            self.put(x, up, "[")
            self.put(x + 1, up, "]")

    def creatures(self, first: int, width: int, count: int) -> None:
        """Puts creatures that walk on the floor of some columns, one in each of `count` equal parts."""
        for k in range(min(count, width // 2)):
            kind = self.weighted([UNIT, self.scale(0, UNIT), self.scale(0, UNIT // 2)])
            low, high = first + width * k // count, first + width * (k + 1) // count - 1
            self.put(self.between(low, high), 0, "wet"[kind])


# ------------------------------------------------------------ pieces of terrain


def _meadow(t: _Terrain) -> None:
    """Flat ground with creatures, and coins to take in passing."""
    width = t.between(5, 9)
    x = t.floor(width)
    t.creatures(x + 2, width - 2, t.between(1, t.scale(1, 4)))
    if t.chance(512, 256):
        for k in range(3):
            t.put(x + 1 + k, 2 + k % 2, "o")


def _gap(t: _Terrain) -> None:
    """A pit, with another height behind it."""
    t.floor(t.between(3, 5))
    width = t.between(2, t.scale(3, 7))
    x = t.pit(width)
    if t.chance(0, 400):
        t.put(x + width // 2, t.between(2, 4), "f")
    t.floor(t.between(2, 4), _near(t, t.scale(0, 2)))


def _step(t: _Terrain) -> None:
    """Ground that rises or falls."""
    rise = t.between(t.scale(1, 2), t.scale(2, 4))
    width = t.between(4, 7)
    x = t.floor(width, min(t.ground + rise, HIGH + 1) if t.ground <= HIGH - 2 else LOW)
    t.creatures(x + 2, width - 2, t.between(0, t.scale(1, 3)))


def _pipes(t: _Terrain) -> None:
    """Pipes, more and more often with a plant, and a walker between them."""
    for _ in range(t.between(1, t.scale(1, 3))):
        x = t.floor(t.between(6, 8))
        tall = t.between(2, t.scale(2, 4))
        t.pipe(x + 2, tall)
        if t.chance(100, 800):
            t.put(x + 2, tall, "p")
        if t.chance(200, 600):
            t.creatures(x + 4, 2, 1)
    t.floor(2)


def _blocks(t: _Terrain) -> None:
    """A row of bricks and blocks above creatures."""
    width = t.between(6, 10)
    x = t.floor(width)
    mushroom = t.between(1, width - 2) if t.chance(400, 300) else 0
    for k in range(1, width - 1):
        block = "M" if k == mushroom else "==?"[t.between(0, 2)]
        t.put(x + k, 3, block)
    t.creatures(x + 3, width - 3, t.between(1, t.scale(1, 4)))


def _stairs(t: _Terrain) -> None:
    """Stairs up and down again; the harder, the likelier is a pit between them."""
    ground, steps = t.ground, t.between(2, t.scale(3, 4))
    t.floor(2)
    for k in range(1, steps + 1):
        t.floor(1, ground + k)
    t.floor(1)
    if t.chance(100, 900):
        t.pit(t.between(2, t.scale(2, 5)))
    else:
        t.floor(2, ground)
    for k in range(steps, 0, -1):
        t.floor(1, ground + k)
    x = t.floor(4, ground)
    t.creatures(x + 2, 2, t.between(0, t.scale(0, 2)))


def _spikes(t: _Terrain) -> None:
    """Spikes on the ground."""
    count = t.between(1, t.scale(2, 5))
    x = t.floor(t.between(3, 5) + count + 3)
    for k in range(count):
        t.put(x + 3 + k, 0, "^")
    if t.chance(0, 600):
        t.put(x + 3, t.between(2, 3), "f")


def _islands(t: _Terrain) -> None:
    """Narrow islands over a wide pit."""
    t.floor(3)
    for _ in range(t.between(2, t.scale(2, 4))):
        t.pit(t.between(2, t.scale(2, 5)))
        width, up = t.between(2, 4), t.between(-1, t.scale(0, 1))
        x = t.pit(width)
        for k in range(width):
            t.put(x + k, up - 1, "#")
        if t.chance(0, 500):
            t.put(x + width - 1, up, "e")
    t.pit(t.between(2, t.scale(2, 4)))
    t.floor(3)


def _ferry(t: _Terrain) -> None:
    """A pit too wide to jump over, and a platform that crosses most of it."""
    t.floor(3)
    x = t.pit(t.between(10, t.scale(11, 13)))
    t.put(x + 2, -1, "-")
    t.floor(3)


def _lift(t: _Terrain) -> None:
    """A platform that goes up to a ledge which no jump reaches."""
    ground = min(t.ground, 3)
    t.floor(4, ground)
    x = t.pit(4)
    t.put(x, -1, "|")
    t.floor(t.between(4, 6), ground + t.scale(5, 6))
    t.floor(3, t.between(LOW, HIGH))


def _spring(t: _Terrain) -> None:
    """A spring before a wall which no jump reaches."""
    ground = min(t.ground, 3)
    x = t.floor(6, ground)
    t.put(x + 4, 0, "S")
    t.floor(t.between(4, 6), ground + t.scale(5, 7))
    t.floor(3, t.between(LOW, HIGH))


def _flight(t: _Terrain) -> None:
    """Flyers above the ground or above a pit."""
    t.floor(3)
    count = t.between(1, t.scale(1, 3))
    x = t.pit(3) if t.chance(0, 512) else t.floor(3)
    t.floor(4 * count)
    for k in range(count):
        t.put(x + 2 + 4 * k, t.between(1, 4), "f")


def _alley(t: _Terrain) -> None:
    """Creatures with shells between two walls."""
    x = t.floor(12)
    t.put(x + 1, 0, "#")
    t.put(x + 11, 0, "#")
    t.put(x + 5, 0, "t")
    t.creatures(x + 7, 4, t.scale(1, 2))


PIECES: dict[Callable[[_Terrain], None], tuple[int, int]] = {
    _meadow: (6, 2),
    _gap: (6, 6),
    _step: (4, 4),
    _pipes: (4, 5),
    _blocks: (5, 3),
    _stairs: (3, 4),
    _spikes: (1, 5),
    _islands: (1, 5),
    _ferry: (0, 3),
    _lift: (0, 3),
    _spring: (0, 3),
    _flight: (0, 4),
    _alley: (1, 3),
}
"""How often a piece is drawn, at difficulty 0 and at 1."""


def _near(t: _Terrain, most: int) -> int:
    """Another height of the ground, at most so many rows away."""
    return min(max(t.ground + t.between(-most, most), LOW), HIGH)
