"""The graph of a city's streets, in metres: nodes where they meet or end, directed streets between them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .reader import Extract, OsmError

EARTH = 6_371_008.8  # metres, mean radius
BEFORE_JUNCTION = 30.0  # metres in which a signal, put where cars stop, belongs to the junction behind


@dataclass
class Street:
    """A street from one node to another."""

    tail: int
    head: int
    line: NDArray[np.float64]
    """(K, 2) metres, K at least 2, from tail to head; y grows southwards."""
    ahead: bool
    """Whether one may drive from tail to head ..."""
    back: bool
    """... and from head to tail."""
    rank: int
    lanes: int
    crossings: list[float] = field(default_factory=list)
    """Metres from the tail at which people cross."""
    signals: list[float] = field(default_factory=list)
    """Metres from the tail at which signals stand, away from junctions."""

    @property
    def length(self) -> float:
        """In metres."""
        return float(np.hypot(*np.diff(self.line, axis=0).T).sum())

    def reverse(self) -> Street:
        """The same street told from its other end."""
        length = self.length
        places = ([length - at for at in reversed(each)] for each in (self.crossings, self.signals))
        return Street(
            self.head, self.tail, self.line[::-1], self.back, self.ahead, self.rank, self.lanes, *places
        )

    def between(self, start: float, end: float) -> NDArray[np.float64]:
        """The part of the line from one offset to another, in metres."""
        offsets = along(self.line)
        inside = (offsets > start) & (offsets < end)
        first, last = at_offset(self.line, start), at_offset(self.line, end)
        return np.vstack([first, self.line[inside], last])


@dataclass
class Network:
    """Nodes by number, and the streets between them."""

    places: dict[int, NDArray[np.float64]]
    """(2,) metres of each node."""
    streets: list[Street]
    signals: set[int] = field(default_factory=set)
    """Nodes with traffic signals."""
    houses: list[NDArray[np.float64]] = field(default_factory=list)
    """(K, 2) metres of the outlines of buildings."""
    cut: set[int] = field(default_factory=set)
    """Nodes behind which a way goes on, beyond the edge of the extract."""
    loops: set[int] = field(default_factory=set)
    """Nodes at which the turning loops of the edge begin and end."""

    became: dict[int, int] = field(default_factory=dict)
    """The node that each former node has become by merging."""
    absorbed: set[int] = field(default_factory=set)
    """Nodes that are no more than points of a street now."""

    def arms(self) -> dict[int, list[int]]:
        """Of each node the numbers of its streets; a loop's twice."""
        arms: dict[int, list[int]] = {node: [] for node in self.places}
        for number, street in enumerate(self.streets):
            arms[street.tail].append(number)
            arms[street.head].append(number)
        return arms

    def keep_largest(self) -> tuple[int, int]:
        """Keeps the largest part in which one can drive from everywhere to everywhere.

        At junctions and dead ends one may turn round, but not where a two-way street just becomes a one-way
        street. A direction of a street that can't be driven so is taken from it.

        Returns:
            The number of streets that are gone, and of two-way streets that have become one-way.
        """
        arcs = [
            (k, goes) for k, s in enumerate(self.streets) for goes in (True, False) if (s.back, s.ahead)[goes]
        ]
        # From an arc one comes to the node that it leads to, and from there to the arcs that leave it.
        hubs = {node: len(arcs) + k for k, node in enumerate(self.places)}
        leaving: dict[int, list[int]] = {node: [] for node in self.places}
        for number, (k, goes) in enumerate(arcs):
            leaving[self.streets[k].tail if goes else self.streets[k].head].append(number)
        arms = self.arms()
        no_turning = {
            node
            for node, streets in arms.items()
            if len(streets) == 2 and len(leaving[node]) > 1 and not self._is_two_way(streets)
        }
        tails = [hubs[node] for node in leaving if node not in no_turning for _ in leaving[node]]
        heads = [arc for node in leaving if node not in no_turning for arc in leaving[node]]
        for number, (k, goes) in enumerate(arcs):
            node = self.streets[k].head if goes else self.streets[k].tail
            onwards = [hubs[node]]
            if node in no_turning:
                onwards = [other for other in leaving[node] if arcs[other] != (k, not goes)]
            tails += [number] * len(onwards)
            heads += onwards
        size = len(arcs) + len(hubs)
        graph = coo_matrix((np.ones(len(tails), np.int8), (tails, heads)), shape=(size, size))
        _, part = connected_components(graph, connection="strong")
        part = part[: len(arcs)]
        lengths = np.array([self.streets[k].length for k, _ in arcs])
        # An arc that is a part of its own leads to nowhere, unless it leads to itself: then two are alike.
        count = np.bincount(part, minlength=1)
        metres = np.bincount(part, lengths * ((count[part] > 1) | self._loops(arcs)), minlength=1)
        best = metres.argmax() if metres.any() else -1
        inside = {arc for arc, index in zip(arcs, part, strict=True) if index == best}
        before, two_way = len(self.streets), sum(s.ahead and s.back for s in self.streets)
        gone = [
            s.ahead and s.back for k, s in enumerate(self.streets) if not {(k, True), (k, False)} & inside
        ]
        for k, street in enumerate(self.streets):
            street.ahead, street.back = (k, True) in inside, (k, False) in inside
        now_one_way = two_way - sum(gone) - sum(s.ahead and s.back for s in self.streets)
        self.streets = [s for s in self.streets if s.ahead or s.back]
        used = {node for s in self.streets for node in (s.tail, s.head)}
        self.places = {node: place for node, place in self.places.items() if node in used}
        self.signals &= used
        return before - len(self.streets), now_one_way

    def _loops(self, arcs: list[tuple[int, bool]]) -> NDArray[np.bool_]:
        """Whether each arc leads back to where it began."""
        return np.array([self.streets[k].tail == self.streets[k].head for k, _ in arcs], bool)

    def _is_two_way(self, streets: list[int]) -> bool:
        return all(self.streets[k].ahead and self.streets[k].back for k in streets)

    def dissolve(self) -> None:
        """Joins the two streets of each node at which nothing meets, where both allow the same directions."""
        arms = self.arms()
        gone: set[int] = set()
        for node, (first, *others) in [(n, a) for n, a in arms.items() if len(a) == 2]:
            second = others[0]
            if first == second or node in self.loops:  # two carriageways and their loop are three streets
                continue
            before, after = self.streets[first], self.streets[second]
            before = before if before.head == node else before.reverse()
            after = after if after.tail == node else after.reverse()
            if (before.ahead, before.back) != (after.ahead, after.back) or before.tail == after.head:
                continue
            length = before.length
            joined = Street(
                before.tail,
                after.head,
                np.vstack([before.line, after.line[1:]]),
                before.ahead,
                before.back,
                max(before.rank, after.rank),
                min(before.lanes, after.lanes),
                before.crossings + [length + at for at in after.crossings],
                before.signals + [length] * (node in self.signals) + [length + at for at in after.signals],
            )
            self.streets[first] = joined
            gone.add(second)
            arms[after.head][arms[after.head].index(second)] = first
            del self.places[node]
            self.signals.discard(node)
            self.absorbed.add(node)
        self.streets = [s for number, s in enumerate(self.streets) if number not in gone]


def along(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) metres from a line's beginning to each of its points."""
    return np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])


def at_offset(line: NDArray[np.float64], offset: float | NDArray) -> NDArray[np.float64]:
    """(..., 2) the places at some metres from a line's beginning."""
    offsets = along(line)
    return np.stack([np.interp(offset, offsets, line[:, axis]) for axis in (0, 1)], axis=-1)


def make_network(extract: Extract) -> Network:
    """Makes the graph of an extract; y grows southwards, and the origin is its north-western corner.

    Ways are joined only at nodes that they share, as OpenStreetMap means it: what crosses on a bridge or in a
    tunnel shares none. Ways are cut where nodes are missing.

    Raises:
        OsmError: when there is nothing to drive on.
    """
    used: Counter[int] = Counter()
    pieces, cut = [], set()
    for way in extract.ways:
        for nodes in _pieces(way.nodes, extract):
            pieces.append((way, nodes))
            used.update(nodes)
            used.update((nodes[0], nodes[-1]))
            cut |= {nodes[0], nodes[-1]} - {way.nodes[0], way.nodes[-1]}
    if not pieces:
        raise OsmError("no street to drive on here")
    houses = [[node for node in house if node in extract.places] for house in extract.houses]
    metres = _project(extract, [*used, *(node for house in houses for node in house)])
    network = Network({}, [], cut=cut)
    seen: set[tuple[int, ...]] = set()
    for way, nodes in pieces:
        ends = [k for k, node in enumerate(nodes) if used[node] > 1]
        for first, last in zip(ends[:-1], ends[1:], strict=True):
            stretch = nodes[first : last + 1]
            if tuple(stretch) in seen or tuple(reversed(stretch)) in seen:
                extract.counts["streets that are there twice"] += 1
                continue
            seen.add(tuple(stretch))
            line = np.array([metres[node] for node in stretch])
            street = Street(stretch[0], stretch[-1], line, way.ahead, way.back, way.rank, way.lanes)
            offsets = along(line)[1:-1]
            for node, offset in zip(stretch[1:-1], offsets, strict=True):
                if node in extract.crossings:
                    street.crossings.append(float(offset))
                if node in extract.signals:
                    street.signals.append(float(offset))
            network.streets.append(street)
            for node in (stretch[0], stretch[-1]):
                network.places[node] = metres[node]
    network.signals = extract.signals & network.places.keys()
    network.houses = [np.array([metres[node] for node in house]) for house in houses if len(house) > 2]
    return network


def _pieces(nodes: list[int], extract: Extract) -> Iterable[list[int]]:
    """The parts of a way whose nodes are known, without repetitions."""
    piece: list[int] = []
    for node in nodes:
        if node not in extract.places:
            if len(piece) > 1:
                yield piece
            piece = []
        elif not piece or piece[-1] != node:
            piece.append(node)
    if len(piece) > 1:
        yield piece


def _project(extract: Extract, nodes: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    """Metres on a plane that touches the middle of the extract (equirectangular)."""
    lon, lat = np.radians([extract.places[node] for node in nodes]).T
    x = EARTH * (lon - lon.min()) * math.cos((lat.min() + lat.max()) / 2)
    y = EARTH * (lat.max() - lat)
    return dict(zip(nodes, np.stack([x, y], axis=1), strict=True))


def main_bearing(network: Network) -> float:
    """By how many radians to turn the city so that most of its streets run along the grid, within 45 degrees.

    The direction of a street counts four-fold, so that crossing streets agree, and by its length.
    """
    total = 0j
    for street in network.streets:
        x, y = np.diff(street.line, axis=0).T
        length = np.hypot(x, y)
        total += (length * np.exp(4j * np.arctan2(y, x))).sum()
    return float(-np.angle(total) / 4)


def turn(network: Network, angle: float) -> None:
    """Turns the city by an angle, and moves it so that its least coordinates are zero."""
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    for street in network.streets:
        street.line = street.line @ rotation
    corner = np.min([street.line.min(axis=0) for street in network.streets], axis=0)
    for street in network.streets:
        street.line = street.line - corner
    network.houses = [house @ rotation - corner for house in network.houses]
    for street in network.streets:
        network.places[street.tail], network.places[street.head] = street.line[0], street.line[-1]


def give_signals(network: Network) -> None:
    """Moves the signals that stand before a junction, where cars stop, to the junction."""
    arms = defaultdict(int)
    for street in network.streets:
        arms[street.tail] += 1
        arms[street.head] += 1
    for street in network.streets:
        length = street.length
        for at in street.signals:
            ends = [(at, street.tail), (length - at, street.head)]
            near = [(gap, node) for gap, node in sorted(ends) if arms[node] > 2 and gap <= BEFORE_JUNCTION]
            network.signals.update(node for _, node in near[:1])
