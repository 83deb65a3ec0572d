"""`meze compare ENV --agents A,B,C`: a tournament of agents, with a report."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import open_own
from .files import held, new_folder, write_json
from .interrupts import exit_code
from .presets import default_env_config
from .resolve import find_environment
from .settings import asks_for_help, leading_names, parse, print_help, reader, take_flag
from .standings import standings
from .text import command, printable
from .tournament import Budget, Tournament, make_entries

USAGE = "meze compare ENV --agents A,B,C [flags], or meze compare --resume FOLDER"
DESCRIPTION = """Trains agents with several seeds each, evaluates all of them on the same seeds, and writes a
report: one HTML page that needs no network, and JSON.

Agents are those of `meze envs`; behind a colon stands a classifier or an encoder: clone:random-forest,
q-learning:pca+kmeans. Beside them stand `random` and the world's references, runs (their folders), and
recorded plays (replay files, or a folder of them). Flags of the world hold for all: --env.observation is each
agent's own, unless it is given.

An imitator asks its teacher no more often than it would alone, and a search ends with the generation in
which the budget is reached.

Matches run side by side, each in a process of its own. One that fails is named with its reason, the others go
on, and the command ends with code 1. Ctrl-C saves and stops (code 130); `meze compare --resume FOLDER` goes
on, exactly where each match stood, and tries again what failed."""


@dataclass(frozen=True)
class CompareSettings:
    """How a tournament is held.

    Raises:
        ValueError: for a number below 1.
    """

    agents: str
    """Who takes part, with commas between them."""
    seeds: int = 5
    """With so many each agent is trained: 0, 1, 2 ..."""
    budget: str = "300_000"
    """How long each is trained: so many transitions (1e6), to which schedules are stretched, or at most so
    many minutes (5min)."""
    episodes: int = 1000
    """Episodes of each evaluation."""
    jobs: int | None = None
    """Matches side by side; by default as many as there are cores."""
    out: Path = Path("tournaments")
    """Folder in which the tournament gets its own: <out>/<env>/<stamp>."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        for name in ("seeds", "episodes", "jobs"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}")


@dataclass(frozen=True)
class ResumeSettings:
    """How a tournament goes on.

    Raises:
        ValueError: for a number below 1.
    """

    jobs: int | None = None
    """Matches side by side; by default as many as there are cores."""

    def __post_init__(self) -> None:
        """Checks the field."""
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs must be at least 1; got {self.jobs}")


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


def _new(names: Sequence[str], args: Sequence[str]) -> tuple[Tournament, int | None]:
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    environment = find_environment(names[0])
    prog = f"meze compare {names[0]}"
    read = reader(CompareSettings("random"), args, prog=prog, description=DESCRIPTION)
    settings = read(default_env_config(environment)).run
    if not take_flag(args, "--agents")[0]:
        raise ValueError("--agents says who takes part, with commas between them; `meze envs` lists agents")
    budget = Budget.read(settings.budget)
    wanted = [name.strip() for name in settings.agents.split(",") if name.strip()]
    entries = make_entries(wanted, environment, budget, lambda env: read(env).env)
    path = new_folder(settings.out / environment.name, time.strftime("%Y%m%d-%H%M%S"))
    made = Tournament.create(path, environment, entries, settings.seeds, settings.episodes, budget)
    return made, settings.jobs


def hold(tournament: Tournament, jobs: int | None = None) -> dict[str, Any]:
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


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    if asks_for_help(args):
        print_help(USAGE, DESCRIPTION)
        return 0
    names = leading_names(args)
    resumed, flags = take_flag(args[len(names) :], "--resume")
    if resumed:
        tournament = Tournament.open(Path(resumed[-1]), names[0] if names else None)
        given = parse(ResumeSettings(), flags, prog="meze compare --resume FOLDER", description=DESCRIPTION)
        jobs = given.jobs
    else:
        tournament, jobs = _new(names, flags)
    from .page import new_figure
    from .report import print_standings, write_report

    new_figure()  # a library that is missing shows before anything is played
    with held(tournament.path):
        try:
            found = hold(tournament, jobs)
        except KeyboardInterrupt as error:
            again = tournament.environment.named_again
            print(f"stopped; go on with: {command('meze', 'compare', '--resume', tournament.path, *again)}")
            return exit_code(error)
        write_json(tournament.path / "report.json", found)
        print_standings(found)
        page = tournament.path / "report.html"
        write_report(found, tournament, page)
    for name, reason in found["failures"].items():
        print(printable(f"meze: error: {name} failed: {reason}"), file=sys.stderr)
    print(f"report: {page}", flush=True)
    return 1 if found["failures"] else 0
