"""What deep Q-learners share: epsilon-greedy on a network of action values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...checking import one_of, within
from ..base import Decided, Expected, Memory, Transition
from ..ranges import Choices, Exploration
from ..schedules import Schedule
from .fitting import Aims
from .learner import DeepConfig, DeepLearner, DeepPolicy
from .networks import make_network
from .recurrent import Sequences
from .tensors import to_array


@dataclass(frozen=True)
class QConfig(DeepConfig):
    """Settings that deep Q-learners share.

    Raises:
        ValueError: for a value out of its range.
    """

    exploration: Exploration = Schedule(1.0, 0.05, 500_000)
    """Share of actions that are taken at random while learning."""
    loss: Annotated[Literal["huber", "mse"], Choices()] = "huber"
    """What is made small: the squared error, or one that grows straight beyond 1 (Huber 1964). The latter
    minds single large errors less, so it is steadier, but blind to dangers that are great and rare."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        within(self, 0.0, 1.0, "exploration.start", "exploration.end")
        one_of(self, "loss")


def mean_loss(errors: Tensor, loss: str, weight: Tensor | None = None) -> Tensor:
    """Mean loss of (B,) errors, in which rows of weight 0 are none.

    Args:
        errors: values less what they should be.
        loss: `huber` or `mse`.
        weight: (B,) of the rows; None: all the same.
    """
    measure = functional.huber_loss if loss == "huber" else functional.mse_loss
    losses = measure(errors, torch.zeros_like(errors), reduction="none")
    if weight is None:
        return losses.mean()
    return (weight * losses).sum() / (weight > 0).sum().clamp(min=1)


def masked(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, A) action values in which actions that the (B, A) bool mask forbids are the worst there are."""
    return values if mask is None else values.masked_fill(~mask, -torch.inf)


def max_value(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B,) highest values among the possible actions (0 where nothing is possible)."""
    best = masked(values, mask).amax(dim=1)
    return best if mask is None else torch.where(best == -torch.inf, 0.0, best)


class Seen(NamedTuple):
    """What a `QPolicy` that explores tells its learner (`Transition.extras`), not to be done again."""

    inputs: Tensor
    """(B, ...) what the network saw, on the device."""
    values: Tensor
    """(B, A) the values that it gave; recorded graphs overwrite them when the policy acts again."""
    state: Tensor | None = None
    """(B, state_size) what it remembers of that, if it does."""


class QPolicy(DeepPolicy):
    """Epsilon-greedy on a network of action values; greedy when not exploring.

    Args:
        first_action: number of the first action.
        epsilon: () float32 share of random actions when exploring; the learner moves it along its schedule.
        **settings: see `DeepPolicy`; the network maps (B, ...) observations to (B, A) values.
    """

    def __init__(self, *, first_action: int, epsilon: Tensor, **settings: Any) -> None:
        super().__init__(**settings)
        self.epsilon, self._first_action = epsilon, first_action

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B,) actions; see `Policy.act`. Exploring, it returns what it has `Seen` too."""
        choose = self._explore if explore else self._exploit
        inputs, (action, values), memory = self._decided(choose, obs, memory, mask)
        action = action.cpu().numpy() + self._first_action
        if not explore:
            return action, memory
        return action, memory, Seen(inputs, values, memory if self.state_size else None)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray[np.float64]:
        """The (B, A) values of all actions, as `act` would see them."""
        return self.see(obs, memory).values.cpu().numpy().astype(np.float64)

    @torch.no_grad()
    def see(self, obs: NDArray, memory: Memory = None) -> Seen:
        """What the network makes of (B, ...) observations."""
        inputs = self.to_device(self._stack(obs, memory)[0])
        return Seen(inputs, *self.step(inputs, self.state(memory, len(obs))))

    def told(self, outputs: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """See `DeepPolicy.told`: `values` are (B, A), as if all were possible."""
        return {"action": self._exploit(outputs, mask)[0] + self._first_action, "values": outputs}

    def _exploit(self, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return masked(values, mask).argmax(dim=1), values

    def _explore(self, values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        drawn = torch.rand(values.shape, device=self.device, generator=self.generator)
        random = torch.rand((len(values), 1), device=self.device, generator=self.generator) < self.epsilon
        return masked(torch.where(random, drawn, values), mask).argmax(dim=1), values


class QLearner(DeepLearner):
    """What deep Q-learners share.

    Attributes:
        network: (B, ...) observations to (B, A) action values.
        policy: acts on it.
    """

    policy: QPolicy
    schedules = ("learning_rate", "exploration")

    def _make_network(self, observation_space: Space, action_space: Space) -> nn.Module:
        if not isinstance(action_space, Discrete):
            raise ValueError("it needs Discrete actions")
        self.num_actions, self._first_action = int(action_space.n), int(action_space.start)
        return make_network(observation_space, self.num_actions, self.config.net, self.config.frame_stack)

    def _make_policy(self, **settings: Any) -> QPolicy:
        return QPolicy(first_action=self._first_action, epsilon=self._now["exploration"], **settings)

    def expected(self, batch: Transition) -> Expected:
        """The values of what was done, and the highest ones; see `Learner.expected`."""
        told = isinstance(batch.extras, Seen)
        values = (batch.extras if told else self.policy.see(batch.obs, batch.memory)).values
        mask = None if batch.mask is None else self.policy.to_device(np.asarray(batch.mask, np.bool_))
        action = self.policy.to_device(np.asarray(batch.action, np.int64) - self._first_action)
        found = torch.stack([values.gather(1, action[:, None])[:, 0], max_value(values, mask)])
        of_action, of_state = to_array(found).astype(np.float64)
        return Expected(of_action, self.config.gamma * of_state)

    def _aims(self, action: Tensor, target: Tensor, weight: Tensor | None = None) -> Aims:
        """What compiled functions need to know."""
        weight = torch.ones(len(action)) if weight is None else weight
        return Aims(action.numpy(), target.numpy(), weight.numpy(), self.config.loss == "huber")

    def _move(
        self,
        obs: Tensor,
        action: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        sequences: Sequences | None = None,
    ) -> Tensor:
        """One step of the optimiser: Q(S, A) towards targets; returns the (B,) errors before it."""
        compiled, optimizer = self.policy.compiled_for(obs), self._optimizer
        if compiled is None:
            errors = self.policy.unrolled(obs, sequences).gather(1, action[:, None]).squeeze(1) - target
            optimizer.descend(mean_loss(errors, self.config.loss, weight))
            return errors.detach()
        aims, order = self._aims(action, target, weight), np.arange(len(obs))
        errors = compiled.fit_values(optimizer.weights, obs, order, 1, aims, optimizer.state())
        return torch.from_numpy(errors)
