"""Settings of models that draw levels, apart from the models, whose libraries take long to load."""

from __future__ import annotations

from dataclasses import dataclass

from ...checking import above, at_least, within

MOST_CHANNELS = 1024
"""Of the generator's layers."""


@dataclass(frozen=True)
class MarkovConfig:
    """Settings of the Markov chain.

    Raises:
        ValueError: for a number out of its range.
    """

    order: int = 3
    """Columns before it that say what a column is, 1 to 8. Where they were never seen, fewer do."""

    def __post_init__(self) -> None:
        """Checks the field."""
        within(self, 1, 8, "order")


@dataclass(frozen=True)
class GanConfig:
    """Settings of the adversarial networks.

    Raises:
        ValueError: for a number out of its range.
    """

    steps: int = 1_000
    """Steps of the generator."""
    batch_size: int = 32
    """Windows of each step."""
    width: int = 32
    """Columns of a window, a multiple of 4."""
    channels: int = 32
    """Of the generator's layers; the critic's widest have twice as many."""
    learning_rate: float = 5e-4
    """Step size of Adam."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "steps")
        within(self, 1, MOST_CHANNELS, "channels")
        within(self, 2, 1024, "batch_size")
        within(self, 8, 512, "width")
        above(self, 0, "learning_rate")
        if self.width % 4:
            raise ValueError(f"width must be a multiple of 4; got {self.width}")
