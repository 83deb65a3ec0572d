"""`meze compare ENV --agents A,B,C`: a tournament of agents, with a report."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checking import at_least
from .reporting.page import new_figure
from .run.executor import Executor
from .run.executors import make_executor
from .setup.files import held, new_folder, write_json
from .setup.interrupts import exit_code
from .setup.machines import Machines
from .setup.presets import default_env_config
from .setup.resolve import find_environment, world_class
from .setup.settings import leading_names, override, parse, reader, take_flag
from .setup.text import command, printable
from .tournament.fronts import along, limits, weights_grid
from .tournament.matches import play_matches
from .tournament.report import print_standings, write_report
from .tournament.tournament import Budget, Entry, Tournament, make_entries

USAGE = "meze compare ENV --agents A,B,C [flags], or meze compare --resume FOLDER"
DESCRIPTION = """Trains agents with several seeds each, evaluates all of them on the same seeds, and writes a
report: one HTML page that needs no network, and JSON.

Agents are those of `meze envs`; behind a colon stands a classifier or an encoder: clone:random-forest,
q-learning:pca+kmeans. Beside them stand `random` and the world's references, runs (their folders, or
`pretrained:NAME`), and recorded plays (replay files, or a folder of them). Flags of the world hold for all:
--env.observation is each agent's own, unless it is given.

An imitator asks its teacher no more often than it would alone, and a search ends with the generation in
which the budget is reached.

Matches run side by side, each in a process of its own. One that fails is named with its reason, the others go
on, and the command ends with code 1. Ctrl-C saves and stops (code 130); `meze compare --resume FOLDER` goes
on, exactly where each match stood, and tries again what failed."""


@dataclass(frozen=True)
class CompareSettings(Machines):
    """How a tournament is held.

    Raises:
        ValueError: for a number below 1, or what does not go together.
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
    weights_grid: int | None = None
    """In so many ways costs are weighed, evenly spread: each agent is trained for each, and the report draws
    the front that it comes to, beside the exact one where the world can be solved."""
    constraints: str | None = None
    """The same along limits of a cost: `0,0.01,0.05` of the first that the world tells, or
    `harm_aboard<=0,0.5`."""
    out: Path = Path("tournaments")
    """Folder in which the tournament gets its own: <out>/<env>/<stamp>."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "seeds", "episodes", "weights_grid")
        if self.weights_grid is not None and self.constraints is not None:
            raise ValueError("a front is along weights or along constraints; give one of both")


def _new(names: Sequence[str], args: Sequence[str]) -> tuple[Tournament, Executor, Machines]:
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    environment = find_environment(names[0])
    prog = f"meze compare {names[0]}"
    read = reader(CompareSettings(""), args, prog=prog, description=DESCRIPTION)
    settings = read(default_env_config(environment)).run
    wanted = [name.strip() for name in settings.agents.split(",") if name.strip()]
    if not wanted:
        raise ValueError("--agents says who takes part, with commas between them; `meze envs` lists agents")
    budget = Budget.read(settings.budget)
    entries = make_entries(wanted, environment, budget, lambda env: read(env).env)
    entries = tuple(_on_cores(entry, settings.cpus_per_run) for entry in entries)
    world = world_class(environment)
    costs = world.costs if world else ()
    if settings.weights_grid is not None:
        entries = along(entries, weights_grid(settings.weights_grid, costs))
    elif settings.constraints is not None:
        entries = along(entries, limits(settings.constraints, costs))
    new_figure()  # a library that is missing shows before there is a folder, or anything is played
    executor = make_executor(settings)
    path = new_folder(settings.out / environment.name, time.strftime("%Y%m%d-%H%M%S"))
    tournament = Tournament(path, environment, entries, settings.seeds, settings.episodes, budget)
    tournament.create()
    return tournament, executor, settings


def _on_cores(entry: Entry, cores: int) -> Entry:
    """An entry whose runs step their environments on all cores that each has, which changes no result."""
    if entry.config is None:
        return entry
    settings = override(entry.config.settings, {"num_threads": cores})
    return dataclasses.replace(entry, config=dataclasses.replace(entry.config, settings=settings))


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    resumed, flags = take_flag(args[len(names) :], "--resume")
    if resumed:
        tournament = Tournament.open(Path(resumed[-1]), names[0] if names else None)
        given = parse(Machines(), flags, prog="meze compare --resume FOLDER", description=DESCRIPTION)
        new_figure()
        executor = make_executor(given)
    else:
        tournament, executor, given = _new(names, flags)
    with held(tournament.path):
        try:
            found = play_matches(tournament, executor)
        except KeyboardInterrupt as error:
            again = *tournament.environment.named_again, *given.words
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
