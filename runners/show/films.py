"""Pictures, films and loops of what can be watched."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files import replaced
from .show import Show
from .sources import LIMITS, WatchSettings, find_source, make_viewer
from .viewer import Viewer

LARGEST = 1920
"""Most width of a recording of several."""
SMOOTH = 20
"""Frames per second of recordings where motion between two steps can be drawn."""


def record(
    show: Show,
    viewer: Viewer,
    path: Path,
    speed: float,
    settings: WatchSettings,
    limit: tuple[int, int] | None = None,
) -> None:
    """Writes a recording; `path` holds either its earlier content or the whole new one.

    Args:
        show: what is recorded.
        viewer: who draws it.
        path: an .mp4, .gif or .png file.
        speed: steps a second.
        settings: how many steps and episodes.
        limit: most width and height in pixels; by default what suits the kind of file and how many there are.
    """
    from .screen import write_gif, write_mp4, write_png

    ending = path.suffix.lower()
    between = max(1, round(SMOOTH / speed)) if viewer.smooth and ending != ".png" else 1
    frames = _frames(show, viewer, between, limit or recording_limit(ending, show.env.num_envs), settings)
    with replaced(path) as temporary:
        if ending == ".png":
            write_png(temporary, *frames)
        else:
            (write_gif if ending == ".gif" else write_mp4)(temporary, frames, speed * between)


def recording_limit(ending: str, num_envs: int) -> tuple[int, int]:
    """Most width and height of a recording: its area grows with the environments, within limits."""
    width, height = LIMITS[ending]
    larger = min(math.sqrt(num_envs), LARGEST / width)
    return round(width * larger), round(height * larger)


def _frames(
    show: Show, viewer: Viewer, between: int, limit: tuple[int, int], settings: WatchSettings
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a recording; of a picture the last one alone."""
    from ...envs.core.renderer import to_array
    from .board import Board

    board = Board(limit)
    only_last = settings.record is not None and settings.record.suffix.lower() == ".png"
    for step in itertools.count():
        is_last = show.finished >= settings.episodes or step == settings.steps
        for part in range(between if is_last or not only_last else 0):
            yield to_array(board.draw(viewer.view((part + 1) / between, settings.sees), ()))
        if is_last:
            return
        show.forward()


def write_loop(
    path: Path, names: Sequence[str], env_config: Any, limit: tuple[int, int], seconds: float
) -> None:
    """Writes the first of evaluation's episodes as a small .gif that goes on for ever, without any text.

    Args:
        path: the file.
        names: of what is shown; see `find_source`.
        env_config: settings of its world; None: its own.
        limit: most width and height in pixels.
        seconds: how long it is, at most.

    Raises:
        ValueError: when it can't be drawn.
    """
    source = find_source(names)
    settings = WatchSettings(max_episode_steps=source.max_episode_steps)
    env, show, viewer = make_viewer(source, env_config or source.env_config, settings, bare=True)
    try:
        speed = float(env.metadata.get("render_fps", 4))
        record(show, viewer, path, speed, WatchSettings(steps=max(1, round(seconds * speed))), limit)
    finally:
        env.close()
