"""What a user may set in a maze."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core import Split, check_settings, first_seed
from .state import GHOSTS, HEIGHT, SMALLEST, WIDTH


@dataclass(frozen=True)
class MazeConfig:
    """Settings of a maze."""

    maze: str = "generated"
    """`generated`, `shipped` (all of the hand-made ones), the name of one, or the path of a maze's file."""
    split: Split = "train"
    """Seeds of generated mazes: `train`, `test`, or the first seed as a number."""
    pool_size: int = 64
    """Number of generated mazes."""
    width: int = 19
    """Cells that a generated maze is wide; odd."""
    height: int = 15
    """Cells that a generated maze is high; odd."""
    difficulty: float = 0.5
    """From 0, with slow ghosts that fear long, to 1."""
    ghosts: int = 4
    """How many ghosts there are: the chaser, who cuts off, who circles, the wanderer."""
    observation: Literal["grid", "index"] = "grid"
    """`grid`: what is around, as planes; `index`: the situation as one number, for tables."""

    def __post_init__(self) -> None:
        """Checks the fields; raises ValueError."""
        sizes = {"width": (SMALLEST, WIDTH), "height": (SMALLEST, HEIGHT)}
        check_settings(self, {"pool_size": (1, 1024), "difficulty": (0, 1), "ghosts": (0, GHOSTS)} | sizes)
        first_seed(self.split)  # which checks it
        for name in ("width", "height"):
            size = getattr(self, name)
            if size % 2 == 0:
                raise ValueError(
                    f"no maze of {name} {size} is symmetric, since walls lie between ways: it must be odd"
                )
