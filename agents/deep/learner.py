"""What deep Q-learners share: the network's policy, its optimiser, recorded CUDA graphs, save and restore."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray
from torch import Tensor, nn

from ...checking import above, at_least, one_of, within
from ..base import Decided, Learner, Memory, NonFiniteLossError, Policy, State, fitting
from ..checks import check_algorithm
from ..schedules import Schedule
from .adam import FlatAdam
from .graphs import Recorded
from .net_config import NetworkConfig
from .networks import load_usual, make_network, saved_usual
from .tensors import find_device, load_module, to_array, to_device

Precision = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class DeepConfig:
    """Settings that all deep Q-learners share.

    Raises:
        ValueError: for a value out of its range.
    """

    net: NetworkConfig = field(default_factory=NetworkConfig)
    """The network of action values."""
    learning_rate: Schedule = Schedule(1e-3, 1e-3, 0)
    """Step size of the optimiser (Adam; Kingma & Ba 2015)."""
    epsilon: Schedule = Schedule(1.0, 0.05, 500_000)
    """Share of actions that are taken at random while learning."""
    gamma: float = 0.99
    """Discount factor, from 0 to 1."""
    loss: Literal["huber", "mse"] = "huber"
    """What is made small: the squared error, or one that grows straight beyond 1 (Huber 1964). The latter
    minds single large errors less, so it is steadier, but blind to dangers that are great and rare."""
    max_grad_norm: float = 10.0
    """A gradient that is longer is shortened to this length."""
    frames: int = 1
    """Observations that the network sees at once: the newest and those before it."""
    precision: Precision = "float32"
    """Arithmetic of the network: `tf32` is faster on CUDA, `bfloat16` on CUDA and on some CPUs."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        above(self, 0, "learning_rate.start", "max_grad_norm")
        at_least(self, 0, "learning_rate.end")
        within(self, 0.0, 1.0, "epsilon.start", "epsilon.end", "gamma")
        at_least(self, 1, "frames")
        one_of(self, "loss", "precision")


def masked(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, A) action values in which actions that the (B, A) bool mask forbids are the worst there are."""
    return values if mask is None else values.masked_fill(~mask, -torch.inf)


def max_value(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B,) highest values among the possible actions (0 where nothing is possible)."""
    best = masked(values, mask).amax(dim=1)
    return best if mask is None else torch.where(best == -torch.inf, 0.0, best)


class Seen(NamedTuple):
    """What a `DeepPolicy` that explores tells its learner (`Transition.extras`), not to be done again."""

    inputs: Tensor
    """(B, ...) what the network saw, on the device."""
    values: Tensor
    """(B, A) the values that it gave; recorded graphs overwrite them when the policy acts again."""


class DeepPolicy(Policy):
    """Epsilon-greedy on a network of action values; greedy when not exploring.

    Args:
        network: (B, ...) observations to (B, A) values.
        device: where it computes.
        generator: of the device, for exploring.
        frames: observations that the network sees at once; its memory holds all but the newest.
        first_action: number of the first action.

    Attributes:
        epsilon: () float32 share of random actions when exploring; the learner moves it along its schedule.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        generator: torch.Generator,
        *,
        frames: int,
        first_action: int,
        precision: Precision,
    ) -> None:
        self.network, self.device, self.generator = network, device, generator
        self.epsilon = torch.zeros((), device=device)
        self._frames, self._first_action, self._precision = frames, first_action, precision
        self._recorded: dict[Any, Recorded] = {}

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B,) actions; see `Policy.act`. Exploring, it returns what it has `Seen` too."""
        frames, memory = self._stack(obs, memory)
        inputs = [self.to_device(frames)]
        if mask is not None:
            inputs.append(self.to_device(np.asarray(mask, np.bool_)))
        with torch.no_grad():
            action, values = self._run(self._explore if explore else self._exploit, inputs)
        action = action.cpu().numpy() + self._first_action
        return (action, memory, Seen(inputs[0], values)) if explore else (action, memory)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray[np.float64]:
        """The (B, A) values of all actions, as `act` would see them."""
        return self.see(obs, memory).values.cpu().numpy().astype(np.float64)

    @torch.no_grad()
    def see(self, obs: NDArray, memory: Memory = None) -> Seen:
        """What the network makes of (B, ...) observations."""
        inputs = self.to_device(self._stack(obs, memory)[0])
        return Seen(inputs, self.values(inputs))

    def values(self, obs: Tensor, network: nn.Module | None = None) -> Tensor:
        """The (B, A) float32 values of observations on the device, in the precision set.

        Args:
            obs: (B, ...) observations.
            network: another one than the policy's.
        """
        network = network or self.network
        if self._precision != "bfloat16":
            return network(obs)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            return network(obs).float()

    def to_device(self, array: NDArray) -> Tensor:
        """An array on the policy's device; see `to_device`."""
        return to_device(array, self.device)

    def _stack(self, obs: NDArray, memory: Memory) -> tuple[NDArray, Memory]:
        """(B, frames, ...) newest last, and what to remember of them."""
        if self._frames == 1:
            return obs, memory
        if memory is None:
            memory = np.zeros((len(obs), self._frames - 1, *obs.shape[1:]), obs.dtype)
        frames = np.concatenate([memory, obs[:, None]], axis=1)
        return frames, frames[:, 1:]

    def _run(self, function: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
        """One recorded graph for each shape of a batch."""
        key = function.__name__, *(given.shape for given in inputs)
        if key not in self._recorded:
            self._recorded[key] = Recorded(function, self.device, self.generator)
        return self._recorded[key](*inputs)

    def _exploit(self, obs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        values = self.values(obs)
        return masked(values, mask).argmax(dim=1), values

    def _explore(self, obs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        values = self.values(obs)
        drawn = torch.rand(values.shape, device=self.device, generator=self.generator)
        random = torch.rand((len(values), 1), device=self.device, generator=self.generator) < self.epsilon
        return masked(torch.where(random, drawn, values), mask).argmax(dim=1), values


class DeepLearner(Learner):
    """What deep Q-learners share: network, optimiser, policy, schedules, save and restore.

    Attributes:
        network: (B, ...) observations to (B, A) action values.
        policy: acts on it.
        steps: transitions learned from.
    """

    name: ClassVar[str]

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: Any,
        rng: np.random.Generator,
        device: str = "cpu",
    ) -> None:
        """Builds the network for one environment's spaces.

        Raises:
            ValueError: one line, for a space that no network fits, or a device that is not there.
        """
        with fitting(self.name, observation_space, action_space):
            if not isinstance(action_space, Discrete):
                raise ValueError("it needs Discrete actions")
        self.config, self.num_envs, self.device = config, num_envs, find_device(device)
        self.num_actions, self._first_action = int(action_space.n), int(action_space.start)
        self.steps = 0
        weights_seed, draws_seed = rng.integers(2**62, size=2).tolist()
        with fitting(self.name, observation_space, action_space), torch.random.fork_rng(devices=[]):
            torch.manual_seed(weights_seed)
            network = make_network(observation_space, self.num_actions, config.net, config.frames)
        self.network = network.to(self.device)
        self.generator = torch.Generator(self.device)
        self.generator.manual_seed(draws_seed)
        # torch has one setting for all that a process computes.
        torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = config.precision == "tf32"
        self.policy = DeepPolicy(
            self.network,
            self.device,
            self.generator,
            frames=config.frames,
            first_action=self._first_action,
            precision=config.precision,
        )
        self._on_cuda = self.device.type == "cuda"
        self._learning_rate = torch.tensor(config.learning_rate.start, device=self.device)
        self._optimizer = FlatAdam(self.network, self._learning_rate, config.max_grad_norm)
        self._update = Recorded(self._fit, self.device, self.generator)
        self._last_batch: dict[str, Tensor] = {}
        self._last_loss = torch.zeros((), pin_memory=self._on_cuda)  # on the host
        self._advance(0)
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        self.notes = [f"network: {type(network).__name__} with {weights:,} weights, on {self.device.type}"]

    @abstractmethod
    def _fit(self, *args: Tensor) -> Any:
        """One step of the optimiser, which `_update` records."""

    def _advance(self, steps: int) -> None:
        """Counts transitions and moves the schedules on."""
        self.steps += steps
        self.policy.epsilon.fill_(self.config.epsilon.value(self.steps))
        self._learning_rate.fill_(max(self.config.learning_rate.value(self.steps), 1e-12))

    def _descend(self, loss: Tensor, **batch: Tensor | None) -> None:
        """One step of the optimiser down the gradient of a loss that was computed from a batch."""
        self._optimizer.descend(loss)
        self._last_batch = {name: each for name, each in batch.items() if each is not None}

    def _note(self, loss: Tensor) -> Tensor:
        """Sends a loss on its way to the host, where `_check_loss` finds it later; returns a copy of it."""
        self._last_loss.copy_(loss, non_blocking=True)
        return loss.clone()  # the next update may overwrite it

    def _check_loss(self) -> None:
        """Stops when the last loss was no number; does not wait for one that is still on its way.

        Raises:
            NonFiniteLossError: with the batch.
        """
        if math.isfinite(self._last_loss):
            return
        batch = {name: each.detach().float().cpu().numpy() for name, each in self._last_batch.items()}
        later = " (CUDA was ahead: the batch is that of the newest update)" if self._on_cuda else ""
        raise NonFiniteLossError(
            f"the loss is {float(self._last_loss)} after {self.steps:,} transitions; a lower "
            f"--agent.learning-rate.start may help{later}",
            batch,
        )

    def state_dict(self) -> State:
        """Weights, the optimiser's moments, the random generator's state and the number of transitions.

        Raises:
            NonFiniteLossError: when the weights come from a loss that was no number.
        """
        if self._on_cuda:
            torch.cuda.synchronize()
        self._check_loss()
        state: State = {
            "algorithm": self.name,
            "steps": self.steps,
            "generator": to_array(self.generator.get_state()),
        }
        for name, tensor in self.network.state_dict().items():
            state[f"network.{name}"] = to_array(tensor)
        return state | saved_usual(self.network, "usual.") | self._optimizer.state_dict("optimizer")

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """Takes back of what `state_dict` gave only what acting needs; a network of sites may have others.

        Raises:
            ValueError: when the state is another algorithm's, or of another network.
        """
        check_algorithm(state, self.name)
        load_module(self.network, state, "network.")
        load_usual(self.network, state, "usual.")
        if int(state["steps"]) < 0:
            raise ValueError(f"{state['steps']} steps")
        self.steps = 0
        self._advance(int(state["steps"]))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of another network.
        """
        self.load_policy(state)
        self._update = Recorded(self._fit, self.device, self.generator)  # a graph would use what was before
        self._optimizer.load_state_dict(state, "optimizer")
        if self._goes_on(state):
            try:
                self.generator.set_state(torch.from_numpy(np.array(state["generator"], np.uint8)))
            except RuntimeError as error:
                raise ValueError(f"the random generator's state is damaged ({error})") from None
        self._last_loss.zero_()

    def _goes_on(self, state: Mapping[str, Any]) -> bool:
        """Whether the random generator is of the same kind; another device's has another state."""
        return np.shape(state["generator"]) == tuple(self.generator.get_state().shape)
