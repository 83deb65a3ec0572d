"""What deep Q-learners reach on maps and levels that they never saw, with their presets.

    python benchmarks/deep_learning.py city           # wanted: within 3 points of the expert's success
    python benchmarks/deep_learning.py platformer     # wanted: 80 % of 200 levels cleared
    python benchmarks/deep_learning.py platformer --observation pixels

Seconds are those of training: environment, policy and learning. Each line has the mean of all episodes and
its 95 % bootstrap interval; the last ones are those of the agents to compare with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from meze.envs.city.world import City
from meze.envs.platformer.world import Platformer
from meze.runners.reporting.measures import Episodes
from meze.runners.reporting.statistics import statistics
from race import Examiner, Ours, normalised, preset

WORLDS: dict[str, dict[str, Any]] = {
    "city": {"env__hour": 12},
    "platformer": {"env__difficulty": 0.3},
}
TESTED = {"city": {}, "platformer": {"pool_size": 200}}
"""Settings of the evaluation that differ."""


@dataclass(frozen=True)
class Settings:
    """What to run."""

    world: Annotated[Literal["city", "platformer"], tyro.conf.Positional]
    agents: tuple[str, ...] = ("pqn", "dqn")
    """Who learns."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each."""
    episodes: int = 2_000
    """Episodes of each evaluation."""
    observation: str = "grid"
    """Observation of the world."""
    cap: float = 1800.0
    """Training seconds after which a run is given up and evaluated as it is."""
    device: str = "cpu"
    """Where the networks compute."""
    threads: int = os.cpu_count() or 1
    """Threads of torch."""


def line(name: str, episodes: Episodes) -> str:
    """The measures of some episodes."""
    parts, shares = [], {each.name for each in (*City.measures, *Platformer.measures) if each.share}
    for measure, values in episodes.measures.items():
        found = statistics(values)
        scale, unit = (100, " %") if measure in shares else (1, "")
        low, high = (scale * end for end in found["mean_95"])
        parts.append(f"{measure} {scale * found['mean']:.2f}{unit} ({low:.2f} to {high:.2f})")
    return f"{name}: {', '.join(parts)}"


def learn(settings: Settings, agent: str, seed: int) -> tuple[Ours, Examiner]:
    """Trains an agent with its preset, but no longer than the cap."""
    changes = WORLDS[settings.world] | {"env__observation": settings.observation}
    config = preset(agent, settings.world, seed=seed, **changes)
    run = Ours(config, settings.device)
    every = config.settings.steps // 100
    while run.steps < config.settings.steps and run.seconds < settings.cap:
        run.train(run.steps + every)
    return run, Examiner(config, settings.episodes, **TESTED[settings.world])


def main(settings: Settings) -> None:
    """Trains, evaluates and prints."""
    torch.set_num_threads(settings.threads)
    print(f"{settings}, torch {torch.__version__}", flush=True)
    examiner = None
    runs: dict[str, list[str]] = {}
    returns: dict[str, list[float]] = {}
    for agent in settings.agents:
        all_episodes, seconds = [], []
        for seed in settings.seeds:
            run, examiner = learn(settings, agent, seed)
            all_episodes.append(examiner(run.policy))
            seconds.append(run.seconds)
            print(line(f"{agent}, seed {seed}, {run.steps:,} transitions", all_episodes[-1]), flush=True)
            print(f"  {run.shares}", flush=True)
        returns[agent] = [float(each.measures["return"].mean()) for each in all_episodes]
        runs[agent] = [f"{each:.1f}" for each in seconds]
        names = all_episodes[0].measures
        joined = {name: np.concatenate([each.measures[name] for each in all_episodes]) for name in names}
        count = np.arange(sum(len(each.index) for each in all_episodes))
        print(
            line(f"{agent}, {len(seconds)} seeds, {np.mean(seconds):.0f} s", Episodes(count, joined)),
            flush=True,
        )
    assert examiner is not None
    scale = {}
    for name in ("random", "expert"):
        episodes = examiner.contestant(name)
        scale[name] = float(episodes.measures["return"].mean())
        print(line(name, episodes), flush=True)
    for agent, values in returns.items():
        scores = ", ".join(f"{normalised(each, **scale):.3f}" for each in values)
        print(f"{agent} by seed: normalised {scores}; seconds {', '.join(runs[agent])}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))
