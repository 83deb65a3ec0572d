"""What searches by populations come to with equal transitions: agents side by side, and islands.

    python benchmarks/populations.py --kept /tmp/populations.jsonl

`agents`: each agent as `meze train AGENT ENV` sets it up, with as many transitions as the others. `islands`:
one population against eight that evolve apart, together as large, with as many elites. Episodes of the
evaluation are on levels, maps and seeds that training has not seen; beside the checkpoint that was evaluated
best on the way stands the newest, since one population is evaluated on the way more often than islands are.

A row is kept as soon as it is there, so the command goes on where it was stopped. Seconds are those of the
search on one thread, beside whatever else the machine does.
"""

import contextlib
import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import meze
import numpy as np
import tyro
from meze.runners.reporting.statistics import over_runs
from rich.console import Console
from rich.table import Table

STEPS = {"platformer": 4_000_000, "city": 3_000_000, "CartPole-v1": 100_000}
"""Transitions of each run."""
SHOWN = {"platformer": "clear", "city": "success", "CartPole-v1": "length"}
"""What is told beside the return."""
EIGHT = {"islands": 8, "migrate-every": 5}
ARMS: dict[str, dict[str, tuple[str, str, dict[str, Any]]]] = {
    "agents": {
        f"{env}, {agent}": (agent, env, {}) for env in STEPS for agent in ("genetic", "cma-es", "neat")
    },
    "islands": {
        "platformer, genetic, 256": ("genetic", "platformer", {}),
        "platformer, genetic, 8 x 32": (
            "genetic",
            "platformer",
            EIGHT | {"agent.population-size": 32, "agent.elites": 1},
        ),
        "platformer, neat, 160": ("neat", "platformer", {"agent.population-size": 160, "agent.species": 8}),
        "platformer, neat, 8 x 20": (
            "neat",
            "platformer",
            EIGHT | {"agent.population-size": 20, "agent.species": 2},
        ),
        "platformer, cma-es, 128": ("cma-es", "platformer", {}),
        "platformer, cma-es, 8 x 16": ("cma-es", "platformer", EIGHT | {"agent.population-size": 16}),
    },
}


@dataclass(frozen=True)
class Settings:
    """What is run."""

    what: tuple[str, ...] = ("agents", "islands")
    """Which comparisons."""
    seeds: tuple[int, ...] = (11, 5_003, 90_001, 2_000_003, 70_000_027)
    """Seeds of the searches, far apart."""
    scale: float = 1.0
    """Times as many transitions as usual."""
    kept: Path = Path("populations.jsonl")
    """File of rows."""


def run(agent: str, env: str, asked: dict[str, Any], steps: int, seed: int) -> dict[str, Any]:
    """Searches, and tells what the best and the newest checkpoint do on what training has not seen."""
    length = {"max_steps": steps, "generations": 10**6, "eval_every": 10**6, "seed": seed}
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()):
        done = meze.train(agent, env, asked, out=out, **length)
        (newest,) = meze.evaluate(env, [done], checkpoint="newest", episodes=256).of.values()
        last, scores = done.metrics[-1], done.scores[agent]
    return {
        "newest": newest["return"]["mean"],
        "steps": int(last["step"]),
        "generations": int(last["generation"]),
        "seconds": round(last["seconds"], 1),
        "return": scores["return"]["mean"],
        SHOWN[env]: scores[SHOWN[env]]["mean"],
    }


def told(values: list[float], factor: float = 1.0) -> str:
    """A mean over runs and its interval."""
    found = over_runs(np.array(values) * factor)
    ends = found["mean_95"]
    return f"{found['mean']:.3g}" + (f" ({ends[0]:.3g} to {ends[1]:.3g})" if ends else "")


def main(settings: Settings) -> None:
    """Runs what is missing, and prints all."""
    lines = settings.kept.read_text().splitlines() if settings.kept.exists() else []
    kept = {(*row["key"],): row for row in map(json.loads, lines)}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in settings.seeds:
        for what in settings.what:
            for arm, (agent, env, asked) in ARMS[what].items():
                steps = round(settings.scale * STEPS[env])
                key = (agent, env, json.dumps(asked), steps, seed)
                if key not in kept:
                    kept[key] = {"key": key, **run(agent, env, asked, steps, seed)}
                    with open(settings.kept, "a", encoding="utf-8") as file:
                        file.write(json.dumps(kept[key]) + "\n")
                    print(f"{arm}, seed {seed}: {kept[key]}", flush=True)
                found.setdefault((what, arm), []).append(kept[key])
    for what in settings.what:
        table = Table(
            "who",
            "return",
            "clear, success, length",
            "return of newest",
            "transitions",
            "seconds",
            title=what,
        )
        for arm, (_, env, _) in ARMS[what].items():
            rows = found[what, arm]
            factor = 1.0 if SHOWN[env] == "length" else 100.0
            table.add_row(
                arm,
                told([row["return"] for row in rows]),
                told([row[SHOWN[env]] for row in rows], factor),
                told([row["newest"] for row in rows]),
                f"{np.median([row['steps'] for row in rows]):,.0f}",
                f"{np.median([row['seconds'] for row in rows]):.0f}",
            )
        Console(width=110).print(table)
    seeds = f"{len(settings.seeds)} seeds"
    print(f"Means over {seeds} with their 95 % bootstrap intervals; medians of transitions and seconds.")


if __name__ == "__main__":
    main(tyro.cli(Settings))
