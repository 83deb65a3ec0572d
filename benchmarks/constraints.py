"""Whether learned limits hold on episodes that nobody has seen, and what keeping them costs in time.

    python benchmarks/constraints.py
    python benchmarks/constraints.py --rows shipped --seeds 3

Each row is `meze train AGENT WORLD --constraint ...` with its preset and nothing else, with seeds far apart,
judged on unseen episodes. A limit counts as kept where the upper end of the cost's 95 % interval is at most
1.2 times the limit. Beside it stands the same agent without a limit (its first seed), and in the tram's
hand-made scenes the least delay that any policy has which keeps the limit, by the exact front.
"""

import argparse
import contextlib
import io
import tempfile

import meze
import numpy as np
from meze.agents.fronts import coverage_set
from meze.envs.tram.config import TramConfig
from meze.envs.tram.world import Tram
from scipy.optimize import linprog

APART = 1013
"""Between two seeds."""
SLACK = 1.2
ROWS = {
    "shipped": ("q-learning", "tram", {"env.scene": "shipped"}, "harm_outside", 0.5, 50_000, 10),
    "timetable": ("q-learning", "tram", {"env.scene": "06-the-timetable"}, "harm_outside", 0.05, 50_000, 10),
    "generated": ("pqn", "tram", {}, "harm_outside", 0.5, 50_000, 5),
    "ambulances": ("q-learning", "city", {"env.ambulance": 0.05}, "ambulance_delayed", 0.05, 100_000, 10),
}
"""Name to agent, world, settings, cost, limit, episodes, seeds."""


def exact_delay(scene: str, most: float) -> float:
    """Ticks that the fastest policy takes which hits so many people at most."""
    world = Tram(TramConfig(scene=scene))

    def best(weights: np.ndarray) -> np.ndarray:
        return world.least_costs(np.array([weights[0], 0.0, weights[1]]))[[0, 2]]

    front = coverage_set(best, 2)
    return linprog(front[:, 1], front[:, :1].T, [most], np.ones((1, len(front))), [1.0]).fun


def judged(agent: str, world: str, settings: dict, episodes: int, seed: int, out: str) -> meze.Scores:
    """Trains, and plays unseen episodes."""
    with contextlib.redirect_stdout(io.StringIO()):
        run = meze.train(agent, world, settings, seed=seed, out=out)
        return meze.evaluate(world, [run], episodes=episodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", type=int, help="by default what each row says")
    given = parser.parse_args()
    for row in given.rows:
        agent, world, settings, cost, most, episodes, seeds = ROWS[row]
        count = given.seeds or seeds
        with tempfile.TemporaryDirectory() as out:
            (free,) = judged(agent, world, settings, episodes, 1000, out).of.values()
            found = []
            for k in range(count):
                limited = settings | {"constraint": f"{cost}<={most}"}
                scores = judged(agent, world, limited, episodes, 1000 + APART * k, out)
                (told,), (limit,) = scores.of.values(), scores.limits.values()
                found.append((limit["mean"], limit["mean_95"][1], told["length"]["mean"]))
        costs, highs, lengths = np.array(found).T
        exact = ""
        if "env.scene" in settings:
            exact = f", {exact_delay(settings['env.scene'], most):.2f} with the best policy"
        kept = (highs <= SLACK * most).sum()
        print(
            f"{agent} in {world} {settings or ''}: {cost}<={most} kept in {kept} of {count} seeds, "
            f"{episodes:,} episodes each\n"
            f"    {cost}: {costs.mean():.4f} ({costs.min():.4f} to {costs.max():.4f}), highest upper "
            f"end {highs.max():.4f}; without the limit {free[cost]['mean']:.4f}\n"
            f"    ticks: {lengths.mean():.2f} ({lengths.min():.2f} to {lengths.max():.2f}); without the "
            f"limit {free['length']['mean']:.2f}{exact}",
            flush=True,
        )


if __name__ == "__main__":
    main()
