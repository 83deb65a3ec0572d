"""Optuna's storage in a study's folder: a journal, whose every line is an operation in JSON.

Optuna's own file backend trips over the half line that a killed process leaves behind, and waits half a
minute for a lock that it held. Here the lock is the operating system's, which is free when its owner is
gone, and half a line is cut off before the next is written. Nothing of the journal is ever unpickled: Optuna
does so with snapshots alone, which this backend does not have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from ...files import check_regular
from ..setup.files import MOST_BYTES, Lines
from ..setup.text import one_line


class Journal(BaseJournalBackend):
    """Operations in a file, line by line.

    Args:
        path: of the file; it is made when something is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = Lines(path)
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
        self._lines.exchange(text.encode())


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
