"""The process of one window: `window.Window` starts it, and talks to it by its standard streams.

It first says, as a line of JSON, where it shows the window, or why it can't. A request is a line of width and
height with an RGB picture of that size after it, or `0 0`, which asks what was done in the window; each is
answered by a line of JSON, when it is done. The process ends with its input.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pygame

TOLD = (pygame.QUIT, pygame.KEYDOWN, pygame.KEYUP, pygame.WINDOWFOCUSLOST)
MOUSE = (pygame.MOUSEMOTION, pygame.MOUSEBUTTONDOWN)
PATIENCE = 0.02
"""Seconds after which the window attends to the desktop, whether anything was asked or not."""
MOST = 1000
"""Events that are kept until somebody asks."""

Request = tuple[tuple[int, int], bytes]
"""A picture's size and pixels."""


def serve(requests: BinaryIO, answers: BinaryIO, title: str, repeat: tuple[int, int] = (0, 0)) -> None:
    """Shows a window until the requests end.

    Args:
        requests: where to read.
        answers: where to write.
        title: of the window.
        repeat: of keys that are held; see `pygame.key.set_repeat`.
    """

    def answer(said: Any) -> None:
        answers.write(json.dumps(said).encode() + b"\n")
        answers.flush()

    try:
        pygame.display.init()
    except pygame.error as error:
        answer({"error": str(error)})
        return
    pygame.display.set_caption(title)
    pygame.key.set_repeat(*repeat)
    answer({"driver": pygame.display.get_driver(), "desktop": pygame.display.get_desktop_sizes()[0]})

    done: deque[tuple[int, Any]] = deque(maxlen=MOST)
    for request in _awaited(requests):
        done += attend(pygame.event.get())
        if request is None:
            continue
        size, pixels = request
        if pixels:
            _show(size, pixels)
            answer(None)
        else:
            answer(list(done))
            done.clear()


def attend(events: Iterable[pygame.event.Event]) -> list[tuple[int, Any]]:
    """Paints again what was uncovered; returns the events that are told.

    Each has its key, or 0; those of the mouse, its moves and clicks of the left button, their place instead.
    """
    told = []
    for event in events:
        if event.type == pygame.WINDOWEXPOSED and pygame.display.get_surface():
            pygame.display.flip()
        elif event.type in TOLD:
            told.append((event.type, getattr(event, "key", 0)))
        elif event.type in MOUSE and getattr(event, "button", 1) == 1:
            told.append((event.type, event.pos))
    return told


def _show(size: tuple[int, int], pixels: bytes) -> None:
    screen = pygame.display.get_surface()
    if screen is None or screen.get_size() != size:
        screen = pygame.display.set_mode(size)
    screen.blit(pygame.image.frombuffer(pixels, size, "RGB"), (0, 0))
    pygame.display.flip()


def _awaited(requests: BinaryIO) -> Iterator[Request | None]:
    """Yields requests as they come, and None whenever there was none for a while."""
    # A thread, since not every system can wait for a pipe and for a time at once.
    came: queue.SimpleQueue[Request] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(requests, came), daemon=True)
    reader.start()
    while reader.is_alive() or not came.empty():
        try:
            yield came.get(timeout=PATIENCE)
        except queue.Empty:
            yield None


def _read(requests: BinaryIO, came: queue.SimpleQueue[Request]) -> None:
    while line := requests.readline():
        width, height = map(int, line.split())
        pixels = requests.read(3 * width * height)
        if len(pixels) < 3 * width * height:  # who sent it ended in the middle
            return
        came.put(((width, height), pixels))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this
    serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[1], (int(sys.argv[2]), int(sys.argv[3])))
