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

import numpy as np
from numpy.typing import NDArray

from ..core import Drawing, Shelf, read_drawing, shipped
from .state import HEIGHT, LAYOUT, MOST_CELLS, MOST_PLACES, MOST_SWITCHES, TOP_SPEED, WIDTH

VALUES = {
    "question": "",
    "speed": (0, TOP_SPEED, 2),
    "aboard": (0, 9, 4),
    "hears": (0, 1, 0.5),
    "falls": (0, 1, 0.25),
}
PEOPLE = "Pp23456789"
RAILS = "T-Y\\/E" + PEOPLE


def read_scene(text: str, name: str) -> Drawing:
    """Reads a scene, and refuses one that can't be driven; see `read_drawing`."""
    scene = read_drawing(text, name, RAILS + ".", high=(1, HEIGHT), wide=(1, WIDTH), values=VALUES, blank=".")
    lay_out(scene)
    return scene


SCENES = Shelf("scene", shipped("scenes"), read_scene)
"""The hand-made ones."""


def lay_out(scene: Drawing) -> NDArray[np.void]:
    """A scene as kernels take it.

    Args:
        scene: what was read.

    Returns:
        () record of `state.LAYOUT`; rails are numbered in the order in which the tram comes to them.

    Raises:
        DrawingError: one line, with line and column.
    """
    rows = scene.rows

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

    cells = [(r, c) for r, row in enumerate(rows) for c in range(len(row)) if row[c] != "."]
    scene.require("T", "a scene has one T, where the tram starts")
    found = [cell for cell in cells if letter(*cell) == "T"]
    for cell in found:
        onwards = ways(*cell)
        if letter(*cell) == "Y" and letter(*onwards[1]) != ("\\" if onwards[1][0] > cell[0] else "/"):
            scene.refuse("a switch leads aside onto a \\ below to the right, or else a / above it", *cell)
        for after in onwards:
            if letter(*after) not in RAILS:
                scene.refuse(f"no rails follow this {letter(*cell)}; a line ends with E", *cell)
            if after not in found:
                found.append(after)
    for cell in cells:
        if cell not in found:
            scene.refuse("the tram never comes here", *cell)
    return _tables(scene, sorted(found, key=lambda cell: cell[1]), ways, letter)


def _tables(scene, cells, ways, letter) -> NDArray[np.void]:
    """The record, of cells from west to east: whatever follows a cell stands behind it."""
    layout = np.zeros((), LAYOUT)
    numbers = {cell: k for k, cell in enumerate(cells)}
    for name in ("ahead", "place", "switch", "board", "spot"):
        layout[name] = -1
    places = switches = 0
    if len(cells) > MOST_CELLS:
        scene.refuse(f"{len(cells)} cells of rails; at most {MOST_CELLS} can be driven")
    for cell, k in numbers.items():
        here = letter(*cell)
        layout["board"][cell] = k
        layout["at"][k] = cell
        layout["ahead"][k] = (2 * [numbers[way] for way in ways(*cell)])[:2] or -1
        if here == "Y":
            if switches == MOST_SWITCHES:
                scene.refuse(f"there are more than {MOST_SWITCHES} switches", *cell)
            layout["switch"][k] = switches
            switches += 1
        if here in PEOPLE:
            if places == MOST_PLACES:
                scene.refuse(f"there are people in more than {MOST_PLACES} cells", *cell)
            layout["place"][k], layout["spot"][places] = places, k
            layout["people"][places] = int(here) if here.isdecimal() else 1
            layout["hears"][places] = round(1024 * scene.values["hears"]) if here == "P" else 0
            places += 1
    layout["speed"], layout["aboard"] = scene.values["speed"], scene.values["aboard"]
    layout["falls"] = round(1024 * scene.values["falls"])
    layout["cells"], layout["places"], layout["switches"] = len(cells), places, switches
    return layout
