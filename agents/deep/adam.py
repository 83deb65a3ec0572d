"""Adam over all weights of a network at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .tensors import load_optimizer, saved_optimizer


class FlatAdam:
    """Adam (Kingma & Ba 2015) for small networks, for which a call for each parameter takes the most time.

    The weights move to lie side by side in memory, and so do their gradients and moments; each parameter
    becomes a view of its part. It is saved as `torch.optim.Adam` is, parameter by parameter.

    Args:
        network: whose weights it moves; on its device.
        learning_rate: () float32; whoever holds it changes it.
        max_norm: a gradient that is longer is shortened to this length.

    Raises:
        ValueError: for weights that are not float32.
    """

    def __init__(self, network: nn.Module, learning_rate: Tensor, max_norm: float) -> None:
        self._all, self._parts = list(network.parameters()), _learned(network)
        self._flat = nn.Parameter(flattened(network))
        self._flat.grad = self._grad = torch.zeros_like(self._flat.data)
        for part, grad in zip(self._parts, self._views(self._grad), strict=True):
            part.grad = grad
        self._learning_rate, self._max_norm = learning_rate, max_norm

    # Torch's optimisers load its compiler, for which who acts alone need not wait.

    def prepare(self) -> None:
        """Makes torch's optimiser now, and not in the first step."""
        assert self._adam is not None

    @cached_property
    def _adam(self) -> torch.optim.Adam:
        return torch.optim.Adam([self._flat], self._learning_rate, eps=1e-5, fused=True)

    @cached_property
    def _each(self) -> torch.optim.Adam:
        """The form in which it is saved."""
        return torch.optim.Adam(self._all)

    def _views(self, flat: Tensor) -> list[Tensor]:
        return _views(self._parts, flat)

    def place(self, part: Tensor) -> int:
        """Where a parameter begins in the flat arrays."""
        return (part.data_ptr() - self._flat.data_ptr()) // part.element_size()

    @property
    def flat(self) -> Tensor:
        """All weights, one parameter after the other: the memory that the network reads."""
        return self._flat.data

    @property
    def weights(self) -> NDArray[np.float32]:
        """The same, as an array of the host."""
        return self._flat.data.numpy()

    def state(self) -> tuple[NDArray, ...]:
        """Memory of both moments and of the (1,) steps; and `settings`."""
        state = self._adam.state[self._flat]
        if not state:
            state["step"] = torch.zeros((), device=self._flat.device)
            state |= {name: torch.zeros_like(self._flat.data) for name in ("exp_avg", "exp_avg_sq")}
        steps = state["step"].view(1)
        return *(each.numpy() for each in (state["exp_avg"], state["exp_avg_sq"], steps)), self.settings

    @property
    def settings(self) -> NDArray[np.float32]:
        """(5,) learning rate, the two betas, epsilon, and the length of the longest gradient."""
        group = self._adam.param_groups[0]
        return np.array([float(group["lr"]), *group["betas"], group["eps"], self._max_norm], np.float32)

    def descend(self, loss: Tensor) -> None:
        """One step down the gradient of a loss."""
        grad = self._grad
        grad.zero_()
        loss.backward()
        grad.mul_((self._max_norm / (torch.linalg.vector_norm(grad) + 1e-6)).clamp_(max=1.0))
        if grad.device.type == "cuda":  # it wants to be told, and warns if told too early
            self._adam.param_groups[0]["capturable"] = torch.cuda.is_current_stream_capturing()
        self._adam.step()

    def state_dict(self, prefix: str) -> dict[str, NDArray]:
        """Its moments and steps by parameter; see `saved_optimizer`."""
        self._each.state.clear()
        if moments := self._adam.state[self._flat]:
            views = {name: self._views(each) for name, each in moments.items() if name != "step"}
            for number, part in enumerate(self._parts):
                self._each.state[part] = {
                    "step": moments["step"],
                    **{name: each[number] for name, each in views.items()},
                }
        return saved_optimizer(self._each, prefix)

    def load_state_dict(self, state: Mapping[str, Any], prefix: str) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it is not of these parameters.
        """
        load_optimizer(self._each, state, prefix)
        self._adam.state.clear()
        if self._each.state:
            moments = {name: torch.zeros_like(self._flat.data) for name in ("exp_avg", "exp_avg_sq")}
            for name, flat in moments.items():
                for part, view in zip(self._parts, self._views(flat), strict=True):
                    if part in self._each.state:
                        view.copy_(self._each.state[part][name])
            step = next(iter(self._each.state.values()))["step"]
            self._adam.state[self._flat] = {"step": step.to(self._flat.device, torch.float32), **moments}


def flattened(network: nn.Module) -> Tensor:
    """Has what is learned of a network lie side by side in memory, each part as it was laid out.

    Returns:
        (weights,) that memory.

    Raises:
        ValueError: for weights that are not float32.
    """
    parts = _learned(network)
    if strange := {str(part.dtype) for part in parts} - {"torch.float32"}:
        raise ValueError(f"weights of networks are float32; these are {', '.join(strange)}")
    flat = torch.empty(sum(part.numel() for part in parts), device=parts[0].device)
    for part, view in zip(parts, _views(parts, flat), strict=True):
        part.data = view.copy_(part.data)
    return flat


def _learned(network: nn.Module) -> list[nn.Parameter]:
    return [each for each in network.parameters() if each.requires_grad]


def _views(parts: Sequence[Tensor], flat: Tensor) -> list[Tensor]:
    """The parameters' parts of a flat tensor, each laid out as the parameter is."""
    split = flat.split([part.numel() for part in parts])
    return [_like(part, each) for part, each in zip(parts, split, strict=True)]


def _like(part: Tensor, flat: Tensor) -> Tensor:
    """A flat tensor in the shape of a parameter, whose columns may lie one after another in memory."""
    if part.dim() == 2 and not part.is_contiguous() and part.t().is_contiguous():
        return flat.view(part.shape[::-1]).t()
    return flat.view(part.shape)
