"""What the learning benchmarks share: an agent is trained until it holds a score, against the clock.

Only training is on the clock: environment, policy and learning, but no evaluation. Evaluations play on seeds,
maps and levels that training does not see.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from meze.runners.reporting.measures import Episodes
from meze.runners.run.config import RunConfig
from meze.runners.run.evaluation import find_contestant, make_evaluation_env, on_split, play_episodes
from meze.runners.run.rollout import Rollout
from meze.runners.run.stopwatch import Stopwatch
from meze.runners.setup.lengths import stretched
from meze.runners.setup.presets import default_agent_config, default_env_config, default_settings
from meze.runners.setup.resolve import find_environment, find_learner
from meze.runners.setup.settings import override


@dataclass(frozen=True)
class Point:
    """An evaluation on the way."""

    steps: int
    seconds: float
    measures: dict[str, float]


@dataclass(frozen=True)
class Result:
    """How a race ended."""

    seconds: float | None
    """Training seconds until the score was held; None: not held within the cap."""
    points: list[Point]
    shares: str
    """Where the time went."""


def preset(agent: str, environment: str, **changes: Any) -> RunConfig:
    """A run as `meze train AGENT ENVIRONMENT` sets it up.

    Args:
        agent: name.
        environment: name.
        **changes: settings, with two underscores for each dot of the flag: `agent__gamma=0.9`, `seed=3`. With
            `steps` schedules are stretched, but for those given here.
    """
    world, spec = find_environment(environment), find_learner(agent)
    mode = changes.get("env__observation")
    parts = {"agent": default_agent_config(world, spec, mode), "env": default_env_config(world, spec)}
    settings = default_settings(world, spec)
    for name, value in changes.items():
        head, _, rest = name.replace("__", ".").partition(".")
        if head in parts and rest:
            parts[head] = override(parts[head], {rest: value})
        else:
            settings = override(settings, {name: value})
    if "steps" in changes:
        kept = {"--" + name.replace("__", ".").replace("_", "-") for name in changes}
        scale = changes["steps"] / default_settings(world, spec).steps
        parts["agent"] = stretched(parts["agent"], scale, kept)
    return RunConfig(spec, parts["agent"], world, parts["env"], settings)


class Examiner:
    """Evaluates policies of a run on what training does not see."""

    def __init__(self, config: RunConfig, episodes: int, **env_changes: Any) -> None:
        self.config, self.episodes = config, episodes
        self.env_config = dataclasses.replace(on_split(config.env_config), **env_changes)
        limit = config.settings.max_episode_steps
        self.env = make_evaluation_env(config.environment, self.env_config, episodes, max_episode_steps=limit)

    def __call__(self, policy: Any) -> Episodes:
        """Plays the evaluation's episodes."""
        return play_episodes(self.env, policy, self.episodes)

    def contestant(self, name: str) -> Episodes:
        """Plays them with an agent that needs no training, or a reference of the world."""
        found = find_contestant(name, self.config.environment, self.env_config)
        return self(found.policy(self.env))


class Ours:
    """A run of this project's learners, taken step by step."""

    def __init__(self, config: RunConfig, device: str = "cpu") -> None:
        self.config = config
        env = config.make_env(config.settings.num_envs, AutoresetMode.SAME_STEP)
        self.learner = config.make_agent(env, device)
        self.learner.prepare()
        self.stopwatch = Stopwatch()
        inner, self._inside = self.learner.inside(env)
        self.rollout = Rollout(inner, self._inside.policy, config.env_seeds(), self.stopwatch)
        self.steps = 0

    @property
    def policy(self) -> Any:
        """Acts as well as the learner can so far."""
        return self.learner.policy

    def train(self, steps: int) -> None:
        """Trains up to so many transitions in all."""
        device = getattr(self._inside, "device", None)
        self.stopwatch.start()
        while self.steps < steps:
            self.steps += self.rollout.advance(self._inside)[0]
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize()  # the last update may still be on its way
            self.stopwatch.lap("learning")

    @property
    def seconds(self) -> float:
        """Training seconds so far."""
        return self.stopwatch.total

    @property
    def shares(self) -> str:
        """Where they went."""
        return self.stopwatch.summary()


def race(
    run: Any,
    examine: Callable[[Any], Episodes],
    reached: Callable[[dict[str, float]], bool],
    *,
    every: int,
    times: int,
    cap: float,
    steps: float = np.inf,
    tell: Callable[[Point], None] = lambda point: None,
) -> Result:
    """Trains until the score is reached in so many evaluations in a row.

    Args:
        run: has `train`, `steps`, `seconds`, `policy`, `shares`: `Ours`, or another library's.
        examine: plays the evaluation's episodes.
        reached: whether mean measures are good enough.
        every: transitions between two evaluations.
        times: evaluations in a row.
        cap: training seconds after which it is given up.
        steps: transitions after which it is.
        tell: is told each evaluation.
    """
    points: list[Point] = []
    held = 0
    while run.seconds < cap and run.steps < steps:
        run.train(run.steps + every)
        means = {name: float(each.mean()) for name, each in examine(run.policy).measures.items()}
        points.append(Point(run.steps, run.seconds, means))
        tell(points[-1])
        held = held + 1 if reached(means) else 0
        if held == times and run.seconds <= cap:
            return Result(run.seconds, points, run.shares)
    return Result(None, points, run.shares)


def normalised(value: float, random: float, expert: float) -> float:
    """0 as the random agent, 1 as the expert."""
    return (value - random) / (expert - random)
