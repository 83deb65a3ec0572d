"""A generation evaluated at once, and one by one as a plain DEAP loop does: 512 genomes, 3 episodes each.

    python benchmarks/genetic_speed.py
    python benchmarks/genetic_speed.py --threads 2

Both act with the same compiled forward pass of the same networks and meet the same seeds; every fitness must
be equal to the bit. The plain loop is `toolbox.map(toolbox.evaluate, population)` over one environment of
`gymnasium.make`; it plays a sample of the genomes, since all of them would take long. Told are the medians of
several turns, in which both take part. The bar: 10 times as many steps a second.
"""

import argparse
import dataclasses
import tempfile
import threading
import time
from pathlib import Path

import gymnasium
import numpy as np
from deap import base
from meze.agents.evolution.population import mlp_outputs
from meze.agents.registry import find_agent
from meze.runners.run.config import RunConfig
from meze.runners.run.folder import RunDir
from meze.runners.run.search import Search
from meze.runners.setup.kinds import SearchSettings
from meze.runners.setup.presets import default_agent_config, default_env_config
from meze.runners.setup.resolve import find_environment


def plain_evaluate(genes, env, policy, seeds):
    """Fitness of one genome, as anybody would write it, and the steps that it took."""
    cells = policy.features.cells
    num_hidden, num_outputs = policy.num_hidden, policy.actions.num_outputs
    genes, genome = genes[None], np.zeros(1, np.int64)
    returns, steps = [], 0
    for seed in seeds:
        obs, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            rows = obs.reshape(1, -1)
            outputs = mlp_outputs(rows, cells, genes, genome, num_hidden, num_outputs)
            obs, reward, terminated, truncated, _ = env.step(outputs[0].argmax())
            total += reward
            steps += 1
            over = terminated or truncated
        returns.append(total)
    return np.mean(returns), steps


def make_search(name: str, population: int, threads: int, folder: str) -> Search:
    """The search of networks over the grid, as `meze train genetic NAME --env.observation grid` makes it."""
    environment, spec = find_environment(name), find_agent("genetic")
    env_config = dataclasses.replace(default_env_config(environment, spec), observation="grid")
    agent_config = dataclasses.replace(default_agent_config(environment, spec), population_size=population)
    settings = SearchSettings(episodes=3, num_threads=threads)
    config = RunConfig(spec, agent_config, environment, env_config, settings)
    return Search(config, RunDir.create(Path(folder), config, "benchmark"))


def main() -> None:
    """Measures both and prints the ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="platformer")
    parser.add_argument("--population", type=int, default=512)
    parser.add_argument("--every", type=int, default=16, help="the plain loop takes each so many-th genome")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        search = make_search(arguments.env, arguments.population, arguments.threads, folder)
        config, population = search.config, search.agent.ask()
        limit = config.environment.max_episode_steps
        kwargs = dataclasses.asdict(config.env_config)
        single = gymnasium.make(config.environment.id, max_episode_steps=limit, **kwargs)
        toolbox = base.Toolbox()
        toolbox.register(
            "evaluate", plain_evaluate, env=single, policy=search.agent.policy, seeds=search.seeds()
        )
        speeds = np.zeros((arguments.turns + 1, 2))
        for turn in range(len(speeds)):
            start = time.perf_counter()
            played = search.play(population, threading.Event()).measures
            middle = time.perf_counter()
            plain = list(toolbox.map(toolbox.evaluate, population[:: arguments.every]))
            end = time.perf_counter()
            speeds[turn] = (
                played["length"].sum() / (middle - start),
                sum(n for _, n in plain) / (end - middle),
            )
        fitness = played["return"].reshape(-1, 3).mean(axis=1)[:: arguments.every]
        equal = np.array_equal(fitness, [value for value, _ in plain])
        search.close()

    at_once, one_by_one = np.median(speeds[1:], axis=0)  # the first turn compiles
    ratios = speeds[1:, 0] / speeds[1:, 1]
    print(f"{config.environment.id}, {len(population)} genomes of {population.shape[1]} weights, 3 episodes")
    print(f"at once, {arguments.threads} thread(s)  {at_once:12,.0f} steps/s")
    print(f"plain DEAP loop       {one_by_one:12,.0f} steps/s")
    print(f"ratio                 {np.median(ratios):12.1f} ({ratios.min():.1f} .. {ratios.max():.1f})")
    print(f"fitness of {len(plain)} genomes equal to the bit: {'yes' if equal else 'NO'}")
    if not equal:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
