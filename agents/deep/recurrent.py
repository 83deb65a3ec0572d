"""Networks that remember: between torso and head stands a cell, whose state goes from step to step.

The head sees the sum of what the torso and the cell give (He et al. 2016): so what needs no memory is learned
as without one. All zeros is the state with which an episode begins.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .planes import by_columns

KEEP = 1.0
"""Bias with which gates begin that keep what is known."""


class Sequences(NamedTuple):
    """How S streams of T steps each hang together; step t of stream s is row t * S + s."""

    state: Tensor
    """(S, state_size) at their beginning."""
    begins: Tensor
    """(T, S) bool: where an episode begins, and nothing is remembered."""


def of_rows(sequences: Sequences | None, rows: Tensor) -> tuple[Tensor, ...]:
    """Those of some streams, by their rows, a step of all after the other; nothing where there are none."""
    if sequences is None:
        return ()
    streams = rows[: len(rows) // len(sequences.begins)]
    return sequences.state[streams], sequences.begins[:, streams]


class Cell(nn.Module):
    """What a recurrent layer does in a step.

    Args:
        inputs: numbers that it sees.
        units: numbers that it gives.

    Attributes:
        state_size: numbers that it remembers; the first ones are what it gives.
    """

    gates: ClassVar[int]
    """Layers of so many units see the inputs, and what is remembered."""
    kept: ClassVar[int]
    """It remembers so many times its units."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units, self.state_size = units, self.kept * units
        self.seen = nn.Linear(inputs, self.gates * units)
        self.known = nn.Linear(units, self.gates * units)
        by_columns(self.seen)
        by_columns(self.known)
        self.remember()

    def remember(self) -> None:
        """Has its second gate keep most of what it knows, before it learns (Jozefowicz et al. 2015)."""
        nn.init.constant_(self.known.bias[self.units : 2 * self.units], KEEP)


class GRU(Cell):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), with the reset gate behind the product.

    r = s(W_r x + U_r h)    z = s(W_z x + U_z h)    n = tanh(W_n x + r U_n h)    h' = (1 - z) n + z h
    """

    gates, kept = 3, 1

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """(B, inputs) and (B, state_size) to the next state."""
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self.seen(x).chunk(3, 1), self.known(state).chunk(3, 1)
        reset, keep = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
        return torch.lerp((x_n + reset * h_n).tanh(), state, keep)


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; the forget gate is Gers et al.'s, 2000).

    i, f, o = s(W x + U h)    g = tanh(W_g x + U_g h)    c' = f c + i g    h' = o tanh(c')
    """

    gates, kept = 4, 2

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """(B, inputs) and (B, state_size) to the next state."""
        h, c = state.chunk(2, 1)
        i, f, g, o = (self.seen(x) + self.known(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat([o.sigmoid() * c.tanh(), c], dim=1)


CELLS: dict[str, type[Cell]] = {"gru": GRU, "lstm": LSTM}


class Recurrent(nn.Module):
    """Torso, cell and head.

    Args:
        torso: makes (B, width) features of (B, ...) observations.
        cell: of these, with as many units.
        head: makes outputs of features and what the cell gives.
    """

    def __init__(self, torso: nn.Module, cell: Cell, head: nn.Module) -> None:
        super().__init__()
        self.torso, self.cell, self.head = torso, cell, head
        self.state_size = cell.state_size

    def forward(self, obs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) observations and the (B, state_size) state before them to (B, A), and the next state."""
        features = self.torso(obs)
        state = self.cell(features, state)
        return self.head(features + state[:, : self.cell.units]), state

    def unroll(self, obs: Tensor, sequences: Sequences) -> Tensor:
        """(T * S, ...) observations to (T * S, A), as `forward` would give them step by step."""
        features, state, given = self.torso(obs), sequences.state, []
        for x, begins in zip(features.chunk(len(sequences.begins)), sequences.begins, strict=True):
            state = self.cell(x, state.masked_fill(begins[:, None], 0.0))
            given.append(state[:, : self.cell.units])
        return self.head(features + torch.cat(given))
