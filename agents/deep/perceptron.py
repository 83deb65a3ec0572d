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
from .cells import Recall, recall_for
from .fitting import Aims, Clipping, Rollout, fit_policy, fit_values
from .layers import BLOCK, Inputs, Nets, Scratch, all_outputs, scratch_for
from .networks import Head, Torso, Vector
from .recurrent import Cell, Recurrent, Sequences

MOST_ROWS = 512
"""Rows of streams that go through the layers together, where so many hang together."""


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
        torso: Any = next(networks[0].children())
        self._planes, sight, self._norm = torso.planes, torso.parts[0], norm
        self._scale: Any = sight.scale.numpy() if isinstance(sight, Vector) else None
        self._optimizer = optimizer
        places = [_places(network, optimizer) for network in networks]
        layers, heads = map(np.array, zip(*places, strict=True))
        heads[:, 4] = heads[:, 1].cumsum() - heads[:, 1]
        self._nets = Nets(layers, heads)
        cells = [network.cell for network in networks if isinstance(network, Recurrent)]
        self._cells = np.array([_cell_places(cell, optimizer) for cell in cells])
        self._kinds = (cells[0].gates, cells[0].kept) if cells else (0, 0)

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
        all_outputs(inputs, self._nets, flat, scratch_for(inputs, self._nets), None, result)
        return torch.from_numpy(result)

    def step(self, obs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) of (B, ...) observations and the (B, state_size) state before, and the next state."""
        result = np.empty((len(obs), self._nets.heads[:, 1].sum()), np.float32)
        before = np.ascontiguousarray(state.numpy())
        after, nowhere = np.empty_like(before), np.empty((0, 0), np.bool_)
        inputs = self.inputs(obs)
        recall = recall_for(self._cells, self._kinds, BLOCK, before, nowhere, after)
        all_outputs(
            inputs, self._nets, self._optimizer.weights, scratch_for(inputs, self._nets), recall, result
        )
        return torch.from_numpy(result), torch.from_numpy(after)

    def _room(
        self, inputs: Inputs, size: int, minibatch: int, sequences: Sequences | None
    ) -> tuple[Scratch, Recall | None]:
        """Memory for fitting so many weights to so many rows at once."""
        if sequences is None:
            return scratch_for(inputs, self._nets, size), None
        state, begins = (np.ascontiguousarray(each.numpy()) for each in sequences)
        together = minibatch // len(begins)
        streams = max(2, min(together + together % 2, MOST_ROWS // len(begins) // 2 * 2))
        nowhere = np.empty((0, 0), np.float32)
        recall = recall_for(self._cells, self._kinds, streams, state, begins, nowhere)
        return scratch_for(inputs, self._nets, size, streams * len(begins)), recall

    def fit_values(
        self,
        weights: NDArray[np.float32],
        obs: Tensor,
        order: NDArray[np.int64],
        minibatches: int,
        aims: Aims,
        optimizer: tuple[NDArray, ...],
        sequences: Sequences | None = None,
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
            sequences: how rows hang together, where the networks remember.

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
        room = self._room(inputs, weights.size, len(order) // minibatches, sequences)
        rest = self._nets, weights, np.empty_like(weights), optimizer, *room
        fit_values(inputs, order, minibatches, aims, *rest, errors)
        return errors

    def fit_policy(
        self,
        obs: Tensor,
        order: NDArray[np.int64],
        minibatches: int,
        rollout: Rollout,
        clipping: Clipping,
        sequences: Sequences | None = None,
    ) -> NDArray[np.float64]:
        """Moves a policy and its values, one step of the optimiser for each minibatch.

        Args:
            obs: (B, ...) observations.
            order: rows, in which minibatches lie one after another.
            minibatches: their number, which divides that of rows.
            rollout: what was done, and what came of it.
            clipping: settings of the loss.
            sequences: how rows hang together, where the networks remember.

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
        room = self._room(inputs, weights.size, len(order) // minibatches, sequences)
        rest = self._nets, weights, np.empty_like(weights), self._optimizer.state(), *room
        fit_policy(inputs, order, minibatches, rollout, clipping, *rest, told)
        return told


def _ends(network: nn.Module) -> tuple[Any, Any]:
    """Torso and head of a network that `make_network` made; of others nothing."""
    if isinstance(network, Recurrent):
        return network.torso, network.head
    if isinstance(network, nn.Sequential) and len(network) == 2:
        return network[0], network[1]
    return None, None


def _compiles(network: nn.Module) -> bool:
    torso, head = _ends(network)
    if not isinstance(torso, Torso) or not isinstance(head, Head) or head.value is not None:
        return False
    if torso.planes is None and not isinstance(torso.parts[0], Vector):
        return False
    return all(each.requires_grad for each in network.parameters())


def _places(network: Any, optimizer: FlatAdam) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A network's `Nets.layers` and `Nets.heads`, but for the columns of its outputs."""
    torso, last = _ends(network)
    head, at = last.advantage, optimizer.place
    layers = [part for part in torso.parts if isinstance(part, nn.Linear)]
    norms = [part for part in torso.parts if isinstance(part, nn.LayerNorm)]
    places = np.full((len(layers), 6), -1)
    for row, layer in zip(places, layers, strict=True):
        row[:4] = layer.in_features, layer.out_features, at(layer.weight), at(layer.bias)
    for row, norm in zip(places, norms, strict=False):
        row[4:] = at(norm.weight), at(norm.bias)
    return places, np.array([head.in_features, head.out_features, at(head.weight), at(head.bias), 0])


def _cell_places(cell: Cell, optimizer: FlatAdam) -> list[int]:
    """A row of `Recall.cells`."""
    places = [optimizer.place(each) for part in (cell.seen, cell.known) for each in (part.weight, part.bias)]
    return [cell.seen.in_features, cell.units, *places]
