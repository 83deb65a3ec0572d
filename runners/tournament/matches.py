"""The matches of a tournament, several at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from ...files import open_own
from ..setup.text import printable
from .standings import standings
from .tournament import Tournament


class Matches:
    """Runs the matches that have no result yet, side by side.

    Args:
        tournament: whose.
        jobs: processes at a time.
    """

    def __init__(self, tournament: Tournament, jobs: int | None) -> None:
        self._tournament = tournament
        free = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
        self._jobs = jobs or len(free(0))
        self._running: set[subprocess.Popen[Any]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def run(self) -> dict[str, str]:
        """Runs them all.

        Returns:
            Name of each match that failed to its reason.

        Raises:
            KeyboardInterrupt: after Ctrl-C, once all have saved.
        """
        tournament = self._tournament
        missing = [each for each in tournament.matches() if not tournament.result_path(*each).exists()]
        failures: dict[str, str] = {}
        began = time.perf_counter()
        with ThreadPoolExecutor(self._jobs) as pool:
            futures = {pool.submit(self._play, *match): match for match in missing}
            try:
                for count, future in enumerate(as_completed(futures), 1):
                    number, seed = futures[future]
                    name = self._name(number, seed)
                    reason = future.result()
                    if reason:
                        failures[name] = reason
                    seconds = time.perf_counter() - began
                    news = f"failed: {reason}" if reason else "done"
                    line = f"{count}/{len(missing)} after {seconds:.0f} s: {name} {news}"
                    print(printable(line), flush=True)
            except BaseException:
                self.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return failures

    def stop(self) -> None:
        """Asks all that run to save and end."""
        with self._lock:
            self._stopping = True
            if self._running:
                print(f"waiting until what is trained is saved, {len(self._running)} under way", flush=True)
            for process in self._running:
                try:
                    assert process.stdin
                    process.stdin.write("stop\n")
                    process.stdin.flush()
                except OSError:  # it has ended
                    pass

    def _name(self, number: int, seed: int) -> str:
        entry = self._tournament.entries[number]
        return f"{entry.name} seed {seed}" if entry.kind == "trained" else entry.name

    def _play(self, number: int, seed: int) -> str:
        """Plays one match; returns why it failed, or nothing."""
        tournament = self._tournament
        log = tournament.path / "logs" / f"{tournament.stem(number, seed)}.log"
        match = [str(tournament.path), tournament.environment.id, str(number), str(seed)]
        words = [sys.executable, "-m", f"{__package__}.match", *match]
        alone = {"OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy", "PYTHONSAFEPATH": "1"}
        with open(log, "a", encoding="utf-8", opener=open_own) as file:
            with self._lock:
                if self._stopping:
                    return "stopped"
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=os.environ | alone,
                    start_new_session=True,  # Ctrl-C in the terminal is for the tournament alone
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
                assert process.stdin
                process.stdin.close()
        if code == 0:
            return ""
        if code < 0:
            return f"killed by signal {-code}"
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].removeprefix("meze: error: ") if lines else f"ended with code {code}"


def play_matches(tournament: Tournament, jobs: int | None = None) -> dict[str, Any]:
    """Runs what is missing of a tournament.

    Returns:
        Its standings.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once all matches have saved.
    """
    if threading.current_thread() is threading.main_thread():  # even where a shell had it ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
    failures = Matches(tournament, jobs).run()
    return standings(tournament, failures)
