"""Policies as one graph each, for programs that have nothing of meze: from what is seen to what is done.

A graph takes `obs`, (B, ...) as the environment gives it; of a policy that remembers `memory`, all zeros
where an episode begins; where there are masks `mask`, (B, A) bool. It gives `action`, what else the policy
tells, and `next_memory`. Scales, stacked frames and running means are inside. Its arithmetic is that of
float32; of tables that of float64.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..base import Policy
from ..tabular import TabularPolicy
from .learner import DeepPolicy
from .networks import Torso
from .normalising import LARGEST, TINY, RunningNorm
from .values import masked


class Portable(nn.Module, ABC):
    """What a policy does.

    Args:
        is_masked: whether it takes masks.
        blank: (1, ...) what it remembers where an episode begins; None: it remembers nothing.

    Attributes:
        inputs: what it takes, in order.
        outputs: what it gives, in order; known once it was called.
    """

    def __init__(self, is_masked: bool, blank: NDArray | None = None) -> None:
        super().__init__()
        self.blank = blank
        wanted = {"obs": True, "memory": blank is not None, "mask": is_masked}
        self.inputs = [name for name, takes in wanted.items() if takes]
        self.outputs: list[str] = []

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Its inputs to its outputs."""
        told = self.decide(dict(zip(self.inputs, given, strict=True)))
        self.outputs = [*told]
        return tuple(told.values())

    @abstractmethod
    def decide(self, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same, by their names."""


class PortableTable(Portable):
    """A table of action values, whose rows are numbers of observations."""

    q: Tensor

    def __init__(self, policy: TabularPolicy, is_masked: bool) -> None:
        super().__init__(is_masked)
        self.register_buffer("q", torch.from_numpy(policy.q.copy()))
        weights, self.first_row = policy.numbers.weights, policy.numbers.first
        self.weights = None if weights is None else torch.from_numpy(weights)
        self.first_action = policy.first_action

    def decide(self, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Portable`."""
        rows = known["obs"].long()
        if self.weights is not None:
            rows = (rows.flatten(1) * self.weights).sum(dim=1)
        values = self.q[rows - self.first_row]
        action = masked(values, known.get("mask")).argmax(dim=1) + self.first_action
        return {"action": action, "values": values}


class PortableNetwork(Portable):
    """A network's policy."""

    def __init__(self, policy: DeepPolicy, is_masked: bool, obs: NDArray) -> None:
        frames, size = policy.frames, policy.state_size
        past = np.zeros((1, frames - 1, *obs.shape[1:]), obs.dtype) if frames > 1 else None
        super().__init__(is_masked, np.zeros((1, size), np.float32) if size else past)
        self.policy, self.network, self.remembers = copy.copy(policy), _plain(policy.network), bool(size)
        self.policy.network = self.network

    def decide(self, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Portable`."""
        seen, memory = known["obs"], known.get("memory")
        if self.remembers:
            outputs, memory = self.network(seen, memory)
        else:
            if memory is not None:
                seen = torch.cat([memory, seen[:, None]], dim=1)
                memory = seen[:, 1:]
            outputs = self.network(seen)
        told = self.policy.told(outputs.float(), known.get("mask"))
        return told if memory is None else told | {"next_memory": memory}


class _Normed(nn.Module):
    """A `RunningNorm` that sees nothing more."""

    def __init__(self, norm: RunningNorm) -> None:
        super().__init__()
        self.mean, self.deviation = norm.mean.clone(), (norm.square / norm.count).sqrt() + TINY

    def forward(self, obs: Tensor) -> Tensor:
        return ((obs - self.mean) / self.deviation).float().clamp(-LARGEST, LARGEST)


def _plain(network: nn.Module) -> nn.Module:
    """A copy of a network that is made of torch's own layers alone."""
    plain: Any = copy.deepcopy(network).requires_grad_(False).cpu()
    for part in plain.modules():
        if isinstance(part, Torso):
            part.planes = None
    norm = getattr(plain, "norm", None)
    if isinstance(norm, RunningNorm):
        plain.norm = _Normed(norm) if norm.count > 0 else None
    return plain


def portable(policy: Policy, is_masked: bool, obs: NDArray) -> Portable:
    """A policy's graph.

    Args:
        policy: whose.
        is_masked: whether it is told what is possible.
        obs: (B, ...) some observations.

    Raises:
        ValueError: one line, when it acts on neither a table nor a network of torch.
    """
    if isinstance(policy, TabularPolicy):
        return PortableTable(policy, is_masked)
    if isinstance(policy, DeepPolicy):
        return PortableNetwork(policy, is_masked, obs)
    raise ValueError("onnx takes the tables of q-learning and its kin, and the networks of dqn, pqn and ppo")


def onnx_of(graph: Portable, examples: Mapping[str, NDArray], facts: Mapping[str, str]) -> bytes:
    """A graph as an ONNX file, for batches of any size.

    Args:
        graph: to be written.
        examples: two rows or more of what it takes, by name.
        facts: to be kept as the file's metadata.

    Raises:
        ValueError: one line, when it has an operator that ONNX has not.
    """
    given = tuple(torch.from_numpy(np.ascontiguousarray(examples[name])) for name in graph.inputs)
    graph(*given)
    batch = torch.export.Dim("batch")
    try:
        with _quietly():
            program: Any = torch.onnx.export(
                graph,
                given,
                input_names=graph.inputs,
                output_names=graph.outputs,
                dynamic_shapes=(tuple({0: batch} for _ in given),),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # torch's have no common class, and tell pages
        raise ValueError(f"its network can't be written as ONNX: {_first_cause(error)}") from error
    program.model.metadata_props.update(facts)
    return program.model_proto.SerializeToString()


def _first_cause(error: BaseException) -> str:
    """The first line of the error that led to the others."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = (line.strip() for line in str(error).splitlines())
    return f"{type(error).__name__}: {next(filter(None, lines), '')}"


@contextmanager
def _quietly() -> Iterator[None]:
    """Leaves out what torch's exporter says of itself: to loggers of many names, as warnings, and plainly."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    said = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(said), redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
