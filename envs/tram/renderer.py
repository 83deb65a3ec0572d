"""Draws a tram on its line; everything is painted by code, nothing is read from files."""

from collections.abc import Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core import BAD, GOOD, Drawing, PanelRenderer
from .state import HEIGHT, TOP_SPEED, WIDTH, TramParams

UNIT = 30  # pixels of a cell
SIZE = UNIT * WIDTH, UNIT * (HEIGHT + 6)  # of the line's picture, in pixels
TOP = 3  # rows of cells above the line, for its title and question
GRASS, BED, RAIL, WAY = (96, 132, 84), (126, 118, 106), (196, 200, 208), (250, 214, 110)
BODY, WINDOW, STOP = (214, 60, 52), (196, 226, 240), (52, 92, 150)
SKIN, DEAF, HEARS, HIT = (240, 206, 172), (70, 74, 92), (54, 132, 214), (150, 40, 40)


class TramRenderer(PanelRenderer):
    """Draws one environment of a batch.

    Args:
        params: the scenes as kernels take them.
        scenes: as they were written.
    """

    panel_width = 236
    legend = "tram", "does not hear", "hears the bell", "was hit", "the way"

    def __init__(self, params: TramParams, scenes: Sequence[Drawing]) -> None:
        self._params, self._scenes = params, scenes
        super().__init__(*SIZE)

    def paint(self, e: np.void, phase: float) -> None:
        """Paints the line, people and the tram, and on top the question."""
        layout = self._params.scenes[e["scene"]]
        self.frame.fill(GRASS, (0, 0, *SIZE))
        ahead = self._way(layout, int(e["cell"]), int(e["aside"]))
        for width, color in ((14, BED), (4, RAIL)):
            for cell in range(layout["cells"]):
                for k in {int(each) for each in layout["ahead"][cell]} - {-1}:
                    self._track(layout, cell, k, width, color)
        for cell, k in zip(ahead, ahead[1:], strict=False):
            self._track(layout, cell, k, 4, WAY)
        for cell in np.flatnonzero(layout["ahead"][: layout["cells"], 0] < 0):
            corner = self._at(layout, int(cell), (-4, -UNIT // 2))
            self.frame.fill(STOP, pygame.Rect(0, 0, 8, UNIT).move(*corner))
        for place in range(layout["places"]):
            is_hit, waits = e["harmed"] >> place & 1, e["waiting"] >> place & 1
            beside = 0 if is_hit or waits else UNIT * 0.62  # who stepped off stands beside the rails
            color = HIT if is_hit else HEARS if layout["hears"][place] > 0 else DEAF
            middle = self._at(layout, int(layout["spot"][place]), (0, beside))
            self._people(middle, int(layout["people"][place]), color)
        here, came = (np.array(self._at(layout, int(e[name]))) for name in ("cell", "came"))
        self._tram(tuple(came + (here - came) * phase))
        scene = self._scenes[e["scene"]]
        for text, y, size in ((scene.title, 10, 28), (scene.values["question"], 38, 21)):
            self.frame.blit(self.panel.image(text, (255, 255, 255), size, SIZE[0] - 24), (12, y))

    @staticmethod
    def _way(layout: NDArray[np.void], cell: int, aside: int) -> list[int]:
        cells = []
        while cell >= 0:
            cells.append(cell)
            switch = layout["switch"][cell]
            cell = int(layout["ahead"][cell, 1 if switch >= 0 and aside >> switch & 1 else 0])
        return cells

    @staticmethod
    def _at(layout: NDArray[np.void], cell: int, off: Sequence[float] = (0, 0)) -> tuple[float, float]:
        row, column = layout["at"][cell]
        first = (HEIGHT - 1 - int(layout["at"][: layout["cells"], 0].max())) / 2  # rows are in the middle
        return (column + 0.5) * UNIT + off[0], (TOP + first + row + 0.5) * UNIT + off[1]

    def _track(
        self, layout: NDArray[np.void], cell: int, other: int, width: int, color: tuple[int, int, int]
    ) -> None:
        pygame.draw.line(self.frame, color, self._at(layout, cell), self._at(layout, other), width)

    def _tram(self, place: Sequence[float], scale: float = 1.0) -> None:
        x, y = place
        body = pygame.Rect(0, 0, 40 * scale, 20 * scale)
        body.midright = round(x + 14 * scale), round(y)
        pygame.draw.rect(self.frame, BODY, body, border_radius=round(6 * scale))
        for k in range(3):
            window = body.x + (6 + 11 * k) * scale, body.y + 5 * scale, 8 * scale, 7 * scale
            self.frame.fill(WINDOW, window)

    def _people(
        self, place: Sequence[float], count: int, color: tuple[int, int, int], scale: float = 1.0
    ) -> None:
        for k in range(count):
            turn = 2 * np.pi * k / count
            away = 7 * scale * (count > 1)
            x, y = place[0] + away * np.cos(turn), place[1] + away * np.sin(turn)
            for shade, radius in ((color, 7), (SKIN, 3.5)):
                pygame.draw.aacircle(self.frame, shade, (x, y), radius * scale)

    def tell(self, e: np.void) -> None:
        """Writes speed, harm and chances."""
        layout = self._params.scenes[e["scene"]]
        panel, info = self.panel, e["info"]
        panel.row("speed", f"{e['speed']} cells a tick")
        panel.bar(e["speed"] / TOP_SPEED, GOOD)
        harmed = sum(int(layout["people"][k]) for k in range(layout["places"]) if e["harmed"] >> k & 1)
        panel.row("hit", f"{harmed}", BAD if harmed else GOOD)
        panel.row("fell just now", f"{e['fallen']} of {layout['aboard']}", BAD if e["fallen"] else GOOD)
        panel.row("ticks", f"{e['elapsed']}")
        panel.rule()
        panel.row(
            "who hears steps off", f"{layout['hears'].max() / 10.24:.0f} %" if layout["hears"].any() else "-"
        )
        panel.row("who stands falls", f"{layout['falls'] / 10.24:.0f} %")
        panel.rule()
        panel.row("end", "arrived" if info["success"] else "not yet")

    def sample(self, n: int, x: int, y: int) -> None:
        """Paints a sample for the legend."""
        if n == 0:
            self._tram((x + 4, y), 0.55)
        elif self.legend[n] == "the way":
            self.frame.fill(WAY, (x - 10, y - 2, 20, 4))
        else:
            self._people((x, y), 1, (DEAF, HEARS, HIT)[n - 1])
