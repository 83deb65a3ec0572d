"""Small files of OpenStreetMap, written by hand or drawn at random, and what the map says of them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from meze.envs.streets.maps import NONE, STEPS, StreetMap
from meze.envs.streets.osm.importing import import_map
from meze.envs.streets.osm.reader import Box

METRE = 1 / 111_195  # degrees of latitude
WEST = METRE / np.cos(np.radians(52.5))


def osm(places, ways, tags=None, *, start="", end=""):
    """The text of a file.

    Args:
        places: node number to x and y in metres, y growing northwards.
        ways: pairs of node numbers and tags; without `highway` they are residential streets.
        tags: node number to tags.
        start: XML before the nodes.
        end: XML behind the ways.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<osm version="0.6">', start]
    for number, (x, y) in places.items():
        inside = tagged((tags or {}).get(number, {}))
        lines.append(
            f'<node id="{number}" lat="{52.5 + y * METRE:.7f}" lon="{13.4 + x * WEST:.7f}">{inside}</node>'
        )
    for number, (nodes, more) in enumerate(ways, 1):
        refs = "".join(f'<nd ref="{node}"/>' for node in nodes)
        more = more if "building" in more else {"highway": "residential"} | more
        lines.append(f'<way id="{number}">{refs}{tagged(more)}</way>')
    return "\n".join([*lines, end, "</osm>"])


def import_text(folder, text, **settings):
    """Imports the text of a file."""
    path = folder / "city.osm"
    path.write_text(text)
    return import_map(path, "city", **settings)


def tagged(tags):
    return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in tags.items())


RING = {1: (0, 0), 2: (200, 0), 3: (200, 200), 4: (0, 200)}
"""The corners of a square block of 200 m."""
RING_STREETS = [([1, 2], {}), ([2, 3], {}), ([3, 4], {}), ([4, 1], {})]


def junction_graph(streets: StreetMap):
    """Which junctions of a map are joined: (number, number) to cells between them, found lane by lane."""
    joined = defaultdict(list)
    for y, x in np.argwhere(streets.heading != NONE).tolist():
        h = int(streets.heading[y, x])
        before = y - STEPS[h][0], x - STEPS[h][1]
        if streets.junction[before] < 0:
            continue
        cells = 0
        while streets.junction[y, x] < 0:
            y, x, cells = y + STEPS[h][0], x + STEPS[h][1], cells + 1
        joined[int(streets.junction[before]), int(streets.junction[y, x])].append(cells)
    return dict(joined)


def crossroads(streets: StreetMap):
    """Numbers of the junctions at which three or more streets meet."""
    neighbours = defaultdict(set)
    for a, b in junction_graph(streets):
        neighbours[a].add(b)
        neighbours[b].add(a)
    return {a for a, others in neighbours.items() if len(others) > 2}


def random_city(side, seed, spacing=90.0):
    """A file with a jittered lattice of streets, some missing, one-way, diagonal or dead ends."""
    random = np.random.default_rng(seed)
    places, ways, tags = {}, [], {}

    def put(x, y, **more):
        places[len(places) + 1] = x, y
        if more:
            tags[len(places)] = more
        return len(places)

    corners = {}
    for i, j in np.ndindex(side, side):
        x, y = np.array([i, j]) * spacing + random.normal(0, 0.18 * spacing, 2)
        lights = {"highway": "traffic_signals"} if random.random() < 0.2 else {}
        corners[i, j] = put(x, y, **lights)
    for i, j in np.ndindex(side, side):
        here = corners[i, j]
        for di, dj, share, kind in (
            (1, 0, 0.85, "residential"),
            (0, 1, 0.85, "residential"),
            (1, 1, 0.06, "tertiary"),
        ):
            there = corners.get((i + di, j + dj))
            if there is None or random.random() > share:
                continue
            (x, y), (v, u) = places[here], places[there]
            bends = [
                put(x + (v - x) * k / 4 + random.normal(0, 2), y + (u - y) * k / 4 + random.normal(0, 2))
                for k in (1, 2, 3)
            ]
            if random.random() < 0.1:
                tags[bends[1]] = {"highway": "crossing"}
            oneway = random.choice(
                [{"oneway": "yes", "lanes": "2"}, {"oneway": "-1"}, {}], p=[0.15, 0.1, 0.75]
            )
            ways.append(([here, *bends, there], {"highway": kind} | oneway))
        if random.random() < 0.15:
            x, y = places[here]
            ways.append(([here, put(x + 0.45 * spacing, y + 0.3 * spacing)], {}))
    return osm(places, ways, tags)


def one_way_grid(side, gap, seed):
    """A file with as many streets along as across, most of them one-way in turns; signals where they meet."""
    random = np.random.default_rng(seed)
    offsets = [
        float(offset) for k in range(side) for offset in (k * gap, k * gap + gap / 3, k * gap + 2 * gap / 3)
    ]
    numbers, places, ways = {}, {}, []
    for k in range(side):
        for along in (True, False):
            line = [(offset, k * gap) if along else (k * gap, offset) for offset in offsets[:-2]]
            nodes = [numbers.setdefault(place, len(numbers) + 1) for place in line]
            places |= dict(zip(nodes, line, strict=True))
            ways.append((nodes[:: 1 - 2 * (k % 2)], {"oneway": "yes"} if random.random() < 0.8 else {}))
    signals = {numbers[gap * i, gap * j]: {"highway": "traffic_signals"} for i, j in np.ndindex(side, side)}
    return osm(places, ways, signals)


def box_of(west, south, east, north):
    """A box of metres."""
    return Box(52.5 + south * METRE, 13.4 + west * WEST, 52.5 + north * METRE, 13.4 + east * WEST)
