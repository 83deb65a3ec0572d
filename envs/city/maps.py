"""The city's static world: which maps are in play, and tables of what may be done where.

Everything here is computed from the maps alone, without random numbers, so a map has the same tables in every
pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.splits import Split, first_seed
from ..streets.maps import (
    CROSSING,
    JUNCTION,
    MAPS,
    ROAD,
    SIDEWALK,
    UNREACHABLE,
    MapError,
    StreetConfig,
    StreetMap,
    ahead,
    distances,
    format_map,
    generate,
    parse_map,
    turn_paths,
)
from ..streets.routes import label_parts
from .state import INSIDE_JUNCTION, JUNCTION_AHEAD, LANE_AHEAD, NO_LANE, ZEBRA_AHEAD

MAX_POOL_SIZE = 4096
NUM_DESTINATIONS = 32
"""Of each map."""
NO_ROUTE = (1 << 14) - 1
"""Moves of a route that there is not."""

CELL = np.dtype(
    [
        ("kind", "u1"),
        ("exits", "u1"),  # bit h: traffic may leave with heading h
        ("walk", "u1"),  # bit h: a pedestrian may leave with heading h; bit 4 + h: a jaywalker may, see below
        ("onto", "u1"),  # bit h: who walks on with heading h steps on the street
        ("heading", "u1"),  # of the lane, NONE on other cells
        ("ahead", "u1"),  # what lies ahead of the cell, see `state.py`
        (
            "number",
            "i2",
        ),  # junction cells: the junction; lane cells before one: the approach; else -1
    ]
)
"""What the kernels ask of a cell at every tick, in 8 bytes, so that many maps fit into a cache.

A jaywalker may leave a sidewalk cell where the street ahead, of one or two lane cells that are neither at a
junction nor on a zebra, can be crossed to a sidewalk.
"""


def way_dtype(longest: int) -> np.dtype:
    """What the kernels ask of a junction's approach, one record; ways have at most `longest` cells."""
    return np.dtype(
        [
            ("junction", np.int32),  # its number
            # Ticks by which the approach's signal is ahead of the city's clock, less than a cycle: it turns
            # green when their sum is a whole cycle. -1 where there are no signals.
            ("phase", np.int32),
            # By turn (0 straight, 1 left, 2 right): the cells passed in the junction, then the lane cell
            # beyond it; -1 behind the end and where that turn does not exist.
            ("path", np.int32, (3, longest)),
        ],
        align=True,
    )


class Pool(NamedTuple):
    """Read-only tables of M maps of C = height * width cells; cell numbers are y * width + x."""

    cells: NDArray
    """(M, C) records of dtype CELL."""
    ways: NDArray[np.void]
    """(M, A) records of `way_dtype`; their `phase` is left to who knows the cycle of signals."""
    rivals: NDArray[np.int32]
    """(M, J, K) the approaches of each junction, -1 behind the end."""
    signals: NDArray[np.int32]
    """(M, J) offset of a junction's signals in ticks, 0 to 1023; -1 where there are none. It grows by one a
    cell eastwards and southwards, one cell a tick being the speed of traffic: green waves."""
    lanes: NDArray[np.int32]
    """(M, L) road cells that do not touch a junction, where a car may be put down; -1 behind the end."""
    walks: NDArray[np.int32]
    """(M, S) sidewalk cells from which a pedestrian can walk on; -1 behind the end."""
    destinations: NDArray[np.int32]
    """(M, D) cells of `lanes`, far from each other; they repeat on a map of fewer lanes."""
    routes: NDArray[np.uint16]
    """(M, D, C) the shortest legal route from each cell to each destination: 4 times its moves, 16383 if none
    leads, and the heading in which it leaves the cell, so that one look tells both."""
    counts: NDArray[np.int32]
    """(M, 4) numbers of lanes, of walks, of junctions, and of lane cells of all kinds."""


def load_pool(map: str, split: Split, pool_size: int, streets: StreetConfig) -> list[StreetMap]:
    """Makes or reads the maps of a pool.

    Args:
        map: `generated`, the name of a shipped map, or the path of a map file.
        split: range of seeds of generated maps.
        pool_size: number of generated maps.
        streets: what generated maps look like.

    Raises:
        ValueError: for an unknown map, a faulty map file or a pool size out of range.
    """
    if map == "generated":
        if not 1 <= pool_size <= MAX_POOL_SIZE:
            raise ValueError(f"pool_size must be from 1 to {MAX_POOL_SIZE}, not {pool_size}")
        return list(_drawn(streets, first_seed(split), pool_size))
    return [MAPS.find(map, "generated")]


@lru_cache(maxsize=4)
def _drawn(streets: StreetConfig, first: int, count: int) -> tuple[StreetMap, ...]:
    """Generated maps, which are drawn once for all worlds of the same pool: a run makes several."""
    return tuple(generate(streets, first + k) for k in range(count))


def street_at(streets: StreetMap, x: int, y: int) -> NDArray[np.bool_]:
    """The lanes side by side, from junction to junction, to which a cell belongs.

    Args:
        streets: the map.
        x: the cell's column.
        y: its row.

    Returns:
        (H, W) their cells, zebra crossings included.

    Raises:
        ValueError: where no lane is.
    """
    lanes = (streets.kind == ROAD) | (streets.kind == CROSSING)
    height, width = lanes.shape
    if not (0 <= x < width and 0 <= y < height and lanes[y, x]):
        raise ValueError(f"map {streets.name} has no lane in column {x}, row {y} (both counted from 0)")
    part, _ = label_parts(lanes)
    return part == part[y, x]


def close_street(streets: StreetMap, x: int, y: int, destinations: NDArray[np.int32]) -> StreetMap:
    """The map on which a street, given by one of its cells, is sidewalk; nothing else changes.

    Args:
        streets: the map.
        x: the cell's column.
        y: its row.
        destinations: (D,) cells that must stay where they are.

    Raises:
        ValueError: where no lane is, when a destination lies on the street, or when one could not drive from
            everywhere to everywhere any more.
    """
    street, problem = street_at(streets, x, y), "a destination lies on it"
    if not street.flat[destinations].any():
        rows = [list(row) for row in format_map(streets).splitlines()]
        for v, u in np.argwhere(street) + (len(rows) - len(street), 0):
            rows[v][u] = "."
        try:
            return parse_map("\n".join(map("".join, rows)), streets.name)
        except MapError as error:
            problem = str(error)
    raise ValueError(f"the street in column {x}, row {y} can't be closed: {problem}")


def build_pool(maps: Sequence[StreetMap], destinations: int | NDArray[np.int32] = NUM_DESTINATIONS) -> Pool:
    """Computes the tables of some maps.

    Args:
        maps: maps of one size.
        destinations: number of destinations of each map, chosen far from each other; or (M, D) their cells.

    Raises:
        ValueError: if the maps differ in size, one has no room for a car, or a route has too many moves.
    """
    shapes = {m.kind.shape for m in maps}
    if len(shapes) != 1:
        raise ValueError(f"the maps of a pool must be of one size, not {sorted((w, h) for h, w in shapes)}")
    height, width = shapes.pop()
    kind, exits, heading, junction = (
        np.stack([getattr(m, name) for m in maps]) for name in ("kind", "exits", "heading", "junction")
    )
    leads_into = _junction_beside(heading, junction, 0)
    before = leads_into >= 0
    free = (kind == ROAD) & ~before & (_junction_beside(heading, junction, 2) < 0)
    walk = _walkways(kind, heading)
    walk |= _kerbs(kind, heading, free) << 4

    cells = np.zeros((len(maps), height * width), CELL)
    approach = np.where(before, before.reshape(len(maps), -1).cumsum(axis=1).reshape(before.shape) - 1, -1)
    if approach.max() > np.iinfo(np.int16).max:
        raise ValueError("a map has too many junctions")
    number = np.where(before, approach, junction)
    fields = {"walk": walk, "number": number, "ahead": _lies_ahead(kind, heading, before)}
    fields |= {"kind": kind, "exits": exits, "heading": heading, "onto": _street_beside(kind)}
    for name, values in fields.items():
        cells[name] = values.reshape(cells.shape)

    lanes, num_lanes = _listed(free)
    walks, num_walks = _listed((kind == SIDEWALK) & (walk > 0))
    for k in np.flatnonzero(num_lanes == 0):
        raise ValueError(
            f"map {maps[int(k)].name}: no lane cell away from the junctions, where a car could stand"
        )
    if isinstance(destinations, int):
        destinations = _spread(lanes, destinations, width)
    routes = np.empty((*destinations.shape, height, width), np.uint16)
    for k, (m, targets) in enumerate(zip(maps, destinations, strict=True)):
        routes[k] = _routes(m, targets)

    num_junctions = np.array([len(m.signalled) for m in maps], np.int32)
    num_cells = (exits > 0).sum(axis=(1, 2))
    pool = Pool(
        cells=cells,
        ways=_ways(maps, _listed(before)[0], leads_into),
        rivals=_rivals(leads_into),
        signals=_signals(maps),
        lanes=lanes,
        walks=walks,
        destinations=destinations,
        routes=routes.reshape(*destinations.shape, -1),
        counts=np.stack([num_lanes, num_walks, num_junctions, num_cells], axis=1).astype(np.int32),
    )
    for table in pool:
        table.flags.writeable = False
    return pool


def _routes(m: StreetMap, targets: NDArray[np.int32]) -> NDArray[np.uint16]:
    """The table `Pool.routes` of one map, (D, H, W)."""
    moves = np.empty((len(targets), *m.exits.shape), np.uint16)
    distances(m.exits, targets, moves)
    if (moves[moves != UNREACHABLE] >= NO_ROUTE).any():
        raise ValueError(f"map {m.name}: a route is longer than {NO_ROUTE - 1:,} cells")
    moves = np.minimum(moves, NO_ROUTE)
    onward = [np.where(m.exits >> h & 1, ahead(moves, h, NO_ROUTE), UNREACHABLE) for h in range(4)]
    return moves << 2 | np.argmin(onward, axis=0).astype(np.uint16)


def _junction_beside(heading: NDArray, junction: NDArray, turn: int) -> NDArray[np.int16]:
    """(M, H, W) number of the junction ahead of (turn 0) or behind (turn 2) each lane cell, else -1."""
    beside = [np.where(heading == h, ahead(junction, (h + turn) % 4, -1), np.int16(-1)) for h in range(4)]
    return np.max(beside, axis=0)


def _lies_ahead(kind: NDArray, heading: NDArray, before: NDArray) -> NDArray[np.uint8]:
    """(M, H, W) what a car on the cell has ahead: a code of `state.py`."""
    lies = np.where(kind == JUNCTION, np.uint8(INSIDE_JUNCTION), np.uint8(NO_LANE))
    for h in range(4):
        zebra = ahead(kind == CROSSING, h, False)
        lies = np.where(heading == h, np.where(zebra, ZEBRA_AHEAD, LANE_AHEAD), lies)
    return np.where(before, JUNCTION_AHEAD, lies).astype(np.uint8)


def _street_beside(kind: NDArray) -> NDArray[np.uint8]:
    """(M, H, W) bits of the headings in which the next cell is a lane or a zebra."""
    street = (kind == ROAD) | (kind == CROSSING)
    bits = np.zeros(kind.shape, np.uint8)
    for h in range(4):
        bits |= ahead(street, h, False).astype(np.uint8) << h
    return bits


def _walkways(kind: NDArray, heading: NDArray) -> NDArray[np.uint8]:
    """(M, H, W) bits of the headings with which a pedestrian may leave a cell."""
    walk = np.zeros(kind.shape, np.uint8)
    for h in range(4):
        open_to_h = (kind == SIDEWALK) | (
            (kind == CROSSING) & (heading % 2 != h % 2)
        )  # zebras lead across lanes
        walk |= (open_to_h & ahead(open_to_h, h, False)).astype(np.uint8) << h
    return walk


def _kerbs(kind: NDArray, heading: NDArray, free: NDArray) -> NDArray[np.uint8]:
    """(M, H, W) bits of the headings with which one can cross one or two free lanes from a sidewalk."""
    sidewalk = kind == SIDEWALK
    kerbs = np.zeros(kind.shape, np.uint8)
    for h in range(4):
        lane = ahead(free & (heading % 2 != h % 2), h, False)
        over_one = ahead(ahead(sidewalk, h, False), h, False)
        over_two = ahead(lane & over_one, h, False)
        kerbs |= (sidewalk & lane & (over_one | over_two)).astype(np.uint8) << h
    return kerbs


def _listed(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Lists the cells of each map that are set.

    Args:
        mask: (M, H, W) bool.

    Returns:
        (M, K) cell numbers in increasing order, -1 behind the end (K is at least 1), and their (M,) counts.
    """
    mask = mask.reshape(len(mask), -1)
    m, cells = np.nonzero(mask)
    return _grouped(m, cells, len(mask)), mask.sum(axis=1)


def _grouped(group: NDArray, cells: NDArray, num_groups: int) -> NDArray[np.int32]:
    """Lists each group's cells, (num_groups, K) in their given order, -1 behind the end (K is at least 1)."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=num_groups)
    rank = np.arange(len(group)) - np.repeat(counts.cumsum() - counts, counts)
    table = np.full((num_groups, max(1, counts.max())), -1, np.int32)
    table[group[order], rank] = cells[order]
    return table


def _rivals(leads_into: NDArray[np.int16]) -> NDArray[np.int32]:
    """The table `Pool.rivals`, of the (M, H, W) junction numbers into which lane cells lead."""
    leads_into = leads_into.reshape(len(leads_into), -1)
    num_junctions = max(1, int(leads_into.max()) + 1)
    m, cells = np.nonzero(leads_into >= 0)
    approach = (leads_into >= 0).cumsum(axis=1) - 1
    table = _grouped(
        m * num_junctions + leads_into[m, cells], approach[m, cells], len(leads_into) * num_junctions
    )
    return table.reshape(len(leads_into), num_junctions, -1)


def _ways(
    maps: Sequence[StreetMap], approaches: NDArray[np.int32], leads_into: NDArray[np.int16]
) -> NDArray[np.void]:
    """The table `Pool.ways`, of the (M, A) approach cells and the (M, H, W) junctions that lanes enter."""
    by_map = [
        turn_paths(m.heading, m.exits, m.junction, cells[cells >= 0])
        for m, cells in zip(maps, approaches, strict=True)
    ]
    longest = max([4, *(int((paths >= 0).sum(axis=2).max(initial=0)) for paths in by_map)])
    ways = np.zeros(approaches.shape, way_dtype(longest))
    ways["phase"] = -1
    ways["junction"] = np.take_along_axis(
        leads_into.reshape(len(maps), -1), np.maximum(approaches, 0), axis=1
    )
    ways["path"] = -1
    for rows, paths in zip(ways, by_map, strict=True):
        rows["path"][: len(paths)] = paths[:, :, :longest]
    return ways


def _signals(maps: Sequence[StreetMap]) -> NDArray[np.int32]:
    """The table `Pool.signals`."""
    table = np.full((len(maps), max([1, *(len(m.signalled) for m in maps)])), -1, np.int32)
    for row, m in zip(table, maps, strict=True):
        numbers, first = np.unique(m.junction, return_index=True)
        y, x = np.divmod(first[numbers >= 0], m.junction.shape[1])
        row[: len(m.signalled)] = np.where(m.signalled, (y + x) % 1024, -1)
    return table


def _spread(lanes: NDArray[np.int32], count: int, width: int) -> NDArray[np.int32]:
    """Chooses cells far from each other: each next one is the farthest from those before it (Gonzalez, 1985).

    Args:
        lanes: (M, L) cells to choose from, -1 behind the end.
        count: how many, D.
        width: of the maps.

    Returns:
        (M, D) cells.
    """
    y, x = np.divmod(lanes, width)
    gap = np.where(lanes >= 0, np.iinfo(np.int32).max, -1)
    rows = np.arange(len(lanes))
    chosen = np.empty((len(lanes), count), np.int32)
    for d in range(count):
        pick = gap.argmax(axis=1)
        chosen[:, d] = lanes[rows, pick]
        gap = np.minimum(gap, abs(y - y[rows, pick, None]) + abs(x - x[rows, pick, None]))
    return chosen
