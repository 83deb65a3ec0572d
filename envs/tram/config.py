"""What a user may set in a tram that must choose."""

from __future__ import annotations

from dataclasses import dataclass

from ..core import PoolConfig


@dataclass(frozen=True)
class TramConfig(PoolConfig):
    """Settings of a tram."""

    scene: str = "generated"
    """`generated`, `shipped` (all of the hand-made ones), the name of one, or the path of a scene's file."""
