"""What may be set of a network; light enough for those who build none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ...checking import one_of
from ..ranges import Choices

NETWORKS = ("auto", "mlp", "cnn", "sites")
"""Networks of the project; any other name is one of the user's own, as `package.module:Class`."""
MOST_UNITS = 1 << 14
"""Units of a layer, at most."""


@dataclass(frozen=True)
class NetworkConfig:
    """What a network of action values looks like.

    Raises:
        ValueError: for a layer without units, or a plane that is negative.
    """

    kind: str = "auto"
    """`mlp` (fully connected), `cnn` (convolutions over planes or pixels), `sites` (one score a row of a
    table, whatever their number), `auto` by the space of observations, or a network of your own as
    `package.module:Class`, an nn.Module made by `Class(observation_space, num_actions)`."""
    hidden: Annotated[tuple[int, ...], Choices((64, 64), (128, 128), (256, 256))] = (128, 128)
    """Units of the fully connected layers."""
    channels: tuple[int, ...] = (32, 64)
    """Channels of the convolutions (`cnn`); the last number serves until the picture is small."""
    planes: tuple[int, ...] | None = None
    """Planes of a grid of which places matter; of each other plane the network sees only the cell in the
    middle, which is enough where all cells are equal. None: all planes."""
    layer_norm: bool = False
    """Normalise the units of each hidden layer (Ba et al. 2016)."""
    dueling: bool = False
    """Add up the state's value and the actions' advantages (Wang et al. 2016)."""
    memory: Literal["none", "gru", "lstm"] = "none"
    """What remembers earlier observations (`ppo`, `pqn`; `sb3-recurrent-ppo` has an lstm): a gated recurrent
    unit (Cho et al. 2014) or long short-term memory (Hochreiter & Schmidhuber 1997), with as many units as
    the last layer."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        one_of(self, "memory")
        if self.kind not in NETWORKS and ":" not in self.kind:
            raise ValueError(
                f"net.kind is one of {', '.join(NETWORKS)}, or package.module:Class; got {self.kind!r}"
            )
        for name in ("hidden", "channels"):
            units = getattr(self, name)
            if not units or not all(1 <= each <= MOST_UNITS for each in units):
                raise ValueError(f"net.{name} are layers of 1 to {MOST_UNITS:,} units; got {units}")
        if self.planes and min(self.planes) < 0:
            raise ValueError(f"net.planes count from 0; got {self.planes}")
