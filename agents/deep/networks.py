"""Networks of action values, chosen by the space of observations.

Every network maps (B, ...) observations, as the environment gives them and in their own dtype, to (B, A)
float32 action values. A `Torso` makes features of observations; a head makes action values of features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from torch import Tensor, nn

from ...checking import load_object
from ..spaces import is_table, sizes, told
from .net_config import NetworkConfig

SMALL = 8
"""A picture is made smaller by convolutions of stride 2 until no side is longer than this."""
PICTURE_CHANNELS = (1, 3, 4)
"""A grid's last axis is taken for its planes if it has one of these lengths; otherwise the first one is."""


def make_network(
    observation_space: Space, num_actions: int, config: NetworkConfig, frames: int = 1
) -> nn.Module:
    """Builds a network of action values.

    Args:
        observation_space: of one environment.
        num_actions: A, the number of values a row.
        config: what it looks like.
        frames: observations that it sees at once, as (B, frames, ...), the newest last.

    Raises:
        ValueError: one line, for a space that no network fits, or a network of the user's that fails.
    """
    if frames > 1:
        stack = Stack(observation_space, frames)
        return nn.Sequential(stack, make_network(stack.space, num_actions, config))
    kind = choose_kind(observation_space, num_actions) if config.kind == "auto" else config.kind
    if ":" in kind:
        network = _import(kind)(observation_space, num_actions)
    elif kind == "sites":
        if not is_table(observation_space, num_actions):
            raise ValueError(
                "a network of sites needs a Box (sites, features) and as many actions; got "
                f"{told(observation_space)} and {num_actions} actions"
            )
        from .site_network import SiteNetwork

        network = SiteNetwork(observation_space, config)
    else:
        torso = Torso(observation_space, config, kind)
        network = nn.Sequential(torso, Head(torso.width, num_actions, dueling=config.dueling))
    _check(network, kind, observation_space, num_actions)
    return network


def choose_kind(space: Space, num_actions: int) -> str:
    """The network that suits a space: pictures a cnn, a table with a row an action `sites`, the rest mlp."""
    if isinstance(space, Box) and len(space.shape) == 3:
        return "cnn"
    if is_table(space, num_actions):
        return "sites"
    return "mlp"


class Stack(nn.Module):
    """Several frames as one observation: vectors one after another, pictures as planes one above another.

    Attributes:
        space: of the one observation.

    Raises:
        ValueError: for a space of numbers, which can't be stacked.
    """

    def __init__(self, space: Space, frames: int) -> None:
        super().__init__()
        if not isinstance(space, Box):
            raise ValueError(f"frames above 1 need Box observations; got {told(space)}")
        axes = len(space.shape)
        self.last = axes == 3 and space.shape[2] in PICTURE_CHANNELS
        shape = (space.shape[2], *space.shape[:2]) if self.last else space.shape
        shape = (frames, *shape) if axes == 2 else (frames * shape[0], *shape[1:]) if axes else (frames,)
        low, high = space.low.min(), space.high.max()
        self.space = Box(low, high, shape, space.dtype)  # type: ignore[arg-type]

    def forward(self, obs: Tensor) -> Tensor:
        """(B, frames, ...) to (B, ...) of `space`."""
        if self.last:
            obs = obs.permute(0, 1, 4, 2, 3)
        return obs.reshape(len(obs), *self.space.shape)


class Head(nn.Module):
    """Action values of features.

    Args:
        width: features.
        num_actions: action values.
        dueling: Q = V + A - mean A (Wang et al. 2016, equation 9).
    """

    def __init__(self, width: int, num_actions: int, *, dueling: bool) -> None:
        super().__init__()
        self.advantage = nn.Linear(width, num_actions)
        self.value = nn.Linear(width, 1) if dueling else None

    def forward(self, features: Tensor) -> Tensor:
        """(B, width) to (B, A)."""
        advantage = self.advantage(features)
        if self.value is None:
            return advantage
        return self.value(features) + advantage - advantage.mean(dim=-1, keepdim=True)


class Torso(nn.Module):
    """From (B, ...) observations in their own dtype to (B, width) features.

    Args:
        space: of one observation: Box, Discrete, MultiDiscrete or MultiBinary.
        config: layers.
        kind: `mlp` or `cnn`; by default what suits the space.

    Attributes:
        width: number of features.

    Raises:
        ValueError: one line, for a space that it does not fit.
    """

    def __init__(self, space: Space, config: NetworkConfig, kind: str | None = None) -> None:
        super().__init__()
        kind = kind or ("cnn" if isinstance(space, Box) and len(space.shape) == 3 else "mlp")
        is_grid = isinstance(space, Box) and len(space.shape) == 3
        if kind == "cnn" and not is_grid:
            raise ValueError(f"a cnn needs observations of three axes; got {told(space)}")
        if config.planes is not None and not is_grid:
            raise ValueError(f"net.planes are for observations of three axes; got {told(space)}")
        if isinstance(space, Discrete):
            first, *rest = config.hidden
            parts: list[nn.Module] = [
                Numbers(space, first),
                *_after(first, config),
                *_layers(first, rest, config),
            ]
        elif isinstance(space, Box) and is_grid:
            grid = Grid(space, config)
            body = Convolutions(grid, config) if kind == "cnn" else Flat(grid)
            parts = [grid, body, *_layers(body.width, config.hidden, config)]
        elif isinstance(space, Box | MultiBinary | MultiDiscrete):
            parts = [Vector(space), *_layers(math.prod(space.shape), config.hidden, config)]
        else:
            raise ValueError(
                f"no network fits observations of {told(space)}: Box, Discrete and Multi... ones do"
            )
        self.parts = nn.Sequential(*parts)
        self.width = config.hidden[-1]

    def forward(self, obs: Tensor) -> Tensor:
        """(B, ...) observations to (B, width) features."""
        return self.parts(obs)


def _layers(width: int, hidden: Sequence[int], config: NetworkConfig) -> list[nn.Module]:
    parts: list[nn.Module] = []
    for units in hidden:
        parts += [nn.Linear(width, units), *_after(units, config)]
        width = units
    return parts


def _after(units: int, config: NetworkConfig) -> list[nn.Module]:
    return [nn.LayerNorm(units), nn.ReLU()] if config.layer_norm else [nn.ReLU()]


class Numbers(nn.Module):
    """A number as the row of weights that a one-hot vector would choose."""

    def __init__(self, space: Discrete, width: int) -> None:
        super().__init__()
        self.start = int(space.start)
        self.rows = nn.Embedding(int(space.n), width)
        nn.init.normal_(self.rows.weight, std=1.0 / math.sqrt(width))

    def forward(self, obs: Tensor) -> Tensor:
        """(B,) numbers to (B, width)."""
        # A replay's empty slots hold zeros, and what they are worth is never used.
        return self.rows((obs.long() - self.start).clamp_(0, self.rows.num_embeddings - 1))


class Vector(nn.Module):
    """A flat float vector; a component with finite bounds is divided by the larger of them."""

    scale: Tensor

    def __init__(self, space: Box | MultiBinary | MultiDiscrete) -> None:
        super().__init__()
        self.register_buffer("scale", torch.from_numpy(_scales(space)), persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """(B, ...) to (B, components)."""
        return obs.flatten(1).float() * self.scale


def _scales(space: Box | MultiBinary | MultiDiscrete) -> np.ndarray:
    """One over each component's size."""
    return (1.0 / sizes(space).clip(1e-6)).astype(np.float32)


class Grid(nn.Module):
    """Planes of which places matter, and one number of each other plane.

    Attributes:
        planes: number of the former.
        numbers: number of the latter.
        sides: height and width.
    """

    chosen: Tensor
    others: Tensor

    def __init__(self, space: Box, config: NetworkConfig) -> None:
        super().__init__()
        self.last = space.shape[2] in PICTURE_CHANNELS
        count, *sides = (space.shape[2], *space.shape[:2]) if self.last else space.shape
        chosen = tuple(range(count)) if config.planes is None else config.planes
        if chosen and max(chosen) >= count:
            raise ValueError(
                f"there are {count} planes; net.planes names {max(chosen)} (None takes all planes)"
            )
        others = [plane for plane in range(count) if plane not in chosen]
        self.planes, self.numbers, self.sides = len(chosen), len(others), tuple(sides)
        self.scale = float(_scales(space).min())
        self.register_buffer("chosen", torch.tensor(chosen), persistent=False)
        self.register_buffer("others", torch.tensor(others, dtype=torch.long), persistent=False)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, ...) observations to (B, planes, height, width) and (B, numbers), if there are any."""
        if self.last:
            obs = obs.permute(0, 3, 1, 2)
        if not self.numbers:
            return obs.float() * self.scale, None
        middle = obs[:, :, self.sides[0] // 2, self.sides[1] // 2]
        return (
            obs.index_select(1, self.chosen).float() * self.scale,
            middle.index_select(1, self.others).float() * self.scale,
        )


class Flat(nn.Module):
    """A grid as one vector."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.width = grid.planes * math.prod(grid.sides) + grid.numbers

    def forward(self, grid: tuple[Tensor, Tensor | None]) -> Tensor:
        """A `Grid`'s output to (B, width)."""
        planes, numbers = grid
        return planes.flatten(1) if numbers is None else torch.cat([planes.flatten(1), numbers], dim=1)


class Convolutions(nn.Module):
    """3 x 3 convolutions of the planes, of stride 2 while a side is longer than `SMALL`, and the numbers.

    Attributes:
        width: number of outputs.
    """

    def __init__(self, grid: Grid, config: NetworkConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        planes, sides, channels = grid.planes, grid.sides, list(config.channels)
        while channels or max(sides) > SMALL:
            units = channels.pop(0) if channels else config.channels[-1]
            stride = 2 if max(sides) > SMALL else 1
            padding = 1 if min(sides) < 3 else 0
            layers.append(nn.Conv2d(planes, units, 3, stride, padding))
            sides = tuple((side + 2 * padding - 3) // stride + 1 for side in sides)
            if config.layer_norm:
                layers.append(nn.GroupNorm(1, units))
            layers.append(nn.ReLU())
            planes = units
        self.layers = nn.Sequential(*layers)
        self.width = planes * math.prod(sides) + grid.numbers

    def forward(self, grid: tuple[Tensor, Tensor | None]) -> Tensor:
        """A `Grid`'s output to (B, width)."""
        planes, numbers = grid
        features = self.layers(planes).flatten(1)
        return features if numbers is None else torch.cat([features, numbers], dim=1)


def _import(path: str) -> type:
    try:
        return load_object(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"network {path!r} can't be imported: {' '.join(str(error).split())}") from None


def _check(network: nn.Module, kind: str, space: Space, num_actions: int) -> None:
    """Refuses a network that does not give (B, A) values."""
    obs = torch.from_numpy(np.zeros((2, *(space.shape or ())), space.dtype) + getattr(space, "start", 0))
    try:
        with torch.no_grad():
            shape = tuple(network(obs).shape)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"network {kind} fails on {told(space)}: {' '.join(str(error).split())}") from None
    if shape != (2, num_actions):
        raise ValueError(
            f"network {kind} gives values of shape {shape} for 2 rows; {(2, num_actions)} is needed"
        )
