"""Scores of every agent in every environment that `meze envs` lists, with their presets: the page of results.

    make results
    python benchmarks/results_table.py --envs kiosk --agents dqn pqn --limit 600

Each pair is `meze train AGENT ENV` with nothing else, stopped at the limit if it takes longer, and judged on
seeds that training never saw (worlds: on maps, levels and cities of their test split). A pair that was
measured with the same settings is not trained again. The normalised score is (agent - random) / (reference -
random), of mean returns in the same episodes; its interval is that of the agent's mean. The reference is a
world's best. `gap` is how much longer the ways are than with the reference, in the mean of the cities.
"""

import argparse
import csv
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from meze.agents.registry import AgentSpec, agent_specs
from meze.envs.core.registry import world_specs
from meze.runners.listing import listed, offered
from meze.runners.reporting.measures import Episodes
from meze.runners.reporting.statistics import statistics
from meze.runners.run.evaluation import find_contestant, make_evaluation_env, on_split, play_episodes
from meze.runners.run.folder import RunDir
from meze.runners.setup.files import write_json
from meze.runners.setup.kinds import KINDS
from meze.runners.setup.presets import default_agent_config, default_env_config, default_settings
from meze.runners.setup.resolve import Environment, find_environment, reference_names
from meze.runners.setup.settings import to_plain

CHECKOUT = Path(__file__).parents[1]
RECORD = CHECKOUT / "benchmarks" / "results" / "scores.json"
PAGE = CHECKOUT / "docs" / "results.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
ELSEWHERE = {"city": [{"map": name} for name in ("berlin-neukoelln", "west-oakland", "fremantle")]}
"""World to settings with which its agents, trained as ever, are judged as well."""
TRAIN = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"


def settings_of(environment: Environment, spec: AgentSpec, episodes: int) -> dict[str, Any]:
    """All settings on which a score depends."""
    return {
        "agent": to_plain(default_agent_config(environment, spec)),
        "env": to_plain(default_env_config(environment, spec)),
        "run": to_plain(default_settings(environment, spec)),
        "episodes": episodes,
    }


def is_known(
    record: dict[str, Any] | None, settings: dict[str, Any], limit: float, elsewhere: list[str]
) -> bool:
    """Whether training would only measure again what was measured.

    All settings are those by default, so one that the record does not have yet changes nothing.
    """
    return (
        record is not None
        and holds(settings, record["settings"])
        and (record["finished"] or record["limit"] >= limit)
        and list(record.get("elsewhere", {})) == elsewhere
    )


def holds(now: Any, before: Any) -> bool:
    """Whether settings are as before, but for those that have come since."""
    if isinstance(now, dict) and isinstance(before, dict):
        return before.keys() <= now.keys() and all(holds(now[key], before[key]) for key in before)
    return now == before


def measure(environment: Environment, spec: AgentSpec, episodes: int, limit: float) -> dict[str, Any]:
    """Trains and judges one pair.

    Raises:
        RuntimeError: when training fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAIN, "train", spec.name, environment.id, "--out", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # which saves
            code = process.wait()
        finally:
            process.kill()
        if code not in (0, 130):
            raise RuntimeError(f"ended with code {code}")
        (run,) = (path.parent for path in Path(folder).glob("*/*/*/config.json"))
        with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
            last = list(csv.DictReader(file))[-1]
        config = RunDir.open(run).config(environment.id)
        finished = RunDir.open(run).reached() >= getattr(config.settings, KINDS[spec.kind].length)
        contestant = find_contestant(str(run), environment, checkpoint="newest")
        judged = {"": contestant.env_config}
        for changes in ELSEWHERE.get(environment.name, ()):
            judged[named(changes)] = dataclasses.replace(contestant.env_config, **changes)
        found = {
            name: scores(environment, env, play(environment, env, contestant.policy, episodes), episodes)
            for name, env in judged.items()
        }
    return {
        "finished": finished,
        "limit": limit,
        "seconds": float(last["seconds"]),
        "steps": int(last["step"]),
        "scores": found.pop(""),
        "elsewhere": found,
    }


def named(changes: dict[str, Any]) -> str:
    """What changed settings are called in the table."""
    return ", ".join(map(str, changes.values()))


def play(environment: Environment, env_config: Any, policy_of: Any, episodes: int) -> Episodes:
    env = make_evaluation_env(environment, on_split(env_config), episodes)
    played = play_episodes(env, policy_of(env), episodes)
    env.close()
    return played


@cache
def yardstick(env_id: str, env_config: Any, name: str, episodes: int) -> Episodes:
    """What the random agent or a reference does in the same episodes."""
    environment = find_environment(env_id)
    return play(environment, env_config, find_contestant(name, environment, env_config).policy, episodes)


def scores(environment: Environment, env_config: Any, played: Episodes, episodes: int) -> dict[str, Any]:
    """Means with their intervals: the return, what else the table shows, and the normalised score."""
    measures = {
        name: played.measures[name] for name in ("return", "success", "clear") if name in played.measures
    }
    names = reference_names(environment, env_config)
    yardsticks = {
        name: yardstick(environment.id, env_config, name, episodes) for name in ("random", *names[-1:])
    }
    if "objective" in played.measures:
        best = yardsticks[names[-1]].measures["objective"]
        measures["gap"] = played.measures["objective"] / best - 1.0
    found: dict[str, Any] = {name: brief(values) for name, values in measures.items()}
    found["yardsticks"] = {name: float(each.measures["return"].mean()) for name, each in yardsticks.items()}
    if names:
        low, high = found["yardsticks"].values()
        found["normalised"] = [(value - low) / (high - low) for value in found["return"]]
    return found


def brief(values: np.ndarray) -> list[float]:
    """A mean and the ends of its 95 % interval."""
    found = statistics(values)
    return [found["mean"], *found["mean_95"]]


def tables(pairs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Markdown: the project's worlds, then the environments of Gymnasium."""
    worlds = [world.name for world in world_specs() if world.name in pairs]
    for names in (worlds, sorted(pairs.keys() - set(worlds))):
        agents = [spec.name for spec in agent_specs() if any(spec.name in pairs[name] for name in names)]
        if agents:
            rows = [["agent", *(f"`{name}`" for name in names)], ["---"] * (1 + len(names))]
            rows += [[f"`{agent}`", *(cell(pairs[name].get(agent)) for name in names)] for agent in agents]
            yield "\n".join(f"| {' | '.join(row)} |" for row in rows)
    for name, places in ELSEWHERE.items():
        columns = [named(changes) for changes in places]
        known = {each: record for each, record in pairs.get(name, {}).items() if record.get("elsewhere")}
        if known:
            rows = [[f"`{name}`, trained as above", *columns], ["---"] * (1 + len(columns))]
            rows += [
                [f"`{agent}`", *(score(known[agent]["elsewhere"].get(place)) for place in columns)]
                for agent in (spec.name for spec in agent_specs())
                if agent in known
            ]
            yield "\n".join(f"| {' | '.join(row)} |" for row in rows)
    if limits := {
        each["limit"] for known in pairs.values() for each in known.values() if not each["finished"]
    }:
        span = " to ".join(f"{each:.0f}" for each in sorted({min(limits), max(limits)}))
        yield f"\\* stopped after {span} s in all, evaluations included."


def cell(record: dict[str, Any] | None) -> str:
    """A pair's score, and how long it was trained."""
    if record is None:
        return "-"
    seconds = f"{record['seconds']:.0f} s" + ("" if record["finished"] else " \\*")
    return f"{score(record['scores'])}, {seconds}"


def score(found: dict[str, Any] | None) -> str:
    """A mean with its interval, and the shares that go with it; a dash where nothing was measured."""
    if found is None:
        return "-"
    if "normalised" in found:
        mean, low, high = found["normalised"]
        text = f"**{mean:.2f}** ({low:.2f} to {high:.2f})"
    else:
        mean, low, high = found["return"]
        text = f"**{mean:.4g}** ({low:.4g} to {high:.4g})"
    shares = [f"{name} {100 * found[name][0]:.1f} %" for name in ("success", "clear", "gap") if name in found]
    return ", ".join([text, *shares])


def write_tables(pairs: dict[str, dict[str, Any]]) -> None:
    """Puts the tables between the page's two marks."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no {BEGIN} ... {END}")
    body = "\n\n".join(tables(pairs))
    PAGE.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measures what is not known yet and writes the table; after each pair the record is on disk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--envs", nargs="+", help="only these environments")
    parser.add_argument("--agents", nargs="+", help="only these agents")
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds of each pair's training")
    parser.add_argument("--episodes", type=int, default=1000, help="episodes of each evaluation")
    given = parser.parse_args()
    pairs = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in given.envs or listed():
        environment = find_environment(name)
        for spec in offered(environment):
            settings = settings_of(environment, spec, given.episodes)
            elsewhere = [named(changes) for changes in ELSEWHERE.get(environment.name, ())]
            known = is_known(pairs.get(name, {}).get(spec.name), settings, given.limit, elsewhere)
            if known or (given.agents and spec.name not in given.agents):
                continue
            try:
                record = measure(environment, spec, given.episodes, given.limit)
            except (RuntimeError, ValueError) as error:
                print(f"{spec.name} in {name}: {error}", file=sys.stderr, flush=True)
                continue
            record |= {"settings": settings, "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
            pairs.setdefault(name, {})[spec.name] = record
            print(f"{spec.name} in {name}: {cell(record)}", flush=True)
            write_json(RECORD, pairs)
    write_tables(pairs)


if __name__ == "__main__":
    main()
