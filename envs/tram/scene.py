r"""Scenes of a tram line as text: reading and checking, and the plain tables that kernels take.

A scene's file has `# name: value` lines, then the line from west to east, a letter a cell:

    T  the tram at its start      -  rails      E  the end of a line      .  no rails
    Y  a switch: straight on, or aside onto the \ below to the right, or else the / above to the right
    \  rails that come from above; they lead to the right, or down where nothing follows there
    /  rails that come from below; they lead to the right, or up where nothing follows there
    P  somebody on the rails who hears the bell; p somebody who does not; 2 to 9 so many who do not

Values: `title`, `question`, `speed` (at the start, cells a tick, 0 to 5), `aboard` (passengers who stand, 0
to 9), `hears` (chance that who hears the bell steps off, 0 to 1), `falls` (chance that a passenger falls when
the tram brakes hard, 0 to 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from .state import HEIGHT, LAYOUT, MOST_CELLS, MOST_PLACES, MOST_SWITCHES, TOP_SPEED, WIDTH

NUMBERS: dict[str, tuple[float, float]] = {
    "speed": (TOP_SPEED, 2),
    "aboard": (9, 4),
    "hears": (1, 0.5),
    "falls": (1, 0.25),
}
"""Values that are numbers: the most, and the usual one."""
WHOLE = ("speed", "aboard")
PEOPLE = "Pp23456789"
RAILS = "T-Y\\/E" + PEOPLE


class SceneError(ValueError):
    """A scene that can't be driven; the message is one line that names the file and the place."""


@dataclass(frozen=True)
class Scene:
    """A scene as it was written; two of equal rows and numbers are the same."""

    name: str
    title: str
    question: str
    speed: int
    aboard: int
    hears: float
    falls: float
    rows: tuple[str, ...]


def read_scene(text: str, name: str) -> Scene:
    """Reads a scene.

    Args:
        text: what the file holds.
        name: what errors call it.

    Raises:
        SceneError: one line, with line and column.
    """
    values: dict[str, str] = {}
    rows, first = [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, colon, value = (part.strip() for part in line[1:].partition(":"))
            if not colon or key not in ("title", "question", *NUMBERS):
                raise SceneError(
                    f"{name}, line {number}: a value is one of title, question, {', '.join(NUMBERS)}"
                )
            values[key] = value
        elif line.strip():
            first = first or number
            rows.append(line.rstrip().replace(" ", "."))
    numbers = {key: _number(values, key, name) for key in NUMBERS}
    scene = Scene(name, values.get("title", name), values.get("question", ""), **numbers, rows=tuple(rows))  # type: ignore[arg-type]
    lay_out(scene, first)
    return scene


def _number(values: dict[str, str], key: str, name: str) -> float:
    most, usual = NUMBERS[key]
    try:
        found = float(values[key]) if key in values else usual
    except ValueError:
        found = -1.0
    if not 0 <= found <= most or key in WHOLE and found != int(found):
        kind = "whole number" if key in WHOLE else "number"
        raise SceneError(f"{name}: {key} is a {kind} from 0 to {most}; got {values[key]}")
    return int(found) if key in WHOLE else found


def lay_out(scene: Scene, first_line: int = 1) -> NDArray[np.void]:
    """A scene as kernels take it.

    Args:
        scene: what was read.
        first_line: number of its first row, for messages.

    Returns:
        () record of `state.LAYOUT`; rails are numbered in the order in which the tram comes to them.

    Raises:
        SceneError: one line, with line and column.
    """
    rows = scene.rows

    def wrong(cell: tuple[int, int], problem: str) -> NoReturn:
        raise SceneError(f"{scene.name}, line {first_line + cell[0]}, column {cell[1] + 1}: {problem}")

    def letter(row: int, column: int) -> str:
        return rows[row][column] if 0 <= row < len(rows) and 0 <= column < len(rows[row]) else "."

    def ways(row: int, column: int) -> list[tuple[int, int]]:
        here, right = letter(row, column), (row, column + 1)
        below, above = (row + 1, column + 1), (row - 1, column + 1)
        if here == "E":
            return []
        if here in "\\/" and letter(*right) not in RAILS:
            return [below if here == "\\" else above]
        if here == "Y":
            return [right, below if letter(*below) == "\\" else above]
        return [right]

    if not 0 < len(rows) <= HEIGHT or max(map(len, rows)) > WIDTH:
        raise SceneError(f"{scene.name}: a scene has 1 to {HEIGHT} rows of at most {WIDTH} letters")
    cells = [(r, c) for r, row in enumerate(rows) for c in range(len(row)) if row[c] != "."]
    for cell in cells:
        if letter(*cell) not in RAILS:
            wrong(cell, f"{letter(*cell)!r} is none of {RAILS}.")
    starts = [cell for cell in cells if letter(*cell) == "T"]
    if len(starts) != 1:
        raise SceneError(
            f"{scene.name}: a scene has one T, where the tram starts; this one has {len(starts)}"
        )
    found = starts[:]
    for cell in found:
        onwards = ways(*cell)
        if letter(*cell) == "Y" and letter(*onwards[1]) != ("\\" if onwards[1][0] > cell[0] else "/"):
            wrong(cell, "a switch leads aside onto a \\ below to the right, or a / above to the right")
        for after in onwards:
            if letter(*after) not in RAILS:
                wrong(after, f"no rails follow the {letter(*cell)} before; a line ends with E")
            if after not in found:
                found.append(after)
    for cell in cells:
        if cell not in found:
            wrong(cell, "the tram never comes here")
    return _tables(scene, sorted(found, key=lambda cell: cell[1]), ways, letter, wrong)


def _tables(scene, cells, ways, letter, wrong) -> NDArray[np.void]:
    """The record, of cells from west to east: whatever follows a cell stands behind it."""
    layout = np.zeros((), LAYOUT)
    numbers = {cell: k for k, cell in enumerate(cells)}
    for name in ("ahead", "place", "switch", "board", "spot"):
        layout[name] = -1
    places = switches = 0
    if len(cells) > MOST_CELLS:
        raise SceneError(f"{scene.name}: {len(cells)} cells of rails; at most {MOST_CELLS} can be driven")
    for cell, k in numbers.items():
        here = letter(*cell)
        layout["board"][cell] = k
        layout["at"][k] = cell
        layout["ahead"][k] = (2 * [numbers[way] for way in ways(*cell)])[:2] or -1
        if here == "Y":
            if switches == MOST_SWITCHES:
                wrong(cell, f"there are more than {MOST_SWITCHES} switches")
            layout["switch"][k] = switches
            switches += 1
        if here in PEOPLE:
            if places == MOST_PLACES:
                wrong(cell, f"there are people in more than {MOST_PLACES} cells")
            layout["place"][k], layout["spot"][places] = places, k
            layout["people"][places] = int(here) if here.isdecimal() else 1
            layout["hears"][places] = round(1024 * scene.hears) if here == "P" else 0
            places += 1
    layout["speed"], layout["aboard"], layout["falls"] = scene.speed, scene.aboard, round(1024 * scene.falls)
    layout["cells"], layout["places"], layout["switches"] = len(cells), places, switches
    return layout
