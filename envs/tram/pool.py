"""Which scenes are in play: hand-made ones, generated ones, or one from a file."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..core import Split, first_seed, read_text
from .generator import draw_scene
from .scene import Scene, SceneError, read_scene

SHIPPED = files(__name__.partition(".")[0]) / "assets" / "scenes"
MOST_BYTES = 8192  # of a scene's file; more is a mistake or an attack


def shipped_scenes() -> list[str]:
    """The names of the hand-made scenes, in order."""
    return sorted(path.name.removesuffix(".txt") for path in SHIPPED.iterdir() if path.name.endswith(".txt"))


def load_scenes(scene: str, split: Split, pool_size: int) -> list[Scene]:
    """Reads or draws the scenes of a pool.

    Args:
        scene: `generated`, `shipped`, the name of a hand-made scene, or the path of a scene's file.
        split: range of seeds of generated scenes.
        pool_size: how many are drawn.

    Raises:
        ValueError: one line, for an unknown scene or a faulty file.
    """
    if scene == "generated":
        first = first_seed(split)
        return [draw_scene(seed) for seed in range(first, first + pool_size)]
    names = shipped_scenes()
    if scene in ("shipped", *names):
        return [_read(SHIPPED / f"{name}.txt", name) for name in (names if scene == "shipped" else [scene])]
    path = Path(scene)
    if path.exists() or path.name != scene or scene.endswith(".txt"):
        return [_read(path, scene)]
    raise ValueError(
        f"there is no scene {scene!r}; there are generated, shipped, {', '.join(names)}, and files"
    )


def _read(source: Traversable, name: str) -> Scene:
    return read_scene(read_text(source, name, MOST_BYTES, "a scene", SceneError), name)
