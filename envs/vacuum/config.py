"""What a user may set of a robot vacuum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..core import PoolConfig


@dataclass(frozen=True)
class VacuumConfig(PoolConfig):
    """Settings of a robot vacuum."""

    flat: str = "generated"
    """`generated`, `shipped` (all of the hand-made ones), the name of one, or the path of a flat's file."""
    actions: Literal["turns", "headings"] = "turns"
    """`turns`: forward, turn left, turn right; `headings`: up, right, down, left."""
    remembered: bool = True
    """Whether the robot has a map of what it has discovered; False: it sees what it senses now."""
