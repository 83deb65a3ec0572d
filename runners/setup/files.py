"""Folders and files: new ones without a race, one process at a time that writes, JSON and TOML."""

from __future__ import annotations

import contextlib
import itertools
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...files import check_regular, write_whole

MOST_BYTES = 1 << 26
"""The largest JSON or TOML file that is read."""


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
