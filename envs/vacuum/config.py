"""What a user may set of a robot vacuum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core import Split, check_settings, first_seed


@dataclass(frozen=True)
class VacuumConfig:
    """Settings of a robot vacuum."""

    flat: str = "generated"
    """`generated`, `shipped` (all of the hand-made ones), the name of one, or the path of a flat's file."""
    split: Split = "train"
    """Seeds of generated flats: `train`, `test`, or the first seed as a number."""
    pool_size: int = 64
    """Number of generated flats."""
    observation: Literal["grid", "index"] = "grid"
    """`grid`: what is around, as planes; `index`: the situation as one number, for tables."""
    actions: Literal["turns", "headings"] = "turns"
    """`turns`: forward, turn left, turn right; `headings`: up, right, down, left."""
    remembered: bool = True
    """Whether the robot has a map of what it has discovered; False: it sees what it senses now."""

    def __post_init__(self) -> None:
        """Checks the fields; raises ValueError."""
        check_settings(self, {"pool_size": (1, 1024)})
        first_seed(self.split)  # which checks it
