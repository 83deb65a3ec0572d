"""The first layer on planes of bytes, on a CPU: only what differs from the usual observation is multiplied.

Most cells of a grid look as they usually do. With the usual bytes u, taken once from observations, a layer

    y = W s x + b = (W s u + b) + sum over k with x_k != u_k of W_k s (x_k - u_k)

needs the columns of W for the few k that differ: a tenth of the work, forward and backward. Each output adds
up its terms in one fixed order, whatever the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ...caching import compiled

DENSEST = 0.25
"""Share of bytes that differ from the usual ones above which the dense product is as fast."""


class Planes:
    """Which bytes of an observation the layer sees, and what they usually are; copies of a network share it.

    Args:
        where: (K,) places of its inputs in a flattened observation.
        scale: what a byte is multiplied by.

    Attributes:
        usual: (K,) uint8 their usual values; empty where too much differs; None before there was a batch.
        inputs: (K,) the same, scaled.
    """

    def __init__(self, where: NDArray[np.int64], scale: float) -> None:
        self.where, self.scale = where, np.float32(scale)
        self.run = int((where == np.arange(len(where))).cumprod().sum())  # of them lie side by side
        self.take(None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Planes:
        return self

    @property
    def sparse(self) -> bool:
        """Whether it is known what is usual, and little differs."""
        return self.usual is not None and len(self.usual) > 0

    def meet(self, obs: Tensor) -> None:
        """Decides by the first (B, ...) observations that a network is fitted to."""
        if self.usual is None:
            inputs = obs.reshape(len(obs), -1).numpy()[:, self.where]
            usual = np.array([np.bincount(column).argmax() for column in inputs.T], inputs.dtype)
            self.take(usual if (inputs != usual).mean() < DENSEST else usual[:0])

    def take(self, usual: NDArray[np.uint8] | None) -> None:
        """Takes that for usual.

        Raises:
            ValueError: when it is not a byte for each input.
        """
        if usual is not None and (usual.dtype != np.uint8 or usual.shape not in ((0,), self.where.shape)):
            raise ValueError(f"the usual values are not {len(self.where)} bytes")
        self.usual = usual
        if usual is not None:
            self.inputs = torch.from_numpy(usual.astype(np.float32) * self.scale)

    def differing(self, obs: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        """Which inputs of (B, bytes) observations differ, and by how much, row after row.

        Returns:
            Their numbers k (int32), by how much they differ, scaled (float32), and the (B + 1,) bounds of the
            rows in both.
        """
        most = len(obs) * len(self.where) + 1  # it writes before it knows whether it counts
        index, value = np.empty(most, np.int32), np.empty(most, np.float32)
        bounds = np.empty(len(obs) + 1, np.int64)
        words = np.empty((self.run + 7) // 8, np.uint64)
        seen = self.where, self.run, self.usual, self.scale
        differing_bytes(obs, *seen, words, index, value, bounds)
        return index, value, bounds


def by_columns(layer: nn.Module) -> None:
    """Has the columns of a linear layer's weight lie one after another in memory."""
    weight: Any = layer.weight
    weight.data = weight.data.t().contiguous().t()


class PlanesLinear(torch.autograd.Function):
    """A linear layer on (B, ...) uint8 observations; its (N, K) weight lies column by column in memory."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, obs: Tensor, planes: Planes) -> Tensor:
        """(B, ...) to (B, N)."""
        columns = weight.t()
        start = torch.addmv(bias, weight, planes.inputs)
        lists = planes.differing(obs.reshape(len(obs), -1).numpy())
        result = torch.empty(len(obs), len(bias))
        _multiply(*lists, columns.contiguous().numpy(), start.numpy(), result.numpy())
        ctx.lists, ctx.inputs = lists, planes.inputs
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """(B, N) gradients to those of weight and bias."""
        bias = grad.sum(dim=0)
        columns = torch.outer(ctx.inputs, bias)
        _add_products(*ctx.lists, grad.contiguous().numpy(), columns.numpy())
        return columns.t(), bias, None, None


@compiled(nogil=True, _nrt=False)
def differing_bytes(obs, where, run, usual, scale, words, index, value, bounds):
    """Writes what `Planes.differing` returns; in `words` there is room for `run` bytes."""
    size = (run + 7) // 8
    words[:] = 0
    differs = words.view(np.uint8)
    n = 0
    bounds[0] = 0
    for b in range(obs.shape[0]):
        row = obs[b]
        for k in range(run):
            differs[k] = row[k] ^ usual[k]
        for w in range(size):  # eight bytes at once: most are all as usual
            word = words[w]
            k = 8 * w
            while word != 0:
                if word & np.uint64(255):
                    index[n] = k
                    value[n] = scale * np.float32(np.int32(row[k]) - np.int32(usual[k]))
                    n += 1
                word >>= np.uint64(8)
                k += 1
        for k in range(run, where.shape[0]):
            differs_by = np.int32(row[where[k]]) - np.int32(usual[k])
            index[n] = k
            value[n] = scale * np.float32(differs_by)
            n += differs_by != 0
        bounds[b + 1] = n


@compiled(nogil=True)
def _multiply(index, value, bounds, columns, start, result):  # noqa: D103
    for b in range(result.shape[0]):
        row = result[b]
        row[:] = start
        for n in range(bounds[b], bounds[b + 1]):
            v = value[n]
            column = columns[index[n]]
            for i in range(row.shape[0]):
                row[i] += v * column[i]


@compiled(nogil=True)
def _add_products(index, value, bounds, grad, columns):  # noqa: D103
    for b in range(grad.shape[0]):
        row = grad[b]
        for n in range(bounds[b], bounds[b + 1]):
            v = value[n]
            column = columns[index[n]]
            for i in range(row.shape[0]):
                column[i] += v * row[i]
