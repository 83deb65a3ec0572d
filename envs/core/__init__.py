"""What every world shares: protocol, batch binding, random streams, environments, conformance checks.

The names below are loaded when they are first used, so that `import meze` stays light. The module `eight` is
public, too: cells of a grid, eight at once.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "Kernels": "world",
    "REWARD_SCALE": "world",
    "Renderer": "world",
    "World": "world",
    "COST": "measures",
    "SUCCESS": "measures",
    "Measure": "measures",
    "Played": "measures",
    "Target": "measures",
    "check_ranges": "world",
    "check_settings": "settings",
    "state_dtype": "world",
    "chance": "rng",
    "later_u64": "rng",
    "next_u64": "rng",
    "skip": "rng",
    "uniform_int": "rng",
    "kernel": "compiling",
    "rare_kernel": "compiling",
    "put_word": "compiling",
    "word_of": "compiling",
    "bind_policy": "batch",
    "WorldEnv": "env",
    "WorldVectorEnv": "vector",
    "WorldSpec": "registry",
    "find_world": "registry",
    "register_world": "registry",
    "world_specs": "registry",
    "check_world": "conformance",
    "Replay": "replay",
    "Panel": "renderer",
    "to_array": "renderer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
