"""`meze import-map`: what a user sees, and what lies in the folder afterwards."""

import json

import pytest
from meze.envs.city.config import CityConfig
from meze.envs.city.world import City
from meze.runners import cli
from osm_stage import RING, RING_STREETS, osm, random_city

pytest.importorskip("osmium")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an extract, in which the command is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "town.osm").write_text(random_city(4, 0))
    return tmp_path


def said(capsys, *words):
    """Exit code, and lines of both streams."""
    code = cli.main(["import-map", *words])
    shown = capsys.readouterr()
    return code, shown.out.splitlines(), shown.err.splitlines()


def test_a_map_to_drive_on(folder, capsys):
    code, lines, errors = said(capsys, "town.osm", "--out", "mine")
    assert code == 0 and not errors and max(map(len, lines)) <= 80
    assert lines[-1].startswith("drive it: meze train q-learning city --env.map mine.txt")
    report = json.loads((folder / "mine.json").read_text())
    assert list(report) == ["read", "kept", "merged", "inferred", "dropped", "map", "fidelity"]
    for facts in report.values():
        for name, value in facts.items():
            shown = f"{value:,}" if isinstance(value, int | float) else value
            assert f"  {name:<48} {shown}" in lines
    for name in ("mine", "mine.txt"):
        assert City(CityConfig(map=name)).maps[0].credit.startswith("(c) OpenStreetMap")
    assert (folder / "mine.txt").read_text().splitlines()[0].startswith("; made of town.osm")
    assert cli.main(["evaluate", "city", "expert", "--env.map", "mine", "--episodes", "20"]) == 0


def test_a_stub_of_an_extract_is_told_first(folder, capsys):
    apart = {node + 10 * k: (x + 500 * k, y) for k in range(3) for node, (x, y) in RING.items()}
    ways = [([node + 10 * k for node in nodes], {}) for k in range(3) for nodes, _ in RING_STREETS]
    (folder / "islands.osm").write_text(osm(apart, ways))
    code, lines, errors = said(capsys, "islands.osm", "--out", "islands")
    assert code == 0 and not errors
    assert lines[0] == "warning: less than half of what was read is on the map"
    assert lines[1].split() == "kilometres of streets 0.8 of 2.4".split()
    assert list(json.loads((folder / "islands.json").read_text()))[0] == lines[0]


def test_flags(folder, capsys):
    (folder / "ring.osm").write_text(osm(RING, RING_STREETS))
    words = ["--cell", "4", "--side", "left", "--box", "52.49,13.39,52.51,13.41"]
    assert said(capsys, "ring.osm", "--out", "ring", *words)[0] == 0
    streets = City(CityConfig(map="ring.txt", observation="index")).maps[0]
    assert streets.left_hand and streets.cell_metres == 4


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "usage: meze import-map FILE --out NAME"),
        (["town.osm"], "--out is needed; see meze import-map FILE --help"),
        (["none.osm", "--out", "x"], "none.osm: no such file"),
        (["town.osm", "--out", "x", "--cell", "0"], "--cell must be from 1 to 100 metres, got 0"),
        (["town.osm", "--out", "x", "--cell", "far"], "--cell must be a number; got 'far'"),
        (["town.osm", "--out", "x", "--box", "1,2,3"], "--box is south,west,north,east in degrees"),
        (["town.osm", "--out", "x", "--box", "3,2,1,4"], "south must be less than north"),
        (["town.osm", "--out", "x", "--box", "1,2,3,nan"], "south must be less than north"),
        (["town.osm", "--out", "x", "--box", "1,4,2,3"], "west less than east"),
        (["town.osm", "--out", "x", "--box", "1,2,2,2"], "west less than east"),
        (["town.osm", "--out", "x", "--box=1,179,2,-181"], "west less than east"),
        (["town.osm", "--out", "x", "--box=1,179,2,-179"], "town.osm: no street to drive on here"),
        (["town.osm", "--out", "x", "--box", "1,2,3,4"], "town.osm: no street to drive on here"),
        (["town.osm", "--out", "x", "--side", "middle"], "--side"),
        (["town.osm", "--out", "nowhere/x"], "there is no folder nowhere"),
        (["town.osm", "--out", "there"], "there.txt is there already"),
        (["town.osm", "--out", "report"], "report.json is there already"),
        (["town.osm", "--out", "."], "--out needs the name of a map, not '.'"),
        ([".", "--out", "x"], "the name must end in .osm"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing_behind(folder, capsys, words, problem):
    for name in ("there.txt", "report.json"):
        (folder / name).write_text("mine")
    code, _, errors = said(capsys, *words)
    assert code == 2 and len(errors) == 1 and problem in errors[0]
    assert sorted(path.name for path in folder.iterdir()) == ["report.json", "there.txt", "town.osm"]
    assert (folder / "there.txt").read_text() == (folder / "report.json").read_text() == "mine"
