"""What curricula gain on levels that nobody has seen, with equal transitions.

    python benchmarks/curricula.py --kept curricula.jsonl

Trains `pqn` in the platformer with its preset, but far shorter and with fewer levels, at each difficulty: on
levels of that difficulty drawn evenly (`uniform`) or by their errors (`plr`), and on a ramp of levels from
difficulty 0 up (`ramp`). Beside the ramp stands `mixed`: the same levels, drawn evenly from the beginning.
Every run is judged in its newest state, and plays each of the unseen levels once, which all have the
difficulty in question. Intervals of a seed are those of its levels, intervals of several seeds those of the
seeds.

Rows go to a file of JSON lines as they are found, and what stands there is not run again.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import meze
import numpy as np
import tyro
from meze.agents.base import Policy, decide
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from meze.runners.reporting.statistics import over_runs, statistics, with_interval

ARMS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "ramp": {"curriculum": "ramp", "env.easiest": 0.0},
    "plr": {"curriculum": "plr"},
    "mixed": {"env.easiest": 0.0},
}
MOST_STEPS = 400


@dataclass(frozen=True)
class Settings:
    """What to run."""

    difficulty: tuple[float, ...] = (0.6, 0.9)
    """Difficulties."""
    arms: tuple[str, ...] = tuple(ARMS)
    """Ways of drawing levels."""
    seeds: tuple[int, ...] = (101, 7919, 104729, 1299709, 15485863)
    """Seeds of each, far apart."""
    steps: int = 2_000_000
    """Transitions of each run."""
    pool: int = 1_000
    """Levels to train on."""
    levels: int = 2_000
    """Unseen levels."""
    kept: Path = Path("curricula.jsonl")
    """File of rows."""


def cleared(policy: Policy, world: Platformer) -> list[bool]:
    """Which of a world's levels the policy clears, each played once."""
    count = len(world.levels)
    env = WorldVectorEnv(world, count, MOST_STEPS)
    obs, info = env.reset(seed=0, options={"level": np.arange(count)})
    assert (info["level"] == np.arange(count)).all()
    found, over, memory = np.zeros(count, np.bool_), np.zeros(count, np.bool_), None
    while not over.all():
        action, memory, _ = decide(policy, obs, memory)
        obs, _, terminated, truncated, info = env.step(action)
        found |= info["clear"] & ~over
        over |= terminated | truncated
    env.close()
    return found.tolist()


def run(settings: Settings, difficulty: float, arm: str, seed: int) -> dict[str, Any]:
    """Trains, and plays the unseen levels."""
    asked = ARMS[arm] | {"env.difficulty": difficulty, "env.pool-size": settings.pool, "eval-episodes": 64}
    asked |= {"steps": settings.steps, "torch-threads": 1, "device": "cpu"}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(io.StringIO()):
        folder = meze.train("pqn", "platformer", asked, seed=seed, out=out).path
        seconds = time.perf_counter() - started
        policy, env = meze.load(folder, checkpoint="newest")
        env.close()
    config = PlatformerConfig(difficulty=difficulty, split="test", pool_size=settings.levels)
    return {"seconds": round(seconds, 1), "cleared": cleared(policy, Platformer(config))}


def percent(mean: float, ends: Any) -> str:
    """A share and its interval."""
    return f"{100 * mean:.1f} %" + (f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})" if ends else "")


def main(settings: Settings) -> None:
    """Runs what is missing, and prints all."""
    rows = (
        [json.loads(line) for line in settings.kept.read_text().splitlines()]
        if settings.kept.exists()
        else []
    )
    kept = {(*row["key"],): row for row in rows}
    shares: dict[tuple[float, str], list[float]] = {}
    for seed in settings.seeds:
        for difficulty in settings.difficulty:
            for arm in settings.arms:
                key = (difficulty, arm, seed, settings.steps, settings.pool, settings.levels)
                if key not in kept:
                    kept[key] = {"key": key, **run(settings, difficulty, arm, seed)}
                    with open(settings.kept, "a", encoding="utf-8") as file:
                        file.write(json.dumps(kept[key]) + "\n")
                told = statistics(np.array(kept[key]["cleared"], np.float64))
                shares.setdefault((difficulty, arm), []).append(told["mean"])
                share = percent(told["mean"], told["mean_95"])
                print(
                    f"difficulty {difficulty}, {arm}, seed {seed}: {share}, {kept[key]['seconds']:.0f} s",
                    flush=True,
                )
    count = f"{len(settings.seeds)} seeds, {settings.steps:,} transitions, {settings.levels:,} unseen levels"
    for (difficulty, arm), found in shares.items():
        told = over_runs(np.array(found))
        line = f"difficulty {difficulty}, {arm}, {count}: {percent(told['mean'], told['mean_95'])}"
        if arm != "uniform" and "uniform" in settings.arms:
            pairs = np.array(found) - np.array(shares[difficulty, "uniform"])
            gain, *ends = with_interval(lambda x: x.mean(axis=(-2, -1)), pairs[:, None])
            between = f" ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})" if ends else ""
            line += f"; {100 * gain:+.1f} points{between} beside uniform"
        print(line, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))
