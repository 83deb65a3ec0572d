"""Levels: the ASCII format, its reader with its errors, and the tables made of them.

A level is a text file: header lines `key: value` (`title` and `idea`, both optional), an empty line, then
15 rows of equal length, 32 to 512 characters. y grows downwards.

    .   empty                              @   start, exactly one
    #   ground                             F   flag: the foot of its pole, exactly one
    =   brick                              w   walker that turns at walls; W has wings
    c   brick with a coin                  e   walker that turns at edges
    m   brick with a mushroom              t   shelled walker; T has wings
    ?   question block with a coin         h   walker with spines, can't be stomped; H has wings
    M   question block with a mushroom     f   flyer
    i   hidden block with a coin           p   pipe plant, on the cell above the left half of a mouth
    I   hidden block with a mushroom       -   platform that moves sideways: its left cell of three
    u   used block                         |   platform that moves up and down: its left cell of three
    o   coin                               _   jump-through floor
    []  pipe, upright                      ^   spikes
    ()  pipe that lies: ( above )          S   spring

A pit is a column without ground. A pipe stands on a solid tile, a floor or the bottom of the level, or hangs
from one or from the top; one that lies comes out of one or of the level's edge. Its other end is its mouth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ..core.drawings import Shelf
from .state import (
    BRICK,
    COIN,
    COIN_BLOCK,
    COIN_BRICK,
    EAST_MOUTH_LOWER,
    EAST_MOUTH_UPPER,
    EDGE_WALKER,
    EMPTY,
    FIRST_FLOOR,
    FIRST_SOLID,
    FLAG,
    FLAG_HEIGHT,
    FLYER,
    GROUND,
    HANGING_MOUTH_LEFT,
    HANGING_MOUTH_RIGHT,
    HEIGHT,
    HIDDEN_COIN,
    HIDDEN_MUSHROOM,
    IN_BLOCK,
    LARGE,
    LEDGE,
    LEVEL,
    LYING_LOWER,
    LYING_UPPER,
    MARGIN,
    MIN_WIDTH,
    MUSHROOM_BLOCK,
    MUSHROOM_BRICK,
    NUM_TILES,
    PIPE_LEFT,
    PIPE_MOUTH_LEFT,
    PIPE_MOUTH_RIGHT,
    PIPE_RIGHT,
    PLANT,
    PLATFORM_ACROSS,
    PLATFORM_TILES,
    PLATFORM_UP,
    SHELLED,
    SKY,
    SPIKE,
    SPINY,
    SPRING,
    TABLE_ROWS,
    THING,
    TILE,
    USED,
    USUAL,
    WALKER,
    WEST_MOUTH_LOWER,
    WEST_MOUTH_UPPER,
    WINGED,
    Capacity,
    LevelTables,
    player_start,
    thing_start,
)

TILES = {
    ".": EMPTY,
    "#": GROUND,
    "=": BRICK,
    "c": COIN_BRICK,
    "m": MUSHROOM_BRICK,
    "?": COIN_BLOCK,
    "M": MUSHROOM_BLOCK,
    "i": HIDDEN_COIN,
    "I": HIDDEN_MUSHROOM,
    "u": USED,
    "o": COIN,
    "_": LEDGE,
    "[": PIPE_LEFT,
    "]": PIPE_RIGHT,
    "(": LYING_UPPER,
    ")": LYING_LOWER,
    "^": SPIKE,
    "S": SPRING,
    "F": FLAG,
    "@": EMPTY,
}
"""Characters of tiles; pipes are without their mouths, the flag without its pole."""
THINGS = {
    "w": WALKER,
    "W": WALKER,
    "e": EDGE_WALKER,
    "t": SHELLED,
    "T": SHELLED,
    "h": WALKER,
    "H": WALKER,
    "f": FLYER,
    "p": PLANT,
    "-": PLATFORM_ACROSS,
    "|": PLATFORM_UP,
    "m": IN_BLOCK,
    "M": IN_BLOCK,
    "I": IN_BLOCK,
}
"""Characters of things; a mushroom is in its block."""
TRAITS = {"W": WINGED, "T": WINGED, "h": SPINY, "H": SPINY | WINGED}
CHANGING = "=cm?MiIo"
"""Characters of the tiles that can change: broken, used or taken."""
KEYS = ("title", "idea")
"""What a header may say."""


class LevelError(ValueError):
    """A level that can't be played; the message is one line that names the file and the place."""


@dataclass(frozen=True)
class Level:
    """A level as it was written; two levels of equal rows are the same level."""

    name: str = field(compare=False)
    """File name or seed, for people."""
    rows: tuple[str, ...]
    """15 rows of `width` characters, from top to bottom."""
    title: str = field(default="", compare=False)
    idea: str = field(default="", compare=False)
    par_time: int = field(default=0, compare=False)
    """Ticks in which the expert reaches the flag, 0 if that is not known."""
    difficulty: float = field(default=0.0, compare=False)
    """With which it was generated; 0 of one from a file."""

    @property
    def width(self) -> int:
        """Tiles from left to right."""
        return len(self.rows[0])

    @property
    def cells(self) -> NDArray[np.uint8]:
        """(HEIGHT, width) characters."""
        return np.frombuffer("".join(self.rows).encode("ascii"), np.uint8).reshape(HEIGHT, -1)

    @property
    def digest(self) -> str:
        """Names what is played, the header left out, in 32 hexadecimal digits (BLAKE2b)."""
        return hashlib.blake2b("\n".join(self.rows).encode("ascii"), digest_size=16).hexdigest()

    def at(self, x: int, y: int) -> str:
        """The character of a cell, empty outside of the level."""
        return self.rows[y][x] if 0 <= x < self.width and 0 <= y < HEIGHT else ""

    def find(self, characters: str) -> list[tuple[int, int, str]]:
        """Lists (x, y, character) wherever one of the characters stands, by columns from the left."""
        places = [(x, y, c) for y, row in enumerate(self.rows) for x, c in enumerate(row) if c in characters]
        return sorted(places)


# ------------------------------------------------------------ reading


def parse_level(text: str, name: str) -> Level:
    """Reads a level from a string.

    Args:
        text: the level, as this module's docstring describes it.
        name: the level's name, which errors mention.

    Raises:
        LevelError: naming line and column, both counted from 1.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    header, rows = _parts(lines, name)
    first = len(lines) - len(rows) + 1
    check_rows(rows, name, first, TILES.keys() | THINGS.keys(), HEIGHT)
    level = Level(name, tuple(rows), header.get("title", ""), header.get("idea", ""))
    check_level(level, first)
    return level


def format_level(level: Level) -> str:
    """Writes a level as a file's text; `parse_level` of the result gives an equal level."""
    header = [f"{key}: {getattr(level, key)}" for key in KEYS if getattr(level, key)]
    return "\n".join([*header, "", *level.rows, ""])


LEVELS = Shelf(
    "level", files(__name__.split(".")[0]) / "assets" / "levels", parse_level, 64 * 1024, LevelError
)
"""The hand-made ones, from easy to hard."""


# ------------------------------------------------------------ what a level must be


def _fail(name: str, line: int, column: int, problem: str) -> NoReturn:
    raise LevelError(f"{name}, line {line}, column {column}: {problem}")


def _parts(lines: list[str], name: str) -> tuple[dict[str, str], list[str]]:
    """Divides a file's lines into the header's entries and the rows."""
    header: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if lines[number:]:
                return header, lines[number:]
            break
        key, colon, value = line.partition(":")
        if not colon:
            _fail(name, number, 1, "neither 'key: value' nor the empty line before the rows")
        if key not in KEYS:
            _fail(name, number, 1, f"unknown key {ascii(key)}, there are {' and '.join(KEYS)}")
        if key in header:
            _fail(name, number, 1, f"second {key}")
        header[key] = value.strip()
    raise LevelError(f"{name}: no rows of tiles behind an empty line")


def check_rows(rows: Sequence[str], name: str, first: int, characters: Container[str], height: int) -> None:
    """Refuses rows of another shape, or with other characters, than a level has.

    Args:
        rows: from top to bottom.
        name: the level's, which errors mention.
        first: line number of the first row, for errors.
        characters: all that there are.
        height: how many rows there are to be.

    Raises:
        LevelError: naming line and column, both counted from 1.
    """
    width = len(rows[0])
    if not MIN_WIDTH <= width <= LARGE.width:
        raise LevelError(f"{name}, line {first}: {width} columns; a level has {MIN_WIDTH} to {LARGE.width}")
    for number, row in enumerate(rows, first):
        if len(row) != width:
            column = min(len(row), width) + 1
            _fail(name, number, column, f"{len(row)} columns in this line, {width} in the first")
        for column, character in enumerate(row, 1):
            if character not in characters:
                _fail(name, number, column, f"unknown character {ascii(character)}")
    if len(rows) != height:
        raise LevelError(f"{name}, line {first}: {len(rows)} rows; a level has {height}")


def check_level(level: Level, first: int) -> None:
    """Refuses what can't be played.

    Args:
        level: rows of the right size and characters.
        first: line number of the first row, for errors.

    Raises:
        LevelError: naming line and column, both counted from 1.
    """

    def refuse(x: int, y: int, problem: str) -> NoReturn:
        _fail(level.name, first + y, x + 1, problem)

    for character, what in (("@", "start"), ("F", "flag")):
        places = level.find(character)
        if not places:
            raise LevelError(f"{level.name}: no {what} '{character}'")
        if len(places) > 1:
            refuse(*places[1][:2], f"second {what} '{character}'")
    (start,), (flag,) = level.find("@"), level.find("F")
    if flag[0] <= start[0]:
        refuse(*flag[:2], "the flag is not to the right of the start")
    for characters, limit, what in (
        ("".join(THINGS), LARGE.things, "creatures, platforms and mushrooms"),
        (CHANGING, LARGE.slots, "bricks, blocks and coins"),
    ):
        places = level.find(characters)
        if len(places) > limit:
            refuse(*places[limit][:2], f"{len(places)} {what}; a level has at most {limit}")
    for x, y, character in level.find("[]()p-|F"):
        problem = fault(level, x, y, character)
        if problem:
            refuse(x, y, problem)


def fault(level: Level, x: int, y: int, character: str) -> str | None:
    """Says what is wrong with a part of a pipe, a plant or a platform."""
    at = level.at
    if character == "[" and at(x + 1, y) != "]":
        return "pipe '[' without its right half ']'"
    if character == "]" and at(x - 1, y) != "[":
        return "pipe ']' without its left half '['"
    if character == "(" and at(x, y + 1) != ")":
        return "pipe '(' without its lower half ')' below"
    if character == ")" and at(x, y - 1) != "(":
        return "pipe ')' without its upper half '(' above"
    if character in _WAYS and not any(_is_rooted(level, x, y, way) for way in _WAYS[character]):
        return f"pipe '{character}' is held by nothing at either end"
    if character == "p" and at(x, y + 1) != "[":
        return "plant 'p' not above the left half '[' of a pipe's mouth"
    if character in "-|" and any(at(x + k, y) != "." for k in range(1, PLATFORM_TILES)):
        return f"platform '{character}' needs {PLATFORM_TILES - 1} empty cells '.' to its right"
    if character == "F" and any(at(x, y - k) not in (".", "") for k in range(1, FLAG_HEIGHT)):
        return f"flag 'F' needs {FLAG_HEIGHT - 1} empty cells '.' above it, for its pole"
    return None


_WAYS = {"[": ((0, 1), (0, -1)), "]": ((0, 1), (0, -1)), "(": ((-1, 0), (1, 0)), ")": ((-1, 0), (1, 0))}
"""The ways along a pipe; the first leads to the end by which it is rooted where both would do."""
_MOUTHS = {
    "[": (PIPE_MOUTH_LEFT, HANGING_MOUTH_LEFT),
    "]": (PIPE_MOUTH_RIGHT, HANGING_MOUTH_RIGHT),
    "(": (EAST_MOUTH_UPPER, WEST_MOUTH_UPPER),
    ")": (EAST_MOUTH_LOWER, WEST_MOUTH_LOWER),
}
"""Of a pipe that is rooted the first way, and the second."""


def bears(character: str) -> bool:
    """Whether a tile can be stood on."""
    return TILES.get(character, EMPTY) >= FIRST_FLOOR


def _is_rooted(level: Level, x: int, y: int, way: tuple[int, int]) -> bool:
    """Whether a pipe ends, that way, at something that holds it, or at the level's edge."""
    character = level.at(x, y)
    while level.at(x, y) == character:
        x, y = x + way[0], y + way[1]
    return level.at(x, y) == "" or bears(level.at(x, y))


def _pipe_code(level: Level, x: int, y: int, character: str) -> int:
    """The code of a part of a pipe."""
    first = 0 if _is_rooted(level, x, y, _WAYS[character][0]) else 1
    right, down = _WAYS[character][1 - first]  # to its mouth
    return TILES[character] if level.at(x + right, y + down) == character else _MOUTHS[character][first]


# ------------------------------------------------------------ tables

_CODE_OF = np.zeros(128, np.uint8)
for _character, _code in TILES.items():
    _CODE_OF[ord(_character)] = _code
_CHANGES = np.zeros(NUM_TILES, np.bool_)
_CHANGES[[TILES[_character] for _character in CHANGING]] = True


def capacity_for(levels: Sequence[Level]) -> Capacity:
    """The smallest capacity that holds some levels."""
    for level in levels:
        needs = Capacity(level.width, len(level.find("".join(THINGS))), len(level.find(CHANGING)))
        if any(need > there for need, there in zip(needs, USUAL, strict=True)):
            return LARGE
    return USUAL


def build_pool(levels: Sequence[Level]) -> LevelTables:
    """Makes the tables of a pool of levels.

    Args:
        levels: M levels, which have passed `parse_level`'s checks.
    """
    count, capacity = len(levels), capacity_for(levels)
    heads = np.zeros(count, LEVEL)
    tables = LevelTables(
        heads,
        np.zeros((count, capacity.cells), np.uint8),
        np.zeros((count, capacity.cells), np.uint8 if capacity.slots <= 256 else np.uint16),
        np.zeros((count, capacity.slots), np.uint16),
        np.zeros((count, capacity.slots), np.uint8),
        np.zeros((count, capacity.things), THING),
    )
    for k, level in enumerate(levels):
        tables.tiles[k] = tiles = _tiles(level, capacity)
        slots = _slots(tiles, level.width, capacity)
        tables.slots[k, slots] = np.arange(len(slots))
        tables.slot_cells[k, : len(slots)] = slots
        places = level.find("".join(THINGS))
        starts = (thing_start(THINGS[c], x, y, TRAITS.get(c, 0)) for x, y, c in places)
        things = sorted(starts, key=lambda thing: thing[0])
        tables.things[k, : len(things)] = np.array(things, THING)
        for number, thing in enumerate(tables.things[k]):
            if thing["kind"] == IN_BLOCK:
                cell = capacity.cell(int(thing["x"]) // TILE, int(thing["y"]) // TILE - 1)
                tables.releases[k, tables.slots[k, cell]] = 1 + number
        heads[k]["start_x"], heads[k]["start_y"] = player_start(*level.find("@")[0][:2])
        heads[k]["flag_x"] = level.find("F")[0][0] * TILE + TILE // 2
        heads[k]["width"], heads[k]["par_time"] = level.width, level.par_time
        heads[k]["num_things"], heads[k]["num_slots"] = len(things), len(slots)
    for table in tables:
        table.flags.writeable = False
    return tables


def _tiles(level: Level, capacity: Capacity) -> NDArray[np.uint8]:
    """(cells,) the level's row of `LevelTables.tiles`."""
    codes = _CODE_OF[level.cells]
    for x, y, character in level.find("[]()"):
        codes[y, x] = _pipe_code(level, x, y, character)
    x, y, _ = level.find("F")[0]
    codes[max(y - FLAG_HEIGHT + 1, 0) : y, x] = FLAG
    table = np.full((TABLE_ROWS, capacity.stride), GROUND, np.uint8)
    inside = slice(MARGIN, MARGIN + level.width)
    table[:, inside] = EMPTY
    table[1:SKY, inside] = np.where(codes[0] >= FIRST_SOLID, GROUND, EMPTY)
    table[0] = GROUND
    table[SKY : SKY + HEIGHT, inside] = codes
    return table.ravel()


def _slots(tiles: NDArray[np.uint8], width: int, capacity: Capacity) -> NDArray[np.intp]:
    """Lists the cells that can change, by columns from the left, then from the top."""
    first = capacity.cell(0, 0) + capacity.stride * np.arange(HEIGHT)
    cells = (first + np.arange(width)[:, None]).ravel()
    return cells[_CHANGES[tiles[cells]]]
