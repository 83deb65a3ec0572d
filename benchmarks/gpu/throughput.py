"""Transitions a second while learning, and where the time goes, by number of environments.

    python benchmarks/gpu/throughput.py

City `grid` at noon, DQN and PQN with their presets, but as many environments as told; DQN takes one step of
the optimiser, of 4,096 transitions, for each 4,096 transitions, PQN its usual minibatches of 32 steps. An
environment is stepped by `--num-threads` threads of the host while the device learns.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

sys.path.append(str(Path(__file__).parent.parent))
from race import Ours, preset  # noqa: E402


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    agents: tuple[str, ...] = ("pqn", "dqn")
    """Which learners."""
    num_envs: tuple[int, ...] = (1024, 8192, 65536)
    """Environments side by side."""
    num_threads: int = os.cpu_count() or 1
    """Threads that step them."""
    seconds: float = 20.0
    """Length of a measurement, after as long a warm-up of graphs and replay."""
    precision: tuple[Literal["float32", "tf32", "bfloat16"], ...] = ("tf32", "bfloat16")
    """Arithmetic of the network."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Where the networks compute."""


def configured(agent: str, num_envs: int, settings: Settings, precision: str) -> Any:
    """A run of the city with so many environments."""
    changes: dict[str, Any] = {
        "agent__precision": precision,
        "env__hour": 12,
        "num_threads": settings.num_threads,
    }
    if agent == "dqn":
        changes |= {
            "agent__buffer_size": max(200_000, 8 * num_envs),
            "agent__learning_starts": 4 * num_envs,
            "agent__batch_size": 4096,
            "agent__replay_ratio": 1 / 4096,
        }
    else:
        changes |= {"agent__num_minibatches": max(8, num_envs * 32 // 32768)}
    return preset(agent, "city", num_envs=num_envs, **changes)


def measure(run: Ours, seconds: float) -> float:
    """Transitions a second after a warm-up."""
    until = time.perf_counter() + seconds
    every = 64 * run.config.settings.num_envs
    while time.perf_counter() < until:
        run.train(run.steps + every)
    run.stopwatch.seconds = dict.fromkeys(run.stopwatch.seconds, 0.0)
    before = run.steps
    while run.seconds < seconds:
        run.train(run.steps + every)
    if run.learner.device.type == "cuda":
        torch.cuda.synchronize()
    return (run.steps - before) / run.seconds


def main(settings: Settings) -> None:
    """Prints a line for each combination."""
    name = torch.cuda.get_device_name() if settings.device == "cuda" else platform.processor()
    print(
        f"{name}, {settings.num_threads} threads, torch {torch.__version__}, CUDA {torch.version.cuda}",
        flush=True,
    )
    for agent in settings.agents:
        for precision in settings.precision:
            for num_envs in settings.num_envs:
                run = Ours(configured(agent, num_envs, settings, precision), settings.device)
                speed = measure(run, settings.seconds)
                print(
                    f"{agent}, {precision}, {num_envs:,} environments: {speed:,.0f} a second; {run.shares}",
                    flush=True,
                )


if __name__ == "__main__":
    main(tyro.cli(Settings))
