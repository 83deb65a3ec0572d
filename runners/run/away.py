"""A task on another machine: its files go there, and what it writes comes back as it is written.

Where both machines see one folder nothing goes and nothing comes. Files are replaced whole, so what is read
of one is whole, too; a file that only grows travels with the next one that is new.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ...files import write_whole
from ...version import __version__
from ..setup.files import Lines
from .executor import STOPPED, Child, Task

LOOK = 1.0
"""Seconds between two looks at what a task has written."""
PREFIX, LOCK = "meze-task-", "lock"
"""How temporary folders begin, and what their owners hold in them."""
PACE = 5.0
"""Seconds after which lines are asked for that others have added."""

Files = list[tuple[str, bytes]]
"""Names below a folder, and contents."""
Mark = tuple[int, int, int]
"""What tells whether a file was written since: inode, time and size."""


class Order(NamedTuple):
    """A task as it is told to another machine."""

    module: str
    words: tuple[str, ...]
    folder: str
    """The task's folder, as words name it; empty where it has none."""
    own: str
    """The same as the other machine would see it, if it is shared."""
    log: str
    """The log, in the folder."""
    files: tuple[str, ...]
    cpus: int
    cwd: str
    path: str
    """PYTHONPATH, for where files are shared."""


class Changes(NamedTuple):
    """What a task has written since the last time."""

    files: Files
    gone: list[str]
    """Names of files that it has deleted."""
    lines: dict[str, bytes]
    """File to what was added to it."""
    reason: str | None
    """Why it failed, or nothing; None: it goes on."""


def ordered(task: Task, cpus: int) -> Order:
    """What is told of a task to another machine."""
    folder = str(task.folder) if task.folder else ""
    own = os.path.abspath(folder) if folder else ""
    log = str(task.log.relative_to(folder)) if folder else os.path.abspath(task.log)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join(os.path.abspath(each) for each in paths if each)
    return Order(task.module, task.words, folder, own, log, (*task.files, log), cpus, os.getcwd(), path)


def packed(folder: Path, patterns: Sequence[str]) -> Files:
    """A folder's files that match some patterns, the oldest first."""
    return list(_read(folder, _marks(folder, patterns)))


def put(folder: Path, files: Files, gone: Iterable[str] = ()) -> None:
    """Writes files into a folder, each whole or not at all, and deletes some.

    Raises:
        ValueError: one line, for a name that leads out of the folder.
    """
    for name, content in files:
        path = _below(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    for name in gone:
        _below(folder, name).unlink(missing_ok=True)


def _below(folder: Path, name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"the other machine names {name!r}, which is not in the task's folder")
    return folder / name


def _marks(folder: Path, patterns: Sequence[str]) -> dict[str, Mark]:
    """What is there, but for locks and what is being written."""
    found: dict[str, Mark] = {}
    for path in {path for pattern in patterns for path in folder.glob(pattern)}:
        if path.name.startswith(".") or path.name.endswith("lock"):
            continue
        try:
            if path.is_file() and not path.is_symlink():
                stat = path.stat()
                found[path.relative_to(folder).as_posix()] = stat.st_ino, stat.st_mtime_ns, stat.st_size
        except FileNotFoundError:  # gone since
            pass
    return found


def _read(folder: Path, names: dict[str, Mark]) -> Iterable[tuple[str, bytes]]:
    # What is listed first is read later: so rows of metrics are never older than the checkpoint beside them.
    for name, _ in sorted(names.items(), key=lambda each: each[1][1]):
        try:
            yield name, (folder / name).read_bytes()
        except FileNotFoundError:
            pass


class Temporary:
    """A new folder of this machine; one whose owner was killed is deleted when the next one is made."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = FileLock(self.path / LOCK, thread_local=False)
        self._lock.acquire()
        for path in self.path.parent.glob(f"{PREFIX}*/{LOCK}"):
            self._delete_abandoned(path)

    def _delete_abandoned(self, lock: Path) -> None:
        """Deletes another folder whose lock is free, if it is this user's: others' may be traps."""
        with contextlib.suppress(OSError, Timeout):
            mine = self.path.lstat().st_uid
            if all(each.lstat().st_uid == mine and not each.is_symlink() for each in (lock, lock.parent)):
                with FileLock(lock, timeout=0):
                    shutil.rmtree(lock.parent, ignore_errors=True)

    def delete(self) -> None:
        """Deletes it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


class Worker:
    """Does one task after the other where it is; `stop` may be called while `changes` waits.

    Raises:
        ValueError: when this machine has another version.
    """

    def __init__(self, version: str) -> None:
        if version != __version__:
            raise ValueError(f"meze {__version__} is installed there, not {version}")
        self._stopping, self._lock = False, threading.Lock()
        self._child: Child | None = None

    def sees(self, path: str) -> bool:
        """Whether this machine has a file that another one has."""
        return os.path.exists(path)

    def begin(self, order: Order, files: Files | None, lines: dict[str, bytes]) -> None:
        """Begins the task.

        Args:
            order: what is to be done.
            files: what it reads; None: it is there.
            lines: files to which others add lines, and these.
        """
        self._child, self._temporary = None, None
        self._seen: dict[str, Mark | None] = {}
        self._lines: dict[str, Lines] = {}
        words, self._order = order.words, order
        self._folder = Path(order.own) if files is None else self._unpacked(order, files)
        for name, content in lines.items():
            self._lines[name] = Lines(self._folder / name)
            self._lines[name].exchange(content)
        if order.folder:
            words = tuple(_moved(word, order.folder, str(self._folder)) for word in words)
        log = self._folder / order.log
        cwd, environ = None, {}
        if files is None and os.path.isdir(order.cwd):
            cwd = order.cwd
            path = [order.path, os.environ.get("PYTHONPATH", "")]
            environ = {"PYTHONPATH": os.pathsep.join(filter(None, path))}
        with self._lock:
            if not self._stopping:
                self._child = Child(order.module, words, log, order.cpus, cwd, environ)

    def _unpacked(self, order: Order, files: Files) -> Path:
        """Makes a folder of this machine with what the task reads."""
        self._temporary = Temporary()
        folder = self._temporary.path / Path(order.own).name
        for pattern in order.files:  # in which there may be nothing yet
            certain = itertools.takewhile(lambda part: "*" not in part, Path(pattern).parts[:-1])
            folder.joinpath(*certain).mkdir(parents=True, exist_ok=True)
        put(folder, files)
        self._seen = {**_marks(folder, order.files)}
        return folder

    def changes(self, lines: dict[str, bytes]) -> Changes:
        """Waits until there is something to tell.

        Args:
            lines: what others have added since.
        """
        gained = {name: own.exchange(lines.get(name, b"")) for name, own in self._lines.items()}
        waited = 0.0
        while True:
            reason = STOPPED if self._child is None else self._child.wait(LOOK)
            waited += LOOK
            for name, own in self._lines.items():
                gained[name] += own.exchange()
            files, gone = self._written(ended=reason is not None) if self._temporary else ([], [])
            late = bool(self._lines) and waited >= PACE
            if reason is not None or files or gone or late or any(gained.values()):
                if reason is not None and self._temporary:
                    self._temporary.delete()
                return Changes(files, gone, gained, reason)

    def stop(self) -> None:
        """Asks the task to save and end."""
        with self._lock:
            self._stopping = True
            if self._child:
                self._child.stop()

    def _written(self, ended: bool) -> tuple[Files, list[str]]:
        """What was written and deleted since the last time, if a file is new or the task has ended."""
        now = _marks(self._folder, self._order.files)
        changed = {name: mark for name, mark in now.items() if self._seen.get(name) != mark}
        gone = [name for name in self._seen if name not in now]
        grown = all(_inode(self._seen.get(name)) == mark[0] for name, mark in changed.items())
        if grown and not gone and not ended:
            return [], []
        self._seen = {**now}
        return list(_read(self._folder, changed)), gone


def _inode(mark: Mark | None) -> int | None:
    return mark[0] if mark else None


def _moved(word: str, old: str, new: str) -> str:
    """A word, with the new name of the folder where it begins with the old one."""
    return new + word[len(old) :] if word == old or word.startswith(old + os.sep) else word
