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
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .adam import FlatAdam
from .fitting import Aims, Clipping, Rollout, fit_policy, fit_values
from .layers import Inputs, Nets, all_outputs, scratch_for
from .networks import Head, Torso, Vector


class Perceptron:
    """Networks of fully connected layers, side by side, and their optimiser, as compiled functions see them.

    Networks of one form see the same observations; their outputs are one row together.

    Args:
        networks: torso, which sees vectors or planes of bytes, and head, a layer.
        optimizer: of their weights.
        norm: what observations that are vectors pass first.
    """

    @classmethod
    def of(
        cls, networks: Sequence[nn.Module], optimizer: FlatAdam, norm: nn.Module | None = None
    ) -> Perceptron | None:
        """The compiled twin of networks that `make_network` made; None of some with other parts."""
        return cls(networks, optimizer, norm) if all(map(_compiles, networks)) else None

    def __init__(
        self, networks: Sequence[nn.Module], optimizer: FlatAdam, norm: nn.Module | None = None
    ) -> None:
        torso: Any = networks[0][0]  # type: ignore[index]
        self._planes, sight, self._norm = torso.planes, torso.parts[0], norm
        self._scale: Any = sight.scale.numpy() if isinstance(sight, Vector) else None
        self._optimizer = optimizer
        places = [_places(network, optimizer) for network in networks]
        layers, heads = map(np.array, zip(*places, strict=True))
        heads[:, 4] = heads[:, 1].cumsum() - heads[:, 1]
        self._nets = Nets(layers, heads)

    def __reduce__(self) -> tuple:
        """Copies of a network have weights of their own, and are left to torch."""
        return type(None), ()

    def fits(self, obs: Tensor) -> bool:
        """Whether it takes (B, ...) observations: bytes once it is known what is usual; see `Planes.meet`."""
        return self._planes is None or self._planes.sparse and obs.dtype == torch.uint8

    def inputs(self, obs: Tensor) -> Inputs:
        """What the first layers see of (B, ...) observations."""
        count, planes = len(obs), self._planes
        if self._norm is not None:
            obs = self._norm(obs)
        rows = np.ascontiguousarray(obs.numpy()).reshape(count, math.prod(obs.shape[1:]))
        if planes is None:
            numbers = rows.astype(np.float32) * self._scale
            none = np.empty(0, np.uint8)
            return Inputs(
                numbers, np.empty((count, 0), np.uint8), np.empty(0, np.int64), 0, none, np.float32(0)
            )
        assert planes.usual is not None
        none = np.empty((count, 0), np.float32)
        return Inputs(none, rows, planes.where, planes.run, planes.usual, planes.scale)

    def outputs(self, obs: Tensor, weights: Tensor | None = None) -> Tensor:
        """(B, A) of (B, ...) observations, with other weights than the networks' if they are given."""
        result = np.empty((len(obs), self._nets.heads[:, 1].sum()), np.float32)
        flat = self._optimizer.weights if weights is None else weights.numpy()
        inputs = self.inputs(obs)
        all_outputs(inputs, self._nets, flat, scratch_for(inputs, self._nets), result)
        return torch.from_numpy(result)

    def fit_values(
        self,
        weights: NDArray[np.float32],
        obs: Tensor,
        order: NDArray[np.int64],
        minibatches: int,
        aims: Aims,
        optimizer: tuple[NDArray, ...],
    ) -> NDArray[np.float32]:
        """Moves chosen outputs towards targets, one step of the optimiser for each minibatch.

        It waits for nothing and nobody has to wait for it: other threads may go on with other weights.

        Args:
            weights: all weights, as the optimiser has them; they are moved.
            obs: (B, ...) observations.
            order: (B,) rows, in which minibatches lie one after another.
            minibatches: their number, which divides B.
            aims: which outputs shall be what.
            optimizer: its `state`.

        Returns:
            (B,) outputs less targets, before each step.

        Raises:
            IndexError: for an output that there is not.
        """
        low, high, outputs = aims.chosen.min(), aims.chosen.max(), self._nets.heads[0, 1]
        if low < 0 or high >= outputs:
            raise IndexError(f"actions are numbers below {outputs}; got {low} to {high}")
        errors = np.empty(len(obs), np.float32)
        inputs = self.inputs(obs)
        scratch = scratch_for(inputs, self._nets, weights.size)
        rest = self._nets, weights, np.empty_like(weights), optimizer, scratch
        fit_values(inputs, order, minibatches, aims, *rest, errors)
        return errors

    def fit_policy(
        self, obs: Tensor, order: NDArray[np.int64], minibatches: int, rollout: Rollout, clipping: Clipping
    ) -> NDArray[np.float64]:
        """Moves a policy and its values, one step of the optimiser for each minibatch.

        Args:
            obs: (B, ...) observations.
            order: rows, in which minibatches lie one after another.
            minibatches: their number, which divides that of rows.
            rollout: what was done, and what came of it.
            clipping: settings of the loss.

        Returns:
            (minibatches, 6) the loss and its parts; see `PPO.learn`.

        Raises:
            IndexError: for an action that there is not, or masks of another width.
        """
        choices, action, mask = clipping.choices, rollout.action, rollout.mask
        if len(choices) and ((action < 0) | (action >= choices)).any():
            raise IndexError(f"actions are numbers below {choices.tolist()}")
        if len(mask) and mask.shape[1] != choices.sum():
            raise IndexError(f"masks of {mask.shape[1]} actions; there are {choices.sum()}")
        told = np.empty((minibatches, 6))
        inputs, weights = self.inputs(obs), self._optimizer.weights
        scratch = scratch_for(inputs, self._nets, weights.size)
        rest = self._nets, weights, np.empty_like(weights), self._optimizer.state(), scratch
        fit_policy(inputs, order, minibatches, rollout, clipping, *rest, told)
        return told


def _compiles(network: nn.Module) -> bool:
    torso, head = network if isinstance(network, nn.Sequential) and len(network) == 2 else (None, None)
    if not isinstance(torso, Torso) or not isinstance(head, Head) or head.value is not None:
        return False
    if torso.planes is None and not isinstance(torso.parts[0], Vector):
        return False
    return all(each.requires_grad for each in network.parameters())


def _places(network: Any, optimizer: FlatAdam) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A network's `Nets.layers` and `Nets.heads`, but for the columns of its outputs."""
    torso, head, at = network[0], network[1].advantage, optimizer.place
    layers = [part for part in torso.parts if isinstance(part, nn.Linear)]
    norms = [part for part in torso.parts if isinstance(part, nn.LayerNorm)]
    places = np.full((len(layers), 6), -1)
    for row, layer in zip(places, layers, strict=True):
        row[:4] = layer.in_features, layer.out_features, at(layer.weight), at(layer.bias)
    for row, norm in zip(places, norms, strict=False):
        row[4:] = at(norm.weight), at(norm.bias)
    return places, np.array([head.in_features, head.out_features, at(head.weight), at(head.bias), 0])
