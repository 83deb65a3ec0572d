"""meze: small worlds to learn in, and every classic way of learning to set on them.

Importing it registers the worlds with gymnasium and loads nothing heavy.
"""

from pathlib import Path
from typing import Any

from .envs.core.registry import register_world

__version__ = "0.1.0"

register_world(
    id="meze/City-v0",
    name="city",
    world=f"{__name__}.envs.city.world:City",
    config=f"{__name__}.envs.city.config:CityConfig",
    max_episode_steps=512,
    summary="Drive through a city with traffic, signals, pedestrians and ambulances.",
)


def load(run: str | Path, env_id: str | None = None, *, num_envs: int = 1) -> tuple[Any, Any]:
    """Loads a trained policy and its environment, for a notebook.

    Args:
        run: the run's folder.
        env_id: `package.module:Id`, needed where the environment lies in another package.
        num_envs: environments of the batch.

    Returns:
        The policy as of the newest checkpoint, and the vector environment it was trained on.

    Raises:
        ValueError: one line, when the run can't be used.
    """
    from .runners import rundir

    return rundir.load(run, env_id, num_envs=num_envs)
