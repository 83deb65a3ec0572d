"""Who runs tasks: modules of the project, in processes of this machine, so many side by side.

Both ends of a task are here. `Processes` starts it and holds the other end of its standard input; `serve` is
what the module does. A line there asks it to save and stop; when the input ends, whoever asked is gone, and
the task is gone too, before somebody else begins the same work.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from ...files import open_own
from ..setup.errors import run_command
from ..setup.interrupts import INTERRUPTED

STOPPED, KILLED = "stopped", "killed by signal"
"""Why a task failed that was asked to save and stop, and how it is told of one that the system ended."""


@dataclass(frozen=True)
class Task:
    """Something to do, by a module whose `main` takes words and an event; see `serve`."""

    name: str
    """How it is called in messages."""
    module: str
    """Full name of the module."""
    words: tuple[str, ...]
    log: Path
    """File to which is added what it says."""
    folder: Path | None = None
    """Where all lies that it reads and writes, `log` included: on another machine it may have another name,
    and words that begin with it name that. None: it reads what lies anywhere on this machine."""
    files: tuple[str, ...] = ("**/*",)
    """What it reads and writes there, as patterns."""
    lines: tuple[str, ...] = ()
    """Files there to which it adds lines while others do so, too; see `setup.files.add_lines`."""
    gpus: int = 0
    """GPUs that it wants."""


class Executor(Protocol):
    """Who runs tasks."""

    def running(self, tasks: Iterable[Task]) -> AbstractContextManager[Iterator[tuple[Task, str]]]:
        """Runs tasks, and tells of each that has ended, in the order in which they do.

        A task is taken from `tasks` when somebody is free to run it, and after those that ended were told: so
        whoever makes them may make the next one of what the last ones came to.

        Args:
            tasks: what is to be done.

        Returns:
            A context whose value tells the task, and why it failed, or nothing. When the context is left by
            an exception, as after Ctrl-C, all are asked to save and stop, and it waits until they have.
        """
        ...


class Child:
    """A task's process, and the other end of its standard input.

    Args:
        module: what it runs.
        words: what is said to it.
        log: file to which is added what it says.
        cpus: threads of the libraries that compute.
        cwd: folder in which it runs; by default this process's.
        environ: more of its environment.
    """

    def __init__(
        self,
        module: str,
        words: Sequence[str],
        log: Path,
        cpus: int = 1,
        cwd: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        alone = {"OMP_NUM_THREADS": str(cpus), "SDL_VIDEODRIVER": "dummy", "PYTHONSAFEPATH": "1"}
        self._log = log
        with open(log, "a", encoding="utf-8", opener=open_own) as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=cwd,
                env=os.environ | (environ or {}) | alone,
                start_new_session=True,  # Ctrl-C in the terminal is for whoever started it alone
            )

    def stop(self) -> None:
        """Asks it to save and end."""
        try:
            assert self._process.stdin
            self._process.stdin.write("stop\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has ended
            pass

    def wait(self, seconds: float | None = None) -> str | None:
        """Waits until it has ended; returns why it failed, or nothing; None: it has not, after so long."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        assert self._process.stdin
        self._process.stdin.close()
        if code == 0:
            return ""
        if code == INTERRUPTED:
            return STOPPED
        if code < 0:
            return f"{KILLED} {-code}"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].removeprefix("meze: error: ") if lines else f"ended with code {code}"


class Processes:
    """Runs each task in a process of its own; see `Executor`.

    Args:
        jobs: processes side by side; by default as many as there are cores for.
        cpus: cores that each has for itself.

    Raises:
        ValueError: when there are fewer.
    """

    def __init__(self, jobs: int | None = None, cpus: int = 1) -> None:
        there = len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))
        if cpus > there:
            raise ValueError(f"a run wants {cpus} cores, and this machine has {there}")
        self._cpus, self._jobs = cpus, jobs or there // cpus
        self._running: set[Child] = set()
        self._lock = threading.Lock()
        self._stopping = False

    @contextmanager
    def running(self, tasks: Iterable[Task]) -> Iterator[Iterator[tuple[Task, str]]]:
        """Runs tasks; see `Executor.running`."""
        if threading.current_thread() is threading.main_thread():  # even where a shell had it ignored
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                yield self._ended(pool, iter(tasks))
            except BaseException:
                self._stop()
                raise

    def _ended(self, pool: ThreadPoolExecutor, tasks: Iterator[Task]) -> Iterator[tuple[Task, str]]:
        under_way: dict[Future[str], Task] = {}
        while True:
            for task in itertools.islice(tasks, self._jobs - len(under_way)):
                under_way[pool.submit(self._run, task)] = task
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(future), future.result()

    def _stop(self) -> None:
        """Asks all that run to save and end."""
        with self._lock:
            self._stopping = True
            if self._running:
                print(f"waiting until what is trained is saved, {len(self._running)} under way", flush=True)
            for child in self._running:
                child.stop()

    def _run(self, task: Task) -> str:
        """Runs a task; returns why it failed, or nothing."""
        with self._lock:
            if self._stopping:
                return STOPPED
            child = Child(task.module, task.words, task.log, self._cpus)
            self._running.add(child)
        reason = child.wait()
        with self._lock:
            self._running.discard(child)
        return reason or ""


# --- The task's end -----------------------------------------------------------------------------------------


class Stopped(Exception):
    """The task was asked to stop, and what it did is saved."""


def serve(main: Callable[[Sequence[str], threading.Event], None]) -> NoReturn:
    """Does a task in this process, which then ends.

    Args:
        main: takes the task's words, and an event that is set when it is to save and raise `Stopped`.
    """
    stop = threading.Event()
    threading.Thread(target=_listen, args=[stop], daemon=True).start()

    def command(words: Sequence[str]) -> int:
        try:
            main(words, stop)
        except Stopped:
            return INTERRUPTED
        return 0

    code = run_command(command, sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # the thread that listens would hold the input open


def _listen(stop: threading.Event) -> None:
    """Sets the event when a line comes in; ends the process when nothing more can come."""
    for _ in sys.stdin:
        stop.set()
    os._exit(INTERRUPTED)
