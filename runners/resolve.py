"""From names on the command line to environments, agents and their settings."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv

from ..agents import registry as agents
from ..agents.registry import AgentSpec
from ..envs.core.registry import WorldSpec, world_specs
from .plugins import load_plugins, one_line
from .settings import unknown

Vectorization: TypeAlias = Literal["sync", "async"]
"""Whether environments of others share this process, or have one each."""
DEFAULT_STEP_LIMIT = 1000
"""Steps after which an episode is cut off where the environment sets no limit itself."""


@dataclass(frozen=True)
class Environment:
    """A registered environment: one of the project's worlds, or any other gymnasium id."""

    id: str
    """What `gymnasium.make` takes, `package.module:` included where it was given."""
    name: str
    """Short name, for folders and tables."""
    config: type
    """Frozen dataclass; its fields are the keyword arguments of `make`."""
    max_episode_steps: int
    world: WorldSpec | None
    """What the project knows of it; None for the environments of others."""

    @property
    def named_again(self) -> tuple[str, ...]:
        """What must be said with a folder that was made in it, since no file may say which code to import."""
        return ("--env", self.id) if ":" in self.id else ()


def find_environment(name: str) -> Environment:
    """Finds an environment by a world's short name or by a gymnasium id, `package.module:Id` included.

    Raises:
        ValueError: for an unknown name, with the closest known one, or code that can't be imported.
    """
    load_plugins()
    module, _, bare = name.rpartition(":")
    if module:
        _import_named(module, name)
    worlds = {world.name: world for world in world_specs()}
    by_id = {world.id: world for world in worlds.values()}
    if bare in worlds or bare in by_id:
        world = worlds.get(bare) or by_id[bare]
        prefix = f"{module}:" if module else ""
        limit = world.max_episode_steps or DEFAULT_STEP_LIMIT
        return Environment(prefix + world.id, world.name, _part_of(world, world.config), limit, world)
    spec = gym.registry.get(bare)
    if spec is None:
        if bare in (agent.name for agent in agents.agent_specs()):
            raise ValueError(f"{bare} is an agent, where an environment should stand")
        raise unknown("environment", bare, [*worlds, *gym.registry])
    limit = spec.max_episode_steps or DEFAULT_STEP_LIMIT
    return Environment(name, bare.replace("/", "-"), _foreign_config(spec), limit, None)


def _import_named(module: str, name: str) -> None:
    """Imports what was named on the command line; what lies in the working folder is found, too."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: it hides nothing that is installed
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ValueError(f"environment {name!r}: can't import {module!r}: {one_line(error)}") from None


def _part_of(world: WorldSpec, path: str) -> Any:
    """Imports part of a world, which may be a plug-in's."""
    try:
        return load_object(path)
    except Exception as error:
        raise ValueError(f"world {world.name}: can't load {path}: {one_line(error)}") from error


def find_learner(name: str) -> AgentSpec:
    """Finds an agent that can be trained.

    Raises:
        ValueError: for an unknown name, or an agent that does not learn.
    """
    load_plugins()
    if name in gym.registry or name in (world.name for world in world_specs()):
        raise ValueError(f"{name} is an environment, where an agent should stand")
    spec = agents.find_agent(name)
    if not spec.is_trained:
        raise ValueError(f"{name} does not learn; try: meze evaluate ENV {name}")
    return spec


def make_vector(
    environment: Environment,
    config: Any,
    num_envs: int,
    autoreset: AutoresetMode,
    *,
    num_threads: int = 1,
    vectorization: Vectorization = "sync",
    max_episode_steps: int | None = None,
    render: bool = False,
) -> VectorEnv:
    """Makes a vector environment: the native one of a world; of any other what `vectorization` says.

    Raises:
        ValueError: one line, when the environment can't be made.
    """
    kwargs = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    kwargs["max_episode_steps"] = max_episode_steps or environment.max_episode_steps
    if render:
        kwargs["render_mode"] = "rgb_array"
    try:
        if environment.world:
            _part_of(environment.world, environment.world.world)
            if vectorization == "async":
                raise ValueError(f"{environment.id} is one compiled batch: use --num-threads, not async")
            native = {"autoreset_mode": autoreset, "num_threads": num_threads}
            env = gym.make_vec(environment.id, num_envs, **native, **kwargs)
        elif vectorization == "async":
            from .workers import WorkerVectorEnv

            env = WorkerVectorEnv(partial(gym.make, environment.id, **kwargs), num_envs, autoreset)
        else:
            how = {"autoreset_mode": autoreset}
            env = gym.make_vec(environment.id, num_envs, "sync", how, **kwargs)
    except (gym.error.Error, TypeError, ImportError) as error:
        raise ValueError(f"can't make {environment.id}: {one_line(error)}") from error
    if not isinstance(env.single_observation_space, (Box, Discrete, MultiBinary, MultiDiscrete)):
        kind = type(env.single_observation_space).__name__
        env.close()
        raise ValueError(f"{environment.id} has {kind} observations; only arrays and numbers can be used")
    return env


def load_object(path: Any) -> Any:
    """Imports what `package.module:Name` says; anything else is returned as it is."""
    if not isinstance(path, str):
        return path
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def _foreign_config(spec: EnvSpec) -> type:
    """A dataclass of the plain keyword arguments (numbers, switches, words) of a constructor."""
    if spec.entry_point is None:
        raise ValueError(f"environment {spec.id} has no entry point")
    try:
        parameters = inspect.signature(load_object(spec.entry_point)).parameters.values()
    except ImportError as error:
        raise ValueError(f"environment {spec.id} can't be imported: {one_line(error)}") from None
    fields = []
    for parameter in parameters:
        value = spec.kwargs.get(parameter.name, parameter.default)
        if type(value) in (bool, int, float, str) and parameter.name != "render_mode":
            fields.append((parameter.name, type(value), dataclasses.field(default=value)))
    return dataclasses.make_dataclass("EnvConfig", fields, frozen=True)


def reference_names(environment: Environment, config: Any) -> tuple[str, ...]:
    """Names of a world's reference policies; none for the environments of others."""
    if environment.world is None:
        return ()
    return tuple(_part_of(environment.world, environment.world.world)(config).references())
