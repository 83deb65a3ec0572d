"""The tables of the page of results, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ...agents.registry import agent_specs
from ..reporting.statistics import interquartile_mean, over_runs, with_interval
from ..setup.presets import provenance
from .plan import LEAST, MOST, SHORT, Pair
from .rows import Row

SHARES = "success", "clear", "gap"
"""Measures beside the score, where a world has them; shares, told in percent."""
NOTE = f"""Each run is a line of `results.jsonl`. Seeds: {LEAST}, or {MOST} where a run takes less than
{SHORT:.0f} s, and fewer where the time was over. The score is the interquartile mean over seeds; from {LEAST}
seeds on its 95 % interval stands behind it (stratified bootstrap over seeds: of 5 it holds in nine of ten
cases, of fewer it would be far too narrow). worst: the lowest seed's score; s: seconds of training, the
seeds' median."""

Known = Sequence[tuple[Pair, list[Row]]]


def tables(results: Known) -> Iterator[str]:
    """All tables, each with its heading.

    Args:
        results: pairs, in the order of tables, and their rows.
    """
    there = [(pair, rows) for pair, rows in results if rows]
    presets = [each for each in there if each[0].table == "presets"]
    if presets:
        yield " ".join(NOTE.split())
    for name in dict.fromkeys(pair.config.environment.name for pair, _ in presets):
        own = [(pair, rows) for pair, rows in presets if pair.config.environment.name == name]
        yield f"### `{name}`"
        yield _of_one(own)
        yield from _elsewhere(own)
        yield from _without(name, results)
    defaults = [each for each in there if each[0].table == "defaults"]
    if defaults:
        yield "### One setting over all worlds"
        yield (
            "What an agent comes to with its defaults alone, which no preset has changed. Below `all` "
            "stands the interquartile mean over worlds and seeds, of those that are in all of these worlds."
        )
        yield _over_all(defaults)


def _of_one(results: Known) -> str:
    """Agents in one environment, with the settings that are known to work well there."""
    first = [rows[0].outcome.evaluations[0] for _, rows in results]
    shares = [name for name in SHARES if any(name in each.measures for each in first)]
    head = ["agent", "score", "worst", *shares, "s", "seeds", "settings"]
    body = []
    for pair, rows in results:
        means = {name: _mean(rows, name) for name in shares}
        told = [f"{100 * value:.1f} %" if value is not None else "-" for value in means.values()]
        seconds = median(row.outcome.seconds for row in rows)
        found = provenance(pair.config.environment, pair.config.agent.name)
        ends = f"{min(_scores(rows)):.{_digits(rows)}}", *told, f"{seconds:.0f}", str(len(rows)), found
        body.append([f"`{pair.config.agent.name}`", _score(rows), *ends])
    return _markdown(head, body)


def _elsewhere(results: Known) -> Iterator[str]:
    """The same agents where the world is another one than they were trained in."""
    places = results[0][0].places[1:]
    if places:
        name = results[0][0].config.environment.name
        head = [f"`{name}`, trained as above", *(", ".join(map(str, each.values())) for each in places)]
        ranks = range(1, len(places) + 1)
        body = [
            [f"`{pair.config.agent.name}`", *(_score(rows, rank) for rank in ranks)] for pair, rows in results
        ]
        yield _markdown(head, body)


def _without(name: str, results: Known) -> Iterator[str]:
    """Who has no row in an environment, so that nobody takes the table for all there are."""
    missing = [
        f"`{pair.config.agent.name}`"
        for pair, rows in results
        if not rows and pair.table == "presets" and pair.config.environment.name == name
    ]
    if missing:
        yield f"The time was over before a run of {', '.join(missing)}."


def _over_all(results: Known) -> str:
    """Agents in all worlds with one setting."""
    worlds = list(dict.fromkeys(pair.config.environment.name for pair, _ in results))
    by_agent: dict[str, dict[str, list[Row]]] = {}
    for pair, rows in results:
        by_agent.setdefault(pair.config.agent.name, {})[pair.config.environment.name] = rows
    body = []
    for agent in (spec.name for spec in agent_specs() if spec.name in by_agent):
        found = by_agent[agent]
        cells = [_with_seeds(found[name]) if name in found else "-" for name in worlds]
        body.append(
            [f"`{agent}`", *cells, _aggregate(list(found.values())) if len(found) == len(worlds) else "-"]
        )
    return _markdown(["agent", *(f"`{name}`" for name in worlds), "all"], body)


def _with_seeds(rows: Sequence[Row]) -> str:
    return f"{_score(rows)}, {len(rows)} seed{'s' if len(rows) > 1 else ''}"


def _aggregate(tasks: list[list[Row]]) -> str:
    """The interquartile mean over tasks and as many runs of each as all have; see `statistics`."""
    runs = min(map(len, tasks))
    scores = np.array([_scores(rows)[:runs] for rows in tasks]).T
    mean, *ends = with_interval(interquartile_mean, scores)
    return f"**{mean:.2f}**" + (" ({:.2f} to {:.2f})".format(*ends) if ends and runs >= LEAST else "")


def _scores(rows: Sequence[Row], place: int = 0) -> NDArray[np.float64]:
    """(R,) scores."""
    return np.array([row.outcome.evaluations[place].score for row in rows])


def _mean(rows: Sequence[Row], measure: str) -> float | None:
    """The mean of a measure over seeds; None where not all have it."""
    values = [row.outcome.evaluations[0].measures.get(measure) for row in rows]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _digits(rows: Sequence[Row]) -> str:
    """How scores are written: normalised ones with two digits behind the point, returns with four in all."""
    return "2f" if len(rows[0].outcome.evaluations[0].yardsticks) > 1 else "4g"


def _score(rows: Sequence[Row], place: int = 0) -> str:
    """The interquartile mean over seeds, with its interval where there are enough of them."""
    found, digits = over_runs(_scores(rows, place)), _digits(rows)
    ends = found["iqm_95"] if len(rows) >= LEAST else ()
    between = " ({} to {})".format(*(f"{each:.{digits}}" for each in ends)) if ends else ""
    return f"**{found['iqm']:.{digits}}**{between}"


def _markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
