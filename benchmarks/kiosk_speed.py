"""Steps a second of the kiosk: random possible actions, fresh output arrays, autoreset.

    python benchmarks/kiosk_speed.py

The first lines are the condition of RL4CO's facility-location environment: 100 points which are the sites, 10
kiosks, euclidean coordinates drawn in every reset; `plain` is coordinates, assignment and mask only. Then a
pool of 64 cities with tables of distances, for each objective. Each line is the median of several runs of 200
steps of all environments, whose actions have been drawn before.
"""

import argparse
import statistics
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv

STEPS = 200
FRESH = {"source": "fresh", "points": 100, "kiosks": 10}
POOL = {"points": 100, "sites": 100, "kiosks": 10, "rivals": 3}
CONDITIONS = (
    ("fresh", FRESH | {"observation": "plain"}),
    ("fresh", FRESH | {"observation": "sites"}),
    ("fresh", FRESH | {"observation": "grid"}),
    ("pool", POOL | {"observation": "plain"}),
    ("pool", POOL | {"observation": "sites"}),
    ("pool", POOL | {"observation": "grid"}),
    *(
        ("pool", POOL | {"observation": "plain", "objective": objective})
        for objective in ("p-center", "coverage", "revenue")
    ),
)


def measure(settings: dict, num_envs: int, num_threads: int, runs: int) -> float:
    """Returns the median steps a second."""
    envs = WorldVectorEnv(
        "meze.envs.kiosk.world:Kiosk",
        num_envs=num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
        num_threads=num_threads,
        **settings,
    )
    rng, actions = np.random.default_rng(0), []
    envs.reset(seed=0)
    for _ in range(STEPS):
        masks = envs.action_masks()
        actions.append((rng.random(masks.shape) * masks).argmax(axis=1))
        envs.step(actions[-1])
    speeds = []
    for _ in range(runs):
        envs.reset(seed=0)
        started = time.perf_counter()
        for action in actions:
            envs.step(action)
        speeds.append(num_envs * STEPS / (time.perf_counter() - started))
    return statistics.median(speeds)


def main() -> None:
    """Prints a line for each condition."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--num-threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'cities':<6}  {'objective':<9}  {'observation':<11}  {'steps/s':>10}")
    for cities, settings in CONDITIONS:
        speed = measure(settings, arguments.num_envs, arguments.num_threads, arguments.runs)
        objective = settings.get("objective", "p-median")
        print(f"{cities:<6}  {objective:<9}  {settings['observation']:<11}  {speed:>10,.0f}", flush=True)


if __name__ == "__main__":
    main()
