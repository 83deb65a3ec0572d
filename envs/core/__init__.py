"""What every world shares: protocol, batch binding, random streams, environments, conformance checks.

The names below are loaded when they are first used, so that `import meze` stays light.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kernel import kernel as kernel  # a type checker would take the submodule for it

_HOMES = {
    "Kernels": "world",
    "REWARD_SCALE": "world",
    "Renderer": "world",
    "World": "world",
    "check_ranges": "world",
    "state_dtype": "world",
    "bind_policy": "batch",
    "WorldEnv": "env",
    "WorldVectorEnv": "vector",
    "WorldSpec": "registry",
    "find_world": "registry",
    "register_world": "registry",
    "world_specs": "registry",
    "check_world": "conformance",
    "Replay": "replay",
    "kernel": "kernel",
    "rare_kernel": "kernel",
    "chance": "rng",
    "next_u64": "rng",
    "uniform_int": "rng",
    "Panel": "renderer",
    "to_array": "renderer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


class _Core(ModuleType):
    """A package in which a submodule does not hide the public name that it bears, as `kernel` would."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Core
