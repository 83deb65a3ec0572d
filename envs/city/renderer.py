"""Draws the city from above: still streets, which are kept, on them all that moves, and a panel beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core.renderer import (
    ACCENT,
    ANGLES,
    BAD,
    BOARD,
    FAINT,
    GOOD,
    NEUTRAL,
    RULE,
    TEXT,
    Color,
    Panel,
    Sprites,
    to_array,
)
from ..core.world import Renderer
from ..streets.maps import StreetMap
from .scene import Scene, Thing, divide, is_dark
from .site_renderer import CHUNK, LAWN, MARGIN, NIGHT, UNIT, Site
from .state import SIREN_RANGE, CityParams

VIEW = 680  # pixels, the widest and highest the map is shown; larger ones scroll
SMALLEST_CELL, LARGEST_CELL = 16, 28  # pixels
PANEL_WIDTH, LEAST_HEIGHT = 216, 560  # pixels
WHOLE = 150  # pixels, the longer side of the small map of the whole city

SHADED = ("car", "van", "taxi", "ambulance", "person", "tree", "pin")
SHINING = ("glow", "beams")
UNLIT = ("pin", "taxi")  # shaded, but as bright by night as by day
# Cells for 64 pixels of a sprite, where it is not one.
SIZES = {"car": 1.12, "van": 1.1, "taxi": 1.16, "ambulance": 1.16, "person": 0.9, "pin": 0.62}
DAYLIGHT: dict[int, Color] = {6: (226, 206, 214), 18: (255, 240, 222), 19: (244, 204, 188)}  # else NEUTRAL

LEGEND = (
    ("taxi", "ego car"), ("car_blue", "other cars"), ("ambulance_0", "ambulance"), ("person_0", "pedestrian"),
    ("ring_person", "about to cross"), ("route", "shortest route"), ("pin", "destination"),
)  # fmt: skip


class CityRenderer(Renderer):
    """Draws one environment of a batch of cities.

    Args:
        params: tables of the world whose states are drawn.
        maps: its pool.
    """

    panel_width = PANEL_WIDTH

    def __init__(self, params: CityParams, maps: Sequence[StreetMap]) -> None:
        self._rules = params.rules[0]
        self._maps = maps
        self._scene = Scene(params, maps)
        self._cells = maps[0].kind.shape
        self._pixels = min(LARGEST_CELL, max(SMALLEST_CELL, VIEW // max(self._cells)))
        height, width = (min(VIEW, cells * self._pixels) for cells in self._cells)
        self._frame = pygame.Surface((width + PANEL_WIDTH, max(height, LEAST_HEIGHT)), 0, 32)
        self._frame.fill(BOARD)
        middle = (self._frame.get_height() - height) // 2
        self._city = self._frame.subsurface((0, middle, width, height))
        self._scrolls = (height, width) != tuple(cells * self._pixels for cells in self._cells)
        self._panel = Panel(self._frame.subsurface((width, 0, PANEL_WIDTH, self._frame.get_height())))
        self._sprites = Sprites("city", SHADED)
        self._chunk = lru_cache(288)(self._paint_chunk)
        self._whole = lru_cache(8)(self._paint_whole)

    def draw(
        self, state: NDArray, i: int = 0, *, phase: float = 1.0, hud: Mapping[str, str] | None = None
    ) -> NDArray[np.uint8]:
        """Draws environment `i`.

        Args:
            state: batch of the city's state records.
            i: which of them.
            phase: how much of the last tick has been shown, from 0 (the state before it) to 1.
            hud: further lines for the panel, label to text.

        Returns:
            (height, width, 3) uint8 picture, of one size whatever the state.
        """
        e = state[i]
        hour, pixels = int(e["info"]["hour"]), self._pixels
        light = NIGHT if is_dark(hour) else DAYLIGHT.get(hour, NEUTRAL)
        ego = self._scene.ego(e, phase)
        left = _scroll(ego.x * pixels, self._cells[1] * pixels, self._city.get_width())
        top = _scroll(ego.y * pixels, self._cells[0] * pixels, self._city.get_height())

        side = CHUNK * pixels
        for row in range(top // side, (top + self._city.get_height() - 1) // side + 1):
            for column in range(left // side, (left + self._city.get_width() - 1) // side + 1):
                chunk = self._chunk(int(e["map"]), row, column, light)
                self._city.blit(chunk, (column * side - left, row * side - top))
        paint, shine = [], []
        for name, x, y, quarters in self._scene.things(e, phase):
            sprite = self._sprite(name, round(quarters * ANGLES / 4) % ANGLES, light)
            corner = x * pixels - sprite.get_width() / 2, y * pixels - sprite.get_height() / 2
            layer = shine if name.startswith(SHINING) else paint
            layer.append((sprite, (round(corner[0]) - left, round(corner[1]) - top)))
        self._city.fblits(paint, pygame.BLEND_PREMULTIPLIED)
        self._city.fblits(shine, pygame.BLEND_RGB_ADD)
        self._write_credit(self._maps[int(e["map"])].credit)
        if self._scrolls:
            self._show_whole(e, ego, left, top)
        self._write(e, hud or {})
        return to_array(self._frame)

    def _sprite(self, name: str, angle: int, light: Color) -> pygame.Surface:
        kind = name.split("_")[0]
        scale = SIZES.get(kind, 1.0) * self._pixels / UNIT
        is_lit = kind in SHADED and kind not in UNLIT
        return self._sprites.get(name, scale, angle, light if is_lit else NEUTRAL)

    def _paint_chunk(self, m: int, row: int, column: int, light: Color) -> pygame.Surface:
        streets = self._maps[m]
        site = Site(streets, divide(streets), self._sprites, row * CHUNK - MARGIN, column * CHUNK - MARGIN)
        return pygame.transform.smoothscale(site.paint(light), (CHUNK * self._pixels, CHUNK * self._pixels))

    # ------------------------------------------------------------ on the map

    def _write_credit(self, credit: str) -> None:
        if credit:
            words = self._panel.image(credit, TEXT, 19, self._city.get_width() - 16)
            place = words.get_rect(bottomleft=(8, self._city.get_height() - 6))
            pygame.draw.rect(self._city, BOARD, place.inflate(10, 6), border_radius=4)
            self._city.blit(words, place)

    def _show_whole(self, e: np.void, ego: Thing, left: int, top: int) -> None:
        """A small map of the whole city, with what is in view, the car and its destination."""
        whole = self._whole(int(e["map"]))
        scale = whole.get_width() / self._cells[1]
        place = whole.get_rect(right=self._city.get_width() - 8, y=8)
        if ego.x * self._pixels - left > place.x - 40 and ego.y * self._pixels - top < place.bottom + 40:
            place.x = 8
        self._city.blit(whole, place)
        view = pygame.Rect(left, top, *self._city.get_size())
        x, y, width, height = (round(side * scale / self._pixels) for side in view)
        pygame.draw.rect(self._city, ACCENT, (place.x + x, place.y + y, width, height), 2)
        goal = self._scene.place(int(e["map"]), int(e["destination"]))
        for thing, color in ((goal, BAD), (ego, ACCENT)):
            middle = place.x + thing.x * scale, place.y + thing.y * scale
            pygame.draw.circle(self._city, BOARD, middle, 5)
            pygame.draw.circle(self._city, color, middle, 4)

    def _paint_whole(self, m: int) -> pygame.Surface:
        streets = self._maps[m]
        colors = np.array([BOARD, RULE, TEXT, TEXT, TEXT], np.uint8)[streets.kind]
        colors[streets.ground] = np.array(LAWN) // 2
        surface = pygame.surfarray.make_surface(colors.swapaxes(0, 1))
        surface = pygame.transform.smoothscale_by(surface, WHOLE / max(self._cells))
        pygame.draw.rect(surface, FAINT, surface.get_rect(), 1)
        return surface

    # ------------------------------------------------------------ the panel

    def _write(self, e: np.void, hud: Mapping[str, str]) -> None:
        panel, info = self._panel, e["info"]
        panel.begin()
        self._clock(int(info["hour"]))
        panel.rule()
        moved = int(e["cars"]["came"][0] != e["cars"]["cell"][0])
        panel.row("speed", f"{moved} cell/tick")
        panel.row("distance", f"{int(info['distance'])} cells")
        panel.bar(float(info["progress"]), GOOD if info["success"] else ACCENT)
        harms = [name for name in ("car", "person", "ambulance") if info["harm_" + name]]
        panel.row("harm", " + ".join(harms) or "none", BAD if harms else GOOD)
        if harms:
            panel.row("own fault", "yes" if info["own_fault"] else "no", BAD)
        siren = self._siren(e)
        if siren is None:
            panel.row("siren", "none")
        else:
            panel.row("siren", f"{siren} cell{'s' * (siren != 1)} away", BAD)
        panel.row("traffic", f"{int(e['num_cars'])} cars")
        panel.rule()
        if info["success"]:
            panel.row("", "arrived", GOOD)
        panel.rows(hud)
        panel.legend([text for _, text in LEGEND], self._sample)

    def _siren(self, e: np.void) -> int | None:
        """Cells to the ambulance, along the longer axis, where its siren is heard."""
        if e["ambulance_cell"] < 0:
            return None
        y, x = divmod(int(e["cars"]["cell"][0]), self._cells[1])
        v, u = divmod(int(e["ambulance_cell"]), self._cells[1])
        gap = max(abs(y - v), abs(x - u))
        return gap if gap <= SIREN_RANGE else None

    def _clock(self, hour: int) -> None:
        panel = self._panel
        x, y = panel.MARGIN + 26, panel.y + 26
        pygame.draw.aacircle(panel.surface, RULE if is_dark(hour) else TEXT, (x, y), 26)
        ink = TEXT if is_dark(hour) else BOARD
        for k in range(12):
            mark = pygame.Vector2(0, -21).rotate(30 * k)
            pygame.draw.circle(panel.surface, ink, mark + (x, y), 1.5)
        hand = pygame.Vector2(0, -13).rotate(30 * hour)
        pygame.draw.line(panel.surface, ink, (x, y), hand + (x, y), 3)
        pygame.draw.line(panel.surface, ACCENT, (x, y), (x, y - 19), 2)
        pygame.draw.circle(panel.surface, ink, (x, y), 3)
        rush = self._rules["profile"][hour] > 0
        panel.write(f"{hour:02d}:00", x + 38, panel.y + 4, size=40)
        words = "rush hour" if rush else "night" if is_dark(hour) else "quiet streets"
        panel.write(words, x + 39, panel.y + 35, ACCENT if rush else FAINT, 19)
        panel.y += 62

    def _sample(self, n: int, x: int, y: int) -> None:
        name, _ = LEGEND[n]
        sprite = self._sprites.get(name, (10 if name.startswith(("ring", "pin")) else 18) / UNIT)
        place = sprite.get_rect(center=(x, y + 2))
        self._frame.blit(sprite, place, special_flags=pygame.BLEND_PREMULTIPLIED)


def _scroll(centre: float, length: int, view: int) -> int:
    """Pixels by which a map of some length is scrolled so that the centre is in view."""
    return max(0, min(round(centre - view / 2), length - view))
