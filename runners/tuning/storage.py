"""Optuna's storage in a study's folder: a journal, whose every line is an operation in JSON.

Optuna's own file backend trips over the half line that a killed process leaves behind, and waits half a
minute for a lock that it held. Here the lock is the operating system's, which is free when its owner is
gone, and half a line is cut off before the next is written. Nothing of the journal is ever unpickled: Optuna
does so with snapshots alone, which this backend does not have.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from ...files import check_regular, open_own
from ..setup.files import MOST_BYTES
from ..setup.text import one_line

PATIENCE = 60.0
"""Seconds to wait for another process, none of which holds a lock for long."""


@contextmanager
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


class Journal(BaseJournalBackend):
    """Operations in a file, line by line.

    Args:
        path: of the file; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_suffix(".lock")
        self._read = 0, 0  # so many lines, and bytes

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """The operations from one on, as far as they are complete.

        Raises:
            ValueError: when a line is no JSON, or the file is too large.
        """
        if not self._path.exists():
            return
        check_regular(self._path)
        lines, offset = self._read if self._read[0] <= log_number_from else (0, 0)
        with open(self._path, "rb") as file:
            file.seek(offset)
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES >> 20} MiB")
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            lines, offset = lines + 1, offset + len(line)
            if lines > log_number_from:
                yield json.loads(line)
                self._read = lines, offset

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes operations, which are on the disk when it returns."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)

        def opener(path: str, flags: int) -> int:
            return open_own(path, flags | os.O_CREAT)

        with alone(self._lock), open(self._path, "r+b", opener=opener) as file:
            file.truncate(_complete(file))
            file.seek(0, os.SEEK_END)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def _complete(file: Any) -> int:
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


def open_storage(path: Path) -> JournalStorage:
    """Opens a study's journal, which may come from a stranger.

    Raises:
        ValueError: one line, when it is damaged.
    """
    try:
        return JournalStorage(Journal(path))
    except OSError:
        raise
    except Exception as error:  # Optuna takes what it finds for its own, and fails in many ways
        raise ValueError(f"{path} is damaged ({one_line(error, 200) or type(error).__name__})") from error
