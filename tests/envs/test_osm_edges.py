"""Parts of cities: what the edge cuts, what was deleted, and how much of what was read is on the map."""

import bz2
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from meze.envs.streets.maps import MAPS, ROAD, format_map, parse_map
from meze.envs.streets.osm.importing import import_map
from meze.envs.streets.osm.reader import Box, read
from osm_stage import (
    RING,
    RING_STREETS,
    box_of,
    crossroads,
    import_text,
    junction_graph,
    one_way_grid,
    osm,
    random_city,
)

pytest.importorskip("osmium")
EXTRACTS = Path(__file__).parents[1] / "data" / "osm"
CELLS = {"berlin-neukoelln": 5, "west-oakland": 5, "fremantle": 3}  # name to metres of a cell


@pytest.fixture
def imported(tmp_path):
    """Imports the text of a file."""
    return partial(import_text, tmp_path)


def facts(made, group):
    return made.report[group]


# ------------------------------------------------------------ real places


@pytest.mark.parametrize("name", CELLS)
def test_extracts_of_real_places(name):
    """The shipped maps were made before traffic could leave at the edge: they have fewer streets."""
    shipped = MAPS.find(name)
    made = import_map(EXTRACTS / f"{name}.osm.bz2", name, cell=CELLS[name])
    lanes = [np.count_nonzero(streets.kind >= ROAD) for streets in (made.streets, shipped)]
    assert lanes[0] > lanes[1] and made.streets.left_hand == shipped.left_hand
    again = parse_map(format_map(made.streets), name)
    for array in ("kind", "exits", "ground", "junction", "signalled"):
        assert np.array_equal(getattr(again, array), getattr(made.streets, array)), array
    kept, found = facts(made, "kept"), facts(made, "fidelity")
    assert (
        kept["kilometres kept"] > 0.5 * kept["kilometres of streets read"] and list(made.report)[0] == "read"
    )
    assert found["map distance / true distance, median"] < 1.25
    assert found["map distance / true distance, 95th percentile"] < 1.5
    assert found["share of junctions kept"] > 0.6 and found["share of junctions kept, not merged"] > 0.5
    assert found["share of connections kept, by direction"] > 0.95
    assert found["share of junctions with signals kept"] == 1


@pytest.mark.parametrize("name", CELLS)
def test_cut_outs_of_real_places_keep_most_streets(name):
    """Boxes of a few hundred metres; what is left out lies outside the largest part or has found no way."""
    path, random = EXTRACTS / f"{name}.osm.bz2", np.random.default_rng(0)
    extract = read(path)
    corners = [extract.places[node] for way in extract.ways for node in way.nodes if node in extract.places]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    kept = []
    for _ in range(4):
        west, south = low + random.uniform(0, 0.4, 2) * (high - low)
        east, north = np.array([west, south]) + 0.6 * (high - low)
        made = import_map(path, name, cell=CELLS[name], box=Box(south, west, north, east))
        assert "directions of streets that lead nowhere" not in facts(made, "dropped")
        kilometres = [facts(made, "kept")[f"kilometres {what}"] for what in ("kept", "of streets read")]
        kept.append(kilometres[0] / kilometres[1])
    assert min(kept) > 0.7 and np.mean(kept) > 0.8


# ------------------------------------------------------------ the edge


def test_carriageways_that_the_edge_has_cut_are_driven_on():
    made = import_map(EXTRACTS / "cut-carriageways.osm", "cut")
    kept, found = facts(made, "kept"), facts(made, "fidelity")
    assert kept["kilometres kept"] == kept["kilometres of streets read"] == 1.8
    assert facts(made, "inferred")["turning loops where carriageways are cut"] == 2
    assert not facts(made, "dropped") and list(made.report)[0] == "read"
    assert found["junctions"] == found["junctions with signals"] == made.streets.signalled.sum() == 2
    assert len(crossroads(made.streets)) == 2
    # Each carriageway has two lanes of 120 cells of 5 m, less what the junction and the loops' corners take.
    heading = made.streets.heading
    lanes = {h: np.flatnonzero((heading == h).sum(axis=1) > 100) for h in (1, 3)}
    assert len(lanes[1]) == len(lanes[3]) == 2 and lanes[3].max() < lanes[1].min()  # east in the south
    for h, rows in lanes.items():
        assert np.count_nonzero(heading[rows] == h) == pytest.approx(2 * 120, abs=14)


@pytest.mark.parametrize("gap", [12, 70])
def test_carriageways_side_by_side_end_as_dead_ends_do(imported, gap):
    """A dual carriageway from a block to where the file ends: narrow ones become a street with a dead end."""
    more = {5: (600, 200), 6: (600, 200 + gap), 7: (200, 200 + gap)}
    one_way = {"oneway": "yes"}
    ways = [*RING_STREETS, ([3, 5], one_way), ([6, 7], one_way), ([7, 3], {})]
    made = imported(osm(RING | more, ways))
    kept = facts(made, "kept")
    assert kept["kilometres kept"] == kept["kilometres of streets read"] and not facts(made, "dropped")
    assert facts(made, "inferred")["turning loops where carriageways are cut"] == 1
    assert ("carriageways merged into two-way streets" in facts(made, "merged")) == (gap == 12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_cut_outs_of_one_way_grids_keep_their_streets(imported, seed):
    """What is kept where every street may be driven both ways is kept where few may, nearly all of it."""
    random = np.random.default_rng(seed)
    gap = float(random.choice([80, 120, 180]))
    west, south = random.uniform(0, 4 * gap, 2)
    box = box_of(west, south, west + 4.2 * gap, south + 4.2 * gap)
    text = one_way_grid(9, gap, seed)
    made, free = (imported(each, box=box) for each in (text, re.sub(r'<tag k="oneway"[^>]*>', "", text)))
    kept, all_of_it = (facts(each, "kept") for each in (made, free))
    assert kept["kilometres of streets read"] == all_of_it["kilometres of streets read"]
    assert all_of_it["kilometres kept"] == all_of_it["kilometres of streets read"]
    assert kept["kilometres kept"] > 0.75 * kept["kilometres of streets read"]
    assert facts(made, "fidelity")["junctions"] == facts(free, "fidelity")["junctions"] >= 16
    assert facts(made, "fidelity")["share of junctions kept"] > 0.8
    assert facts(made, "fidelity")["share of junctions with signals kept"] > 0.8
    assert kept["one-way streets"] > 10 and list(made.report)[0] == "read"


def test_a_lone_one_way_street_that_a_box_cuts_is_driven_both_ways_to_the_next_junction(imported):
    places = RING | {5: (-100, 0), 6: (-900, 0), 7: (300, 200), 8: (900, 200)}
    ways = [*RING_STREETS, ([6, 5, 1], {"oneway": "yes"}), ([3, 7, 8], {"oneway": "yes"})]
    made = imported(osm(places, ways), box=box_of(-500, -100, 500, 400))
    assert facts(made, "inferred")["one-way streets, cut, that are driven both ways"] == 2
    assert facts(made, "read")["streets cut: nodes missing, or beyond the box"] == 2
    assert facts(made, "kept")["one-way streets"] == 0 and len(junction_graph(made.streets)) == 12


def test_less_than_half_is_told_at_the_top(imported):
    """Islands: of three blocks that nothing joins, one is kept, and with it its junctions and signals."""
    places, ways, tags = {}, [], {}
    for k in range(3):
        places |= {
            10 * k + n: (x + 500 * k, y) for n, (x, y) in (RING | {5: (100, 0), 6: (100, 200)}).items()
        }
        ways += [
            ([10 * k + n for n in nodes], {}) for nodes in ([1, 5, 2], [2, 3], [3, 6, 4], [4, 1], [5, 6])
        ]
        tags[10 * k + 5] = {"highway": "traffic_signals"}
    made = imported(osm(places, ways, tags))
    assert next(iter(made.report)) == "warning: less than half of what was read is on the map"
    assert facts(made, next(iter(made.report))) == {
        "kilometres of streets": "1.0 of 3.0",
        "junctions": "2 of 6",
        "junctions with signals": "1 of 3",
    }
    found = facts(made, "fidelity")
    assert found["junctions"] == 6 and found["share of junctions kept"] == 0.333
    assert found["junctions with signals"] == 3 and found["share of junctions with signals kept"] == 0.333


# ------------------------------------------------------------ what was deleted, and where the earth is round


@pytest.mark.parametrize("ending", [".osm", ".osm.bz2"])
def test_what_an_editor_has_deleted_is_left_out(tmp_path, ending):
    """The map is that of the file without the two streets."""
    text = (EXTRACTS / "deleted-streets.osm").read_text()
    gone = re.sub(r'<way id="(5|8)".*', "", text)
    assert len(gone) < len(text)
    made = []
    for each in (text, gone, text.replace('"delete"', "'delete'").replace("action=", "action = ")):
        path = tmp_path / f"city{ending}"
        path.write_bytes(each.encode() if ending == ".osm" else bz2.compress(each.encode()))
        made.append(import_map(path, "city"))
    assert made[0].text == made[1].text == made[2].text
    for each, count in zip(made, (2, None, 2), strict=True):
        assert facts(each, "read").get("deleted ways left out") == count
        assert facts(each, "read")["streets"] == 10


def test_deleted_nodes_cut_ways_as_missing_ones_do(imported):
    text = osm(
        RING, [*RING_STREETS, ([1, 9, 3], {})], start='<node id="9" action="delete" lat="52.5" lon="13.4"/>'
    )
    made = imported(text)
    assert facts(made, "read")["nodes without a place"] == 1
    assert facts(made, "read")["streets cut: nodes missing, or beyond the box"] == 1
    assert len(junction_graph(made.streets)) == 8


@pytest.mark.parametrize("bounds", [None, (179.9, -179.9), (-180, 180)])
def test_a_city_on_both_sides_of_180_degrees_is_as_any_other(imported, bounds):
    """The same streets, pushed to the meridian: half of them have longitudes of the other sign."""

    def pushed(match):
        lon = float(match[1]) + 180 - 13.4 - 0.003
        return f'lon="{lon - 360 * (lon > 180):.7f}"'

    text = random_city(5, 3)
    there = re.sub(r'lon="([\d.]*)"', pushed, text)
    assert 'lon="-179.9' in there and 'lon="179.9' in there
    if bounds:
        lons = 'minlon="{}" maxlon="{}"'.format(*bounds)
        there = there.replace('version="0.6">', f'version="0.6"><bounds minlat="52" {lons} maxlat="53"/>', 1)
    made = imported(there)
    assert made.text == imported(text).text
    assert imported(there, box=Box(52, 179.9, 53, -179.9)).text == made.text
    half = imported(there, box=Box(52, 179.9, 53, 180))
    kilometres = [facts(each, "kept")["kilometres of streets read"] for each in (half, made)]
    assert 0.2 * kilometres[1] < kilometres[0] < 0.8 * kilometres[1]
