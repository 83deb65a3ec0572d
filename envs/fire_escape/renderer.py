"""Draws a burning building; everything is painted by code, nothing is read from files."""

from collections.abc import Mapping, Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core import Panel, Renderer, to_array
from .state import DOOR, EXIT, FIRE, HEIGHT, WALL, WIDTH

UNIT = 32  # pixels of a cell
PANEL = 216  # width of the text beside it, in pixels
SIZE = UNIT * (WIDTH - 2), UNIT * (HEIGHT - 2)  # of the building's picture, in pixels
GROUND = np.array([(204, 194, 176), (158, 116, 76), (36, 168, 92), (86, 92, 110), (38, 42, 54)], np.uint8)
ARROW = np.array([-9 - 4j, 2 - 4j, 2 - 10j, 12, 2 + 10j, 2 + 4j, -9 + 4j])
GOOD, BAD, AGENT, SKIN = (96, 214, 130), (255, 110, 104), (40, 120, 255), (240, 206, 172)
SHIRTS = (222, 168, 70), (176, 110, 170), (90, 150, 110), (206, 104, 96)
LEGEND = "agent", "others", "exit", "door", "smoke", "fire"
FLAMES = ((222, 58, 26), 13), ((255, 140, 36), 9), ((255, 226, 128), 5)  # colors, and radii in pixels


class FireEscapeRenderer(Renderer):
    """Draws one environment of a batch."""

    panel_width = PANEL

    def __init__(self) -> None:
        self._frame = pygame.Surface((SIZE[0] + PANEL, SIZE[1]), 0, 32)
        self._panel = Panel(self._frame.subsurface((SIZE[0], 0, PANEL, SIZE[1])))

    def draw(
        self, state: NDArray, i: int = 0, *, phase: float = 1.0, hud: Mapping[str, str] | None = None
    ) -> NDArray[np.uint8]:
        """Draws environment `i`; see `Renderer`."""
        e, flicker = state[i], np.random.default_rng(int(state["elapsed"][i]))
        kind, smoke = (e[name].reshape(HEIGHT, WIDTH)[1:-1, 1:-1].T for name in ("kind", "smoke"))
        tiles = GROUND[kind] - np.uint8(7) * (np.indices(kind.shape).sum(axis=0) % 2 * (kind < 2))[..., None]
        self._frame.blit(pygame.transform.scale(pygame.surfarray.make_surface(tiles), SIZE), (0, 0))
        for x, y in np.argwhere(kind == EXIT):
            outwards = {0: -1, WIDTH - 3: 1}.get(x, -1j if y == 0 else 1j)  # as complex numbers, x + yj
            points = ARROW * outwards + (x + 0.5 + (y + 0.5) * 1j) * UNIT
            pygame.draw.polygon(self._frame, "white", np.stack([points.real, points.imag], axis=1))
        for x, y in np.argwhere((kind == WALL) & (np.roll(kind, 1, axis=1) != WALL)) * UNIT:
            self._frame.fill((124, 130, 150), (x, y, UNIT, 8))
        cloud = pygame.Surface(kind.shape, pygame.SRCALPHA, 32)
        cloud.fill((44, 42, 48))
        pygame.surfarray.pixels_alpha(cloud)[:] = 14 * np.minimum(smoke, 12)
        self._frame.blit(pygame.transform.smoothscale(cloud, SIZE), (0, 0))
        for k in np.flatnonzero(e["people"])[::-1]:
            start, end = (np.array(divmod(int(e[name][k]), WIDTH)[::-1]) - 0.5 for name in ("were", "people"))
            self._person(tuple((start + (end - start) * phase) * UNIT), int(k))
        glow = pygame.surfarray.make_surface((smoke == FIRE)[..., None] * np.array([90, 36, 0]))
        self._frame.blit(pygame.transform.smoothscale(glow, SIZE), (0, 0), special_flags=pygame.BLEND_RGB_ADD)
        for foot in np.argwhere(smoke == FIRE) * UNIT + (UNIT / 2, UNIT - 4):
            self._flame(foot, 1.0, flicker)
        self._write(e, hud or {})
        return to_array(self._frame)

    def _flame(self, foot: Sequence[float], scale: float, flicker: np.random.Generator) -> None:
        x, y = foot
        for color, radius in FLAMES:
            size = radius * scale
            tip = x + scale * flicker.uniform(-7, 7), y - size * flicker.uniform(1.9, 2.8)
            pygame.draw.polygon(self._frame, color, [tip, (x - size, y - size), (x + size, y - size)])
            pygame.draw.aacircle(self._frame, color, (x, y - size), size)

    def _person(self, place: Sequence[float], k: int, scale: float = 1.0) -> None:
        for color, radius in (("white", 15 * (k == 0)), (SHIRTS[k % 4] if k else AGENT, 12), (SKIN, 6)):
            pygame.draw.aacircle(self._frame, color, place, radius * scale)

    def _write(self, e: np.void, hud: Mapping[str, str]) -> None:
        panel, info = self._panel, e["info"]
        color = GOOD if info["health"] > 50 else BAD
        panel.begin()
        panel.row("health", f"{info['health']} %", color)
        panel.bar(info["health"] / 100, color)
        panel.row("burning", f"{e['num_burning']} cells", BAD)
        panel.row("others out", f"{info['out']} of {np.count_nonzero(e['people'][1:]) + info['out']}")
        panel.rule()
        panel.rows({"end": "escaped" if info["success"] else "harmed" if info["cost"] else "not yet", **hud})
        y = SIZE[1] - panel.MARGIN - panel.LINE * len(LEGEND)
        if panel.y <= y:
            self._legend(y)

    def _legend(self, y: int) -> None:
        x = SIZE[0] + self._panel.MARGIN + 9
        for n, name in enumerate(LEGEND):
            middle = x, y + 8 + n * self._panel.LINE
            if n < 2:
                self._person(middle, n, 0.6)
            elif name == "fire":
                self._flame((x, middle[1] + 8), 0.6, np.random.default_rng(0))
            else:
                color = {"exit": GROUND[EXIT], "door": GROUND[DOOR], "smoke": (110, 106, 104)}[name]
                self._frame.fill(color, (x - 8, middle[1] - 8, 16, 16))
            self._panel.write(name, self._panel.MARGIN + 32, middle[1] - 5, (150, 158, 178), 19)
