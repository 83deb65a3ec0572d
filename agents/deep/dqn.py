"""DQN: Q-learning with a network, a replay of past transitions and a target network (Mnih et al. 2015).

    loss = L(Q(S, A) - (R + gamma * V(S')))

V(S') is the highest value that the *target* network, a slower copy, gives in S'. Four changes to this rule
can be switched on, each in one place: double (which network chooses the maximum), dueling (the network's
head), n-step returns and prioritized replay (what `Replay.sample` gives). Only a terminated episode has no
V(S'); actions that the mask forbids are neither taken nor part of the maximum.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...checking import above, at_least, one_of, within
from ..base import State, Transition
from ..ranges import Choices, Range
from ..schedules import Schedule
from .adam import flattened
from .priorities import PriorityConfig
from .replay import Replay, Sample, check_memory, replay_bytes
from .tensors import load_module, to_array
from .values import QConfig, QLearner, Seen, masked, max_value, mean_loss


@dataclass(frozen=True)
class DQNConfig(QConfig):
    """Settings of DQN.

    Raises:
        ValueError: for a value out of its range.
    """

    double: bool = True
    """The network chooses the best action of S', the target network values it (van Hasselt et al. 2016)."""
    n_step: Annotated[int, Range(1, 5)] = 1
    """Rewards that are seen before V is trusted (Sutton & Barto 7.1)."""
    prioritized: Annotated[bool, Choices()] = False
    """Draw transitions whose error was large more often (Schaul et al. 2016)."""
    priority_exponent: float = 0.6
    """Alpha of prioritized replay: 0 draws evenly, 1 in proportion to the error."""
    priority_correction: Schedule = Schedule(0.4, 1.0, 1_000_000)
    """Beta of prioritized replay: how far importance weights make up for the uneven draw."""
    buffer_size: int = 100_000
    """Transitions that the replay holds, all environments together."""
    buffer_checkpoint: Literal["none", "full"] = "none"
    """Whether checkpoints hold the replay. With `full` a resumed run goes on bit for bit; with `none`
    checkpoints are small, and a resumed run fills a new replay first."""
    learning_starts: int = 10_000
    """Transitions to collect before learning begins."""
    batch_size: Annotated[int, Choices(32, 64, 128, 256)] = 128
    """Transitions of each step of the optimiser."""
    replay_ratio: Annotated[float, Range(0.002, 0.25, log=True)] = 0.0625
    """Steps of the optimiser for each transition: more learn more from each, fewer are faster."""
    target_update_interval: Annotated[int, Range(250, 16_000, log=True)] = 4_000
    """Transitions between two moves of the target network."""
    tau: float = 1.0
    """How far it moves: 1 copies the network, less follows it slowly (Polyak averaging)."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        if self.net.memory != "none":
            raise ValueError("dqn has no memory, since its replay forgets what came before; ppo and pqn have")
        at_least(self, 1, "n_step", "buffer_size", "learning_starts", "batch_size", "target_update_interval")
        if self.batch_size > self.buffer_size:
            raise ValueError(f"batch_size {self.batch_size} is larger than buffer_size {self.buffer_size}")
        above(self, 0, "replay_ratio")
        within(self, 0.0, 1.0, "tau", left_open=True)
        within(self, 0.0, 1.0, "priority_exponent", "priority_correction.start", "priority_correction.end")
        one_of(self, "buffer_checkpoint")


def td_target(sample: Sample, target_values: Tensor, online_values: Tensor | None) -> Tensor:
    """What Q(S, A) should be: R + gamma^n V(S'), n steps on.

    Args:
        sample: B transitions; `reward` is the sum of n discounted rewards, `discount` is gamma^n, or 0 where
            the episode terminated.
        target_values: (B, A) values of S' by the target network.
        online_values: (B, A) the same by the network that learns, which then chooses the action (double
            Q-learning); None: the target network's own maximum.
    """
    if online_values is None:
        value = max_value(target_values, sample.next_mask)
    else:
        best = masked(online_values, sample.next_mask).argmax(dim=1, keepdim=True)
        value = target_values.gather(1, best)[:, 0]
        if sample.next_mask is not None:
            value = torch.where(sample.next_mask.any(dim=1), value, 0.0)
    return sample.reward + sample.discount * value


class DQN(QLearner):
    """Deep Q-network that learns from many environments at once.

    Attributes:
        target: the slower copy of the network.
    """

    name = "dqn"

    def __init__(self, observation_space: Any, *args: Any, **kwargs: Any) -> None:
        """See `QLearner`."""
        super().__init__(observation_space, *args, **kwargs)
        config = self.config
        self.target = copy.deepcopy(self.network)
        self._slow = flattened(self.target)  # its weights
        self.target.requires_grad_(False)
        self._replay: Replay | None = None  # made when the first batch shows whether there are masks
        self._observation_space = observation_space
        rest = {"prioritized": config.prioritized, **self._replay_settings(masked=True)}
        self._nbytes = replay_bytes(observation_space, self.num_actions, **rest)
        self.notes = [
            *self.notes,
            f"replay: {config.buffer_size:,} transitions, {self._nbytes / 2**20:,.0f} MiB "
            f"on {self.device.type}",
        ]
        self.exact = config.buffer_checkpoint == "full"
        self._learning_starts = min(max(config.learning_starts, config.batch_size), config.buffer_size)
        self._target_every = max(1, round(config.target_update_interval * config.replay_ratio))
        self._owed = 0.0  # steps of the optimiser that are due
        self._updates = 0

    def prepare(self) -> None:
        """Makes sure that there is room for the replay, which only who learns needs.

        Raises:
            ValueError: one line, when there is not.
        """
        check_memory(self._nbytes, self.config.buffer_size, self.device)
        super().prepare()

    def learn(self, batch: Transition) -> dict[str, float | Tensor]:
        """Keeps one step of N environments and takes the optimiser's steps that are due. See `Learner.learn`.

        Returns:
            Epsilon; after steps of the optimiser also the last one's mean loss and mean value.
        """
        self._check_loss()
        known = self.config.frame_stack == 1 and isinstance(batch.extras, Seen)
        replay = self._replay or self._make_replay(masked=batch.next_mask is not None)
        counted = batch._replace(action=np.asarray(batch.action, np.int64) - self._first_action)
        replay.add(counted, batch.extras.inputs if known else None)
        self._advance(batch.taken)
        metrics: dict[str, float | Tensor] = {"epsilon": self.config.exploration.value(self.steps)}
        if len(replay) < self._learning_starts:
            return metrics
        self._owed += batch.taken * self.config.replay_ratio
        while self._owed >= 1.0:
            self._owed -= 1.0
            loss, value = self._update()
            self._move_target()
            metrics |= {"loss": self._note(loss), "value": value.clone()}
        return metrics

    def _replay_settings(self, *, masked: bool) -> dict[str, Any]:
        return {
            "capacity": self.config.buffer_size,
            "num_envs": self.num_envs,
            "n_step": self.config.n_step,
            "frames": self.config.frame_stack,
            "masked": masked,
        }

    def _make_replay(self, *, masked: bool) -> Replay:
        config = self.config
        priorities = PriorityConfig(config.priority_exponent, config.priority_correction)
        self._replay = Replay(
            self._observation_space,
            self.num_actions,
            **self._replay_settings(masked=masked),
            gamma=config.gamma,
            prioritized=priorities if config.prioritized else None,
            device=self.device,
            generator=self.generator,
        )
        return self._replay

    def _fit(self) -> tuple[Tensor, Tensor]:
        """One step of the optimiser on transitions drawn from the replay."""
        config, replay = self.config, self._replay
        assert replay is not None
        sample = replay.sample(config.batch_size)
        with torch.no_grad():
            online = self.policy.forward(sample.next_obs) if config.double else None
            slow = self.policy.forward(sample.next_obs, (self.target, self._slow))
            target = td_target(sample, slow, online)
        errors = self._move(sample.obs, sample.action, target, sample.weight)
        self._last_batch = {name: each for name, each in sample._asdict().items() if each is not None}
        if config.prioritized:
            replay.prioritise(sample.slot, errors.abs())
        return mean_loss(errors, config.loss, sample.weight), (target + errors).mean()

    def _move_target(self) -> None:
        """Lets the target network follow, when it is time to."""
        self._updates += 1
        if self._updates % self._target_every:
            return
        with torch.no_grad():
            self._slow.lerp_(self._optimizer.flat, self.config.tau)
            for slow, fast in zip(self.target.buffers(), self.network.buffers(), strict=True):
                slow.copy_(fast)

    def state_dict(self) -> State:
        """As `QLearner`, the target network, and the replay if `buffer_checkpoint` is `full`."""
        state = super().state_dict() | {"updates": self._updates, "owed": self._owed}
        state |= {f"target.{name}": to_array(value) for name, value in self.target.state_dict().items()}
        if self.exact and self._replay is not None:
            state |= {f"replay.{name}": value for name, value in self._replay.state_dict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; without the replay, it waits until a new one is warm."""
        super().load_state_dict(state)
        load_module(self.target, state, "target.")
        replay = {name[7:]: value for name, value in state.items() if name.startswith("replay.")}
        if replay:
            self._make_replay(masked="mask" in replay).load_state_dict(replay)
            self._owed = float(state["owed"])
            if not 0.0 <= self._owed < 1.0:
                raise ValueError(f"{self._owed} steps of the optimiser are owed")
        self._updates = int(state["updates"])
