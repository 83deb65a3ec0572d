"""From names on the command line to environments, agents and their settings."""

from __future__ import annotations

import dataclasses
import importlib
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from ...agents import registry as agents
from ...agents.registry import AgentSpec
from ...agents.spaces import adapted, check_shown
from ...checking import did_you_mean, load_object
from ...envs.core.registry import WorldSpec, world_specs
from ...envs.core.world import World, load_world
from .foreign import Checked, FiniteVectorEnv, arguments_of, check_drawn, check_once, config_of
from .names import is_environment
from .plugins import load_plugins
from .pretrained import is_pretrained
from .text import one_line

Vectorization: TypeAlias = Literal["sync", "async"]
"""Whether environments of others share this process, or have one each."""
MOST_PROCESSES = 1024
"""Environments in processes of their own, at most: more would bring the machine down."""
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
    spec: EnvSpec | None = None
    """How a class is made that nobody has registered."""
    presets: Path | None = None
    """File of settings that work well, in place of the world's own or the project's; see `presets`."""

    @property
    def named_again(self) -> tuple[str, ...]:
        """What must be said with a folder that was made in it, since no file may say which code to import."""
        return ("--env", self.id) if ":" in self.id else ()


def find_environment(name: str) -> Environment:
    """Finds an environment by a world's short name, a gymnasium id, `package.module:Id` or `...:Class`.

    Raises:
        ValueError: for an unknown name, with the closest known one, or code that can't be imported.
    """
    if is_pretrained(name):
        raise ValueError(f"{name} is a trained agent, where an environment should stand")
    load_plugins()
    module, _, bare = name.rpartition(":")
    classes = _classes_of(_import_named(module, name)) if module else {}
    worlds = {world.name: world for world in world_specs()}
    by_id = {world.id: world for world in worlds.values()}
    if bare in worlds or bare in by_id:
        world = worlds.get(bare) or by_id[bare]
        prefix = f"{module}:" if module else ""
        limit = world.max_episode_steps or DEFAULT_STEP_LIMIT
        config = _part_of(world, world.config, load_object)
        return Environment(prefix + world.id, world.name, config, limit, world)
    spec = gym.registry.get(bare)
    if spec is None:
        if bare in classes:
            spec = EnvSpec(name, classes[bare])
            return Environment(name, bare, _foreign_config(spec, True), DEFAULT_STEP_LIMIT, None, spec)
        if bare in agents.agent_names():
            raise ValueError(f"{bare} is an agent, where an environment should stand")
        hint = did_you_mean(bare, [*worlds, *gym.registry, *classes], "`meze envs` lists what there is")
        raise ValueError(f"unknown environment {bare!r}{hint}")
    limit = spec.max_episode_steps or DEFAULT_STEP_LIMIT
    return Environment(name, bare.replace("/", "-"), _foreign_config(spec, bool(module)), limit, None)


def environment_of(folder: Path, own: str, given: str | None = None) -> Environment:
    """Finds the environment that a file in a folder names; the file may come from a stranger.

    Args:
        folder: for messages.
        own: the environment's id as the file has it, which may not say which code to import.
        given: the environment as the caller named it, needed where it lies in another package.

    Raises:
        ValueError: one line, when it must be named, or another one was.
    """
    if given is None and ":" in own:
        raise ValueError(f"{folder} is on {own}, code of another package: name it on the command line too")
    environment = find_environment(given or own)
    if environment.id.rpartition(":")[2] != own.rpartition(":")[2]:
        raise ValueError(f"{folder} is on {own}, not on {environment.id}")
    return environment


def _classes_of(module: ModuleType) -> dict[str, type[gym.Env]]:
    """The environments among a module's classes, by name."""
    return {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, gym.Env)
    }


def _import_named(module: str, name: str) -> ModuleType:
    """Imports what was named on the command line; what lies in the working folder is found, too."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: it hides nothing that is installed
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise ValueError(f"environment {name!r}: can't import {module!r}: {one_line(error)}") from None


def world_class(environment: Environment) -> type[World] | None:
    """The class of a world; None for the environments of others."""
    world = environment.world
    return None if world is None else _part_of(world, world.world, load_world)


def _part_of(world: WorldSpec, path: str, load: Callable[[str], Any]) -> Any:
    """Imports part of a world, which may be a plug-in's."""
    try:
        return load(path)
    except Exception as error:
        raise ValueError(f"world {world.name}: can't load {path}: {one_line(error)}") from error


def find_learner(name: str) -> AgentSpec:
    """Finds an agent that can be trained.

    Raises:
        ValueError: for an unknown name, or an agent that does not learn.
    """
    load_plugins()
    if is_environment(name):
        raise ValueError(f"{name} is an environment, where an agent should stand")
    spec = agents.find_agent(name)
    if not spec.is_trained:
        raise ValueError(f"{name} does not learn; try: meze evaluate ENV {name}")
    return spec


def unknown_contestant(name: str, environment: Environment, references: Collection[str]) -> ValueError:
    """The error for who is no agent, no reference and no run: names the nearest, or all kinds."""
    own = f"the references {', '.join(references)}" if references else "no references such as an expert"
    there = f"{environment.name} has {own}; there are also random, and runs (their folders)"
    hint = did_you_mean(name, [*agents.agent_names(), *references], there)
    return ValueError(f"unknown agent or run {name!r}{hint}")


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
    if environment.world:
        kwargs = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    else:
        kwargs = arguments_of(config, environment.id)
    kwargs["max_episode_steps"] = max_episode_steps or environment.max_episode_steps
    if render:
        kwargs["render_mode"] = "rgb_array"
    maker = _maker_of(environment) if render and not environment.world else None
    if maker:
        check_drawn(environment.id, maker)
    try:
        if environment.world:
            world_class(environment)
            if vectorization == "async":
                raise ValueError(f"{environment.id} is one compiled batch: use --num-threads, not async")
            native = {"autoreset_mode": autoreset, "num_threads": num_threads}
            env = gym.make_vec(environment.id, num_envs, **native, **kwargs)
        elif vectorization == "async":
            from .workers import WorkerVectorEnv

            if num_envs > MOST_PROCESSES:
                each = "async gives each environment a process of its own"
                raise ValueError(f"{each}: {MOST_PROCESSES:,} at most; got {num_envs:,}")
            make = partial(_make_adapted, environment.spec or environment.id, **kwargs)
            env = FiniteVectorEnv(WorkerVectorEnv(make, num_envs, autoreset), environment.id)
        else:
            how, source = {"autoreset_mode": autoreset}, environment.spec or environment.id
            kwargs["disable_env_checker"] = True  # its asserts; `check_once` says more
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*render_mode")  # `check_drawn` says more
                env = gym.make_vec(source, num_envs, "sync", how, [Checked, adapted], **kwargs)  # type: ignore[list-item]
            env = FiniteVectorEnv(env, environment.id)
    except (gym.error.Error, TypeError, ImportError) as error:
        raise ValueError(f"can't make {environment.id}: {one_line(error)}") from error
    try:
        if maker:
            check_drawn(environment.id, maker, env.metadata)
        if isinstance(env.unwrapped, SyncVectorEnv):
            check_once(env.unwrapped.envs[0], kwargs)
        check_shown(environment.id, env.single_observation_space)
    except ValueError:
        env.close()
        raise
    return env


def _make_adapted(source: EnvSpec | str, **kwargs: Any) -> gym.Env:
    """Makes one environment, with the spaces that agents are made for."""
    env = Checked(gym.make(source, disable_env_checker=True, **kwargs))
    if multiprocessing.parent_process() is None:  # the one that shows a batch of processes its spaces
        check_once(env, kwargs)
    return adapted(env)


def _maker_of(environment: Environment) -> Any:
    """The class of an environment of others, or the function that makes it."""
    spec = environment.spec or gym.registry[environment.id.rpartition(":")[2]]
    return load_object(spec.entry_point)


def _foreign_config(spec: EnvSpec, named: bool) -> type:
    """A dataclass of what may be set of a constructor; see `foreign.config_of`."""
    if spec.entry_point is None:
        raise ValueError(f"environment {spec.id} has no entry point")
    try:
        return config_of(load_object(spec.entry_point), spec.kwargs, named=named)
    except ImportError as error:
        raise ValueError(f"environment {spec.id} can't be imported: {one_line(error)}") from None


def make_world(environment: Environment, config: Any) -> World | None:
    """A world by itself, without a batch; None for the environments of others."""
    world = world_class(environment)
    return None if world is None else world(config)


def reference_names(environment: Environment, config: Any) -> tuple[str, ...]:
    """Names of a world's reference policies; none for the environments of others."""
    world = make_world(environment, config)
    return () if world is None else tuple(world.references())
