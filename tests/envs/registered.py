"""What tests of all worlds go through: whatever the project registers, without a list of names."""

import pkgutil
import typing

from meze.envs.core.registry import WorldSpec, world_specs

SPECS = tuple(spec for spec in world_specs() if spec.id.startswith("meze/"))
"""The project's; other tests register worlds of their own."""
NAMES = [spec.name for spec in SPECS]


def modes(spec: WorldSpec) -> tuple[str, ...]:
    """What a world's `observation` may be."""
    return typing.get_args(typing.get_type_hints(pkgutil.resolve_name(spec.config))["observation"])
