"""One picture of many levels, whole, in two columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...envs.platformer.levels import Level
from ...envs.platformer.renderer import PlatformerRenderer
from ...envs.platformer.state import HEIGHT
from ...envs.platformer.world import Platformer

TILE = 6
"""Pixels of a tile."""
WIDEST = 128
"""Columns of a level that are shown."""
COLUMNS = 2
GAP, LINE, LETTERS = 12, 18, 13
PAPER, INK = (250, 250, 248), (40, 44, 52)


def draw_gallery(levels: Sequence[Level], captions: Sequence[str]) -> Image.Image:
    """Draws levels row by row, each below its caption."""
    world = Platformer(levels=levels)
    renderer = PlatformerRenderer(world.params(), levels)
    state = _starts(world)
    wide = min(max(level.width for level in levels), WIDEST) * TILE
    high = HEIGHT * TILE
    rows = -(-len(levels) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * (wide + GAP) + GAP, rows * (high + LINE + GAP) + GAP), PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(LETTERS)
    for k, (level, caption) in enumerate(zip(levels, captions, strict=True)):
        x = GAP + k % COLUMNS * (wide + GAP)
        y = GAP + k // COLUMNS * (high + LINE + GAP)
        strip = Image.fromarray(renderer.whole(state, k))
        strip = strip.resize((level.width * TILE, high), Image.Resampling.BOX).crop((0, 0, wide, high))
        width = min(level.width * TILE, wide)
        pen.text((x, y), caption, INK, font)
        picture.paste(strip.crop((0, 0, width, high)), (x, y + LINE))
    return picture.quantize(64, dither=Image.Dither.NONE)


def _starts(world: Platformer) -> np.ndarray:
    """A state at the beginning of each level."""
    from gymnasium.vector import AutoresetMode

    from ...envs.core.vector import WorldVectorEnv

    count = len(world.levels)
    envs = WorldVectorEnv(world, count, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0, options={"level": np.arange(count)})
    return envs.get_state()
