"""What a world declares beside its info fields: measures, what encoders may predict, and events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from numpy.typing import NDArray

How: TypeAlias = Literal["any", "sum", "last", "mean", "max"]


def _check_name(kind: str, name: str) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise ValueError(f"{kind}'s name is letters, digits and underscores, as in own_fault; got {name!r}")


class Played(NamedTuple):
    """What is known of E episodes that are over."""

    counted: Mapping[str, NDArray[Any]]
    """Name to (E,) values: `return`, `length`, and what was counted of the infos."""
    config: Any
    """The world's config."""
    best: Mapping[str, NDArray[Any]] | None = None
    """The same as `counted`, of the world's best reference in the same episodes, where it has played them."""


@dataclass(frozen=True)
class Measure:
    """What an episode is measured by: a field of the infos, or what is made of several.

    Raises:
        ValueError: for a name that can't be a column's, or where neither `how` nor `of` is given.
    """

    name: str
    """The field's, and the column's in files."""
    how: How | None = None
    """How an episode sums up its steps: whether it is so in `any` of them (0 or 1), their `sum`, `mean` or
    `max`, or the `last` one's. A step whose info lacks the field counts as 0. None: nothing is counted."""
    title: str = ""
    """Head of its column; without one, the name."""
    note: str = ""
    """What it is, in a line that begins in lower case and ends without a full stop."""
    share: bool = False
    """Whether it is a share from 0 to 1, shown in percent."""
    better: bool | None = None
    """Whether more of it is better; None where neither is."""
    progress: bool = False
    """Whether it stands on the line that shows how training goes on."""
    told: bool = True
    """Whether it is shown; False for what is counted only to make others of it."""
    of: Callable[[Played], NDArray[Any] | None] | None = None
    """Makes the values that are told of what was counted; None where they are not known. They may be fewer
    than the episodes."""

    def __post_init__(self) -> None:
        """Checks the fields, and gives it a title."""
        _check_name("a measure", self.name)
        known = get_args(How)
        if self.how not in known and (self.how is not None or self.of is None):
            raise ValueError(f"measure {self.name}: how is one of {', '.join(known)}; got {self.how!r}")
        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))


SUCCESS = Measure(
    "success",
    "any",
    note="share of episodes that came to the end that was wanted",
    share=True,
    better=True,
    progress=True,
)
COST = Measure("cost", "sum", title="harm", note="the mean harm done in an episode", better=False)


BY_NAME = (SUCCESS, COST)
"""Measured wherever infos have them, without being declared."""
TAKEN = {"return", "length", "step", "episodes", "generation", "seconds", "steps_per_second"}
"""Names that no world may declare: what all are measured by, and what else `metrics.csv` has columns of."""


def check_measures(measures: Sequence[Measure]) -> None:
    """Checks what a world declares.

    Raises:
        ValueError: one line, when a name stands there twice, or is taken.
    """
    names = [measure.name for measure in measures]
    if taken := TAKEN.intersection(names):
        raise ValueError(f"the world can't declare a measure {min(taken)}: the name is taken")
    if len(set(names)) < len(names):
        raise ValueError(f"the world declares a measure twice: {', '.join(names)}")


@dataclass(frozen=True)
class Cost:
    """What a world tells apart beside its reward, so that somebody may say what it counts.

    Raises:
        ValueError: for a name that can't be a column's.
    """

    name: str
    """Of an info field: how much of it a step costs, at least 0."""
    note: str
    """What it is, in a line that begins in lower case and ends without a full stop."""
    in_reward: bool = False
    """Whether the reward tells it too: who learns from that alone keeps it low."""

    def __post_init__(self) -> None:
        """Checks the name."""
        _check_name("a cost", self.name)


@dataclass(frozen=True)
class Target:
    """What a world can tell of its states that encoders may learn to predict from observations.

    Raises:
        ValueError: for a name that can't be a column's.
    """

    name: str
    note: str
    """What it is, in a line that begins in lower case and ends without a full stop."""
    of: Callable[[Any, NDArray[Any]], NDArray[Any]]
    """`(params, state) -> (N,) float32`, of (N,) records, to which it must not write."""
    low: float = -math.inf
    high: float = math.inf
    """Between which numbers its values lie, as `check_world` makes sure."""

    def __post_init__(self) -> None:
        """Checks the name."""
        _check_name("a target", self.name)


@dataclass(frozen=True)
class Event:
    """What is so before a step, or happens in it; of such events rules are made.

    Raises:
        ValueError: for a name that can't be a column's.
    """

    name: str
    words: str
    """A clause in the present tense that begins in lower case and ends without a full stop, such as
    `a siren is heard`."""
    of: Callable[[Any, NDArray[Any], NDArray[Any]], NDArray[Any]]
    """`(params, before, after) -> (N,) bool`, of the (N,) records before a step and after it, to which it
    must not write."""

    def __post_init__(self) -> None:
        """Checks the name."""
        _check_name("an event", self.name)
