"""CUDA graphs: a computation recorded once and played again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before a function is recorded as a graph, as PyTorch asks for."""


class Recorded:
    """A function of tensors whose shapes never change; on CUDA it is replayed as one graph.

    The first calls run as they are. Then the function is recorded, and a call costs one launch instead of
    one for each operation. What it returns is overwritten by the next call.

    Args:
        function: takes and returns tensors; must not wait for the device.
        device: where it computes.
        generator: random generator that it draws from, if it does.
    """

    def __init__(
        self, function: Callable[..., Any], device: torch.device, generator: torch.Generator | None = None
    ) -> None:
        self._function, self._generator = function, generator
        self._plain = device.type != "cuda"
        self._calls = 0
        self._graph: Any = None

    def __call__(self, *inputs: Tensor) -> Any:
        """Calls the function."""
        if self._plain:
            return self._function(*inputs)
        if self._calls < WARM_UP:
            self._calls += 1
            side = _side_stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                result = self._function(*inputs)
            torch.cuda.current_stream().wait_stream(side)
            return result
        if self._graph is None:
            self._record(inputs)
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given, non_blocking=True)
        self._graph.replay()  # type: ignore[union-attr]
        return self._outputs

    def _record(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = [given.clone() for given in inputs]
        graph = torch.cuda.CUDAGraph()
        if self._generator is not None:
            graph.register_generator_state(self._generator)
        gc.collect()  # graphs of learners that are gone must not be freed while another is recorded
        collects = gc.isenabled()
        gc.disable()
        try:
            with torch.cuda.graph(graph):
                self._outputs = self._function(*self._inputs)
        except RuntimeError as error:
            raise ValueError(f"the network can't be recorded as a CUDA graph: {error}") from error
        finally:
            if collects:
                gc.enable()
        self._graph = graph


@cache
def _side_stream() -> torch.cuda.Stream:
    """One for all, since each takes memory of its own for products of matrices."""
    return torch.cuda.Stream()
