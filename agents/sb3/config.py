"""Settings of stable-baselines3's algorithms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from ...checking import above, at_least, within
from ..deep.net_config import NetworkConfig
from ..ranges import Choices, Discount, Exploration, GradientLength, Parts, Range, StepSize
from ..schedules import Schedule


@dataclass(frozen=True)
class SB3Config:
    """Settings that all algorithms share, named as in stable-baselines3.

    Raises:
        ValueError: for a value out of its range.
    """

    memory: ClassVar[str] = "none"
    """The only `net.memory` that the algorithm has."""

    net: NetworkConfig = field(default_factory=lambda: NetworkConfig(hidden=(64, 64)))
    """The network (`kind` is auto, mlp or cnn); stable-baselines3 adds its heads."""
    learning_rate: StepSize = Schedule(3e-4, 3e-4, 0)
    """Step size of the optimiser (Adam)."""
    gamma: Discount = 0.99
    """Discount factor, from 0 to 1."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.net.kind not in ("auto", "mlp", "cnn") or self.net.dueling:
            raise ValueError("networks of stable-baselines3's agents are auto, mlp or cnn, and not dueling")
        if self.net.memory != self.memory:
            raise ValueError(
                "net.memory is none for stable-baselines3's agents, lstm for sb3-recurrent-ppo; "
                f"got {self.net.memory}"
            )
        within(self, 0.0, 1.0, "learning_rate.start", left_open=True)
        within(self, 0.0, 1.0, "learning_rate.end", "gamma")


@dataclass(frozen=True)
class ActorCriticConfig(SB3Config):
    """Settings that A2C and PPO share.

    Raises:
        ValueError: for a value out of its range.
    """

    max_grad_norm: GradientLength = 0.5
    """A gradient that is longer is shortened to this length."""
    shared_net: bool = False
    """One network with two heads, instead of one for the policy and one for the values."""
    num_steps: Annotated[int, Choices(5, 8, 16, 32, 64, 128)] = 5
    """Steps of each environment between two updates."""
    gae_lambda: Annotated[float, Range(0.8, 1.0)] = 1.0
    """How far advantages look ahead before they trust the values (Schulman et al. 2016), from 0 to 1."""
    ent_coef: Annotated[Schedule, Parts(start=Range(1e-4, 0.1, log=True), end=Range(0.0, 0.1))] = Schedule(
        0.0, 0.0, 0
    )
    """Weight of the policy's entropy: more keeps it from settling early."""
    vf_coef: Annotated[float, Range(0.25, 1.0)] = 0.5
    """Weight of the values' loss."""
    normalize_rewards: Annotated[bool, Choices()] = False
    """Divide rewards by the deviation of the discounted return so far (`VecNormalize`)."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        above(self, 0, "max_grad_norm")
        at_least(self, 1, "num_steps")
        within(self, 0.0, 1.0, "gae_lambda")
        at_least(self, 0, "ent_coef.start", "ent_coef.end", "vf_coef")


@dataclass(frozen=True)
class A2CConfig(ActorCriticConfig):
    """Settings of A2C.

    Raises:
        ValueError: for a value out of its range.
    """

    learning_rate: StepSize = Schedule(7e-4, 7e-4, 0)
    """Step size of the optimiser (RMSprop)."""


@dataclass(frozen=True)
class PPOConfig(ActorCriticConfig):
    """Settings of PPO.

    Raises:
        ValueError: for a value out of its range.
    """

    num_steps: Annotated[int, Choices(5, 8, 16, 32, 64, 128)] = 128
    """Steps of each environment between two updates."""
    gae_lambda: Annotated[float, Range(0.8, 1.0)] = 0.95
    """How far advantages look ahead before they trust the values (Schulman et al. 2016), from 0 to 1."""
    num_minibatches: Annotated[int, Choices(4, 8, 16, 32)] = 32
    """Parts that the transitions of an update are shared out to."""
    update_epochs: Annotated[int, Range(1, 8)] = 4
    """Passes over the transitions in an update."""
    clip_range: Annotated[float, Range(0.1, 0.4)] = 0.2
    """How far the probability of an action may move in an update, as a share."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "num_minibatches", "update_epochs")
        above(self, 0, "clip_range")


@dataclass(frozen=True)
class RecurrentPPOConfig(PPOConfig):
    """Settings of PPO with a memory.

    Raises:
        ValueError: for a value out of its range.
    """

    memory = "lstm"

    net: NetworkConfig = field(default_factory=lambda: NetworkConfig(hidden=(64, 64), memory="lstm"))
    """The network (`kind` is auto, mlp or cnn); long short-term memory follows, with as many units as the
    last layer, and the heads."""
    shared_net: bool = False
    """One network before two memories, instead of one for the policy and one for the values."""
    num_minibatches: Annotated[int, Choices(4, 8, 16, 32)] = 4
    """Parts that the transitions of an update are shared out to; each is a few streams' sequences."""


@dataclass(frozen=True)
class ReplayConfig(SB3Config):
    """Settings that algorithms with a replay share.

    Raises:
        ValueError: for a value out of its range.
    """

    buffer_size: int = 100_000
    """Transitions that the replay holds; each with two observations. It is not saved with a run."""
    learning_starts: int = 1_000
    """Transitions in the replay before learning begins; up to then all actions are random."""
    batch_size: Annotated[int, Choices(32, 64, 128, 256)] = 64
    """Transitions of each gradient step."""
    train_freq: Annotated[int, Choices(1, 4, 16)] = 4
    """Steps of each environment between two updates."""
    gradient_steps: int = 1
    """Gradient steps of each update; -1: as many as transitions since the last one."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "batch_size", "train_freq")
        at_least(self, 0, "learning_starts")
        if self.gradient_steps < 1 and self.gradient_steps != -1:
            raise ValueError(f"gradient_steps must be at least 1, or -1; got {self.gradient_steps}")
        if max(self.batch_size, self.learning_starts) >= self.buffer_size:
            raise ValueError(
                f"batch_size and learning_starts must be below buffer_size = {self.buffer_size}; "
                f"got {self.batch_size} and {self.learning_starts}"
            )

    @property
    def most_envs(self) -> int:
        """Environments, at most: as many as the replay holds beside those before learning begins."""
        return self.buffer_size - self.learning_starts


@dataclass(frozen=True)
class DQNConfig(ReplayConfig):
    """Settings of DQN.

    Raises:
        ValueError: for a value out of its range.
    """

    max_grad_norm: GradientLength = 10.0
    """A gradient that is longer is shortened to this length."""
    exploration: Exploration = Schedule(1.0, 0.05, 100_000)
    """Share of steps that are taken at random while learning, in all environments at once."""
    n_step: Annotated[int, Range(1, 5)] = 1
    """Rewards that are seen before the target network is trusted (Sutton & Barto 7.1)."""
    target_update_interval: Annotated[int, Range(250, 16_000, log=True)] = 1_000
    """Transitions between two moves of the target network."""
    tau: float = 1.0
    """How far it moves: 1 copies the network, less follows it slowly."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "n_step", "target_update_interval")
        within(self, 0.0, 1.0, "tau", left_open=True)
        above(self, 0, "max_grad_norm")
        within(self, 0.0, 1.0, "exploration.start", "exploration.end")

    @property
    def most_envs(self) -> int:
        """Environments, at most: no step may pass an update of the target network either."""
        return min(self.target_update_interval, super().most_envs)


@dataclass(frozen=True)
class BoxConfig(ReplayConfig):
    """Settings that SAC and TD3 share.

    Raises:
        ValueError: for a value out of its range.
    """

    net: NetworkConfig = field(default_factory=lambda: NetworkConfig(hidden=(256, 256)))
    """The networks of the actor and of each critic (`kind` is auto, mlp or cnn, without layer_norm)."""
    batch_size: Annotated[int, Choices(32, 64, 128, 256)] = 256
    """Transitions of each gradient step."""
    train_freq: Annotated[int, Choices(1, 4, 16)] = 1
    """Steps of each environment between two updates."""
    gradient_steps: int = -1
    """Gradient steps of each update; -1: as many as transitions since the last one."""
    tau: Annotated[float, Range(0.001, 0.05, log=True)] = 0.005
    """Share by which the target networks come nearer with each gradient step."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        if self.net.layer_norm:
            raise ValueError("networks of sb3-sac and sb3-td3 have no layer_norm")
        within(self, 0.0, 1.0, "tau", left_open=True)


@dataclass(frozen=True)
class SACConfig(BoxConfig):
    """Settings of SAC.

    Raises:
        ValueError: for a value out of its range.
    """

    ent_coef: float | None = None
    """Weight of the policy's entropy; by default it is learned."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 0, "ent_coef")


@dataclass(frozen=True)
class TD3Config(BoxConfig):
    """Settings of TD3.

    Raises:
        ValueError: for a value out of its range.
    """

    learning_rate: StepSize = Schedule(1e-3, 1e-3, 0)
    """Step size of the optimiser (Adam)."""
    action_noise: Annotated[float, Range(0.03, 0.5, log=True)] = 0.1
    """Standard deviation of what is added to actions while learning; they run from -1 to 1."""
    policy_delay: int = 2
    """Updates of the critics for each of the actor."""
    target_policy_noise: float = 0.2
    """Standard deviation of what is added to the actions by which critics are updated."""
    target_noise_clip: float = 0.5
    """The largest size of that."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "policy_delay")
        at_least(self, 0, "action_noise", "target_policy_noise", "target_noise_clip")
