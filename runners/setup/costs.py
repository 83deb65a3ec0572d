"""What costs count: the weights that somebody gives to what a world tells apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...checking import did_you_mean
from ...envs.core.measures import Cost


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
    names = [cost.name for cost in costs]
    if not names:
        raise ValueError("weights need a world that tells costs apart, such as tram; this one tells none")
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if name not in names:
            near = did_you_mean(name, names, f"it tells {', '.join(names)}")
            raise ValueError(f"the world tells no cost {name!r}{near}")
        if not equals or name in found:
            raise ValueError(f"weights are written as {names[0]}=10, each once; got {text!r}")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not 0 <= found[name] < math.inf:
            raise ValueError(f"the weight of {name} is a number of at least 0; got {value!r}")
    return found
