"""Scores of every agent in every environment that `meze envs` lists, with several seeds: the page of results.

    make results BUDGET=60min

    python benchmarks/results_table.py --budget 60min --envs kiosk --agents dqn pqn

Each run is `meze train AGENT ENV` with nothing else, judged on seeds that training never saw (worlds: on
maps, levels and cities of their test split). A second table has each agent with its defaults, which no preset
has changed: one setting over all worlds. Pairs share the budget, which is the wall clock's; what is under way
when it is over is saved, and goes on the next time. A run with the same settings as one in the file is not
trained again.

`meze verify benchmarks/results/results.jsonl` trains rows again.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from meze.envs.core.registry import world_specs
from meze.files import write_whole
from meze.runners.listing import listed, offered
from meze.runners.results.plan import Pair, Results, pair_of
from meze.runners.results.rows import MOST_EPISODES
from meze.runners.results.tables import tables
from meze.runners.run.executors import make_executor
from meze.runners.setup.errors import run_command
from meze.runners.setup.interrupts import exit_code
from meze.runners.setup.machines import Machines
from meze.runners.setup.resolve import find_environment, find_learner
from meze.runners.setup.settings import parse

CHECKOUT = Path(__file__).parents[1]
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
ELSEWHERE = {"city": [{"map": name} for name in ("berlin-neukoelln", "west-oakland", "fremantle")]}
"""World to settings with which its agents, trained as ever, are judged as well."""


@dataclass(frozen=True)
class ResultsSettings(Machines):
    """How results are made."""

    budget: str = "60min"
    """Minutes of the wall clock, as in 60min."""
    envs: tuple[str, ...] = ()
    """Only these environments."""
    agents: tuple[str, ...] = ()
    """Only these agents."""
    episodes: int = 1000
    """Episodes of each evaluation."""
    rows: Path = CHECKOUT / "benchmarks" / "results" / "results.jsonl"
    """File of a line a run."""
    work: Path = CHECKOUT / "results"
    """Folder of what is under way."""
    page: Path = CHECKOUT / "docs" / "results.md"
    """Page into which the tables are written."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        if not 1 <= self.episodes <= MOST_EPISODES:
            raise ValueError(f"episodes must be from 1 to {MOST_EPISODES:,}; got {self.episodes:,}")


def minutes(text: str) -> float:
    """Reads `60min`.

    Raises:
        ValueError: for anything else.
    """
    try:
        value = float(text.removesuffix("min")) if text.endswith("min") else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise ValueError(f"budget is a number of minutes, as in 60min; got {text!r}")
    return value


def pairs(given: ResultsSettings) -> Iterator[Pair]:
    """All pairs of both tables, in their order."""
    bare = given.work / "defaults.toml"
    bare.parent.mkdir(parents=True, exist_ok=True)
    bare.write_text('# No settings: agents have their defaults.\n["*"]\n', encoding="utf-8")
    worlds = [world.name for world in world_specs()]
    agents = {find_learner(name).name for name in given.agents}
    for name in given.envs or listed():
        environment = find_environment(name)
        if environment.named_again:
            raise ValueError(f"{name} is code of another package, which no row may name")
        for spec in offered(environment):
            if not agents or spec.name in agents:
                yield pair_of("presets", environment, spec, ELSEWHERE.get(name, ()))
    for name in (each for each in given.envs or worlds if each in worlds):
        environment = replace(find_environment(name), presets=bare)
        for spec in offered(environment):
            if not agents or spec.name in agents:
                yield pair_of("defaults", environment, spec)


def around_tables(page: Path) -> tuple[str, str]:
    """What stands on a page up to the tables, and from their end on."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} ... {END}")
    return before + begin, end + after


def write_tables(page: Path, results: Results) -> None:
    """Puts the tables between the page's two marks; where nothing is known the page stays."""
    before, after = around_tables(page)
    body = "\n\n".join(tables(results.rows()))
    if body:
        write_whole(page, f"{before}\n\n{body}\n\n{after}".encode())


def main(args: Sequence[str]) -> int:
    """Trains what is missing, and writes the tables of what is there."""
    given = parse(ResultsSettings(), args, prog="results_table.py", description=__doc__ or "")
    around_tables(given.page)  # whose faults are told before anybody trains
    until = time.time() + 60 * minutes(given.budget)
    results = Results(given.rows, given.work, list(pairs(given)), given.episodes, until)
    code = 0
    try:
        results.run(make_executor(given))
    except KeyboardInterrupt as error:
        code = exit_code(error)
    for name, reason in results.failures.items():
        print(f"{name} failed: {reason}", file=sys.stderr)
    everything = list(pairs(replace(given, envs=(), agents=())))
    write_tables(given.page, Results(given.rows, given.work, everything, given.episodes, until))
    return code or bool(results.failures)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
