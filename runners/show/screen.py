"""Where boards are shown: a window with its keys and its mouse, or a file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

from ...envs.core import window
from ...envs.core.renderer import to_array

NOWHERE = ("offscreen", "dummy")
"""What SDL falls back to where there is no display; nobody would see the window."""
PALETTE_ERROR = 4.0
"""Mean difference from the true colors, of 255, at which a GIF takes a new palette."""


class Palette:
    """The 255 colors that suit a frame best, and for every color the nearest of them.

    Args:
        frame: (height, width, 3) uint8.
    """

    def __init__(self, frame: NDArray[np.uint8]) -> None:
        from PIL import Image
        from scipy.spatial import KDTree

        # Median cut, the default, gives large areas many shades and small bright things none.
        chosen = Image.fromarray(frame).quantize(255, Image.Quantize.FASTOCTREE).getpalette() or []
        self.colors = np.array(chosen, np.uint8).reshape(-1, 3)
        shades = np.arange(32) * 8 + 4  # five bits a channel tell colors apart finely enough
        every = np.stack(np.meshgrid(shades, shades, shades, indexing="ij"), axis=-1).reshape(-1, 3)
        self._nearest = np.asarray(KDTree(self.colors).query(every)[1], np.uint8)

    def reduce(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The (height, width) numbers of a frame's colors."""
        red, green, blue = (frame[..., channel].astype(np.int32) >> 3 for channel in range(3))
        return self._nearest[red << 10 | green << 5 | blue]

    def error(self, frame: NDArray[np.uint8]) -> float:
        """Mean difference of a frame from its reduced one, of 255."""
        return float(np.abs(self.colors[self.reduce(frame)].astype(np.int16) - frame).mean())


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
            image.putpalette(palette.colors.tobytes())
            yield image

    first, *rest = images()
    first.save(path, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)


def write_mp4(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> None:
    """Writes an H.264 video of (height, width, 3) frames, whose sides are even.

    Raises:
        OSError: when there is no room for it.
    """
    from imageio_ffmpeg import get_ffmpeg_exe

    frames = iter(frames)
    first = next(frames)
    height, width, _ = first.shape
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    wanted = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "25", "-f", "mp4", str(path)]
    told = OSError(errno.EIO, "the video can't be written; is the disk full?", str(path))
    try:  # imageio's writer leaves its pipe open when ffmpeg fails, and keeps ffmpeg's exit code to itself
        with Popen([get_ffmpeg_exe(), "-y", *given, *wanted], stdin=PIPE, stderr=DEVNULL) as ffmpeg:
            pipe: Any = ffmpeg.stdin
            for frame in chain((first,), frames):
                pipe.write(np.ascontiguousarray(frame))
    except BrokenPipeError as error:
        raise told from error
    if ffmpeg.returncode:
        raise told


def write_png(path: Path, frame: NDArray[np.uint8]) -> None:
    """Writes a (height, width, 3) frame as one picture."""
    from PIL import Image

    Image.fromarray(frame).save(path, format="png")


class Window:
    """A window for boards, and what is done in it.

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
        self.pointed: tuple[int, int] | None = None
        """Where the mouse was moved to, or clicked, since `keys` was called before; None where it was not."""
        self.clicked = False
        """Whether it was clicked there."""
        self._down: set[int] = set()

    def show(self, board: pygame.Surface) -> float:
        """Shows a board and waits for the next frame; returns the seconds since the last one."""
        return self._window.show(to_array(board))

    def keys(self) -> list[int]:
        """Keys that were pressed since the last call; `pygame.K_q` stands for closing the window, too."""
        pressed = []
        self.pointed, self.clicked = None, False
        for kind, key in self._window.events():
            if kind == pygame.QUIT:
                pressed.append(pygame.K_q)
            elif kind == pygame.KEYDOWN:
                pressed.append(key)
                self._down.add(key)
            elif kind == pygame.KEYUP:
                self._down.discard(key)
            elif kind in (pygame.MOUSEMOTION, pygame.MOUSEBUTTONDOWN):
                self.pointed = key[0], key[1]
                self.clicked |= kind == pygame.MOUSEBUTTONDOWN
            elif kind == pygame.WINDOWFOCUSLOST:  # their release will not be told
                self._down.clear()
        self.held = self._down.union(pressed)
        return pressed

    def close(self) -> None:
        """Closes the window."""
        self._window.close()
