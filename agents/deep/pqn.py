"""PQN: deep Q-learning without replay and without a target network (Gallici et al. 2024, arXiv 2407.04811).

N environments take T steps each. The N * T transitions get lambda returns, and the network is fitted to
them in a few passes over minibatches; then they are forgotten. Normalised layers keep this stable. The
transitions are fresh and many, so nothing has to be stored, and more environments make it faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...checking import at_least, within
from ...threads import Threads
from ..base import State, Transition
from ..ranges import Choices, Range, StepSize
from ..schedules import Schedule
from .net_config import NetworkConfig
from .recurrent import Sequences, of_rows
from .trajectories import Trajectories
from .values import QConfig, QLearner, Seen, max_value, mean_loss


@dataclass(frozen=True)
class PQNConfig(QConfig):
    """Settings of PQN.

    Raises:
        ValueError: for a value out of its range.
    """

    net: NetworkConfig = field(default_factory=lambda: NetworkConfig(layer_norm=True))
    """The network of action values; its layers are normalised."""
    learning_rate: StepSize = Schedule(5e-4, 5e-5, 1_000_000)
    """Step size of the optimiser (Adam; Kingma & Ba 2015)."""
    loss: Annotated[Literal["huber", "mse"], Choices()] = "mse"
    """What is made small: the squared error, or one that grows straight beyond 1 (Huber 1964)."""
    q_lambda: Annotated[float, Range(0.0, 0.95)] = 0.65
    """Lambda, from 0 to 1: how far returns look ahead before they trust the network."""
    num_steps: Annotated[int, Choices(8, 16, 32, 64)] = 32
    """T: steps of each environment between two updates."""
    num_minibatches: Annotated[int, Choices(4, 8, 16, 32)] = 16
    """Parts into which these transitions are shuffled; each is one step of the optimiser."""
    update_epochs: Annotated[int, Range(1, 4)] = 1
    """Passes over them."""
    overlap: bool = False
    """Fit fully connected networks on a CPU on a second thread, while the environments go on with the weights
    before: what a rollout teaches is known one rollout later."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        within(self, 0.0, 1.0, "q_lambda")
        at_least(self, 1, "num_steps", "num_minibatches", "update_epochs")


def lambda_returns(
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    next_value: Tensor,
    gamma: float | Tensor,
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
        gamma: discount factor, or (T, N) float64 discounts.
        trace_decay: lambda.

    Returns:
        (T, N) targets.
    """
    targets = torch.empty_like(reward)
    discount = torch.as_tensor(gamma, dtype=reward.dtype, device=reward.device).expand_as(reward)
    following = next_value[-1]
    for t in range(len(reward) - 1, -1, -1):
        future = torch.where(truncated[t], next_value[t], torch.lerp(next_value[t], following, trace_decay))
        following = reward[t] + discount[t] * torch.where(terminated[t], 0.0, future)
        targets[t] = following
    return targets


class Ahead(NamedTuple):
    """What is fitted meanwhile."""

    weights: NDArray[np.float32]
    errors: Future[NDArray[np.float32]]
    batch: dict[str, Tensor]
    """What it is fitted to; empty when it comes from a file."""


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
        config = self.config
        self._trajectories = Trajectories(
            *(config.num_steps, self.num_envs, self.device),
            frames=config.frame_stack,
            sets=2 if config.overlap else 1,
            state_size=self.policy.state_size,
        )
        self._trajectories.check(config.num_minibatches)
        self._thread = Threads(1)
        self._ahead: Ahead | None = None

    def learn(self, batch: Transition) -> dict[str, float | Tensor]:
        """Takes one step of N environments; every T-th call fits the network. See `Learner.learn`.

        Returns:
            Epsilon; after fitting also the mean loss of the last minibatch and the mean target.
        """
        self._check_loss()
        told = isinstance(batch.extras, Seen)
        inputs, values, after = batch.extras if told else self.policy.see(batch.obs, batch.memory)
        mask = None if batch.mask is None else self.policy.to_device(np.asarray(batch.mask, np.bool_))
        columns = {"action": self.policy.to_device(np.asarray(batch.action, np.int64) - self._first_action)}
        columns |= self.policy.remembered(batch)
        self._trajectories.add(batch, inputs, max_value(values, mask), after, **columns)
        self._advance(batch.taken)
        metrics: dict[str, float | Tensor] = {"epsilon": self.config.exploration.value(self.steps)}
        return metrics | self._learn_rollout() if self._trajectories.full else metrics

    def _learn_rollout(self) -> dict[str, float | Tensor]:
        """Fits the network to the lambda returns of the whole rollout."""
        config = self.config
        rollout = self._trajectories.finish(
            lambda obs, state, mask: max_value(self.policy.step(obs, state)[0], mask)
        )
        targets = lambda_returns(
            *(rollout[name] for name in ("reward", "terminated", "truncated", "next_value")),
            gamma=self._trajectories.discounts(rollout, config.gamma),
            trace_decay=config.q_lambda,
        )
        data = [each.flatten(0, 1) for each in (rollout["obs"], rollout["action"], targets)]
        metrics: dict[str, float | Tensor] = {"target": targets.mean()}
        sequences = self._trajectories.sequences(rollout)
        parts = self._trajectories.minibatches(config.update_epochs, config.num_minibatches, self.generator)
        compiled = self.policy.compiled_for(data[0])
        if compiled is None:
            return metrics | {"loss": self._fit_by_torch(data, parts, sequences)}
        metrics |= self._take_over()
        obs, action, target = data
        batch = {"obs": obs, "action": action, "target": target}
        aims, order = self._aims(action, target), torch.cat(parts).numpy()
        arguments = obs, order, len(parts), aims, self._optimizer.state(), sequences
        if config.overlap:
            weights = self._optimizer.weights.copy()
            self._ahead = Ahead(weights, self._thread.submit(compiled.fit_values, weights, *arguments), batch)
            return metrics
        self._last_batch = batch
        return metrics | self._told(compiled.fit_values(self._optimizer.weights, *arguments))

    def _told(self, errors: NDArray[np.float32]) -> dict[str, float | Tensor]:
        """The mean loss of a rollout's errors."""
        return {"loss": self._note(mean_loss(torch.from_numpy(errors), self.config.loss))}

    def _take_over(self) -> dict[str, float | Tensor]:
        """Takes the weights that were fitted meanwhile; returns their mean loss."""
        if self._ahead is None:
            return {}
        (weights, errors, self._last_batch), self._ahead = self._ahead, None
        told = self._told(errors.result())
        self._check_loss()
        self._optimizer.flat.copy_(torch.from_numpy(weights))
        return told

    def _fit_by_torch(
        self, data: Sequence[Tensor], parts: Sequence[Tensor], sequences: Sequences | None
    ) -> Tensor:
        """Fits the network to a rollout; returns the mean loss."""
        losses = []
        for rows in parts:
            chosen = (each.index_select(0, rows) for each in data)
            losses.append(self._note(self._update(*chosen, *of_rows(sequences, rows))))
        return torch.stack(losses).mean()

    def _fit(self, obs: Tensor, action: Tensor, target: Tensor, *sequences: Tensor) -> Tensor:
        """One step of the optimiser: Q(S_t, A_t) towards G_t."""
        errors = self._move(obs, action, target, sequences=Sequences(*sequences) if sequences else None)
        self._last_batch = {"obs": obs, "action": action, "target": target}
        return mean_loss(errors, self.config.loss)

    def state_dict(self) -> State:
        """As `QLearner`, the unfinished rollout, and the weights that were fitted meanwhile."""
        ahead: State = {}
        if self._ahead is not None:
            errors = self._ahead.errors.result()
            self._told(errors)  # to be checked
            ahead = {"ahead.errors": errors, "ahead.weights": self._ahead.weights.copy()}
        return super().state_dict() | self._trajectories.state_dict() | ahead

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `QLearner`."""
        if self._ahead is not None:
            self._ahead.errors.result()  # it writes to the optimiser's moments
            self._ahead = None
        super().load_state_dict(state)
        space, frames = self._observation_space, self.config.frame_stack
        seen = (frames,) * (frames > 1) + space.shape, space.dtype
        self._trajectories.load_state_dict(state, {"obs": seen, "action": ((), np.int64)}, self.num_actions)
        action = np.asarray(state.get("rollout.action", 0))
        if ((action < 0) | (action >= self.num_actions)).any():
            raise ValueError("the unfinished rollout is damaged")
        if "ahead.weights" in state:
            self._load_ahead(*(np.array(state[f"ahead.{name}"]) for name in ("weights", "errors")))

    def _load_ahead(self, weights: NDArray, errors: NDArray) -> None:
        found = weights.shape, weights.dtype, errors.ndim, errors.dtype
        if found != (tuple(self._optimizer.flat.shape), np.float32, 1, np.float32):
            raise ValueError("the weights that were fitted meanwhile are damaged")
        fitted: Future = Future()
        fitted.set_result(errors)
        self._ahead = Ahead(weights, fitted, {})
        if self.policy.compiled is None:  # here nothing is fitted meanwhile
            self._take_over()
