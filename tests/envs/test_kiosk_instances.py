"""Instances: distances, readers with their errors, generator."""

import math
import os
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kiosk_stage import LAYOUTS
from meze.envs.core.splits import FIRST_SEED
from meze.envs.kiosk.config import KioskConfig
from meze.envs.kiosk.generator import FRONT_GARDEN, TownConfig, generate
from meze.envs.kiosk.instances import MAX_DISTANCE, Instance, InstanceError, from_coordinates, on_streets
from meze.envs.kiosk.objective import Objective
from meze.envs.kiosk.readers import parse_pmed, read_instance, shipped_instance, shipped_instances
from meze.envs.kiosk.scene import Scene
from meze.envs.kiosk.world import Kiosk
from meze.envs.streets.maps import BUILDING, MAPS, SIDEWALK

CASES = Path(__file__).parents[1] / "data" / "kiosk"
CITY = MAPS.find("ring")
OPEN = np.flatnonzero(CITY.kind.ravel() != BUILDING)


def test_euclidean_distances_are_the_nearest_whole_numbers():
    places = np.random.default_rng(0).integers(-(1 << 22), 1 << 22, (60, 2))
    places[:20] //= 1 << 16
    found = from_coordinates("t", places, 1).distances
    for a, row in zip(places.tolist(), found.tolist(), strict=True):
        for b, distance in zip(places.tolist(), row, strict=True):
            square = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
            assert (2 * distance - 1) ** 2 < 4 * square or distance == 0
            assert 4 * square < (2 * distance + 1) ** 2


def test_manhattan_distances_and_steps_per_unit():
    instance = from_coordinates("t", [[0, 0], [1.25, -2.5]], 1, metric="manhattan", steps_per_unit=100)
    assert instance.distances.tolist() == [[0, 375], [375, 0]]
    assert instance.unit == 0.01


def walked(kind: np.ndarray, start: int) -> dict[int, int]:
    """Breadth-first search in plain Python over all cells that are no buildings."""
    width = kind.shape[1]
    steps, queue = {start: 0}, [start]
    for cell in queue:
        y, x = divmod(cell, width)
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < kind.shape[0] and 0 <= u < width and kind[v, u] != BUILDING:
                if v * width + u not in steps:
                    steps[v * width + u] = steps[cell] + 1
                    queue.append(v * width + u)
    return steps


def test_distances_along_streets_are_those_on_foot():
    cells = OPEN[:: len(OPEN) // 15]
    instance = on_streets(CITY, cells[3:], 2, sites=cells[:5])
    expected = [[walked(CITY.kind, site)[cell] for cell in cells[3:].tolist()] for site in cells[:5].tolist()]
    assert instance.distances.tolist() == expected
    assert (instance.points @ [1, CITY.kind.shape[1]] == cells[3:]).all()


def test_arrays_are_read_only_copies():
    table = np.ones((2, 3), int)
    instance = Instance("t", table, np.ones(3), 1)
    table[:] = 5
    assert (instance.distances == 1).all()
    for array in (instance.distances, instance.weights, instance.rivals):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [1, -2, 3]}, "t: point 1 has a negative weight"),
        ({"weights": [1, math.nan, 3]}, "t: weights must be whole numbers"),
        ({"weights": [0, 0, 0]}, "t: the sum of weights must be from 1 to"),
        ({"weights": [1, 1]}, r"t: weights has the shape \(2,\), not \(3,\)"),
        ({"distances": [[1, 2, math.inf]] * 2}, "t: distances must be whole numbers"),
        ({"distances": [[1, 2, 3], [4, 5, MAX_DISTANCE + 1]]}, "t: point 2 is more than .* away from site 1"),
        ({"distances": [[1, -2, 3]] * 2}, "t: point 1 is at a negative distance from site 0"),
        ({"distances": [[1, 2, 3.5]] * 2}, "t: distances must be whole numbers"),
        ({"distances": np.empty((0, 3))}, "t: there must be at least one site and one point"),
        ({"num_kiosks": 3}, "t: 3 kiosks do not fit on 2 free sites"),
        ({"num_kiosks": 2, "rivals": [0]}, "t: 2 kiosks do not fit on 1 free sites"),
        ({"distances": np.ones((32769, 3))}, "t: 32769 sites are more than 32768"),
        ({"num_kiosks": 0}, "t: 1 to 1024 kiosks, not 0"),
        ({"rivals": [2]}, "t: a rival stands on a site that does not exist"),
        ({"rivals": [1, 1]}, "t: rivals must be increasing"),
        ({"points": np.zeros((3, 2))}, "t: the coordinates of points and of sites go together"),
        ({"unit": math.nan}, "t: the unit must be a positive number"),
    ],
)
def test_impossible_instances_are_refused(change: dict, message: str):
    fields = {"distances": [[1, 2, 3], [4, 5, 6]], "weights": [1, 2, 3], "num_kiosks": 1}
    with pytest.raises(InstanceError, match=message) as error:
        Instance("t", **(fields | change))
    assert "\n" not in str(error.value)


def test_impossible_places_are_refused():
    for places, message in (
        ([[0, math.nan]], "coordinates must lie within"),
        ([[0, 1e9]], "coordinates must lie within"),
        ([1, 2], "must be pairs"),
    ):
        with pytest.raises(InstanceError, match=message):
            from_coordinates("t", places, 1)
    with pytest.raises(InstanceError, match="metric must be one of"):
        from_coordinates("t", [[0, 0]], 1, metric="octile")  # type: ignore[arg-type]
    building = int(np.flatnonzero(CITY.kind.ravel() == BUILDING)[0])
    for cells, message in (([building], f"cell {building} is a building"), ([-1], "numbers from 0 to")):
        with pytest.raises(InstanceError, match=message):
            on_streets(CITY, cells, 1)


def test_places_that_rounding_makes_one_are_refused():
    """Some draws are too coarse; what is refused and what is not is told by counting places."""
    draw, refused = np.random.default_rng(0), 0
    for _ in range(200):
        points, sites = draw.integers(0, 24, (6, 2)) / 4, draw.integers(0, 24, (4, 2)) / 4
        steps = int(draw.choice([1, 2, 4]))
        places = {tuple(place) for place in [*points.tolist(), *sites.tolist()]}
        whole = {(np.rint(x * steps), np.rint(y * steps)) for x, y in places}
        try:
            town = from_coordinates("t", points, 1, sites=sites, steps_per_unit=steps)
        except InstanceError as error:
            assert len(whole) < len(places) and steps < 4 and "\n" not in str(error)
            assert ("a step is 1 unit" if steps == 1 else "a step is 1/2 of a unit") in str(error)
            refused += 1
        else:
            assert len(whole) == len(places)
            apart = (points[None] != sites[:, None]).any(axis=2)
            assert ((town.distances > 0) == apart).all()
    assert 30 < refused < 170
    assert from_coordinates("t", [[0.4, 0], [0.4, 0]], 1).distances.tolist() == [[0, 0], [0, 0]]


def test_degrees_are_no_steps():
    with pytest.raises(InstanceError, match=r"degrees.csv: .* become one, .* 1 unit .* metres .* degrees"):
        read_instance(CASES / "degrees.csv", 1)
    assert (read_instance(CASES / "degrees.csv", 1, steps_per_unit=1000).distances[0, 1:] > 0).all()


def test_cells_that_are_shorter_than_a_step_are_refused():
    short = replace(CITY, cell_metres=0.1)
    with pytest.raises(InstanceError, match="become one, since a step is 1 metre, and a cell only 0.1"):
        on_streets(short, OPEN[:40], 1)


def test_objectives_that_mean_nothing_are_refused():
    instance = from_coordinates("t", [[0, 0], [9, 0]], 1, sites=[[4, 0]])
    with pytest.raises(InstanceError, match="t: a radius of 3 steps covers nobody"):
        Objective("coverage", 3).check(instance)
    Objective("coverage", 4).check(instance)
    with pytest.raises(InstanceError, match="t: revenue needs at least one rival"):
        Objective("revenue", 3).check(instance)
    for kind, radius in (("coverage", -1), ("revenue", 0), ("p-median", MAX_DISTANCE + 1), ("profit", 1)):
        with pytest.raises(ValueError, match="must be"):
            Objective(kind, radius)  # type: ignore[arg-type]


# ------------------------------------------------------------ files

TSPLIB = "NAME : t\nTYPE : TSP\nDIMENSION : 3\nEDGE_WEIGHT_TYPE : EUC_2D\nNODE_COORD_SECTION\n"
NODES = "1 0 0\n2 3.0 4.0e0\n3 6 8\nEOF\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_all_kinds_of_places(tmp_path: Path):
    text = "x,y,weight,kind\n0,0,5,point\n3,4,,both\n\n6,8,0,site\n0,1,7,rival\n"
    instance = read_instance(written(tmp_path, "town.csv", text), 1)
    assert instance.name == "town"
    assert instance.distances.tolist() == [[5, 0], [10, 5], [1, 4]]
    assert instance.weights.tolist() == [5, 1]
    assert instance.rivals.tolist() == [2]


def test_csv_of_bare_coordinates(tmp_path: Path):
    instance = read_instance(written(tmp_path, "t.csv", "\ufeffy,x\r\n0,0\r\n1,2\r\n"), 1, "manhattan", 10)
    assert instance.distances.tolist() == [[0, 30], [30, 0]]
    assert instance.points is not None and instance.points.tolist() == [[0, 0], [20, 10]]


def test_tsplib(tmp_path: Path):
    instance = read_instance(written(tmp_path, "t.tsp", TSPLIB + NODES), 2)
    assert instance.distances.tolist() == [[0, 5, 10], [5, 0, 5], [10, 5, 0]]
    manhattan = read_instance(written(tmp_path, "m.tsp", (TSPLIB + NODES).replace("EUC_2D", "MAN_2D")), 2)
    assert manhattan.distances[0].tolist() == [0, 7, 14]
    geo = written(tmp_path, "g.tsp", (TSPLIB + NODES).replace("EUC_2D", "GEO"))
    assert read_instance(geo, 2, "euclidean").distances[0].tolist() == [0, 5, 10]


def test_the_last_of_repeated_edges_counts(tmp_path: Path):
    text = " 3 4 1 \n 1 2 10 \n 2 3 10 \n 2 1 3 \n 1 1 5\n"
    instance = read_instance(written(tmp_path, "t.txt", text))
    assert instance.distances.tolist() == [[0, 3, 13], [3, 0, 10], [13, 10, 0]]
    assert instance.num_kiosks == 1
    assert read_instance(tmp_path / "t.txt", 2).num_kiosks == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "t.csv, line 1: the columns must be x and y"),
        ("t.csv", "x,y,height\n", "t.csv, line 1: the columns must be x and y"),
        ("t.csv", "x,y\n1,2\n1\n", "t.csv, line 3: 1 values in this line, 2 in the header"),
        ("t.csv", "x,y\n1,b\n", "t.csv, line 2: y must be a number, not 'b'"),
        ("t.csv", "x,y\n1,nan\n", "t.csv, line 2: y must lie between .* not nan"),
        ("t.csv", "x,y,weight\n1,2,-1\n", "t.csv, line 2: weight must lie between 0 and .* not -1"),
        ("t.csv", "x,y,weight\n1,2,1.5\n", "t.csv, line 2: weight must be a whole number, not '1.5'"),
        ("t.csv", "x,y,kind\n1,2,home\n", "t.csv, line 2: kind must be one of both, point, site, rival"),
        ("t.csv", "x,y,kind\n1,2,site\n", "t.csv: there is no point in the file"),
        ("t.csv", 'x,y\n1,"2\n', "t.csv, line 2: unexpected end of data"),
        ("t.csv", "x,y\n1,2\n", "t.csv: 2 kiosks do not fit on 1 free sites"),
        ("t.tsp", TSPLIB + "1 0 0\n2 3\n", "t.tsp, line 7: there should be a node's number, its x and its y"),
        ("t.tsp", TSPLIB + "1 0 0\n1 3 4\n", "t.tsp, line 7: node 1 has been there before"),
        ("t.tsp", TSPLIB + "1 0 x\n", "t.tsp, line 6: a coordinate must be a number, not 'x'"),
        ("t.tsp", TSPLIB + "1 0 1e300\n", "t.tsp, line 6: a coordinate must lie between"),
        ("t.tsp", TSPLIB + "1 0 0\nEOF\n", "t.tsp, line 3: DIMENSION is 3, the file has 1 nodes"),
        ("t.tsp", (TSPLIB + NODES).replace("EUC_2D", "GEO"), "t.tsp, line 4: GEO is none of EUC_2D, MAN_2D"),
        ("t.tsp", "NAME t\n" + TSPLIB + NODES, "t.tsp, line 1: there should be `KEYWORD : value`"),
        ("t.txt", "", "t.txt, line 1: there should be three numbers: vertices, edges and p"),
        ("t.txt", "2 1\n", "t.txt, line 1: there should be three numbers: vertices, edges and p"),
        ("t.txt", "2 1 x\n1 2 3\n", "t.txt, line 1: p must be a whole number, not 'x'"),
        ("t.txt", "99999 1 1\n", "t.txt, line 1: vertices must lie between 1 and 10000, not 99999"),
        ("t.txt", "2 1 1\n1 2\n", "t.txt, line 2: there should be three numbers: two vertices and a cost"),
        ("t.txt", "2 1 1\n1 3 5\n", "t.txt, line 2: vertex must lie between 1 and 2, not 3"),
        ("t.txt", "2 1 1\n1 2 -5\n", "t.txt, line 2: cost must lie between 0 and .* not -5"),
        ("t.txt", "2 2 1\n1 2 5\n", "t.txt: line 1 promises 2 edges, the file has 1"),
        ("t.txt", "3 1 1\n1 2 5\n", "t.txt: vertex 3 can't be reached from vertex 1"),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, name: str, text: str, message: str):
    path = written(tmp_path, name, text)
    with pytest.raises(InstanceError, match=message) as error:
        read_instance(path, None if name == "t.txt" else 2)
    assert "\n" not in str(error.value)


def test_other_unreadable_files(tmp_path: Path):
    (tmp_path / "b.txt").write_bytes(b"2 1 1\n1 2 \xff\n")
    for path, arguments, message in (
        (tmp_path / "none.csv", (1,), "none.csv: no such file"),
        (tmp_path / "b.txt", (), "b.txt, byte 11: not UTF-8"),
        (written(tmp_path, "t.csv", "x,y\n1,1\n"), (), "t.csv: the file does not say how many kiosks"),
        (written(tmp_path, "g.txt", "2 1 1\n1 2 3\n"), (1, "manhattan"), "g.txt: an OR-Library file has no"),
        (written(tmp_path, "s.csv", "x,y\n1,1\n"), (1, None, 0), "steps_per_unit must be at least 1"),
    ):
        with pytest.raises(InstanceError, match=message):
            read_instance(path, *arguments)


def test_a_header_alone_takes_no_memory(tmp_path: Path):
    """10,000 vertices are a table of 400 MB, for which a file of three lines is no reason."""
    edges = "".join(f"{n} {n + 1} 1\n" for n in range(1, 10_000) if n != 7777)
    for text, message in (
        ("10000 1 1\n1 2 3\n", "vertex 3 can't be reached from vertex 1"),
        ("10000 9999 1\n1 2 3\n", "line 1 promises 9999 edges, the file has 1"),
        (f"10000 9998 1\n{edges}", "vertex 7778 can't be reached from vertex 1"),
    ):
        path = written(tmp_path, "t.txt", text)
        tracemalloc.start()
        with pytest.raises(InstanceError, match=message):
            read_instance(path)
        assert tracemalloc.get_traced_memory()[1] < 100e6  # 64 MB to read a file with
        tracemalloc.stop()


def test_paths_of_graphs_are_shortest():
    """Against the algorithm of Floyd and Warshall; edges of cost 0 are edges, and some graphs fall apart."""
    draw, joined = np.random.default_rng(1), 0
    for _ in range(60):
        size, num_edges = int(draw.integers(1, 9)), int(draw.integers(1, 20))
        edges = np.stack(
            [*draw.integers(1, size + 1, (2, num_edges)), draw.choice([0, 1, 4, 9], num_edges)], 1
        )
        table = np.full((size, size), np.inf)
        for i, j, cost in edges:
            table[i - 1, j - 1] = table[j - 1, i - 1] = cost
        np.fill_diagonal(table, 0)
        for k in range(size):
            table = np.minimum(table, table[:, k, None] + table[k])
        lines = [f"{size} {num_edges} 1", *(" ".join(map(str, edge)) for edge in edges.tolist())]
        if np.isinf(table).any():
            with pytest.raises(InstanceError, match=f"vertex {np.isinf(table[0]).argmax() + 1} can't be"):
                parse_pmed(lines, "t")
        else:
            assert (parse_pmed(lines, "t").distances == table).all()
            joined += 1
    assert 10 < joined < 50


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["pipe.csv", "pipe.txt"])
def test_nobody_waits_for_a_pipe(tmp_path: Path, name: str):
    os.mkfifo(tmp_path / name)
    errors = []

    def read():
        with pytest.raises(InstanceError) as error:
            read_instance(tmp_path / name, 1)
        errors.append(str(error.value))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(10)
    assert errors == [f"{tmp_path / name}: not a regular file"]


def test_shipped_instances_are_those_of_the_library():
    assert len(shipped_instances()) == 15
    first = shipped_instance("pmed1")
    assert (first.num_points, first.num_sites, first.num_kiosks, first.optimum) == (100, 100, 5, 5819)
    assert shipped_instance("pmed1", 6).optimum is None


# ------------------------------------------------------------ generator


@pytest.mark.parametrize("layout", LAYOUTS)
def test_generated_towns(layout):
    config = TownConfig(layout=layout, num_points=60, num_sites=40, num_kiosks=4, num_rivals=2, side=48)
    one, again, other = (generate(config, seed) for seed in (5, 5, 6))
    assert (one.num_points, one.num_sites, one.num_kiosks) == (60, 40, 4)
    assert one.rivals.tolist() == [0, 1]
    assert one.points is not None and one.points.min() >= 0 and one.points.max() < 48
    assert 1 <= one.weights.min() and one.weights.max() <= config.max_people
    assert (one.distances == again.distances).all() and (one.weights == again.weights).all()
    assert (one.distances != other.distances).any()


def test_districts_are_crowded():
    spread = {}
    for layout in ("districts", "uniform"):
        towns = [generate(TownConfig(layout=layout), seed) for seed in range(20)]
        spread[layout] = np.mean([np.sort(town.distances, axis=1)[:, :5].mean() for town in towns])
    assert spread["districts"] < 0.8 * spread["uniform"]


def test_test_towns_are_not_training_towns():
    train, test = (FIRST_SEED[split] for split in ("train", "test"))
    assert test - train > 100_000
    assert (generate(TownConfig(), train).distances != generate(TownConfig(), test).distances).any()


@pytest.mark.parametrize(
    "change",
    [
        {"num_points": 0},
        {"num_kiosks": 99, "num_rivals": 2},
        {"layout": "star"},
        {"layout": "streets", "side": 1024},
        {"side": 8},
        {"max_people": 0},
        {"metric": "matrix"},
    ],
)
def test_impossible_towns_are_refused(change: dict):
    with pytest.raises(ValueError, match="must (be|lie)|do not fit"):
        TownConfig(**change)


# ------------------------------------------------------------ on maps of real places


def test_kiosks_on_a_map_are_walked_to_in_metres():
    streets = MAPS.find("fremantle")
    world = Kiosk(KioskConfig(map="fremantle", pool_size=2, points=30, sites=8, kiosks=3))
    for town in world.instances:
        assert town.streets is not None and town.points is not None and town.sites is not None
        assert town.name.startswith("fremantle-")
        for site, row in zip(town.sites // 3, town.distances, strict=True):
            steps = walked(streets.kind, site[1] * streets.kind.shape[1] + site[0])
            cells = town.points[:, 1] // 3 * streets.kind.shape[1] + town.points[:, 0] // 3
            assert row.tolist() == [3 * steps[cell] for cell in cells.tolist()]


def test_people_live_where_houses_are():
    streets = MAPS.find("berlin-neukoelln")
    town = generate(TownConfig(num_points=200), 0, streets)
    houses = np.argwhere((streets.kind == BUILDING) & ~streets.ground)
    assert town.points is not None
    for x, y in town.points // 5:
        assert streets.kind[y, x] == SIDEWALK and np.abs(houses - (y, x)).sum(axis=1).min() <= FRONT_GARDEN


def test_unknown_maps_are_refused():
    with pytest.raises(ValueError, match="unknown map 'fremantel'; did you mean 'fremantle'?"):
        Kiosk(KioskConfig(map="fremantel"))


def test_streets_have_the_color_of_the_nearest_kiosk_on_foot():
    world = Kiosk(KioskConfig(map="west-oakland", pool_size=1, points=30, sites=12, kiosks=2))
    state = np.zeros(1, world.state_dtype)
    state["kiosks"] = [4, 7]
    city, plan = world.instances[0], Scene(world.pool).plan(state[0])
    assert plan is not None and city.streets is not None and city.sites is not None
    width = city.streets.kind.shape[1]
    ways = [walked(city.streets.kind, y * width + x) for x, y in city.sites[[4, 7]] // 5]
    shades = [
        {tuple(plan.reshape(-1, 3)[cell]) for cell in ways[k] if ways[k][cell] < ways[1 - k][cell]}
        for k in (0, 1)
    ]
    assert shades[0] and shades[1] and not shades[0] & shades[1]
