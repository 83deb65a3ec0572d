"""Whether what was played keeps a limit of what it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..setup.costs import Limit
from .statistics import cost_interval

WORDS = {True: "within it", False: "above it", None: "more episodes would tell"}


def verdict(limit: Limit, measures: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """What episodes cost, beside what they may cost.

    Args:
        limit: the limit.
        measures: name to (E,) values.

    Returns:
        `cost` (its name), `most`, `mean`, `mean_95`, and `kept`: whether the whole interval lies within the
        limit; None where the limit lies within the interval.
    """
    values = measures[limit.cost]
    low, high = cost_interval(values)
    kept = True if high <= limit.most else False if low > limit.most else None
    mean = float(values.mean())
    return {"cost": limit.cost, "most": limit.most, "mean": mean, "mean_95": [low, high], "kept": kept}


def limits_told(limits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each agent's verdict."""
    return [
        f"{agent}: {each['cost']} is {each['mean']:.4g} ({each['mean_95'][0]:.4g}..{each['mean_95'][1]:.4g}) "
        f"and may be {each['most']:g}: {WORDS[each['kept']]}"
        for agent, each in limits.items()
    ]
