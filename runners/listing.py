"""`meze envs`: environments and agents, and what fits what."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Box, Space
from gymnasium.vector import AutoresetMode

from ..agents.encoders.registry import encoder_specs
from ..agents.registry import ALIASES, KINDS, AgentSpec, agent_specs, fitting_agents, make_agent
from ..agents.spaces import PLANES_LAST, describe, is_grid
from ..caching import cache_folder
from ..envs.core.registry import WorldSpec, world_specs
from .reporting.scores import print_json
from .setup.files import read_json, write_json
from .setup.plugins import load_plugins
from .setup.presets import (
    default_agent_config,
    default_env_config,
    default_settings,
    observation_modes,
    preset_value,
    provenance,
)
from .setup.resolve import Environment, find_environment, make_vector, make_world
from .setup.settings import leading_names, parse
from .setup.text import one_line

DESCRIPTION = """Lists the project's worlds in each observation mode, some of Gymnasium's environments, the
agents that fit each, and encoders. Any other gymnasium id works too: meze envs ID ... tells of an environment
also how its agents' settings were found."""
PACKAGE = __name__.partition(".")[0]
SLOW = {
    "torch": ("torch",),
    "sb3": ("torch", "stable_baselines3"),
    "sb3-contrib": ("torch", "stable_baselines3", "sb3_contrib"),
    "sklearn": ("sklearn",),
}
"""Extras that take long to load, and their libraries."""
SHOWN = ("gymnasium.envs.toy_text", "gymnasium.envs.classic_control")
"""Gymnasium's environments that are listed without being asked for."""


@dataclass(frozen=True)
class ListSettings:
    """How to list."""

    json: bool = False
    """Print JSON instead of tables."""


def rows_of(environment: Environment) -> list[dict[str, Any]]:
    """One row for each observation mode of an environment."""
    rows = []
    for mode in observation_modes(environment.config) or (None,):
        spaces, references = _shown(environment, mode)
        fitting = [
            spec
            for spec in agent_specs()
            if (references or not spec.is_taught) and fits(environment, spec, *spaces, mode)
        ]
        rows.append(
            {
                "name": environment.name if environment.world else environment.id,
                "id": environment.id,
                "mode": mode,
                "observations": short(spaces[0]),
                "actions": short(spaces[1]),
                "agents": [*(spec.name for spec in fitting), *references],
                "presets": {
                    spec.name: provenance(environment, spec.name) for spec in fitting if spec.is_trained
                },
            }
        )
    return rows


def _shown(environment: Environment, mode: str | None) -> tuple[tuple[Space, Space], tuple[str, ...]]:
    """Spaces and references in a mode, with the default settings; where they refuse it, an agent's defaults.

    Raises:
        ValueError: when no settings allow it.
    """
    default = default_env_config(environment)
    if mode is None:
        return spaces_of(environment, default)
    default = dataclasses.replace(default, observation=mode)
    presets = (default_env_config(environment, spec) for spec in agent_specs())
    refused = None
    for config in (default, *(config for config in presets if config.observation == mode)):
        try:
            return spaces_of(environment, config)
        except ValueError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def spaces_of(environment: Environment, config: Any) -> tuple[tuple[Space, Space], tuple[str, ...]]:
    """The spaces of observations and actions, and the names of references; a world compiles nothing."""
    world = make_world(environment, config)
    if world is not None:
        return (world.observation_space, world.action_space), tuple(world.references())
    env = make_vector(environment, config, 1, AutoresetMode.DISABLED)
    env.close()
    return (env.single_observation_space, env.single_action_space), ()


def short(space: Space) -> str:
    """A space in a few words: a box without its bounds."""
    return f"Box {space.shape} {space.dtype}" if isinstance(space, Box) else describe(space)


def fits(
    environment: Environment,
    spec: AgentSpec,
    observation_space: Space,
    action_space: Space,
    mode: str | None = None,
) -> bool:
    """Whether an agent with its defaults takes these spaces (and what it needs is installed).

    Of agents whose libraries are slow to load the spaces tell, and what their presets say of planes; the
    others are built.
    """
    slow = None if spec.is_plugin else SLOW.get(spec.extra or "")
    if slow is None:
        return is_built(environment, spec, observation_space, action_space, mode)
    if any(importlib.util.find_spec(library) is None for library in slow):
        return False
    planes = preset_value(environment, spec.name, "agent.net.planes", mode)
    if planes is not None and not _has_planes(observation_space, planes):
        return False
    return spec in fitting_agents(observation_space, action_space)


def _has_planes(space: Space, planes: Sequence[int]) -> bool:
    """Whether a space is a grid that has these planes, first or, as colors, last."""
    if not is_grid(space):
        return False
    return max(planes, default=0) < space.shape[2 if space.shape[2] in PLANES_LAST else 0]


def is_built(
    environment: Environment,
    spec: AgentSpec,
    observation_space: Space,
    action_space: Space,
    mode: str | None = None,
) -> bool:
    """The same, found out by building the agent."""
    try:
        config = default_agent_config(environment, spec, mode)
        num_envs = default_settings(environment, spec, mode).num_envs if spec.is_trained else 1
        make_agent(spec.name, observation_space, action_space, num_envs=num_envs, config=config, seed=0)
    except ValueError:
        return False
    except Exception:
        if not spec.is_plugin:
            raise
        return False  # a plug-in's refusal that `check_agent` would not pass
    return True


def offered(environment: Environment) -> list[AgentSpec]:
    """The agents that `meze train` takes for an environment, with nothing but its defaults."""
    agents = []
    known: dict[str, Any] = {}  # many agents share the world's settings, and to make a world takes a while
    for spec in (spec for spec in agent_specs() if spec.is_trained):
        with contextlib.suppress(ValueError):
            config = default_env_config(environment, spec)
            if repr(config) not in known:
                known[repr(config)] = spaces_of(environment, config)
            spaces, references = known[repr(config)]
            if (references or not spec.is_taught) and fits(environment, spec, *spaces):
                agents.append(spec)
    return agents


# --- Facts that are kept ----------------------------------------------------------------------------------


def kept_rows(name: str, notes: dict[str, Any]) -> list[dict[str, Any]]:
    """What `rows_of` says of a name; of the project's own environments and Gymnasium's, once from notes."""
    kept = not any(spec.is_plugin for spec in agent_specs())
    if kept and name in notes:
        return notes[name]
    environment = find_environment(name)
    rows, world = rows_of(environment), environment.world
    if kept and (world.world.startswith(f"{PACKAGE}.") if world else name in listed()):
        notes[name] = rows
    return rows


def _notes_file() -> Path:
    """Where notes are kept; the folder's name covers all that they depend on.

    Raises:
        OSError: where nothing can be kept.
    """
    digest = hashlib.blake2b(digest_size=8)
    root = Path(__file__).parents[1]
    for part in ("agents", "envs", "runners", "assets"):
        for path in sorted(root.joinpath(part).rglob("*")):
            status = path.stat()
            if "__pycache__" in path.parts or path.is_dir():
                continue
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    libraries = (*sum(SLOW.values(), ()), "deap", "cmaes", "neat")
    found = [importlib.util.find_spec(library) is not None for library in libraries]
    digest.update(f"{found} {gym.__version__} {sys.version}".encode())
    return cache_folder(digest.hexdigest()) / "envs.json"


@contextlib.contextmanager
def _notes() -> Iterator[dict[str, Any]]:
    """Notes of earlier calls, kept again if there are more afterwards; none where they can't be kept."""
    try:
        file = _notes_file()
    except OSError:
        yield {}
        return
    notes: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):
        notes = dict(read_json(file))
    before = len(notes)
    yield notes
    if len(notes) > before:
        with contextlib.suppress(OSError):
            write_json(file, notes)


def listed() -> list[str]:
    """Names of the environments that are listed without being asked for: all worlds, some of Gymnasium's."""
    shown = {
        spec.id
        for spec in gym.registry.values()
        if isinstance(spec.entry_point, str) and spec.entry_point.startswith(SHOWN)
    }
    newest: dict[tuple[str | None, str], Any] = {}
    for spec in (gym.registry[name] for name in sorted(shown)):
        known = newest.get((spec.namespace, spec.name))
        if known is None or (spec.version or 0) > (known.version or 0):
            newest[spec.namespace, spec.name] = spec
    return [*(world.name for world in world_specs()), *sorted(spec.id for spec in newest.values())]


def list_worlds() -> tuple[WorldSpec, ...]:
    """The worlds, those of plug-ins included."""
    load_plugins()
    return world_specs()


def list_agents() -> tuple[AgentSpec, ...]:
    """The agents, those of plug-ins included."""
    load_plugins()
    return agent_specs()


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    settings = parse(ListSettings(), args[len(names) :], prog="meze envs", description=DESCRIPTION)
    load_plugins()
    rows, broken = [], []
    with _notes() as notes:
        for name in names or listed():
            try:
                rows += kept_rows(name, notes)
            except Exception as error:
                if names:
                    raise
                # Whatever is wrong with a plug-in, or is not installed, hides no other.
                broken.append(f"{name}: {one_line(error)}")
    short_for: dict[str, list[str]] = {}
    for alias, name in ALIASES.items():
        short_for.setdefault(name, []).append(alias)
    agents = [
        {
            "name": spec.name,
            "aliases": short_for.get(spec.name, []),
            "kind": spec.kind,
            "summary": spec.summary,
        }
        for spec in agent_specs()
    ]
    encoders = [{"name": each.name, "codes": each.codes, "summary": each.summary} for each in encoder_specs()]
    if settings.json:
        print_json({"environments": rows, "agents": agents, "encoders": encoders})
    else:
        _print(rows, agents, encoders, broken, with_presets=bool(names))
    return 0


def _presets(found: Mapping[str, str]) -> str:
    """How agents' settings were found, those together that were found alike."""
    alike: dict[str, list[str]] = {}
    for agent, words in found.items():
        alike.setdefault(words, []).append(agent)
    return "\n".join(f"settings {words}: {', '.join(agents)}" for words, agents in alike.items())


def _print(
    rows: list[dict[str, Any]],
    agents: list[dict[str, Any]],
    encoders: list[dict[str, str]],
    broken: list[str],
    *,
    with_presets: bool,
) -> None:
    from rich import box
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table

    console = Console()
    for row in rows:
        name = row["name"] + (f", {row['mode']}" if row["mode"] else "")
        console.print(f"[bold]{name}[/]: {row['observations']} to {row['actions']}", highlight=False)
        console.print(Padding(", ".join(row["agents"]), (0, 0, 0, 4), expand=False), highlight=False)
        if with_presets:
            console.print(Padding(_presets(row["presets"]), (0, 0, 0, 4), expand=False), highlight=False)
    for line in broken:
        console.print(f"not listed: {line}")
    console.print("\nAfter a world's name stands its observation mode (--env.observation).")
    console.print("Any other gymnasium id works too, package.module:Id or :Class included: meze envs ID\n")
    trains = {True: "meze train", False: "needs no training"}
    shown = [
        (", ".join([each["name"], *each["aliases"]]), trains[KINDS[each["kind"]].is_trained], each["summary"])
        for each in agents
    ]
    codes = [(each["name"], each["codes"], each["summary"]) for each in encoders]
    title = "Encoders of arrays, alone or in a chain: --encoder kmeans, --encoder pca+kmeans"
    for head, lines in (("Agents", shown), (title, codes)):
        table = Table(title=head, title_justify="left", box=box.SIMPLE)
        for column in ("name", "", "summary"):
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*line)
        console.print(table)
