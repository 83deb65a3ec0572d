"""`meze import-levels`: levels of public collections become a set to play and to learn on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .levels.target import new_set, set_folder
from .reporting.facts import report_lines
from .setup.files import write_json
from .setup.settings import leading_names, parse

if TYPE_CHECKING:
    from ..envs.platformer.levels import Level

USAGE = "meze import-levels FILE|FOLDER --format vglc|mario-ai --out NAME"
DESCRIPTION = """Makes levels of the platformer of FILE, or of all .txt files of FOLDER. They go to the folder
NAME, a text file each, and what became of them to NAME/report.json. The expert looks for a way through each;
one level in five, chosen by its content, is kept for judging. `--env.level NAME` plays them.

vglc is the format of the Video Game Level Corpus (14 rows), mario-ai that of the Mario AI Framework (16);
the platformer's page tells what each letter becomes. No network is needed."""


@dataclass(frozen=True)
class ImportLevelsSettings:
    """What to make of files."""

    out: str
    """Name of the set, or path of its folder."""
    format: Literal["vglc", "mario-ai"]
    """What the files are written in."""


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    given = parse(
        ImportLevelsSettings, args[1:], prog="meze import-levels FILE|FOLDER", description=DESCRIPTION
    )
    target = set_folder(given.out)
    from ..envs.platformer.corpora import read_collection
    from ..envs.platformer.sets import write_levels

    with new_set(target) as folder:
        levels, lost = read_collection(Path(names[0]), given.format)
        report = make_report(levels, lost)
        write_levels(folder, levels)
        write_json(folder / "report.json", report)
    for line in report_lines(report):
        print(line)
    played = target if levels[1:] else target / f"{levels[0].name}.txt"  # one alone is no set
    print(f"\nlevels:  {target}\nplay it: meze play platformer --env.level {played}")
    return 0


def make_report(levels: Sequence[Level], lost: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Lets the expert play the levels of a set, and says what became of what was read.

    Args:
        levels: of the set.
        lost: how often what was left out.
    """
    from ..envs.platformer.pool import certify_drawn
    from ..envs.platformer.sets import part
    from ..envs.platformer.state import TICKS_PER_SECOND

    notes = dict(zip(levels, certify_drawn(levels), strict=True))
    return {
        "levels": {name: len(each) for name, each in part(levels).items()},
        "left out": dict(sorted(lost.items())),
        "certified, par in seconds": {
            level.name: round(time / TICKS_PER_SECOND, 1) for level, (_, time, _) in notes.items() if time
        },
        "not certified, how far the expert came": {
            level.name: f"column {column + 1} of {level.width}"
            for level, (column, time, _) in notes.items()
            if not time
        },
    }
