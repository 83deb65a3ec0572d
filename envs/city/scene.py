"""What is to be seen where, between two ticks: the renderer's picture before it is drawn.

A tick is shown from phase 0, the state before it, to phase 1. The state record tells where everybody came
from; headings before the tick are found so that nothing jumps from one tick to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..streets.maps import BUILDING, CROSSING, JUNCTION, SIDEWALK, STEPS, StreetMap, ahead
from .state import AT_KERB, ON_ROAD, SIREN_AHEAD, UNDRAWN, CityParams

CARS = (
    "car_red", "car_silver", "car_blue", "van_cream", "car_teal", "car_white", "car_graphite", "car_plum",
    "car_green", "van_brick",
)  # fmt: skip
NUM_PEOPLE = 6


class Thing(NamedTuple):
    """One sprite of the picture."""

    sprite: str
    """Its name."""
    x: float
    """Cells from the map's left edge to its middle."""
    y: float
    """Cells from the map's top to its middle."""
    quarters: float = 0.0
    """Heading, in quarter turns from north."""


def is_dark(hour: int) -> bool:
    """Whether lamps are lit."""
    return hour >= 20 or hour < 6


def green(rules: np.void, offset: NDArray, heading: NDArray, clock: int) -> NDArray[np.bool_]:
    """Whether signals show green: `traffic.is_green` for arrays.

    Args:
        rules: the world's rules.
        offset: (K,) offsets of signals in ticks.
        heading: (K,) headings of the traffic that they are for.
        clock: ticks.
    """
    half = int(rules["green"]) + int(rules["all_red"])
    phase = (clock + offset) % (2 * half) - half * (heading & 1)
    return (phase >= 0) & (phase < rules["green"])


def in_lane(x: int, y: int, heading: int, across: float, along: float) -> tuple[float, float]:
    """A point of a cell as its driver sees it.

    Args:
        x: column of the cell.
        y: row of the cell.
        heading: of the driver.
        across: cells from the left edge.
        along: cells from the rear edge.

    Returns:
        Cells from the map's left edge and top.
    """
    (dy, dx), a, b = STEPS[heading], along - 0.5, across - 0.5
    return x + 0.5 + dx * a - dy * b, y + 0.5 + dy * a + dx * b


class Scene:
    """Finds out what there is to see.

    Args:
        params: the city's tables.
        maps: its maps.
    """

    def __init__(self, params: CityParams, maps: Sequence[StreetMap]) -> None:
        self._params, self._rules, self._maps = params, params.rules[0], maps
        self._delta = [int(step) for step in self._rules["delta"]]
        self._width = int(self._rules["width"])
        self._lamps = lru_cache(64)(self._find_lamps)
        self._route = lru_cache(256)(self._find_route)

    def things(self, e: np.void, phase: float) -> Iterator[Thing]:
        """Everything above the streets, from back to front.

        Args:
            e: a state record.
            phase: how much of the last tick has been shown.
        """
        m, clock = int(e["map"]), int(e["clock"])
        ego, *cars = self._make_way(e, phase, [self.ego(e, phase), *self.cars(e, phase)])
        ambulance = self._ambulance(e, phase)
        flag = self.place(m, int(e["destination"]))
        for x, y in self._route(m, int(e["destination"]), int(e["cars"]["cell"][0])):
            yield Thing("route", x, y)
        yield flag._replace(sprite="ring_pin")
        if is_dark(int(e["info"]["hour"])):
            for vehicle in (ego, *cars, *ambulance):
                yield vehicle._replace(sprite="beams")
        yield ego._replace(sprite="ring_ego", quarters=0.0)
        yield from cars
        yield ego
        yield from self._people(e, phase)
        flash = int((clock + phase) * 3) % 2
        for vehicle in ambulance:
            yield vehicle._replace(sprite=f"ambulance_{flash}")
            yield vehicle._replace(sprite=("glow_blue", "glow_red")[flash], quarters=0.0)
        # The lights under which a tick was driven stay until it has been shown.
        yield from self._signals(m, clock - (phase < 1))
        bob = 0.12 * (1 + math.sin((clock + phase) % 4 / 4 * math.tau))
        yield flag._replace(sprite="pin", y=flag.y - bob)
        if e["info"]["cost"] and phase > 0.6:
            yield ego._replace(sprite="burst", quarters=0.0)

    def place(self, m: int, destination: int) -> Thing:
        """Where a destination of a map is."""
        return self._between(int(self._params.destinations[m, destination]))

    def ego(self, e: np.void, phase: float) -> Thing:
        """The ego car, which turns as it moves off."""
        cell, before, last = int(e["cars"]["cell"][0]), int(e["cars"]["came"][0]), int(e["cars"]["turn"][0])
        turn = (0, -1, 1)[last] if before != cell and last != UNDRAWN else 0
        quarters = int(e["cars"]["heading"][0]) - turn * (1 - _smooth(phase / 0.7))
        return self._between(before, cell, phase)._replace(sprite="taxi", quarters=quarters)

    # ------------------------------------------------------------ road users

    def cars(self, e: np.void, phase: float) -> list[Thing]:
        """The other cars. In a junction they have claimed their way: there they turn before they move off."""
        things = []
        columns = ["cell", "came", "heading", "approach", "turn", "step"]
        rows = e["cars"][columns][1 : e["num_cars"] + 1].tolist()
        for v, (cell, before, heading, approach, turn, step) in enumerate(rows):
            after = heading
            if step > 0:
                after = self._heading(cell, int(self._params.ways[e["map"], approach]["path"][turn, step]))
            swing = _turn(heading, after) if before != cell else 0
            quarters = after - swing * (1 - _smooth(phase * 1.5 - 0.5))
            place = self._between(before, cell, phase)
            things.append(place._replace(sprite=CARS[v * 7 % len(CARS)], quarters=quarters))
        return things

    def _ambulance(self, e: np.void, phase: float) -> list[Thing]:
        """The ambulance, if there is one: two moves a tick, each ending in the heading of the next."""
        cell = int(e["ambulance_cell"])
        if cell < 0:
            return []
        onward = int(e["ambulance_path"][1])
        last = self._heading(cell, onward) if onward >= 0 else int(e["ambulance_heading"])
        moves = self._ambulance_moves(e) or [(cell, cell)]
        headings = [self._heading(a, b) if a != b else last for a, b in moves] + [last]
        k = min(int(phase * len(moves)), len(moves) - 1)
        share = phase * len(moves) - k
        quarters = headings[k] + _turn(headings[k], headings[k + 1]) * _smooth(share * 1.5 - 0.5)
        return [self._between(*moves[k], share)._replace(sprite="ambulance_0", quarters=quarters)]

    @staticmethod
    def _ambulance_moves(e: np.void) -> list[tuple[int, int]]:
        start, via, end = (int(e["ambulance_" + name]) for name in ("from", "via", "cell"))
        return [(a, b) for a, b in ((start, via), (via, end)) if a != b]

    def _make_way(self, e: np.void, phase: float, cars: list[Thing]) -> list[Thing]:
        """Draws the cars that wait on the ambulance's way over to the kerb, where it can pass them."""
        if e["ambulance_cell"] < 0:
            return cars
        streets = self._maps[int(e["map"])]
        path = e["ambulance_path"][e["ambulance_path"] >= 0].tolist()
        passed = [start for start, _ in self._ambulance_moves(e)]
        path_before = [*passed, *path[: SIREN_AHEAD - len(passed)]]
        for v in np.flatnonzero(np.isin(e["cars"]["cell"][: len(cars)], [*passed, *path])).tolist():
            cell, waited = int(e["cars"]["cell"][v]), int(e["cars"]["wait"][v])
            if streets.kind.flat[cell] == JUNCTION:
                continue
            start, end = waited >= 2 and cell in path_before, waited >= 1 and cell in path
            aside = 0.27 * (start + (end - start) * _smooth(phase)) * (-1 if streets.left_hand else 1)
            dy, dx = STEPS[int(e["cars"]["heading"][v])]
            cars[v] = cars[v]._replace(x=cars[v].x - dy * aside, y=cars[v].y + dx * aside)
        return cars

    def _people(self, e: np.void, phase: float) -> Iterator[Thing]:
        kind = self._maps[int(e["map"])].kind.reshape(-1)
        rows = e["walkers"][["cell", "came", "heading", "mode"]][: self._rules["people"]].tolist()
        for k, (cell, before, heading, mode) in enumerate(rows):
            place = self._between(before, cell, phase)
            dy, dx = STEPS[heading]
            # Who jaywalks stands at the kerb first, and sets out from there.
            jaywalks = mode == ON_ROAD and kind[before] == SIDEWALK and kind[cell] != CROSSING
            lean = 0.38 * phase if mode == AT_KERB else 0.38 * (1 - phase) if jaywalks else 0.0
            # People do not all walk in the middle.
            x = place.x + dx * lean + k * 7 % 5 * 0.11 - 0.22
            y = place.y + dy * lean + k * 3 % 5 * 0.11 - 0.22
            if mode == AT_KERB:
                yield Thing("ring_person", x, y)
            yield Thing(f"person_{k % NUM_PEOPLE}", x, y, heading)

    def _between(self, cell: int, to: int | None = None, share: float = 0.0) -> Thing:
        """A place on the way from the middle of a cell to that of another."""
        y, x = divmod(cell, self._width)
        v, u = (y, x) if to is None else divmod(to, self._width)
        return Thing("", x + 0.5 + (u - x) * share, y + 0.5 + (v - y) * share)

    def _heading(self, cell: int, to: int) -> int:
        """The heading from a cell to its neighbour."""
        return self._delta.index(to - cell)

    # ------------------------------------------------------------ signals and route

    def _signals(self, m: int, clock: int) -> Iterator[Thing]:
        places, offsets, headings = self._lamps(m)
        is_green = green(self._rules, offsets, headings, clock).tolist()
        for (x, y), go in zip(places, is_green, strict=True):
            yield Thing("glow_go" if go else "glow_stop", x, y)
            yield Thing("lamp_green" if go else "lamp_red", x, y)

    def _find_lamps(self, m: int) -> tuple[list[tuple[float, float]], NDArray, NDArray]:
        """Where a map's traffic lights stand, beside their stop lines; their offsets and headings."""
        streets = self._maps[m]
        places, offsets, headings = [], [], []
        for heading in range(4):
            entered = np.where(streets.heading == heading, ahead(streets.junction, heading, -1), -1)
            for y, x in np.argwhere(entered >= 0).tolist():
                offset = int(self._params.signals[m, entered[y, x]])
                if offset >= 0:
                    places.append(in_lane(x, y, heading, -0.15 if streets.left_hand else 1.15, 0.9))
                    offsets.append(offset)
                    headings.append(heading)
        return places, np.array(offsets, int), np.array(headings, int)

    def _find_route(self, m: int, destination: int, cell: int) -> list[tuple[float, float]]:
        """Two dots a cell along the shortest legal route."""
        routes, dots = self._params.routes[m, destination], []
        for _ in range(int(routes[cell]) >> 2):
            onward = cell + self._delta[int(routes[cell]) & 3]
            dots += [self._between(cell, onward, share)[1:3] for share in (0.5, 1.0)]
            cell = onward
        return dots[:-1]


def _smooth(share: float) -> float:
    """Eases a share of a motion in and out."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def _turn(heading: int, after: int) -> int:
    """Quarter turns from one heading to another, -2 to 1."""
    return (after - heading + 2) % 4 - 2


# ------------------------------------------------------------ houses


class Lot(NamedTuple):
    """A rectangle of building cells: a house, or a small park."""

    x: int
    y: int
    width: int
    height: int


@lru_cache(8)
def divide(streets: StreetMap) -> list[Lot]:
    """Divides the building cells into lots of at most 4 x 4 cells."""
    free = (streets.kind == BUILDING) & ~streets.ground
    lots = []
    for y, x in np.argwhere(free).tolist():
        if not free[y, x]:
            continue
        number, width, height = noise_of(x, y), 1, 1
        widest, highest = 2 + number % 3, 2 + number // 3 % 3
        while width < widest and free[y, x + width : x + width + 1].any():
            width += 1
        while height < highest and y + height < len(free) and free[y + height, x : x + width].all():
            height += 1
        free[y : y + height, x : x + width] = False
        lots.append(Lot(x, y, width, height))
    return lots


def noise_of(*numbers: int) -> int:
    """A number that looks random and is the same for equal arguments."""
    return crc32(repr(numbers).encode())
