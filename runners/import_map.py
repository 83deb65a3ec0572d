"""`meze import-map`: a file of OpenStreetMap becomes a map to drive and to place kiosks on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..envs.streets.osm.reader import Box
from .reporting.facts import report_lines
from .setup.files import write_json
from .setup.settings import leading_names, parse

USAGE = "meze import-map FILE --out NAME [flags]"
DESCRIPTION = """Makes a street map of FILE, an extract of OpenStreetMap (.osm, .osm.bz2 or .osm.pbf). The map
goes to NAME.txt, what became of the streets to NAME.json. `--env.map NAME.txt` drives on it,
`--env.map NAME.txt` of the kiosk places kiosks on it. No network is needed.

Such maps are owed to the OpenStreetMap contributors under the ODbL: their first lines say so."""
PACE, USUAL_LIMIT = 4, 512
"""Ticks that a cell may take at a rush hour, and the ticks of the city's episodes."""


@dataclass(frozen=True)
class ImportSettings:
    """What to make of a file."""

    out: str
    """Name of the map, or path of its file."""
    cell: float = 5.0
    """Metres of a cell, 1 to 100: about as long as a car. Streets lie on a lattice of 4 cells; what is closer
    together is merged, and counted."""
    box: str | None = None
    """South, west, north, east in degrees, such as 52.47,13.43,52.48,13.44 (with a minus: --box=-32.04,...; a
    west greater than the east reaches across 180 degrees); by default the bounds that the file names, or all
    of it."""
    side: Literal["left", "right"] | None = None
    """On which traffic drives; by default what the data says, or else the country."""
    service: bool = False
    """Service roads are streets, too."""


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    given = parse(ImportSettings, args[1:], prog="meze import-map FILE", description=DESCRIPTION)
    if not 1 <= given.cell <= 100:
        raise ValueError(f"--cell must be from 1 to 100 metres, got {given.cell:g}")
    target = Path(given.out if given.out.endswith(".txt") else f"{given.out}.txt")
    if target.stem in ("", ".", ".txt") or given.out.endswith(("/", ".")):
        raise ValueError(f"--out needs the name of a map, not {given.out!r}")
    for path in (target, target.with_suffix(".json")):
        if path.exists():
            raise ValueError(f"{path} is there already; choose another name, or remove it")
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent}")
    from ..envs.streets.osm.importing import import_map

    box = None if given.box is None else read_box(given.box)
    made = import_map(
        Path(names[0]), target.stem, cell=given.cell, box=box, side=given.side, service=given.service
    )
    target.write_text(made.text, encoding="utf-8")
    write_json(target.with_suffix(".json"), made.report)
    for line in report_lines(made.report):
        print(line)
    limit = PACE * made.report["fidelity"]["longest way of these, in cells"]
    longer = f" --max-episode-steps {limit}" if limit > USUAL_LIMIT else ""
    print(f"\nmap:      {target}\ndrive it: meze train q-learning city --env.map {target}{longer}")
    return 0


def read_box(text: str) -> Box:
    """Reads `S,W,N,E`.

    Raises:
        ValueError: when these are no four degrees, or no box.
    """
    try:
        box = Box(*map(float, text.split(",")))
    except (TypeError, ValueError):
        raise ValueError(f"--box is south,west,north,east in degrees, not {text!r}") from None
    inside = -90 <= box.south < box.north <= 90 and all(-180 <= lon <= 180 for lon in (box.west, box.east))
    if not inside or box.west == box.east or 0 < box.west - box.east < 180:
        raise ValueError(f"--box {text}: south must be less than north and west less than east, in degrees")
    return box
