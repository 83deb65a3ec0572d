"""What may be searched of an agent's settings, told where each is: `tau: Annotated[float, Range(0.1, 1.0)]`.

Nothing is searched here, and no agent knows how: `searchable` finds the marks, whoever tunes makes of them
what it needs. A mark says where good values may be expected, not what is allowed. Settings that an agent has
from another one and does not use stand in its class's `unused`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from .schedules import Schedule


@dataclass(frozen=True)
class Range:
    """All values from `low` to `high`, whole numbers where both are.

    Raises:
        ValueError: for a range that holds nothing to choose from, or is logarithmic and begins at 0.
    """

    low: float
    high: float
    log: bool = False
    """Whether the ratio of two values says how far they are apart, and not their difference."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        if not self.low < self.high or self.log and self.low <= 0:
            raise ValueError(f"a range goes upwards, a logarithmic one from above 0; got {self}")

    def __contains__(self, other: Any) -> bool:
        """Whether a value, or all values of another range, lie in this one."""
        values = (other.low, other.high) if isinstance(other, Range) else (other,)
        return all(self._holds(value) for value in values)

    def _holds(self, value: Any) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and not (self.whole and isinstance(value, float))

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        """In words."""
        return f"{self.low:g} .. {self.high:g}{', logarithmic' if self.log else ''}"


class Choices:
    """A few values; without any, all that the setting's type names (`bool`, `Literal`).

    Args:
        *values: what JSON can hold; tuples where the setting is one.
    """

    def __init__(self, *values: Any) -> None:
        self.values = values

    @property
    def by_label(self) -> dict[str, Any]:
        """The values by what they are called."""
        return {value if isinstance(value, str) else json.dumps(value): value for value in self.values}

    def __contains__(self, value: Any) -> bool:
        """Whether a value is among them."""
        return any(value == each and type(value) is type(each) for each in self.values)

    def __eq__(self, other: object) -> bool:
        """Whether it is of the same values."""
        return isinstance(other, Choices) and self.values == other.values

    def __hash__(self) -> int:
        """The hash of its values."""
        return hash(self.values)

    def __str__(self) -> str:
        """In words."""
        return ", ".join(self.by_label)


Searched: TypeAlias = Range | Choices
"""What a setting may be while it is searched."""


class Parts:
    """Marks of a setting's own settings, such as those of a schedule.

    Args:
        **marks: field to its range or choices.
    """

    def __init__(self, **marks: Searched) -> None:
        self.marks = marks


def searchable(config: type) -> dict[str, Searched]:
    """What may be searched of some settings.

    Args:
        config: a dataclass, of an agent of others, too; what its own dataclasses mark counts as well.

    Returns:
        Names as of flags, `exploration.start`, to what they may be.
    """
    return dict(_marks(config, ""))


def _marks(config: type, prefix: str) -> Iterator[tuple[str, Searched]]:
    hints = get_type_hints(config, include_extras=True)
    unused = getattr(config, "unused", ())
    for field in (each for each in dataclasses.fields(config) if each.name not in unused):
        name, hint = prefix + field.name.replace("_", "-"), hints[field.name]
        kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        for mark in notes:
            if isinstance(mark, Parts):
                yield from ((f"{name}.{part.replace('_', '-')}", each) for part, each in mark.marks.items())
            elif isinstance(mark, Range):
                yield name, mark
            elif isinstance(mark, Choices):
                yield name, mark if mark.values else Choices(*_all_of(kind))
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            yield from _marks(kind, f"{name}.")


def _all_of(kind: Any) -> tuple[Any, ...]:
    """The values of a type that has few."""
    return (False, True) if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()


def current(config: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """What some settings are now.

    Args:
        config: whose.
        names: as `searchable` has them.

    Returns:
        Those that matter: a schedule of no steps never has the value at its start.
    """
    found = {}
    for name in names:
        *groups, last = name.replace("-", "_").split(".")
        value = config
        for group in groups:
            value = getattr(value, group)
        if not (isinstance(value, Schedule) and value.steps == 0 and last == "start"):
            found[name] = getattr(value, last)
    return found


# --- What several agents have ------------------------------------------------------------------------------

Discount = Annotated[float, Choices(0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)]
"""How much a reward counts that comes a step later."""
StepSize = Annotated[Schedule, Parts(start=Range(1e-4, 1e-2, log=True), end=Range(1e-6, 1e-3, log=True))]
"""Of an optimiser of networks."""
Exploration = Annotated[Schedule, Parts(start=Range(0.05, 1.0), end=Range(0.002, 0.2, log=True))]
"""Share of actions that are taken at random."""
GradientLength = Annotated[float, Range(0.25, 10.0, log=True)]
"""To which gradients are shortened."""
