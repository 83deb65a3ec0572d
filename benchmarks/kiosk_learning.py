"""How far per-site scoring misses the proven optimum in cities that it never saw, with the presets.

    python benchmarks/kiosk_learning.py --agents pqn dqn genetic --seeds 0 1 2

Agents learn on generated cities of 50 to 100 points (`meze train AGENT kiosk`), and place kiosks without more
training: 10 in each of 200 generated cities of 100 points, and those of the OR-Library's instances of up to
300 points. Gaps are (objective - optimum) / optimum of the p-median, in per cent; the cities' mean has its
95 % bootstrap interval, and the greedy solver stands beside them. Wanted: a mean below greedy's and at most
3 % in the cities, at most 5 % in the library's. Seconds are those of training.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.kiosk.config import KioskConfig
from meze.envs.kiosk.solvers import solve
from meze.envs.kiosk.world import Kiosk
from meze.runners.reporting.statistics import statistics
from meze.runners.run.evaluation import find_contestant
from meze.runners.setup.resolve import find_environment
from numpy.typing import NDArray

TRAIN = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"
LIBRARY = (1, 2, 5, 6, 10, 11, 15)
CITIES = KioskConfig(split="test", pool_size=200, points=100, sites=100, kiosks=10)


@dataclass(frozen=True)
class Settings:
    """What to run."""

    agents: tuple[str, ...] = ("pqn", "dqn", "genetic")
    """Who learns."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each."""


class Test:
    """Cities with their optima, and with the same number of kiosks."""

    def __init__(self, config: KioskConfig) -> None:
        world = Kiosk(config)
        self.env = WorldVectorEnv(world, len(world.instances), autoreset_mode=AutoresetMode.DISABLED)
        self.instances = world.instances
        self.optima = np.array([solve("exact", each).objective for each in world.instances])

    def gaps(self, totals: NDArray) -> NDArray:
        """Per cent above the optima."""
        return 100 * (totals / self.optima - 1)

    def place(self, policy_of) -> NDArray:
        """The gaps of a policy."""
        env = self.env
        policy = policy_of(env)
        obs, _ = env.reset(seed=0, options={"instance": np.arange(env.num_envs)})
        done, memory = np.zeros(env.num_envs, np.bool_), None
        while not done.all():
            action, memory = policy.act(obs, memory, explore=False, mask=env.action_masks())
            obs, _, done, _, _ = env.step(action)
        return self.gaps(env.get_state()["total"])

    def greedy(self) -> NDArray:
        """The gaps of the greedy solver."""
        return self.gaps(np.array([solve("greedy", each).objective for each in self.instances]))


def report(name: str, cities: NDArray, library: NDArray) -> None:
    """Prints a line."""
    found = statistics(cities)
    low, high = found["mean_95"]
    each = " ".join(f"{gap:.1f}" for gap in library)
    print(
        f"{name}: cities {found['mean']:.2f} ({low:.2f} to {high:.2f}), library mean {library.mean():.2f}, "
        f"worst {library.max():.1f}: {each}",
        flush=True,
    )


def main(settings: Settings) -> None:
    """Trains, places and prints."""
    cities = Test(CITIES)
    library = [Test(KioskConfig(source=f"pmed{number}")) for number in LIBRARY]
    report("greedy", cities.greedy(), np.concatenate([each.greedy() for each in library]))
    for agent in settings.agents:
        results = []
        for seed in settings.seeds:
            with tempfile.TemporaryDirectory() as folder:
                command = ["train", agent, "kiosk", "--seed", str(seed), "--out", folder]
                subprocess.run([sys.executable, "-c", TRAIN, *command], stdout=subprocess.DEVNULL, check=True)
                (run,) = (path.parent for path in Path(folder).glob("*/*/*/config.json"))
                with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
                    last = list(csv.DictReader(file))[-1]
                policy_of = find_contestant(str(run), find_environment("kiosk"), checkpoint="newest").policy
                results.append(
                    (cities.place(policy_of), np.concatenate([each.place(policy_of) for each in library]))
                )
            name = f"{agent}, seed {seed}, {int(last['step']):,} transitions, {float(last['seconds']):.0f} s"
            report(name, *results[-1])
        report(
            f"{agent}, {len(results)} seeds",
            *(np.mean(parts, axis=0) for parts in zip(*results, strict=True)),
        )


if __name__ == "__main__":
    main(tyro.cli(Settings))
