"""Street maps: legal moves, connectivity, ASCII files and their errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meze.envs.streets import maps as streets
from meze.envs.streets.maps import (
    BUILDING,
    CROSSING,
    JUNCTION,
    NONE,
    ROAD,
    SIDEWALK,
    STEPS,
    UNREACHABLE,
    MapError,
    StreetConfig,
    generate,
    parse_map,
)

NORTH, EAST, SOUTH, WEST = range(4)

# Four blocks round one two-way crossing.
CROSSROADS = """\
.................
.++<W<<<++<<W<++.
.++>E>>>++>>E>++.
.v^.....v^....v^.
.SN.###.v^.##.SN.
.v^.###.SN.##.v^.
.v^.....v^....v^.
.++<<W<<**<<<<++.
.++>>E>>**>>>>++.
.v^.....v^....v^.
.v^.###.v^.##.v^.
.SN.###.v^.##.SN.
.v^.....v^....v^.
.++<<<<<++<<<<++.
.++>>>>>++>>>>++.
.................
"""

configs = st.builds(
    StreetConfig,
    width=st.integers(16, 70),
    height=st.integers(16, 70),
    block=st.integers(6, 30),
    one_way=st.sampled_from([0.0, 0.25, 1.0]) | st.floats(0, 1),
    signals=st.floats(0, 1),
    left_hand=st.booleans(),
)


def moves(m):
    """Every legal move (cell, heading, next cell), read off the exits bit by bit."""
    for y, x in zip(*np.nonzero(m.exits), strict=True):
        for h, (dy, dx) in enumerate(STEPS):
            if m.exits[y, x] >> h & 1:
                yield (int(y), int(x)), h, (int(y) + dy, int(x) + dx)


def ways_to(m, target):
    """Oracle for distances: relaxes every move until nothing changes (Bellman and Ford)."""
    edges = list(moves(m))
    best = {target: 0}
    changed = True
    while changed:
        changed = False
        for cell, _, beyond in edges:
            if best.get(beyond, np.inf) + 1 < best.get(cell, np.inf):
                best[cell] = best[beyond] + 1
                changed = True
    return best


def check_rules(m):
    """Every rule of a street map, cell by cell."""
    edges = list(moves(m))
    lanes = (m.kind == ROAD) | (m.kind == CROSSING)
    assert not m.exits[~lanes & (m.kind != JUNCTION)].any()
    assert ((m.junction >= 0) == (m.kind == JUNCTION)).all()
    assert set(m.junction[m.junction >= 0].tolist()) == set(range(len(m.signalled)))
    num_exits = np.array([bin(bits).count("1") for bits in range(256)])[m.exits]
    assert (num_exits[lanes] == 1).all()
    assert np.isin(num_exits[m.kind == JUNCTION], (1, 2)).all()
    for cell, h, beyond in edges:
        assert lanes[beyond] or m.kind[beyond] == JUNCTION
        if lanes[beyond]:
            assert m.exits[beyond] == 1 << h
        assert {m.kind[cell], m.kind[beyond]} != {CROSSING, JUNCTION}
    for y, x in zip(*np.nonzero(m.kind == CROSSING), strict=True):
        for side in (1, 3):
            dy, dx = STEPS[(m.heading[y, x] + side) % 4]
            u, v = y, x
            while m.kind[u, v] == CROSSING:
                assert m.heading[u, v] % 2 == m.heading[y, x] % 2
                u, v = u + dy, v + dx
            assert m.kind[u, v] == SIDEWALK
    nodes = {cell for cell, _, _ in edges}
    start = min(nodes)
    for origin, destination in ((0, 2), (2, 0)):
        follow = {}
        for edge in edges:
            follow.setdefault(edge[origin], []).append(edge[destination])
        seen, stack = {start}, [start]
        while stack:
            new = set(follow[stack.pop()]) - seen
            seen |= new
            stack.extend(new)
        assert seen == nodes


@settings(max_examples=30)
@given(configs, st.integers(0, 2**40))
def test_generated_maps_keep_the_rules_and_are_strongly_connected(config, seed):
    m = generate(config, seed)
    assert m.kind.shape == (config.height, config.width)
    check_rules(m)
    # A lane cell at the border would have traffic leave the map.
    assert np.isin(
        np.concatenate([m.kind[0], m.kind[-1], m.kind[:, 0], m.kind[:, -1]]), (BUILDING, SIDEWALK)
    ).all()
    # Sidewalks follow every street, and only streets.
    lane = np.pad(m.exits > 0, 1)
    near = np.logical_or.reduce(
        [np.roll(lane, shift, (0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)]
    )
    assert ((m.kind == SIDEWALK) == (near & ~lane)[1:-1, 1:-1]).all()


@pytest.mark.parametrize("name", streets.MAPS.names())
def test_shipped_maps_keep_the_rules(name):
    m = streets.MAPS.find(name)
    assert m.name == name
    check_rules(m)


def test_three_maps_are_shipped_one_without_signals_one_with():
    signals = [streets.MAPS.find(name).signalled.any() for name in streets.MAPS.names()]
    assert len(signals) >= 3 and any(signals) and not all(signals)


def test_generated_maps_depend_on_config_and_seed_alone():
    config = StreetConfig()
    a, b, c = generate(config, 7), generate(config, 7), generate(config, 8)
    assert streets.format_map(a) == streets.format_map(b) != streets.format_map(c)
    assert 350 <= (a.exits > 0).sum() <= 600


def test_shares_of_one_way_streets_and_signals():
    def one_way_share(m):
        """A lane of a one-way street has sidewalk on both sides."""
        north = m.heading == NORTH
        alone = [
            m.kind[y, x - 1] == m.kind[y, x + 1] == SIDEWALK for y, x in zip(*np.nonzero(north), strict=True)
        ]
        return np.mean(alone)

    size = {"width": 60, "height": 60}
    assert one_way_share(generate(StreetConfig(**size, one_way=0), 1)) == 0
    assert one_way_share(generate(StreetConfig(**size, one_way=1), 1)) == 1
    assert not generate(StreetConfig(**size, signals=0), 1).signalled.any()
    # All junctions of three streets or more: those with another approach than a bend's two.
    m = generate(StreetConfig(**size, signals=1), 1)
    arms = [set() for _ in m.signalled]
    for y, x in zip(*np.nonzero(m.kind == JUNCTION), strict=True):
        arms[m.junction[y, x]] |= {h for h, (dy, dx) in enumerate(STEPS) if m.heading[y + dy, x + dx] != NONE}
    assert m.signalled.tolist() == [len(a) > 2 for a in arms]


def test_exits_of_a_two_way_crossing():
    m = parse_map(CROSSROADS, "crossroads")
    n, e, s, w = 1, 2, 4, 8
    assert m.exits[7:9, 8:10].tolist() == [[w | s, n | w], [s | e, n | e]]
    assert m.signalled[m.junction[7, 8]] and m.signalled.sum() == 1
    # T-junction without a northern arm, bend of south and east.
    assert m.exits[1:3, 8:10].tolist() == [[w | s, w], [s | e, n | e]]
    assert m.exits[1:3, 1:3].tolist() == [[s, w], [s | e, n | e]]


def test_left_hand_traffic_is_the_mirror_image():
    mirror = str.maketrans("<>WE", "><EW")
    text = "; left-hand\n" + "".join(line[::-1].translate(mirror) + "\n" for line in CROSSROADS.splitlines())
    right, left = parse_map(CROSSROADS, "right"), parse_map(text, "left")
    assert left.left_hand and not right.left_hand
    swap = np.array([bits & 5 | (bits & 2) << 2 | (bits & 8) >> 2 for bits in range(16)])
    assert (left.exits == swap[right.exits][:, ::-1]).all()
    assert (left.kind == right.kind[:, ::-1]).all()


@pytest.mark.parametrize("left_hand", [False, True])
def test_generated_two_way_streets_keep_to_their_side(left_hand):
    m = generate(StreetConfig(one_way=0, left_hand=left_hand), 3)
    assert m.left_hand == left_hand
    cells = list(zip(*np.nonzero(m.heading == NORTH), strict=True))
    assert cells
    for y, x in cells:
        assert m.heading[y, x + (1 if left_hand else -1)] == SOUTH
    for y, x in zip(*np.nonzero(m.heading == EAST), strict=True):
        assert m.heading[y + (1 if left_hand else -1), x] == WEST


@settings(max_examples=20)
@given(configs, st.integers(0, 1000))
def test_maps_survive_being_written_and_read(config, seed):
    m = generate(config, seed)
    again = parse_map(streets.format_map(m), m.name)
    assert again.left_hand == m.left_hand
    for name in ("kind", "exits", "signalled", "junction"):
        np.testing.assert_array_equal(getattr(again, name), getattr(m, name), strict=True)


@pytest.mark.parametrize("name", ["village", "downtown"])
def test_distances_equal_brute_force(name):
    m = streets.MAPS.find(name)
    cells = [cell for cell, _, _ in moves(m)]
    targets = [cells[0], cells[len(cells) // 2]]
    out = np.empty((2, *m.kind.shape), np.uint16)
    streets.distances(m.exits, np.array([y * m.kind.shape[1] + x for y, x in targets], np.int32), out)
    for target, table in zip(targets, out, strict=True):
        expected = np.full(m.kind.shape, UNREACHABLE)
        for cell, moves_left in ways_to(m, target).items():
            expected[cell] = moves_left
        np.testing.assert_array_equal(table, expected)


def turned(y, x, character):
    """CROSSROADS with one character replaced, at 0-based (y, x)."""
    rows = CROSSROADS.splitlines()
    rows[y] = rows[y][:x] + character + rows[y][x + 1 :]
    return "\n".join(rows)


ERRORS = [
    (turned(3, 5, "?"), "line 4, column 6", "unknown character '?'"),
    (turned(3, 5, "\N{PLUS-MINUS SIGN}"), "line 4, column 6", "unknown character '\\xb1'"),
    (turned(3, 5, ".."), "line 4, column 18", "18 cells in this line, 17 in the first"),
    (turned(3, 16, ""), "line 4, column 17", "16 cells in this line, 17 in the first"),
    ("; by hand\r\n" + turned(1, 6, "#"), "line 3, column 8", "lane '<' leads into a building"),
    (turned(1, 6, "."), "line 2, column 8", "lane '<' leads onto a sidewalk"),
    (turned(1, 6, ">"), "line 2, column 7", "lane '>' leads into a lane of another heading"),
    (turned(0, 9, "^"), "line 1, column 10", "lane '^' leads off the map"),
    (turned(7, 7, "W"), "line 8, column 8", "zebra crossing 'W' touches a junction"),
    (turned(5, 8, "v"), "line 6, column 10", "zebra crossing 'N' does not span the street"),
    (turned(7, 8, "+"), "line 8, column 9", "junction of both '+' and '*'"),
    ("+" * 65, "line 1, column 1", "junction of more than 64 cells"),
    ("+>+>+\n^.v.v\n+<+<+\nv.^.^\n+>+>+", "line 3, column 1", "head against each other"),
    ("+>+>+\n^.v..\n+<+..", "line 1, column 5", "no way out of this junction cell"),
    ("+>+\n^.v\n+<+\n...\n+>+\n^.v\n+<+", "line 5, column 1", "can't be reached from line 1, column 1"),
    ("+>+>>+>+\n^.v..^.v\n+<+..+<+", "line 1, column 4", "can't reach line 1, column 1"),
    ("....\n.##.", None, "no lane on the map"),
    ("; nothing\n\n", None, "the map is empty"),
    ("." * 1025, None, "at most 1024 x 1024"),
]


@pytest.mark.parametrize("left_hand", [False, True])
def test_traffic_turns_round_where_nothing_else_is_left(left_hand):
    """Dead ends: a street of two lanes between two of them; mirrored, where traffic keeps left."""
    text = "+<<<+\n+>>>+\n"
    m = parse_map(f"; left-hand\n{text[6:]}{text[:6]}" if left_hand else text, "dead ends")
    assert len(list(moves(m))) == m.kind.size
    approach = np.array([3, 6] if left_hand else [8, 1], np.int32)
    there, back = streets.turn_paths(m.heading, m.exits, m.junction, approach)
    assert there[0, :4].tolist() == ([4, 9, 8, -1] if left_hand else [9, 4, 3, -1])
    assert back[0, :4].tolist() == ([5, 0, 1, -1] if left_hand else [0, 5, 6, -1])
    assert (there[1:] == -1).all() and (back[1:] == -1).all()


def test_who_can_turn_off_does_not_turn_round():
    m = parse_map("+<<<++\nv...v^\nv...v^\n+>>>++", "a street into a bend")
    down, along = streets.turn_paths(m.heading, m.exits, m.junction, np.array([16, 21], np.int32))
    assert down[0, :4].tolist() == [22, 23, 17, -1] and (down[1:] == -1).all()
    assert along[1, :4].tolist() == [22, 23, 17, -1] and (along[::2] == -1).all()


@pytest.mark.parametrize(("text", "place", "problem"), ERRORS)
def test_errors_name_line_and_column(text, place, problem):
    with pytest.raises(MapError) as caught:
        parse_map(text, "x.txt")
    message = str(caught.value)
    assert message.startswith(f"x.txt, {place}: " if place else "x.txt: ")
    assert problem in message and "\n" not in message


def test_reading_files(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(CROSSROADS, encoding="utf-8-sig", newline="\r\n")
    m = streets.MAPS.read(path)
    assert m.name == "mine" and streets.format_map(m) == CROSSROADS
    path.write_bytes(b"+>\xff")
    with pytest.raises(MapError, match=r"mine\.txt, byte 3: not UTF-8"):
        streets.MAPS.read(path)
    path.write_bytes(b"." * (2 * 1024 * 1024 + 1))
    with pytest.raises(MapError, match=r"mine\.txt: the file is too big"):
        streets.MAPS.read(path)
    for missing in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(MapError, match=f"^{missing}: "):
            streets.MAPS.read(missing)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 15},
        {"height": 257},
        {"block": 5},
        {"one_way": 1.5},
        {"signals": -0.1},
        {"one_way": float("nan")},
    ],
)
def test_config_is_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StreetConfig(**wrong)
