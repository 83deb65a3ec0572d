"""Reports as one self-contained HTML page: text, tables, plots and looping pictures."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = (
    "#2f83c5",
    "#dd8327",
    "#2a9d76",
    "#c75b9b",
    "#8a7bd1",
    "#b9961f",
    "#c8553d",
    "#4fb0d8",
    "#808993",
    "#6f9a2c",
)
"""For series, in this order; readable on white and on black, and told apart by the color-blind (after Okabe
and Ito). Dashes tell them apart once more."""
DASHES = ("-", "--", "-.", ":")
FOR, AGAINST = COLORS[0], COLORS[6]
"""Behind the cells of a table whose numbers speak for the row, or against it."""

TEXT = "#010203"
"""Stands for the page's own color of text while a plot is drawn, so that it follows light and dark. What is
written into a plot by hand needs it as well: `axes.text(..., color=TEXT)`."""
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and scaled
    "svg.hashsalt": "meze",  # equal plots are equal bytes
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.alpha": 0.2,
    "axes.grid": True,
    "image.cmap": "viridis",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), TEXT
    ),
}
FIGURE = (4.4, 3.2)
"""Width and height of a plot in inches: as wide as a phone, so that its text is never shrunk."""


@contextmanager
def style() -> Iterator[None]:
    """The style of the pages' plots, whatever a `matplotlibrc` in the working folder says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def new_figure(columns: int = 1) -> tuple[Figure, Any]:
    """Begins a plot in the style of the pages.

    Args:
        columns: axes side by side.

    Returns:
        The figure, and its axes: one, or an array of several.

    Raises:
        ValueError: when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ValueError(f"reports need {error.name}: pip install 'meze[report]'") from None
    with style():
        figure = Figure(figsize=FIGURE, layout="constrained")
        return figure, figure.subplots(1, columns)


def style_of(index: int) -> dict[str, Any]:
    """Color and dashes of a series by its number."""
    return {"color": COLORS[index % len(COLORS)], "linestyle": DASHES[index % len(DASHES)]}


def legend_below(axes: Axes, columns: int = 2, enlarged: float = 1) -> None:
    """Puts the legend below a plot, where it covers no data; its markers may be larger than the plot's."""
    assert axes.figure is not None
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=columns,
        fontsize=8.5,
        frameon=False,
        labelcolor=TEXT,
        markerscale=enlarged,
    )


def svg_of(figure: Figure, number: int, caption: str) -> str:
    """A plot as SVG to stand in a page.

    Args:
        figure: the plot.
        number: its number in the page; names in it begin with that.
        caption: what it shows, for those who have it read aloud.
    """
    out = io.StringIO()
    with style():
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(TEXT, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'( id="| xlink:href="#|url\(#)', rf"\g<1>f{number}-", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{html.escape(caption)}">{rest}'


def _behind(tone: float) -> str:
    """CSS of what stands behind a cell: faint enough for its text by day and by night."""
    return f"background: {FOR if tone > 0 else AGAINST}{round(160 * abs(tone)):02x}" if tone else ""


class Page:
    """One HTML page, part by part.

    Args:
        title: its title.
        lead: what it is about, in a sentence or two.
    """

    def __init__(self, title: str, lead: str) -> None:
        self._title, self._lead = title, lead
        self._parts: list[dict[str, Any]] = []
        self._plots = 0

    def heading(self, text: str) -> None:
        """Begins a section."""
        self._parts.append({"kind": "heading", "text": text})

    def paragraph(self, text: str) -> None:
        """Adds a paragraph."""
        self._parts.append({"kind": "paragraph", "text": text})

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        tones: Sequence[Sequence[float]] | None = None,
    ) -> None:
        """Adds a table; a line break in a cell is kept.

        Args:
            columns: their names; the first one stays in sight on narrow screens.
            rows: cells of each row.
            tones: of each row's cells after the first what color stands behind them, from -1 (against) to 1
                (for).
        """
        behind = [["", *map(_behind, each)] for each in tones or ()] or [[""] * len(columns)] * len(rows)
        cells = [list(zip(row, styles, strict=True)) for row, styles in zip(rows, behind, strict=True)]
        self._parts.append({"kind": "table", "columns": columns, "rows": cells})

    def code(self, lines: Sequence[str]) -> None:
        """Adds commands, line by line."""
        self._parts.append({"kind": "code", "text": "\n".join(lines)})

    def figures(self, figures: Sequence[tuple[Figure, str]]) -> None:
        """Adds plots side by side, each with its caption."""
        drawn = []
        for figure, caption in figures:
            self._plots += 1
            drawn.append((svg_of(figure, self._plots, caption), caption))
        self._parts.append({"kind": "figures", "figures": drawn})

    def pictures(self, pictures: Sequence[tuple[bytes, str]]) -> None:
        """Adds pictures side by side: contents of GIF or PNG files, each with its caption."""
        sources = []
        for content, caption in pictures:
            kind = "gif" if content.startswith(b"GIF8") else "png"
            sources.append((f"data:image/{kind};base64,{base64.b64encode(content).decode()}", caption))
        self._parts.append({"kind": "pictures", "pictures": sources})

    def html(self) -> str:
        """The whole page.

        Raises:
            ValueError: when jinja2 is not installed.
        """
        try:
            from jinja2 import Environment
            from markupsafe import Markup
        except ModuleNotFoundError as error:
            raise ValueError(f"reports need {error.name}: pip install 'meze[report]'") from None
        template = files(__name__.split(".")[0]) / "assets" / "page.html"
        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        parts = [
            part | {"figures": [(Markup(svg), text) for svg, text in part.get("figures", ())]}
            for part in self._parts
        ]
        source = template.read_text(encoding="utf-8")
        return environment.from_string(source).render(title=self._title, lead=self._lead, parts=parts)

    def save(self, path: Path) -> None:
        """Writes the page at once or not at all."""
        write_whole(path, self.html().encode())
