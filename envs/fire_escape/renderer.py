"""Draws a burning building; everything is painted by code, nothing is read from files."""

from collections.abc import Sequence

import numpy as np
import pygame

from ..core import BAD, GOOD, PanelRenderer
from .state import DOOR, EXIT, FIRE, HEIGHT, WALL, WIDTH

UNIT = 32  # pixels of a cell
SIZE = UNIT * (WIDTH - 2), UNIT * (HEIGHT - 2)  # of the building's picture, in pixels
GROUND = np.array([(204, 194, 176), (158, 116, 76), (36, 168, 92), (86, 92, 110), (38, 42, 54)], np.uint8)
ARROW = np.array([-9 - 4j, 2 - 4j, 2 - 10j, 12, 2 + 10j, 2 + 4j, -9 + 4j])
AGENT, SKIN = (40, 120, 255), (240, 206, 172)
SHIRTS = (222, 168, 70), (176, 110, 170), (90, 150, 110), (206, 104, 96)
FLAMES = ((222, 58, 26), 13), ((255, 140, 36), 9), ((255, 226, 128), 5)  # colors, and radii in pixels


class FireEscapeRenderer(PanelRenderer):
    """Draws one environment of a batch."""

    legend = "agent", "others", "exit", "door", "smoke", "fire"

    def __init__(self) -> None:
        super().__init__(*SIZE)

    def paint(self, e: np.void, phase: float) -> None:
        """Paints the building, people, smoke and fire."""
        flicker = np.random.default_rng(int(e["elapsed"]))
        kind, smoke = (e[name].reshape(HEIGHT, WIDTH)[1:-1, 1:-1].T for name in ("kind", "smoke"))
        tiles = GROUND[kind] - np.uint8(7) * (np.indices(kind.shape).sum(axis=0) % 2 * (kind < 2))[..., None]
        self.frame.blit(pygame.transform.scale(pygame.surfarray.make_surface(tiles), SIZE), (0, 0))
        for x, y in np.argwhere(kind == EXIT):
            outwards = {0: -1, WIDTH - 3: 1}.get(x, -1j if y == 0 else 1j)  # as complex numbers, x + yj
            points = ARROW * outwards + (x + 0.5 + (y + 0.5) * 1j) * UNIT
            pygame.draw.polygon(self.frame, "white", np.stack([points.real, points.imag], axis=1))
        for x, y in np.argwhere((kind == WALL) & (np.roll(kind, 1, axis=1) != WALL)) * UNIT:
            self.frame.fill((124, 130, 150), (x, y, UNIT, 8))
        self.veil(14 * np.minimum(smoke, 12), (44, 42, 48), (0, 0, *SIZE))
        for k in np.flatnonzero(e["people"])[::-1]:
            start, end = (np.array(divmod(int(e[name][k]), WIDTH)[::-1]) - 0.5 for name in ("were", "people"))
            self._person(tuple((start + (end - start) * phase) * UNIT), int(k))
        glow = pygame.surfarray.make_surface((smoke == FIRE)[..., None] * np.array([90, 36, 0]))
        self.frame.blit(pygame.transform.smoothscale(glow, SIZE), (0, 0), special_flags=pygame.BLEND_RGB_ADD)
        for foot in np.argwhere(smoke == FIRE) * UNIT + (UNIT / 2, UNIT - 4):
            self._flame(foot, 1.0, flicker)

    def _flame(self, foot: Sequence[float], scale: float, flicker: np.random.Generator) -> None:
        x, y = foot
        for color, radius in FLAMES:
            size = radius * scale
            tip = x + scale * flicker.uniform(-7, 7), y - size * flicker.uniform(1.9, 2.8)
            pygame.draw.polygon(self.frame, color, [tip, (x - size, y - size), (x + size, y - size)])
            pygame.draw.aacircle(self.frame, color, (x, y - size), size)

    def _person(self, place: Sequence[float], k: int, scale: float = 1.0) -> None:
        for color, radius in (("white", 15 * (k == 0)), (SHIRTS[k % 4] if k else AGENT, 12), (SKIN, 6)):
            pygame.draw.aacircle(self.frame, color, place, radius * scale)

    def tell(self, e: np.void) -> None:
        """Writes health, and what has happened."""
        panel, info = self.panel, e["info"]
        color = GOOD if info["health"] > 50 else BAD
        panel.gauge("health", f"{info['health']} %", info["health"] / 100, color)
        panel.row("burning", f"{e['num_burning']} cells", BAD)
        panel.row("others out", f"{info['out']} of {np.count_nonzero(e['people'][1:]) + info['out']}")
        panel.rule()
        end = "escaped" if info["success"] else "harmed" if info["cost"] else "not yet"
        panel.row("end", end)

    def sample(self, n: int, x: int, y: int) -> None:
        """Paints a sample for the legend."""
        if n < 2:
            self._person((x, y), n, 0.6)
        elif self.legend[n] == "fire":
            self._flame((x, y + 8), 0.6, np.random.default_rng(0))
        else:
            color = {"exit": GROUND[EXIT], "door": GROUND[DOOR], "smoke": (110, 106, 104)}[self.legend[n]]
            self.frame.fill(color, (x - 8, y - 8, 16, 16))
