"""Which mazes are in play: hand-made ones, generated ones, or one from a file."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from ..core import first_seed, read_text
from .config import MazeConfig
from .generator import draw_maze
from .plan import Maze, MazeError, read_maze

SHIPPED = files(__name__.partition(".")[0]) / "assets" / "mazes"
MOST_BYTES = 4096  # of a maze's file; more is a mistake or an attack


def shipped_mazes() -> list[str]:
    """The names of the hand-made mazes, in order."""
    return sorted(path.name.removesuffix(".txt") for path in SHIPPED.iterdir() if path.name.endswith(".txt"))


def load_mazes(config: MazeConfig) -> list[Maze]:
    """Reads or draws the mazes of a pool.

    Raises:
        ValueError: one line, for an unknown maze or a faulty file.
    """
    maze, names = config.maze, shipped_mazes()
    if maze == "generated":
        first = first_seed(config.split)
        return [
            draw_maze(seed, config.width, config.height) for seed in range(first, first + config.pool_size)
        ]
    if maze in ("shipped", *names):
        return [_read(SHIPPED / f"{name}.txt", name) for name in (names if maze == "shipped" else [maze])]
    path = Path(maze)
    if path.exists() or path.name != maze or maze.endswith(".txt"):
        return [_read(path, maze)]
    raise ValueError(
        f"there is no maze {maze!r}; there are generated, shipped, {', '.join(names)}, and files"
    )


def _read(source: Traversable, name: str) -> Maze:
    return read_maze(read_text(source, name, MOST_BYTES, "a maze", MazeError), name)
