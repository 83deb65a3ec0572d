"""How soon searches by populations clear the platformer's first level, and how they do on levels unseen.

    python benchmarks/genetic_learning.py first
    python benchmarks/genetic_learning.py unseen

`first`: each agent evolves with the defaults of `meze train AGENT platformer`, but on the first hand-made
level alone, until a genome of a generation clears it or the time is over. The time is that of the search;
compiling, which happens once, comes before it.

`unseen`: each agent is trained as `meze train AGENT platformer` does, on 200 generated levels of difficulty
0.3, and plays 200 others, beside the random agent, who runs to the right and jumps, and the expert.
"""

import argparse
import dataclasses
import time

import numpy as np
from gymnasium.vector import AutoresetMode
from meze.agents.registry import find_agent, make_agent
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from meze.runners.reporting.measures import Episodes, measures_of
from meze.runners.reporting.scores import print_table, score
from meze.runners.run.rollout import Batches, ReferencePolicy, evaluate, evaluate_at_once
from meze.runners.setup.presets import default_agent_config, default_env_config, default_settings
from meze.runners.setup.resolve import find_environment, make_vector
from meze.runners.setup.seeds import EVALUATION_SEED
from rich.console import Console
from rich.progress import track
from rich.table import Table

AGENTS = {"genetic": 60.0, "neat": 120.0, "random-search": 60.0}
"""Agents, and the seconds that each has for the first level."""
FIRST_LEVEL = "01-running"
NUM_LEVELS = 200
EPISODES = 500
RUN_RIGHT, JUMP_RIGHT = 3, 4  # of the action set `simple`


def searcher_for(agent: str, seed: int, **changes):
    """An agent with its defaults, its environment's settings with some changes, and its world."""
    environment, spec = find_environment("platformer"), find_agent(agent)
    config = dataclasses.replace(default_env_config(environment, spec), **changes)
    envs = make_vector(environment, config, 1, AutoresetMode.DISABLED)
    spaces = envs.single_observation_space, envs.single_action_space
    agent_config = default_agent_config(environment, spec)
    searcher = make_agent(spec.name, *spaces, num_envs=1, config=agent_config, seed=seed)
    return searcher, envs.unwrapped.world, default_settings(environment, spec)


def seconds_to_clear(agent: str, seed: int, limit: float) -> tuple[float | None, int]:
    """Seconds of search until a genome clears the level, None if that took longer; and generations."""
    searcher, world, settings = searcher_for(agent, seed, level=FIRST_LEVEL)
    batches, start = None, time.perf_counter()
    while time.perf_counter() - start < limit:
        population = searcher.ask()
        # Nothing is left to chance on one level: an episode for each genome is enough.
        batches = batches or Batches(world, len(population), settings.max_episode_steps, num_threads=2)
        episodes = evaluate_at_once(
            batches, lambda genomes, p=population: searcher.policy_of(p, genomes), [seed] * len(population)
        )
        searcher.tell(episodes.measures["return"])
        if episodes.measures["clear"].any():
            return time.perf_counter() - start, searcher.generation
    return None, searcher.generation


def first(num_seeds: int) -> None:
    """Prints how many seeds clear the first level, and how soon."""
    table = Table("agent", "limit", "cleared", "median", "slowest", "generations", title=FIRST_LEVEL)
    for agent, limit in AGENTS.items():
        seconds_to_clear(agent, 1000, 1.0)  # compiles
        results = [seconds_to_clear(agent, seed, limit) for seed in range(num_seeds)]
        times = [seconds if seconds is not None else np.inf for seconds, _ in results]
        cleared = sum(np.isfinite(times))
        table.add_row(
            agent,
            f"{limit:.0f} s",
            f"{cleared} of {num_seeds}",
            f"{np.median(times):.1f} s",
            f"{max(times):.1f} s",
            f"{np.median([generations for _, generations in results]):.0f}",
        )
    Console(width=80).print(table)


class RunAndJump:
    """Holds right and run, and jumps again and again: the jump button is let go of in every eighth step."""

    def act(self, obs, memory=None, *, explore, mask=None):
        """See `Policy.act`."""
        steps = np.zeros(len(obs), np.int64) if memory is None else memory
        return np.where(steps % 8 == 7, RUN_RIGHT, JUMP_RIGHT), steps + 1


def train(agent: str, seed: int):
    """The best policy of a search on 200 generated levels, and the seconds that it took."""
    searcher, world, settings = searcher_for(agent, seed)
    rng = np.random.default_rng(seed)
    batches, start = None, time.perf_counter()
    for _ in track(range(settings.generations), f"{agent}, seed {seed}", transient=True):
        population = searcher.ask()
        each = settings.episodes
        seeds = rng.integers(EVALUATION_SEED, size=each).tolist() * len(population)
        batches = batches or Batches(world, len(seeds), settings.max_episode_steps, num_threads=2)
        episodes = evaluate_at_once(
            batches, lambda k, p=population, n=each: searcher.policy_of(p, k // n), seeds
        )
        searcher.tell(episodes.measures["return"].reshape(-1, each).mean(axis=1))
    return searcher.policy, time.perf_counter() - start


def unseen_levels(observation: str) -> WorldVectorEnv:
    """Levels that were not trained on."""
    settings = {"split": "test", "pool_size": NUM_LEVELS, "observation": observation}
    world = "meze.envs.platformer.world:Platformer"
    return WorldVectorEnv(world, 256, 1024, AutoresetMode.DISABLED, **settings)


def unseen(num_seeds: int) -> None:
    """Prints how those who were trained, and those who were not, do on levels that nobody was trained on."""
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + EPISODES)
    scores, seconds = {}, {}
    told = measures_of(Platformer), PlatformerConfig()
    for agent in AGENTS:
        observation = default_env_config(find_environment("platformer"), find_agent(agent)).observation
        runs = [train(agent, seed) for seed in range(num_seeds)]
        played = [evaluate(unseen_levels(observation), policy, seeds).measures for policy, _ in runs]
        together = {name: np.concatenate([each[name] for each in played]) for name in played[0]}
        scores[agent] = score(Episodes(np.arange(num_seeds * EPISODES), together), *told)
        seconds[agent] = np.median([duration for _, duration in runs])
    envs = unseen_levels("index")
    spaces = envs.single_observation_space, envs.single_action_space
    others = {
        "run right and jump": RunAndJump(),
        "random": make_agent("random", *spaces, num_envs=256, seed=0),
        "expert": ReferencePolicy(envs.reference("expert")),
    }
    scores |= {name: score(evaluate(envs, policy, seeds), *told) for name, policy in others.items()}
    title = f"{NUM_LEVELS} levels not trained on, {num_seeds} seeds, {EPISODES} episodes each"
    print_table(title, scores, measures=told[0])
    print("Median seconds of training:", {agent: round(each) for agent, each in seconds.items()})


def main() -> None:
    """Runs one of the two."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("what", choices=("first", "unseen"))
    parser.add_argument("--seeds", type=int, help="by default 10 for `first`, 3 for `unseen`")
    arguments = parser.parse_args()
    if arguments.what == "first":
        first(arguments.seeds or 10)
    else:
        unseen(arguments.seeds or 3)


if __name__ == "__main__":
    main()
