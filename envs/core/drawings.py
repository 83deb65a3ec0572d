"""Worlds that people draw: text files of `# name: value` lines and rows of letters, and shelves of files.

A `Drawing` is what `read_drawing` makes of a text. A `Shelf` finds what a user asks for: hand-made ones of a
kind, which come with a package, generated ones, or a file of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from ...checking import unknown
from .splits import Split, first_seed
from .textfile import read_text

Usual: TypeAlias = str | tuple[float, float, float]
"""What a value may be: words, and these where there are none; or a number, by the least one, the most and the
usual one, and a whole number where all of them are."""


class DrawingError(ValueError):
    """A drawing of which no world is made; the message is one line that names the file and the place."""


@dataclass(frozen=True)
class Drawing:
    """A drawing as it was written."""

    name: str
    """The file's without its ending, or what a generator calls it."""
    values: Mapping[str, Any]
    """Words, or numbers, by name; usual ones where the drawing says nothing."""
    rows: tuple[str, ...]
    """Letters; the empty end of a row is left out."""
    lines: tuple[int, ...]
    """In which line of the text each row stands, from 1."""

    @property
    def title(self) -> str:
        """For people."""
        return self.values.get("title", self.name)

    def require(self, letters: str, words: str, least: int = 1, most: int = 1) -> None:
        """Refuses fewer or more of some letters together, in words that say how many there are to be."""
        count = sum(row.count(letter) for row in self.rows for letter in letters)
        if not least <= count <= most:
            self.refuse(f"{words}; this one has {count or 'none'}")

    def refuse(self, words: str, row: int | None = None, column: int = 0) -> NoReturn:
        """Raises DrawingError.

        Args:
            words: what is wrong.
            row: where, from 0; None where it is the whole drawing.
            column: where in the row, from 0.
        """
        place = "" if row is None else f", line {self.lines[row]}, column {column + 1}"
        raise DrawingError(f"{self.name}{place}: {words}")


def read_drawing(
    text: str,
    name: str,
    letters: str,
    *,
    high: tuple[int, int],
    wide: tuple[int, int],
    values: Mapping[str, Usual] | None = None,
    blank: str = " ",
) -> Drawing:
    """Reads a drawing; `# title: words` may stand in each, empty lines count for nothing.

    Args:
        text: what its file holds.
        name: what errors call it.
        letters: all that there are.
        high: of how many rows it is, at least and at most.
        wide: of how many letters its longest row is, at least and at most.
        values: which may stand there besides its title.
        blank: the letter for which a space stands; by default there are no spaces.

    Raises:
        DrawingError: one line, with line and column where there is one to blame.
    """
    usual = values or {}
    told: dict[str, str] = {}
    rows, lines = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, colon, value = (part.strip() for part in line[1:].partition(":"))
            if not colon or key not in ("title", *usual):
                known = ", ".join(("title", *usual))
                raise DrawingError(f"{name}, line {number}: `# name: value` has one of {known}; got {line}")
            told[key] = value
        elif line.strip():
            rows.append(line.rstrip().replace(" ", blank))
            lines.append(number)
    found = told | {key: _value(name, key, told.get(key), each) for key, each in usual.items()}
    drawing = Drawing(name, found, tuple(rows), tuple(lines))
    longest = max(map(len, rows), default=0)
    if not (high[0] <= len(rows) <= high[1] and wide[0] <= longest <= wide[1]):
        wanted = f"{high[0]} to {high[1]} rows of {wide[0]} to {wide[1]} letters"
        drawing.refuse(f"there are to be {wanted}; here are {len(rows)} of {longest}")
    for r, row in enumerate(rows):
        for c, letter in enumerate(row):
            if letter not in letters:
                drawing.refuse(f"{letter!r} is none of {letters}", r, c)
    return drawing


def _value(name: str, key: str, text: str | None, usual: Usual) -> str | float:
    """What a drawing says, or the usual."""
    if isinstance(usual, str):
        return usual if text is None else text
    low, high, number = usual
    is_whole = all(isinstance(each, int) for each in usual)
    if text is not None:
        try:
            number = float(text)
        except ValueError:
            number = low - 1
    if not low <= number <= high or is_whole and number != int(number):  # also refuses NaN
        kind = "whole number" if is_whole else "number"
        raise DrawingError(f"{name}: {key} is a {kind} from {low} to {high}; got {text}")
    return int(number) if is_whole else number


def shipped(folder: str) -> Traversable:
    """A folder of what comes with this package."""
    return files(__name__.partition(".")[0]) / "assets" / folder


Made = TypeVar("Made", bound=Any)
"""What is made of a text: a dataclass with a `name`."""


@dataclass(frozen=True)
class Shelf(Generic[Made]):
    """Where a world finds what it is made of: the hand-made ones of its package, and files of users."""

    kind: str
    """What one is called, as in `maze`."""
    folder: Traversable
    """Where the hand-made ones lie, as `.txt` files; of this package it's `shipped(name)`."""
    parse: Callable[[str, str], Made]
    """`(text, name) -> one`; it raises a ValueError of one line that mentions the name."""
    max_bytes: int = 8192
    """Of a file; more is a mistake or an attack."""
    error: type[ValueError] = DrawingError
    """Which is raised where there is no such file."""

    def names(self) -> tuple[str, ...]:
        """Of the hand-made ones, in order."""
        return tuple(sorted(Path(f.name).stem for f in self.folder.iterdir() if f.name.endswith(".txt")))

    def read(self, path: str | PathLike[str] | Traversable) -> Made:
        """Reads a file; what is made of it bears the file's name, without the ending.

        Raises:
            ValueError: one line, if there is no such file, or nothing can be made of it.
        """
        source = path if isinstance(path, Traversable) else Path(fspath(path))
        text = read_text(source, str(path), self.max_bytes, f"a {self.kind}", self.error)
        return replace(self.parse(text, str(path)), name=Path(source.name).stem)

    def find(self, choice: str, *others: str) -> Made:
        """Reads a hand-made one by its name, a file by its path, or `choice`.txt where it lies here.

        Args:
            choice: what a user asks for.
            *others: what the user might have meant besides.

        Raises:
            ValueError: one line, where there is none, or it is faulty.
        """
        names, path, here = self.names(), Path(choice), Path(f"{choice}.txt")
        also = f", or the path of a {self.kind} file"
        if choice in names:
            return self.read(self.folder / f"{choice}.txt")
        if path.exists() or path.name != choice or path.suffix == ".txt":
            return self.read(path)
        if here.exists():
            return self.read(here)
        raise self.error(unknown(self.kind, choice, (*others, *names), also))

    def load(self, choice: str, draw: Callable[[int], Made], split: Split, count: int) -> list[Made]:
        """Reads or draws the pool of a world.

        Args:
            choice: `generated`, `shipped` (all of the hand-made ones), or whatever `find` takes.
            draw: `seed -> one`, the generator.
            split: range of seeds of generated ones.
            count: how many are generated.

        Raises:
            ValueError: one line, for an unknown choice or a faulty file.
        """
        if choice == "generated":
            first = first_seed(split)
            return [draw(seed) for seed in range(first, first + count)]
        chosen = self.names() if choice == "shipped" else [choice]
        return [self.find(each, "generated", "shipped") for each in chosen]
