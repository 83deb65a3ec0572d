"""Scores of episodes: statistics of their measures, and the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...envs.core.measures import Measure
from .measures import STANDARD, Episodes, reported
from .statistics import statistics
from .tables import print_rows


@dataclass(frozen=True)
class Scores:
    """Scores of agents in the same episodes."""

    env: str
    """Id of the environment."""
    episodes: int
    """Episodes of each agent."""
    first_seed: int
    """Episode k began from this plus k."""
    of: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """An agent's name to its measures, and these to their statistics: `mean`, `iqm`, and 95 % intervals."""
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The name of an agent whose run had a constraint to whether it is kept; see `limits.verdict`."""

    def __getitem__(self, agent: str) -> Mapping[str, Mapping[str, Any]]:
        """The statistics of an agent's measures."""
        return self.of[agent]

    @property
    def records(self) -> list[dict[str, str | float | None]]:
        """A plain record for each agent and measure, as `pandas.DataFrame` takes them."""
        records: list[dict[str, str | float | None]] = []
        for agent, measures in self.of.items():
            for measure, statistic in measures.items():
                record: dict[str, str | float | None] = {"agent": agent, "measure": measure}
                for name in ("mean", "iqm"):
                    low, high = statistic[f"{name}_95"] or (None, None)
                    record |= {name: statistic[name], f"{name}_low": low, f"{name}_high": high}
                records.append(record)
        return records

    def plain(self) -> dict[str, Any]:
        """What is written as JSON."""
        seeds = [self.first_seed, self.first_seed + self.episodes - 1]
        plain = {"env": self.env, "episodes": self.episodes, "seeds": seeds, "scores": dict(self.of)}
        return plain | ({"limits": dict(self.limits)} if self.limits else {})


def score(
    episodes: Episodes, measures: Sequence[Measure] = STANDARD, config: Any = None
) -> dict[str, dict[str, Any]]:
    """Statistics of each measure that is told of episodes; see `measures.told`."""
    return {name: statistics(each) for name, each in reported(episodes.measures, measures, config).items()}


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
