"""Windows that hang on nobody else's display: each is shown by a process of its own.

Pygame has one display a process, and anybody may resize or quit it, as many environments do when they close.
Even a `pygame.Window` ends with it, unawares: its next use reads freed memory. Nor can one look first, as
whoever quit the display may have initialised it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROGRAM = Path(__file__).with_name("window_process.py")


class Window:
    """A window that takes the size of the pictures it shows, and shows them at a steady rate.

    Args:
        title: its title.
        fps: pictures a second, at most.
        repeat: milliseconds until a key that is held counts as pressed again, and from then on; by default it
            never does.

    Attributes:
        driver: SDL's name of what shows it.
        desktop: width and height of the screen, in pixels.

    Raises:
        OSError: when no window can be opened.
    """

    def __init__(self, title: str, fps: float, repeat: tuple[int, int] = (0, 0)) -> None:
        self._arguments = [title, *map(str, repeat)]
        self._pause = 1 / fps
        self._shown = self._due = time.perf_counter()
        self._open()

    def show(self, picture: NDArray[np.uint8]) -> float:
        """Shows a picture and waits until the next one is due.

        Args:
            picture: (height, width, 3) RGB.

        Returns:
            Seconds since the last one.

        Raises:
            OSError: when the window was ended from outside; the next call opens a new one.
        """
        height, width = picture.shape[:2]
        self._ask(b"%d %d\n" % (width, height), np.ascontiguousarray(picture).data)
        # Clocks that count whole milliseconds, as pygame's, would make 62.5 frames a second of 60.
        self._due = max(self._due + self._pause, time.perf_counter())
        time.sleep(max(0.0, self._due - time.perf_counter()))
        last, self._shown = self._shown, time.perf_counter()
        return self._shown - last

    def events(self) -> list[tuple[int, Any]]:
        """What was done in the window since the last call: pygame's types of events, and their keys or 0.

        Of the mouse it tells moves and clicks of the left button, with x and y in the window.

        Raises:
            OSError: when the window was ended from outside; the next call opens a new one.
        """
        return [(kind, key) for kind, key in self._ask(b"0 0\n")]

    def close(self) -> None:
        """Closes the window; to show something opens it again."""
        self._end()

    def _open(self) -> None:
        search = {"PYTHONPATH": os.pathsep.join(sys.path)}  # pygame is found where this process finds it
        self._process = subprocess.Popen(
            [sys.executable, "-P", PROGRAM, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **search, "PYGAME_HIDE_SUPPORT_PROMPT": "1"},
        )
        self._owner = os.getpid()
        self._end = weakref.finalize(self, _end, self._process)  # also for who forgets to close it
        hello = self._exchange()
        if "error" in hello:
            self.close()
            raise OSError(hello["error"])
        self.driver: str = hello["driver"]
        self.desktop: tuple[int, int] = tuple(hello["desktop"])

    def _ask(self, *request: bytes | memoryview) -> Any:
        if self._owner != os.getpid():  # after a fork the window is the parent's
            self._end.detach()
        if not self._end.alive:
            self._open()
        return self._exchange(*request)

    def _exchange(self, *request: bytes | memoryview) -> Any:
        assert self._process.stdin and self._process.stdout
        answer = b""
        try:
            with contextlib.suppress(OSError):
                for part in request:
                    self._process.stdin.write(part)
                self._process.stdin.flush()
                answer = self._process.stdout.readline()
            if not answer:
                raise OSError("the window was ended from outside")
        except BaseException:  # Ctrl-C, too, leaves half an exchange behind, which no other may follow
            self.close()
            raise
        return json.loads(answer)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin and process.stdout
    process.kill()
    with contextlib.suppress(OSError):  # what was still to be written
        process.stdin.close()
    process.stdout.close()
    process.wait()
