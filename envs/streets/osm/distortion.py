"""What a map is worth: how far its distances and its junctions are from those of the true streets."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from ..routes import UNREACHABLE, search
from .drawing import Drawing
from .lattice import Layout
from .network import Network, along, at_offset

NUM_STARTS, NUM_ENDS = 200, 5
"""Pairs of places: so many starts, with so many ends each."""


class Spots(NamedTuple):
    """Places on the true streets."""

    before: NDArray[np.int64]
    """(N,) index of the true node that one comes from ..."""
    after: NDArray[np.int64]
    """(N,) ... and of the one ahead."""
    passed: NDArray[np.float64]
    """(N,) metres since the former ..."""
    left: NDArray[np.float64]
    """(N,) ... and to the latter."""
    street: NDArray[np.int64]
    """(N,) which street it is, other numbers for its other direction."""


class Junctions(NamedTuple):
    """What became of the junctions that were read."""

    junctions: int
    """Nodes at which three or more streets meet."""
    alone: int
    """Of these, those that stand on the map ..."""
    merged: int
    """... those that stand there joined to a neighbour ..."""
    absorbed: int
    """... and those that are only a point of a street any more: the carriageways that met there are one."""
    signalled: int
    """Those with signals ..."""
    signalled_kept: int
    """... and those that have them on the map."""


class Connections(NamedTuple):
    """What became of the true streets."""

    directions: int
    """Ways from one junction or dead end of the map to the next, counted by direction."""
    directions_kept: int
    """Of these, those that lead there on the map, past no other."""
    one_ways: int
    """One-way streets."""
    one_ways_merged: int
    """Of these, those that have become one street with their opposites, or a part of a junction ..."""
    one_ways_kept: int
    """... and those that lead the same way, and only that, on the map."""


def compare_distances(
    drawing: Drawing, exits: NDArray[np.uint8], truth: Network, cell: float, seed: int
) -> tuple[NDArray[np.float64], int]:
    """Ways on the map over true ways, between random lane cells.

    Args:
        drawing: the map.
        exits: (H, W) its legal moves.
        truth: the true streets.
        cell: metres of a cell.
        seed: of the pairs.

    Returns:
        (N,) ratios, N at most NUM_STARTS * NUM_ENDS: pairs of one and the same cell are left out; and the
        cells of the longest of these ways.
    """
    cells, places, headings = _lane_cells(drawing)
    random = np.random.default_rng(seed)
    picked = random.integers(len(cells), size=(NUM_STARTS, 1 + NUM_ENDS))
    spots = _on_streets(places[picked.ravel()], headings[picked.ravel()], truth)
    true = _true_metres(truth, spots, picked.shape)
    moves = np.empty((NUM_STARTS, NUM_ENDS))
    way = np.empty(exits.shape, np.uint16)
    for row, (start, *ends) in zip(moves, cells[picked].tolist(), strict=True):
        search(exits, start, True, way)
        row[:] = way.flat[ends]
    fair = (moves > 0) & (moves < UNREACHABLE) & np.isfinite(true)
    return cell * moves[fair] / np.maximum(true[fair], cell), int(moves[fair].max(initial=0))


def _lane_cells(drawing: Drawing) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Numbers of the lane cells, where they would be in metres, and where they would lead."""
    cells, places, headings = [], [], []
    width = drawing.grid.shape[1]
    for route in drawing.layout.routes:
        sections, line = drawing.sections(route), route.street.line
        metres = (np.arange(len(sections)) + 0.5) / len(sections) * route.street.length
        points, steps = at_offset(line, metres), np.diff(line, axis=0)
        at = np.clip(np.searchsorted(along(line), metres, "right") - 1, 0, len(steps) - 1)
        for section, point, step in zip(sections, points, steps[at], strict=True):
            for (y, x), heading in zip(section.cells, section.headings, strict=True):
                cells.append(y * width + x)
                places.append(point)
                headings.append(step if heading == section.heading else -step)
    return np.array(cells), np.array(places), np.array(headings)


def _on_streets(places: NDArray[np.float64], headings: NDArray[np.float64], truth: Network) -> Spots:
    """The nearest places on true streets that lead the same way, within about 60 degrees."""
    index = {node: k for k, node in enumerate(truth.places)}
    starts, steps, facts = [], [], []
    for number, s in enumerate(truth.streets):
        offsets, length = along(s.line), s.length
        for k, step in enumerate(np.diff(s.line, axis=0)):
            if s.ahead:
                starts.append(s.line[k])
                steps.append(step)
                facts.append((index[s.tail], index[s.head], offsets[k], length, 2 * number))
            if s.back:
                starts.append(s.line[k + 1])
                steps.append(-step)
                facts.append((index[s.head], index[s.tail], length - offsets[k + 1], length, 2 * number + 1))
    start, step, fact = np.array(starts), np.array(steps), np.array(facts)
    size = np.maximum(np.hypot(*step.T), 1e-6)
    rows = []
    for place, heading in zip(places, headings, strict=True):
        share = np.clip(((place - start) * step).sum(axis=1) / size**2, 0, 1)
        gap = np.hypot(*(start + share[:, None] * step - place).T)
        agrees = step @ heading > 0.5 * size * np.hypot(*heading)
        k = int((gap + np.where(agrees, 0, 1e6)).argmin())
        passed = fact[k, 2] + share[k] * size[k]
        rows.append((fact[k, 0], fact[k, 1], passed, fact[k, 3] - passed, fact[k, 4]))
    before, after, passed, left, street = np.array(rows).T
    return Spots(before.astype(int), after.astype(int), passed, left, street.astype(int))


def _true_metres(truth: Network, spots: Spots, shape: tuple[int, int]) -> NDArray[np.float64]:
    """(starts, ends) metres along the true streets, from the first spot of each row to the others."""
    index = {node: k for k, node in enumerate(truth.places)}
    shortest: dict[tuple[int, int], float] = defaultdict(lambda: np.inf)
    for s in truth.streets:
        for a, b, goes in ((s.tail, s.head, s.ahead), (s.head, s.tail, s.back)):
            if goes:
                shortest[index[a], index[b]] = min(shortest[index[a], index[b]], s.length)
    tails, heads = np.array(list(shortest)).T
    graph = csr_matrix((list(shortest.values()), (tails, heads)), shape=(len(index),) * 2)
    before, after = spots.before.reshape(shape), spots.after.reshape(shape)
    passed, left, street = (each.reshape(shape) for each in (spots.passed, spots.left, spots.street))
    metres = dijkstra(graph, indices=after[:, 0])
    ways = left[:, :1] + np.take_along_axis(metres, before[:, 1:], axis=1) + passed[:, 1:]
    onwards = passed[:, 1:] - passed[:, :1]
    return np.where((street[:, 1:] == street[:, :1]) & (onwards > 0), onwards, ways)


def compare_junctions(layout: Layout, everything: Network, merged: Network, signalled: set[int]) -> Junctions:
    """What became of the junctions.

    Args:
        layout: the map on its lattice.
        everything: the streets that were read, with those outside the largest part.
        merged: the streets after merging.
        signalled: nodes of these that are junctions with signals on the map.
    """
    crossroads = {node for node, arms in everything.arms().items() if len(arms) > 2}
    roots = {node: merged.became[node] for node in crossroads if node in merged.became}
    standing = {node for route in layout.routes for node in (route.street.tail, route.street.head)}
    members = Counter(roots.values())
    stands = [root for root in roots.values() if root in standing]
    alone = sum(members[root] == 1 for root in stands)
    lit = crossroads & everything.signals
    return Junctions(
        len(crossroads),
        alone,
        len(stands) - alone,
        sum(root in merged.absorbed for root in roots.values()),
        len(lit),
        sum(roots.get(node) in signalled for node in lit),
    )


def compare_connections(layout: Layout, truth: Network, merged: Network) -> Connections:
    """What became of the streets between junctions.

    Args:
        layout: the map on its lattice.
        truth: the true streets.
        merged: the streets after merging.
    """
    onwards: dict[int, set[int]] = defaultdict(set)
    for route in layout.routes:
        s = route.street
        for a, b, goes in ((s.tail, s.head, s.ahead), (s.head, s.tail, s.back)):
            if goes:
                onwards[a].add(b)
    standing, became, absorbed = onwards.keys(), merged.became, merged.absorbed
    roots = set(became.values()) - absorbed
    # Nodes that merging has put between two others do not count as passed.
    reached: dict[int, set[int]] = {}
    for root in roots & standing:
        seen, queue = {root}, [root]
        for node in queue:
            for after in onwards[node] if node == root or node not in roots else ():
                if after not in seen:
                    seen.add(after)
                    queue.append(after)
        reached[root] = seen

    def leads(a: int, b: int) -> bool:
        return became[a] in standing and became[b] in reached[became[a]]

    directions = kept = one_ways = one_ways_merged = one_ways_kept = 0
    for s in truth.streets:
        if became[s.tail] in absorbed or became[s.head] in absorbed:
            continue
        allowed = [(a, b) for a, b, goes in ((s.tail, s.head, s.ahead), (s.head, s.tail, s.back)) if goes]
        if became[s.tail] != became[s.head]:
            directions += len(allowed)
            kept += sum(leads(a, b) for a, b in allowed)
        if len(allowed) == 1:
            (a, b) = allowed[0]
            one_ways += 1
            one_ways_merged += leads(a, b) and leads(b, a)
            one_ways_kept += leads(a, b) and not leads(b, a)
    return Connections(directions, kept, one_ways, one_ways_merged, one_ways_kept)
