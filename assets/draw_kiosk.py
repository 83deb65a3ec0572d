"""The kiosk world's sprites; `draw_sprites.py` writes them.

An awning is drawn apart from its kiosk, in white, so that renderers can give it the kiosk's color.
"""

from __future__ import annotations

import pygame
from draw_sprites import INK, WHITE, Canvas, Color, shade

WOOD = (176, 122, 74)
MEAT = (168, 92, 48)
STEEL = (196, 204, 212)
STRIPES = 6
AWNING = (8, 16, 48, 15)
"""Left, top, width and height."""


def stall(front: Color) -> Canvas:
    """A kiosk without its awning: counter, window, and the spit in it."""
    canvas = Canvas()
    canvas.oval((38, 42, 54, 70), 32, 59, 52, 8)  # shadow
    canvas.box(INK, 9, 24, 46, 35, 3)
    canvas.box(shade(front, 125), 11, 26, 42, 17)  # inside
    canvas.box(STEEL, 31, 26, 2, 17)
    canvas.shape(MEAT, [(25, 29), (39, 29), (36, 41), (28, 41)])
    canvas.shape(shade(MEAT, 135), [(28, 30), (32, 30), (31, 40), (29, 40)])
    canvas.box(shade(front, 70), 9, 43, 46, 4, 1)
    canvas.box(front, 11, 47, 42, 10, 1)
    for k in range(4):
        canvas.box(shade(front, 82), 19 + 8 * k, 48, 1.5, 8)
    return canvas


def awning(striped: bool) -> Canvas:
    """The awning: all of it, or every other stripe."""
    canvas = Canvas()
    left, top, width, height = AWNING
    if not striped:
        canvas.box(INK, left - 1.5, top - 1.5, width + 3, height - 1, 3)
    stripe = width / STRIPES
    for k in range(STRIPES):
        if striped and k % 2:
            continue
        x = left + k * stripe
        if not striped:
            canvas.disc(INK, x + stripe / 2, top + height - 4, stripe / 2 + 1.2)
        canvas.box(WHITE, x, top, stripe, height - 4, 1)
        canvas.disc(WHITE, x + stripe / 2, top + height - 4, stripe / 2)
    return canvas


def kiosk_sprites() -> dict[str, pygame.Surface]:
    """The kiosk's sprites by name."""
    drawn = {"kiosk": stall(WOOD), "rival": stall((120, 124, 138)), "awning": awning(False)}
    return {name: canvas.finish() for name, canvas in (drawn | {"stripes": awning(True)}).items()}
