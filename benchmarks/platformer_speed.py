"""Steps a second of the platformer: generated levels, random actions, fresh output arrays, autoreset.

    python benchmarks/platformer_speed.py

Levels are the default pool (64 of difficulty 0.3), actions `simple`, a step is 4 ticks. Episodes have been
going on for a while when the clock starts. Each line is the median of several runs of 200 steps of all
environments; then what it takes to reset one environment, and all of them.
"""

import argparse
import statistics
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv

STEPS = 200


def make(observation: str, num_envs: int, num_threads: int) -> WorldVectorEnv:
    envs = WorldVectorEnv(
        "meze.envs.platformer.world:Platformer",
        num_envs=num_envs,
        max_episode_steps=1024,
        autoreset_mode=AutoresetMode.SAME_STEP,
        num_threads=num_threads,
        observation=observation,
    )
    envs.reset(seed=0)
    return envs


def measure_steps(envs: WorldVectorEnv, runs: int) -> tuple[float, float]:
    """Returns the median steps a second, and the mean episode length."""
    n = envs.num_envs
    actions = list(np.random.default_rng(0).integers(0, envs.single_action_space.n, (STEPS, n)))
    speeds, ends = [], 0
    for run in range(runs + 1):
        started = time.perf_counter()
        for action in actions:
            _, _, terminated, truncated, _ = envs.step(action)
            ends += int((terminated | truncated).sum()) if run else 0
        speeds.append(n * STEPS / (time.perf_counter() - started))
    return statistics.median(speeds[1:]), runs * n * STEPS / max(ends, 1)


def measure_resets(envs: WorldVectorEnv, runs: int) -> float:
    """Returns the median microseconds that a reset of all environments takes for each of them."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(20):
            envs.reset()
        times.append((time.perf_counter() - started) / 20 / envs.num_envs * 1e6)
    return statistics.median(times)


def main() -> None:
    """Prints a line for each condition."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--num-envs", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'observation':<11}  {'envs':>4}  threads  {'steps/s':>10}  episode length  us a reset")
    for observation in ("grid", "pixels", "index"):
        for num_envs, threads in ((1, 1), (arguments.num_envs, 1), (arguments.num_envs, 2)):
            envs = make(observation, num_envs, threads)
            speed, length = measure_steps(envs, arguments.runs)
            line = f"{observation:<11}  {num_envs:>4}  {threads:>7}  {speed:>10,.0f}  {length:>14.0f}"
            print(f"{line}  {measure_resets(envs, arguments.runs):>10.2f}", flush=True)


if __name__ == "__main__":
    main()
