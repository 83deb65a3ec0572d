"""A score for each row of a table: the same for any order, any number and any unit of the rows.

Layers are those of deep sets (Zaheer et al. 2017, "Deep Sets", equation 4): each row, and what all rows have
in common.
"""

from __future__ import annotations

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from ..spaces import column_scales
from .net_config import NetworkConfig

SMALLEST = 1e-4
"""Columns whose rows differ by less are taken for equal."""
NEVER = -1e9
"""Value of rows that do not exist, which are zeros."""


class SiteNetwork(nn.Module):
    """Action values of tables with a row an action.

    Columns of known bounds are measured in these, and all others in the largest number that the table has in
    them, its unit. The values are in that unit, too, so multiplying what has no bounds multiplies them. Their
    gradients are not multiplied once more: with Huber's loss, tables of any unit weigh about alike.

    Rows compete by small differences. Layers see where each row lies between the least and the greatest one,
    column by column, and the logarithms of how far these are apart tell how much the differences are worth.

    Args:
        space: Box (S, F) of one observation.
        config: `hidden` layers, `layer_norm`, `dueling`.
    """

    scale: Tensor
    measured: Tensor

    def __init__(self, space: Box, config: NetworkConfig) -> None:
        super().__init__()
        scales = column_scales(space)
        known = scales > 0
        scales = np.where(known, scales, 1.0)
        self.register_buffer("scale", torch.tensor(scales, dtype=torch.float32), persistent=False)
        self.register_buffer("measured", torch.from_numpy(~known), persistent=False)
        columns, layers = len(scales), []
        width, shared = columns, 3 * columns
        for units in config.hidden:
            layers.append(_Layer(width, shared, units, normalised=config.layer_norm))
            width, shared = units, 2 * units
        self.layers = nn.ModuleList(layers)
        self.advantage = nn.Linear(width + columns, 1)
        self.worth = nn.Linear(columns, 1)
        nn.init.zeros_(self.worth.weight)
        nn.init.zeros_(self.worth.bias)
        self.value = nn.Linear(shared + 3 * columns, 1)
        self.dueling = config.dueling

    def forward(self, table: Tensor) -> Tensor:
        """(B, S, F) tables in any dtype to (B, S) values."""
        exists = (table != 0).any(dim=2, keepdim=True)
        number = exists.sum(dim=1).clamp(min=1)
        rows = table.float() * self.scale
        largest = (rows.abs() * self.measured).amax(dim=(1, 2))[:, None]
        unit = torch.where(largest > 0, largest, 1.0)
        rows = torch.where(self.measured, rows / unit[:, None], rows)
        least = torch.where(exists, rows, torch.inf).amin(dim=1).nan_to_num(posinf=0.0)
        greatest = torch.where(exists, rows, -torch.inf).amax(dim=1).nan_to_num(neginf=0.0)
        apart = (greatest - least).clamp(min=SMALLEST)
        rows = (rows - least[:, None]) / apart[:, None] * exists
        table_shared = torch.cat([least, greatest, apart.log()], dim=1)
        hidden, shared = rows, table_shared
        for layer in self.layers:
            hidden = layer(hidden, shared) * exists
            shared = torch.cat([hidden.sum(dim=1) / number, hidden.amax(dim=1)], dim=1)
        advantage = self.advantage(torch.cat([hidden, rows], dim=2))[..., 0]
        advantage = advantage * self.worth(apart.log()).exp()
        if self.dueling:
            advantage = advantage - (advantage[..., None] * exists).sum(dim=1) / number
        values = advantage + self.value(torch.cat([shared, table_shared], dim=1))
        values = values + (values * (unit - 1)).detach()  # `values * unit`, with the gradient of `values`
        return torch.where(exists[..., 0], values, NEVER)


class _Layer(nn.Module):
    """From (B, S, width) rows and (B, shared) numbers of the whole table to (B, S, units)."""

    def __init__(self, width: int, shared: int, units: int, *, normalised: bool) -> None:
        super().__init__()
        self.rows = nn.Linear(width, units)
        self.table = nn.Linear(shared, units, bias=False)
        self.norm = nn.LayerNorm(units) if normalised else nn.Identity()

    def forward(self, rows: Tensor, shared: Tensor) -> Tensor:
        return torch.relu(self.norm(self.rows(rows) + self.table(shared)[:, None]))
