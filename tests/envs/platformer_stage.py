"""Small levels on which tests put the player and things by hand, a tick at a time.

The ground is rows 13 and 14; what stands on it has its feet at row 13's top. Cells are (column, row).
"""

from __future__ import annotations

import numpy as np
from meze.envs.core.env import WorldEnv
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.generator import draw_level as generated
from meze.envs.platformer.levels import Level, parse_level
from meze.envs.platformer.world import Platformer

WIDTH = 48
FLOOR = 13  # the row of the ground's top
TILE, PIXEL = codes.TILE, codes.PIXEL
BUTTONS = codes.ACTION_SETS["complex"]
NONE, RIGHT, JUMP, RUN, LEFT, DOWN = 0, codes.RIGHT, codes.JUMP, codes.RUN, codes.LEFT, codes.DOWN


def draw_level(changes: dict[tuple[int, int], str] | None = None, width: int = WIDTH, pits=()) -> Level:
    """Flat ground with a start and a flag.

    Args:
        changes: cell to the characters that stand there and to its right.
        width: columns.
        pits: columns without ground.
    """
    rows = [["."] * width for _ in range(FLOOR)] + [["#"] * width for _ in range(2)]
    rows[FLOOR - 1][2] = "@"
    rows[FLOOR - 1][width - 3] = "F"
    for column in pits:
        rows[FLOOR][column] = rows[FLOOR + 1][column] = "."
    for (column, row), characters in (changes or {}).items():
        rows[row][column : column + len(characters)] = characters
    return parse_level("\n" + "\n".join(map("".join, rows)), "stage")


ZOO = draw_level(
    {
        (6, 12): "w", (8, 9): "?M=", (9, 12): "t", (12, 12): "^", (14, 10): "-", (14, 12): "S",
        (17, 7): "ooo", (18, 12): "e", (20, 12): "[]", (20, 11): "p", (23, 11): "==M", (26, 8): "f",
        (28, 12): "|", (33, 12): "#", (34, 12): "t", (36, 12): "ww", (39, 12): "#", (40, 9): "M",
    },
    pits=(28, 29, 30),
)  # fmt: skip
"""The usual kinds of tiles and things."""

MENAGERIE = draw_level(
    {
        (5, 9): "cmiI", (10, 9): "_____", (9, 12): "h", (13, 8): "w", (14, 12): "H", (18, 12): "W",
        (22, 12): "T", (25, 12): "u", (26, 9): "=_i_e", (32, 0): "[]", (32, 1): "[]", (36, 10): "((#",
        (36, 11): "))#", (38, 12): "#", (41, 11): "#((", (41, 12): "#))", (34, 8): "_", (34, 7): "T",
    },
    pits=(28, 29),
)  # fmt: skip
"""All others."""


def join(*levels: Level) -> Level:
    """Levels one behind the other, with the start of the first and the flag of the last."""
    parts = []
    for number, level in enumerate(levels):
        gone = ("@" if number else "") + ("" if number == len(levels) - 1 else "F")
        parts.append([row.translate({ord(character): "." for character in gone}) for row in level.rows])
    return parse_level("\n" + "\n".join(map("".join, zip(*parts, strict=True))), "joined")


HOARD = draw_level({(4, row): "o" * 40 for row in range(2, 10)})
WIDE = join(ZOO, ZOO, ZOO, HOARD, generated(1, 0), generated(0.3, 1))
"""A level that needs the large record in every respect."""


class Stage:
    """One environment whose state record is set up by hand; a step is a tick, actions are buttons."""

    def __init__(self, changes: dict[tuple[int, int], str] | None = None, pits=(), **config) -> None:
        by_tick = {"observation": "index", "actions": "complex", "frame_skip": 1}
        level = draw_level(changes, pits=pits)
        self.env = WorldEnv(Platformer(PlatformerConfig(**by_tick | config), [level]))
        self.env.reset(seed=1)
        self.params = self.env.params
        self.s = self.env.get_state()
        self.reward, self.over, self.info = 0.0, False, {}

    @property
    def record(self):
        return self.s[0]

    @property
    def things(self):
        return self.s[0]["things"]

    def put(self, column: float, feet: float = FLOOR, vx: int = 0, vy: int = 0):
        """Puts the player's left edge at a column and its feet at a row's top, both in tiles."""
        r = self.record
        r["x"], r["y"], r["vx"], r["vy"] = round(column * TILE), round(feet * TILE), vx, vy
        r["grounded"] = feet == FLOOR and vy == 0
        r["column"] = -100  # things wake in the next tick
        return self

    def grow(self):
        """Makes the player big."""
        self.record["big"] = True
        return self

    def tick(self, buttons: int = NONE, times: int = 1):
        """Holds some buttons for some ticks; returns the record."""
        self.env.set_state(self.s)
        for _ in range(times):
            _, reward, self.over, _, self.info = self.env.step(BUTTONS.index(buttons))
            self.reward += reward
        self.s = self.env.get_state()
        return self.record

    def ticks(self, buttons: int = NONE, times: int = 1):
        """Like `tick`, and returns the (times,) records after each."""
        return np.array([self.tick(buttons).copy() for _ in range(times)])

    def until(self, condition, buttons: int = NONE, limit: int = 600) -> int:
        """Ticks until the record fulfils a condition; returns how many it took."""
        for count in range(1, limit + 1):
            if condition(self.tick(buttons)):
                return count
        raise AssertionError(f"not in {limit} ticks")

    def tile(self, column: int, row: int) -> int:
        """The code of a tile as it is now."""
        cell = codes.USUAL.cell(column, row)
        code, slot = int(self.params.tiles[0, cell]), int(self.params.slots[0, cell])
        has_changed = int(self.record["changed"][slot // 64]) >> slot % 64 & 1
        if codes.FIRST_CHANGING <= code <= codes.LAST_CHANGING and code != codes.LEDGE and has_changed:
            return codes.EMPTY if code in (codes.COIN, codes.BRICK) else codes.USED
        return code
