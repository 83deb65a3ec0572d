"""A value that changes as training goes on: step sizes, exploration rates."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Goes in a straight line from `start` to `end`, then stays; equal ends, or no steps, make a constant.

    Raises:
        ValueError: for a value that is not finite, or a negative number of steps.
    """

    start: float
    """Value before the first transition."""
    end: float
    """Value from transition `steps` on."""
    steps: int
    """Transitions (of all environments together) from `start` to `end`."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"a schedule goes between finite values; got {self.start} to {self.end}")
        if self.steps < 0:
            raise ValueError(f"a schedule takes 0 steps or more; got {self.steps}")

    @property
    def constant(self) -> bool:
        """Whether its value is the same from the first transition on."""
        return self.start == self.end or self.steps == 0

    def value(self, step: int) -> float:
        """The value once `step` transitions have been seen."""
        if step >= self.steps:
            return self.end
        return self.start + (self.end - self.start) * (step / self.steps)
