"""The library's replays, which remember what was drawn last: it is told when learning goes wrong."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer


class LastDrawn(ReplayBuffer):
    """A replay of single steps.

    Attributes:
        drawn: the last sample.
    """

    drawn: Any = None

    def sample(self, batch_size: int, env: Any = None) -> Any:
        """Draws transitions; see `ReplayBuffer`."""
        self.drawn = super().sample(batch_size, env)
        return self.drawn


class LastDrawnNStep(LastDrawn, NStepReplayBuffer):
    """A replay that adds up the rewards of several steps."""
