"""Levels of others: the formats of public collections, and what each of their letters becomes here.

`vglc` is that of the Video Game Level Corpus (Summerville, Snodgrass, Mateas and Ontañón, 2016): 14 rows. It
names neither start nor end. `mario-ai` is that of the Mario AI Framework (Khalifa, 2019): 16 rows. Ours have
15, and share the bottom with both: above the 14 comes an empty one, and of the 16 the topmost is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ..core.textfile import read_text
from .levels import LEVELS, Level, LevelError, check_level, check_rows
from .mending import PLANTS, mend_parts, place_ends, thin_out
from .sets import list_files
from .state import HEIGHT


class Letter(NamedTuple):
    """A letter of a foreign format."""

    becomes: str
    """Our letter."""
    what: str
    """What it stands for."""
    lost: str = ""
    """What of it has no counterpart here."""


class Format(NamedTuple):
    """A foreign format."""

    rows: int
    letters: Mapping[str, Letter]


BULLETS = "bullets of launchers, which stand as ground"
LIFE = "lives in blocks, which hold mushrooms"
SHELL = "shells of red koopas"
FEET = "red koopas under wings, which are gone when stomped"
BACKGROUND = "background tiles"
TOP_ROW = "tiles of the topmost of 16 rows"
COPIES = "levels that are copies of others"

_SHARED = {
    "-": Letter(".", "empty"),
    "X": Letter("#", "ground"),
    "S": Letter("=", "brick"),
    "E": Letter("w", "enemy"),
    "<": Letter("[", "pipe, top left"),
    ">": Letter("]", "pipe, top right"),
    "[": Letter("[", "pipe, left side"),
    "]": Letter("]", "pipe, right side"),
    "o": Letter("o", "coin"),
}
FORMATS = {
    "vglc": Format(
        14,
        _SHARED
        | {
            "?": Letter("?", "full question block"),
            "Q": Letter("u", "empty question block"),
            "B": Letter("#", "cannon, top"),
            "b": Letter("#", "cannon, lower part"),
        },
    ),
    "mario-ai": Format(
        16,
        _SHARED
        | {
            "M": Letter("@", "start"),
            "F": Letter("F", "exit"),
            "#": Letter("#", "pyramid block"),
            "%": Letter("_", "jump-through floor"),
            "|": Letter(".", "background of a jump-through floor", BACKGROUND),
            "*": Letter("#", "bullet launcher, any part"),
            "B": Letter("#", "bullet launcher, head"),
            "b": Letter("#", "bullet launcher, neck"),
            "?": Letter("M", "question block with a mushroom"),
            "@": Letter("M", "question block with a mushroom"),
            "!": Letter("?", "question block with a coin"),
            "Q": Letter("?", "question block with a coin"),
            "1": Letter("I", "hidden block with a life", LIFE),
            "2": Letter("i", "hidden block with a coin"),
            "D": Letter("u", "used block"),
            "C": Letter("c", "brick with a coin"),
            "U": Letter("m", "brick with a mushroom"),
            "L": Letter("m", "brick with a life", LIFE),
            "t": Letter("[", "pipe"),
            "T": Letter("[", "pipe with a plant"),
            "g": Letter("w", "goomba"),
            "G": Letter("W", "goomba with wings"),
            "k": Letter("t", "green koopa"),
            "K": Letter("T", "green koopa with wings"),
            "r": Letter("e", "red koopa", SHELL),
            "R": Letter("f", "red koopa with wings", FEET),
            "y": Letter("h", "spiky"),
            "Y": Letter("H", "spiky with wings"),
        },
    ),
}
"""By name. Of a pipe of the letters `t` and `T` those to the right of another one are its right half."""


def read_collection(path: Path, form: str) -> tuple[list[Level], Counter[str]]:
    """Makes levels of ours of a file of theirs, or of all `.txt` files of a folder.

    Args:
        path: of the file or folder.
        form: a name of `FORMATS`.

    Returns:
        The levels, each once, and how often what was left out.

    Raises:
        LevelError: see `read_foreign`; also for a file that can't be read, and a folder without any.
    """
    levels: dict[Level, str] = {}
    lost: Counter[str] = Counter()
    for file in list_files(path) if path.is_dir() else [path]:
        text = read_text(file, str(file), LEVELS.max_bytes, "a level", LevelError)
        level, more = read_foreign(text, str(file), FORMATS[form])
        if level in levels:
            lost[COPIES] += 1
        else:
            levels[level] = file.stem
            lost += more
    return [replace(level, name=name) for level, name in levels.items()], lost


def read_foreign(text: str, name: str, form: Format) -> tuple[Level, Counter[str]]:
    """Makes a level of ours of one of theirs.

    Args:
        text: what its file holds.
        name: the level's, which errors mention.
        form: its format.

    Returns:
        The level, and how often what was left out.

    Raises:
        LevelError: naming line and column, both counted from 1, where there are any to blame.
    """
    source = [line.removesuffix("\r") for line in text.rstrip().split("\n")]
    check_rows(source, name, 1, form.letters, form.rows)
    lost: Counter[str] = Counter()
    above = form.rows - HEIGHT  # rows that are too many, or -1
    rows = [["."] * len(source[0]) for _ in range(-above)]
    for line in source[: max(above, 0)]:
        lost[TOP_ROW] += sum(form.letters[letter].becomes != "." for letter in line)
    for line in source[max(above, 0) :]:
        rows.append([form.letters[letter].becomes for letter in line])
        lost.update(form.letters[letter].lost for letter in line)
    _count_launchers(source[max(above, 0) :], lost)
    _split_pipes(rows, source[max(above, 0) :], lost)
    place_ends(rows, name, lost)
    level = thin_out(mend_parts(Level(name, tuple(map("".join, rows))), lost), lost)
    check_level(level, first=1 + above)
    del lost[""]
    return level, +lost


def _count_launchers(source: list[str], lost: Counter[str]) -> None:
    """Counts heads of launchers; of a column of parts that may be any it is the topmost."""
    for above, line in pairwise(["-" * len(source[0]), *source]):
        for over, letter in zip(above, line, strict=True):
            lost[BULLETS] += letter == "B" or letter == "*" and over not in "*Bb"


def _split_pipes(rows: list[list[str]], source: list[str], lost: Counter[str]) -> None:
    """Tells the halves of `t` and `T` apart, and puts plants above the pipes of `T`."""
    pipe = ("t", "T")
    for y, line in enumerate(source, HEIGHT - len(source)):
        for x, letter in enumerate(line):
            if letter not in pipe:
                continue
            is_right = x > 0 and line[x - 1] in pipe and rows[y][x - 1] == "["
            rows[y][x] = "]" if is_right else "["
            above = rows[y - 1][x] if y > 0 else "#"
            if letter == "T" and not is_right and above != "[":
                if above == ".":
                    rows[y - 1][x] = "p"
                else:
                    lost[PLANTS] += 1
