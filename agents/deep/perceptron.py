"""Fully connected layers on a CPU, compiled whole: acting and fitting without a word of Python in between.

Networks that suit a CPU are so small that torch takes more time between its operations than in them. Here
one call takes a batch through all layers, and one fits the network to a rollout, minibatch by minibatch,
while other threads go on. Layers and weights are those of `networks`:

    h = W x + b        n = (h - mean h) / sqrt(var h + eps)        y = max(0, g n + c)

(Ba et al. 2016; y = max(0, h) where nothing is normalised). Rows go through all layers in blocks that stay
near the processor. A row is added up in one fixed order, whatever the batch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .adam import FlatAdam
from .layers import Inputs, all_outputs, fit, scratch_for
from .networks import Head, Torso, Vector


class Perceptron:
    """A network of fully connected layers and its optimiser, which compiled functions read and write.

    Args:
        torso: sees vectors, or planes of bytes.
        head: a layer.
        optimizer: of their weights.
    """

    @classmethod
    def of(cls, network: nn.Module, optimizer: FlatAdam) -> Perceptron | None:
        """The compiled twin of a network that `make_network` made; None of one with other parts."""
        torso, head = network if isinstance(network, nn.Sequential) and len(network) == 2 else (None, None)
        if not isinstance(torso, Torso) or not isinstance(head, Head) or head.value is not None:
            return None
        if torso.planes is None and not isinstance(torso.parts[0], Vector):
            return None
        if not all(each.requires_grad for each in network.parameters()):
            return None
        return cls(torso, head.advantage, optimizer)

    def __init__(self, torso: Torso, head: nn.Linear, optimizer: FlatAdam) -> None:
        self._planes, sight = torso.planes, torso.parts[0]
        self._scale: Any = sight.scale.numpy() if isinstance(sight, Vector) else None
        layers = [part for part in torso.parts if isinstance(part, nn.Linear)]
        norms = [part for part in torso.parts if isinstance(part, nn.LayerNorm)]
        self._optimizer, at = optimizer, optimizer.place
        self._layers = np.full((len(layers), 6), -1)
        for row, layer in zip(self._layers, layers, strict=True):
            row[:4] = layer.in_features, layer.out_features, at(layer.weight), at(layer.bias)
        for row, norm in zip(self._layers, norms, strict=False):
            row[4:] = at(norm.weight), at(norm.bias)
        self._head = np.array([head.in_features, head.out_features, at(head.weight), at(head.bias)])

    def __reduce__(self) -> tuple:
        """Copies of a network have weights of their own, and are left to torch."""
        return type(None), ()

    def fits(self, obs: Tensor) -> bool:
        """Whether it takes (B, ...) observations: bytes once it is known what is usual; see `Planes.meet`."""
        return self._planes is None or self._planes.sparse and obs.dtype == torch.uint8

    def inputs(self, obs: NDArray) -> Inputs:
        """What the first layer sees of (B, ...) observations."""
        count, planes = len(obs), self._planes
        rows = np.ascontiguousarray(obs).reshape(count, math.prod(obs.shape[1:]))
        if planes is None:
            numbers = rows.astype(np.float32) * self._scale
            none = np.empty(0, np.uint8)
            return Inputs(
                numbers, np.empty((count, 0), np.uint8), np.empty(0, np.int64), 0, none, np.float32(0)
            )
        assert planes.usual is not None
        none = np.empty((count, 0), np.float32)
        return Inputs(none, rows, planes.where, planes.run, planes.usual, planes.scale)

    def outputs(self, obs: NDArray, weights: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """(B, A) of (B, ...) observations, with other weights than the network's if they are given."""
        result = np.empty((len(obs), self._head[1]), np.float32)
        weights = self._optimizer.weights if weights is None else weights
        inputs = self.inputs(obs)
        scratch = scratch_for(inputs, self._layers, self._head)
        all_outputs(inputs, self._layers, self._head, weights, scratch, result)
        return result

    def fit(
        self,
        weights: NDArray[np.float32],
        obs: NDArray,
        chosen: NDArray[np.int64],
        target: NDArray[np.float32],
        order: NDArray[np.int64],
        minibatches: int,
        optimizer: tuple[NDArray, ...],
        huber: bool,
        weight: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Moves the chosen outputs towards targets, one step of the optimiser for each minibatch.

        It waits for nothing and nobody has to wait for it: other threads may go on with other weights.

        Args:
            weights: all weights, as the optimiser has them; they are moved.
            obs: (B, ...) observations.
            chosen: (B,) which of the outputs.
            target: (B,) what it should be.
            order: (B,) rows, in which minibatches lie one after another.
            minibatches: their number, which divides B.
            optimizer: its `state`.
            huber: whether the loss grows straight beyond an error of 1 (Huber 1964), else it is squared.
            weight: (B,) of the rows in their minibatch's mean, in which those of weight 0 do not count.

        Returns:
            (B,) outputs less targets, before each step.

        Raises:
            IndexError: for an output that there is not.
        """
        if chosen.min() < 0 or chosen.max() >= self._head[1]:
            low, high = chosen.min(), chosen.max()
            raise IndexError(f"actions are numbers below {self._head[1]}; got {low} to {high}")
        errors = np.empty(len(obs), np.float32)
        weight = np.ones(len(obs), np.float32) if weight is None else weight
        inputs = self.inputs(obs)
        scratch = scratch_for(inputs, self._layers, self._head, weights.size)
        network = self._layers, self._head, weights, np.empty_like(weights)
        wanted = chosen, target, weight, huber, errors
        fit(inputs, order, minibatches, wanted, *network, optimizer, scratch)
        return errors
