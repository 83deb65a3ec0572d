"""`meze envs`: environments and agents, and what fits what."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Box, Space
from gymnasium.vector import AutoresetMode, VectorEnv

from ..agents.encoders import encoder_specs
from ..agents.registry import AgentSpec, agent_specs, make_agent
from ..envs.core.registry import world_specs
from .plugins import load_plugins, one_line
from .presets import default_agent_config, default_env_config, default_settings, observation_modes
from .resolve import Environment, find_environment, make_vector, reference_names
from .scores import print_json
from .settings import leading_names, parse

DESCRIPTION = """Lists the project's worlds in each observation mode, some of Gymnasium's environments, the
agents that fit each, and encoders. Any other gymnasium id works too: meze envs ID ..."""
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
        config, env = _made(environment, mode)
        spaces = env.single_observation_space, env.single_action_space
        env.close()
        agents = [spec.name for spec in agent_specs() if fits(environment, spec, *spaces, mode)]
        rows.append(
            {
                "name": environment.name if environment.world else environment.id,
                "id": environment.id,
                "mode": mode,
                "observations": short(spaces[0]),
                "actions": short(spaces[1]),
                "agents": [*agents, *reference_names(environment, config)],
            }
        )
    return rows


def _made(environment: Environment, mode: str | None) -> tuple[Any, VectorEnv]:
    """The default settings in a mode, and their environment; where they don't allow it, an agent's defaults.

    Raises:
        ValueError: when no settings do.
    """
    default = default_env_config(environment)
    if mode is None:
        return default, make_vector(environment, default, 1, AutoresetMode.DISABLED)
    default = dataclasses.replace(default, observation=mode)
    presets = (default_env_config(environment, spec) for spec in agent_specs())
    refused = None
    for config in (default, *(config for config in presets if config.observation == mode)):
        try:
            return config, make_vector(environment, config, 1, AutoresetMode.DISABLED)
        except ValueError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def short(space: Space) -> str:
    """A space in a few words: a box without its bounds."""
    return f"Box {space.shape} {space.dtype}" if isinstance(space, Box) else str(space)


def fits(
    environment: Environment,
    spec: AgentSpec,
    observation_space: Space,
    action_space: Space,
    mode: str | None = None,
) -> bool:
    """Whether an agent with its defaults takes these spaces (and what it needs is installed)."""
    try:
        config = default_agent_config(environment, spec, mode)
        num_envs = getattr(default_settings(environment, spec), "num_envs", 1)
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
    for spec in agent_specs():
        with contextlib.suppress(ValueError):
            config = default_env_config(environment, spec)
            env = make_vector(environment, config, 1, AutoresetMode.DISABLED)
            env.close()
            spaces = env.single_observation_space, env.single_action_space
            taught = spec.kind != "imitator" or reference_names(environment, config)
            if spec.is_trained and taught and fits(environment, spec, *spaces):
                agents.append(spec)
    return agents


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


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    settings = parse(ListSettings(), args[len(names) :], prog="meze envs", description=DESCRIPTION)
    load_plugins()
    rows, broken = [], []
    for name in names or listed():
        try:
            rows += rows_of(find_environment(name))
        except Exception as error:
            if names:
                raise
            # Whatever is wrong with a plug-in, or is not installed, hides no other.
            broken.append(f"{name}: {one_line(error)}")
    agents = [{"name": spec.name, "kind": spec.kind, "summary": spec.summary} for spec in agent_specs()]
    encoders = [{"name": each.name, "codes": each.codes, "summary": each.summary} for each in encoder_specs()]
    if settings.json:
        print_json({"environments": rows, "agents": agents, "encoders": encoders})
    else:
        _print(rows, agents, encoders, broken)
    return 0


def _print(
    rows: list[dict[str, Any]],
    agents: list[dict[str, str]],
    encoders: list[dict[str, str]],
    broken: list[str],
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
    for line in broken:
        console.print(f"not listed: {line}")
    console.print("\nAfter a world's name stands its observation mode (--env.observation).")
    console.print("Any other gymnasium id works too, package.module:Id included: meze envs ID\n")
    trains = {True: "needs no training", False: "meze train"}
    shown = [(each["name"], trains[each["kind"] == "policy"], each["summary"]) for each in agents]
    codes = [(each["name"], each["codes"], each["summary"]) for each in encoders]
    title = "Encoders of arrays, alone or in a chain: --encoder kmeans, --encoder pca+kmeans"
    for head, lines in (("Agents", shown), (title, codes)):
        table = Table(title=head, title_justify="left", box=box.SIMPLE)
        for column in ("name", "", "summary"):
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*line)
        console.print(table)
