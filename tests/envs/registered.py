"""What tests of all worlds go through: whatever is registered, without a list of names."""

import pkgutil
import typing

from meze.envs.core.registry import WorldSpec, world_specs

SPECS = world_specs()
"""Taken when it is imported, before tests register worlds of their own."""
NAMES = [spec.name for spec in SPECS]


def modes(spec: WorldSpec) -> tuple[str, ...]:
    """What a world's `observation` may be."""
    return typing.get_args(typing.get_type_hints(pkgutil.resolve_name(spec.config))["observation"])
