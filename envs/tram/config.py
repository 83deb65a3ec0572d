"""What a user may set in a tram that must choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core import Split, check_settings, first_seed


@dataclass(frozen=True)
class TramConfig:
    """Settings of a tram."""

    scene: str = "generated"
    """`generated`, `shipped` (all of the hand-made ones), the name of one, or the path of a scene's file."""
    split: Split = "train"
    """Seeds of generated scenes: `train`, `test`, or the first seed as a number."""
    pool_size: int = 64
    """Number of generated scenes."""
    observation: Literal["grid", "index"] = "grid"
    """`grid`: the line ahead, as planes; `index`: scene and state as one number, for tables."""

    def __post_init__(self) -> None:
        """Checks the fields; raises ValueError."""
        check_settings(self, {"pool_size": (1, 1024)})
        first_seed(self.split)  # which checks it
