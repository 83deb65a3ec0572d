"""Spaces that agents do not take as they are, made into ones that they do.

`adapted` wraps one environment, in a fixed order, before it becomes part of a batch: everything that a batch
shows (true successors, masks, pictures) is then that of the spaces which agents are made for.

- MultiDiscrete and MultiBinary actions become one number, if there are at most `MOST_COMBINATIONS`.
- Dict and Tuple observations become one vector, as Gymnasium flattens them.

Both remember what they were made of: a policy that chooses the parts of an action may do so, and a table
finds the number of an observation that has finitely many values (`numbering`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple, flatten_space
from gymnasium.wrappers import FlattenObservation
from numpy.typing import NDArray

Multi: TypeAlias = MultiDiscrete | MultiBinary

MOST_COMBINATIONS = 4096
"""Actions of several parts are seen as one number if there are no more of them."""
MOST_COLUMNS = 10_000
"""Values of a Discrete observation, each of which is a column of all samples: so 4 GB of 100,000 samples."""
MOST_NUMBERS = 2**62
"""Observations of more values have no number."""
LONGEST = 100
"""Characters of a space in a message, at most."""


def describe(space: Space) -> str:
    """A space in one short line."""
    text = " ".join(str(space).split())
    if len(text) <= LONGEST:
        return text
    if isinstance(space, Box):
        return f"Box({space.shape}, {space.dtype})"
    return f"{text[:LONGEST]}..."


# --- Parts and numbers ----------------------------------------------------------------------------------


def widths(space: Space) -> list[int] | None:
    """How many values each part of a space has, as Gymnasium orders them when it flattens; None: no end."""
    if isinstance(space, Discrete):
        return [int(space.n)]
    if isinstance(space, MultiDiscrete):
        return space.nvec.ravel().tolist()
    if isinstance(space, MultiBinary):
        return [2] * math.prod(space.shape)
    if isinstance(space, Flattened):
        return widths(space.source)
    if isinstance(space, Dict | Tuple):
        parts = [widths(part) for part in (space.values() if isinstance(space, Dict) else space)]
        return None if None in parts else [*itertools.chain(*parts)]  # type: ignore[arg-type]
    return None


def _strides(counts: Sequence[int]) -> list[int]:
    """By how much the number grows with each part, the last one running fastest."""
    return [*itertools.accumulate(reversed(counts[1:]), lambda a, b: a * b, initial=1)][::-1]


class Combined(Discrete):
    """Actions of several parts as one number from 0.

    Attributes:
        parts: the space of the parts.
    """

    def __init__(self, parts: Multi) -> None:
        self.parts = parts
        self._widths = widths(parts) or []
        super().__init__(math.prod(self._widths))

    def split(self, numbers: Any) -> NDArray:
        """The parts (..., *shape) of (...) numbers."""
        rows = np.stack(np.unravel_index(np.asarray(numbers), self._widths), axis=-1)
        rows = rows.reshape(*np.shape(numbers), *self.parts.shape) + getattr(self.parts, "start", 0)
        return rows.astype(self.parts.dtype)

    def join(self, actions: NDArray) -> NDArray[np.int64]:
        """The (B,) numbers of (B, *shape) parts."""
        rows = (np.asarray(actions) - getattr(self.parts, "start", 0)).reshape(len(actions), -1)
        return np.ravel_multi_index(tuple(rows.T.astype(np.int64)), self._widths).astype(np.int64)

    def mask(self, masks: NDArray | tuple[NDArray, ...]) -> NDArray[np.int8]:
        """The (n,) mask of the numbers for the masks of all parts, one after another.

        Raises:
            ValueError: for a mask of another length.
        """
        if isinstance(masks, tuple):  # as `MultiDiscrete.sample` takes them
            masks = np.concatenate([np.ravel(each) for each in masks])
        if np.shape(masks) != (sum(self._widths),):
            raise ValueError(
                f"a mask of {describe(self.parts)} has {sum(self._widths)} numbers, those of all parts one "
                f"after another; got the shape {np.shape(masks)}"
            )
        each = np.split(np.asarray(masks) != 0, np.cumsum(self._widths)[:-1])
        return reduce(np.logical_and.outer, each).ravel().astype(np.int8)

    def __repr__(self) -> str:
        return f"Discrete({self.n}) of {self.parts}"


class Flattened(Box):
    """Dict or Tuple observations as one vector, as Gymnasium flattens them.

    Attributes:
        source: what was flattened.
    """

    def __init__(self, source: Dict | Tuple) -> None:
        flat = flatten_space(source)
        assert isinstance(flat, Box)
        super().__init__(flat.low, flat.high, flat.shape, flat.dtype)  # type: ignore[arg-type]
        self.source = source


class Numbering(NamedTuple):
    """What makes a number from 0 of an observation that has finitely many values."""

    size: int
    """How many there are."""
    first: int
    """What the lowest one would be without it."""
    weights: NDArray[np.int64] | None
    """What each component counts for; None: the observation is a number."""

    def __call__(self, obs: NDArray) -> NDArray[np.int64]:
        """(B,) numbers of (B, ...) observations."""
        numbers = np.ascontiguousarray(obs, np.int64)
        if self.weights is not None:
            numbers = numbers.reshape(len(numbers), -1) @ self.weights
        return numbers - self.first if self.first else numbers


def numbering(space: Space) -> Numbering | None:
    """What makes numbers of a space's observations; None if they are not finitely many, or too many."""
    counts = widths(space)
    size = math.prod(counts or [0])
    if not 0 < size <= MOST_NUMBERS:
        return None
    if isinstance(space, Discrete):
        return Numbering(size, int(space.start), None)
    strides = np.array(_strides(counts or []))
    if isinstance(space, Flattened):
        return Numbering(size, 0, np.array([*_flat_weights(space.source, iter(strides.tolist()))]))
    start = np.ravel(getattr(space, "start", np.zeros(len(strides), np.int64)))
    return Numbering(size, int(start @ strides), strides)


def _flat_weights(space: Space, strides: Any) -> list[int]:
    """What each component of a flattened space counts for: of a number's zeros and its one, the one."""
    if isinstance(space, Dict | Tuple):
        parts = space.values() if isinstance(space, Dict) else space
        return [weight for part in parts for weight in _flat_weights(part, strides)]
    counts = widths(space) or []
    if isinstance(space, MultiBinary):
        return [next(strides) for _ in counts]
    return [value * stride for width in counts for stride in [next(strides)] for value in range(width)]


# --- Environments ---------------------------------------------------------------------------------------


class CombineActions(gym.Wrapper):
    """An environment whose actions of several parts are one number; masks of the parts are of the number."""

    action_space: Combined

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.action_space = Combined(env.action_space)  # type: ignore[arg-type]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begins an episode; see `Env.reset`."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._told(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes a step with the parts of a number; see `Env.step`."""
        obs, reward, terminated, truncated, info = self.env.step(self.action_space.split(int(action)))
        return obs, reward, terminated, truncated, self._told(info)

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        mask = info.get("action_mask")
        return info if mask is None else info | {"action_mask": self.action_space.mask(mask)}


class FlattenedObservation(FlattenObservation):
    """Gymnasium's wrapper, whose space remembers what was flattened."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.observation_space = Flattened(env.observation_space)  # type: ignore[arg-type]


def adapted(env: gym.Env) -> gym.Env:
    """One environment with the spaces that agents are made for; the same where nothing needs adapting."""
    actions = env.action_space
    if isinstance(actions, Multi) and math.prod(widths(actions) or [0]) <= MOST_COMBINATIONS:
        env = CombineActions(env)
    if isinstance(env.observation_space, Dict | Tuple) and _is_flat(env.observation_space):
        env = FlattenedObservation(env)
    return env


def _is_flat(space: Space) -> bool:
    """Whether Gymnasium flattens a space; of nothing it can make no vector."""
    if isinstance(space, Dict | Tuple):
        return len(space) > 0 and all(map(_is_flat, space.values() if isinstance(space, Dict) else space))
    try:
        return space.is_np_flattenable
    except NotImplementedError:  # a space of somebody else's
        return False


def check_shown(name: str, space: Space) -> None:
    """Refuses observations that no agent can use.

    Raises:
        ValueError: one line, with the environment's name.
    """
    if not isinstance(space, Box | Discrete | MultiBinary | MultiDiscrete):
        raise ValueError(
            f"{name} has {type(space).__name__} observations that can't be used ({describe(space)}); agents "
            "take Box, Discrete, MultiDiscrete and MultiBinary ones, and non-empty Dict and Tuple of these"
        )


# --- Grids and tables -------------------------------------------------------------------------------------

PLANES_LAST = (1, 3, 4)
"""A grid's last axis is taken for its planes if it has one of these lengths; otherwise the first one is."""


def is_grid(space: Space) -> TypeGuard[Box]:
    """Whether observations are planes of cells: arrays of three axes."""
    return isinstance(space, Box) and len(space.shape) == 3


def is_table(space: Space, num_actions: int) -> TypeGuard[Box]:
    """Whether observations are tables with as many rows as there are actions, taken for one a row."""
    return isinstance(space, Box) and len(space.shape) == 2 and space.shape[0] == num_actions


# --- How large things are ---------------------------------------------------------------------------------

KNOWN = 1e6
"""Larger bounds tell nothing of how large a component is."""
GAIN = 16.0
"""Columns of a table are stretched to this, since rows compete by differences far smaller than the bounds."""


def column_scales(table: Box) -> NDArray[np.float64]:
    """(F,) factors that stretch the columns of a table to `GAIN`; 0 for columns without known bounds."""
    largest = bounds(table).max(axis=0)
    return np.where((largest > 0) & (largest < KNOWN), GAIN / largest.clip(1e-6), 0.0)


def sizes(space: Box | MultiBinary | MultiDiscrete) -> NDArray[np.float64]:
    """(D,) how large each component gets; 1 where it has no bound, or one that tells nothing."""
    largest = bounds(space).ravel()
    return np.where((largest > 0) & (largest < KNOWN), largest, 1.0)


def bounds(space: Box | MultiBinary | MultiDiscrete) -> NDArray[np.float64]:
    """The larger bound of each component, in the shape of the space; of choices the largest and 1 more.

    A choice from 0 is thus as large as it has values.
    """
    if isinstance(space, MultiBinary):
        return np.ones(space.shape)
    if isinstance(space, MultiDiscrete):
        low = space.start.astype(np.float64)
        return np.maximum(np.abs(low), np.abs(low + space.nvec - 1)) + 1
    return np.maximum(np.abs(space.low.astype(np.float64)), np.abs(space.high.astype(np.float64)))
