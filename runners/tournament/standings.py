"""The standings of a tournament: what all its results come to."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.core.measures import Measure
from ..reporting.measures import measures_of, reported
from ..reporting.statistics import (
    area_under,
    difference_test,
    holm,
    over_runs,
    performance_profile,
    probability_of_improvement,
    statistics,
    tolerance_interval,
    with_interval,
)
from ..setup.resolve import world_class
from ..setup.settings import from_plain
from .fronts import front_of
from .tournament import Entry, Result, Tournament, yardsticks

THRESHOLDS = 101
"""Scores at which performance profiles are told."""


def standings(tournament: Tournament, failures: dict[str, str]) -> dict[str, Any]:
    """Everything that a report tells, as plain values.

    A run's score is the mean return of its evaluation's episodes; normalised, the random agent has 0 and the
    world's best reference 1 in the same episodes. Where the world has no reference, scores are mean returns.

    Args:
        tournament: whose results are read.
        failures: match's name to the reason why it failed.
    """
    results = tournament.results()
    entries = {number: tournament.entries[number] for number in sorted(results)}
    shown = {number: entry for number, entry in entries.items() if entry.shown}
    scale = Scale(tournament, results)
    agents = {entry.name: _agent(entry, results[number], scale) for number, entry in shown.items()}
    scores = {name: _scores(each) for name, each in agents.items()}
    thresholds = _thresholds(list(scores.values()), scale.normalised)
    for name, each in agents.items():
        each["profile"] = with_interval(lambda x: performance_profile(x, thresholds), scores[name])
    trained = [entry.name for entry in shown.values() if entry.kind == "trained"]
    return {
        "env": tournament.environment.id,
        "budget": str(tournament.budget),
        "steps": tournament.budget.steps,
        "seeds": tournament.seeds,
        "episodes": tournament.episodes,
        "reference": scale.reference,
        "measures": {each.name: _described(each) for each in scale.measures if each.told},
        "agents": agents,
        "elsewhere": _elsewhere(list(shown.values())),
        "thresholds": thresholds.tolist(),
        "improvement": {
            x: {y: with_interval(probability_of_improvement, scores[x], scores[y]) for y in trained if y != x}
            for x in trained
        },
        "differences": _differences({name: scores[name][:, 0] for name in trained}),
        "failures": failures,
        "front": front_of(tournament, results),
    }


def _described(measure: Measure) -> dict[str, Any]:
    """How reports show a measure."""
    return {name: getattr(measure, name) for name in ("title", "note", "share", "better")}


def _differences(scores: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, float]]:
    """Of each two agents how probable their difference is among equals, corrected for the number of pairs."""
    found: dict[str, dict[str, float]] = {name: {} for name in scores}
    pairs = list(combinations(scores, 2))
    tests = np.array([difference_test(scores[x], scores[y]) for x, y in pairs])
    for (x, y), p in zip(pairs, holm(tests).tolist(), strict=True):
        found[x][y] = found[y][x] = p
    return found


def _elsewhere(entries: list[Entry]) -> dict[str, str]:
    """Who plays in another world than the first, by name, and what is different there.

    Its episodes are others, and its score is normalised by what random agent and reference do in those.
    """
    usual = next((entry.env for entry in entries if entry.env), {})
    found = {}
    for entry in entries:
        different = [
            f"{name} {value}"
            for name, value in entry.env.items()
            if name != "observation" and value != usual.get(name)
        ]
        if different:
            found[entry.name] = ", ".join(different)
    return found


class Scale:
    """Normalises returns by those of the random agent and the world's best reference in the same episodes."""

    def __init__(self, tournament: Tournament, results: dict[int, dict[int, Result]]) -> None:
        self._environment = tournament.environment
        self.measures = measures_of(world_class(tournament.environment))
        self._by_world: dict[str, dict[str, Result]] = {}
        for number, found in results.items():
            entry = tournament.entries[number]
            if entry.kind == "ready":
                self._by_world.setdefault(entry.world, {})[entry.name] = found[0]
        self.reference = self._best(tournament)
        shown = [(tournament.entries[k], each) for k, found in results.items() for each in found.values()]
        # One scale for all, or none: returns must not stand among normalised scores.
        if any(entry.shown and self.bounds(entry, result) is None for entry, result in shown):
            self.reference = None

    @staticmethod
    def _best(tournament: Tournament) -> str | None:
        for entry in tournament.entries:
            if entry.env:
                config = from_plain(tournament.environment.config, entry.env, entry.name)
                return (*yardsticks(tournament.environment, config), None)[1]
        return None

    @property
    def normalised(self) -> bool:
        """Whether there is a reference."""
        return self.reference is not None

    def bounds(self, entry: Entry, result: Result) -> tuple[float, float] | None:
        """Mean returns of random agent and reference in its episodes; None where they are no scale."""
        if self.reference is None:
            return None
        if result.bounds is not None:
            low, high = result.bounds.tolist()
            return (low, high) if low < high else None
        found = self._by_world.get(entry.world, {})
        if "random" not in found or self.reference not in found:
            return None
        low, high = (float(found[name].measures["return"].mean()) for name in ("random", self.reference))
        return (low, high) if low < high else None

    def score(self, entry: Entry, result: Result, returns: NDArray | float) -> Any:
        """Returns on the scale; as they are where there is no reference."""
        bounds = self.bounds(entry, result)
        if bounds is None:
            return returns
        low, high = bounds
        return (returns - low) / (high - low)

    def reported(self, entry: Entry, result: Result) -> dict[str, NDArray[np.float64]]:
        """An entry's (E,) measures, with those that need a yardstick; replays have episodes of their own."""
        others = {} if entry.kind == "replays" else self._by_world.get(entry.world, {})
        best = others.get(self.reference or "")
        config = from_plain(self._environment.config, entry.env, entry.name)
        return reported(result.measures, self.measures, config, best and best.measures)


def _agent(entry: Entry, results: dict[int, Result], scale: Scale) -> dict[str, Any]:
    """What is told of one entry."""
    runs = []
    for seed, result in sorted(results.items()):
        measures = scale.reported(entry, result)
        curve = np.column_stack([result.curve[:, :2], scale.score(entry, result, result.curve[:, 2])])
        runs.append(
            {
                "seed": seed,
                "score": float(scale.score(entry, result, result.measures["return"].mean())),
                "measures": {name: float(values.mean()) for name, values in measures.items()},
                "steps": result.steps,
                "seconds": result.seconds,
                "finished": result.finished,
                "curve": curve.tolist(),
                "area": area_under(curve[:, [0, 2]]),
            }
        )
    first = next(iter(results.values()))
    found: dict[str, Any] = {"kind": entry.kind, "words": list(entry.words), "runs": runs}
    if len(runs) > 1:
        scores = np.array([run["score"] for run in runs])
        found["score"] = over_runs(scores)
        columns: dict[str, list[float]] = {}  # who never cleared a level has no time to the flag
        for run in runs:
            for name, value in run["measures"].items():
                columns.setdefault(name, []).append(value)
        found["measures"] = {name: over_runs(np.array(values)) for name, values in columns.items()}
    else:  # one run has no spread of its own: that of its episodes is told
        found["score"] = statistics(scale.score(entry, first, first.measures["return"]))
        # In one run the score is a mean: quarters of the episodes are not left out.
        found["score"] |= {"iqm": found["score"]["mean"], "iqm_95": found["score"]["mean_95"]}
        found["measures"] = {
            name: statistics(values) for name, values in scale.reported(entry, first).items()
        }
    found["tolerance"] = tolerance_interval(np.array([run["score"] for run in runs]))
    areas = [run["area"] for run in runs]
    found["area"] = over_runs(np.array(areas)) if None not in areas else None
    found["interval_over"] = "runs" if len(runs) > 1 else "episodes"
    return found


def _scores(agent: dict[str, Any]) -> NDArray[np.float64]:
    """(R, 1) scores of an agent's runs in the one task."""
    return np.array([[run["score"]] for run in agent["runs"]])


def _thresholds(scores: list[NDArray[np.float64]], normalised: bool) -> NDArray[np.float64]:
    """Scores at which profiles are told: from the random agent's to the reference's, and a little beyond."""
    if normalised or not scores:
        return np.linspace(-0.1, 1.1, THRESHOLDS)
    every = np.concatenate(scores)
    margin = 0.05 * (np.ptp(every) or 1.0)
    return np.linspace(every.min() - margin, every.max() + margin, THRESHOLDS)
