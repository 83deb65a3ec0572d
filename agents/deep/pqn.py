"""PQN: deep Q-learning without replay and without a target network (Gallici et al. 2024, arXiv 2407.04811).

N environments take T steps each. The N * T transitions get lambda returns, and the network is fitted to
them in a few passes over minibatches; then they are forgotten. Normalised layers keep this stable. The
transitions are fresh and many, so nothing has to be stored, and more environments make it faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...checking import at_least, within
from ..base import State, Transition
from ..schedules import Schedule
from .net_config import NetworkConfig
from .trajectories import Trajectories
from .values import QConfig, QLearner, Seen, max_value


@dataclass(frozen=True)
class PQNConfig(QConfig):
    """Settings of PQN.

    Raises:
        ValueError: for a value out of its range.
    """

    net: NetworkConfig = field(default_factory=lambda: NetworkConfig(layer_norm=True))
    """The network of action values; its layers are normalised."""
    learning_rate: Schedule = Schedule(5e-4, 5e-5, 1_000_000)
    """Step size of the optimiser (Adam; Kingma & Ba 2015)."""
    loss: Literal["huber", "mse"] = "mse"
    """What is made small: the squared error, or one that grows straight beyond 1 (Huber 1964)."""
    trace_decay: float = 0.65
    """Lambda, from 0 to 1: how far returns look ahead before they trust the network."""
    rollout: int = 32
    """T: steps of each environment between two updates."""
    minibatches: int = 16
    """Parts into which these transitions are shuffled; each is one step of the optimiser."""
    epochs: int = 1
    """Passes over them."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        within(self, 0.0, 1.0, "trace_decay")
        at_least(self, 1, "rollout", "minibatches", "epochs")


def lambda_returns(
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    next_value: Tensor,
    gamma: float,
    trace_decay: float,
) -> Tensor:
    """Targets of T steps of N environments, from the last to the first (Gallici et al. 2024, equation 7).

        G_t = R_t + gamma * ((1 - lambda) V(S_t+1) + lambda G_t+1)

    An episode that terminated has no future; one that was truncated, and the last step, have V(S_t+1) alone.

    Args:
        reward: (T, N) rewards.
        terminated: (T, N) bool.
        truncated: (T, N) bool.
        next_value: (T, N) max_a Q(S_t+1, a) in the true successors.
        gamma: discount factor.
        trace_decay: lambda.

    Returns:
        (T, N) targets.
    """
    targets = torch.empty_like(reward)
    following = next_value[-1]
    for t in range(len(reward) - 1, -1, -1):
        future = torch.where(truncated[t], next_value[t], torch.lerp(next_value[t], following, trace_decay))
        following = reward[t] + gamma * torch.where(terminated[t], 0.0, future)
        targets[t] = following
    return targets


class PQN(QLearner):
    """Q-learning with lambda returns on many environments at once."""

    name = "pqn"

    def __init__(self, observation_space: Any, *args: Any, **kwargs: Any) -> None:
        """See `QLearner`.

        Raises:
            ValueError: when the transitions can't be shared out evenly to the minibatches.
        """
        super().__init__(observation_space, *args, **kwargs)
        self._observation_space = observation_space
        size = self.config.rollout * self.num_envs
        if size % self.config.minibatches:
            raise ValueError(
                f"minibatches must divide rollout * num_envs = {size}; got {self.config.minibatches}"
            )
        self._trajectories = Trajectories(self.config.rollout, self.num_envs, self.device, self.config.frames)

    def learn(self, batch: Transition) -> dict[str, float | Tensor]:
        """Takes one step of N environments; every T-th call fits the network. See `Learner.learn`.

        Returns:
            Epsilon; after fitting also the mean loss of the last minibatch and the mean target.
        """
        self._check_loss()
        told = isinstance(batch.extras, Seen)
        inputs, values = batch.extras if told else self.policy.see(batch.obs, batch.memory)
        mask = None if batch.mask is None else self.policy.to_device(np.asarray(batch.mask, np.bool_))
        action = self.policy.to_device(np.asarray(batch.action, np.int64) - self._first_action)
        self._trajectories.add(batch, inputs, max_value(values, mask), action=action)
        self._advance(self.num_envs)
        metrics: dict[str, float | Tensor] = {"epsilon": self.config.epsilon.value(self.steps)}
        return metrics | self._learn_rollout() if self._trajectories.full else metrics

    def _learn_rollout(self) -> dict[str, float | Tensor]:
        """Fits the network to the lambda returns of the whole rollout."""
        config = self.config
        rollout = self._trajectories.finish(lambda obs, mask: max_value(self.policy.forward(obs), mask))
        targets = lambda_returns(
            *(rollout[name] for name in ("reward", "terminated", "truncated", "next_value")),
            gamma=config.gamma,
            trace_decay=config.trace_decay,
        )
        data = [each.flatten(0, 1) for each in (rollout["obs"], rollout["action"], targets)]
        losses = []
        for _ in range(config.epochs):
            order = torch.randperm(len(data[0]), device=self.device, generator=self.generator)
            for rows in order.chunk(config.minibatches):
                losses.append(self._note(self._update(*(each.index_select(0, rows) for each in data))))
        return {"loss": torch.stack(losses).mean(), "target": targets.mean()}

    def _fit(self, obs: Tensor, action: Tensor, target: Tensor) -> Tensor:
        """One step of the optimiser: Q(S_t, A_t) towards G_t."""
        values = self.policy.forward(obs).gather(1, action[:, None]).squeeze(1)
        measure = functional.huber_loss if self.config.loss == "huber" else functional.mse_loss
        loss = measure(values, target)
        self._descend(loss, obs=obs, action=action, target=target)
        return loss.detach()

    def state_dict(self) -> State:
        """As `QLearner`, and the unfinished rollout."""
        return super().state_dict() | self._trajectories.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `QLearner`."""
        super().load_state_dict(state)
        space, frames = self._observation_space, self.config.frames
        seen = (frames,) * (frames > 1) + space.shape, space.dtype
        self._trajectories.load_state_dict(state, {"obs": seen, "action": ((), np.int64)}, self.num_actions)
        action = np.asarray(state.get("rollout.action", 0))
        if ((action < 0) | (action >= self.num_actions)).any():
            raise ValueError("the unfinished rollout is damaged")
