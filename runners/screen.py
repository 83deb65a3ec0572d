"""Pictures, texts and action values of several environments on one surface, and the window that shows it."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pygame
from gymnasium.spaces import Box, Space
from numpy.typing import NDArray

from ..envs.core import window
from ..envs.core.renderer import font, to_array

BACKGROUND = (24, 26, 32)
TEXT = (226, 228, 233)
FAINT = (140, 146, 158)
BAR = (84, 118, 168)
BEST = (240, 176, 64)
GAP = 8
LINE = 20
LETTERS = 20
"""Size of the font."""
NOWHERE = ("offscreen", "dummy")
"""What SDL falls back to where there is no display; nobody would see the window."""
NUMBER = 70
"""Width of a number beside its bar, in pixels."""
PALETTE_ERROR = 4.0
"""Mean difference from the true colours, of 255, at which a GIF takes a new palette."""
SEEN = 200
"""Height in pixels of what the agent sees."""
WIDEST = 360
"""Width that texts may take below a smaller picture."""
SMALLEST = 360
"""Smaller pictures are enlarged to this width."""


class Sees(NamedTuple):
    """What an agent sees and thinks."""

    picture: NDArray[np.uint8] | None
    text: str
    values: tuple[tuple[str, float | None], ...]
    """Names of actions and their values, None where an action is not possible."""


class Tile(NamedTuple):
    """One environment."""

    picture: NDArray[np.uint8]
    words: tuple[str, ...]
    """What is written below the picture."""
    sees: Sees | None


class Board:
    """Draws tiles side by side, made to fit into a size.

    Args:
        limit: largest width and height in pixels.
    """

    def __init__(self, limit: tuple[int, int]) -> None:
        self._limit = limit

    def draw(self, tiles: Sequence[Tile], status: Sequence[str]) -> pygame.Surface:
        """Draws tiles with lines of status below them; the size is even, as video wants it."""
        columns = math.ceil(math.sqrt(len(tiles)))
        rows = math.ceil(len(tiles) / columns)
        below = LINE * len(status) + (GAP if status else 0)
        room = self._limit[0] // columns - GAP, (self._limit[1] - below) // rows - GAP
        surfaces = [self._tile(tile, *room) for tile in tiles]
        width = max(surface.get_width() for surface in surfaces) + GAP
        height = max(surface.get_height() for surface in surfaces) + GAP
        wide = max([columns * width + GAP, *(font(LETTERS).size(line)[0] + 2 * GAP for line in status)])
        board = pygame.Surface((_even(wide), _even(rows * height + GAP + below)), 0, 32)
        board.fill(BACKGROUND)
        for n, surface in enumerate(surfaces):
            board.blit(surface, (GAP + n % columns * width, GAP + n // columns * height))
        for n, line in enumerate(status):
            self._write(board, line, (GAP, rows * height + GAP + n * LINE), FAINT)
        return board

    def _tile(self, tile: Tile, width: int, height: int) -> pygame.Surface:
        lines = self._wrap(tile.words, min(width, WIDEST))
        sees = tile.sees
        seen = 0 if sees is None else GAP + LINE * (1 + len(sees.values))
        if sees and sees.picture is not None:
            seen = max(seen, SEEN)
        below = LINE * len(lines) + seen
        picture = fit(tile.picture, width, max(height - below, 64))
        right, bottom = picture.get_size()
        wide = max(right, min(width, WIDEST)) if below else right
        surface = pygame.Surface((wide, bottom + below), 0, 32)
        surface.fill(BACKGROUND)
        surface.blit(picture, (0, 0))
        for n, line in enumerate(lines):
            self._write(surface, line, (0, bottom + n * LINE + 3), TEXT)
        if sees:
            self._sees(surface, sees, bottom + LINE * len(lines) + GAP)
        return surface

    def _wrap(self, words: Sequence[str], width: int) -> list[str]:
        """Puts as many words on a line as fit."""
        lines: list[str] = []
        for word in words:
            longer = f"{lines[-1]}   {word}" if lines else word
            if lines and font(LETTERS).size(longer)[0] <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def _sees(self, surface: pygame.Surface, sees: Sees, top: int) -> None:
        self._write(surface, sees.text, (0, top), FAINT)
        left = 0
        if sees.picture is not None:
            room = surface.get_width() // 2 if sees.values else surface.get_width()
            picture = fit(sees.picture, room, SEEN - LINE - GAP)
            surface.blit(picture, (0, top + LINE))
            left = picture.get_width() + GAP
        possible = [value for _, value in sees.values if value is not None]
        if not possible:
            return
        low, high = min(possible), max(possible)
        names = left + GAP + max(font(LETTERS).size(name)[0] for name, _ in sees.values)
        room = max(surface.get_width() - names - NUMBER, GAP)
        for n, (name, value) in enumerate(sees.values):
            y = top + LINE * (n + 1)
            self._write(surface, name, (left, y + 3), FAINT if value is None else TEXT)
            if value is None:
                continue
            color = BEST if value == high else BAR
            length = GAP // 2 + round((value - low) / max(high - low, 1e-9) * (room - GAP // 2))
            pygame.draw.rect(surface, color, (names, y + 4, length, LINE - 8))
            self._write(surface, f"{value:.2f}", (names + length + 4, y + 3), color)

    def _write(
        self, surface: pygame.Surface, text: str, place: tuple[int, int], color: tuple[int, int, int]
    ) -> None:
        surface.blit(font(LETTERS).render(text, True, color), place)


def fit(picture: NDArray[np.uint8], width: int, height: int) -> pygame.Surface:
    """A picture as a surface that fits into a size; small ones are enlarged by a whole number."""
    h, w = picture.shape[:2]
    surface = pygame.image.frombuffer(np.ascontiguousarray(picture).data, (w, h), "RGB")
    if w > width or h > height:
        scale = min(width / w, height / h)
        return pygame.transform.smoothscale(surface, (max(1, int(w * scale)), max(1, int(h * scale))))
    scale = min(math.ceil(SMALLEST / w), width // w, height // h)
    return pygame.transform.scale(surface, (w * scale, h * scale)) if scale > 1 else surface


def observation_picture(space: Space, obs: NDArray) -> NDArray[np.uint8] | None:
    """Draws an observation of arrays: pictures as they are, planes side by side; None for others.

    Args:
        space: a `Box` of one to three dimensions; of three, two that are equal are height and width.
        obs: an observation.

    Returns:
        (height, width, 3) uint8.
    """
    if not isinstance(space, Box) or not 1 <= obs.ndim <= 3:
        return None
    if obs.ndim == 3 and obs.shape[2] == 3 and obs.dtype == np.uint8:
        return obs
    planes = obs if obs.ndim == 3 else np.atleast_2d(obs)[None]
    if obs.ndim == 3 and obs.shape[0] == obs.shape[1] != obs.shape[2]:
        planes = np.moveaxis(obs, 2, 0)
    planes = planes.astype(np.float64)
    low, high = planes.min(), planes.max()
    if space.is_bounded():
        low, high = float(space.low.min()), float(space.high.max())
    grey = np.clip((planes - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    columns = math.ceil(math.sqrt(len(grey) * 2))
    rows = math.ceil(len(grey) / columns)
    height, width = grey.shape[1] + 1, grey.shape[2] + 1  # a line between two planes
    sheet = np.zeros((rows * height - 1, columns * width - 1, 3), np.uint8)
    sheet[:] = BAR
    for n, plane in enumerate(grey):
        y, x = n // columns * height, n % columns * width
        sheet[y : y + height - 1, x : x + width - 1] = plane[:, :, None]
    return sheet


class Palette:
    """The 255 colours that suit a frame best, and for every colour the nearest of them.

    Args:
        frame: (height, width, 3) uint8.
    """

    def __init__(self, frame: NDArray[np.uint8]) -> None:
        from PIL import Image
        from scipy.spatial import KDTree

        # Median cut, the default, gives large areas many shades and small bright things none.
        chosen = Image.fromarray(frame).quantize(255, Image.Quantize.FASTOCTREE).getpalette() or []
        self.colours = np.array(chosen, np.uint8).reshape(-1, 3)
        shades = np.arange(32) * 8 + 4  # five bits a channel tell colours apart finely enough
        every = np.stack(np.meshgrid(shades, shades, shades, indexing="ij"), axis=-1).reshape(-1, 3)
        self._nearest = np.asarray(KDTree(self.colours).query(every)[1], np.uint8)

    def reduce(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The (height, width) numbers of a frame's colours."""
        red, green, blue = (frame[..., channel].astype(np.int32) >> 3 for channel in range(3))
        return self._nearest[red << 10 | green << 5 | blue]

    def error(self, frame: NDArray[np.uint8]) -> float:
        """Mean difference of a frame from its reduced one, of 255."""
        return float(np.abs(self.colours[self.reduce(frame)].astype(np.int16) - frame).mean())


def write_gif(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Writes an endless GIF of (height, width, 3) frames.

    A palette is kept as long as it fits, so that what stands still costs no bytes.
    """
    from PIL import Image

    def images() -> Iterator[Any]:
        palette: Palette | None = None
        for frame in frames:
            if palette is None or palette.error(frame) > PALETTE_ERROR:
                palette = Palette(frame)
            reduced = palette.reduce(frame)
            image = Image.fromarray(reduced)
            image.putpalette(palette.colours.tobytes())
            yield image

    first, *rest = images()
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Writes an H.264 video of (height, width, 3) frames, whose sides are even.

    Raises:
        OSError: when there is no room for it.
    """
    import imageio.v2 as imageio
    from imageio_ffmpeg import count_frames_and_secs

    told = OSError(errno.EIO, "the video can't be written; is the disk full?", str(path))
    count = 0
    try:
        with imageio.get_writer(path, fps=fps, codec="libx264", macro_block_size=2) as writer:
            for count, frame in enumerate(frames, 1):  # noqa: B007
                writer.append_data(frame)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in (None, errno.EPIPE):  # ffmpeg ended, and all that is said is how it was called
            raise told from error
        raise
    try:  # whether ffmpeg came to its end well nobody says
        found, _ = count_frames_and_secs(str(path))
    except (OSError, RuntimeError) as error:
        raise told from error
    if found != count:
        raise told


class Window:
    """A window for boards, and the keys that are pressed in it.

    Args:
        title: its title.
        repeat: milliseconds until a key that is held counts as pressed again, and from then on; by default it
            never does.

    Raises:
        ValueError: when there is no display.
    """

    FRAMES_PER_SECOND = 60

    def __init__(self, title: str, repeat: tuple[int, int] = (0, 0)) -> None:
        try:
            self._window = window.Window(title, self.FRAMES_PER_SECOND, repeat)
        except OSError as error:
            raise ValueError(f"no window can be opened ({error}); --record needs none") from None
        if self._window.driver in NOWHERE and "SDL_VIDEODRIVER" not in os.environ:
            self._window.close()
            raise ValueError("there is no display to open a window on; --record needs none")
        desktop = self._window.desktop
        self.limit = max(640, int(desktop[0] * 0.9)), max(480, int(desktop[1] * 0.85))
        self.held: set[int] = set()
        """Keys that are down, and those that were since `keys` was last called but one."""
        self._down: set[int] = set()

    def show(self, board: pygame.Surface) -> float:
        """Shows a board and waits for the next frame; returns the seconds since the last one."""
        return self._window.show(to_array(board))

    def keys(self) -> list[int]:
        """Keys that were pressed since the last call; `pygame.K_q` stands for closing the window, too."""
        pressed = []
        for kind, key in self._window.events():
            if kind == pygame.QUIT:
                pressed.append(pygame.K_q)
            elif kind == pygame.KEYDOWN:
                pressed.append(key)
                self._down.add(key)
            elif kind == pygame.KEYUP:
                self._down.discard(key)
            elif kind == pygame.WINDOWFOCUSLOST:  # their release will not be told
                self._down.clear()
        self.held = self._down.union(pressed)
        return pressed

    def close(self) -> None:
        """Closes the window."""
        self._window.close()


def _even(number: int) -> int:
    return number + number % 2
