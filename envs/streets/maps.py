"""Street maps: which moves the road allows, and the shortest ways along them.

A map is a grid of cells. A lane has one heading; a junction cell has the heading of the lane that crosses it
from north or south, and of the one that crosses it from east or west. The moves (cell, heading) -> neighbour
are all that the worlds need to know. Maps come from the generator or from ASCII files:

    #        building               ^ > v <  lane with its heading
    .        sidewalk               N E S W  zebra crossing over a lane with that heading
    +        junction               *        junction with signals
    ,        open ground

Lines that begin with `;` before the grid are comments. Of these, `; left-hand` says that traffic keeps left,
`; cell 5 m` how long a cell is, and `; credit ...` whom the map is owed to.

Where a lane runs into a junction that nothing leaves ahead, to the left or to the right, traffic turns round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..core.drawings import Shelf
from .generator import StreetConfig, draw
from .routes import (
    MAX_JUNCTION,
    NONE,
    UNREACHABLE,
    add_junction_exits,
    distances,
    label_parts,
    search,
    turn_paths,
)

__all__ = [
    "BUILDING", "CROSSING", "JUNCTION", "MAPS", "NONE", "ROAD", "SIDEWALK", "STEPS", "UNREACHABLE",
    "MapError", "StreetConfig", "StreetMap", "ahead", "distances", "format_map", "generate", "legal_moves",
    "parse_map", "turn_paths",
]  # fmt: skip

BUILDING, SIDEWALK, ROAD, CROSSING, JUNCTION = range(5)
"""Kinds of cells; a crossing is a lane too."""

STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""(dy, dx) of the headings north 0, east 1, south 2, west 3; y grows downwards."""

MAX_SIDE = 1024  # of a map file; more is a mistake or an attack

_CHARACTERS = "#.^>v<NESW+*,"
_KINDS = (BUILDING, SIDEWALK, *[ROAD] * 4, *[CROSSING] * 4, JUNCTION, JUNCTION, BUILDING)
_KIND_OF = np.full(128, NONE, np.uint8)
_HEADING_OF = np.full(128, NONE, np.uint8)
for _index, _character in enumerate(_CHARACTERS):
    _KIND_OF[ord(_character)] = _KINDS[_index]
    _HEADING_OF[ord(_character)] = (_index - 2) % 4 if 2 <= _index < 10 else NONE
_HEADING_OF_EXITS = np.full(16, NONE, np.uint8)
_HEADING_OF_EXITS[[1, 2, 4, 8]] = range(4)


class MapError(ValueError):
    """A map that can't be driven on; the message is one line that names the file and the place."""


@dataclass(frozen=True, eq=False)
class StreetMap:
    """A city's streets, as read-only arrays of (height, width) cells."""

    name: str
    """File name or seed, for people."""
    kind: NDArray[np.uint8]
    """(H, W) BUILDING, SIDEWALK, ROAD, CROSSING or JUNCTION."""
    exits: NDArray[np.uint8]
    """(H, W) bit h is set where traffic may leave the cell with heading h."""
    signalled: NDArray[np.bool_]
    """(J,) whether a junction has signals."""
    junction: NDArray[np.int16]
    """(H, W) number of the junction that a cell belongs to, -1 outside."""
    ground: NDArray[np.bool_]
    """(H, W) cells of kind BUILDING on which nothing is built."""
    left_hand: bool = False
    """Traffic keeps left."""
    cell_metres: float | None = None
    """How long a cell is, where the map is of a real place."""
    credit: str = ""
    """Whom the map is owed to, to be shown wherever it is."""

    def __post_init__(self) -> None:
        for array in (self.kind, self.exits, self.signalled, self.junction, self.ground):
            array.flags.writeable = False

    @property
    def heading(self) -> NDArray[np.uint8]:
        """(H, W) headings of the lanes, NONE elsewhere."""
        return np.where(self.junction < 0, _HEADING_OF_EXITS[self.exits], np.uint8(NONE))


def generate(config: StreetConfig, seed: int) -> StreetMap:
    """Makes a city in which every lane cell can be reached from every other.

    Args:
        config: size and character of the city.
        seed: a non-negative integer; equal arguments give equal cities.
    """
    return _build(draw(config, seed), f"generated-{seed}", config.left_hand, first_line=1)


# ------------------------------------------------------------ ASCII maps


def parse_map(text: str, name: str) -> StreetMap:
    """Reads an ASCII map from a string.

    Args:
        text: the map, as this module's docstring describes it.
        name: the map's name, which errors mention.

    Raises:
        MapError: naming line and column, both counted from 1.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    comments = 0
    while comments < len(lines) and lines[comments].startswith(";"):
        comments += 1
    facts = _read_comments(lines[:comments], name)
    rows = lines[comments:]
    if not rows:
        raise MapError(f"{name}: the map is empty")
    width = len(rows[0])
    if len(rows) > MAX_SIDE or width > MAX_SIDE:
        raise MapError(f"{name}: {width} x {len(rows)} cells, at most {MAX_SIDE} x {MAX_SIDE} are allowed")
    for y, row in enumerate(rows):
        if len(row) != width:
            column = min(len(row), width) + 1
            _fail(name, comments + 1 + y, column, f"{len(row)} cells in this line, {width} in the first")
        for x, character in enumerate(row):
            if character not in _CHARACTERS:
                _fail(name, comments + 1 + y, x + 1, f"unknown character {ascii(character)}")
    grid = np.frombuffer("".join(rows).encode("ascii"), np.uint8).reshape(len(rows), width)
    return replace(_build(grid, name, facts.get("left_hand", False), first_line=comments + 1), **facts)


def _read_comments(lines: Sequence[str], name: str) -> dict[str, Any]:
    """What the comments before a map tell of it: fields of StreetMap."""
    facts: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        words = line[1:].split()
        if [word.lower() for word in words] == ["left-hand"]:
            facts["left_hand"] = True
        elif words[:1] == ["credit"]:
            facts["credit"] = " ".join(words[1:])
        elif len(words) == 3 and words[0] == "cell" and words[2] == "m":
            try:
                facts["cell_metres"] = float(words[1])
            except ValueError:
                facts["cell_metres"] = 0.0
            if not 0.1 <= facts["cell_metres"] <= 1000:
                _fail(name, number, 8, f"a cell is 0.1 to 1000 m long, not {words[1]}")
    return facts


def format_map(streets: StreetMap) -> str:
    """Writes a map as ASCII; `parse_map` of the result gives an equal map."""
    grid = np.array([ord(_CHARACTERS[k]) for k in (0, 1)] + [0] * 3, np.uint8)[streets.kind]
    grid[streets.ground] = ord(_CHARACTERS[-1])
    for kind, characters in ((ROAD, b"^>v<"), (CROSSING, b"NESW")):
        cells = streets.kind == kind
        grid[cells] = np.array(list(characters), np.uint8)[streets.heading[cells]]
    cells = streets.kind == JUNCTION
    grid[cells] = np.where(streets.signalled[streets.junction[cells]], ord("*"), ord("+"))
    header = "; left-hand\n" if streets.left_hand else ""
    if streets.cell_metres is not None:
        header += f"; cell {streets.cell_metres:g} m\n"
    if streets.credit:
        header += f"; credit {streets.credit}\n"
    return header + "".join(row.tobytes().decode("ascii") + "\n" for row in grid)


MAPS = Shelf(
    "map", files(__name__.split(".")[0]) / "assets" / "maps", parse_map, 2 * MAX_SIDE * MAX_SIDE, MapError
)
"""The hand-made ones, and those of real places."""


# ------------------------------------------------------------ from characters to legal moves


def ahead(values: NDArray, heading: int, outside: int) -> NDArray:
    """What lies one cell ahead.

    Args:
        values: (..., H, W) one value a cell.
        heading: in which direction.
        outside: the value beyond the map's edge.

    Returns:
        An array like `values`: for each cell the value of its neighbour in that heading.
    """
    dy, dx = STEPS[heading]
    height, width = values.shape[-2:]
    result = np.full_like(values, outside)
    here = slice(max(-dy, 0), height - max(dy, 0)), slice(max(-dx, 0), width - max(dx, 0))
    there = slice(max(dy, 0), height - max(-dy, 0)), slice(max(dx, 0), width - max(-dx, 0))
    result[..., here[0], here[1]] = values[..., there[0], there[1]]
    return result


def _fail(name: str, line: int, column: int, problem: str) -> NoReturn:
    raise MapError(f"{name}, line {line}, column {column}: {problem}")


def _build(grid: NDArray[np.uint8], name: str, left_hand: bool, first_line: int) -> StreetMap:
    """Makes a map of characters and checks that it can be driven on.

    Args:
        grid: (H, W) characters of an ASCII map.
        name: for errors.
        left_hand: traffic keeps left.
        first_line: line number of the grid's first row, for errors.
    """
    kind, heading, exits, junction, clash = legal_moves(grid, left_hand)

    def refuse(cells: NDArray, problem: str) -> None:
        """Fails at the first cell that is set; the problem may mention its character as {0}."""
        if cells.any():
            y, x = divmod(int(cells.argmax()), grid.shape[1])
            _fail(name, first_line + y, x + 1, problem.format(chr(grid[y, x])))

    count = int(junction.max()) + 1
    if count > np.iinfo(np.int16).max:
        raise MapError(f"{name}: {count} junctions are too many")
    size = np.bincount(junction.ravel() + 1)
    refuse(
        (junction >= 0) & (size[junction + 1] > MAX_JUNCTION), f"junction of more than {MAX_JUNCTION} cells"
    )
    signalled = np.zeros(count + 1, bool)  # the last is for -1
    signalled[junction[grid == ord("*")]] = True
    refuse((grid == ord("+")) & signalled[junction], "junction of both '+' and '*'")

    _check_lanes(kind, heading, refuse)
    refuse(clash, "lanes before and behind this junction head against each other")
    lanes = (exits > 0) | (junction >= 0)
    if not lanes.any():
        raise MapError(f"{name}: no lane on the map")
    refuse(lanes & (exits == 0), "no way out of this junction cell")
    start = int(lanes.argmax())
    y, x = divmod(start, grid.shape[1])
    for forward, verb in ((True, "be reached from"), (False, "reach")):
        distance = np.empty(grid.shape, np.uint16)
        if not search(exits, start, forward, distance):
            raise MapError(f"{name}: a way on this map is longer than {UNREACHABLE - 1} cells")
        place = f"line {first_line + y}, column {x + 1}"
        refuse(lanes & (distance == UNREACHABLE), f"this cell can't {verb} {place}")
    ground = grid == ord(",")
    streets = StreetMap(name, kind, exits, signalled[:count], junction.astype(np.int16), ground, left_hand)
    approaches = np.flatnonzero(_approaches(heading, junction)).astype(np.int32)
    stuck = np.zeros(grid.size, bool)
    paths = turn_paths(heading, streets.exits, streets.junction, approaches)
    stuck[approaches[(paths[:, :, 0] < 0).all(axis=1)]] = True
    refuse(stuck.reshape(grid.shape), "from lane '{0}' there is no way out of the junction")
    return streets


def legal_moves(grid: NDArray[np.uint8], left_hand: bool) -> tuple[NDArray, ...]:
    """What the characters of a map mean, whether or not it can be driven on.

    Args:
        grid: (H, W) characters of an ASCII map, 0 where nothing is drawn yet.
        left_hand: traffic keeps left.

    Returns:
        (H, W) arrays: kinds, headings of lanes, exit bits, junction numbers (-1 outside), and where lanes
        before and behind a junction head against each other.
    """
    kind, heading = _KIND_OF[grid], _HEADING_OF[grid]
    junction, _ = label_parts(kind == JUNCTION)
    exits = np.where(heading != NONE, 1 << (heading % 8), 0).astype(np.uint8)
    clash = add_junction_exits(heading, junction, exits, left_hand)
    return kind, heading, exits, junction, clash


def _check_lanes(kind: NDArray, heading: NDArray, refuse: Callable[[NDArray, str], None]) -> None:
    """Checks where the lanes lead and where the zebra crossings lie."""
    for h in range(4):
        lane = heading == h
        next_kind, next_heading = ahead(kind, h, NONE), ahead(heading, h, NONE)
        refuse(lane & (next_kind == NONE), "lane '{0}' leads off the map")
        refuse(lane & (next_kind == BUILDING), "lane '{0}' leads into a building")
        refuse(lane & (next_kind == SIDEWALK), "lane '{0}' leads onto a sidewalk")
        refuse(
            lane & (next_kind != JUNCTION) & (next_heading != h),
            "lane '{0}' leads into a lane of another heading",
        )
        zebra = lane & (kind == CROSSING)
        near = (next_kind == JUNCTION) | (ahead(kind, (h + 2) % 4, NONE) == JUNCTION)
        refuse(zebra & near, "zebra crossing '{0}' touches a junction, leave one cell of lane between them")
        for side in ((h + 1) % 4, (h + 3) % 4):
            side_kind, side_heading = ahead(kind, side, NONE), ahead(heading, side, NONE)
            spans = (side_kind == SIDEWALK) | ((side_kind == CROSSING) & (side_heading % 2 == h % 2))
            refuse(zebra & ~spans, "zebra crossing '{0}' does not span the street from sidewalk to sidewalk")


def _approaches(heading: NDArray, junction: NDArray) -> NDArray[np.bool_]:
    """Lane cells whose next cell is a junction cell; (..., H, W)."""
    return np.logical_or.reduce([(heading == h) & (ahead(junction, h, -1) >= 0) for h in range(4)])
