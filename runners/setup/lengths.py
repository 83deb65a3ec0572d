"""Runs of other lengths than their presets': what changes as training goes on is stretched with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import TypeVar

from ...agents.schedules import Schedule

WARM_UP = "learning_starts"
"""The setting that says after how many transitions learning begins; a longer run needs no longer one."""

Config = TypeVar("Config")


def stretched(config: Config, scale: float, kept: Collection[str] = (), prefix: str = "--agent") -> Config:
    """An agent's settings for a run of another length.

    Args:
        config: its settings for the usual length.
        scale: the new length, in usual ones.
        kept: flags whose values stay as they are, such as `--agent.exploration.steps`.
        prefix: of the flags of these settings.

    Returns:
        The settings with the lengths of all schedules scaled, and warm-ups shortened.
    """
    changes = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value, flag = getattr(config, field.name), f"{prefix}.{field.name.replace('_', '-')}"
        if isinstance(value, Schedule):
            if not value.constant and f"{flag}.steps" not in kept:
                changes[field.name] = dataclasses.replace(value, steps=max(1, round(value.steps * scale)))
        elif dataclasses.is_dataclass(value):
            changes[field.name] = stretched(value, scale, kept, flag)
        elif field.name == WARM_UP and flag not in kept:
            changes[field.name] = min(value, max(1, round(value * scale)))
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def outlasting(
    config: object, steps: int, prefix: str = "--agent", *, warm_ups_alone: bool = False
) -> Iterator[str]:
    """Flags, with their values, of what would still change, or not have begun, after so many transitions."""
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value, flag = getattr(config, field.name), f"{prefix}.{field.name.replace('_', '-')}"
        if isinstance(value, Schedule):
            if not value.constant and value.steps > steps and not warm_ups_alone:
                yield f"{flag}.steps {value.steps:,}"
        elif dataclasses.is_dataclass(value):
            yield from outlasting(value, steps, flag, warm_ups_alone=warm_ups_alone)
        elif field.name == WARM_UP and value >= steps:
            yield f"{flag} {value:,}"
