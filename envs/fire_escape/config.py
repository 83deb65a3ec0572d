"""What a user may set in a burning building."""

from dataclasses import dataclass
from typing import Literal

from ..core import check_fog, check_settings


@dataclass(frozen=True)
class FireEscapeConfig:
    """Settings of a burning building."""

    observation: Literal["grid", "index"] = "grid"
    """`grid`: what is around, as planes; `index`: the situation as one number, for tables."""
    fog: bool = False
    """See less of the same building: what lies behind smoke is hidden, and signs that have been read. It asks
    for memory, and for `grid`."""
    people: int = 12
    """How many others want to get out, 0 to 16."""
    spread: float = 0.3
    """Chance that a cell catches fire from a flame; it is rounded to 1/1024."""

    def __post_init__(self) -> None:
        """Checks the fields; raises ValueError."""
        check_settings(self, {"people": (0, 16), "spread": (0, 1)})
        check_fog(self)
