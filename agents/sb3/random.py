"""The process's random generators, lent to one trainer, so that it draws as if it were alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base import State
from ..checks import restore_generator
from ..deep.tensors import to_array


class OwnRandom:
    """Lends the process's random generators, from which stable-baselines3 draws, to one trainer.

    Attributes:
        numpy: numpy's.
        torch: states of torch's, of the CPU and of the device if that is another.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        devices = dict.fromkeys((torch.device("cpu"), device))
        self.numpy = np.random.PCG64(seed)
        self.torch = [torch.Generator(each).manual_seed(seed).get_state() for each in devices]
        self._generators = [_shared_generator(each) for each in devices]

    def __enter__(self) -> None:
        self._before = np.random.get_bit_generator(), self._swap(self.torch)  # type: ignore[attr-defined]
        np.random.set_bit_generator(self.numpy)  # type: ignore[attr-defined]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        np.random.set_bit_generator(self._before[0])  # type: ignore[attr-defined]
        self.torch = self._swap(self._before[1])

    def _swap(self, states: list[Tensor]) -> list[Tensor]:
        """Puts states into torch's generators and returns those that were there."""
        earlier = [generator.get_state() for generator in self._generators]
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)
        return earlier

    def state_dict(self) -> State:
        """The generators' states."""
        states = {f"torch_random.{k}": to_array(each) for k, each in enumerate(self.torch)}
        return {"numpy_random": self.numpy.state, **states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; a generator of a device that was not used then starts anew.

        Raises:
            ValueError: when the states are damaged.
        """
        restore_generator(np.random.Generator(self.numpy), state["numpy_random"])
        for k, generator in enumerate(self._generators):
            if f"torch_random.{k}" not in state:
                continue
            given = torch.from_numpy(np.array(state[f"torch_random.{k}"], np.uint8))
            try:
                torch.Generator(generator.device).set_state(given)
            except RuntimeError as error:
                raise ValueError(f"the random generator's state is damaged ({error})") from None
            self.torch[k] = given


def _shared_generator(device: torch.device) -> torch.Generator:
    """The generator that torch uses on a device where none is named."""
    if device.type == "cpu":
        return torch.default_generator
    torch.cuda.init()
    return torch.cuda.default_generators[device.index or torch.cuda.current_device()]
