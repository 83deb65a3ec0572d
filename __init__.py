"""meze: small worlds to learn in, and every classic way of learning to set on them.

Importing it registers the worlds with gymnasium and loads nothing heavy: the public names, which stand in
`__init__.pyi`, are loaded when they are first used.
"""

from pathlib import Path

import lazy_loader

from .envs.core.registry import register_world

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

_PRESETS = Path(__file__).parent / "assets" / "presets"

register_world(
    id="meze/City-v0",
    name="city",
    world=f"{__name__}.envs.city.world:City",
    config=f"{__name__}.envs.city.config:CityConfig",
    max_episode_steps=512,
    presets=_PRESETS / "city.toml",
    summary="Drive through a city with traffic, signals, pedestrians and ambulances.",
)

register_world(
    id="meze/Platformer-v0",
    name="platformer",
    world=f"{__name__}.envs.platformer.world:Platformer",
    config=f"{__name__}.envs.platformer.config:PlatformerConfig",
    max_episode_steps=1024,
    presets=_PRESETS / "platformer.toml",
    summary="Run, jump and stomp through levels to the flag.",
)

register_world(
    id="meze/Kiosk-v0",
    name="kiosk",
    world=f"{__name__}.envs.kiosk.world:Kiosk",
    config=f"{__name__}.envs.kiosk.config:KioskConfig",
    max_episode_steps=1024,  # the most kiosks that there can be: each step places one
    presets=_PRESETS / "kiosk.toml",
    summary="Place kebab kiosks so that a city of hungry people has a short walk.",
)

register_world(
    id="meze/Tram-v0",
    name="tram",
    world=f"{__name__}.envs.tram.world:Tram",
    config=f"{__name__}.envs.tram.config:TramConfig",
    max_episode_steps=64,
    presets=_PRESETS / "tram.toml",
    summary="Drive a tram to the end of the line, and choose whom that harms.",
)

register_world(
    id="meze/Maze-v0",
    name="maze",
    world=f"{__name__}.envs.maze.world:MazeWorld",
    config=f"{__name__}.envs.maze.config:MazeConfig",
    max_episode_steps=512,
    presets=_PRESETS / "maze.toml",
    summary="Eat all pellets of a maze before its ghosts catch you, or turn the hunt round.",
)

register_world(
    id="meze/Vacuum-v0",
    name="vacuum",
    world=f"{__name__}.envs.vacuum.world:Vacuum",
    config=f"{__name__}.envs.vacuum.config:VacuumConfig",
    max_episode_steps=512,
    presets=_PRESETS / "vacuum.toml",
    summary="Clean a flat that you have never seen, and be back at the dock before the battery is flat.",
)

register_world(
    id="meze/FireEscape-v0",
    name="fire-escape",
    world=f"{__name__}.envs.fire_escape.world:FireEscape",
    config=f"{__name__}.envs.fire_escape.config:FireEscapeConfig",
    max_episode_steps=128,
    presets=_PRESETS / "fire-escape.toml",
    summary="Find the way out of a burning building before fire and smoke do their worst.",
)
