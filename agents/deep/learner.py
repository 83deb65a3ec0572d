"""What deep learners share: network, policy, optimiser, recorded CUDA graphs, save and restore."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium.spaces import Space
from numpy.typing import NDArray
from torch import Tensor, nn

from ...checking import above, at_least, one_of, within
from ..base import Learner, Memory, NonFiniteLossError, Policy, State, fitting
from ..checks import check_algorithm
from ..schedules import Schedule
from .adam import FlatAdam
from .graphs import Recorded
from .net_config import NetworkConfig
from .networks import load_usual, saved_usual
from .perceptron import Perceptron
from .tensors import find_device, load_module, to_array, to_device

Precision = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class DeepConfig:
    """Settings that all deep learners share.

    Raises:
        ValueError: for a value out of its range.
    """

    net: NetworkConfig = field(default_factory=NetworkConfig)
    """The network."""
    learning_rate: Schedule = Schedule(1e-3, 1e-3, 0)
    """Step size of the optimiser (Adam; Kingma & Ba 2015)."""
    gamma: float = 0.99
    """Discount factor, from 0 to 1."""
    max_grad_norm: float = 10.0
    """A gradient that is longer is shortened to this length."""
    frame_stack: int = 1
    """Observations that the network sees at once: the newest and those before it."""
    precision: Precision = "float32"
    """Arithmetic of the network: `tf32` is faster on CUDA, `bfloat16` on CUDA and on some CPUs."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        above(self, 0, "learning_rate.start", "max_grad_norm")
        at_least(self, 0, "learning_rate.end")
        within(self, 0.0, 1.0, "gamma")
        at_least(self, 1, "frame_stack")
        one_of(self, "precision")


class DeepPolicy(Policy):
    """A policy on a network.

    Args:
        network: takes (B, ...) observations.
        device: where it computes.
        generator: of the device, for exploring.
        frames: observations that the network sees at once; its memory holds all but the newest.
        precision: arithmetic of the network.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        device: torch.device,
        generator: torch.Generator,
        frames: int,
        precision: Precision,
    ) -> None:
        self.network, self.device, self.generator = network, device, generator
        self._frames, self._precision = frames, precision
        self._recorded: dict[Any, Recorded] = {}
        self.compiled: Perceptron | None = None

    def forward(self, obs: Tensor, other: tuple[nn.Module, Tensor] | None = None) -> Tensor:
        """The float32 output of the network for observations on the device, in the precision set.

        Args:
            obs: (B, ...) observations.
            other: another network of this form, and all of its weights.
        """
        network, weights = other or (self.network, None)
        compiled = None if torch.is_grad_enabled() else self.compiled_for(obs)
        if compiled is not None:
            return compiled.outputs(obs, weights)
        if self._precision != "bfloat16":
            return network(obs)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            return network(obs).float()

    def compiled_for(self, obs: Tensor) -> Perceptron | None:
        """The network's compiled twin, if it has one that takes such observations."""
        return self.compiled if self.compiled is not None and self.compiled.fits(obs) else None

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

    def _decided(
        self, decide: Callable[..., Any], obs: NDArray, memory: Memory, mask: NDArray | None
    ) -> tuple[Tensor, Any, Memory]:
        """What the network sees of (B, ...) observations, what is decided on that, what to remember."""
        frames, memory = self._stack(obs, memory)
        inputs = [self.to_device(frames)]
        if mask is not None:
            inputs.append(self.to_device(np.asarray(mask, np.bool_)))
        with torch.no_grad():
            return inputs[0], self._run(decide, inputs), memory

    def _run(self, function: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
        """One recorded graph for each shape of a batch."""
        key = function.__name__, *(given.shape for given in inputs)
        if key not in self._recorded:
            self._recorded[key] = Recorded(function, self.device, self.generator)
        return self._recorded[key](*inputs)


class DeepLearner(Learner):
    """What deep learners share: network, optimiser, policy, schedules, save and restore.

    Attributes:
        network: takes (B, ...) observations.
        policy: acts on it.
        steps: transitions learned from.
    """

    name: ClassVar[str]
    schedules: ClassVar[tuple[str, ...]] = ("learning_rate",)
    """Settings that change as it learns; `_now` holds a () tensor of each."""

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
        self.config, self.num_envs, self.device = config, num_envs, find_device(device)
        self.steps = 0
        weights_seed, draws_seed = rng.integers(2**62, size=2).tolist()
        with fitting(self.name, observation_space, action_space), torch.random.fork_rng(devices=[]):
            torch.manual_seed(weights_seed)
            network = self._make_network(observation_space, action_space)
        self.network = network.to(self.device)
        self.generator = torch.Generator(self.device)
        self.generator.manual_seed(draws_seed)
        # torch has one setting for all that a process computes.
        torch.set_float32_matmul_precision("high" if config.precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = config.precision == "tf32"
        self._now = {name: torch.ones((), device=self.device) for name in self.schedules}
        self.policy = self._make_policy(
            network=self.network,
            device=self.device,
            generator=self.generator,
            frames=config.frame_stack,
            precision=config.precision,
        )
        self._on_cuda = self.device.type == "cuda"
        self._optimizer = FlatAdam(self.network, self._now["learning_rate"], config.max_grad_norm)
        if not self._on_cuda and config.precision != "bfloat16":
            self.policy.compiled = self._compile()
        self._update = Recorded(self._fit, self.device, self.generator)
        self._last_batch: dict[str, Tensor] = {}  # to be shown when its loss is no number
        self._last_loss = torch.zeros((), pin_memory=self._on_cuda)  # on the host
        self._advance(0)
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        self.notes = [f"network: {type(network).__name__} with {weights:,} weights, on {self.device.type}"]

    @abstractmethod
    def _make_network(self, observation_space: Space, action_space: Space) -> nn.Module:
        """The network for one environment's spaces; a ValueError says why none fits."""

    def _compile(self) -> Perceptron | None:
        """The network's compiled twin, if it has one."""
        return Perceptron.of([self.network], self._optimizer)

    @abstractmethod
    def _make_policy(self, **settings: Any) -> DeepPolicy:
        """The policy with the settings of `DeepPolicy`."""

    @abstractmethod
    def _fit(self, *args: Tensor) -> Any:
        """One step of the optimiser, which `_update` records."""

    def _advance(self, steps: int) -> None:
        """Counts transitions and moves the schedules on."""
        self.steps += steps
        for name, now in self._now.items():
            now.fill_(getattr(self.config, name).value(self.steps))
        self._now["learning_rate"].clamp_(min=1e-12)

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
