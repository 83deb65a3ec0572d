"""Reads what a street map needs from an OpenStreetMap file: streets, signals, crossings, houses.

The rules for tags are those of the OpenStreetMap wiki: https://wiki.openstreetmap.org/wiki/Key:highway,
Key:oneway, Key:access, Tag:junction=roundabout.
"""

from __future__ import annotations

import bz2
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

ENDINGS = (".osm", ".osm.bz2", ".osm.pbf")
MAX_NODES = 1_000_000  # inside the box
MAX_WAYS = 200_000  # streets and houses
MAX_NODES_OF_WAY = 2000  # as OpenStreetMap allows
UNDEFINED = 2_147_483_647  # the coordinate of a place that is not known

RANKS = {
    "motorway": 7, "motorway_link": 7, "trunk": 6, "trunk_link": 6, "primary": 5, "primary_link": 5,
    "secondary": 4, "secondary_link": 4, "tertiary": 3, "tertiary_link": 3, "unclassified": 2, "road": 2,
    "residential": 2, "living_street": 1, "service": 0,
}  # fmt: skip
"""Classes of drivable ways; the higher the more important."""

CLOSED = {"no", "private", "agricultural", "forestry", "delivery", "emergency", "psv", "bus"}
YES, NO = {"yes", "true", "1"}, {"no", "false", "0"}
_DELETE = re.compile(rb"""action\s*=\s*["']delete["']""")


class OsmError(ValueError):
    """A file that can't become a map; the message is one line."""


class Box(NamedTuple):
    """A box of degrees; one whose west is greater than its east reaches across the 180th meridian."""

    south: float
    west: float
    north: float
    east: float

    def __contains__(self, place: object) -> bool:
        lon, lat = place  # type: ignore[misc]
        if self.west > self.east:
            return self.south <= lat <= self.north and not self.east < lon < self.west
        return self.south <= lat <= self.north and self.west <= lon <= self.east


class Way(NamedTuple):
    """A drivable way."""

    nodes: list[int]
    """Node numbers, in the way's direction; those outside the box and those that are missing too."""
    rank: int
    """Importance, see RANKS."""
    ahead: bool
    """Whether one may drive in the way's direction ..."""
    back: bool
    """... and against it."""
    lanes: int
    """In all directions together."""


@dataclass
class Extract:
    """What was taken from a file."""

    places: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Longitude and latitude of the nodes inside the box; across the 180th meridian longitudes go on."""
    ways: list[Way] = field(default_factory=list)
    """Drivable ways."""
    houses: list[list[int]] = field(default_factory=list)
    """Nodes of the outlines of buildings."""
    signals: set[int] = field(default_factory=set)
    """Nodes with traffic signals."""
    crossings: set[int] = field(default_factory=set)
    """Nodes at which people cross a street."""
    sides: Counter[str] = field(default_factory=Counter)
    """How often the data says `left` or `right` of traffic."""
    counts: Counter[str] = field(default_factory=Counter)
    """What was read, inferred and dropped."""


def directions(tags: Mapping[str, str]) -> tuple[bool, bool, str | None]:
    """Whether one may drive along a way and against it.

    Args:
        tags: of the way.

    Returns:
        Ahead, back, and what had to be assumed, if anything.
    """
    word = tags.get("oneway", "").lower()
    if word in ("-1", "reverse"):
        return False, True, None
    if word in YES:
        return True, False, None
    if word in NO:
        return True, True, None
    if word in ("reversible", "alternating"):
        return True, True, f"{word} streets driven both ways"
    if tags.get("junction") in ("roundabout", "circular"):
        return True, False, None
    if tags.get("highway") in ("motorway", "motorway_link"):
        return True, False, None
    return True, True, f"oneway={word[:20]!r} taken for two-way" if word else None


def is_open(tags: Mapping[str, str]) -> bool:
    """Whether anybody may drive on a way; the most special of the access tags decides."""
    for key in ("motorcar", "motor_vehicle", "vehicle", "access"):
        if key in tags:
            return tags[key] not in CLOSED
    return True


def is_drivable(tags: Mapping[str, str], service: bool) -> bool:
    """Whether a way belongs to the streets of the map."""
    kind = tags.get("highway", "")
    return kind in RANKS and (service or kind != "service") and tags.get("area") != "yes" and is_open(tags)


def read(path: Path, box: Box | None = None, *, service: bool = False) -> Extract:
    """Reads a file, in two passes, keeping only what lies in the box.

    Args:
        path: of an `.osm`, `.osm.bz2` or `.osm.pbf` file.
        box: what to read; by default the bounds that the file itself names, or all of it.
        service: whether service roads are streets.

    Raises:
        OsmError: one line, when the file is no such file, is broken, or holds too much.
    """
    if not path.name.endswith(ENDINGS):
        raise OsmError(f"{path}: the name must end in {', '.join(ENDINGS)}")
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "not a regular file" if path.exists() else None
        raise OsmError(f"{path}: {what or 'no such file'}")
    try:
        import osmium
    except ModuleNotFoundError:
        raise OsmError("importing maps needs osmium: pip install 'meze[maps]'") from None
    extract = Extract()
    try:
        if box is None:
            box = _bounds(osmium, path)
        deleted = deleted_objects(path)
        _read_nodes(_objects(osmium, path, "NODE"), box, deleted["node"], extract, path)
        _unroll(extract)
        _read_ways(_objects(osmium, path, "WAY"), service, deleted["way"], extract, path)
    except OsmError:
        raise
    except (
        *(RuntimeError, ValueError, OSError, EOFError, MemoryError),
        *(ExpatError, osmium.InvalidLocationError),
    ) as error:
        raise OsmError(f"{path}: can't be read: {' '.join(str(error)[:300].split())[:100]}") from None
    return extract


def _objects(osmium: Any, path: Path, kind: str) -> Iterator[Any]:
    return iter(osmium.FileProcessor(str(path), getattr(osmium.osm, kind)))


def _bounds(osmium: Any, path: Path) -> Box | None:
    """The bounds that a file's header names."""
    reader = osmium.io.Reader(str(path), osmium.osm.NOTHING)
    try:
        box = reader.header().box()
    finally:
        reader.close()
    if not box.valid():
        return None
    west, east = box.bottom_left.lon, box.top_right.lon
    if 180 < east - west < 360:  # no city is so wide: its bounds lie on both sides of the 180th meridian
        west, east = east, west
    return Box(box.bottom_left.lat, west, box.top_right.lat, east)


def _unroll(extract: Extract) -> None:
    """Lets longitudes go on beyond 180 degrees, where a city lies on both sides of that meridian."""
    lons = [lon for lon, _ in extract.places.values()]
    if lons and max(lons) - min(lons) > 180:
        extract.places = {
            node: (lon + 360 if lon < 0 else lon, lat) for node, (lon, lat) in extract.places.items()
        }


def deleted_objects(path: Path) -> dict[str, set[int]]:
    """Numbers of the nodes and ways that an editor has marked as deleted (`action="delete"`), by kind.

    Osmium knows only `visible="false"`; JOSM keeps what was deleted in its files, and marks it so.
    """
    found: dict[str, set[int]] = {"node": set(), "way": set()}
    if path.name.endswith(".pbf"):  # which has no such mark
        return found

    def look(tag: str, attributes: dict[str, str]) -> None:
        if tag in found and attributes.get("action") == "delete":
            found[tag].add(int(attributes.get("id", "")))

    if not any(_DELETE.search(part) for part in _overlapping(path)):
        return found  # as nearly always, and a search is quicker than to parse
    parser = ParserCreate()
    parser.StartElementHandler = look
    parser.EntityDeclHandler = _refuse
    for part in _parts(path):
        parser.Parse(part)
    return found


def _refuse(*_: object) -> None:
    raise ValueError("XML entities are not read")


def _parts(path: Path) -> Iterator[bytes]:
    """What is in an XML file, a MiB at a time."""
    with bz2.open(path) if path.name.endswith(".bz2") else path.open("rb") as file:
        while part := file.read(1 << 20):
            yield part


def _overlapping(path: Path) -> Iterator[bytes]:
    """The same, each part with the end of the one before."""
    end = b""
    for part in _parts(path):
        yield end + part
        end = part[-64:]


def _read_nodes(
    nodes: Iterator[Any], box: Box | None, deleted: set[int], extract: Extract, path: Path
) -> None:
    for node in nodes:
        place = node.location
        if not node.visible or place.x == UNDEFINED or node.id in deleted:
            extract.counts["nodes without a place"] += 1
            continue
        if not place.valid():
            raise OsmError(f"{path}: node {node.id} lies at no place on earth")
        at = place.lon, place.lat
        if box is not None and at not in box:
            continue
        if len(extract.places) == MAX_NODES:
            raise OsmError(f"{path}: more than {MAX_NODES:,} nodes; choose a part of it with --box S,W,N,E")
        extract.places[node.id] = at
        if not len(node.tags):
            continue
        tags = node.tags
        if tags.get("highway") == "traffic_signals" or tags.get("crossing") == "traffic_signals":
            extract.signals.add(node.id)
        if tags.get("highway") == "crossing" and tags.get("crossing") != "no":
            extract.crossings.add(node.id)


def _read_ways(ways: Iterator[Any], service: bool, deleted: set[int], extract: Extract, path: Path) -> None:
    counts, references = extract.counts, 0
    for way in ways:
        tags = dict(way.tags)
        if not ("highway" in tags or "building" in tags):
            continue
        nodes = [node.ref for node in way.nodes]
        if not any(node in extract.places for node in nodes):
            continue
        if not way.visible or way.id in deleted:
            counts["deleted ways left out"] += 1
            continue
        references += len(nodes)
        if len(nodes) > MAX_NODES_OF_WAY:
            raise OsmError(f"{path}: way {way.id} has more than {MAX_NODES_OF_WAY:,} nodes")
        if references > 2 * MAX_NODES or len(extract.ways) + len(extract.houses) == MAX_WAYS:
            raise OsmError(f"{path}: more than {MAX_WAYS:,} ways; choose a part of it with --box S,W,N,E")
        if side := tags.get("driving_side"):
            extract.sides[side] += 1
        if "highway" not in tags:
            extract.houses.append(nodes)
        elif is_drivable(tags, service):
            ahead, back, assumed = directions(tags)
            if assumed:
                counts[assumed] += 1
            if not all(node in extract.places for node in nodes):
                counts["streets cut: nodes missing, or beyond the box"] += 1
            extract.ways.append(Way(nodes, RANKS[tags["highway"]], ahead, back, _lanes(tags, ahead and back)))
        else:
            closed = tags["highway"] in RANKS
            counts[
                "drivable ways left out (service roads, private)" if closed else "footways and the like"
            ] += 1
    counts["streets"], counts["buildings"] = len(extract.ways), len(extract.houses)


def _lanes(tags: Mapping[str, str], two_way: bool) -> int:
    try:
        return max(1, int(tags["lanes"]))
    except (KeyError, ValueError):
        return 1 + two_way
