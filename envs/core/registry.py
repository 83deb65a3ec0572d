"""The register of worlds: light enough for `import meze`, which loads none of their code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import gymnasium

from ...checking import did_you_mean


@dataclass(frozen=True)
class WorldSpec:
    """What is known of a world before it is loaded."""

    id: str
    """What `gymnasium.make` takes: `namespace/Name-vN`. Whatever changes a golden trajectory raises N."""
    name: str
    """Short name, for command lines and folders."""
    world: str
    """Where its class is: `package.module:Class`."""
    config: str
    """Where its config's dataclass is: `package.module:Class`, in a module that loads fast."""
    max_episode_steps: int | None
    """Steps after which an episode is truncated."""
    presets: Path | None = None
    """TOML file of the settings with which agents work well here; CONTRIBUTING.md describes it."""
    summary: str = ""
    """One line for the list of worlds."""


_worlds: dict[str, WorldSpec] = {}


def register_world(
    id: str,
    name: str,
    world: str,
    config: str,
    max_episode_steps: int | None = None,
    presets: str | os.PathLike[str] | None = None,
    summary: str = "",
) -> None:
    """Registers a world with the project and with gymnasium, for `make` and `make_vec`.

    Nothing is imported until the world is made. To register a world again just the same is allowed.

    Args:
        id: `namespace/Name-vN`.
        name: short name.
        world: `package.module:Class` of the world.
        config: `package.module:Class` of its config.
        max_episode_steps: steps after which an episode is truncated; None is never.
        presets: TOML file of settings that work well here, which is not read before it is needed.
        summary: one line.

    Raises:
        ValueError: when another world has this id or name.
    """
    file = None if presets is None else Path(presets)
    spec = WorldSpec(id, name, world, config, max_episode_steps, file, summary)
    for other in _worlds.values():
        if other == spec:
            return
        if other.id == id or other.name == name:
            raise ValueError(f"the world {other.name} ({other.id}) is already registered")
    gymnasium.register(
        id=id,
        entry_point=f"{__package__}.env:WorldEnv",
        vector_entry_point=f"{__package__}.vector:WorldVectorEnv",
        max_episode_steps=max_episode_steps,
        kwargs={"world": world},
    )
    _worlds[name] = spec


def world_specs() -> tuple[WorldSpec, ...]:
    """All registered worlds, in the order of their registration."""
    return tuple(_worlds.values())


def find_world(name_or_id: str) -> WorldSpec:
    """Finds a registered world.

    Args:
        name_or_id: its short name or its gymnasium id.

    Raises:
        ValueError: for an unknown one, with the nearest match, if one is near.
    """
    known = {**_worlds, **{spec.id: spec for spec in _worlds.values()}}
    if name_or_id in known:
        return known[name_or_id]
    raise ValueError(f"no world is registered as {name_or_id!r}{did_you_mean(name_or_id, known)}")
