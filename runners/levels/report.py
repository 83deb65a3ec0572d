"""What is told of levels that a model made: on the screen, as JSON, and as a page with a picture of some."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...agents.generative.base import Rows, alphabet, encode
from ...agents.generative.windows import Spread, cut_windows, has_collapsed, spread
from ...envs.platformer.levels import Level
from ...envs.platformer.making import Made, terrain
from ...envs.platformer.sets import part
from ...envs.platformer.state import TICKS_PER_SECOND
from ...files import write_whole
from ..reporting.facts import report_lines
from ..reporting.page import Page, legend_below, new_figure, style, style_of
from ..reporting.tables import print_rows
from ..run.metrics import METRICS, read_rows
from ..setup.files import write_json
from .comparison import COLUMNS, NOTES, Kind
from .gallery import draw_gallery

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWINGS = 256
"""Drawings whose spread is measured, however many levels are made: of few there are few windows."""
WINDOWS, WINDOW = 512, 32
"""Windows by which the spread is measured, and their columns."""
SHOWN = 40
"""Levels of the picture."""


def spreads(drawings: Sequence[Rows], source: Sequence[Level]) -> dict[str, Spread]:
    """How different windows of drawings are, `made`, and those of the `source`."""
    theirs = list(map(terrain, source))
    letters = alphabet([*drawings, *theirs])
    rng = np.random.default_rng(0)
    return {
        name: spread(cut_windows([encode(rows, letters) for rows in each], WINDOW, WINDOWS, rng))
        for name, each in (("made", drawings), ("source", theirs))
    }


@dataclass(frozen=True)
class Report:
    """What is told."""

    title: str
    made: Made
    kinds: Sequence[Kind]
    """The levels beside others."""
    spreads: Mapping[str, Spread]
    settings: Mapping[str, Any]

    def counts(self) -> dict[str, dict[str, int]]:
        """What became of the drawings, and the parts of the set."""
        made = self.made
        return {
            "made": {
                "levels that are kept": len(made.levels),
                "drawings": made.drawn,
                "no level by the rules": made.unfit,
                "not cleared by the expert": made.uncertified,
                "drawn before": made.repeats,
                "mended, of all drawings": made.mended,
            },
            "levels": {name: len(each) for name, each in part(made.levels).items()},
        }

    def spread_line(self) -> str:
        """How different windows are."""
        made, source = self.spreads["made"], self.spreads["source"]
        return (
            f"Windows of {WINDOW} columns: {100 * made.distinct:.0f} % are different, and two of them differ "
            f"in {100 * made.difference:.1f} % of the cells (source: {100 * source.distinct:.0f} %, "
            f"{100 * source.difference:.1f} %)."
        )

    def show(self) -> None:
        """Prints it; modes that have collapsed are a warning."""
        for line in report_lines(self.counts()):
            print(line)
        print_rows(self.title, COLUMNS, [kind.cells() for kind in self.kinds], [self.spread_line()], NOTES)
        if has_collapsed(self.spreads["made"], self.spreads["source"]):
            warnings.warn(f"the model's modes have collapsed: {self.spread_line()}", stacklevel=2)

    def write(self, folder: Path) -> None:
        """Writes `report.json`, `samples.png` and `report.html`."""
        more = {
            "spread": {name: each._asdict() for name, each in self.spreads.items()},
            "compared": {kind.name: kind.facts() for kind in self.kinds},
            "settings": self.settings,
        }
        write_json(folder / "report.json", self.counts() | more)
        samples = self.samples()
        write_whole(folder / "samples.png", samples)
        page = Page(self.title, "Certified levels, which the expert clears, beside those of others.")
        page.table(COLUMNS, [kind.cells() for kind in self.kinds])
        for note in NOTES.values():
            page.paragraph(note)
        page.heading("Drawings")
        facts = [(name, f"{count:,}") for name, count in self.counts()["made"].items()]
        page.table(("what", "how many"), facts)
        page.paragraph(self.spread_line())
        if rows := read_rows(folder / METRICS):
            page.heading("Training")
            page.figures(curves(rows))
        page.heading("Samples")
        page.pictures([(samples, "From easy to hard, by the states that the expert tries to find a way.")])
        page.save(folder / "report.html")

    def samples(self) -> bytes:
        """A PNG of `SHOWN` levels, every so many one of all, from easy to hard."""
        effort = [plan.effort for plan in self.made.plans]
        chosen = np.unique(np.linspace(0, len(effort) - 1, SHOWN).round().astype(int)).tolist()
        order = sorted(chosen, key=lambda k: (effort[k], self.made.plans[k].ticks))
        captions = [
            f"{place}. {self.made.levels[k].name}: {effort[k]:,} states, "
            f"par {self.made.plans[k].ticks / TICKS_PER_SECOND:.1f} s"
            for place, k in enumerate(order, 1)
        ]
        out = io.BytesIO()
        draw_gallery([self.made.levels[k] for k in order], captions).save(out, "png", optimize=True)
        return out.getvalue()


@style()
def curves(rows: Sequence[Mapping[str, str]]) -> list[tuple[Figure, str]]:
    """Plots of a training: the losses, and how different windows are."""
    steps = [int(row["step"]) for row in rows]
    plots = (
        (("generator_loss", "critic_loss"), "Losses, averaged since the point before."),
        (("difference", "source_difference"), "Share of cells in which two windows differ."),
    )
    figures = []
    for names, caption in plots:
        figure, axes = new_figure()
        for number, name in enumerate(names):
            values = [float(row[name]) for row in rows]
            axes.plot(steps, values, label=name.replace("_", " "), **style_of(number))
        axes.set(xlabel="steps", ylim=(0, None) if names[0] == "difference" else None)
        legend_below(axes, 2)
        figures.append((figure, caption))
    return figures
