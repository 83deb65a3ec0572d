"""Draws the platformer: the coast in layers, the level before it, whoever plays it, and a panel beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pygame
from numpy.typing import NDArray

from ..core.renderer import ACCENT, BAD, FAINT, GOOD, TEXT, Color, Panel, Sprites, to_array
from ..core.splits import shown_seed
from ..core.world import Renderer
from .levels import Level
from .scene import Scene, Thing, between
from .state import ALIVE, DEATH_NAMES, HEIGHT, PIXEL, TICKS_PER_SECOND, PlatformerParams

SCALE = 3
"""Pixels of the picture for each pixel of a sprite."""
VIEW = 20 * 16
"""Width of what is seen, in pixels of the level."""
AHEAD = VIEW * 2 // 5
"""Where the player is seen, from the left, while the level scrolls."""
PANEL_WIDTH = 240

LAYERS = {"sky": 0, "clouds": 10, "sea": 7, "town": 4, "trees": 2}
"""Layers from back to front, and how many times as slow as the level they scroll; the sky stands still."""
SKY = (150, 205, 235)
"""Behind levels that are drawn whole."""
KEY = (255, 0, 255)
"""Stands for nothing in layers, which are many times faster to draw so than with an alpha channel."""
GHOST = 140
"""How solid who is faint looks, of 255."""
GHOST_TINTS = (
    (255, 255, 255),
    (255, 190, 150),
    (160, 220, 255),
    (255, 170, 220),
    (180, 255, 180),
    (255, 240, 140),
)

LEGEND = (
    ("walker_0", "turns at walls"), ("edger_0", "turns at edges"), ("shelled_0", "hides in its shell"),
    ("flyer_0", "hovers"), ("walker_winged_0", "hops"), ("spiny_0", "can't be stomped"),
    ("plant_0", "lurks in a pipe"), ("mushroom", "makes big"),
)  # fmt: skip
LEGEND_LINE = 38


class PlatformerRenderer(Renderer):
    """Draws one environment of a batch of platformers.

    Args:
        params: tables of the world whose states are drawn.
        levels: its pool.
    """

    panel_width = PANEL_WIDTH
    draws = ("ghosts",)

    def __init__(self, params: PlatformerParams, levels: Sequence[Level]) -> None:
        self._levels = params.levels
        self._titles = [level.title or _short(level.name) for level in levels]
        self._scene = Scene(params)
        self._frame = pygame.Surface((VIEW * SCALE + PANEL_WIDTH, HEIGHT * 16 * SCALE), 0, 32)
        self._view = self._frame.subsurface((0, 0, VIEW * SCALE, self._frame.get_height()))
        self._panel = Panel(self._frame.subsurface((VIEW * SCALE, 0, PANEL_WIDTH, self._frame.get_height())))
        self._sprites = Sprites("platformer")
        self._layer = lru_cache(None)(self._make_layer)
        self._sprite = lru_cache(1024)(self._make_sprite)

    def between(self, before: NDArray, after: NDArray, phase: float) -> NDArray:
        """States to be drawn between two that are a step apart (see `scene.between`)."""
        return between(before, after, phase)

    def draw(
        self,
        state: NDArray,
        i: int = 0,
        *,
        phase: float = 1.0,
        hud: Mapping[str, str] | None = None,
        ghosts: Iterable[int] = (),
    ) -> NDArray[np.uint8]:
        """Draws environment `i`.

        Args:
            state: batch of the platformer's state records; between two steps, those of `between`.
            i: which of them.
            phase: how much of the last step has been shown, from 0 (the state before it) to 1.
            hud: further lines for the panel, label to text.
            ghosts: environments whose players are drawn, too, see-through, where they play the same level.

        Returns:
            (height, width, 3) uint8 picture, of one size whatever the state.
        """
        e = state[i]
        player = self._scene.player(e, phase)
        left = self._camera(e)
        self._draw_coast(left)
        others = [k for k in ghosts if k != i and state[k]["level"] == e["level"]]
        self._blit(self._scene.things(e, phase, left, left + VIEW), left)
        for k in others:
            ghost = self._scene.player(state[k], phase)._replace(faint=True)
            self._blit([ghost], left, GHOST_TINTS[k % len(GHOST_TINTS)])
        self._blit([player], left)
        self._write(e, phase, hud or {}, state[others])
        return to_array(self._frame)

    def whole(self, state: NDArray, i: int = 0) -> NDArray[np.uint8]:
        """Draws all of environment `i`'s level, before a plain sky.

        Returns:
            (height, width, 3) uint8 picture, `SCALE` times the level's size.
        """
        e = state[i]
        width = int(self._levels["width"][e["level"]]) * 16
        parts = []
        for left in range(0, width, VIEW):
            self._view.fill(SKY)
            self._blit(self._scene.things(e, 1.0, left, left + VIEW), left)
            self._blit([self._scene.player(e, 1.0)], left)
            parts.append(to_array(self._view))
        return np.concatenate(parts, axis=1)[:, : width * SCALE]

    def _camera(self, e: np.void) -> float:
        """The level's pixel at the left edge of the view, a whole pixel of the picture."""
        furthest = int(self._levels["width"][e["level"]]) * 16 - VIEW
        left = min(max(0.0, int(e["x"]) / PIXEL - AHEAD), furthest)
        return round(left * SCALE) / SCALE

    def _draw_coast(self, left: float) -> None:
        for name, slower in LAYERS.items():
            layer, top = self._layer(name)
            x = -round(left * SCALE / slower) % layer.get_width() if slower else 0
            for start in (x - layer.get_width(), x):
                self._view.blit(layer, (start, top))

    def _make_layer(self, name: str) -> tuple[pygame.Surface, int]:
        """A layer without what is empty above and below, and its top; nothing of it is see-through."""
        whole = self._sprites.get(name, 1.0)
        part = whole.get_bounding_rect()
        part.x, part.width = 0, whole.get_width()
        layer = pygame.Surface(part.size, 0, self._frame)
        layer.fill(KEY)
        layer.blit(whole, (0, 0), part)
        layer = pygame.transform.scale_by(layer, SCALE)
        layer.set_colorkey(KEY, pygame.RLEACCEL)
        return layer, part.y * SCALE

    def _blit(self, things: Iterable[Thing], left: float, tint: Color = GHOST_TINTS[0]) -> None:
        places = []
        for thing in things:
            sprite = self._sprite(thing.sprite, thing.flipped, thing.overturned, thing.faint, tint)
            x = round((thing.x - left) * SCALE) - sprite.get_width() // 2
            places.append((sprite, (x, round(thing.y * SCALE) - sprite.get_height())))
        self._view.fblits(places, pygame.BLEND_PREMULTIPLIED)

    def _make_sprite(
        self,
        name: str,
        flipped: bool = False,
        overturned: bool = False,
        faint: bool = False,
        tint: Color = GHOST_TINTS[0],
    ) -> pygame.Surface:
        sprite = pygame.transform.flip(self._sprites.get(name, 1.0), flipped, overturned)
        sprite = pygame.transform.scale_by(sprite, SCALE)
        if faint:
            sprite.fill((*tint, 255), special_flags=pygame.BLEND_RGBA_MULT)
            sprite.fill((GHOST,) * 4, special_flags=pygame.BLEND_RGBA_MULT)
        return sprite

    # ------------------------------------------------------------ the panel

    def _write(self, e: np.void, phase: float, hud: Mapping[str, str], ghosts: NDArray) -> None:
        panel, info = self._panel, e["info"]
        panel.begin()
        ticks = max(0.0, self._scene.clock(e, phase))
        panel.write(f"{int(e['score']):06d}", panel.MARGIN, panel.y, size=40)
        self._coins(int(e["coins"]))
        panel.y += 36
        panel.rule()
        par = int(info["par_time"])
        late = par > 0 and ticks > par
        panel.row("level", self._titles[e["level"]])
        panel.row("time", f"{ticks / TICKS_PER_SECOND:.1f} s", BAD if late else TEXT)
        panel.row("par", f"{par / TICKS_PER_SECOND:.1f} s" if par else "not certified")
        panel.row("progress", f"{100 * float(info['progress']):.0f} %")
        self._progress(e, ghosts)
        if info["clear"]:
            panel.row("", "flag reached", GOOD)
        elif info["death"] != ALIVE:
            panel.row("died of", DEATH_NAMES[int(info["death"])], BAD)
        else:
            panel.row("size", "big" if e["big"] else "small")
        panel.rule()
        panel.rows(hud)
        legend_top = panel.surface.get_height() - panel.MARGIN - LEGEND_LINE * len(LEGEND)
        if panel.y <= legend_top:
            self._legend(legend_top)

    def _coins(self, number: int) -> None:
        panel = self._panel
        text = f"x {number}"
        coin = pygame.transform.scale_by(self._sprites.get("coin_0", 1.0), 2)
        x = panel.surface.get_width() - panel.MARGIN - 66
        panel.surface.blit(coin, (x, panel.y - 4), special_flags=pygame.BLEND_PREMULTIPLIED)
        panel.write(text, x + 34, panel.y + 6, ACCENT)

    def _progress(self, e: np.void, ghosts: NDArray) -> None:
        """A bar of the way to the flag, with a mark for each ghost."""
        panel = self._panel
        room = panel.surface.get_width() - 2 * panel.MARGIN
        y = panel.y
        panel.bar(float(e["info"]["progress"]), GOOD if e["info"]["clear"] else ACCENT)
        for share in ghosts["info"]["progress"].tolist():
            x = panel.MARGIN + round(room * min(1.0, max(0.0, share)))
            pygame.draw.line(panel.surface, FAINT, (x, y - 2), (x, y + 8))

    def _legend(self, y: int) -> None:
        panel = self._panel
        for name, text in LEGEND:
            sprite = pygame.transform.scale_by(self._sprites.get(name, 1.0), 2)
            head = 0, 0, 32, 32
            panel.surface.blit(sprite, (panel.MARGIN, y), head, special_flags=pygame.BLEND_PREMULTIPLIED)
            panel.write(text, panel.MARGIN + 44, y + 10, FAINT, 19)
            y += LEGEND_LINE


def _short(name: str) -> str:
    """A generated level's seed, as people read it; other names as they are."""
    kind, _, seed = name.rpartition("-")
    return shown_seed(int(seed)) if kind.startswith("generated-") and seed.isdecimal() else name
