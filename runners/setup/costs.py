"""What costs count: weights of what a world tells apart, and a limit that is to be kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ...checking import did_you_mean
from ...envs.core.measures import Cost


class Limit(NamedTuple):
    """What an episode may cost at most, in the mean."""

    cost: str
    most: float

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"{self.cost}<={self.most:g}"


def read_weights(text: str, costs: Sequence[Cost]) -> dict[str, float]:
    """Reads weights such as `harm_outside=10,harm_aboard=3`.

    Args:
        text: names and numbers.
        costs: what the world declares.

    Returns:
        Names to numbers, those that are named.

    Raises:
        ValueError: one line, for a cost that the world does not tell, or what is no weight.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        _check_told(name, costs)
        if not equals or name in found:
            raise ValueError(f"weights are written as {name}=10, each once; got {text!r}")
        found[name] = _number(value, f"the weight of {name}")
    return found


def read_limit(text: str, costs: Sequence[Cost]) -> Limit:
    """Reads a limit such as `harm_outside<=0.01`.

    Args:
        text: a cost's name, and what an episode may cost at most, in the mean.
        costs: what the world declares.

    Raises:
        ValueError: one line, for a cost that the world does not tell, or what is no limit.
    """
    name, sign, value = (each.strip() for each in text.partition("<="))
    if not sign:
        raise ValueError(f"a constraint is written as harm<=0.01; got {text!r}")
    _check_told(name, costs)
    return Limit(name, _number(value, f"the limit of {name}"))


def _check_told(name: str, costs: Sequence[Cost]) -> None:
    names = [cost.name for cost in costs]
    if not names:
        raise ValueError(
            "weights and constraints need a world that tells costs apart, such as tram; this one tells none"
        )
    if name not in names:
        near = did_you_mean(name, names, f"it tells {', '.join(names)}")
        raise ValueError(f"the world tells no cost {name!r}{near}")


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{what} is a number of at least 0; got {text!r}")
    return value
