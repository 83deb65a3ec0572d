"""Ctrl-C, and SIGTERM, which schedulers send: both end the work, saved; the exit code tells which it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes after Ctrl-C and after SIGTERM, as shells have them."""


class Terminated(KeyboardInterrupt):
    """SIGTERM."""


class Saved(KeyboardInterrupt):
    """Work that was interrupted has been saved, and it was said how it goes on.

    Attributes:
        code: exit code of a command.
    """

    def __init__(self, code: int) -> None:
        super().__init__("saved")
        self.code = code


def exit_code(error: KeyboardInterrupt) -> int:
    """The exit code after an interruption."""
    return TERMINATED if isinstance(error, Terminated) else INTERRUPTED


def hear_sigterm() -> None:
    """Has SIGTERM raise `Terminated`, where signals can be heard."""

    def handle(*_: Any) -> None:
        raise Terminated

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handle)


class Stop(threading.Event):
    """Is set by the first Ctrl-C or SIGTERM."""

    code = INTERRUPTED
    """The exit code that follows."""


@contextmanager
def raising() -> Iterator[None]:
    """Within `stopping`: has Ctrl-C and SIGTERM raise at once, where what is done is saved by others."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hear_sigterm()
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Turns the first Ctrl-C or SIGTERM into an event, honoured between two steps; the second one raises."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, _: Any) -> None:
        error = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
        if stop.is_set():
            raise error
        stop.code = exit_code(error)
        stop.set()

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Has the first Ctrl-C or SIGTERM wait until what stands inside is done."""
    with stopping() as stop:
        yield
    if stop.is_set():
        raise Terminated if stop.code == TERMINATED else KeyboardInterrupt
