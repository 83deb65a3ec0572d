"""Draws a layout in cells: lanes, junctions, zebra crossings, sidewalks, houses and open ground.

A place of the lattice is a square of PITCH x PITCH cells with a core of 2 x 2, where the two lanes of a
street pass or a junction lies. So streets never touch: what is joined on the map is joined on the lattice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..generator import add_sidewalks
from ..maps import STEPS, legal_moves
from .lattice import Layout, Route
from .network import Network

PITCH = 4
"""Cells from one place of the lattice to the next."""
CORE = 1
"""Cells from a place's corner to its core."""
MAX_SHIFT = 8
"""Cells by which a zebra crossing may lie elsewhere than it does."""

_LANES = np.array(list(b"^>v<"), np.uint8)
_ZEBRAS = np.array(list(b"NESW"), np.uint8)
_GROUND, _HOUSE = ord(","), ord("#")


@dataclass
class Section:
    """One step along a street: the cells of its lanes, side by side, or a bend, which has none."""

    heading: int
    """Of who follows the street from its tail."""
    cells: list[tuple[int, int]]
    headings: list[int]
    """Of the lanes in these cells."""


class Drawing:
    """A map in the making.

    Args:
        layout: the city on its lattice.
        signals: nodes with traffic signals.
        left_hand: traffic keeps left.
    """

    def __init__(self, layout: Layout, signals: set[int], left_hand: bool) -> None:
        rows, columns = layout.shape
        self._left_hand = left_hand
        self.layout = layout
        self.grid = np.zeros((PITCH * rows, PITCH * columns), np.uint8)
        """(H, W) characters of an ASCII map; 0 where no street is."""
        self._leaving = np.zeros(
            (rows + 2, columns + 2, 4), np.int8
        )  # lanes, by heading; with a rim of zeros
        for route in layout.routes:
            for here, heading, there in _links(route):
                self._leaving[here][heading] = route.street.ahead
                self._leaving[there][heading ^ 2] = route.street.back
        for route in layout.routes:
            self._widen(route)
        lights = {_rimmed(layout.nodes[node]) for node in signals if node in layout.nodes}
        for y, x in np.argwhere(self._leaving.any(axis=2) | self._coming().any(axis=2)).tolist():
            place = y, x
            self._draw_core(place, place in lights)
            for heading in range(4):
                for cell in self._link_cells(place, heading):
                    self.grid[cell] = _LANES[heading]

    def _coming(self) -> NDArray[np.int8]:
        """Lanes that come to each place, by their heading."""
        return np.stack([np.roll(self._leaving[..., h], STEPS[h], axis=(0, 1)) for h in range(4)], axis=-1)

    def _widen(self, route: Route) -> None:
        """Gives a wide one-way street its second lane, where none comes towards it across a junction."""
        street = route.street
        if street.ahead == street.back or street.lanes < 2:
            return
        links = list(_links(route))
        (tail, first, _), (_, last, head) = links[0], links[-1]
        for place, outwards, enters in ((head, last, street.ahead), (tail, first ^ 2, street.back)):
            if self._entering(place, outwards) if enters else self._leaving[place][outwards]:
                return
        for here, heading, there in links:
            if street.ahead:
                self._leaving[here][heading] = 2
            else:
                self._leaving[there][heading ^ 2] = 2

    def _tracks(self, heading: int, lanes: int) -> list[int]:
        """Which of the two columns (or rows) of a street its lanes with that heading take."""
        own = int(heading in (0, 1)) ^ self._left_hand
        return [[], [own], [0, 1]][lanes]

    def _corner(self, place: tuple[int, int]) -> tuple[int, int]:
        """The first cell of a place's core; places are counted with the rim."""
        return PITCH * (place[0] - 1) + CORE, PITCH * (place[1] - 1) + CORE

    def _draw_core(self, place: tuple[int, int], signalled: bool) -> None:
        y, x = self._corner(place)
        heading = self._passing(place)
        if heading is not None:
            for h in (heading, heading ^ 2):
                for track in self._tracks(h, int(self._leaving[place][h])):
                    if heading % 2 == 0:
                        self.grid[y : y + 2, x + track] = _LANES[h]
                    else:
                        self.grid[y + track, x : x + 2] = _LANES[h]
            return
        arms = sum(self._has_arm(place, h) for h in range(4))
        self.grid[y : y + 2, x : x + 2] = ord("*" if signalled and arms > 2 else "+")

    def _entering(self, place: tuple[int, int], heading: int) -> int:
        """Lanes that come to a place from the neighbour in that heading."""
        dy, dx = STEPS[heading]
        return int(self._leaving[place[0] + dy, place[1] + dx, heading ^ 2])

    def _has_arm(self, place: tuple[int, int], heading: int) -> bool:
        return bool(self._leaving[place][heading] or self._entering(place, heading))

    def _passing(self, place: tuple[int, int]) -> int | None:
        """The axis (0: north-south, 1: east-west) along which a street runs on; None where it does not."""
        for axis in (0, 1):
            aside = any(self._has_arm(place, h) for h in (1 - axis, 3 - axis))
            on = all(
                self._leaving[place][h] == self._entering(place, h ^ 2) and self._has_arm(place, h)
                for h in (axis, axis + 2)
            )
            if on and not aside:
                return axis
        return None

    def _link_cells(self, place: tuple[int, int], heading: int) -> list[tuple[int, int]]:
        """The cells of the lanes from a place's core to the neighbour's in that heading."""
        y, x = self._corner(place)
        dy, dx = STEPS[heading]
        tracks = self._tracks(heading, int(self._leaving[place][heading]))
        cells = []
        for k in range(1, PITCH - 1):
            ahead = k + 1 if dy + dx > 0 else -k
            for track in tracks:
                cells.append((y + dy * dy * ahead + dx * dx * track, x + dx * dx * ahead + dy * dy * track))
        return cells

    # ------------------------------------------------------------ along a street

    def sections(self, route: Route) -> list[Section]:
        """The steps along a street, from the core at its tail to that at its head, both left out."""
        links, sections = list(_links(route)), []
        for number, (here, heading, there) in enumerate(links):
            if number:
                sections += self._core_sections(here, heading)
            out = [(cell, heading) for cell in self._link_cells(here, heading)]
            back = [(cell, heading ^ 2) for cell in self._link_cells(there, heading ^ 2)]
            sections += _sliced(out + back, heading)
        return sections

    def _core_sections(self, place: tuple[int, int], heading: int) -> list[Section]:
        if self._passing(place) is None:
            return [Section(heading, [], []), Section(heading, [], [])]
        y, x = self._corner(place)
        cells = []
        for h in (heading, heading ^ 2):
            for track in self._tracks(h, int(self._leaving[place][h])):
                for k in (0, 1):
                    cells.append(((y + k, x + track) if h % 2 == 0 else (y + track, x + k), h))
        return _sliced(cells, heading)

    # ------------------------------------------------------------ what lies on and beside the streets

    def prune(self) -> set[tuple[int, int]]:
        """Takes away the cells that can't be reached from all others, or can't reach them.

        Returns:
            The places of the lattice that have lost lanes, and not only corners of junctions.
        """
        lanes = np.isin(self.grid, _LANES)
        while True:
            exits = legal_moves(self.grid, self._left_hand)[2]
            outside = (self.grid > 0) & ~largest_part(exits)
            if not outside.any():
                return {(y // PITCH, x // PITCH) for y, x in np.argwhere(lanes & (self.grid == 0)).tolist()}
            self.grid[outside] = 0

    def driven(self, route: Route) -> tuple[bool, bool, bool]:
        """Whether there is still a lane along a street, and one against it, and whether no lane is gone."""
        ahead = back = whole = True
        for section in self.sections(route):
            lanes = [
                (heading == section.heading, bool(self.grid[cell]))
                for cell, heading in zip(section.cells, section.headings, strict=True)
            ]
            for along in (True, False):
                there = [is_there for is_ahead, is_there in lanes if is_ahead == along]
                whole &= all(there)
                if there and not any(there):
                    ahead, back = ahead and not along, back and along
        return ahead, back, whole

    def add_zebras(self, dropped: Counter[str], inferred: Counter[str]) -> int:
        """Draws the crossings that the data names, and at signals those that it does not.

        Returns:
            The number of the former.
        """
        kept = 0
        for route in self.layout.routes:
            sections, street = self.sections(route), route.street
            for offset in street.crossings:
                wanted = offset / street.length * len(sections)
                free = [k for k in range(len(sections)) if self._takes_zebra(sections, k)]
                best = min(free, key=lambda k: abs(k + 0.5 - wanted), default=None)
                if best is None or abs(best + 0.5 - wanted) > MAX_SHIFT:
                    dropped["crossings without room, or beside another"] += 1
                else:
                    self._paint(sections[best], _ZEBRAS)
                    kept += 1
            for k, place in ((1, route.places[0]), (len(sections) - 2, route.places[-1])):
                y, x = self._corner(_rimmed(place))
                signalled = (self.grid[y : y + 2, x : x + 2] == ord("*")).any()
                near = sections[:5] if k == 1 else sections[-5:]
                if signalled and not any(map(self._is_zebra, near)) and self._takes_zebra(sections, k):
                    self._paint(sections[k], _ZEBRAS)
                    inferred["crossings at signals"] += 1
        return kept

    def _takes_zebra(self, sections: list[Section], k: int) -> bool:
        """Whether a section has plain lane before and behind it, of the same street."""
        near = sections[max(k - 1, 0) : k + 2]
        return len(near) == 3 and all(
            section.cells and not self._is_zebra(section) and section.headings == near[1].headings
            for section in near
        )

    def _is_zebra(self, section: Section) -> bool:
        return bool(section.cells) and self.grid[section.cells[0]] in _ZEBRAS

    def _paint(self, section: Section, characters: NDArray[np.uint8]) -> None:
        for cell, heading in zip(section.cells, section.headings, strict=True):
            self.grid[cell] = characters[heading]

    def finish(self, network: Network, cell: float) -> NDArray[np.uint8]:
        """Adds sidewalks, and houses where the data has them; what is left is open ground.

        Args:
            network: with the outlines of houses.
            cell: metres of a cell.
        """
        grid = add_sidewalks(self.grid)
        if not network.houses:
            return grid
        shift = PITCH * self.layout.origin + CORE + 0.5  # a cell is where its middle is
        picture = Image.new("1", grid.shape[::-1])
        draw = ImageDraw.Draw(picture)
        for house in network.houses:
            draw.polygon([tuple(corner) for corner in (house / cell + shift).tolist()], fill=1)
        grid[(grid == _HOUSE) & ~np.array(picture)] = _GROUND
        return grid


def largest_part(exits: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) the cells of the largest part in which every cell can be reached from every other."""
    height, width = exits.shape
    numbers = np.arange(exits.size).reshape(exits.shape)
    tails, heads = [], []
    for h, (dy, dx) in enumerate(STEPS):
        y, x = np.nonzero(exits >> h & 1)
        tails.append(numbers[y, x])
        heads.append(numbers[y + dy, x + dx])
    tail, head = np.concatenate(tails), np.concatenate(heads)
    graph = coo_matrix((np.ones(len(tail), np.int8), (tail, head)), shape=(exits.size, exits.size))
    _, part = connected_components(graph, connection="strong")
    sizes = np.bincount(part[exits.ravel() > 0], minlength=1)  # where nothing is left there are no exits
    return (exits > 0) & (part.reshape(height, width) == sizes.argmax())


def _rimmed(place: tuple[int, int]) -> tuple[int, int]:
    return place[0] + 1, place[1] + 1


def _links(route: Route) -> Iterator[tuple[tuple[int, int], int, tuple[int, int]]]:
    """The steps of a route: place, heading, next place, counted with the rim."""
    for (r, c), (v, u) in zip(route.places[:-1], route.places[1:], strict=True):
        yield (r + 1, c + 1), STEPS.index((v - r, u - c)), (v + 1, u + 1)


def _sliced(cells: list[tuple[tuple[int, int], int]], heading: int) -> list[Section]:
    """Sorts lane cells, each with its heading, into sections along a heading."""
    axis = heading % 2
    slices: dict[int, Section] = {}
    for cell, lane in cells:
        section = slices.setdefault(cell[axis], Section(heading, [], []))
        section.cells.append(cell)
        section.headings.append(lane)
    return [slices[k] for k in sorted(slices, reverse=heading in (0, 3))]
