"""A network of a user's that is no graph: what it does depends on what it sees."""

import torch
from gymnasium.spaces import flatdim
from torch import Tensor, nn


class OddNetwork(nn.Module):
    def __init__(self, space, num_actions: int) -> None:
        super().__init__()
        self.layer = nn.Linear(flatdim(space), num_actions)

    def forward(self, obs: Tensor) -> Tensor:
        values = self.layer(nn.functional.one_hot(obs.long(), self.layer.in_features).float())
        return values if values.sum() > 0 else torch.sort(values).values
