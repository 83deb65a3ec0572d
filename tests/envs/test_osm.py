"""Maps of OpenStreetMap: what is joined stays joined, and what can't be read is said in one line."""

import bz2
import math
import os
import threading
from functools import partial

import numpy as np
import pytest
from gymnasium import make_vec
from meze.envs.streets.maps import MAPS, NONE, format_map, parse_map
from meze.envs.streets.osm.drawing import CORE, PITCH
from meze.envs.streets.osm.importing import CREDIT, import_map
from meze.envs.streets.osm.network import make_network
from meze.envs.streets.osm.reader import Box, OsmError, Way, directions, is_drivable, read
from osm_stage import (
    RING,
    RING_STREETS,
    crossroads,
    import_text,
    junction_graph,
    osm,
    random_city,
)

pytest.importorskip("osmium")
PLACES = {"berlin-neukoelln": False, "west-oakland": False, "fremantle": True}  # name to left-hand


@pytest.fixture
def imported(tmp_path):
    """Imports the text of a file."""

    return partial(import_text, tmp_path)


def facts(made, group):
    return made.report[group]


# ------------------------------------------------------------ tags


@pytest.mark.parametrize(
    ("tags", "ahead", "back"),
    [
        ({}, True, True),
        ({"oneway": "yes"}, True, False),
        ({"oneway": "1"}, True, False),
        ({"oneway": "no", "junction": "roundabout"}, True, True),
        ({"oneway": "-1"}, False, True),
        ({"oneway": "reversible"}, True, True),
        ({"junction": "roundabout"}, True, False),
        ({"junction": "circular"}, True, False),
        ({"highway": "motorway"}, True, False),
        ({"highway": "motorway", "oneway": "no"}, True, True),
        ({"oneway": "perhaps"}, True, True),
    ],
)
def test_directions(tags, ahead, back):
    assert directions(tags)[:2] == (ahead, back)
    assert (directions(tags)[2] is not None) == (tags.get("oneway") in ("reversible", "perhaps"))


@pytest.mark.parametrize(
    ("tags", "drivable"),
    [
        ({"highway": "residential"}, True),
        ({"highway": "footway"}, False),
        ({"highway": "service"}, False),
        ({"highway": "residential", "access": "private"}, False),
        ({"highway": "residential", "access": "no", "motor_vehicle": "yes"}, True),
        ({"highway": "residential", "motorcar": "no"}, False),
        ({"highway": "residential", "area": "yes"}, False),
        ({"highway": "construction"}, False),
        ({"building": "yes"}, False),
    ],
)
def test_which_ways_are_streets(tags, drivable):
    assert is_drivable(tags, service=False) == drivable
    assert is_drivable(tags | {"highway": "service"}, service=True) == is_drivable(
        tags | {"highway": "residential"}, service=False
    )


# ------------------------------------------------------------ streets


def test_a_block_with_four_corners(imported):
    made = imported(osm(RING, RING_STREETS))
    graph = junction_graph(made.streets)
    assert len(made.streets.signalled) == 4 and len(graph) == 8
    # 200 m between the corners' middles are 40 cells of 5 m, of which a corner takes two.
    assert all(cells == [38] for cells in graph.values())
    assert facts(made, "fidelity")["map distance / true distance, median"] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("word", "clockwise"), [("yes", False), ("-1", True)])
def test_one_way_streets_lead_one_way(imported, word, clockwise):
    streets = imported(osm(RING, [([1, 2, 3, 4, 1], {"oneway": word})])).streets
    assert len(junction_graph(streets)) == 4
    y, x = np.argwhere(streets.heading == (1 if clockwise else 3)).mean(axis=0)
    assert y < streets.kind.shape[0] / 2  # the northern side leads east, if clockwise


def circle(radius, first=10):
    return {
        first + k: (radius * math.cos(k * math.pi / 4), radius * math.sin(k * math.pi / 4)) for k in range(8)
    }


@pytest.mark.parametrize("radius", [10, 30, 70])
def test_roundabouts_go_round_one_way(imported, radius):
    """Those smaller than a place of the lattice become a junction."""
    ring = circle(radius)
    ends = {20: (250, 0), 21: (0, 250), 22: (-250, 0), 23: (0, -250)}
    arms = [([10 + 2 * k, 20 + k], {}) for k in range(4)]
    made = imported(osm(ring | ends, [([*ring, 10], {"junction": "roundabout"}), *arms]))
    assert len(crossroads(made.streets)) == (1 if radius == 10 else 4)
    if radius == 10:
        assert facts(made, "kept")["one-way streets"] == 0 and facts(made, "merged")
        return
    assert facts(made, "kept")["one-way streets"] == 4
    assert facts(made, "fidelity")["share of connections kept, by direction"] == 1


def test_a_bridge_is_not_joined_to_what_it_crosses(imported):
    """The bridge leads over two sides of the block; beyond, it comes back round the block to a corner."""
    more = {5: (100, -100), 6: (100, 300), 7: (-100, 300), 8: (-100, 0)}
    bridge = [([5, 6], {"bridge": "yes", "layer": "1"}), ([6, 7, 8, 1], {})]
    made = imported(osm(RING | more, [*RING_STREETS, *bridge]))
    assert len(crossroads(made.streets)) == 1
    joined = imported(osm(RING | more | {9: (100, 0), 10: (100, 200)}, [
        ([1, 9, 2], {}), ([2, 3], {}), ([3, 10, 4], {}), ([4, 1], {}), ([5, 9, 10, 6], {}), ([6, 7, 8, 1], {})
    ]))  # fmt: skip
    assert len(crossroads(joined.streets)) == 3


def test_a_dual_carriageway_becomes_one_street(imported):
    """Twelve metres apart, with a side street that meets only one of the two."""
    places = {1: (0, 0), 2: (300, 0), 3: (0, 12), 4: (300, 12), 5: (150, 12), 6: (150, 100)}
    places |= {7: (-80, 6), 8: (380, 6), 9: (-150, 6), 10: (450, 6)}
    one_way = {"oneway": "yes", "lanes": "2"}
    ways = [([7, 1, 2, 8], one_way), ([8, 4, 5, 3, 7], one_way), ([5, 6], {}), ([9, 7], {}), ([8, 10], {})]
    made = imported(osm(places, ways))
    assert facts(made, "merged")["carriageways merged into two-way streets"] == 2
    assert facts(made, "kept")["one-way streets"] == 0 and len(crossroads(made.streets)) == 1
    wide = imported(osm({k: (x, y if y < 10 or k == 6 else 72) for k, (x, y) in places.items()}, ways))
    assert "carriageways merged into two-way streets" not in facts(wide, "merged")
    assert facts(wide, "kept")["one-way streets"] > 1


def test_wide_one_way_streets_have_two_lanes(imported):
    lanes = imported(osm(RING, [([1, 2, 3, 4, 1], {"oneway": "yes", "lanes": "3"})])).streets
    single = imported(osm(RING, [([1, 2, 3, 4, 1], {"oneway": "yes"})])).streets
    count = [np.count_nonzero(m.heading != NONE) for m in (lanes, single)]
    assert count[0] == 2 * count[1]


def test_missing_nodes_cut_a_way(imported):
    ways = [*RING_STREETS, ([1, 99, 3], {}), ([2, 98, 97], {})]
    made = imported(osm(RING, ways))
    assert len(junction_graph(made.streets)) == 8
    assert facts(made, "read")["streets cut: nodes missing, or beyond the box"] == 2
    extract_pieces = make_network_of(ways)
    assert all({s.tail, s.head} <= RING.keys() for s in extract_pieces.streets)


def make_network_of(ways):
    from meze.envs.streets.osm.reader import Extract

    extract = Extract(places={n: (13.4 + x * 1e-5, 52.5 + y * 1e-5) for n, (x, y) in RING.items()})
    extract.ways = [Way(nodes, 2, True, True, 2) for nodes, _ in ways]
    return make_network(extract)


def test_only_the_largest_part_is_kept(imported):
    apart = {11: (600, 0), 12: (700, 0), 13: (200, 400), 14: (400, 200)}
    ways = [*RING_STREETS, ([11, 12], {}), ([3, 13], {"oneway": "yes"}), ([3, 14], {})]
    made = imported(osm(RING | apart, ways))
    assert facts(made, "dropped")["streets outside the largest part"] == 2
    assert len(junction_graph(made.streets)) == 10  # the block, and the dead end to and fro


def test_signals_and_crossings(imported):
    places = RING | {5: (400, 0), 6: (100, 0), 7: (180, 0), 8: (200, -200)}
    ways = [([1, 6, 7, 2], {}), *RING_STREETS[1:], ([2, 5], {}), ([2, 8], {})]
    tags = {7: {"highway": "traffic_signals"}, 6: {"highway": "crossing"}}
    made = imported(osm(places, ways, tags))
    assert made.streets.signalled.sum() == 1  # the stop line 20 m before it belongs to the junction
    assert facts(made, "kept")["crossings"] == 1
    assert facts(made, "inferred")["crossings at signals"] == 4
    y, x = np.argwhere(made.streets.kind == 3).T
    assert np.abs(x - x.min()).max() > 0
    bare = imported(osm(places, [(nodes, {"highway": "primary"}) for nodes, _ in ways]))
    assert facts(bare, "inferred")["signals, where main roads meet"] == 1 == bare.streets.signalled.sum()


def test_houses_stand_and_the_rest_is_open_ground(imported):
    house = {21: (80, 80), 22: (120, 80), 23: (120, 120), 24: (80, 120)}
    made = imported(osm(RING | house, [*RING_STREETS, ([21, 22, 23, 24, 21], {"building": "yes"})]))
    built = (made.streets.kind == 0) & ~made.streets.ground
    assert built.sum() == pytest.approx(72, abs=10)
    y, x = np.argwhere(built).mean(axis=0)
    middle = np.argwhere(made.streets.junction >= 0).mean(axis=0)
    assert abs(y - middle[0]) < 1 and abs(x - middle[1]) < 1
    assert parse_map(made.text, "again").ground.sum() == made.streets.ground.sum() > 0


def test_traffic_keeps_to_the_side_of_the_country_or_as_told(imported):
    text = osm(RING, RING_STREETS)
    assert not imported(text).streets.left_hand
    assert imported(text, side="left").streets.left_hand
    assert imported(text.replace('lat="52.', 'lat="-32.').replace('lon="13.', 'lon="115.')).streets.left_hand
    said = osm(RING, [(nodes, {"driving_side": "left"}) for nodes, _ in RING_STREETS])
    assert imported(said).streets.left_hand


def test_service_roads_by_flag_and_boxes(imported):
    ways = [*RING_STREETS, ([1, 3], {"highway": "service"})]
    assert len(crossroads(imported(osm(RING, ways)).streets)) == 0
    assert len(crossroads(imported(osm(RING, ways), service=True).streets)) == 2
    far = {31: (0, 2000), 32: (200, 2000), 33: (200, 2200)}
    both = osm(RING | far, [*RING_STREETS, ([1, 31], {}), ([31, 32, 33, 31], {})])
    boxed = imported(both, box=Box(52.499, 13.39, 52.503, 13.41))
    assert max(boxed.streets.kind.shape) < 100 < max(imported(both).streets.kind.shape)
    bounds = '<bounds minlat="52.499" minlon="13.39" maxlat="52.503" maxlon="13.41"/>'
    named = imported(both.replace('version="0.6">', f'version="0.6">{bounds}', 1))
    assert named.text == boxed.text


# ------------------------------------------------------------ the map is the city


def reached(onwards, start, named):
    """The named places that can be reached past no other named one."""
    seen, queue, found = {start}, [start], set()
    for place in queue:
        for after in onwards.get(place, ()):
            if after in named:
                found.add(after)
            elif after not in seen:
                seen.add(after)
                queue.append(after)
    return found - {start}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("side", ["left", "right"])
def test_junctions_are_joined_on_the_map_as_on_the_lattice(imported, seed, side):
    """Lanes are followed cell by cell, and must lead from junction to junction as the streets do."""
    made = imported(random_city(6, seed), side=side)
    numbers = {}
    for node, (row, column) in made.layout.nodes.items():
        y, x = PITCH * row + CORE, PITCH * column + CORE
        numbers[node] = made.streets.junction[y : y + 2, x : x + 2].max()
    lanes, streets = {}, {}
    for a, b in junction_graph(made.streets):
        lanes.setdefault(a, set()).add(b)
    for route in made.layout.routes:
        s = route.street
        for a, b, goes in ((s.tail, s.head, s.ahead), (s.head, s.tail, s.back)):
            if goes:
                streets.setdefault(a, set()).add(b)
    named = {node for node in streets if numbers[node] >= 0}
    assert len(named) > 20
    places = {numbers[node] for node in named}
    for node in named:
        there = {numbers[other] for other in reached(streets, node, named)}
        assert reached(lanes, numbers[node], places) == there


@pytest.mark.slow
def test_distances_and_connections_of_random_cities(imported):
    """Jittered streets, with diagonals that may cross others: a few find no way on the map."""
    found = [facts(imported(random_city(8, seed)), "fidelity") for seed in range(6)]
    assert all(each["pairs of places"] > 900 and each["junctions"] > 30 for each in found)

    def values(name):
        return np.array([each[name] for each in found])

    median = values("map distance / true distance, median")
    assert (median > 0.95).all() and (median < 1.3).all() and median.mean() < 1.2
    last = values("map distance / true distance, 95th percentile")
    assert (last < 2).all() and last.mean() < 1.5
    assert (values("share of junctions kept") > 0.9).all()  # of all that were read
    assert (values("share of connections kept, by direction") > 0.9).all()
    assert values("share of connections kept, by direction").mean() > 0.97
    assert values("share of the other one-way streets kept").mean() > 0.9


def test_streets_keep_their_length(imported):
    """Three streets between two near corners: straight, a crescent, and round a block."""
    places = {1: (0, 0), 2: (60, 0), 3: (-200, 0), 4: (260, 0)}
    crescent = {10: (0, 150), 11: (30, 250), 12: (60, 150)}
    block = {20: (0, -600), 21: (500, -600), 22: (500, -100), 23: (60, -100)}
    ways = [([1, 2], {}), ([1, 10, 11, 12, 2], {}), ([1, 20, 21, 22, 23, 2], {}), ([3, 1], {}), ([2, 4], {})]
    made = imported(osm(places | crescent | block, ways))
    assert not facts(made, "dropped") and not facts(made, "merged")
    kept = facts(made, "kept")
    assert kept["kilometres drawn"] == pytest.approx(kept["kilometres of streets read"], rel=0.1)
    for route in made.layout.routes:
        assert (len(route.places) - 1) * PITCH * 5 > 0.7 * route.street.length


def test_turned_cities_are_turned_back(imported):
    """A city at 30 degrees to the north is as good as one along the axes."""
    turned = {n: (x * 0.866 - y * 0.5, x * 0.5 + y * 0.866) for n, (x, y) in RING.items()}
    made = imported(osm(turned, RING_STREETS))
    assert len(junction_graph(made.streets)) == 8
    assert abs(facts(made, "map")["turned by degrees"]) == pytest.approx(30, abs=1)


@pytest.mark.parametrize("name", PLACES)
def test_shipped_maps_of_real_places(name):
    streets = MAPS.find(name)
    assert streets.left_hand == PLACES[name] and streets.credit == CREDIT
    assert streets.ground.any() and ((streets.kind == 0) & ~streets.ground).any()
    assert len(crossroads(streets)) >= 3
    again = parse_map(format_map(streets), name)
    for array in ("kind", "exits", "ground", "junction", "signalled"):
        assert np.array_equal(getattr(again, array), getattr(streets, array)), array


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_the_expert_arrives_on_real_streets(name):
    envs = make_vec("meze/City-v0", 64, map=name, observation="index", autoreset_mode="SameStep")
    envs.reset(seed=0)
    expert = envs.unwrapped.reference("expert")
    arrived = ended = 0
    for _ in range(1500):
        _, _, terminated, truncated, infos = envs.step(expert())
        ended += int((terminated | truncated).sum())
        if "final_info" in infos:
            arrived += int(infos["final_info"]["success"].sum())
    assert ended > 500 and arrived / ended >= 0.98


# ------------------------------------------------------------ what can't be read


TRICK = """<?xml version="1.0"?><!DOCTYPE osm [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY x SYSTEM "file:///etc/passwd">]>
<osm version="0.6"><node id="1" lat="1" lon="1"><tag k="a" v="&b;&x;"/></node></osm>"""


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("city.osm", b"", "can't be read"),
        ("city.osm", b"<osm version='0.6'></osm>", "no street"),
        ("city.osm", b"hello", "can't be read"),
        ("city.osm", osm(RING, RING_STREETS).encode()[:-30], "can't be read"),
        ("city.osm", TRICK.encode(), "can't be read"),
        (
            "city.osm",
            osm({1: (0, 1e7), 2: (10, 0)}, [([1, 2], {})]).encode(),
            "can't be read|no place on earth",
        ),
        ("city.osm", osm(RING, [([1, 2], {"oneway": "yes"})]).encode(), "no street leads back"),
        ("city.osm", osm(RING, [([1, 2], {"highway": "footway"})]).encode(), "no street to drive on"),
        ("city.osm", osm({1: (0, 0), 2: (90000, 0)}, [([1, 2], {})]).encode(), "more than 1024 x 1024 cells"),
        (
            "city.osm",
            osm(RING, RING_STREETS).replace('lat="52.5000000"', 'lat="nan"').encode(),
            "can't be read",
        ),
        (
            "city.osm",
            osm(RING, RING_STREETS).replace("52.5000000", "1e9").encode(),
            "can't be read|no place on earth",
        ),
        (
            "city.osm",
            osm({1: (0, 0), 2: (18, 0)}, [([1, 2], {})]).encode(),
            "nothing is left of these streets",
        ),
        ("city.osm", osm(RING, [([1, 2] * 1001, {})]).encode(), "way 1 has more than 2,000 nodes"),
        ("city.osm.bz2", bz2.compress(osm(RING, RING_STREETS).encode())[:-20], "can't be read"),
        ("city.osm.pbf", b"\x00\x00\x00\x0d\x0a\x09OSMHeader", "can't be read"),
        ("city.osm.pbf", b"\xff" * 64, "can't be read"),
        ("city.gpx", b"<gpx/>", "the name must end in"),
    ],
)
def test_faulty_files_are_told_in_one_line(tmp_path, name, content, problem):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OsmError, match=problem) as caught:
        import_map(path, "city")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert str(path) in str(caught.value)


def test_boxes_without_roads_and_missing_files(tmp_path, imported):
    with pytest.raises(OsmError, match="no street to drive on"):
        imported(osm(RING, RING_STREETS), box=Box(0, 0, 1, 1))
    with pytest.raises(OsmError, match="no such file"):
        import_map(tmp_path / "none.osm", "city")


def test_nodes_that_were_deleted_are_passed_over(imported):
    gone = '<node id="77" version="2" visible="false"/>'
    made = imported(osm(RING, RING_STREETS, start=gone))
    assert facts(made, "read")["nodes without a place"] == 1 and len(junction_graph(made.streets)) == 8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.osm")
    errors = []

    def read_it():
        with pytest.raises(OsmError) as error:
            import_map(tmp_path / "pipe.osm", "city")
        errors.append(str(error.value))

    reader = threading.Thread(target=read_it, daemon=True)
    reader.start()
    reader.join(10)
    assert errors == [f"{tmp_path / 'pipe.osm'}: not a regular file"]


def test_ways_to_and_fro_are_one_street(imported):
    """A way that passes the same two nodes a thousand times, in a file of a few kilobytes."""
    made = imported(osm(RING, [([1, 2] * 1000, {}), *RING_STREETS]))
    assert facts(made, "read")["streets that are there twice"] == 1999
    assert len(junction_graph(made.streets)) == 8


def test_no_more_is_kept_than_fits(imported, monkeypatch, tmp_path):
    monkeypatch.setattr("meze.envs.streets.osm.reader.MAX_NODES", 3)
    with pytest.raises(OsmError, match="more than 3 nodes; choose a part of it with --box"):
        imported(osm(RING, RING_STREETS))
    monkeypatch.setattr("meze.envs.streets.osm.reader.MAX_NODES", 4)
    monkeypatch.setattr("meze.envs.streets.osm.reader.MAX_WAYS", 3)
    with pytest.raises(OsmError, match="more than 3 ways"):
        imported(osm(RING, RING_STREETS))


def test_compressed_files_are_the_same_city(tmp_path, imported):
    import osmium

    text = random_city(4, 1)
    plain = imported(text)
    packed = tmp_path / "city.osm.bz2"
    packed.write_bytes(bz2.compress(text.encode()))
    binary = tmp_path / "city.osm.pbf"
    with osmium.SimpleWriter(str(binary)) as writer:
        for thing in osmium.FileProcessor(str(packed)):
            writer.add(thing)
    for path in (packed, binary):
        made = import_map(path, "city")
        assert made.text.split("\n", 1)[1] == plain.text.split("\n", 1)[1]
    assert read(binary).counts == read(packed).counts
