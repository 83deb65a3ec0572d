"""Settings of stable-baselines3's algorithms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .networks import NetworkConfig
from .schedules import Schedule


@dataclass(frozen=True)
class SB3Config:
    """Settings that the three algorithms share, named as in stable-baselines3.

    Raises:
        ValueError: for a value out of its range.
    """

    net: NetworkConfig = field(default_factory=lambda: NetworkConfig(hidden=(64, 64)))
    """The network (`kind` is auto, mlp or cnn); stable-baselines3 adds its heads."""
    learning_rate: Schedule = Schedule(3e-4, 3e-4, 0)
    """Step size of the optimiser (Adam)."""
    gamma: float = 0.99
    """Discount factor, from 0 to 1."""
    max_grad_norm: float = 0.5
    """A gradient that is longer is shortened to this length."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.net.kind not in ("auto", "mlp", "cnn") or self.net.dueling:
            raise ValueError("networks of stable-baselines3's agents are auto, mlp or cnn, and not dueling")
        if not (0 < self.learning_rate.start <= 1 and 0 <= self.learning_rate.end <= 1):
            raise ValueError("learning_rate must lie in (0, 1]")
        if not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm must be above 0; got {self.max_grad_norm}")
        _check(self, 0.0, 1.0, "gamma")


@dataclass(frozen=True)
class ActorCriticConfig(SB3Config):
    """Settings that A2C and PPO share.

    Raises:
        ValueError: for a value out of its range.
    """

    shared_net: bool = False
    """One network with two heads, instead of one for the policy and one for the values."""
    n_steps: int = 5
    """Steps of each environment between two updates."""
    gae_lambda: float = 1.0
    """How far advantages look ahead before they trust the values (Schulman et al. 2016), from 0 to 1."""
    ent_coef: float = 0.0
    """Weight of the policy's entropy: more keeps it from settling early."""
    vf_coef: float = 0.5
    """Weight of the values' loss."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        _check(self, 1, np.inf, "n_steps")
        _check(self, 0.0, 1.0, "gae_lambda")
        _check(self, 0.0, np.inf, "ent_coef", "vf_coef")


@dataclass(frozen=True)
class A2CConfig(ActorCriticConfig):
    """Settings of A2C.

    Raises:
        ValueError: for a value out of its range.
    """

    learning_rate: Schedule = Schedule(7e-4, 7e-4, 0)
    """Step size of the optimiser (RMSprop)."""


@dataclass(frozen=True)
class PPOConfig(ActorCriticConfig):
    """Settings of PPO.

    Raises:
        ValueError: for a value out of its range.
    """

    n_steps: int = 128
    """Steps of each environment between two updates."""
    gae_lambda: float = 0.95
    """How far advantages look ahead before they trust the values (Schulman et al. 2016), from 0 to 1."""
    batch_size: int = 256
    """Transitions of a minibatch."""
    n_epochs: int = 4
    """Passes over the transitions in an update."""
    clip_range: float = 0.2
    """How far the probability of an action may move in an update, as a share."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        _check(self, 2, np.inf, "batch_size")  # advantages are normalised over it
        _check(self, 1, np.inf, "n_epochs")
        if not self.clip_range > 0:
            raise ValueError(f"clip_range must be above 0; got {self.clip_range}")


@dataclass(frozen=True)
class DQNConfig(SB3Config):
    """Settings of DQN.

    Raises:
        ValueError: for a value out of its range.
    """

    max_grad_norm: float = 10.0
    """A gradient that is longer is shortened to this length."""
    epsilon: Schedule = Schedule(1.0, 0.05, 100_000)
    """Share of steps that are taken at random while learning, in all environments at once."""
    buffer_size: int = 100_000
    """Transitions that the replay holds; each with two observations. It is not saved with a run."""
    learning_starts: int = 1_000
    """Transitions in the replay before learning begins; up to then all actions are random."""
    batch_size: int = 64
    """Transitions of each gradient step."""
    train_freq: int = 4
    """Steps of each environment between two updates."""
    gradient_steps: int = 1
    """Gradient steps of each update."""
    target_update_interval: int = 1_000
    """Transitions between two copies of the network to the target network."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        _check(self, 1, np.inf, "batch_size", "train_freq", "gradient_steps", "target_update_interval")
        _check(self, 0, np.inf, "learning_starts")
        if not all(0 <= end <= 1 for end in (self.epsilon.start, self.epsilon.end)):
            raise ValueError("epsilon must lie in [0, 1]")
        if max(self.batch_size, self.learning_starts) >= self.buffer_size:
            raise ValueError(
                f"batch_size and learning_starts must be below buffer_size = {self.buffer_size}; "
                f"got {self.batch_size} and {self.learning_starts}"
            )


def _check(config: Any, low: float, high: float, *names: str) -> None:
    for name in names:
        if not low <= getattr(config, name) <= high:
            bounds = f"at least {low}" if high == np.inf else f"in [{low:g}, {high:g}]"
            raise ValueError(f"{name} must be {bounds}; got {getattr(config, name)}")
