"""meze: small worlds to learn in, and every classic way of learning to set on them.

Importing it registers the worlds with gymnasium and loads nothing heavy.
"""

from pathlib import Path
from typing import Any

from .envs.core.registry import register_world
from .version import __version__ as __version__

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
    id="meze/FireEscape-v0",
    name="fire-escape",
    world=f"{__name__}.envs.fire_escape.world:FireEscape",
    config=f"{__name__}.envs.fire_escape.config:FireEscapeConfig",
    max_episode_steps=128,
    presets=_PRESETS / "fire-escape.toml",
    summary="Find the way out of a burning building before fire and smoke do their worst.",
)


def load(
    run: str | Path,
    env_id: str | None = None,
    *,
    network: str | None = None,
    num_envs: int = 1,
    checkpoint: str = "best",
    render_mode: str | None = None,
) -> tuple[Any, Any]:
    """Loads a trained policy and its environment, for a notebook.

    Args:
        run: the run's folder.
        env_id: `package.module:Id`, needed where the environment lies in another package.
        network: `package.module:Class`, needed where the network does.
        num_envs: environments of the batch.
        checkpoint: `best` by the evaluations during training, `newest`, or the step after which it was
            written.
        render_mode: `rgb_array`, if the environment is to be drawn.

    Returns:
        The policy, which explores only if told to, and the vector environment it was trained on.

    Raises:
        ValueError: one line, when the run can't be used.
    """
    from .runners.run import folder

    chosen = {"checkpoint": checkpoint, "render_mode": render_mode}
    return folder.load(run, env_id, network=network, num_envs=num_envs, **chosen)  # type: ignore[arg-type]
