"""Folders and JSON files of runs: new ones without a race, and one process at a time that writes."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..files import check_regular, write_whole

MOST_BYTES = 1 << 26
"""The largest JSON file that is read."""


def new_folder(parent: Path, stem: str) -> Path:
    """Makes a folder that was not there: `stem`, or `stem-2` and so on, whoever else is making one."""
    parent.mkdir(parents=True, exist_ok=True)
    for name in itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2))):
        with contextlib.suppress(FileExistsError):
            (parent / name).mkdir()
            return parent / name
    raise AssertionError("there are always more names")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a folder, into which one process at a time may write; what a killed process held is free again.

    Raises:
        ValueError: when another process holds it.
    """
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"{folder} is being written by another process") from None
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that `path` holds either its earlier content or the whole new one."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        OSError: when it can't be read.
        ValueError: one line, when it is not JSON, or too large.
    """
    check_regular(path)
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
