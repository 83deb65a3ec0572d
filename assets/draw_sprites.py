"""Draws the project's sprites: `python assets/draw_sprites.py` writes `assets/sprites/<world>/*.png`.

Everything is drawn four times too large and averaged, in integers, so that the pictures are the same on every
machine. Vehicles and people head north, which is up; the middle of a picture is the middle of the thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pygame
from numpy.typing import NDArray

CELL = 64
"""Pixels of a city cell."""
FINER = 4
"""Drawn pixels for each pixel of a sprite's side."""

Color = tuple[int, int, int]
Point = tuple[float, float]

INK = (38, 42, 54)
GLASS = (52, 74, 98)
GLASS_SHINE = (118, 156, 184)
WHITE = (248, 248, 244)
HEADLAMP = (255, 246, 200)
TAIL_LAMP = (214, 48, 49)
SKIN = ((241, 199, 164), (198, 142, 104), (122, 82, 60))
SIREN_RED = (255, 59, 66)
SIREN_BLUE = (64, 132, 255)

CAR_PAINT: dict[str, Color] = {
    "red": (214, 69, 65),
    "blue": (58, 110, 190),
    "teal": (38, 152, 150),
    "silver": (186, 194, 202),
    "white": (236, 236, 230),
    "graphite": (84, 92, 108),
    "green": (88, 150, 92),
    "plum": (140, 86, 158),
}
CLOTHES: tuple[tuple[Color, Color], ...] = (  # shirt, hair
    ((229, 80, 57), (60, 42, 34)),
    ((74, 105, 189), (32, 30, 36)),
    ((246, 185, 59), (120, 76, 40)),
    ((56, 173, 169), (214, 178, 110)),
    ((247, 143, 179), (88, 50, 38)),
    ((238, 238, 232), (46, 46, 52)),
)
FOLIAGE: tuple[Color, ...] = ((88, 148, 82), (112, 164, 78), (70, 132, 92))


class Canvas:
    """A transparent picture, drawn on in sprite pixels."""

    def __init__(self, width: int = CELL, height: int = CELL) -> None:
        self._surface = pygame.Surface((width * FINER, height * FINER), pygame.SRCALPHA, 32)

    def box(self, color: Color, x: float, y: float, width: float, height: float, radius: float = 0) -> None:
        """Fills a rectangle with round corners."""
        rect = [round(value * FINER) for value in (x, y, width, height)]
        pygame.draw.rect(self._surface, color, rect, border_radius=round(radius * FINER))

    def disc(self, color: Color, x: float, y: float, radius: float) -> None:
        """Fills a circle."""
        pygame.draw.circle(self._surface, color, (x * FINER, y * FINER), radius * FINER)

    def oval(self, color: Color, x: float, y: float, width: float, height: float) -> None:
        """Fills an ellipse around a point."""
        rect = [round(value * FINER) for value in (x - width / 2, y - height / 2, width, height)]
        pygame.draw.ellipse(self._surface, color, rect)

    def shape(self, color: Color, points: Sequence[Point]) -> None:
        """Fills a polygon."""
        pygame.draw.polygon(self._surface, color, [(x * FINER, y * FINER) for x, y in points])

    def finish(self) -> pygame.Surface:
        """The picture at its own size, each pixel the average of those drawn."""
        colors = pygame.surfarray.array3d(self._surface).astype(np.int64)
        alpha = pygame.surfarray.array_alpha(self._surface).astype(np.int64)
        width, height = alpha.shape[0] // FINER, alpha.shape[1] // FINER
        blocks = (width, FINER, height, FINER)
        weight = alpha.reshape(blocks).sum(axis=(1, 3))
        total = (colors * alpha[:, :, None]).reshape(*blocks, 3).sum(axis=(1, 3))
        return picture(total // np.maximum(weight, 1)[:, :, None], weight // FINER**2)


def picture(colors: NDArray, alpha: NDArray) -> pygame.Surface:
    """Makes a surface of (W, H, 3) or broadcastable colors and (W, H) alpha values."""
    surface = pygame.Surface(alpha.shape, pygame.SRCALPHA, 32)
    pygame.surfarray.blit_array(surface, np.broadcast_to(colors, (*alpha.shape, 3)))
    pygame.surfarray.pixels_alpha(surface)[:] = alpha
    return surface


def shade(color: Color, percent: int) -> Color:
    """A lighter (above 100) or darker color."""
    red, green, blue = (min(255, value * percent // 100) for value in color)
    return red, green, blue


def car(paint: Color) -> Canvas:
    """A saloon."""
    canvas = Canvas()
    for x in (14, 45):
        for y in (12, 40):
            canvas.box(INK, x, y, 5, 11, 2)  # wheels
    canvas.box(shade(paint, 55), 15, 3, 34, 58, 11)
    canvas.box(paint, 17, 5, 30, 54, 10)
    canvas.box(shade(paint, 112), 20, 7, 24, 13, 6)  # bonnet
    canvas.shape(GLASS, [(19, 26), (24, 19), (40, 19), (45, 26), (42, 30), (22, 30)])
    canvas.shape(GLASS_SHINE, [(24, 21), (30, 21), (26, 28), (22, 28)])
    canvas.shape(GLASS, [(18.5, 29), (21, 31), (21, 44), (18.5, 47)])
    canvas.shape(GLASS, [(45.5, 29), (43, 31), (43, 44), (45.5, 47)])
    canvas.shape(GLASS, [(22, 46), (42, 46), (45, 51), (40, 53), (24, 53), (19, 51)])
    canvas.box(shade(paint, 122), 22, 30, 20, 16, 4)  # roof
    for x in (18, 39):
        canvas.box(HEADLAMP, x, 4.5, 7, 4, 2)
        canvas.box(TAIL_LAMP, x, 56, 7, 3, 1.5)
    return canvas


def taxi() -> Canvas:
    """The ego car: a yellow cab with a chequered band and a sign on its roof."""
    canvas = car((255, 196, 18))
    for k in range(8):
        for row in range(2):
            color = INK if (k + row) % 2 else WHITE
            canvas.box(color, 22 + 2.5 * k, 39 + 2.5 * row, 2.5, 2.5)
    canvas.box(INK, 25, 32.5, 14, 5, 2)
    canvas.box(WHITE, 26, 33.5, 12, 3, 1)
    return canvas


def van(paint: Color) -> Canvas:
    """A delivery van."""
    canvas = Canvas()
    for x in (13, 46):
        for y in (11, 43):
            canvas.box(INK, x, y, 5, 11, 2)
    canvas.box(shade(paint, 58), 14, 2, 36, 60, 7)
    canvas.box(paint, 16, 4, 32, 56, 6)
    canvas.shape(GLASS, [(18, 16), (22, 9), (42, 9), (46, 16), (44, 19), (20, 19)])
    canvas.shape(GLASS_SHINE, [(23, 11), (29, 11), (25, 17), (21, 17)])
    canvas.box(shade(paint, 116), 19, 22, 26, 35, 3)
    for y in (28, 35, 42, 49):
        canvas.box(shade(paint, 96), 21, y, 22, 1.5)
    for x in (17, 40):
        canvas.box(HEADLAMP, x, 3.5, 7, 4, 2)
        canvas.box(TAIL_LAMP, x, 58, 7, 2.5, 1)
    return canvas


def ambulance(left: Color, right: Color) -> Canvas:
    """An ambulance, with the colors that its two lamps show."""
    canvas = van(WHITE)
    canvas.box(WHITE, 18, 21, 28, 37, 3)
    canvas.box(SIREN_RED, 16, 22, 3.5, 37)
    canvas.box(SIREN_RED, 44.5, 22, 3.5, 37)
    canvas.box(SIREN_RED, 29, 34, 6, 22, 1)
    canvas.box(SIREN_RED, 21, 42, 22, 6, 1)
    canvas.box(INK, 18, 21, 28, 9, 4)
    canvas.box(left, 19.5, 22.5, 11, 6, 3)
    canvas.box(right, 33.5, 22.5, 11, 6, 3)
    return canvas


def person(shirt: Color, hair: Color, skin: Color) -> Canvas:
    """A pedestrian from above."""
    canvas = Canvas()
    for x in (24, 40):
        canvas.oval(shade(shirt, 42), x, 24 if x == 24 else 41, 12, 22)  # legs, in step
    canvas.oval(skin, 11, 30, 11, 14)
    canvas.oval(skin, 53, 34, 11, 14)
    canvas.oval(shade(shirt, 62), 32, 33, 46, 30)
    canvas.oval(shirt, 32, 32, 43, 26)
    canvas.disc(skin, 32, 27, 13)
    canvas.disc(hair, 32, 33, 13)
    return canvas


def tree(leaves: Color) -> Canvas:
    """A tree from above; the light comes from the north-west."""
    canvas = Canvas()
    rim = ((32, 14), (46, 20), (50, 33), (44, 46), (31, 50), (18, 45), (13, 32), (19, 19))
    for x, y in rim:
        canvas.disc(shade(leaves, 62), x + 1, y + 2, 12)
    for x, y in rim:
        canvas.disc(shade(leaves, 88), x, y, 11)
    canvas.disc(leaves, 31, 31, 21)
    for x, y, radius in ((24, 23, 9), (36, 21, 7), (22, 36, 7), (37, 34, 8)):
        canvas.disc(shade(leaves, 116), x, y, radius)
    for x, y, radius in ((22, 21, 4), (34, 19, 3), (35, 32, 3.5)):
        canvas.disc(shade(leaves, 134), x, y, radius)
    return canvas


def lamp(color: Color) -> Canvas:
    """A traffic light's lamp that is lit."""
    canvas = Canvas(32, 32)
    canvas.disc((20, 22, 28), 16, 16, 14)
    canvas.disc(color, 16, 16, 10.5)
    canvas.disc(shade(color, 150), 13.5, 13, 4)
    return canvas


def pin() -> Canvas:
    """The destination's pin; its tip is in the middle."""
    canvas = Canvas(96, 160)
    for color, grow in ((WHITE, 3), ((226, 45, 108), 0)):
        canvas.disc(color, 48, 36, 28 + grow)
        canvas.shape(color, [(21.5 - grow, 45), (74.5 + grow, 45), (48, 80 + grow)])
    canvas.disc(WHITE, 48, 36, 12)
    return canvas


def dot(color: Color, radius: float) -> Canvas:
    """A dot of the route."""
    canvas = Canvas(32, 32)
    canvas.disc(shade(color, 45), 16, 16, radius + 2)
    canvas.disc(color, 16, 16, radius)
    return canvas


def burst() -> Canvas:
    """A collision."""
    canvas = Canvas(128, 128)
    spikes = np.array([[0, -60], [13, -24], [42, -42], [24, -13]])
    turn = np.array([[0, 1], [-1, 0]])
    outline = np.concatenate([spikes @ np.linalg.matrix_power(turn, k) for k in range(4)])
    for color, percent in (((214, 48, 49), 100), ((255, 168, 1), 76), ((255, 244, 180), 44)):
        canvas.shape(color, [(64 + x * percent / 100, 64 + y * percent / 100) for x, y in outline])
    return canvas


def ring(color: Color, radius: float, width: float) -> pygame.Surface:
    """A soft ring."""
    y, x = np.mgrid[-CELL:CELL, -CELL:CELL] + 0.5
    near = 1 - abs(np.sqrt(x * x + y * y) - radius) / width
    return picture(np.array(color), (220 * np.clip(near, 0, 1)).astype(np.uint8).T)


def glow(color: Color, size: int, strength: int) -> pygame.Surface:
    """A round light that fades outwards."""
    y, x = (np.mgrid[:size, :size] + 0.5) * 2 / size - 1
    near = np.clip(1 - np.sqrt(x * x + y * y), 0, 1)
    return picture(np.array(color), (strength * near * near).astype(np.uint8).T)


def beams() -> pygame.Surface:
    """The light of two headlamps, around a car in the middle."""
    size = 4 * CELL
    y, x = np.mgrid[:size, :size] + 0.5 - size / 2
    ahead = np.clip(-y - 24, 0, None)
    light = np.zeros((size, size))
    for side in (-10, 10):
        width = 7 + 0.42 * ahead
        across = np.clip(1 - abs(x - side - 0.1 * side * ahead / 24) / width, 0, 1)
        light += across * np.clip(1 - ahead / 96, 0, 1) ** 2 * (ahead > 0)
    return picture(np.array((255, 236, 178)), (105 * np.clip(light, 0, 1)).astype(np.uint8).T)


def city_sprites() -> dict[str, pygame.Surface]:
    """The city's sprites by name."""
    drawn = {f"car_{name}": car(paint) for name, paint in CAR_PAINT.items()}
    drawn |= {"van_cream": van((240, 222, 180)), "van_brick": van((190, 94, 66)), "taxi": taxi()}
    dark = (52, 58, 84)
    drawn |= {"ambulance_0": ambulance(SIREN_BLUE, dark), "ambulance_1": ambulance(dark, SIREN_RED)}
    for k, (shirt, hair) in enumerate(CLOTHES):
        drawn[f"person_{k}"] = person(shirt, hair, SKIN[k % len(SKIN)])
    drawn |= {f"tree_{k}": tree(leaves) for k, leaves in enumerate(FOLIAGE)}
    drawn |= {"lamp_red": lamp((255, 56, 48)), "lamp_green": lamp((52, 224, 108))}
    drawn |= {"pin": pin(), "route": dot((96, 208, 255), 8), "burst": burst()}
    finished = {name: canvas.finish() for name, canvas in drawn.items()}
    finished |= {"ring_ego": ring((255, 226, 92), 46, 7), "ring_person": ring((255, 140, 40), 40, 9)}
    finished |= {"ring_pin": ring((255, 92, 150), 44, 9), "beams": beams()}
    for name, color, cells, strength in (
        ("red", SIREN_RED, 3.5, 140),
        ("blue", SIREN_BLUE, 3.5, 150),
        ("stop", (255, 60, 50), 1.75, 150),
        ("go", (60, 230, 120), 1.75, 130),
        ("street", (255, 184, 92), 4, 120),
    ):
        finished[f"glow_{name}"] = glow(color, int(cells * CELL), strength)
    return finished


def main() -> None:
    """Writes every sprite."""
    from draw_kiosk import kiosk_sprites
    from draw_platformer import platformer_sprites

    worlds = {"city": city_sprites(), "platformer": platformer_sprites(), "kiosk": kiosk_sprites()}
    for world, sprites in worlds.items():
        folder = Path(__file__).parent / "sprites" / world
        folder.mkdir(parents=True, exist_ok=True)
        for name, surface in sprites.items():
            pygame.image.save(surface, folder / f"{name}.png")


if __name__ == "__main__":
    main()
