"""Folders and files: new ones without a race, one process at a time that writes, JSON and TOML."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from ...files import check_regular, open_own, write_whole

MOST_BYTES = 1 << 26
"""The largest JSON or TOML file that is read."""
PATIENCE = 60.0
"""Seconds to wait for another process: none holds a lock for long, and who did a task before, and was taken
for lost, is about to notice that it is not wanted any more."""


def new_folder(parent: Path, stem: str) -> Path:
    """Makes a folder that was not there: `stem`, or `stem-2` and so on, whoever else is making one."""
    parent.mkdir(parents=True, exist_ok=True)
    for name in itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2))):
        with contextlib.suppress(FileExistsError):
            (parent / name).mkdir()
            return parent / name
    raise AssertionError("there are always more names")


@contextlib.contextmanager
def held(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Holds a folder, into which one process at a time may write; what a killed process held is free again.

    Args:
        folder: which.
        patience: seconds to wait for another process that holds it.

    Raises:
        ValueError: when another process holds it.
    """
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise ValueError(f"{folder} is being written by another process") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """While no other process holds a lock, which is free again when its owner is gone.

    Raises:
        ValueError: when another process does not give it back.
    """
    try:
        with FileLock(lock, timeout=PATIENCE):
            yield
    except Timeout:
        raise ValueError(f"{lock} is locked by another process, which does not go on") from None


class Lines:
    """A file to which several processes add lines, each of which is written whole or not at all.

    Args:
        path: of the file; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, path.with_suffix(".lock")
        self._known = 0

    def exchange(self, lines: bytes = b"") -> bytes:
        """Adds lines, which are on the disk when it returns.

        Returns:
            What others have added since the last call.
        """

        def opener(path: str, flags: int) -> int:
            return open_own(path, flags | os.O_CREAT)

        with alone(self._lock), open(self._path, "r+b", opener=opener) as file:
            end = _complete(file)
            file.seek(min(self._known, end))
            news = file.read(end - file.tell())
            if lines:
                file.truncate(end)  # half a line, which a killed process left behind
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            self._known = end + len(lines)
        return news


def _complete(file: IO[bytes]) -> int:
    """Bytes of a file up to the end of its last complete line."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 4096)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file so that `path` holds either its earlier content or the whole new one."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        OSError: when it can't be read.
        ValueError: one line, when it is not JSON, or too large.
    """
    return _decoded(path, json.loads, "JSON")


def read_versioned(path: Path, newest: int, what: str) -> dict[str, Any]:
    """Reads a JSON object that tells its `format`.

    Args:
        path: of the file.
        newest: the highest format that this version knows.
        what: what the object is, for messages.

    Raises:
        OSError: when it can't be read.
        ValueError: one line, when it is no such object, or is newer.
    """
    plain = read_json(path)
    if not isinstance(plain, dict) or type(plain.get("format")) is not int or plain["format"] < 1:
        raise ValueError(f"{path} is not {what}")
    if plain["format"] > newest:
        raise ValueError(
            f"{path.parent} is from a newer version of meze "
            f"(format {plain['format']}; this one reads up to {newest})"
        )
    return plain


def read_toml(path: Path) -> Mapping[str, Any]:
    """Reads a TOML file; whoever reads it again is given the same value while its content is the same.

    Raises:
        OSError: when it can't be read.
        ValueError: one line, when it is not TOML, or too large.
    """
    return _decoded(path, _parsed, "TOML")


@lru_cache(maxsize=16)
def _parsed(data: bytes) -> Mapping[str, Any]:
    return tomllib.loads(data.decode())


def _decoded(path: Path, decode: Callable[[bytes], Any], kind: str) -> Any:
    check_regular(path)
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    try:
        return decode(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not {kind}: {error}") from None
