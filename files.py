"""Files, for all floors: ours are written whole or not at all, a stranger's looked at before it is opened."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a path to write to, whose file takes the place of `path` if all goes well, and is gone otherwise.

    It has one name, so that a killed process leaves one file at most, and the ending of `path`.

    Raises:
        OSError: when the disk is full or the folder can't be written, which names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()  # in a stranger's folder it may be a link to what is to be written over
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_whole(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Writes a file so that `path` holds either its earlier content or the whole new one, after a crash, too.

    Raises:
        OSError: see `replaced`.
    """
    with replaced(path) as temporary, open(temporary, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuses what is there and no file: to open a named pipe would wait for ever.

    Raises:
        ValueError: for a pipe, a socket or a device.
    """
    with contextlib.suppress(OSError):  # what is missing is told by whoever opens it
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ValueError(f"{path}: not a regular file")


def refuse_links(*paths: Path) -> None:
    """Refuses links, through which a stranger's folder would have something else written over, or deleted.

    Raises:
        ValueError: one line, where one of the paths is a link.
    """
    for path in paths:
        if path.is_symlink():
            raise ValueError(f"{path} is a link, and nothing is written through it")


def open_own(path: str, flags: int) -> int:
    """An `opener` that does not follow a link, which in a stranger's folder may lead to any file."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
