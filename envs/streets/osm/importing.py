"""From a file of OpenStreetMap to a street map, with a report of what became of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..maps import MAX_SIDE, MapError, StreetMap, parse_map
from .countries import left_country
from .distortion import Junctions, compare_connections, compare_distances, compare_junctions
from .drawing import CORE, PITCH, Drawing
from .edges import open_edges
from .lattice import Layout, lay_out
from .merging import merge
from .network import Network, Street, give_signals, main_bearing, make_network, turn
from .reader import Box, Extract, OsmError, read

CREDIT = "(c) OpenStreetMap contributors, ODbL 1.0"
NOWHERE = "directions of streets that lead nowhere"
MAIN_ROAD = 4  # rank from which crossing streets are given signals, where the data has none at all


@dataclass(frozen=True)
class Import:
    """A map made of a file, and what became of the file's streets."""

    streets: StreetMap
    """The map."""
    text: str
    """The map as ASCII, with comments."""
    report: dict[str, dict[str, Any]]
    """Groups of facts by their names."""
    layout: Layout
    """Where each node and each street of the city lies on the map."""


class _Metres(NamedTuple):
    """Of streets."""

    read: float
    """All that were read ..."""
    largest: float
    """... of these, in the largest part ..."""
    kept: float = 0.0
    """... and on the map; two carriageways that have become one street are both there."""


def _total(streets: Sequence[Street]) -> float:
    return sum(street.length for street in streets)


def import_map(
    path: Path,
    name: str,
    *,
    cell: float = 5.0,
    box: Box | None = None,
    side: Literal["left", "right"] | None = None,
    service: bool = False,
) -> Import:
    """Makes a street map of a file of OpenStreetMap.

    Args:
        path: of an `.osm`, `.osm.bz2` or `.osm.pbf` file.
        name: of the map.
        cell: metres of a cell.
        box: part of the file; by default the bounds that it names, or all of it.
        side: on which traffic drives; by default what the data says, or else the country.
        service: whether service roads are streets.

    Raises:
        OsmError: one line that says what is wrong with the file, or the part of it.
    """
    extract = read(path, box, service=service)
    left_hand, why = _drives_left(extract, side)
    inferred: Counter[str] = Counter(
        {name: count for name, count in extract.counts.items() if "driven" in name}
    )
    merged: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    network, everything, metres = _largest_part(path, extract, cell, inferred, dropped)
    angle = main_bearing(network)
    turn(network, angle)
    truth = deepcopy(network)
    if not extract.signals:
        _infer_signals(network, inferred)

    reach = PITCH * cell
    merge(network, reach, merged)
    _check_left(network.streets, path, cell)
    merged_metres = _total(network.streets)
    layout = lay_out(network, reach, dropped)
    _keep_largest(layout, network, dropped)
    _check_left(layout.routes, path, cell)
    drawing = _draw(layout, network, left_hand, dropped)
    _check_left(layout.routes, path, cell)
    kept = drawing.add_zebras(dropped, inferred)
    grid = drawing.finish(network, cell)
    rows = "".join(row.tobytes().decode("ascii") + "\n" for row in grid)
    text = _comments(path, cell, angle, left_hand) + rows
    try:
        streets = parse_map(text, name)
    except MapError as error:
        raise OsmError(f"{path}: no map could be made of these streets ({error})") from None
    routed = [route.street for route in layout.routes]
    metres = metres._replace(kept=metres.largest * _total(routed) / merged_metres)
    junctions = compare_junctions(layout, everything, network, _signalled(streets, layout))
    report = {
        **_warning(metres, junctions),
        "read": _what_was_read(extract),
        "kept": _what_was_kept(streets, layout, metres, reach) | {"crossings": kept},
        "merged": dict(merged),
        "inferred": {"traffic": f"{'left' if left_hand else 'right'}-hand ({why})"} | inferred,
        "dropped": {name: count for name, count in dropped.items() if count},
        "map": {"cells": f"{grid.shape[1]} x {grid.shape[0]}", "metres a cell": cell}
        | {"turned by degrees": round(math.degrees(angle), 1)},
        "fidelity": _fidelity(drawing, streets, layout, truth, network, junctions, cell),
    }
    return Import(streets, text, report, layout)


def _largest_part(
    path: Path, extract: Extract, cell: float, inferred: Counter[str], dropped: Counter[str]
) -> tuple[Network, Network, _Metres]:
    """The largest part in which all can be reached from everywhere, all that was read, and their lengths."""
    try:
        network = make_network(extract)
    except OsmError as error:
        raise OsmError(f"{path}: {error}") from None
    _check_size(network, cell, path)
    everything = deepcopy(network)
    everything.dissolve()
    give_signals(everything)
    loops = open_edges(network, inferred)
    dropped["streets outside the largest part"], dropped[NOWHERE] = network.keep_largest()
    if not network.streets:
        raise OsmError(f"{path}: no street leads back to where it began: nothing to drive in circles on")
    network.dissolve()
    give_signals(network)
    added = {id(loop) for loop in loops}
    largest = [street for street in network.streets if id(street) not in added]
    return network, everything, _Metres(_total(everything.streets), _total(largest))


def _drives_left(extract: Extract, side: Literal["left", "right"] | None) -> tuple[bool, str]:
    """Whether traffic keeps left, and how that is known."""
    if side is not None:
        return side == "left", "as told"
    if extract.sides["left"] != extract.sides["right"]:
        return extract.sides["left"] > extract.sides["right"], "the data says so"
    places = np.array(list(extract.places.values()) or [(0.0, 0.0)])
    lon, lat = np.median(places, axis=0)
    country = left_country(lat, (lon + 180) % 360 - 180)
    return country is not None, country or "most countries"


def _check_size(network: Network, cell: float, path: Path) -> None:
    lines = np.vstack([street.line for street in network.streets])
    width, height = np.ptp(lines, axis=0)
    if max(width, height) / cell > MAX_SIDE - 6 * PITCH:
        raise OsmError(
            f"{path}: the streets span {width / 1000:.1f} x {height / 1000:.1f} km, at {cell:g} m a cell more"
            f" than {MAX_SIDE} x {MAX_SIDE} cells; choose a part with --box S,W,N,E, or larger cells"
        )


def _check_left(streets: Sequence[Any], path: Path, cell: float) -> None:
    if not streets:
        raise OsmError(f"{path}: at {cell:g} m a cell nothing is left of these streets; use smaller cells")


def _infer_signals(network: Network, inferred: Counter[str]) -> None:
    """Gives signals to the junctions of main roads of an extract that names no signals at all."""
    for node, arms in network.arms().items():
        if len(arms) > 2 and sum(network.streets[k].rank >= MAIN_ROAD for k in arms) > 2:
            network.signals.add(node)
            inferred["signals, where main roads meet"] += 1


def _keep_largest(layout: Layout, network: Network, dropped: Counter[str]) -> None:
    """Takes the routes off the layout that can't be reached any more, since others found no way."""
    rest = Network(dict(network.places), [route.street for route in layout.routes])
    dropped["streets cut off by these"], one_way = rest.keep_largest()
    dropped[NOWHERE] += one_way
    inside = {id(street) for street in rest.streets}
    layout.routes = [route for route in layout.routes if id(route.street) in inside]


def _draw(layout: Layout, network: Network, left_hand: bool, dropped: Counter[str]) -> Drawing:
    """Draws the streets, without those lanes and directions from which nothing leads on in cells."""
    while True:
        drawing = Drawing(layout, network.signals, left_hand)
        lost = drawing.prune()
        if not lost:
            return drawing
        for route in (route for route in layout.routes if not lost.isdisjoint(route.places)):
            street, (ahead, back, whole) = route.street, drawing.driven(route)
            if not whole:
                street.lanes = 1  # one of two lanes may lead nowhere, where only one goes on
            dropped[NOWHERE] += (street.ahead > ahead) + (street.back > back)
            street.ahead, street.back = street.ahead and ahead, street.back and back
        layout.routes = [route for route in layout.routes if route.street.ahead or route.street.back]


def _comments(path: Path, cell: float, angle: float, left_hand: bool) -> str:
    """The lines before a map."""
    lines = [
        f"made of {ascii(path.name)[1:-1]}, turned by {math.degrees(angle):.1f} degrees",
        f"cell {cell:g} m",
    ]
    lines += ["left-hand"] * left_hand + [f"credit {CREDIT}", "terms: openstreetmap.org/copyright"]
    return "".join(f"; {line}\n" for line in lines)


def _what_was_read(extract: Extract) -> dict[str, Any]:
    counts = {"nodes": len(extract.places), "signals": len(extract.signals)}
    counts["crossings"] = len(extract.crossings)
    return counts | {name: count for name, count in extract.counts.items() if "driven" not in name}


def _what_was_kept(streets: StreetMap, layout: Layout, metres: _Metres, reach: float) -> dict[str, Any]:
    drawn = reach * sum(len(route.places) - 1 for route in layout.routes)
    return {
        "kilometres of streets read": round(metres.read / 1000, 2),
        "kilometres in the largest part": round(metres.largest / 1000, 2),
        "kilometres kept": round(metres.kept / 1000, 2),
        "kilometres drawn": round(drawn / 1000, 2),
        "streets between junctions": len(layout.routes),
        "one-way streets": sum(route.street.ahead != route.street.back for route in layout.routes),
        "junctions with signals": int(streets.signalled.sum()),
    }


def _signalled(streets: StreetMap, layout: Layout) -> set[int]:
    """The nodes that are junctions with signals on the map."""
    lit = set()
    for node, (row, column) in layout.nodes.items():
        y, x = PITCH * row + CORE, PITCH * column + CORE
        number = streets.junction[y : y + 2, x : x + 2].max()  # -1 where no lane crosses a cell
        if number >= 0 and streets.signalled[number]:
            lit.add(node)
    return lit


def _warning(metres: _Metres, found: Junctions) -> dict[str, dict[str, Any]]:
    """Says that less than half of an extract is on the map; nothing where more is."""
    rows = {
        "kilometres of streets": (round(metres.kept / 1000, 2), round(metres.read / 1000, 2)),
        "junctions": (found.alone + found.merged + found.absorbed, found.junctions),
        "junctions with signals": (found.signalled_kept, found.signalled),
    }
    if all(kept >= whole / 2 for kept, whole in rows.values()):
        return {}
    facts = {name: f"{kept:,} of {whole:,}" for name, (kept, whole) in rows.items()}
    return {"warning: less than half of what was read is on the map": facts}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0


def _fidelity(
    drawing: Drawing,
    streets: StreetMap,
    layout: Layout,
    truth: Network,
    network: Network,
    junctions: Junctions,
    cell: float,
) -> dict[str, Any]:
    """How far the map is from the true streets."""
    ratios, longest = compare_distances(drawing, streets.exits, truth, cell, seed=0)
    found = compare_connections(layout, truth, network)
    low, middle, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    return {
        "map distance / true distance, median": round(float(middle), 3),
        "map distance / true distance, 95th percentile": round(float(high), 3),
        "map distance / true distance, 5th percentile": round(float(low), 3),
        "pairs of places": len(ratios),
        "longest way of these, in cells": longest,
        "junctions": junctions.junctions,
        "share of junctions kept": _share(junctions.alone + junctions.merged, junctions.junctions),
        "share of junctions kept, not merged": _share(junctions.alone, junctions.junctions),
        "junctions that are a point of a street now": junctions.absorbed,
        "junctions with signals": junctions.signalled,
        "share of junctions with signals kept": _share(junctions.signalled_kept, junctions.signalled),
        "share of connections kept, by direction": _share(found.directions_kept, found.directions),
        "one-way streets": found.one_ways,
        "one-way streets merged with their opposites": found.one_ways_merged,
        "share of the other one-way streets kept": _share(
            found.one_ways_kept, found.one_ways - found.one_ways_merged
        ),
    }
