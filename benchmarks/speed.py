"""Steps a second of every world in batches of 1 to 65,536, default settings, as a table and a plot; then of
1,024 environments in each observation mode.

    python benchmarks/speed.py            # writes benchmarks/results/speed.txt and docs/speed.png

Uniformly random actions, fresh output arrays, autoreset SAME_STEP, episodes at all stages; medians of several
runs, in which one thread and two take turns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from gymnasium.vector import AutoresetMode
from matplotlib.lines import Line2D
from meze.envs.core.registry import world_specs
from meze.runners.bench import mixed_states, record_actions, spread
from meze.runners.reporting.page import COLORS
from meze.runners.setup.presets import default_env_config, observation_modes
from meze.runners.setup.resolve import Environment, find_environment, make_vector

SIZES = (1, 16, 64, 256, 1024, 4096, 16384, 65536)
THREADS = (1, 2)
RUNS = 7
STEPS = 60_000
"""Environment steps of a run, about."""
ROOT = Path(__file__).parents[1]


MODES_SIZE = 1024
HOURS = {"city": (12, 8)}
"""Hours of the day that are measured by themselves: noon, and a rush hour."""


def measure(world: Environment, config: Any, sizes: Sequence[int] = SIZES) -> dict[int, list[float]]:
    """Steps a second on each number of threads, by batch size."""
    mixed, found = mixed_states(world, config, "random"), {}
    for num_envs in sizes:
        records, speeds = spread(mixed, num_envs), [[] for _ in THREADS]
        envs = [
            make_vector(world, config, num_envs, AutoresetMode.SAME_STEP, num_threads=count)
            for count in THREADS
        ]
        actions = record_actions(envs[0], records, "random", min(2000, max(4, STEPS // num_envs)))
        for _ in range(RUNS):
            for env, told in zip(envs, speeds, strict=True):
                env.set_state(records)
                started = time.perf_counter()
                for action in actions:
                    env.step(action)
                told.append(len(actions) * num_envs / (time.perf_counter() - started))
        for env in envs:
            env.close()
        found[num_envs] = [median(told) for told in speeds]
    return found


def variants(world: Environment) -> Iterator[tuple[str, Any]]:
    """Settings that are measured in one size alone, and what they are called."""
    default = default_env_config(world)
    for hour in HOURS.get(world.name, (None,)):
        for mode in observation_modes(world.config):
            changes = {"observation": mode} | ({} if hour is None else {"hour": hour})
            told = "" if hour is None else f", {hour} h"
            yield f"{world.name} {mode}{told}", dataclasses.replace(default, **changes)


def modes(world: Environment) -> Iterator[str]:
    """A line for each variant that the world's default settings allow."""
    for name, config in variants(world):
        with contextlib.suppress(ValueError):  # an index of more places than there can be, say
            speeds = measure(world, config, (MODES_SIZE,))[MODES_SIZE]
            yield f"{name:<22}" + "".join(f"{each / 1000:>8,.0f}" for each in speeds)


def table(found: dict[str, dict[int, list[float]]]) -> str:
    """A line for each world and number of threads, in thousands of steps a second."""
    lines = [f"{'thousands of steps/s':<14} th" + "".join(f"{size:>8}" for size in SIZES)]
    for name, speeds in found.items():
        for k, count in enumerate(THREADS):
            numbers = "".join(f"{speeds[size][k] / 1000:>8,.0f}" for size in SIZES)
            lines.append(f"{name:<20} {count:>2}{numbers}")
    return "\n".join(lines)


def plot(found: dict[str, dict[int, list[float]]], path: Path) -> None:
    """Draws it, both axes logarithmic."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for color, (name, speeds) in zip(COLORS, found.items(), strict=False):
        for k, style in enumerate(("-", "--")):
            line = [speeds[size][k] for size in SIZES]
            axes.plot(
                SIZES, line, style, color=color, marker="o", markersize=3, label=name if k == 0 else None
            )
    axes.set(xscale="log", yscale="log", xlabel="environments in a batch", ylabel="steps a second")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    styles = [Line2D([], [], color="grey", linestyle=style) for style in ("-", "--")]
    worlds = axes.legend(loc="lower right")
    axes.legend(styles, ["one thread", "two threads"], loc="upper left")
    axes.add_artist(worlds)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measures, prints, and writes both files."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    worlds = [find_environment(spec.name) for spec in world_specs()]
    found = {world.name: measure(world, default_env_config(world)) for world in worlds}
    head = f"{f'{MODES_SIZE:,} environments':<22}" + "".join(f"{f'{count} th':>8}" for count in THREADS)
    text = "\n".join([table(found), "", head, *(line for world in worlds for line in modes(world))])
    print(text)
    said = f"# python benchmarks/speed.py   ({git.stdout.strip()}, Python {platform.python_version()})\n"
    (ROOT / "benchmarks/results/speed.txt").write_text(f"{said}{text}\n")
    plot(found, ROOT / "docs/speed.png")


if __name__ == "__main__":
    main()
