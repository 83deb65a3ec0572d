"""The platformer's levels and its expert: how many levels are certified, and what a search takes.

    python benchmarks/platformer_levels.py

Levels: draws levels, searches each from its start on one thread (nothing is read from the cache), and tells
the share that is certified at the first attempt, the milliseconds that drawing and searching take, the states
that a search tries, and the mean time of the plans. Expert: plays each level once, with the search time per
step (plans are followed while nothing disturbs them), and once more with a tenth of its actions replaced by
random ones, so that it must search again and again.
"""

import argparse
import statistics
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.generator import draw_level
from meze.envs.platformer.levels import LEVELS, Level
from meze.envs.platformer.pool import starting_states
from meze.envs.platformer.search import USUAL, WEIGHTS, Searcher
from meze.envs.platformer.state import ACTION_SETS, TICKS_PER_SECOND
from meze.envs.platformer.world import Platformer

FORWARD = len(ACTION_SETS["right_only"])


def measure_levels(name: str, levels: list[Level], drawing: float, search: Searcher) -> None:
    """Searches each level from its start, and prints a line."""
    params, state = starting_states(levels)
    started = time.perf_counter()
    plans = [search(params, state, k, FORWARD, 1) for k in range(len(levels))]
    searching = time.perf_counter() - started
    clear = [plan for plan in plans if plan.clears]
    tried = sorted(plan.tried for plan in plans)
    count, par_time = len(levels), statistics.mean(plan.ticks for plan in clear)
    print(
        f"{name:<16}  {count:>6}  {len(clear) / count:>9.1%}  {1000 * drawing / count:>7.2f}"
        f"  {1000 * searching / count:>9.1f}  {tried[count // 2]:>8,}  {tried[-1]:>8,}"
        f"  {par_time / TICKS_PER_SECOND:>6.1f}",
        flush=True,
    )


def measure_expert(name: str, noise: float, **settings) -> None:
    """Plays each level of a pool once, and prints a line."""
    world = Platformer(PlatformerConfig(observation="index", **settings))
    count = len(world.levels)
    envs = WorldVectorEnv(
        world, num_envs=count, max_episode_steps=1024, autoreset_mode=AutoresetMode.DISABLED
    )
    envs.reset(seed=0, options={"level": np.arange(count)})
    world.references()["expert"](world.params(), envs.get_state([0]))  # compiles it
    policy, rng = world.references()["expert"], np.random.default_rng(0)
    clear, over, spent = np.zeros(count, bool), np.zeros(count, bool), []
    while not over.all():
        state, actions = envs.get_state(), np.zeros(count, int)
        for k in np.flatnonzero(~over):
            started = time.perf_counter()
            actions[k] = policy(world.params(), state[k : k + 1])[0]
            spent.append(time.perf_counter() - started)
        actions = np.where(rng.random(count) < noise, rng.integers(0, FORWARD, count), actions)
        _, _, terminated, truncated, info = envs.step(actions)
        clear |= info["clear"] & ~over
        ended = terminated | truncated
        over |= ended
        if ended.any():
            envs.reset(options={"reset_mask": ended})
    print(
        f"{name:<16}  {noise:>6.0%}  {clear.mean():>6.1%}  {1000 * statistics.mean(spent):>7.3f}"
        f"  {1000 * max(spent):>10.1f}",
        flush=True,
    )


def main() -> None:
    """Prints a line for each source of levels."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--levels", type=int, default=500, help="generated levels of each difficulty")
    arguments = parser.parse_args()
    weights = ", ".join(f"{weight / 4:g}" for weight in WEIGHTS)
    print(f"Searches of {USUAL.states:,} states at most, with weights {weights}\n")
    print("levels             count  certified  draw ms  search ms     tried      most   par s")
    search = Searcher()
    search(*starting_states([draw_level(0, 0)]), 0, FORWARD, 1)  # compiles it
    shipped = [LEVELS.find(name) for name in LEVELS.names()]
    measure_levels("shipped", shipped, 0.0, search)
    for difficulty in (0, 0.3, 0.6, 1):
        started = time.perf_counter()
        drawn = [draw_level(difficulty, seed) for seed in range(arguments.levels)]
        measure_levels(f"difficulty {difficulty}", drawn, time.perf_counter() - started, search)
    print("\nexpert           random   clear  ms/step  longest ms")
    for noise in (0, 0.1):
        measure_expert("shipped", noise, level="shipped")
        for difficulty in (0.3, 1.0):
            measure_expert(f"difficulty {difficulty:g}", noise, difficulty=difficulty)


if __name__ == "__main__":
    main()
