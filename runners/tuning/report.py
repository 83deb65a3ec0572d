"""The report of a study: tables in the terminal, and one HTML page in the style of tournaments'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...agents.ranges import Choices
from ..reporting.page import COLORS, Page, legend_below, new_figure
from ..reporting.scores import short
from ..reporting.tables import print_rows
from ..setup.text import printable
from .trial import LATE

SHOWN = 10
"""Trials in the tables, the best ones."""
SLICES = 6
"""Settings around whose best values is shown how the score falls off, those first that matter most."""
NEW, OLD, BEST = COLORS[0], COLORS[8], COLORS[1]


def headline(found: Mapping[str, Any]) -> str:
    """What was done, in a line."""
    trials = found["trials"]
    states = [each["state"] for each in trials]
    told = [
        f"{states.count(state)} {state}" for state in ("complete", "given up", "failed") if state in states
    ]
    return (
        f"{found['agent']} in {found['env']}, {len(trials)} trials ({', '.join(told) or 'none ended'}) of "
        f"{found['runs']} run{'s' if found['runs'] > 1 else ''} with {found['length']:,} transitions, "
        f"proposed by {'chance' if found['sampler'] == 'random' else 'TPE'}"
    )


def ranked(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Complete trials, the best first."""
    sign = -1 if found["directions"][0] == "maximize" else 1
    there = [each for each in found["trials"] if each["values"]]
    return sorted(there, key=lambda each: (sign * each["values"][0], each["number"]))


def _settings(found: Mapping[str, Any]) -> list[str]:
    """Names of what was searched, those first that matter most."""
    return [*found["importance"], *(name for name in found["space"] if name not in found["importance"])]


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def trial_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the best trials; of several values all that lie on the front."""
    settings = _settings(found)
    several = len(found["values"]) > 1
    shown = [each for each in ranked(found) if not several or each["number"] in found["front"]]
    rows = []
    for each in shown if several else shown[:SHOWN]:
        name = f"{each['number']}{' (preset)' if each['number'] == found['base'] else ''}"
        values = [short(value) for value in each["values"]]
        rows.append([name, *values, *(_shown(each["settings"][setting]) for setting in settings)])
    return ["trial", *found["values"], *settings], rows


def settings_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what was searched: the best value, that of the beginning, how much it matters."""
    (best,) = (each for each in found["trials"] if each["number"] == found["best"])
    rows = [
        [
            name,
            _shown(best["settings"][name]),
            _began(found, name),
            f"{found['importance'][name]:.2f}" if name in found["importance"] else "-",
        ]
        for name in _settings(found)
    ]
    return ["setting", "best", "before", "importance"], rows


def _began(found: Mapping[str, Any], name: str) -> str:
    """What a setting was before, as its other values are shown."""
    value = found["began"].get(name, "-")
    return next(iter(Choices(value).by_label)) if isinstance(found["space"][name], list) else _shown(value)


def fresh_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what the search promised, and what the best settings came to."""
    rows = []
    for k, name in enumerate(found["values"]):
        told = found["fresh"]["values"][k]
        ends = told["mean_95"]
        runs = [each["value"][k] for each in found["fresh"]["runs"]]
        worst = min(runs) if found["directions"][k] == "maximize" else max(runs)
        interval = f"\n{short(ends[0])}..{short(ends[1])}" if ends else ""
        mean = short(told["mean"]) + interval
        rows.append(
            [name, short(found["promised"][k]), mean, short(told["iqm"]), short(worst), str(len(runs))]
        )
    return ["", "promised", "fresh", "IQM", "worst", "runs"], rows


def notes(found: Mapping[str, Any]) -> list[str]:
    """What the table of fresh runs tells, in words."""
    text = (
        "promised: the mean of the best trial's runs, which is too good because it was chosen for that. "
        "fresh: the mean of runs with seeds that nothing was searched with, judged by their newest "
        "checkpoints, its 95 % bootstrap interval over them below. "
    )
    if found["score"] is None:
        text += (
            f"Each is judged by other episodes, {found['episodes']} of each run: these alone may make a "
            "difference."
        )
    else:
        values = [each["value"][0] for each in found["fresh"]["runs"]]
        there = sum(value < LATE * found["length"] for value in values)
        text += (
            f"{there} of {len(values)} fresh runs reached {found['score']:g}; who does not counts as {LATE} "
            "times its length."
        )
    return [text]


def print_findings(found: Mapping[str, Any]) -> None:
    """Prints the best trials, and what the best settings came to."""
    columns, rows = trial_table(found)
    if rows:
        several = len(found["values"]) > 1
        which = "Trials on the front." if several else "The best trials; of each the mean of its runs."
        print_rows(headline(found), columns, rows, [which])
    failed = [each for each in found["trials"] if each["reason"]]
    for each in failed[:3]:
        print(printable(f"trial {each['number']} failed: {each['reason']}"))
    if found["best"] is not None:
        print_rows(f"The settings of trial {found['best']}", *settings_table(found))
    if found["fresh"] and found["fresh"]["values"]:
        print_rows("What they are worth", *fresh_table(found), notes(found))


# --- The page -------------------------------------------------------------------------------------------


def write_report(found: Mapping[str, Any], path: Path) -> None:
    """Writes the page.

    Args:
        found: see `findings`.
        path: the file.
    """
    page = Page(f"Settings of {found['agent']} in {found['env']}", headline(found) + ".")
    if found["fresh"] and found["fresh"]["values"]:
        page.heading("What the best settings are worth")
        page.table(*fresh_table(found))
        page.paragraph(f"Those of trial {found['best']}. {notes(found)[0]}")
    several = len(found["values"]) > 1
    columns, rows = trial_table(found)
    if rows:
        page.heading("The front" if several else "The best trials")
        page.table(columns, rows)
        page.heading("The best settings")
        page.table(*settings_table(found))
        page.heading("The search")
        figures = [(_history(found), "Each trial by its number; the line is the best so far.")]
        if several:
            figures.append((_front(found), "Each complete trial; those on the front are joined."))
        if found["importance"]:
            figures.append(
                (_importance(found), "How much of coming into the better trials each setting tells.")
            )
        page.figures(figures)
        page.paragraph(
            "Importance is PED-ANOVA's (Watanabe et al. 2023). It tells of complete trials, and of the space "
            "that was searched, not of settings beyond; with few trials it says little."
        )
        caption = "Parallel coordinates: a line a complete trial, the better the stronger."
        page.figures([(_parallel(found), caption)])
        page.heading("Around the best")
        page.figures(
            [
                (_slice(found, name), f"{name}: complete trials, the best one marked.")
                for name in _settings(found)[:SLICES]
            ]
        )
        page.paragraph(
            "How the score falls off where a setting leaves its best value. The other settings differ, too: "
            "what counts is the upper edge of the points (the lower one, where less is better)."
        )
    for each in found["trials"]:
        if each["reason"]:
            page.paragraph(f"Trial {each['number']} failed: {each['reason']}")
    for name, reason in found["failures"].items():
        page.paragraph(f"Failed: {name}: {reason}")
    page.save(path)


def _history(found: Mapping[str, Any]) -> Any:
    figure, axes = new_figure()
    there = [each for each in found["trials"] if each["values"]]
    numbers, values = [each["number"] for each in there], [each["values"][0] for each in there]
    best = (np.maximum if found["directions"][0] == "maximize" else np.minimum).accumulate(values)
    axes.plot(numbers, values, "o", color=NEW, markersize=4, alpha=0.8)
    axes.plot(numbers, best, color=BEST, drawstyle="steps-post", label="best so far")
    given_up = [each["number"] for each in found["trials"] if each["state"] == "given up"]
    if given_up:
        bottom = [axes.get_ylim()[0]] * len(given_up)
        axes.plot(given_up, bottom, "x", color=OLD, markersize=5, label="given up", clip_on=False)
    axes.set_xlabel("trial")
    axes.set_ylabel(found["values"][0])
    legend_below(axes)
    return figure


def _front(found: Mapping[str, Any]) -> Any:
    figure, axes = new_figure()
    there = ranked(found)
    axes.plot(*zip(*(each["values"] for each in there), strict=True), "o", color=OLD, alpha=0.6)
    front = [each["values"] for each in there if each["number"] in found["front"]]
    axes.plot(*zip(*front, strict=True), "o-", color=NEW)
    axes.set_xlabel(found["values"][0])
    axes.set_ylabel(found["values"][1])
    return figure


def _importance(found: Mapping[str, Any]) -> Any:
    figure, axes = new_figure()
    names = list(found["importance"])[::-1]
    axes.barh(range(len(names)), [found["importance"][name] for name in names], color=NEW)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("importance, in shares of 1")
    return figure


def _axis(found: Mapping[str, Any], name: str) -> tuple[list[Any] | None, bool]:
    """The labels of a setting's values, where they are few, and whether it is logarithmic."""
    mark = found["space"][name]
    if isinstance(mark, list):
        return list(Choices(*mark).by_label), False
    return None, mark["log"]


def _place(found: Mapping[str, Any], name: str, value: Any) -> float:
    """Where a value lies on its setting's axis, from 0 to 1."""
    labels, log = _axis(found, name)
    if labels is not None:
        return labels.index(str(value)) / max(1, len(labels) - 1)
    ends = np.array([found["space"][name]["low"], found["space"][name]["high"], value], float)
    low, high, here = np.log(ends) if log else ends
    return float((here - low) / (high - low))


def _parallel(found: Mapping[str, Any]) -> Any:
    figure, axes = new_figure()
    there, names = ranked(found)[::-1], _settings(found)
    for k, each in enumerate(there):
        share = (k + 1) / len(there)
        places = [_place(found, name, each["settings"][name]) for name in names]
        last = k == len(there) - 1
        color, width = (BEST, 2.5) if last else (NEW, 1.0)
        axes.plot(
            range(len(names)),
            places,
            color=color,
            alpha=1.0 if last else 0.1 + 0.6 * share**2,
            linewidth=width,
        )
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks([0, 1], ["lowest", "highest"])
    axes.set_ylim(-0.05, 1.05)
    return figure


def _slice(found: Mapping[str, Any], name: str) -> Any:
    figure, axes = new_figure()
    there = ranked(found)
    labels, log = _axis(found, name)
    values = [each["settings"][name] for each in there]
    x: Sequence[Any] = values if labels is None else [labels.index(str(value)) for value in values]
    y = [each["values"][0] for each in there]
    axes.plot(x, y, "o", color=NEW, alpha=0.7, markersize=5)
    axes.plot(x[:1], y[:1], "D", color=BEST, markersize=7)
    if labels is not None:
        axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    elif log:
        axes.set_xscale("log", subs=[3])  # labels at 1 and 3 of each decade: more would overlap
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel(name)
    axes.set_ylabel(found["values"][0])
    return figure
