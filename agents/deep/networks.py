"""Networks of action values, chosen by the space of observations.

Every network maps (B, ...) observations, as the environment gives them and in their own dtype, to (B, A)
float32 action values. A `Torso` makes features of observations; a head makes action values of features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray
from torch import Tensor, nn

from ...checking import load_object
from ..spaces import PLANES_LAST, describe, is_grid, is_table, sizes
from .net_config import NetworkConfig
from .planes import Planes, PlanesLinear, by_columns
from .recurrent import CELLS, Recurrent

SMALL = 8
"""A picture is made smaller by convolutions of stride 2 until no side is longer than this."""


def make_network(
    observation_space: Space, num_actions: int, config: NetworkConfig, frames: int = 1
) -> nn.Module:
    """Builds a network of action values; with a memory it is a `Recurrent` one.

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
    if config.memory != "none" and kind not in ("mlp", "cnn"):
        raise ValueError(f"network {kind} can't remember; with net.memory, net.kind is mlp or cnn")
    if ":" in kind:
        network = _import(kind)(observation_space, num_actions)
    elif kind == "sites":
        if not is_table(observation_space, num_actions):
            raise ValueError(
                "a network of sites needs a Box (sites, features) and as many actions; got "
                f"{describe(observation_space)} and {num_actions} actions"
            )
        from .site_network import SiteNetwork

        network = SiteNetwork(observation_space, config)
    else:
        torso = Torso(observation_space, config, kind)
        network = nn.Sequential(torso, Head(torso.width, num_actions, dueling=config.dueling))
    _check(network, kind, observation_space, num_actions)
    if config.memory == "none":
        return network
    torso, head = network.children()
    width = config.hidden[-1]
    return Recurrent(torso, CELLS[config.memory](width, width), head)


def choose_kind(space: Space, num_actions: int) -> str:
    """The network that suits a space: pictures a cnn, a table with a row an action `sites`, the rest mlp."""
    if is_grid(space):
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
            raise ValueError(f"frames above 1 need Box observations; got {describe(space)}")
        axes = len(space.shape)
        self.last = is_grid(space) and space.shape[2] in PLANES_LAST
        shape = (space.shape[2], *space.shape[:2]) if self.last else space.shape
        shape = (frames, *shape) if axes == 2 else (frames * shape[0], *shape[1:]) if axes else (frames,)
        low, high = space.low.min(), space.high.max()
        self.space = Box(low, high, shape, space.dtype)  # type: ignore[arg-type]

    def forward(self, obs: Tensor) -> Tensor:
        """(B, frames, ...) to (B, ...) of `space`."""
        if self.last:
            obs = obs.permute(0, 1, 4, 2, 3)
        return obs.reshape(obs.shape[0], *self.space.shape)


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
        self.planes: Planes | None = None
        kind = kind or ("cnn" if is_grid(space) else "mlp")
        if kind == "cnn" and not is_grid(space):
            raise ValueError(f"a cnn needs observations of three axes; got {describe(space)}")
        if config.planes is not None and not is_grid(space):
            raise ValueError(f"net.planes are for observations of three axes; got {describe(space)}")
        if isinstance(space, Discrete):
            first, *rest = config.hidden
            parts: list[nn.Module] = [
                Numbers(space, first),
                *_after(first, config),
                *_layers(first, rest, config),
            ]
        elif is_grid(space):
            grid = Grid(space, config)
            body = Convolutions(grid, config) if kind == "cnn" else Flat(grid)
            layers = _layers(body.width, config.hidden, config)
            parts = [grid, body, *layers]
            if isinstance(body, Flat) and space.dtype == np.uint8:
                self.planes = Planes(_where(grid, body, space), grid.scale)
        elif isinstance(space, Box | MultiBinary | MultiDiscrete):
            parts = [Vector(space), *_layers(math.prod(space.shape), config.hidden, config)]
        else:
            raise ValueError(
                f"no network fits observations of {describe(space)}: Box, Discrete and Multi... ones do"
            )
        self.parts = nn.Sequential(*parts)
        self.width = config.hidden[-1]
        if self.planes is not None or isinstance(parts[0], Vector):  # what `Perceptron` compiles
            for part in parts:
                if isinstance(part, nn.Linear):
                    by_columns(part)

    def forward(self, obs: Tensor) -> Tensor:
        """(B, ...) observations to (B, width) features."""
        if self.planes is None or obs.device.type != "cpu" or obs.dtype != torch.uint8:
            return self.parts(obs)
        if torch.is_grad_enabled():
            self.planes.meet(obs)
        if not self.planes.sparse:
            return self.parts(obs)
        _, _, first, *rest = self.parts
        features = PlanesLinear.apply(first.weight, first.bias, obs, self.planes)
        for part in rest:
            features = part(features)
        return features


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
        self.last = space.shape[2] in PLANES_LAST
        count, *sides = (space.shape[2], *space.shape[:2]) if self.last else space.shape
        chosen = tuple(range(count)) if config.planes is None else config.planes
        if chosen and max(chosen) >= count:
            raise ValueError(
                f"there are {count} planes; net.planes names {max(chosen)} (None takes all planes)"
            )
        others = [plane for plane in range(count) if plane not in chosen]
        self.planes, self.numbers, self.sides = len(chosen), len(others), tuple(sides)
        self.scale = float(_scales(space).min())
        self.register_buffer("chosen", torch.tensor(chosen, dtype=torch.long), persistent=False)
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


def _where(grid: Grid, flat: Flat, space: Box) -> NDArray[np.int64]:
    """Where the numbers that they make of an observation stand in it."""
    places = torch.arange(math.prod(space.shape)).reshape(1, *space.shape)
    return (flat(grid(places))[0] / grid.scale).round().long().numpy()


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


def saved_usual(network: nn.Module, prefix: str) -> dict[str, NDArray[np.uint8]]:
    """What the first layers of a network take for usual, by where they stand in it; see `Planes`."""
    return {prefix + name: each.usual for name, each in _planes(network) if each.usual is not None}


def load_usual(network: nn.Module, state: Mapping[str, Any], prefix: str) -> None:
    """Takes back what `saved_usual` gave; of what it does not name, the next batch decides.

    Raises:
        ValueError: when it is of other layers.
    """
    for name, each in _planes(network):
        each.take(state.get(prefix + name))


def share_planes(network: nn.Module, other: nn.Module) -> None:
    """Has torsos of two networks, which are of one form, take the same for usual."""
    torsos = ([part for part in each.modules() if isinstance(part, Torso)] for each in (network, other))
    for mine, its in zip(*torsos, strict=True):
        its.planes = mine.planes


def _planes(network: nn.Module) -> Iterator[tuple[str, Planes]]:
    for name, part in network.named_modules():
        if isinstance(part, Torso) and part.planes is not None:
            yield name, part.planes


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
        raise ValueError(
            f"network {kind} fails on {describe(space)}: {' '.join(str(error).split())}"
        ) from None
    if shape != (2, num_actions):
        raise ValueError(
            f"network {kind} gives values of shape {shape} for 2 rows; {(2, num_actions)} is needed"
        )
