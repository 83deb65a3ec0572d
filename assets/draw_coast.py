"""The coast behind the platformer's levels: layers that repeat sideways, and scroll the slower the farther.

Everything is in integers, so that the pictures are the same on every machine.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
HEIGHT = 240
"""Pixels of a level, and of every layer."""
HORIZON = 138
GROUND = 208
"""Where a level's ground usually begins."""

SKY = ((96, 176, 228), (118, 190, 232), (148, 206, 236), (180, 220, 238), (210, 232, 236), (236, 238, 224))
SUN, HALO = (255, 246, 206), (252, 240, 208)
CLOUD, CLOUD_SHADE = (250, 252, 250), (214, 230, 238)
SEA = ((160, 212, 220), (128, 196, 212), (104, 182, 204), (86, 168, 196))
GLINT = (206, 236, 236)
ISLES = ((160, 194, 212), (138, 178, 198))
SAIL = (250, 248, 240)
HILL, HILL_SHADE, TERRACE = (190, 202, 148), (166, 184, 134), (214, 214, 172)
WALL, WALL_SHADE, DOOR = (248, 246, 238), (210, 216, 222), (112, 150, 196)
DOME, DOME_SHADE = (108, 150, 208), (84, 122, 182)
ROOF = (226, 160, 124)
THATCH = (190, 158, 116)
LEAVES = ((122, 160, 118), (104, 144, 108), (144, 176, 124))
MEADOW, MEADOW_SHADE = (152, 184, 118), (132, 168, 108)

# Ordered dithering (Bayer, 1973), in sixteenths.
DITHER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


class Layer:
    """A transparent picture whose right edge continues at its left.

    Args:
        width: pixels after which it repeats.
    """

    def __init__(self, width: int) -> None:
        self.pixels = np.zeros((HEIGHT, width, 4), np.uint8)
        self.width = width

    def box(self, color: Color, x: int, y: int, width: int, height: int) -> None:
        """Fills a rectangle."""
        columns = np.arange(x, x + width) % self.width
        self.pixels[max(0, y) : max(0, y + height), columns] = (*color, 255)

    def disc(self, color: Color, x: int, y: int, radius: int, *, squash: int = 1, half: bool = False) -> None:
        """Fills a circle, an ellipse `squash` times as wide as high, or its upper half."""
        for dy in range(-radius // squash, 1 if half else radius // squash + 1):
            reach = _root(radius * radius + radius - dy * dy * squash * squash)
            self.box(color, x - reach, y + dy, 2 * reach + 1, 1)

    def hill(self, color: Color, x: int, reach: int, top: int, bottom: int = HEIGHT) -> None:
        """Fills below a parabola."""
        for dx in range(-reach, reach + 1):
            y = top + (bottom - top) * dx * dx // (reach * reach)
            self.box(color, x + dx, y, 1, bottom - y)


def coast_layers() -> dict[str, NDArray[np.uint8]]:
    """(height, width, 4) layers by name, from back to front."""
    return {"sky": sky(), "clouds": clouds(), "sea": sea(), "town": town(), "trees": trees()}


def noise(*numbers: int) -> int:
    """A number that looks random and is the same for equal arguments."""
    return crc32(repr(numbers).encode())


def dithered(colors: tuple[Color, ...], width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 4) transition from the first color above to the last one below."""
    y, x = np.mgrid[:height, :width]
    share = y * 32 * (len(colors) - 1) // height  # half of each stripe is plain
    step = np.minimum(share // 32 + (share % 32 - 8 > DITHER[y % 4, x % 4]), len(colors) - 1)
    table = np.array([(*color, 255) for color in colors], np.uint8)
    return table[step]


def sky() -> NDArray[np.uint8]:
    """The sky with the sun."""
    layer = Layer(320)
    layer.pixels[:] = dithered(SKY, 320, HEIGHT * 2 // 3)[np.minimum(np.arange(HEIGHT), HEIGHT * 2 // 3 - 1)]
    y, x = np.mgrid[:HEIGHT, :320]
    far = (x - 252) ** 2 + (y - 44) ** 2
    layer.pixels[(far < 30 * 30) & (DITHER[y % 4, x % 4] < 16 - far // 60)] = (*HALO, 255)
    layer.disc(SUN, 252, 44, 18)
    return layer.pixels


def clouds() -> NDArray[np.uint8]:
    """Heaps of cloud with a flat, shaded base."""
    layer = Layer(512)
    for k, (x, y, size) in enumerate(
        ((50, 66, 16), (170, 34, 10), (262, 84, 12), (352, 48, 18), (456, 90, 9))
    ):
        puffs = [(x, y - size // 3, size)]
        for side in (-1, 1):
            for step in (1, 2):
                radius = size * (4 - step) // 5 + noise(k, side, step) % 3
                puffs.append((x + side * step * size, y - radius // 2 + 1, radius))
        for color, lift in ((CLOUD_SHADE, 0), (CLOUD, max(2, size // 5))):
            for px, py, radius in puffs:
                layer.disc(color, px, py - lift, radius - lift // 2)
        layer.pixels[y + size // 4 : y + 2 * size, np.arange(x - 3 * size, x + 3 * size) % 512] = 0
    return layer.pixels


def sea() -> NDArray[np.uint8]:
    """The sea to the horizon, with islands and sails."""
    layer = Layer(640)
    isles = ((0, 90, 90, 26), (0, 170, 60, 16), (1, 420, 70, 20), (0, 500, 110, 34), (1, 570, 50, 12))
    for color, x, reach, height in isles:
        layer.hill(ISLES[color], x, reach, HORIZON - height, HORIZON)
    layer.pixels[HORIZON:] = dithered(SEA, 640, HEIGHT - HORIZON)
    layer.box(GLINT, 0, HORIZON, 640, 1)
    for k in range(150):
        depth = noise(k, 1) % 70
        layer.box(GLINT, noise(k) % 640, HORIZON + 3 + depth, 3 + depth // 8 + noise(k, 2) % 4, 1)
    for x, y, size in ((258, 150, 9), (320, 144, 6), (610, 153, 11)):
        for row in range(size):
            layer.box(SAIL, x, y - size + row, 1 + row * 2 // 3, 1)
            layer.box(WALL_SHADE, x - 1 - row // 3, y - size + row, row // 3, 1)
        layer.box(ISLES[1], x - size // 2, y, size + 2, 2)
    return layer.pixels


def house(layer: Layer, x: int, base: int, number: int) -> None:
    """A white house; some have a dome, some a tiled roof."""
    width, height = 11 + number % 4 * 3, 10 + number // 4 % 4 * 3
    top, kind = base - height, number // 16 % 5
    if kind == 0:
        layer.disc(DOME_SHADE, x + width // 2, top - 1, width // 2 - 1, half=True)
        layer.disc(DOME, x + width // 2 - 1, top - 1, width // 2 - 2, half=True)
        layer.box(WALL, x + width // 2, top - width // 2 - 3, 1, 3)
    elif kind == 1:
        layer.box(ROOF, x - 1, top - 2, width + 2, 3)
        layer.box(ROOF, x + 1, top - 4, width - 2, 2)
    layer.box(WALL, x, top, width, height)
    layer.box(WALL_SHADE, x + width * 2 // 3, top, width - width * 2 // 3, height)
    layer.box(DOOR, x + 2, top + 3, 2, 3)
    if width > 13:
        layer.box(DOOR, x + 6, top + 3, 2, 3)
    if number // 128 % 2:
        layer.box(DOOR, x + 3, base - 5, 3, 5)


def windmill(layer: Layer, x: int, base: int) -> None:
    """A windmill with four sails."""
    layer.box(WALL, x - 6, base - 22, 12, 22)
    layer.box(WALL_SHADE, x + 2, base - 22, 4, 22)
    layer.box(DOOR, x - 4, base - 7, 3, 7)
    for row in range(7):
        layer.box(THATCH, x - 1 - row, base - 29 + row, 2 + 2 * row, 1)
    for k in range(3, 17):
        for dx, dy in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            layer.box(SAIL if k % 5 else THATCH, x + dx * k - (dx < 0), base - 22 + dy * k, 2, 1)
    layer.box(THATCH, x - 1, base - 23, 2, 2)


def cypress(layer: Layer, x: int, base: int, height: int, leaves: Color = LEAVES[1]) -> None:
    """A slender tree."""
    for row in range(height):
        reach = min((row + 2) // 3, 2 + height // 12, height - row + 1) * (height - row // 4) // height
        layer.box(leaves, x - reach, base - height + row, 2 * reach + 1, 1)
        layer.box(LEAVES[0], x - reach, base - height + row, max(1, reach - 1), 1)


def town(width: int = 768) -> NDArray[np.uint8]:
    """White houses on hills above the sea."""
    layer = Layer(width)
    hills = ((150, 190, 112), (330, 120, 160), (520, 170, 126), (690, 110, 166))
    for color, lower in ((HILL_SHADE, 0), (HILL, 4)):
        for x, reach, top in hills:
            layer.hill(color, x - lower // 2, reach, top + lower)
    windmill(layer, 60, 136)
    windmill(layer, 566, 136)
    spots = []
    for n, (x, reach, top) in enumerate((hills[0], hills[2])):
        for k in range(34):
            dx = noise(n, k, 1) % reach - reach // 2
            ridge = top + (HEIGHT - top) * dx * dx // (reach * reach)
            spots.append((ridge + 8 + noise(n, k, 2) % 54, x + dx, noise(n, k, 3)))
    for base, x, number in sorted(spots):
        if number % 7 == 0:
            cypress(layer, x, base + 2, 22 + number % 8)
        elif base < GROUND:
            house(layer, x, base, number // 8)
    return layer.pixels


def trees(width: int = 512) -> NDArray[np.uint8]:
    """A meadow with cypresses and olive trees."""
    layer = Layer(width)
    for x, reach, top in ((60, 130, 190), (230, 150, 180), (420, 140, 188), (500, 90, 196)):
        layer.hill(MEADOW_SHADE, x, reach, top)
        layer.hill(MEADOW, x - 3, reach, top + 3)
    for k in range(22):
        x, number = k * width // 22 + noise(k, 5) % 14, noise(k, 6)
        base = 204 + number % 10
        if k % 5 in (0, 1):
            cypress(layer, x, base, 44 + number // 10 % 22)
        elif k % 5 == 3:
            layer.box(THATCH, x - 1, base - 14, 3, 14)
            for dx, dy, radius in ((-7, -18, 8), (6, -19, 8), (0, -25, 9)):
                layer.disc(LEAVES[1], x + dx + 1, base + dy + 1, radius)
            for dx, dy, radius in ((-8, -19, 7), (5, -20, 7), (-1, -26, 8)):
                layer.disc(LEAVES[2], x + dx, base + dy, radius)
        elif k % 5 == 4:
            layer.disc(LEAVES[0], x, base, 9)
            layer.disc(LEAVES[2], x - 2, base - 2, 6)
    return layer.pixels


def _root(square: int) -> int:
    """The integer square root, rounded down; 0 of negative numbers."""
    root = 0
    while (root + 1) * (root + 1) <= square:
        root += 1
    return root
