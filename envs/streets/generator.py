"""Draws cities: a jittered lattice of streets, thinned out while every street can still reach every other.

The drawing uses the characters of the ASCII maps (see `maps.py`), so a generated map goes through the same
reading and the same checks as a hand-made one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.settings import check_settings

MIN_GAP = 4  # cells between two parallel streets: sidewalk, two of building, sidewalk
MAX_SIDE = 256

THINNED = 0.25  # share of the streets between two junctions that we try to leave out
CUT_CORNER = 0.3  # probability that we try to leave out a corner of the ring road
ZEBRA = 0.75  # probability of a zebra crossing where a street meets a junction
ZEBRA_MIDBLOCK = 0.5  # the same where no junction is near

_ZEBRA_OVER = np.zeros(128, np.uint8)
_ZEBRA_OVER[list(b"^>v<")] = list(b"NESW")


@dataclass(frozen=True)
class StreetConfig:
    """What a generated city looks like."""

    width: int = 40
    """Cells from west to east, 16 to 256."""
    height: int = 40
    """Cells from north to south, 16 to 256."""
    block: int = 9
    """Mean distance between parallel streets in cells, at least 6."""
    one_way: float = 0.25
    """Share of streets that are one-way, 0 to 1."""
    signals: float = 0.5
    """Share of junctions (of three streets or more) with signals, 0 to 1."""
    left_hand: bool = False
    """Traffic drives on the left."""

    def __post_init__(self) -> None:
        sides = dict.fromkeys(("width", "height"), (16, MAX_SIDE))
        shares = dict.fromkeys(("one_way", "signals"), (0, 1))
        check_settings(self, {**sides, "block": (6, MAX_SIDE), **shares})


class _Random:
    """Uniform numbers from the raw bits of PCG64, whose stream numpy promises never to change."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def __call__(self, count: int) -> NDArray[np.floating]:
        return (self._bits.random_raw(count) >> np.uint64(11)) * 2.0**-53


@dataclass
class _Lines:
    """The parallel streets of one axis, the first and the last of them sides of the ring road."""

    start: list[int]  # first column (or row) of each street
    width: list[int]  # lanes: 1 or 2
    way: list[int]  # heading of a one-way street, -1 if two-way

    def gap(self, i: int) -> tuple[int, int]:
        """Where the cells between street `i` and the next begin and end."""
        return self.start[i] + self.width[i], self.start[i + 1]

    def block(self, i: int) -> slice:
        return slice(self.start[i], self.start[i] + self.width[i])


def _lines(size: int, axis: int, ring: tuple[int, int], config: StreetConfig, uniform: _Random) -> _Lines:
    """Places the streets that run along `axis` (0: north-south, 1: east-west).

    Args:
        size: cells across.
        axis: the smaller of the two headings of these streets.
        ring: headings of the first and the last street, -1 if the ring road is two-way.
        config: the city's settings.
        uniform: random numbers.
    """
    wanted = 1 + int((size - 4) / config.block + uniform(1)[0])
    count = min(max(wanted, 3), (size + 2) // (MIN_GAP + 2))
    draws = uniform(2 * count)
    way = [axis + 2 * int(d < 0.5) if o < config.one_way else -1 for o, d in draws.reshape(-1, 2)]
    way[0], way[-1] = ring
    width = [2 if w < 0 else 1 for w in way]
    # Every cell that is left widens one of the gaps, less often one of the two margins.
    slack = size - 2 - sum(width) - MIN_GAP * (count - 1)
    weights = np.cumsum([0.25] + [1.0] * (count - 1) + [0.25])
    gaps = np.bincount(np.searchsorted(weights, uniform(slack) * weights[-1], "right"), minlength=count + 1)
    gaps[0] += 1
    gaps[1:-1] += MIN_GAP
    start = np.cumsum(gaps[:-1]) + np.cumsum([0, *width[:-1]])
    return _Lines(start.tolist(), width, way)


class _Lattice:
    """The streets as a graph of arms.

    Arm `4 * node + heading` is the street that leaves a lattice node with that heading, up to the next node.
    `after` holds the arms into which a car may go on there without turning round, `before` the converse.
    """

    def __init__(self, columns: _Lines, rows: _Lines) -> None:
        self.nx, self.ny = len(columns.start), len(rows.start)
        self.step = (-self.nx, 1, self.nx, -1)
        open_arms = np.zeros((self.ny, self.nx, 4), bool)
        for lines, streets, along in ((columns, open_arms.swapaxes(0, 1), 0), (rows, open_arms, 1)):
            for way, nodes in zip(lines.way, streets, strict=True):
                # Northward and westward arms leave all nodes but the first, the others all but the last.
                nodes[1:, (0, 3)[along]] = way in (-1, (0, 3)[along])
                nodes[:-1, (2, 1)[along]] = way in (-1, (2, 1)[along])
        self.open = open_arms.ravel().tolist()
        self.after: list[list[int]] = [[] for _ in self.open]
        self.before: list[list[int]] = [[] for _ in self.open]
        for arm in np.flatnonzero(self.open).tolist():
            node = arm // 4 + self.step[arm % 4]
            for turn in (3, 0, 1):
                onto = 4 * node + (arm + turn) % 4
                if self.open[onto]:
                    self.after[arm].append(onto)
                    self.before[onto].append(arm)

    def has_street(self, node: int, heading: int) -> bool:
        """Whether a street, in either direction, joins the node to its neighbour in that heading."""
        y, x = divmod(node, self.nx)
        if (y == 0, x == self.nx - 1, y == self.ny - 1, x == 0)[heading]:
            return False
        return self.open[4 * node + heading] or self.open[4 * (node + self.step[heading]) + (heading + 2) % 4]

    def streets(self, node: int) -> tuple[int, ...]:
        return tuple(h for h in range(4) if self.has_street(node, h))

    def try_remove(self, streets: list[tuple[int, int]]) -> None:
        """Leaves out streets, given as (node, heading), unless that would cut the city.

        Without them every arm still reaches every other exactly if each arm that led into them still reaches
        each arm that they led into.
        """
        arms = {4 * n + h for n, h in streets} | {4 * (n + self.step[h]) + (h + 2) % 4 for n, h in streets}
        arms = {a for a in arms if self.open[a]}
        into = {a for arm in arms for a in self.before[arm] if self.open[a]} - arms
        out = {a for arm in arms for a in self.after[arm] if self.open[a]} - arms
        for arm in arms:
            self.open[arm] = False
        if not all(self._reaches(arm, out) for arm in into):
            for arm in arms:
                self.open[arm] = True

    def _reaches(self, start: int, targets: set[int]) -> bool:
        missing = targets - {start}
        seen, queue = {start}, [start]
        for arm in queue:
            if not missing:
                break
            found = [a for a in self.after[arm] if self.open[a] and a not in seen]
            seen.update(found)
            queue.extend(found)
            missing.difference_update(found)
        return not missing


def _thin(lattice: _Lattice, uniform: _Random) -> None:
    """Leaves out some streets, so that T-junctions, bends and larger blocks appear."""
    nx, ny = lattice.nx, lattice.ny
    last = nx * ny - 1
    corners = (
        ((0, 1), (0, 2)),
        ((nx - 1, 2), (nx - 1, 3)),
        ((last, 0), (last, 3)),
        ((last - nx + 1, 0), (last - nx + 1, 1)),
    )
    for corner, draw in zip(corners, uniform(4), strict=True):
        if draw < CUT_CORNER:
            lattice.try_remove(list(corner))
    streets = [(n, h) for n in range(last + 1) for h in (1, 2) if lattice.has_street(n, h)]
    order = np.argsort(uniform(len(streets)), kind="stable")
    for k in order[: int(THINNED * len(streets))]:
        lattice.try_remove([streets[k]])


def _lanes(way: int, axis: int, left_hand: bool) -> NDArray[np.uint8]:
    """The characters across a street, from west to east or from north to south."""
    if way >= 0:
        return np.array([b"^>v<"[way]], np.uint8)
    lanes = np.array(list((b"v^", b"<>")[axis]), np.uint8)
    return lanes[::-1] if left_hand else lanes


def _zebras(length: int, at_begin: bool, at_end: bool, draws: NDArray[np.floating]) -> list[int]:
    """Where zebra crossings lie along a street: one cell away from the junctions at its ends."""
    ends = [c for c, near in ((1, at_begin), (length - 2, at_end)) if near]
    if len(ends) == 2 and length < 6:  # too short for two
        ends = [ends[int(draws[2] < 0.5)]]
    return [c for c, draw in zip(ends, draws, strict=False) if draw < ZEBRA]


def _pave(street: NDArray[np.uint8], lanes: NDArray[np.uint8], zebras: list[int]) -> None:
    """Draws a piece of street, given as a (length, lanes) view of the grid."""
    street[:] = lanes
    street[zebras] = _ZEBRA_OVER[lanes]


def draw(config: StreetConfig, seed: int) -> NDArray[np.uint8]:
    """Draws a city.

    Args:
        config: size and character of the city.
        seed: a non-negative integer; equal arguments give equal cities.

    Returns:
        (height, width) uint8, the characters of an ASCII map.
    """
    uniform = _Random(seed)
    one_way, clockwise = uniform(2) < (config.one_way, 0.5)
    west, north, east, south = ((0, 1, 2, 3) if clockwise else (2, 3, 0, 1)) if one_way else (-1, -1, -1, -1)
    columns = _lines(config.width, 0, (west, east), config, uniform)
    rows = _lines(config.height, 1, (north, south), config, uniform)
    lattice = _Lattice(columns, rows)
    _thin(lattice, uniform)

    streets = [lattice.streets(node) for node in range(lattice.nx * lattice.ny)]
    # Where two streets meet end to end and none crosses, the street just runs on.
    is_junction = [len(s) > 2 or (len(s) == 2 and s[1] - s[0] != 2) for s in streets]
    signalled = uniform(len(streets)) < config.signals
    midblock = uniform(len(streets)) < ZEBRA_MIDBLOCK
    zebra_draws = uniform(len(streets) * 6).reshape(-1, 2, 3)

    grid = np.zeros((config.height, config.width), np.uint8)
    for node, arms in enumerate(streets):
        j, i = divmod(node, lattice.nx)
        across, along = _lanes(columns.way[i], 0, config.left_hand), _lanes(rows.way[j], 1, config.left_hand)
        block = grid[rows.block(j), columns.block(i)]
        if is_junction[node]:
            block[:] = ord("*" if signalled[node] and len(arms) > 2 else "+")
        elif arms:
            street, lanes = (block, across) if arms[0] == 0 else (block.T, along)
            _pave(street, lanes, [0] if midblock[node] else [])
        if 1 in arms:
            begin, end = columns.gap(i)
            zebras = _zebras(end - begin, is_junction[node], is_junction[node + 1], zebra_draws[node, 0])
            _pave(grid[rows.block(j), begin:end].T, along, zebras)
        if 2 in arms:
            begin, end = rows.gap(j)
            below = node + lattice.nx
            zebras = _zebras(end - begin, is_junction[node], is_junction[below], zebra_draws[node, 1])
            _pave(grid[begin:end, columns.block(i)], across, zebras)
    return add_sidewalks(grid)


def add_sidewalks(grid: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fills the empty cells: sidewalk where a street is within one cell, round corners too, else building."""
    near = np.pad(grid > 0, 1)
    near = near[:-2] | near[1:-1] | near[2:]
    near = near[:, :-2] | near[:, 1:-1] | near[:, 2:]
    return np.where(grid > 0, grid, np.where(near, ord("."), ord("#"))).astype(np.uint8)
