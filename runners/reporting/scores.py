"""Scores of episodes: statistics of their measures, and the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...envs.core.measures import Measure
from .measures import STANDARD, Episodes, told
from .statistics import statistics
from .tables import print_rows


def score(
    episodes: Episodes, measures: Sequence[Measure] = STANDARD, config: Any = None
) -> dict[str, dict[str, Any]]:
    """Statistics of each measure that is told of episodes; see `measures.told`."""
    return {name: statistics(each) for name, each in told(episodes.measures, measures, config).items()}


def print_table(
    title: str,
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]],
    note: str = "",
    measures: Sequence[Measure] = STANDARD,
) -> None:
    """Prints one row an agent: means, their 95 % intervals below, the return's interquartile mean (IQM).

    Args:
        title: what was played.
        scores: agent's name to the statistics of its measures; see `score`.
        note: a line below the table, such as the settings under which it was played.
        measures: in the order of columns; where there is no room, the last are left out.
    """
    there = {name for each in scores.values() for name in each}
    columns, rows = ["agent"], [[agent] for agent in scores]
    for measure in (each for each in measures if each.name in there):
        name = measure.name
        columns.append(measure.title)
        for row, each in zip(rows, scores.values(), strict=True):
            row.append(cell(each[name], measure.share) if name in each else "-")
        if name == "return":
            columns.append("IQM")
            for row, each in zip(rows, scores.values(), strict=True):
                row.append(short(each[name]["iqm"]) if name in each else "-")
    print_rows(title, columns, rows, ["Means, with their 95 % bootstrap intervals below them.", note])


def cell(statistic: Mapping[str, Any], share: bool) -> str:
    """A mean, and its interval on the next line; shares in percent."""
    interval = statistic["mean_95"]
    if share:
        below = "" if interval is None else "\n" + "..".join(map(_percent, interval))
        return f"{100 * statistic['mean']:.1f} %{below}"
    below = "" if interval is None else "\n" + "..".join(map(short, interval))
    return short(statistic["mean"]) + below


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.1 else 1}f}"


def short(value: float) -> str:
    """About three significant digits, without an exponent."""
    return f"{value:z.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    print(json.dumps(value, indent=2))
