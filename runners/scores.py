"""Scores of episodes: their measures, statistics with 95 % intervals, and the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rollout import Episodes

TITLES = {"cost": "harm", "own_fault": "own fault"}
"""How tables call some measures."""

SHARES = ("success", "own_fault")
"""Measures that are shares of episodes, shown in percent."""

RESAMPLES = 2000
"""Bootstrap resamples."""


def statistics(values: NDArray[np.float64]) -> dict[str, Any]:
    """Mean and interquartile mean of (E,) values, each with its 95 % percentile bootstrap interval.

    The interquartile mean drops the lowest and the highest quarter (Agarwal et al. 2021). The resampling is
    seeded, so that equal episodes give equal intervals. Less than two values have no interval (None).
    """
    from scipy.stats import bootstrap, trim_mean

    def interquartile_mean(x: NDArray, axis: int = -1) -> Any:
        return trim_mean(x, 0.25, axis=axis)

    result: dict[str, Any] = {}
    for name, statistic in (("mean", np.mean), ("iqm", interquartile_mean)):
        interval = None
        if len(values) > 1:
            rng = np.random.default_rng(0)
            found = bootstrap(
                (values,), statistic, n_resamples=RESAMPLES, batch=100, method="percentile", rng=rng, axis=-1
            ).confidence_interval
            interval = [float(found.low), float(found.high)]
        result |= {name: float(statistic(values)), f"{name}_95": interval}
    return result


def score(episodes: Episodes) -> dict[str, dict[str, Any]]:
    """Statistics of each measure."""
    return {name: statistics(values) for name, values in episodes.measures.items()}


def print_table(title: str, scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Prints one row an agent: means, their 95 % intervals below, the return's interquartile mean."""
    from rich.console import Console
    from rich.table import Table

    names = list(dict.fromkeys(name for each in scores.values() for name in each))
    table = Table(title=title, title_justify="left", caption="mean, 95 % bootstrap interval below it")
    table.add_column("agent", overflow="fold")
    for name in names:
        table.add_column(TITLES.get(name, name), justify="right")
        if name == "return":
            table.add_column("return IQM", justify="right")
    for agent, each in scores.items():
        cells = []
        for name in names:
            percent = name in SHARES
            cells.append(_cell(each.get(name), "mean", percent))
            if name == "return":
                cells.append(_cell(each.get(name), "iqm", percent))
        table.add_row(agent, *cells)
    Console().print(table)


def _cell(statistic: Mapping[str, Any] | None, name: str, percent: bool) -> str:
    if statistic is None:
        return "-"
    scale, unit = (100, " %") if percent else (1, "")
    text = _short(statistic[name] * scale) + unit
    if (interval := statistic[f"{name}_95"]) is not None:
        text += "\n" + " .. ".join(_short(end * scale) for end in interval)
    return text


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.3f}"


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    print(json.dumps(value, indent=2))
