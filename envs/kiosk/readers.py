"""Instance files: CSV of places, p-median files of the OR-Library, TSPLIB files with NODE_COORD_SECTION.

CSV: a header with the columns `x` and `y` (in metres or other units, not in degrees), and where wanted
`weight` (whole people; 1 by default) and `kind` (`point`, `site`, `rival`, or `both`, the default: a point
and a site). OR-Library: see `assets/instances/README.md`. TSPLIB: EDGE_WEIGHT_TYPE says which metric, EUC_2D
or MAN_2D.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..core.textfile import read_text
from .instances import MAX_COORDINATE, MAX_DISTANCE, Instance, InstanceError, from_coordinates

Source = str | PathLike[str] | Traversable
PlaneMetric = Literal["euclidean", "manhattan"]

MAX_BYTES = 64 * 1024 * 1024  # of a file; more is a mistake or an attack
MAX_VERTICES = 10_000
KINDS = ("both", "point", "site", "rival")
TSPLIB_METRICS: dict[str, PlaneMetric] = {"EUC_2D": "euclidean", "MAN_2D": "manhattan"}


def read_instance(
    path: Source,
    num_kiosks: int | None = None,
    metric: PlaneMetric | None = None,
    steps_per_unit: int = 1,
) -> Instance:
    """Reads a file of any of the formats, told apart by the ending `.csv` and the word NODE_COORD_SECTION.

    Args:
        path: the file.
        num_kiosks: K; only OR-Library files have their own, which counts by default.
        metric: of coordinates; by default what a TSPLIB file says, else euclidean.
        steps_per_unit: how many steps make a unit of the file's coordinates.

    Raises:
        InstanceError: one line that names the file, and the line where that is to blame.
    """
    source = path if isinstance(path, Traversable) else Path(fspath(path))
    name, lines = str(path), _lines(source, str(path))
    is_csv = source.name.lower().endswith(".csv")
    if not is_csv and not any(line.strip() == "NODE_COORD_SECTION" for line in lines):
        if metric is not None or steps_per_unit != 1:
            raise InstanceError(f"{name}: an OR-Library file has no coordinates, so no metric and no steps")
        instance = parse_pmed(lines, name, num_kiosks)
    elif num_kiosks is None:
        raise InstanceError(f"{name}: the file does not say how many kiosks there are to be")
    else:
        parse = parse_csv if is_csv else parse_tsplib
        instance = parse(lines, name, num_kiosks, metric, steps_per_unit)
    return replace(instance, name=Path(source.name).stem)


def _folder() -> Traversable:
    return files(__name__.split(".")[0]) / "assets" / "instances"


def shipped_instances() -> dict[str, int]:
    """The instances that come with the package, and the proven optimum (p-median) of each."""
    rows = csv.DictReader(_lines(_folder() / "optima.csv", "optima.csv"))
    return {row["instance"]: int(row["optimum"]) for row in rows}


def shipped_instance(name: str, num_kiosks: int | None = None) -> Instance:
    """Reads one of the `shipped_instances`; its optimum is known for its own number of kiosks only."""
    instance = read_instance(_folder() / f"{name}.txt")
    if num_kiosks is None or num_kiosks == instance.num_kiosks:
        return replace(instance, optimum=shipped_instances()[name])
    return replace(instance, num_kiosks=num_kiosks)


def _lines(source: Traversable, name: str) -> list[str]:
    return read_text(source, name, MAX_BYTES, f"{MAX_BYTES} bytes", InstanceError).splitlines()


def _fail(name: str, line: int, problem: str) -> NoReturn:
    raise InstanceError(f"{name}, line {line}: {problem}")


def _number(name: str, line: int, what: str, text: str, kind: Callable[[str], Any], low: float, high: float):
    """A number of a file, from `low` to `high`; `kind` is int or float."""
    try:
        number = kind(text)
    except ValueError:
        _fail(name, line, f"{what} must be a {'whole ' * (kind is int)}number, not {text!r}")
    if not low <= number <= high:  # also refuses NaN
        _fail(name, line, f"{what} must lie between {low:g} and {high:g}, not {text}")
    return number


# ------------------------------------------------------------ OR-Library


def parse_pmed(lines: Sequence[str], name: str, num_kiosks: int | None = None) -> Instance:
    """Makes an instance of the lines of an OR-Library file: shortest paths of a graph.

    Args:
        lines: of the file.
        name: for errors.
        num_kiosks: K; by default the file's.

    Raises:
        InstanceError: naming the line, counted from 1.
    """
    if not lines or len(lines[0].split()) != 3:
        _fail(name, 1, "there should be three numbers: vertices, edges and p")
    counts = zip(("vertices", "edges", "p"), lines[0].split(), strict=True)
    limits = (MAX_VERTICES, MAX_VERTICES**2, MAX_VERTICES)
    (size, num_edges, own_kiosks) = (
        _number(name, 1, what, text, int, 1, high) for (what, text), high in zip(counts, limits, strict=True)
    )
    rows = [(number, line.split()) for number, line in enumerate(lines[1:], 2) if line.strip()]
    edges: dict[tuple[int, int], int] = {}
    for number, words in rows:
        if len(words) != 3:
            _fail(name, number, "there should be three numbers: two vertices and a cost")
        i, j = sorted(_number(name, number, "vertex", word, int, 1, size) - 1 for word in words[:2])
        cost = _number(name, number, "cost", words[2], int, 0, MAX_DISTANCE)
        if i != j:  # an edge from a vertex to itself leads nowhere
            edges[i, j] = cost
    if len(rows) != num_edges:
        raise InstanceError(f"{name}: line 1 promises {num_edges} edges, the file has {len(rows)}")
    kiosks = own_kiosks if num_kiosks is None else num_kiosks
    return Instance(name, _shortest_paths(name, size, edges), np.ones(size, np.int32), kiosks)


def _shortest_paths(name: str, size: int, edges: Mapping[tuple[int, int], int]) -> NDArray[np.int32]:
    """(V, V) distances along the edges of a graph, each named once; MAX_DISTANCE + 1 for all that is further.

    The table is made only once it is known that all vertices are joined: that takes a file of some length.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, dijkstra

    tails, heads = np.array(list(edges), np.int64).reshape(-1, 2).T
    costs = np.array(list(edges.values()), float)  # entries of 0 are edges, too
    graph = csr_array((costs, (tails, heads)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    apart = part != part[0]
    if apart.any():
        raise InstanceError(f"{name}: vertex {int(apart.argmax()) + 1} can't be reached from vertex 1")
    table = np.empty((size, size), np.int32)
    for some in np.array_split(np.arange(size), 1 + size * size // (1 << 22)):
        table[some] = np.minimum(dijkstra(graph, directed=False, indices=some), MAX_DISTANCE + 1)
    return table


# ------------------------------------------------------------ coordinates


def _reach(steps_per_unit: int) -> tuple[float, float]:
    """The least and the greatest coordinate that a file may hold."""
    reach = MAX_COORDINATE / max(steps_per_unit, 1)
    return -reach, reach


def _rows(lines: Sequence[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the number of its line."""
    reader = csv.reader(lines, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        _fail(name, reader.line_num, str(error))


def parse_csv(
    lines: Sequence[str], name: str, num_kiosks: int, metric: PlaneMetric | None, steps_per_unit: int
) -> Instance:
    """Makes an instance of the lines of a CSV file; see this module's docstring.

    Raises:
        InstanceError: naming the line, counted from 1.
    """
    rows = [(line, row) for line, row in _rows(lines, name) if row]
    header = [column.strip() for column in rows[0][1]] if rows else []
    if not {"x", "y"} <= set(header) <= {"x", "y", "weight", "kind"} or len(set(header)) < len(header):
        _fail(name, 1, "the columns must be x and y, and where wanted weight and kind")
    points, weights, sites, rivals = [], [], [], []
    for line, row in rows[1:]:
        if len(row) != len(header):
            _fail(name, line, f"{len(row)} values in this line, {len(header)} in the header")
        cells = dict(zip(header, (value.strip() for value in row), strict=True))
        number = partial(_number, name, line)
        place = tuple(number(axis, cells[axis], float, *_reach(steps_per_unit)) for axis in "xy")
        kind = cells.get("kind") or "both"
        if kind not in KINDS:
            _fail(name, line, f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        weight = number("weight", cells.get("weight") or "1", int, 0, np.iinfo(np.int32).max)
        if kind in ("both", "point"):
            points.append(place)
            weights.append(weight)
        if kind == "rival":
            rivals.append(len(sites))
        if kind != "point":
            sites.append(place)
    for places, what in ((points, "point"), (sites, "site")):
        if not places:
            raise InstanceError(f"{name}: there is no {what} in the file")
    return from_coordinates(
        name,
        points,
        num_kiosks,
        weights=weights,
        sites=sites,
        rivals=rivals,
        metric=metric or "euclidean",
        steps_per_unit=steps_per_unit,
    )


def parse_tsplib(
    lines: Sequence[str], name: str, num_kiosks: int, metric: PlaneMetric | None, steps_per_unit: int
) -> Instance:
    """Makes an instance of the lines of a TSPLIB file (G. Reinelt, TSPLIB 95): every node is point and site.

    Raises:
        InstanceError: naming the line, counted from 1.
    """
    start = next((n for n, line in enumerate(lines, 1) if line.strip() == "NODE_COORD_SECTION"), 0)
    if start == 0:
        raise InstanceError(f"{name}: there is no NODE_COORD_SECTION")
    header = {}
    for number, line in enumerate(lines[: start - 1], 1):
        key, colon, value = (part.strip() for part in line.partition(":"))
        if line.strip() and not colon:
            _fail(name, number, "there should be `KEYWORD : value`")
        header[key] = (number, value)
    kind = header.get("EDGE_WEIGHT_TYPE", (start, "EUC_2D"))
    if metric is None and kind[1] not in TSPLIB_METRICS:
        _fail(name, kind[0], f"{kind[1]} is none of {', '.join(TSPLIB_METRICS)}; name the metric to be used")
    places: dict[str, tuple[float, float]] = {}
    for number, line in enumerate(lines[start:], start + 1):
        words = line.split()
        if words[:1] == ["EOF"] or (len(words) == 1 and words[0].endswith("_SECTION")):
            break
        if not words:
            continue
        if len(words) != 3:
            _fail(name, number, "there should be a node's number, its x and its y")
        if words[0] in places:
            _fail(name, number, f"node {words[0]} has been there before")
        reach = _reach(steps_per_unit)
        x, y = (_number(name, number, "a coordinate", word, float, *reach) for word in words[1:])
        places[words[0]] = (x, y)
    number, promised = header.get("DIMENSION", (start, str(len(places))))
    if _number(name, number, "DIMENSION", promised, int, 1, MAX_VERTICES) != len(places):
        _fail(name, number, f"DIMENSION is {promised}, the file has {len(places)} nodes")
    return from_coordinates(
        name,
        list(places.values()),
        num_kiosks,
        metric=metric or TSPLIB_METRICS[kind[1]],
        steps_per_unit=steps_per_unit,
    )
