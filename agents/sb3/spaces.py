"""What stable-baselines3 sees of the spaces of an environment, and the way there and back.

It counts from 0, knows several numbers in one row only, and advises to scale actions of a Box to -1 .. 1: the
Gaussians of its actors begin there, whatever the bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from numpy.typing import NDArray

from ..spaces import Combined, widths


class Codec:
    """What stable-baselines3 sees of a space; here: the space as it is.

    Attributes:
        space: what it sees.
        is_number: whether the environment's own space is one number.
    """

    def __init__(self, space: Space, seen: Space | None = None) -> None:
        self.space = space if seen is None else seen
        self.is_number = isinstance(space, Discrete)

    def encode(self, values: NDArray) -> NDArray:
        """(B, ...) values of the environment as stable-baselines3 has them."""
        return values

    def decode(self, values: NDArray) -> NDArray:
        """(B, ...) values of stable-baselines3 as the environment has them."""
        return values


class Counted(Codec):
    """Numbers from anywhere and in any shape, which it sees from 0 and in a row."""

    def __init__(self, space: Discrete | MultiDiscrete | MultiBinary) -> None:
        single = isinstance(space, Discrete)
        super().__init__(space, Discrete(int(space.n)) if single else MultiDiscrete(widths(space) or []))
        self._start, self._shape, self._dtype = getattr(space, "start", 0), space.shape or (), space.dtype

    def encode(self, values: NDArray) -> NDArray:
        """See `Codec.encode`."""
        return (np.asarray(values, np.int64) - self._start).reshape(len(values), *(self.space.shape or ()))

    def decode(self, values: NDArray) -> NDArray:
        """See `Codec.decode`."""
        return (values.reshape(len(values), *self._shape) + self._start).astype(self._dtype)


class Parted(Counted):
    """A number that stands for several, which it sees."""

    def __init__(self, space: Combined) -> None:
        super().__init__(space.parts)
        self._combined, self.is_number = space, True

    def decode(self, values: NDArray) -> NDArray:
        """See `Codec.decode`."""
        return self._combined.join(super().decode(values))


class Scaled(Codec):
    """Actions of a Box with bounds, which it sees as a row of numbers from -1 to 1."""

    def __init__(self, space: Box) -> None:
        self._box = space
        low, high = space.low.ravel(), space.high.ravel()
        if np.issubdtype(low.dtype, np.integer):  # modulo 2**64 every difference of two integers is exact
            low, high = low.astype(np.uint64), high.astype(np.uint64)
        else:
            low, high = low.astype(np.float64), high.astype(np.float64)
        self._low, self._span = low, high - low
        super().__init__(space, Box(-1.0, 1.0, low.shape))

    def decode(self, values: NDArray) -> NDArray:
        """See `Codec.decode`; what lies outside the bounds is taken to the nearest."""
        share = 0.5 + 0.5 * np.clip(values.reshape(len(values), -1).astype(np.float64), -1.0, 1.0)
        above = self._span * share
        if self._span.dtype == np.uint64:
            whole = (above := np.rint(above)) >= self._span.astype(np.float64)  # which may be rounded up
            above = np.where(whole, self._span, np.where(whole, 0, above).astype(np.uint64))
        return (self._low + above).astype(self._box.dtype).reshape(len(values), *self._box.shape)


def _is_plain(space: Any) -> bool:
    """Whether numbers are counted from 0 and stand in a row already."""
    return not np.any(getattr(space, "start", 0)) and len(space.shape or ()) <= 1


def counted(space: Space) -> Codec:
    """How a space is seen if nothing but the counting of numbers changes."""
    if isinstance(space, Discrete | MultiDiscrete) and not _is_plain(space):
        return Counted(space)
    return Codec(space)


def observations_codec(space: Space) -> Codec:
    """How observations are seen.

    Raises:
        ValueError: for those that it can't see.
    """
    if not isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete):
        raise ValueError("it needs observations that are arrays or numbers")
    return counted(space)


def actions_codec(space: Space, *, joint: bool = False) -> Codec:
    """How actions are seen: numbers as Discrete, several numbers or bits as MultiDiscrete, a Box as a Box.

    Args:
        space: of the environment.
        joint: whether a number that stands for several is seen as it is.

    Raises:
        ValueError: for those that it can't choose.
    """
    if isinstance(space, Combined) and not joint:
        return Parted(space)
    if isinstance(space, Discrete):
        return Codec(space, Discrete(int(space.n))) if _is_plain(space) else Counted(space)
    if isinstance(space, MultiDiscrete | MultiBinary):
        return Counted(space)
    if isinstance(space, Box) and space.is_bounded():
        return Scaled(space)
    raise ValueError("it needs Discrete, MultiDiscrete, MultiBinary or Box actions, the latter with bounds")
