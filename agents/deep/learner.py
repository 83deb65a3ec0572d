"""What deep learners share: network, policy, optimiser, recorded CUDA graphs, save and restore."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium.spaces import Space
from numpy.typing import NDArray
from torch import Tensor, nn

from ...checking import above, at_least, one_of, within
from ..base import Learner, Memory, NonFiniteLossError, Policy, State, Transition, fitting
from ..checks import check_algorithm
from ..ranges import Discount, GradientLength, StepSize
from ..schedules import Schedule
from .adam import FlatAdam
from .graphs import Recorded
from .net_config import NetworkConfig
from .networks import load_usual, saved_usual
from .perceptron import Perceptron
from .recurrent import Sequences
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
    learning_rate: StepSize = Schedule(1e-3, 1e-3, 0)
    """Step size of the optimiser (Adam; Kingma & Ba 2015)."""
    gamma: Discount = 0.99
    """Discount factor, from 0 to 1."""
    max_grad_norm: GradientLength = 10.0
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
        if self.frame_stack > 1 and self.net.memory != "none":
            raise ValueError("the past is seen (frame_stack) or remembered (net.memory), not both")


class DeepPolicy(Policy):
    """A policy on a network.

    Args:
        network: takes (B, ...) observations.
        device: where it computes.
        generator: of the device, for exploring.
        frames: observations that the network sees at once; its memory holds all but the newest.
        precision: arithmetic of the network.

    Attributes:
        network: takes (B, ...) observations.
        frames: observations that it sees at once.
        state_size: numbers that the network remembers; then the memory is a tensor of (B, state_size).
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
        self.frames, self._precision = frames, precision
        self._recorded: dict[Any, Recorded] = {}
        self.compiled: Perceptron | None = None
        self.state_size: int = getattr(network, "state_size", 0)

    def forward(self, obs: Tensor, other: tuple[nn.Module, Tensor] | None = None) -> Tensor:
        """The float32 output of a network without a state for observations on the device.

        Args:
            obs: (B, ...) observations.
            other: another network of this form, and all of its weights.
        """
        network, weights = other or (self.network, None)
        compiled = None if torch.is_grad_enabled() else self.compiled_for(obs)
        if compiled is not None:
            return compiled.outputs(obs, weights)
        with self._arithmetic():
            return network(obs).float()

    def step(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """As `forward`, with the (B, state_size) state before, if there is one; returns the next one too."""
        if state is None:
            return self.forward(obs), None
        compiled = self.compiled_for(obs)
        if compiled is not None:
            return compiled.step(obs, state)
        with self._arithmetic():
            outputs, after = self.network(obs, state)
            return outputs.float(), after.float()

    def unrolled(self, obs: Tensor, sequences: Sequences | None) -> Tensor:
        """As `forward`, for rows that hang together; see `Sequences`."""
        if sequences is None:
            return self.forward(obs)
        with self._arithmetic():
            return self.network.unroll(obs, sequences).float()  # type: ignore[operator]

    def _arithmetic(self) -> AbstractContextManager:
        """The precision that was set."""
        if self._precision != "bfloat16":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False)

    def state(self, memory: Memory, rows: int) -> Tensor | None:
        """What the network remembers in so many rows, with (B, state_size) zeros at first."""
        if not self.state_size:
            return None
        return torch.zeros(rows, self.state_size, device=self.device) if memory is None else memory

    def compiled_for(self, obs: Tensor) -> Perceptron | None:
        """The network's compiled twin, if it has one that takes such observations."""
        return self.compiled if self.compiled is not None and self.compiled.fits(obs) else None

    def remembered(self, batch: Transition) -> dict[str, Tensor]:
        """The column `state` of N transitions, if it remembers.

        Raises:
            ValueError: for transitions of another policy, whose memory it does not have.
        """
        if not self.state_size:
            return {}
        if batch.extras is None:
            raise ValueError("with net.memory it learns from what its own policy does alone")
        state = self.state(batch.memory, len(batch.obs))
        assert state is not None
        return {"state": state}

    @abstractmethod
    def told(self, outputs: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """What it does and why, for who has nothing but its network; see `portable`.

        Args:
            outputs: (B, ...) of the network.
            mask: (B, A) bool, what is possible; None: everything.

        Returns:
            `action` as the environment takes it, and what else its network says of (B, ...) observations.
        """

    def to_device(self, array: NDArray) -> Tensor:
        """An array on the policy's device; see `to_device`."""
        return to_device(array, self.device)

    def _stack(self, obs: NDArray, memory: Memory) -> tuple[NDArray, Memory]:
        """(B, frames, ...) newest last, and what to remember of them."""
        if self.frames == 1:
            return obs, memory
        if memory is None:
            memory = np.zeros((len(obs), self.frames - 1, *obs.shape[1:]), obs.dtype)
        frames = np.concatenate([memory, obs[:, None]], axis=1)
        return frames, frames[:, 1:]

    def _decided(
        self, choose: Callable[..., Any], obs: NDArray, memory: Memory, mask: NDArray | None
    ) -> tuple[Tensor, Any, Memory]:
        """Has actions chosen.

        Args:
            choose: by the network's (B, A) outputs and a (B, ...) mask or None.
            obs: (B, ...) observations.
            memory: what is remembered.
            mask: what is possible.

        Returns:
            What the network saw, what was chosen, and what to remember.
        """
        frames, memory = self._stack(obs, memory)
        seen, state = self.to_device(frames), self.state(memory, len(obs))
        possible = None if mask is None else self.to_device(np.asarray(mask, np.bool_))
        inputs = {"obs": seen, "state": state, "mask": possible}
        given = {name: each for name, each in inputs.items() if each is not None}
        with torch.no_grad():
            chosen, state = self._run(choose, given)
        return seen, chosen, memory if state is None else state.clone()

    def _run(self, choose: Callable[..., Any], inputs: dict[str, Tensor]) -> tuple[Any, Tensor | None]:
        """One recorded graph for each shape of a batch."""
        names = tuple(inputs)
        key = choose.__name__, names, *(given.shape for given in inputs.values())

        def decide(*given: Tensor) -> tuple[Any, Tensor | None]:
            known = dict(zip(names, given, strict=True))
            outputs, state = self.step(known["obs"], known.get("state"))
            return choose(outputs, known.get("mask")), state

        if key not in self._recorded:
            self._recorded[key] = Recorded(decide, self.device, self.generator)
        return self._recorded[key](*inputs.values())


class DeepLearner(Learner):
    """What deep learners share: network, optimiser, policy, schedules, save and restore.

    Attributes:
        network: takes (B, ...) observations.
        policy: acts on it.
        steps: transitions learned from.
    """

    name: ClassVar[str]
    discounts_each = True
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

    def prepare(self) -> None:
        """Makes the optimiser, which only who learns needs."""
        self._optimizer.prepare()

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
