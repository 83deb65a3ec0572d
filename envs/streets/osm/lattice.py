"""Lays a network on a lattice: each node gets a place of its own, each street a way that no other touches.

So the lattice has the network's topology by construction. Streets are routed as on a circuit board, with
negotiated congestion (McMurchie & Ebeling, 1995, PathFinder): each takes its best way at first, also through
others; what is wanted by several grows dearer from round to round until they have come to terms.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....caching import compiled
from .network import Network, Street, at_offset

ROUNDS = 60
SHIFTS = ((0.0, 0.0), (0.5, 0.5), (0.25, 0.75), (0.75, 0.25), (0.5, 0.0), (0.0, 0.5))
"""By which the lattice is shifted, in places, one after the other until every street finds a way ..."""
FEW = 1000
"""... in cities of so many streets; in larger ones some always fail, and tries take long."""
MARGIN = 6  # lattice places around a street within which it is routed
FAR = 0.35  # cost of a place per squared lattice distance to the street's true line
BESIDE = 0.3
"""Cost of a node's place for each other node beside it, which takes one of its exits, in squared places."""
BEND = 0.6  # cost of a bend, in places
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
NOWHERE = np.empty((0, 2), np.int64)


@dataclass
class Route:
    """A street's way over the lattice."""

    street: Street
    places: list[tuple[int, int]]
    """(row, column) from the tail's place to the head's."""


@dataclass
class Layout:
    """A network on a lattice."""

    shape: tuple[int, int]
    """Rows and columns."""
    nodes: dict[int, tuple[int, int]]
    """(row, column) of each node."""
    routes: list[Route]
    origin: NDArray[np.float64]
    """(2,) column and row of the network's origin."""


def lay_out(network: Network, reach: float, counts: Counter[str]) -> Layout:
    """Finds places for the nodes and ways for the streets.

    Args:
        network: the city, in which no node has more than four streets.
        reach: metres between two places.
        counts: of what was dropped, to which is added.
    """
    tries = (_try(network, reach, np.array(shift)) for shift in SHIFTS)
    best = next(tries)
    for layout in tries if len(network.streets) <= FEW else ():
        if len(best.routes) == len(network.streets):
            break
        best = max(best, layout, key=lambda each: len(each.routes))
    counts["streets dropped, since no way was left for them"] += len(network.streets) - len(best.routes)
    return best


def _try(network: Network, reach: float, shift: NDArray[np.float64]) -> Layout:
    """Lays the network on a lattice that is shifted by parts of a place."""
    corner = np.min([s.line.min(axis=0) for s in network.streets], axis=0) / reach
    far = np.max([s.line.max(axis=0) for s in network.streets], axis=0) / reach
    origin = 1 - np.floor(corner) + shift
    columns, rows = (np.ceil(far + origin).astype(int) + 2).tolist()
    nodes = _place_nodes(network, reach, origin, (rows, columns))
    lines = [s.line[:, ::-1] / reach + origin[::-1] for s in network.streets]
    found = _negotiate(network, nodes, lines, (rows, columns))
    places = [list(map(tuple, cells.tolist())) for cells in found]
    routes = [Route(s, cells) for s, cells in zip(network.streets, places, strict=True) if cells]
    return Layout((rows, columns), nodes, routes, origin)


def _place_nodes(
    network: Network, reach: float, shift: NDArray[np.float64], shape: tuple[int, int]
) -> dict[int, tuple[int, int]]:
    """Gives each node the free place nearest to its own, those with most streets first."""
    arms = network.arms()
    order = sorted(network.places, key=lambda node: (-len(arms[node]), node))
    near = sorted(
        ((dy, dx) for dy in range(-8, 9) for dx in range(-8, 9)), key=lambda d: (d[0] ** 2 + d[1] ** 2, d)
    )
    taken: dict[tuple[int, int], int] = {}
    for node in order:
        x, y = network.places[node] / reach + shift
        row, column = round(y), round(x)
        candidates = ((row + dy, column + dx) for dy, dx in near)
        free = [(r, c) for r, c in candidates if 0 <= r < shape[0] and 0 <= c < shape[1]]
        free = [place for place in free if place not in taken][:9]

        def cost(place: tuple[int, int], y: float = y, x: float = x) -> float:
            beside = sum((place[0] + dy, place[1] + dx) in taken for dy, dx in STEPS)
            return (place[0] - y) ** 2 + (place[1] - x) ** 2 + BESIDE * beside

        best = min(free, key=lambda place: (cost(place), place))
        taken[best] = node
    return {node: place for place, node in taken.items()}


def _negotiate(
    network: Network,
    nodes: dict[int, tuple[int, int]],
    lines: Sequence[NDArray[np.float64]],
    shape: tuple[int, int],
) -> list[NDArray[np.int64]]:
    """Routes all streets; (L, 2) places of each from tail to head, none where no way was left."""
    blocked = np.zeros(shape, bool)
    for place in nodes.values():
        blocked[place] = True
    history, use = np.zeros(shape), np.zeros(shape, np.int32)
    links = np.zeros((*shape, 4), np.int32)  # streets that leave a place with a heading
    windows = [_Window(line, shape) for line in lines]
    order = sorted(range(len(lines)), key=lambda k: (network.streets[k].length, k))
    found = [NOWHERE] * len(lines)

    def give_up(k: int) -> None:
        _claim(found[k], -1, use, links)
        found[k] = NOWHERE

    for turn in range(ROUNDS):
        pressure = min(0.5 * 1.3**turn, 1e4)
        for k in order:
            if turn and not _crowded(found[k], use, links):
                continue
            _claim(found[k], -1, use, links)
            street = network.streets[k]
            start, end = nodes[street.tail], nodes[street.head]
            found[k] = windows[k].route(start, end, blocked, history, use, links, pressure)
            _claim(found[k], 1, use, links)
        history += 0.5 * np.maximum(use - 1, 0)
        if not (use > 1).any() and not (links > 1).any():
            break
    # Those that can't come to terms: the less important ones give way.
    for k in sorted(order, key=lambda k: (network.streets[k].rank, network.streets[k].length)):
        if _crowded(found[k], use, links):
            give_up(k)
    # What was given up may find a way now.
    for k in sorted(order, key=lambda k: -network.streets[k].rank):
        if len(found[k]) == 0:
            start, end = nodes[network.streets[k].tail], nodes[network.streets[k].head]
            found[k] = windows[k].route(start, end, blocked, history, use, links, np.inf, wide=True)
            _claim(found[k], 1, use, links)
    return found


class _Window:
    """The part of the lattice within which a street is routed, and how far its places are from its line."""

    def __init__(self, line: NDArray[np.float64], shape: tuple[int, int]) -> None:
        self._line, self._shape = line, shape
        self._cut(MARGIN)

    def _cut(self, margin: int) -> None:
        low = np.maximum(np.floor(self._line.min(axis=0)).astype(int) - margin, 0)
        high = np.minimum(np.ceil(self._line.max(axis=0)).astype(int) + margin + 1, self._shape)
        self._corner = low
        self.slice = slice(low[0], high[0]), slice(low[1], high[1])
        length = float(np.hypot(*np.diff(self._line, axis=0).T).sum())
        samples = at_offset(self._line, np.linspace(0, length, 2 + int(2 * length)))
        rows, columns = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij")
        gaps = np.full(rows.shape, np.inf)
        for y, x in samples:
            gaps = np.minimum(gaps, (rows - y) ** 2 + (columns - x) ** 2)
        self._far = 1 + FAR * gaps

    def route(
        self,
        start: tuple[int, int],
        end: tuple[int, int],
        blocked: NDArray[np.bool_],
        history: NDArray[np.float64],
        use: NDArray[np.int32],
        links: NDArray[np.int32],
        pressure: float,
        *,
        wide: bool = False,
    ) -> NDArray[np.int64]:
        """The cheapest way from one place to another, (L, 2); none if there is none.

        Args:
            start: (row, column).
            end: (row, column).
            blocked: (H, W) places that no street may pass.
            history: (H, W) how crowded places were.
            use: (H, W) streets that pass places.
            links: (H, W, 4) streets that leave places with each heading.
            pressure: what it costs to pass where others do; infinite: not allowed.
            wide: look for detours on the whole lattice.
        """
        if wide:
            self._cut(max(self._shape))
        inside, corner = self.slice, self._corner
        path = _search(
            start[0] - corner[0],
            start[1] - corner[1],
            end[0] - corner[0],
            end[1] - corner[1],
            self._far,
            blocked[inside],
            history[inside],
            use[inside],
            links[inside],
            pressure,
        )
        return path + corner


@compiled
def _heading(path, k):
    """With which heading a way leaves its place number k."""
    dy, dx = path[k + 1, 0] - path[k, 0], path[k + 1, 1] - path[k, 1]
    return 0 if dy < 0 else 2 if dy > 0 else 1 if dx > 0 else 3


@compiled
def _claim(path, sign, use, links):
    """Counts a way in (1), or out (-1)."""
    for k in range(len(path) - 1):
        h = _heading(path, k)
        links[path[k, 0], path[k, 1], h] += sign
        links[path[k + 1, 0], path[k + 1, 1], h ^ 2] += sign
        if k > 0:
            use[path[k, 0], path[k, 1]] += sign


@compiled
def _crowded(path, use, links):
    """Whether another street passes where this one does."""
    for k in range(len(path) - 1):
        if links[path[k, 0], path[k, 1], _heading(path, k)] > 1:
            return True
        if k > 0 and use[path[k, 0], path[k, 1]] > 1:
            return True
    return False


@compiled
def _search(row, column, end_row, end_column, far, blocked, history, use, links, pressure):
    """Dijkstra's algorithm over (place, heading); bends cost extra.

    Returns:
        (L, 2) places from start to end, (0, 2) if there is no way.
    """
    height, width = far.shape
    best = np.full((height, width, 4), np.inf)
    came = np.full((height, width, 4), -1, np.int8)
    queue = [(0.0, row, column, -1)]
    last = -1
    while queue:
        cost, r, c, h = heapq.heappop(queue)
        if r == end_row and c == end_column:
            last = h
            break
        if h >= 0 and cost > best[r, c, h]:
            continue
        for g in range(4):
            v = r + (g == 2) - (g == 0)
            u = c + (g == 1) - (g == 3)
            if v < 0 or u < 0 or v >= height or u >= width or (h >= 0 and g == (h ^ 2)):
                continue
            at_end = v == end_row and u == end_column
            if blocked[v, u] and not at_end:
                continue
            others = links[r, c, g] + (0 if at_end else use[v, u])
            if others > 0 and pressure == np.inf:
                continue
            price = cost + far[v, u] * (1 + (0 if at_end else history[v, u]))
            if others > 0:
                price += pressure * others
            if h >= 0 and g != h:
                price += BEND
            if price < best[v, u, g]:
                best[v, u, g] = price
                came[v, u, g] = h
                heapq.heappush(queue, (price, v, u, g))
    if last < 0:
        return np.empty((0, 2), np.int64)
    path = [(end_row, end_column)]
    r, c, h = end_row, end_column, last
    while h >= 0:
        before = came[r, c, h]
        r -= (h == 2) - (h == 0)
        c -= (h == 1) - (h == 3)
        path.append((r, c))
        h = before
    path.reverse()
    return np.array(path)
