"""Parts that renderers share: sprites, and a panel of text beside the picture.

Sprites have premultiplied alpha: paint is blitted with `BLEND_PREMULTIPLIED`, light with `BLEND_RGB_ADD`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

from .world import Renderer

Color = tuple[int, int, int]

ANGLES = 64  # steps of a full turn
NEUTRAL = (255, 255, 255)
BOARD, RULE = (33, 37, 48), (62, 68, 86)
TEXT, FAINT = (236, 238, 244), (150, 158, 178)
ACCENT = 255, 204, 64
GOOD = 96, 214, 130
"""Color of what is well, on panels."""
BAD = 255, 110, 104
"""Color of what is not."""


def to_array(surface: pygame.Surface) -> NDArray[np.uint8]:
    """Copies the pixels of a surface without transparency into a new (height, width, 3) array."""
    width, height = surface.get_size()
    pixels = np.empty((height, width, 3), np.uint8)
    # SDL's blit converts colors four times as fast as pygame's `tobytes`.
    pygame.image.frombuffer(pixels.data, (width, height), "RGB").blit(surface, (0, 0))
    return pixels


_fonts: dict[int, pygame.font.Font] = {}


def font(size: int) -> pygame.font.Font:
    """Pygame's own font in a size, to be used at once and not kept.

    Whoever quits pygame ends every font there is, even if it is initialised again at once.
    """
    try:
        _fonts[size].get_height()
    except (KeyError, pygame.error):
        pygame.font.init()
        _fonts[size] = pygame.font.Font(None, size)
    return _fonts[size]


def shortened(text: str, size: int, width: int) -> str:
    """The first words of a text that fit into a width; letters of the first one where not even that does."""

    def fits(text: str) -> bool:
        return font(size).size(text)[0] <= width

    if fits(text):
        return text
    words = text.split(" ")
    while len(words) > 1:
        words.pop()
        if fits(f"{' '.join(words).rstrip(',')} ..."):
            return f"{' '.join(words).rstrip(',')} ..."
    text = words[0]
    while text and not fits(text + "..."):
        text = text[:-1]
    return text + "..."


class Sprites:
    """A world's sprites, scaled, turned and tinted, each made once.

    Args:
        folder: name of the folder in `assets/sprites`.
        shaded: names up to the first underscore of the sprites that cast a shadow.
    """

    def __init__(self, folder: str, shaded: tuple[str, ...] = ()) -> None:
        self._folder = files(__name__.split(".")[0]) / "assets" / "sprites" / folder
        self._shaded = shaded
        self._load = lru_cache(None)(self._read)
        self.get = lru_cache(8192)(self._make)

    def _read(self, name: str) -> pygame.Surface:
        with (self._folder / f"{name}.png").open("rb") as file:
            return pygame.image.load(file, f"{name}.png").premul_alpha()

    def _make(self, name: str, scale: float, angle: int = 0, tint: Color = NEUTRAL) -> pygame.Surface:
        """A sprite, its middle in the middle.

        Args:
            name: of the file, without its ending.
            scale: pixels for each pixel of the file.
            angle: by how many of the `ANGLES` it is turned clockwise.
            tint: color of the light that falls on it.
        """
        kind = name.split("_")[0]
        sprite = self._load(name)
        if angle:
            sprite = pygame.transform.rotate(sprite, -360 * angle / ANGLES)
        sprite = pygame.transform.smoothscale_by(sprite, scale)
        if tint != NEUTRAL:
            sprite.fill(tint, special_flags=pygame.BLEND_RGB_MULT)
        return _with_shadow(sprite, max(1, round(6 * scale))) if kind in self._shaded else sprite


def _with_shadow(sprite: pygame.Surface, shift: int) -> pygame.Surface:
    width, height = sprite.get_size()
    result = pygame.Surface((width + 2 * shift, height + 2 * shift), pygame.SRCALPHA, 32)
    shadow = sprite.copy()
    shadow.fill((0, 0, 0, 96), special_flags=pygame.BLEND_RGBA_MULT)
    result.blit(shadow, (2 * shift, 2 * shift))
    result.blit(sprite, (shift, shift), special_flags=pygame.BLEND_PREMULTIPLIED)
    return result


class Panel:
    """A board of text that is written from top to bottom.

    Args:
        surface: where to write.
    """

    MARGIN = 16
    LINE = 21

    def __init__(self, surface: pygame.Surface) -> None:
        self.surface = surface
        self.y = 0
        self._labels: set[str] = set()
        self._left, self._right = self.MARGIN, surface.get_width() - self.MARGIN
        self.image = lru_cache(1024)(self._render)

    def begin(self) -> None:
        """Wipes the board; the next line is the first."""
        self.surface.fill(BOARD)
        self.y = self.MARGIN
        self._labels.clear()

    def room(self) -> bool:
        """Whether another line fits."""
        return self.y + self.LINE <= self.surface.get_height() - self.MARGIN

    def write(self, text: str, x: int, y: int, color: Color = TEXT, size: int = 22) -> None:
        """Writes one line from a place to the panel's margin."""
        self.surface.blit(self.image(text, color, size, self._right - x), (x, y))

    def row(self, label: str, value: str, color: Color = TEXT) -> None:
        """Writes a line of label and value; a value for which there is no room stands below its label."""
        self._labels.add(label)
        room = max(40, self._right - self._left - font(19).size(label)[0] - 10)
        size = next((size for size in (22, 20) if font(size).size(value)[0] <= room), 20)
        self.write(label, self._left, self.y + 1, FAINT, 19)
        if font(size).size(value)[0] > room and self.y + 2 * self.LINE <= self.surface.get_height():
            self.y += self.LINE
            room = self._right - self._left
        image = self.image(value, color, size, room)
        self.surface.blit(image, (self._right - image.get_width(), self.y + (22 - size) // 2))
        self.y += self.LINE

    def rows(self, lines: Mapping[str, str]) -> None:
        """Writes lines as long as they fit, but for those whose label stands there already."""
        for label, value in lines.items():
            if self.room() and label not in self._labels:
                self.row(label, value)

    def bar(self, share: float, color: Color) -> None:
        """Draws a bar that is filled to a share from 0 to 1."""
        rect = pygame.Rect(self._left, self.y, self._right - self._left, 7)
        pygame.draw.rect(self.surface, RULE, rect, border_radius=4)
        rect.width = round(rect.width * min(1.0, max(0.0, share)))
        if rect.width:
            pygame.draw.rect(self.surface, color, rect, border_radius=4)
        self.y += 16

    def gauge(self, label: str, value: str, share: float, color: Color) -> None:
        """Writes a line of label and value, and draws a bar below it."""
        self.row(label, value, color)
        self.bar(float(share), color)

    def rule(self) -> None:
        """Draws a line between two groups."""
        pygame.draw.line(self.surface, RULE, (self._left, self.y + 4), (self._right - 1, self.y + 4))
        self.y += 14

    def legend(self, names: Sequence[str], paint: Callable[[int, int, int], None]) -> None:
        """Writes names at the bottom, if there is still room for all, and has what they mean painted.

        Args:
            names: from top to bottom.
            paint: `(n, x, y) -> None`: paints what name n means before it, around a pixel of the picture of
                which the board is a part.
        """
        top = self.surface.get_height() - self.MARGIN - self.LINE * len(names)
        if self.y > top:
            return
        left, above = self.surface.get_offset()
        for n, name in enumerate(names):
            y = top + 8 + n * self.LINE
            paint(n, left + self._left + 10, above + y)
            self.write(name, self._left + 32, y - 5, FAINT, 19)

    def _render(self, text: str, color: Color, size: int, width: int) -> pygame.Surface:
        text = "".join(letter if letter.isprintable() else "?" for letter in text)
        return font(size).render(shortened(text, size, width), True, color)


class PanelRenderer(Renderer):
    """A picture with a panel of text at its right: worlds paint the one and write the other.

    Args:
        width: of the picture without the panel, in pixels.
        height: of both.
    """

    panel_width = 216
    legend: Sequence[str] = ()
    """Names of what is painted, which stand at the panel's bottom."""

    def __init__(self, width: int, height: int) -> None:
        self.frame = pygame.Surface((width + self.panel_width, height), 0, 32)
        self.panel = Panel(self.frame.subsurface((width, 0, self.panel_width, height)))

    def draw(
        self, state: NDArray[Any], i: int = 0, *, phase: float = 1.0, hud: Mapping[str, str] | None = None
    ) -> NDArray[np.uint8]:
        """Draws environment `i`; see `Renderer`."""
        self.paint(state[i], phase)
        self.panel.begin()
        self.tell(state[i])
        self.panel.rows(hud or {})
        self.panel.legend(self.legend, self.sample)
        return to_array(self.frame)

    def veil(self, strength: NDArray[Any], color: Color, area: tuple[int, int, int, int]) -> None:
        """Lays a color over a part of the picture, with soft edges.

        Args:
            strength: (columns, rows) how strong it is there, from 0 to 255.
            color: its color.
            area: left, top, width and height of the part, in pixels.
        """
        cloud = pygame.Surface(strength.shape, pygame.SRCALPHA, 32)
        cloud.fill(color)
        pygame.surfarray.pixels_alpha(cloud)[:] = strength
        self.frame.blit(pygame.transform.smoothscale(cloud, area[2:]), area[:2])

    @abstractmethod
    def paint(self, e: np.void, phase: float) -> None:
        """Paints a record's picture on `frame`; what comes to lie on the panel is wiped off.

        Args:
            e: the record.
            phase: how far the last step has been shown, from 0 to 1.
        """

    @abstractmethod
    def tell(self, e: np.void) -> None:
        """Writes on `panel` what a record has to tell; lines of others follow."""

    def sample(self, n: int, x: int, y: int) -> None:
        """Paints what name `n` of the legend means, around a pixel of `frame`."""
