"""Steps a second of the city: default maps, pool of 64, fresh output arrays, autoreset.

    python benchmarks/city_speed.py

Off-peak there are 16 cars and 16 pedestrians. Actions are uniformly random, or recorded from the expert.
Each line is the median of several runs of 200 steps of all environments.
"""

import argparse
import statistics
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv

STEPS = 200


def measure(policy: str, hour: int, observation: str, num_envs: int, num_threads: int, runs: int) -> tuple:
    """Returns the median steps a second, and the mean episode length."""
    envs = WorldVectorEnv(
        "meze.envs.city.world:City",
        num_envs=num_envs,
        max_episode_steps=512,
        autoreset_mode=AutoresetMode.SAME_STEP,
        num_threads=num_threads,
        hour=hour,
        observation=observation,
    )
    envs.reset(seed=0)
    if policy == "expert":
        expert = envs.reference("expert")
        actions = []
        for _ in range(STEPS):
            actions.append(expert())
            envs.step(actions[-1])
    else:
        actions = list(np.random.default_rng(0).integers(0, 4, (STEPS, num_envs)))
    speeds, ends = [], 0
    for _ in range(runs):
        envs.reset(seed=0)
        started = time.perf_counter()
        for action in actions:
            _, _, terminated, truncated, _ = envs.step(action)
            ends += int((terminated | truncated).sum())
        speeds.append(num_envs * STEPS / (time.perf_counter() - started))
    return statistics.median(speeds), runs * num_envs * STEPS / max(ends, 1)


def main() -> None:
    """Prints a line for each condition."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'hour':>4}  {'observation':<11}  {'actions':<7}  threads  {'steps/s':>10}  episode length")
    for hour in (12, 8):
        for observation in ("grid", "index"):
            for policy in ("random", "expert"):
                for threads in (1, 2):
                    speed, length = measure(
                        policy, hour, observation, arguments.num_envs, threads, arguments.runs
                    )
                    line = f"{hour:>4}  {observation:<11}  {policy:<7}  {threads:>7}  {speed:>10,.0f}"
                    print(f"{line}  {length:>14.0f}", flush=True)


if __name__ == "__main__":
    main()
