"""Tensors: where they are computed, and how they come from arrays and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

MOMENTS = {torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"}, torch.optim.RMSprop: {"step", "square_avg"}}
"""What an optimiser keeps of each parameter."""


def find_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: when there is no such device.
    """
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device is cpu or cuda; got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda was asked for, and there is none here: use --device cpu")
    return torch.device(name)


def to_device(array: NDArray, device: torch.device) -> Tensor:
    """An array on a device; to CUDA it goes through pinned memory, and nothing waits for it."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def to_array(tensor: Tensor) -> NDArray:
    """A copy of a tensor as an array of the host."""
    return tensor.detach().cpu().numpy().copy()


def load_module(module: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    """Puts arrays whose names begin with a prefix into a module.

    Raises:
        ValueError: when names or shapes are not those of the module.
    """
    given = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    for name in wanted.keys() | given.keys():
        shapes = [tuple(np.shape(part[name])) if name in part else None for part in (wanted, given)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the network's {name} has shape {shapes[0]}; the state's has {shapes[1]}")
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in given.items()})


def saved_optimizer(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, NDArray]:
    """What an optimiser keeps of its parameters, as arrays named `<prefix>.<parameter>.<name>`."""
    return {
        f"{prefix}.{number}.{name}": to_array(tensor)
        for number, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any], prefix: str) -> None:
    """Takes back what `saved_optimizer` gave; the optimiser's settings stay as they are.

    Raises:
        ValueError: when it is not of its parameters.
    """
    parameters = [each for part in optimizer.param_groups for each in part["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        if key.startswith(f"{prefix}."):
            _, number, name = key.split(".")
            moments.setdefault(int(number), {})[name] = torch.from_numpy(np.array(value))
    for number, each in moments.items():
        if not 0 <= number < len(parameters) or set(each) != MOMENTS[type(optimizer)]:
            raise ValueError(f"the optimiser's state {number} is of another optimiser")
        if each["step"].numel() != 1 or any(
            each[name].shape != parameters[number].shape for name in each if name != "step"
        ):
            raise ValueError(f"the optimiser's state {number} is of another shape")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
