"""The city's tables, each against a plain reading of its rule, cell by cell."""

import numpy as np
import pytest
from meze.envs.city.maps import MAX_POOL_SIZE, NO_ROUTE, build_pool, load_pool
from meze.envs.city.state import JUNCTION_AHEAD
from meze.envs.core.splits import FIRST_SEED
from meze.envs.streets.maps import (
    CROSSING,
    JUNCTION,
    MAPS,
    NONE,
    ROAD,
    SIDEWALK,
    STEPS,
    StreetConfig,
    format_map,
    generate,
    parse_map,
)

SEVERAL = [
    generate(StreetConfig(width=40, height=30), 1),
    generate(StreetConfig(width=40, height=30, one_way=0.6, left_hand=True), 2),
    generate(StreetConfig(width=40, height=30, block=14, one_way=1, signals=1), 3),
]
POOL = build_pool(SEVERAL, destinations=12)
HEIGHT, WIDTH = SEVERAL[0].kind.shape

each_map = pytest.mark.parametrize(("k", "m"), list(enumerate(SEVERAL)))


def step(cell, heading, times=1):
    dy, dx = STEPS[heading]
    y, x = cell // WIDTH + times * dy, cell % WIDTH + times * dx
    return y * WIDTH + x if 0 <= y < HEIGHT and 0 <= x < WIDTH else None


def kind(m, cell):
    return None if cell is None else m.kind.flat[cell]


def is_free(m, cell):
    """Whether a cell is plain road that touches no junction along its lane."""
    if kind(m, cell) != ROAD:
        return False
    heading = int(m.heading.flat[cell])
    return kind(m, step(cell, heading)) != JUNCTION and kind(m, step(cell, (heading + 2) % 4)) != JUNCTION


def listed(row):
    """The entries of a padded row; nothing stands behind the padding's begin."""
    count = int((row >= 0).sum())
    assert (row[:count] >= 0).all() and (row[count:] == -1).all()
    return row[:count].tolist()


@each_map
def test_cells_repeat_the_map(k, m):
    cells = POOL.cells[k].reshape(m.kind.shape)
    for name in ("kind", "exits", "heading"):
        np.testing.assert_array_equal(cells[name], getattr(m, name))
    inside = m.kind == JUNCTION
    np.testing.assert_array_equal(cells["number"][inside], m.junction[inside])
    lane = (m.kind == ROAD) | (m.kind == CROSSING)
    assert (cells["heading"][lane] < 4).all() and (cells["heading"][~lane] == NONE).all()


@each_map
def test_where_pedestrians_may_walk(k, m):
    for cell in range(HEIGHT * WIDTH):
        for h in range(4):
            here, there = kind(m, cell), kind(m, step(cell, h))
            walkable = here in (SIDEWALK, CROSSING) and there in (SIDEWALK, CROSSING)
            for c, of in ((cell, here), (step(cell, h), there)):
                if of == CROSSING:  # along the zebra is across the lane
                    walkable &= m.heading.flat[c] % 2 != h % 2
            assert bool(POOL.cells["walk"][k, cell] >> h & 1) == walkable
    assert (
        listed(POOL.walks[k])
        == np.flatnonzero((m.kind.ravel() == SIDEWALK) & (POOL.cells["walk"][k] & 15 > 0)).tolist()
    )


@each_map
def test_where_cars_are_put_down_and_where_people_jaywalk(k, m):
    assert listed(POOL.lanes[k]) == [c for c in range(HEIGHT * WIDTH) if is_free(m, c)]
    found = 0
    for cell in range(HEIGHT * WIDTH):
        for h in range(4):
            expected = False
            if kind(m, cell) == SIDEWALK:
                for lanes in (1, 2):
                    street = [step(cell, h, n + 1) for n in range(lanes)]
                    expected |= kind(m, step(cell, h, lanes + 1)) == SIDEWALK and all(
                        is_free(m, c) and m.heading.flat[c] % 2 != h % 2 for c in street
                    )
            assert bool(POOL.cells["walk"][k, cell] >> (4 + h) & 1) == expected
            found += expected
    assert found > 20


@each_map
def test_approaches_belong_to_the_junction_ahead(k, m):
    expected = {}
    for cell in range(HEIGHT * WIDTH):
        heading = int(m.heading.flat[cell])
        if heading != NONE and kind(m, step(cell, heading)) == JUNCTION:
            expected.setdefault(int(m.junction.flat[step(cell, heading)]), []).append(cell)
    for junction, row in enumerate(POOL.rivals[k]):
        assert listed(row) == [number(k, cell) for cell in expected.get(junction, [])]
        assert (POOL.ways["junction"][k, listed(row)] == junction).all()
    approaches = [cell for cells in expected.values() for cell in cells]
    assert sorted(number(k, cell) for cell in approaches) == list(range(len(approaches)))
    others = np.delete(np.arange(HEIGHT * WIDTH), approaches)
    np.testing.assert_array_equal(POOL.cells["number"][k, others], m.junction.flat[others])


def number(k, cell):
    return int(POOL.cells["number"][k, cell])


def all_paths(m, cell):
    """Oracle for paths: every simple path from a junction cell to a lane beyond, depth first."""

    def walk(path):
        for h in range(4):
            if m.exits.flat[path[-1]] >> h & 1:
                beyond = step(path[-1], h)
                if kind(m, beyond) != JUNCTION:
                    yield h, [*path, beyond]
                elif beyond not in path:
                    yield from walk([*path, beyond])

    return list(walk([cell]))


@each_map
def test_paths_are_the_shortest_legal_ways_through(k, m):
    for cell in np.flatnonzero(POOL.cells["ahead"][k] == JUNCTION_AHEAD).tolist():
        heading = int(m.heading.flat[cell])
        ways = all_paths(m, step(cell, heading))
        rows = POOL.ways["path"][k, number(k, cell)]
        assert (rows[:, 0] >= 0).any()
        for turn, change in enumerate((0, 3, 1)):
            path = listed(rows[turn])
            same_turn = [way for h, way in ways if h == (heading + change) % 4]
            if not same_turn:
                assert not path
                continue
            assert path in same_turn and len(path) == min(map(len, same_turn))
            assert kind(m, path[-1]) == ROAD and m.heading.flat[path[-1]] == (heading + change) % 4
    assert POOL.ways["path"].shape[3] >= 4
    assert (POOL.ways["path"][k, (POOL.cells["ahead"][k] == JUNCTION_AHEAD).sum() :] == -1).all()


@each_map
def test_signals(k, m):
    signals = POOL.signals[k]
    assert (signals[: len(m.signalled)] >= 0).tolist() == m.signalled.tolist()
    assert (signals < 1024).all() and (signals[len(m.signalled) :] == -1).all()


@each_map
def test_distance_to_destinations(k, m):
    lanes = set(listed(POOL.lanes[k]))
    targets = POOL.destinations[k].tolist()
    assert len(set(targets)) == len(targets) and set(targets) <= lanes
    for target, route in zip(targets, POOL.routes[k].astype(int), strict=True):
        distance = route >> 2
        # Bellman's equation has one solution where every cell reaches the target.
        for cell in range(HEIGHT * WIDTH):
            ahead = {h: distance[step(cell, h)] for h in range(4) if m.exits.flat[cell] >> h & 1}
            nearest = min(ahead, key=ahead.__getitem__, default=0)
            assert route[cell] & 3 == nearest
            assert distance[cell] == (0 if cell == target else 1 + ahead[nearest] if ahead else NO_ROUTE)


def test_destinations_are_spread_over_the_map():
    for targets, lanes in zip(POOL.destinations, POOL.lanes, strict=True):
        y, x = np.divmod(targets, WIDTH)
        apart = abs(y[:, None] - y) + abs(x[:, None] - x)
        lane_y, lane_x = np.divmod(lanes[lanes >= 0], WIDTH)
        to_nearest = (abs(lane_y[:, None] - y) + abs(lane_x[:, None] - x)).min(axis=1).max()
        # Farthest-first traversal: no two chosen are closer than any lane is from its nearest one.
        assert apart[~np.eye(len(targets), dtype=bool)].min() >= to_nearest


def test_counts():
    for counts, m, lanes, walks in zip(POOL.counts, SEVERAL, POOL.lanes, POOL.walks, strict=True):
        on_lanes = np.isin(m.kind, (ROAD, CROSSING, JUNCTION)).sum()
        assert counts.tolist() == [(lanes >= 0).sum(), (walks >= 0).sum(), len(m.signalled), on_lanes]


def test_tables_are_read_only_contiguous_and_of_fixed_types():
    for table in POOL:
        assert not table.flags.writeable and table.flags.c_contiguous
    types = [table.dtype.name for table in POOL[2:]]
    assert types == ["int32"] * 5 + ["uint16", "int32"]
    assert POOL.cells.dtype.itemsize == 8


def test_a_map_has_the_same_tables_in_every_pool():
    alone = build_pool(SEVERAL[1:2], destinations=12)
    for name in ("cells", "destinations", "routes", "counts"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(POOL, name)[1])
    for name in ("lanes", "walks", "signals"):
        one = getattr(alone, name)[0]
        np.testing.assert_array_equal(one, getattr(POOL, name)[1][: len(one)])


def test_destinations_repeat_on_a_tiny_map():
    ring = parse_map("+>>>+\n^...v\n+<<<+", "ring")  # the only free cells are in the middle of two sides
    pool = build_pool([ring], destinations=5)
    assert set(pool.destinations[0].tolist()) == {2, 12}


def test_maps_that_make_no_pool():
    with pytest.raises(ValueError, match=r"one size, not \[\(20, 16\), \(40, 30\)\]"):
        build_pool([SEVERAL[0], generate(StreetConfig(width=20, height=16), 0)])
    with pytest.raises(ValueError, match="map dot: no lane cell away from the junctions"):
        build_pool([parse_map("+>+\n^.v\n+<+", "dot")])


def test_splits_never_overlap():
    config = StreetConfig(width=16, height=16)
    train, test = (load_pool("generated", split, 5, config) for split in ("train", "test"))
    assert not {m.name for m in train} & {m.name for m in test}
    for split, maps in (("train", train), ("test", test)):
        expected = [format_map(generate(config, FIRST_SEED[split] + n)) for n in range(5)]
        assert [format_map(m) for m in maps] == expected
    assert FIRST_SEED["train"] + MAX_POOL_SIZE <= FIRST_SEED["test"]
    for size in (0, MAX_POOL_SIZE + 1):
        with pytest.raises(ValueError, match="pool_size"):
            load_pool("generated", "train", size, config)


def test_one_fixed_map(tmp_path):
    (m,) = load_pool("village", "train", 64, StreetConfig())
    assert format_map(m) == format_map(MAPS.find("village"))
    path = tmp_path / "mine.txt"
    path.write_text(format_map(m))
    (again,) = load_pool(str(path), "test", 64, StreetConfig())
    assert again.name == "mine" and format_map(again) == format_map(m)
    with pytest.raises(ValueError, match="unknown map 'vilage'; did you mean 'village'"):
        load_pool("vilage", "train", 64, StreetConfig())
    with pytest.raises(ValueError, match=r"none\.txt: no such file"):
        load_pool(str(tmp_path / "none.txt"), "train", 64, StreetConfig())
