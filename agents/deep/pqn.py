"""PQN: deep Q-learning without replay and without a target network (Gallici et al. 2024, arXiv 2407.04811).

N environments take T steps each. The N * T transitions get lambda returns, and the network is fitted to
them in a few passes over minibatches; then they are forgotten. Normalised layers keep this stable. The
transitions are fresh and many, so nothing has to be stored, and more environments make it faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...checking import at_least, within
from ..base import State, Transition
from ..schedules import Schedule
from .learner import DeepConfig, DeepLearner, Seen, max_value
from .net_config import NetworkConfig
from .tensors import to_array


@dataclass(frozen=True)
class PQNConfig(DeepConfig):
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


class PQN(DeepLearner):
    """Q-learning with lambda returns on many environments at once."""

    name = "pqn"

    def __init__(self, observation_space: Any, *args: Any, **kwargs: Any) -> None:
        """See `DeepLearner`.

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
        self._filled = 0  # steps of this rollout so far
        self._buffers: dict[str, Tensor] = {}  # (T, N, ...), made when the first batch shows what it holds
        self._lasts: list[tuple[Tensor, ...]] = []  # places, frames and masks of true final observations

    def learn(self, batch: Transition) -> dict[str, float | Tensor]:
        """Takes one step of N environments; every T-th call fits the network. See `Learner.learn`.

        Returns:
            Epsilon; after fitting also the mean loss of the last minibatch and the mean target.
        """
        self._check_loss()
        self._keep(batch)
        self._filled += 1
        self._advance(self.num_envs)
        metrics: dict[str, float | Tensor] = {"epsilon": self.config.epsilon.value(self.steps)}
        if self._filled == self.config.rollout:
            metrics |= self._learn_rollout()
            self._filled = 0
        return metrics

    @torch.no_grad()
    def _keep(self, batch: Transition) -> None:
        """Puts a step into the rollout's buffers."""
        t, to_device = self._filled, self.policy.to_device
        told = isinstance(batch.extras, Seen)
        obs, values = batch.extras if told else self.policy.see(batch.obs, batch.memory)
        action, reward = self._rows(batch)
        step = {"obs": obs, "action": action, "reward": reward}
        step |= {name: to_device(getattr(batch, name)) for name in ("terminated", "truncated")}
        if batch.next_mask is not None:
            step["next_mask"] = to_device(np.asarray(batch.next_mask, np.bool_))
        if not self._buffers:
            self._allocate(step | {"next_value": reward})
        for name, rows in step.items():
            self._buffers[name][t] = rows
        if t > 0:  # these are the successors of the step before, but where an episode ended
            mask = self._buffers["next_mask"][t - 1] if "next_mask" in step else None
            self._buffers["next_value"][t - 1] = max_value(values, mask)
        last = t == self.config.rollout - 1
        rows = np.arange(self.num_envs) if last else np.flatnonzero(batch.truncated)
        if len(rows):
            frames = to_device(batch.next_obs[rows])
            chosen = to_device(rows)
            if self.config.frames > 1:
                frames = torch.cat([obs[chosen, 1:], frames[:, None]], dim=1)
            mask = (step["next_mask"][chosen],) if "next_mask" in step else ()
            self._lasts.append((t * self.num_envs + chosen, frames, *mask))

    def _allocate(self, step: Mapping[str, Tensor]) -> None:
        size = (self.config.rollout, self.num_envs)
        for name, rows in step.items():
            self._buffers[name] = torch.zeros((*size, *rows.shape[1:]), dtype=rows.dtype, device=self.device)

    def _learn_rollout(self) -> dict[str, float | Tensor]:
        """Fits the network to the lambda returns of the whole rollout."""
        config, buffers = self.config, self._buffers
        with torch.no_grad():
            place, frames, *mask = (torch.cat(parts) for parts in zip(*self._lasts, strict=True))
            values = max_value(self.policy.values(frames), *(mask or [None]))
            buffers["next_value"].view(-1)[place] = values
            targets = lambda_returns(
                *(buffers[name] for name in ("reward", "terminated", "truncated", "next_value")),
                gamma=config.gamma,
                trace_decay=config.trace_decay,
            )
        self._lasts.clear()
        data = [each.flatten(0, 1) for each in (buffers["obs"], buffers["action"], targets)]
        losses = []
        for _ in range(config.epochs):
            order = torch.randperm(len(data[0]), device=self.device, generator=self.generator)
            for rows in order.chunk(config.minibatches):
                losses.append(self._note(self._update(*(each[rows] for each in data))))
        return {"loss": torch.stack(losses).mean(), "target": targets.mean()}

    def _fit(self, obs: Tensor, action: Tensor, target: Tensor) -> Tensor:
        """One step of the optimiser: Q(S_t, A_t) towards G_t."""
        values = self.policy.values(obs).gather(1, action[:, None]).squeeze(1)
        measure = functional.huber_loss if self.config.loss == "huber" else functional.mse_loss
        loss = measure(values, target)
        self._descend(loss, obs=obs, action=action, target=target)
        return loss.detach()

    def state_dict(self) -> State:
        """As `DeepLearner`, and the unfinished rollout."""
        state = super().state_dict() | {"filled": self._filled}
        for name, each in self._buffers.items():
            state[f"rollout.{name}"] = to_array(each[: self._filled])
        if self._lasts:
            for number, parts in enumerate(zip(*self._lasts, strict=True)):
                state[f"lasts.{number}"] = to_array(torch.cat(parts))
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `DeepLearner`."""
        super().load_state_dict(state)
        filled = int(state["filled"])
        if not 0 <= filled < self.config.rollout:
            raise ValueError(f"{filled} steps of a rollout of {self.config.rollout}")
        rollout = {name[8:]: np.array(value) for name, value in state.items() if name.startswith("rollout.")}
        lasts = [np.array(state[f"lasts.{number}"]) for number in range(3) if f"lasts.{number}" in state]
        self._check_rollout(rollout, lasts, filled)
        self._filled, self._buffers = filled, {}
        if filled:
            steps = {name: self.policy.to_device(rows) for name, rows in rollout.items()}
            self._allocate({name: rows[0] for name, rows in steps.items()})
            for name, rows in steps.items():
                self._buffers[name][:filled] = rows
        self._lasts = [tuple(map(self.policy.to_device, lasts))] if lasts else []

    def _check_rollout(self, rollout: Mapping[str, NDArray], lasts: Sequence[NDArray], filled: int) -> None:
        """Refuses an unfinished rollout that is not one of this learner.

        Raises:
            ValueError: when a part is missing, of another shape, or out of range.
        """
        space, frames = self._observation_space, self.config.frames
        columns: dict[str, tuple[tuple[int, ...], Any]] = {
            "obs": ((frames,) * (frames > 1) + space.shape, space.dtype),
            "action": ((), np.int64),
            "reward": ((), np.float32),
            "terminated": ((), np.bool_),
            "truncated": ((), np.bool_),
            "next_value": ((), np.float32),
        }
        masked = ("next_mask",) if "next_mask" in rollout else ()
        columns |= dict.fromkeys(masked, ((self.num_actions,), np.bool_))

        def layouts(names: Sequence[str], *size: int) -> list[Any]:
            return [((*size, *columns[name][0]), columns[name][1]) for name in names]

        wanted = dict(zip(columns, layouts(list(columns), filled, self.num_envs), strict=True))
        found = {name: (rows.shape, rows.dtype) for name, rows in rollout.items()}
        fits = found == (wanted if rollout or filled else {})
        if lasts:
            count = lasts[0].size
            wanted = [((count,), np.int64), *layouts(["obs", *masked], count)]
            fits = fits and [(part.shape, part.dtype) for part in lasts] == wanted
        numbers = [(rollout.get("action", np.empty(0)), self.num_actions)]
        numbers += [(place, filled * self.num_envs) for place in lasts[:1]]
        if not fits or any(((each < 0) | (each >= end)).any() for each, end in numbers):
            raise ValueError("the unfinished rollout is damaged")
