"""Settings known to work well: tables of agents in TOML files, whose keys are the flags of `meze train`.

A world names its file when it is registered; that of Gymnasium's environments is the project's own. Such a
file holds values alone: each is checked, and none may name code. CONTRIBUTING.md describes the format.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from ...agents.registry import ALIASES, AgentSpec, agent_specs
from ...checking import unknown
from .files import read_toml
from .kinds import RunSettings, settings_class
from .resolve import Environment
from .settings import flags, named_code, override
from .text import printable

GYMNASIUM = Path(str(files(__name__.partition(".")[0]))) / "assets" / "presets" / "gymnasium.toml"
"""What is known of the environments of others: below each id the tables of agents."""
EVERY, BENCH = "*", "bench"
"""The table for each agent that has such a setting, and that of what `meze bench` measures."""
PARTS = ("agent", "env", "provenance")
"""What may stand before a dot in any agent's table; the world's observation modes may, too."""
NONE = "None"
"""How a file says that a setting has no value, as flags do: TOML has no word for it."""
ARRAYS = ("grid", "sites", "plain", "pixels")
"""Observation modes that are arrays, those first that encoders make most of."""

Settings = TypeVar("Settings")


def with_preset(
    settings: Settings, environment: Environment, agent: str, prefix: str = "", mode: str | None = None
) -> Settings:
    """Settings changed by what is known to work well for an agent in an environment.

    What stands under `*` holds for each agent that has such a setting; the agent's own table goes before it.

    Args:
        settings: defaults.
        environment: where the agent is to act.
        agent: its name.
        prefix: `agent.` or `env.` for these settings; none for those of the run.
        mode: an observation mode, for which `[AGENT.MODE]` changes what stands in `[AGENT]`.

    Raises:
        ValueError: one line, when the file is damaged, or the agent's own table names a setting that is not
            there, a value that does not fit, or code.
    """
    shared, own = _layers(environment, agent, mode)
    there = flags(settings, "")
    shared = {name: value for name, value in _part(shared, prefix).items() if name in there}
    try:
        changed = override(settings, shared | _part(own, prefix), prefix)
        if code := named_code(changed):
            raise ValueError(f"{prefix}net.kind is {code}: only the command line may name code")
    except ValueError as error:
        raise ValueError(f"{_file(environment)}: [{agent}] {error}") from None
    return changed


def with_presets_of(file: Path, environment: Environment, agent: AgentSpec) -> Environment:
    """The environment with the presets of a user's file in place of those that it has.

    Raises:
        ValueError: one line, when the file is damaged, or has no table for the agent.
    """
    environment = dataclasses.replace(environment, presets=file)
    tables, agents = _tables(environment), [spec.name for spec in agent_specs()]
    for name in tables:
        if name not in (EVERY, BENCH, *agents):
            raise ValueError(f"{file}: {unknown('agent', name, agents)}")
    if not isinstance(tables.get(EVERY), dict) and _table(tables, agent.name) is None:
        raise ValueError(f"{file} has no table for {agent.name}; it has {', '.join(tables) or 'none at all'}")
    return environment


def default_env_config(
    environment: Environment, agent: AgentSpec | None = None, *, encoded: bool = False
) -> Any:
    """An environment's default settings, in the observation mode that suits the agent best.

    Args:
        environment: which.
        agent: for whom; None: nobody in particular.
        encoded: whether an encoder will stand between them, which needs arrays.

    Raises:
        ValueError: when a preset names a setting that is not there.
    """
    config, offered = environment.config(), observation_modes(environment.config)
    suiting = ARRAYS if encoded else agent.modes if agent else ()
    suitable = [mode for mode in suiting if mode in offered]
    if suitable:
        config = dataclasses.replace(config, observation=suitable[0])
    if agent is None:
        return config
    config = with_preset(config, environment, agent.name, "env.")
    if encoded and suitable and config.observation not in suitable:
        config = dataclasses.replace(config, observation=suitable[0])
    return config


def default_agent_config(
    environment: Environment, agent: AgentSpec, mode: str | None = None, *, encoded: bool = False
) -> Any:
    """An agent's default settings in an environment.

    Args:
        environment: where it is to act.
        agent: which.
        mode: an observation mode; by default that which suits the agent best.
        encoded: whether an encoder will stand between them: what is known to work well on grids is not used.
    """
    if mode is None:
        mode = getattr(default_env_config(environment, agent, encoded=encoded), "observation", None)
    default = agent.config_class()()
    config = with_preset(default, environment, agent.name, "agent.", mode)
    sights = {name: getattr(default, name) for name in ("retina",) if encoded and hasattr(default, name)}
    if encoded and hasattr(config, "net"):
        sights["net"] = dataclasses.replace(config.net, planes=default.net.planes)
    return dataclasses.replace(config, **sights)


def default_settings(
    environment: Environment, agent: AgentSpec, mode: str | None = None, *, encoded: bool = False
) -> RunSettings:
    """The default settings of a training run; see `default_agent_config`."""
    if mode is None:
        mode = getattr(default_env_config(environment, agent, encoded=encoded), "observation", None)
    return with_preset(settings_class(agent)(), environment, agent.name, mode=mode)


def preset_value(environment: Environment, agent: str, setting: str, mode: str | None = None) -> Any:
    """What presets say of one setting (named as its flag), without loading the agent; None: nothing."""
    shared, own = _layers(environment, agent, mode)
    return (shared | own).get(setting)


def provenance(environment: Environment, agent: str) -> str:
    """How the settings were found that are known to work well for an agent: `by hand`, or what a search says.

    Args:
        environment: where it is to act.
        agent: its name.

    Returns:
        A few words, without what was searched; `by default` where no settings are known.
    """
    shared, own = _layers(environment, agent, None)
    if not _part(shared, "agent."):  # of everybody's runs, or the world, alone: nothing is known of the agent
        shared = {}
    told = _part(own, "provenance.") or _part(shared, "provenance.")
    by = told.pop("by", None)
    words = [f"by {by}"] if by else [] if told else ["not told" if shared | own else "by default"]
    others = (f"{name} {value}" for name, value in told.items() if not name.startswith("space."))
    return printable(", ".join([*words, *others]))


def _layers(environment: Environment, agent: str, mode: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What holds for every agent, and what goes before it: an agent's own table; both in a mode."""
    shared, own = (_known(environment, name) for name in (EVERY, agent))
    return shared | _part(shared, f"{mode}."), own | _part(own, f"{mode}.")


def _file(environment: Environment) -> Path | None:
    if environment.presets or environment.world is None:
        return environment.presets or GYMNASIUM
    return environment.world.presets


def _tables(environment: Environment) -> Mapping[str, Any]:
    """A file's tables by agents' full names; where it is of several environments, those below the id.

    Raises:
        ValueError: one line, when the file is damaged, or has two tables for an agent.
    """
    file = _file(environment)
    content = {} if file is None else read_toml(file)
    below = content.get(environment.id.rpartition(":")[2])
    tables = below if isinstance(below, dict) else content
    named = {ALIASES.get(name, name): table for name, table in tables.items()}
    if len(named) < len(tables):
        raise ValueError(f"{file}: an agent has two tables, one of them by its short name")
    return named


def _known(environment: Environment, agent: str) -> dict[str, Any]:
    """What the table for an agent says, laid over the table that it is like: names as of flags, to values.

    Raises:
        ValueError: one line, when the file is damaged.
    """
    file, table = _file(environment), _table(_tables(environment), agent)
    where, passed, known = f"{file}: [{agent}]", [], {}
    while table is not None:
        passed.append(table)
        own = _flat(table)
        like = own.pop("like", None)
        known = own | known
        if file is None or like is None:
            break
        table: Any = read_toml(file)
        for key in str(like).split("."):
            table = table.get(key) if isinstance(table, dict) else None
        if not isinstance(table, dict) or any(table is each for each in passed):
            raise ValueError(f"{where} there is no other table {like!r} to be like")
    modes = observation_modes(environment.config)
    for name in sorted(known):
        part, dot, rest = name.partition(".")
        if dot and part not in (*PARTS, *modes):
            raise ValueError(f"{where} there is no setting {part}")
        if part in modes and "." in rest and not rest.startswith("agent."):
            raise ValueError(f"{where} {name}: only settings of agent and run may differ by what it observes")
    return known


def _table(tables: Mapping[str, Any], agent: str) -> dict[str, Any] | None:
    """An agent's own table, or else that of the agent whose presets hold for it, too; None: there is none."""
    likes, name = {spec.name: spec.like for spec in agent_specs()}, agent
    while not isinstance(tables.get(name), dict):
        name = likes.get(name)
        if name is None:
            return None
    return tables[name]


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names to values, hyphens in names as flags have them."""
    flat: dict[str, Any] = {}
    left = list(table.items())[::-1]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{key}", inner) for key, inner in value.items()][::-1]
        else:
            flat[name.replace("_", "-")] = None if value == NONE else value
    return flat


def _part(flat: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The settings whose names begin with a prefix, without it; with an empty one, those without any."""
    if not prefix:
        return {name: value for name, value in flat.items() if "." not in name}
    return {name[len(prefix) :]: value for name, value in flat.items() if name.startswith(prefix)}


def observation_modes(config: type) -> tuple[str, ...]:
    """What a world's `observation` setting may be, if it has one."""
    return typing.get_args(typing.get_type_hints(config).get("observation"))
