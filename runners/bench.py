"""`meze bench [WORLD]`: steps per second and bytes per environment, beside environments of others."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..agents.registry import find_agent, make_agent
from ..envs.core.registry import world_specs
from ..envs.core.vector import WorldVectorEnv
from .reporting.scores import print_json
from .run.rollout import Rollout
from .setup.machine import cpu
from .setup.plugins import load_plugins
from .setup.presets import default_agent_config, default_env_config, observation_modes, with_preset
from .setup.resolve import Environment, find_environment, make_vector, reference_names
from .setup.settings import group, leading_names, parse

DESCRIPTION = """Measures steps per second: each world, or those that are named, in each observation mode,
alone and in batches, under uniformly random actions and under actions recorded from its reference policies;
then, in the same run, a tabular learner's whole loop, the world through gymnasium.make, and environments of
others. Fresh output arrays, autoreset SAME_STEP, medians of several runs. Where one world is named, its
settings are flags too: meze bench city --env.hour 8"""
MIXED = 1024
"""Environments that run until their episodes are at all stages; batches begin with their states."""
STEPS_A_RUN = 200_000
"""Environment steps of one run of a batch, about."""
SECONDS_A_RUN = 0.3
"""Length of one run of anything else."""


@dataclass(frozen=True)
class BenchSettings:
    """What to measure."""

    num_envs: tuple[int, ...] = (1, 64, 1024, 16384)
    """Sizes of the batches."""
    num_threads: tuple[int, ...] = (1, 2)
    """Numbers of threads."""
    runs: int = 5
    """Runs whose median is told."""
    json: bool = False
    """Print JSON instead of a table."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.runs < 1 or not self.num_envs or not self.num_threads:
            raise ValueError("runs, num_envs and num_threads must not be empty")
        if min(*self.num_envs, *self.num_threads, 1) < 1:
            raise ValueError("num_envs and num_threads must be at least 1")


@dataclass(frozen=True)
class Row:
    """One measurement."""

    what: str
    actions: str
    num_envs: int
    num_threads: int
    steps_per_second: float
    episode_length: float | None = None
    """Mean length of the episodes, where it was counted."""
    bytes_per_env: int | None = None
    """Size of one state record; maps and other tables are shared."""


def chooser(env: Any, name: str) -> Callable[[], NDArray]:
    """A function that gives the next (N,) actions: uniformly random ones, or those of a reference policy."""
    if name != "random":
        return env.reference(name)
    rng, space = np.random.default_rng(0), env.single_action_space
    return lambda: rng.integers(space.start, space.start + space.n, env.num_envs)


def mixed_states(environment: Environment, config: Any, name: str) -> NDArray:
    """State records of 1024 environments whose episodes are at all stages, as they are in the long run."""
    env: Any = make_vector(environment, config, MIXED, AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    records = env.get_state()
    # Truncations of environments that began together would come together for ever.
    records["elapsed"] = np.random.default_rng(0).integers(0, environment.max_episode_steps, MIXED)
    env.set_state(records)
    choose = chooser(env, name)
    for _ in range(environment.max_episode_steps):
        env.step(choose())
    env.close()
    return env.get_state()


def spread(records: NDArray, num_envs: int) -> NDArray:
    """As many records, copies having random streams of their own."""
    copies = np.resize(records, num_envs)
    copies["rng"][:, 0] += np.arange(num_envs, dtype=np.uint64) // np.uint64(len(records))
    return copies


def record_actions(env: WorldVectorEnv, records: NDArray, name: str, num_steps: int) -> list[NDArray]:
    """Records the actions of so many steps from the given states on."""
    env.set_state(records)
    choose, actions = chooser(env, name), []
    for _ in range(num_steps):
        actions.append(np.array(choose()))
        env.step(actions[-1])
    return actions


def time_actions(
    env: WorldVectorEnv, records: NDArray, actions: Sequence[NDArray], runs: int
) -> tuple[float, float | None]:
    """Times recorded actions.

    Returns:
        Steps per second (median of the runs) and the mean length of the episodes.
    """
    env.set_state(records)
    ended = sum(int((out[2] | out[3]).sum()) for out in map(env.step, actions))
    speeds = []
    for _ in range(runs):
        env.set_state(records)
        started = time.perf_counter()
        for action in actions:
            env.step(action)
        speeds.append(len(actions) * env.num_envs / (time.perf_counter() - started))
    return median(speeds), len(actions) * env.num_envs / ended if ended else None


def bench_world(environment: Environment, config: Any, label: str, settings: BenchSettings) -> Iterator[Row]:
    """Measures one world in one observation mode."""
    for name in ("random", *reference_names(environment, config)):
        mixed = mixed_states(environment, config, name)
        for num_envs in settings.num_envs:
            records, actions = spread(mixed, num_envs), []
            for num_threads in settings.num_threads:
                env: Any = make_vector(
                    environment, config, num_envs, AutoresetMode.SAME_STEP, num_threads=num_threads
                )
                num_steps = min(2000, max(16, STEPS_A_RUN // num_envs))
                actions = actions or record_actions(env, records, name, num_steps)
                speed, length = time_actions(env, records, actions, settings.runs)
                env.close()
                yield Row(label, name, num_envs, num_threads, speed, length, records.dtype.itemsize)


def bench_learner(environment: Environment, config: Any, settings: BenchSettings) -> Iterator[Row]:
    """Measures a learner's whole loop: environment, policy and update, at 1024 environments."""
    spec = find_agent("q-learning")
    suitable = [mode for mode in spec.modes if mode in observation_modes(environment.config)]
    if not suitable:
        return
    config = dataclasses.replace(config, observation=suitable[0])
    for num_threads in settings.num_threads:
        env = make_vector(environment, config, 1024, AutoresetMode.SAME_STEP, num_threads=num_threads)
        spaces = env.single_observation_space, env.single_action_space
        agent = default_agent_config(environment, spec)
        learner: Any = make_agent(spec.name, *spaces, num_envs=1024, config=agent, seed=0)
        rollout = Rollout(env, learner.policy, 0)

        def loop(rollout: Rollout = rollout, learner: Any = learner) -> None:
            learner.learn(rollout.step()[0])

        speed = time_loop(loop, 1024, settings.runs)
        env.close()
        yield Row(f"{environment.name}: {spec.name}, whole loop", "its own", 1024, num_threads, speed)


def bench_gymnasium(configs: Mapping[str, Any], settings: BenchSettings) -> Iterator[Row]:
    """Measures single environments made by `gymnasium.make`, and a vector environment of Gymnasium's own.

    Args:
        configs: id of a world of the project to its settings.
        settings: how to measure.
    """
    for name in (*configs, "Taxi-v4", "MiniGrid-DoorKey-8x8-v0"):
        try:
            if name.startswith("MiniGrid"):
                import minigrid  # noqa: F401
            env = gym.make(name, **changed(configs.get(name)))
        except ImportError:
            continue
        env.reset(seed=0)
        env.action_space.seed(0)
        actions = [env.action_space.sample() for _ in range(1000)]

        def loop(env: gym.Env = env, actions: list = actions) -> None:
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()

        yield Row(f"gymnasium.make({name!r})", "random", 1, 1, time_loop(loop, 1000, settings.runs))
        env.close()
    for num_envs in settings.num_envs:
        vector = gym.make_vec("CartPole-v1", num_envs, "vector_entry_point")
        vector.reset(seed=0)
        vector.action_space.seed(0)
        action = vector.action_space.sample()
        speed = time_loop(lambda v=vector, a=action: v.step(a), num_envs, settings.runs)
        yield Row("gymnasium CartPole-v1, vector", "random", num_envs, 1, speed)
        vector.close()


def time_loop(loop: Callable[[], Any], steps: int, runs: int) -> float:
    """Steps per second of a function that takes so many steps: the median of several runs."""
    until = time.perf_counter() + SECONDS_A_RUN
    while time.perf_counter() < until:
        loop()
    speeds = []
    for _ in range(runs):
        started, count = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - started) < SECONDS_A_RUN:
            loop()
            count += steps
        speeds.append(count / elapsed)
    return median(speeds)


def changed(config: Any) -> dict[str, Any]:
    """The settings that differ from the defaults; none of None."""
    if config is None:
        return {}
    default = type(config)()
    names = (field.name for field in dataclasses.fields(config))
    return {name: getattr(config, name) for name in names if getattr(config, name) != getattr(default, name)}


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    load_plugins()
    worlds = [find_environment(name) for name in names] or _all_worlds()
    for world in worlds:
        if world.world is None:
            raise ValueError(f"{world.id} is not one of the project's worlds; `meze bench` lists those")
    configs = {world.id: with_preset(default_env_config(world), world, "bench", "env.") for world in worlds}
    parts = {"env": configs[worlds[0].id]} if len(names) == 1 else {}
    default = group("Bench", run=BenchSettings(), **parts)
    given = parse(default, args[len(names) :], prog=" ".join(["meze bench", *names]), description=DESCRIPTION)
    if parts:
        configs[worlds[0].id] = given.env
    if not given.run.json:
        for name, config in configs.items():
            settings = " ".join(f"{setting}={value}" for setting, value in changed(config).items())
            print(f"{name}: {settings or 'default settings'}")
        print(f"{'':<36}{'actions':>8}{'envs':>6}{'th':>2}{'steps/s':>14}{'length':>7}{'bytes':>7}")
    rows: list[Row] = []
    for world in worlds:
        config = configs[world.id]
        for mode in observation_modes(world.config) or (None,):
            if mode is not None:
                config = dataclasses.replace(config, observation=mode)
            label = f"{world.name}, {mode}" if mode else world.name
            rows += _told(bench_world(world, config, label, given.run), given.run)
        rows += _told(bench_learner(world, config, given.run), given.run)
    rows += _told(bench_gymnasium(configs, given.run), given.run)
    if given.run.json:
        machine = {"cpu": cpu(), "cores": os.cpu_count(), "python": platform.python_version()}
        conditions = {name: changed(config) for name, config in configs.items()}
        rows_told = [dataclasses.asdict(row) for row in rows]
        print_json({"machine": machine, "settings": conditions, "rows": rows_told})
    return 0


def _all_worlds() -> list[Environment]:
    """Every world that can be loaded; of a plug-in's that can't, it is said why."""
    worlds = []
    for world in world_specs():
        try:
            worlds.append(find_environment(world.name))
        except ValueError as error:
            print(f"meze: warning: {error}", file=sys.stderr)
    return worlds


def _told(rows: Iterator[Row], settings: BenchSettings) -> list[Row]:
    """Prints rows as they come, unless they are wanted as JSON."""
    kept = []
    for row in rows:
        if not settings.json:
            size = f"{row.bytes_per_env:,}" if row.bytes_per_env else ""
            length = f"{row.episode_length:.1f}" if row.episode_length else ""
            print(
                f"{row.what:<36.36}{row.actions:>8.8}{row.num_envs:>6}{row.num_threads:>2}"
                f"{row.steps_per_second:>14,.0f}{length:>7}{size:>7}",
                flush=True,
            )
        kept.append(row)
    return kept
