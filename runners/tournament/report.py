"""The report of a tournament: a table in the terminal, and one HTML page."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..reporting.measures import LENGTH, RETURN
from ..reporting.page import Page, legend_below, new_figure, style_of
from ..reporting.scores import cell, short
from ..reporting.statistics import CONFIDENCE, LEAST_RUNS
from ..reporting.tables import print_rows
from .fronts import print_front, write_front
from .tournament import Tournament

ROUNDED = 0.05
"""Share of the budget by which runs miss it that end with a whole batch; it is not worth a column."""
WIDE = 30
"""From this ratio of the last to the first point on, plots of learning are logarithmic."""
WORST = -0.5
"""Normalised score at which plots of learning end."""
HALF, AREA = "half of runs", "area"
EXPLAINED = {
    HALF: f"half of runs: at least half of all runs that there might be lie between, with "
    f"{100 * CONFIDENCE:.0f} % confidence; it takes {LEAST_RUNS} runs to say.",
    AREA: "area: under the curve of learning by transitions, over its width: the mean score on the way.",
}
"""What columns tell that not every table has room for."""
SURE = 0.05
"""Corrected probability below which two agents differ."""


def score_name(found: Mapping[str, Any]) -> str:
    """What scores are."""
    return "normalised score" if found["reference"] else "mean return"


def measure_names(found: Mapping[str, Any]) -> list[str]:
    """The measures that any agent has, in the order of tables."""
    there = {name for agent in found["agents"].values() for name in agent["measures"]}
    return [name for name in found["measures"] if name in there]


def ranked(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Agents and what is told of them, the best first."""
    return sorted(found["agents"].items(), key=lambda item: -item[1]["score"]["iqm"])


def table_rows(found: Mapping[str, Any], names: Sequence[str]) -> Iterator[list[str]]:
    """Rows of the table of scores; see `column_names`."""
    for agent, told in ranked(found):
        score = {"mean": told["score"]["iqm"], "mean_95": told["score"]["iqm_95"]}
        there, shares = told["measures"], {name for name in names if found["measures"][name]["share"]}
        measures = [cell(there[name], name in shares) if name in there else "-" for name in names]
        steps = [_transitions(told)] if _other_transitions(found) else []
        runs = str(len(told["runs"])) if told["kind"] == "trained" else "-"
        seconds = np.median([run["seconds"] for run in told["runs"]])
        row = [agent, cell(score, False), *steps, *measures, runs, f"{seconds:.0f}" if seconds else "-"]
        yield row + ([_half(told), _area(told)] if _trained(found) else [])


def _half(told: Mapping[str, Any]) -> str:
    """Between which scores half of all runs lie."""
    return "..".join(map(short, told["tolerance"])) if told["tolerance"] else "-"


def _area(told: Mapping[str, Any]) -> str:
    """The area under the curve of learning, as the score is told."""
    area = told["area"]
    return cell({"mean": area["iqm"], "mean_95": area["iqm_95"]}, False) if area else "-"


def column_names(found: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Heads of the columns of `table_rows`, the most important first."""
    steps = ["transitions"] if _other_transitions(found) else []
    more = [HALF, AREA] if _trained(found) else []
    return ["agent", "IQM", *steps, *(found["measures"][name]["title"] for name in names), "runs", "s", *more]


def _other_transitions(found: Mapping[str, Any]) -> bool:
    """Whether a run was trained with other than as many transitions as the headline says, give or take."""
    steps = np.array([run["steps"] for told in _trained(found) for run in told["runs"]])
    return bool((np.abs(steps - (found["steps"] or 0)) > ROUNDED * (found["steps"] or 0)).any())


def _trained(found: Mapping[str, Any]) -> list[Any]:
    return [told for told in found["agents"].values() if told["kind"] == "trained"]


def _transitions(told: Mapping[str, Any]) -> str:
    """The runs' median, and from the least to the most below it where they differ."""
    if told["kind"] != "trained":
        return "-"
    steps = [run["steps"] for run in told["runs"]]
    below = f"\n{min(steps):,}..{max(steps):,}" if min(steps) < max(steps) else ""
    return f"{round(np.median(steps)):,}{below}"


def footnote(found: Mapping[str, Any]) -> str:
    """What the table's numbers are."""
    scale = (
        "IQM: interquartile mean of the runs' normalised scores; the random agent has 0, "
        f"{found['reference']} has 1 in the same episodes."
        if found["reference"]
        else "IQM: interquartile mean of the runs' mean returns; this world has no reference."
    )
    others = "".join(f" {name} plays elsewhere: {what}." for name, what in found["elsewhere"].items())
    steps = " transitions: what each was trained with, the runs' median." if _other_transitions(found) else ""
    return (
        f"{scale}{others} Below: 95 % bootstrap intervals, over runs; where there is one run alone, over its "
        f"episodes.{steps} s: seconds of training, the runs' median."
    )


def print_standings(found: Mapping[str, Any]) -> None:
    """Prints one row an agent, with as many measures as the terminal is wide."""
    if found["front"]:
        print_front(found["front"], headline(found))
    if not found["agents"]:
        return
    names = [name for name in measure_names(found) if name not in (RETURN.name, LENGTH.name)]
    rows = list(table_rows(found, names))
    print_rows(headline(found), column_names(found, names), rows, [footnote(found)], EXPLAINED)


def headline(found: Mapping[str, Any]) -> str:
    """What was done, in a line."""
    return (
        f"{found['env']}, {found['episodes']:,} episodes each, "
        f"{found['seeds']} seed{'s' if found['seeds'] > 1 else ''}, a budget of {found['budget']}"
    )


def write_report(found: Mapping[str, Any], tournament: Tournament, path: Path) -> None:
    """Writes the page.

    Args:
        found: the standings.
        tournament: whose pictures are shown.
        path: the file.
    """
    page = Page(f"Tournament in {found['env']}", headline(found) + ".")
    if found["front"]:
        write_front(found["front"], page)
    if found["agents"]:
        _write_scores(found, page)
    _pictures(page, tournament)
    page.heading("How it was made")
    page.paragraph("Each with every seed; what each run was and said is in the tournament's folder.")
    trained = [entry.words for entry in tournament.entries if entry.kind == "trained"]
    page.code([f"meze train {shlex.join(words)}" for words in trained])
    for name, reason in found["failures"].items():
        page.paragraph(f"Failed: {name}: {reason}")
    page.save(path)


def _write_scores(found: Mapping[str, Any], page: Page) -> None:
    """Writes the scores of all who are shown, how they learned, and how sure that is."""
    names = measure_names(found)
    page.heading("Scores")
    page.table(column_names(found, names), list(table_rows(found, names)))
    explained = [_explained(found, name) for name in names]
    more = [each.capitalize() for each in EXPLAINED.values()] if _trained(found) else []
    page.paragraph(" ".join(filter(None, [footnote(found), *explained, *more])))
    scores = score_name(found)
    figures = [(score_plot(found), f"Interquartile means of the {scores}s, with their intervals.")]
    beside = next((name for name in names if found["measures"][name]["better"] is False), None)
    if beside:
        figures.append((_beside(found, beside), f"Each run. {_explained(found, beside)}"))
    page.figures(figures)
    if has_curves(found):
        page.heading("Learning")
        band = "Means of the runs; bands go from the lowest to the highest run."
        page.figures(
            [
                (curves(found, 0), f"By transitions. {band}"),
                (curves(found, 1), "By seconds of training, evaluations left out; one core a run."),
            ]
        )
    page.heading("How sure is it?")
    page.figures([(_profiles(found), f"Performance profiles: share of runs whose {scores} is above.")])
    if len(found["improvement"]) > 1:
        page.table(*_improvement(found))
        page.paragraph(
            "Probability that a run of the row beats one of the column, with its interval below it; blue: it "
            "is likelier than not, red: it is less likely. p: how probable it is that equals differ so much, "
            "or more (exact test of Mann and Whitney), corrected for the number of pairs (Holm 1979); a star "
            f"stands where it is below {SURE:g}. {_surest(found)}"
        )
    page.paragraph(
        "Interquartile means, profiles and probabilities of improvement are those of Agarwal et al. (2021); "
        "intervals come from the bootstrap over runs. Few runs say little: look at the intervals."
    )


def _explained(found: Mapping[str, Any], name: str) -> str:
    """A measure in a sentence; nothing where its title says it all."""
    measure = found["measures"][name]
    return f"{measure['title'].capitalize()}: {measure['note']}." if measure["note"] else ""


def _styles(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each agent's color and dashes, the same in all plots."""
    return {name: style_of(k) for k, name in enumerate(found["agents"])}


def score_plot(found: Mapping[str, Any]) -> Any:
    """Interquartile means with their intervals, the best on top."""
    figure, axes = new_figure()
    agents = ranked(found)[::-1]
    for k, (name, told) in enumerate(agents):
        score, style = told["score"], _styles(found)[name]
        low, high = score["iqm_95"] or (score["iqm"], score["iqm"])
        axes.plot([low, high], [k, k], color=style["color"], linewidth=7, alpha=0.35, solid_capstyle="butt")
        axes.plot(score["iqm"], k, "|", color=style["color"], markersize=14, markeredgewidth=2.5)
    axes.set_yticks(range(len(agents)), [name for name, _ in agents])
    axes.set_ylim(-0.6, len(agents) - 0.4)
    axes.set_xlabel(score_name(found))
    return figure


def has_curves(found: Mapping[str, Any]) -> bool:
    """Whether anybody was evaluated while it was trained."""
    return any(run["curve"] for agent in found["agents"].values() for run in agent["runs"])


def curves(found: Mapping[str, Any], by: int) -> Any:
    """Scores against transitions (0) or seconds (1)."""
    figure, axes = new_figure()
    for name, told in found["agents"].items():
        style, curves = _styles(found)[name], [np.array(run["curve"]) for run in told["runs"] if run["curve"]]
        if not curves:
            if told["kind"] != "trained":
                axes.axhline(told["score"]["mean"], label=name, linewidth=1, **style)
            continue
        # Runs of one agent are evaluated after as many transitions, give or take the last.
        length = min(map(len, curves))
        stacked = np.stack([curve[:length] for curve in curves])
        x, scores = np.median(stacked[:, :, by], axis=0), stacked[:, :, 2]
        axes.plot(x, scores.mean(axis=0), label=name, marker=".", **style)
        axes.fill_between(
            x, scores.min(axis=0), scores.max(axis=0), color=style["color"], alpha=0.15, linewidth=0
        )
    _spread(axes, "{x:g}" if by else "")
    if found["reference"]:  # who begins far below the random agent would press all others together
        axes.set_ylim(bottom=max(axes.get_ylim()[0], WORST))
    axes.set_xlabel("seconds of training" if by else "transitions")
    axes.set_ylabel(score_name(found))
    legend_below(axes)
    return figure


def _spread(axes: Any, form: str) -> None:
    """Scales the x axis so that who took ten times as long leaves room for the others.

    Args:
        axes: with all that is drawn.
        form: how numbers are written; without one, 10000 is 10k.
    """
    from matplotlib.ticker import EngFormatter, NullFormatter, StrMethodFormatter

    every = np.concatenate([line.get_xdata() for line in axes.get_lines() if line.get_marker() == "."])
    if every.max() > WIDE * every.min() > 0:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter(form) if form else EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _profiles(found: Mapping[str, Any]) -> Any:
    figure, axes = new_figure()
    for name, told in found["agents"].items():
        style, (shares, *ends) = _styles(found)[name], told["profile"]
        axes.plot(found["thresholds"], shares, label=name, drawstyle="steps-post", **style)
        if ends:
            axes.fill_between(
                found["thresholds"], *ends, color=style["color"], alpha=0.15, linewidth=0, step="post"
            )
    axes.set_xlabel(score_name(found))
    axes.set_ylabel("share of runs above")
    axes.set_ylim(-0.03, 1.03)
    legend_below(axes)
    return figure


def _improvement(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]], list[list[float]]]:
    """Columns, rows and tones of a table of probabilities, with their intervals below them."""
    names = [name for name, _ in ranked(found) if name in found["improvement"]]
    rows, tones = [], []
    for row in names:
        told = [found["improvement"][row].get(column, [None]) for column in names]
        tests = found["differences"][row]
        cells = [_beaten(*each, tests[name]) for name, each in zip(names, told, strict=True) if name != row]
        cells.insert(names.index(row), "-")
        rows.append([row, *cells])
        tones.append([0.0 if p is None else 2 * p - 1 for p, *_ in told])
    return ["", *names], rows, tones


def _beaten(probability: float, *ends_and_p: float) -> str:
    """How probably one beats another, its interval, if it has one, and how probable that is of equals."""
    *ends, p = ends_and_p
    interval = ["{:.2f}..{:.2f}".format(*ends)] if ends else []
    told = f"p {p:.3f}" if p >= 0.001 else "p < 0.001"
    return "\n".join([f"{probability:.2f}", *interval, told + (" *" if p < SURE else "")])


def _surest(found: Mapping[str, Any]) -> str:
    """What to think of it where so few runs can't tell any two of so many agents apart."""
    runs = [len(told["runs"]) for told in _trained(found)]
    pairs = len(runs) * (len(runs) - 1) // 2
    least = pairs * 2 / math.comb(sum(sorted(runs)[-2:]), max(runs))
    return "" if least < SURE else f"With so few runs p can't be below {min(least, 1.0):.2g}."


def _beside(found: Mapping[str, Any], measure: str) -> Any:
    """Each run's score and what it is set against."""
    figure, axes = new_figure()
    title, factor = found["measures"][measure]["title"], 100 if found["measures"][measure]["share"] else 1
    for name, told in found["agents"].items():
        runs = [run for run in told["runs"] if measure in run["measures"]]
        x, y = [run["score"] for run in runs], [factor * run["measures"][measure] for run in runs]
        axes.plot(x, y, "o", color=_styles(found)[name]["color"], label=name, alpha=0.8)
    axes.set_xlabel(score_name(found))
    axes.set_ylabel(title + (" (%)" if factor == 100 else ""))
    legend_below(axes)
    return figure


def _pictures(page: Page, tournament: Tournament) -> None:
    """Shows a looping picture of each entry that has one."""
    pictures = []
    for number, entry in enumerate(tournament.entries):
        path = tournament.path / "results" / f"{tournament.stem(number)}.gif"
        if entry.shown and path.exists():
            pictures.append((path.read_bytes(), entry.name))
    if pictures:
        page.heading("At work")
        page.paragraph("The first of evaluation's episodes, with the first seed's agent.")
        page.pictures(pictures)
