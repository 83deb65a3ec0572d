"""What a user may set in a maze."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..core import PoolConfig
from .state import GHOSTS, HEIGHT, SMALLEST, WIDTH


@dataclass(frozen=True)
class MazeConfig(PoolConfig):
    """Settings of a maze."""

    maze: str = "generated"
    """`generated`, `shipped` (all of the hand-made ones), the name of one, or the path of a maze's file."""
    width: int = 19
    """Cells that a generated maze is wide; odd."""
    height: int = 15
    """Cells that a generated maze is high; odd."""
    difficulty: float = 0.5
    """From 0, with slow ghosts that fear long, to 1."""
    ghosts: int = 4
    """How many ghosts there are: the chaser, who cuts off, who circles, the wanderer."""
    ranges: ClassVar = {
        "width": (SMALLEST, WIDTH),
        "height": (SMALLEST, HEIGHT),
        "difficulty": (0, 1),
        "ghosts": (0, GHOSTS),
    }

    def __post_init__(self) -> None:
        """Checks the fields; raises ValueError."""
        super().__post_init__()
        for name in ("width", "height"):
            size = getattr(self, name)
            if size % 2 == 0:
                raise ValueError(
                    f"no maze of {name} {size} is symmetric, since walls lie between ways: it must be odd"
                )
