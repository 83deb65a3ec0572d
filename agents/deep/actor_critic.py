"""The network of an actor and a critic: a distribution over actions, and what a state is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from gymnasium.spaces import Space
from torch import Tensor, nn

from .distributions import Distribution
from .networks import choose_kind, make_network, share_planes
from .normalising import RunningNorm
from .recurrent import Cell, Sequences


class ActorCritic(nn.Module):
    """Maps (B, ...) observations to (B, outputs + 1): what a distribution depends on, and the value.

    Standard deviations of Box actions are weights of their own, the same in all states.

    Args:
        space: of one observation.
        distribution: of actions.
        config: a `PPOConfig`: `net`, `frame_stack`, `shared_net`, `normalize_observations`, `log_std_init`.

    Attributes:
        norm: what observations pass first, or None.
        state_size: numbers that the networks remember.

    Raises:
        ValueError: one line, for a space that no network fits.
    """

    def __init__(self, space: Space, distribution: Distribution, config: Any) -> None:
        super().__init__()
        self.norm = RunningNorm(space) if config.normalize_observations else None
        space = space if self.norm is None else self.norm.space
        outputs = distribution.outputs
        kind = choose_kind(space, 0) if config.net.kind == "auto" else config.net.kind
        if kind == "sites":
            raise ValueError("a network of sites has no values of states; net.kind is auto, mlp or cnn")
        net = replace(config.net, kind=kind)
        self.actor = make_network(space, outputs + config.shared_net, net, config.frame_stack)
        self.critic = None if config.shared_net else make_network(space, 1, net, config.frame_stack)
        self.state_size = sum(getattr(net, "state_size", 0) for net in self.nets)
        _initialise(self.actor, 1.0 if config.shared_net else 0.01)
        if self.critic is not None:
            _initialise(self.critic, 1.0)
            share_planes(self.actor, self.critic)
        free = distribution.size - outputs
        self.log_deviation = nn.Parameter(torch.full((free,), config.log_std_init)) if free else None

    @property
    def nets(self) -> list[Any]:
        """The networks, whose outputs are one row together."""
        return [self.actor] if self.critic is None else [self.actor, self.critic]

    def forward(self, obs: Tensor, state: Tensor | None = None) -> Any:
        """(B, ...) observations to (B, outputs + 1) float32; with a state as `Recurrent` does."""
        if self.norm is not None:
            obs = self.norm(obs)
        if state is None:
            return torch.cat([net(obs) for net in self.nets], dim=1)
        parts = zip(self.nets, state.chunk(len(self.nets), 1), strict=True)
        outputs, states = zip(*(net(obs, known) for net, known in parts), strict=True)
        return torch.cat(outputs, dim=1), torch.cat(states, dim=1)

    def unroll(self, obs: Tensor, sequences: Sequences) -> Tensor:
        """(T * S, ...) observations to (T * S, outputs + 1); see `Recurrent.unroll`."""
        if self.norm is not None:
            obs = self.norm(obs)
        states = sequences.state.chunk(len(self.nets), 1)
        parts = [sequences._replace(state=known) for known in states]
        return torch.cat([net.unroll(obs, part) for net, part in zip(self.nets, parts, strict=True)], dim=1)

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """(B, outputs + 1) to all (B, P) numbers of the distribution, and (B,) values."""
        given, value = outputs.tensor_split([-1], dim=1)
        if self.log_deviation is not None:
            given = torch.cat([given, self.log_deviation.expand(given.shape[0], -1)], dim=1)
        return given, value[:, 0]


def _initialise(network: nn.Module, gain: float) -> None:
    """Orthogonal weights, which are small in the last layer: the policy begins near the uniform one.

    Andrychowicz et al. 2021, "What matters for on-policy deep actor-critic methods?", choices C56 to C58.
    """
    layers = [each for each in network.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    gains = dict.fromkeys(layers, math.sqrt(2.0)) | {layers[-1]: gain}
    cells = [each for each in network.modules() if isinstance(each, Cell)]
    gains |= {layer: 1.0 for cell in cells for layer in cell.children()}
    for layer in layers:
        nn.init.orthogonal_(layer.weight, gains[layer])
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    for cell in cells:
        cell.remember()
