"""Draws the topology of an evolved network: inputs to the left, outputs to the right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...agents.evolution.population import Graph
from ...files import replaced

WIDTH, LEAST_HEIGHT, ROW = 960, 320, 22
MARGIN, NAMES, RADIUS = 28, 170, 6
FINE = 3
"""Drawn so much larger, then reduced: smooth lines."""
BACKGROUND, TEXT, FAINT = (24, 26, 32), (226, 228, 233), (140, 146, 158)
NODE, POSITIVE, NEGATIVE = (226, 228, 233), (96, 156, 236), (240, 140, 72)
THINNEST, THICKEST = 0.7, 4.5
"""Width of the weakest and of the strongest link, in pixels."""


def save_topology(path: Path, graph: Graph, outputs: Sequence[str], title: str) -> None:
    """Writes a picture of a network so that `path` holds either its earlier content or the whole new one.

    Args:
        path: a .png file.
        graph: the network.
        outputs: names of its outputs.
        title: is written above it.
    """
    with replaced(path) as temporary:
        draw_topology(graph, outputs, title).save(temporary)


def draw_topology(graph: Graph, outputs: Sequence[str], title: str) -> Image.Image:
    """Draws a network; inputs that lead nowhere are left out, and links point to the right."""
    columns = layers(graph)
    height = max(LEAST_HEIGHT, 2 * MARGIN + ROW * (1 + max(map(len, columns))))
    image = Image.new("RGB", (WIDTH * FINE, height * FINE), BACKGROUND)
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(13 * FINE)
    places = _places(columns, height)

    largest = max(np.abs(graph.weight).max(initial=0.0), 1e-9)
    for k in np.argsort(np.abs(graph.weight), kind="stable"):  # the strongest on top
        share = abs(graph.weight[k]) / largest
        ends = [tuple(FINE * x for x in places[int(end[k])]) for end in (graph.source, graph.target)]
        color = _mix(POSITIVE if graph.weight[k] > 0 else NEGATIVE, 0.4 + 0.6 * share)
        canvas.line(ends, color, round(FINE * (THINNEST + share * (THICKEST - THINNEST))))  # type: ignore[arg-type]

    names = dict(enumerate(graph.inputs)) | {
        int(o): name for o, name in zip(graph.output, outputs, strict=True)
    }
    for value, (x, y) in places.items():
        box = [FINE * side for side in (x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)]
        canvas.ellipse(box, NODE, BACKGROUND, FINE)
        if value in names:
            left = value < len(graph.inputs)
            away = -RADIUS - 6 if left else RADIUS + 6
            canvas.text((FINE * (x + away), FINE * y), names[value], TEXT, font, "rm" if left else "lm")
    canvas.text((FINE * MARGIN, FINE * (MARGIN - 8)), title, FAINT, font, "lm")
    key = f"weights: blue positive, orange negative, the strongest {largest:.2f}"
    canvas.text((FINE * (WIDTH - MARGIN), FINE * (MARGIN - 8)), key, FAINT, font, "rm")
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def layers(graph: Graph) -> list[list[int]]:
    """The values by columns: inputs that lead somewhere, nodes by the longest way to them, outputs."""
    num_inputs = len(graph.inputs)
    outputs = graph.output.tolist()
    depth: dict[int, int] = {}
    for value in sorted({*graph.source.tolist(), *graph.target.tolist(), *outputs}):
        sources = graph.source[graph.target == value].tolist()
        depth[value] = 0 if value < num_inputs else 1 + max((depth[source] for source in sources), default=0)
    inner = {value: at for value, at in depth.items() if value not in outputs}
    columns = [
        [value for value, at in inner.items() if at == k] for k in range(1 + max(inner.values(), default=0))
    ]
    return [columns[0], *filter(None, columns[1:]), outputs]


def _places(columns: list[list[int]], height: int) -> dict[int, tuple[float, float]]:
    """Where the middle of each value stands, in pixels."""
    left, right = MARGIN + NAMES, WIDTH - MARGIN - NAMES
    top, bottom = 2 * MARGIN, height - MARGIN
    places = {}
    for at, column in enumerate(columns):
        x = left + (right - left) * at / max(len(columns) - 1, 1)
        for row, value in enumerate(column):
            places[value] = x, top + (bottom - top) * (row + 0.5) / len(column)
    return places


def _mix(color: tuple[int, int, int], share: float) -> Any:
    """A color faded into the background."""
    return tuple(round(b + (c - b) * share) for c, b in zip(color, BACKGROUND, strict=True))
