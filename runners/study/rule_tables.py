"""Rules of events as tables, in the terminal and on pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..reporting.tables import print_rows
from .rules import Kind, Rule, RuleStudy, percent, soon

SHOWN = 12
"""Rules of a kind that are printed, at most."""


def titles(study: RuleStudy) -> dict[Kind, str]:
    """What each table of rules tells."""
    heads: dict[Kind, str] = {"together": "What goes together"}
    heads["follows"] = f"What follows {soon('follows', study.horizon)}".rstrip()
    out = {}
    for kind, head in heads.items():
        holding, tried = study.of(kind)
        out[kind] = f"{head}: {len(holding)} of {tried} rules hold on {study.episodes[1]:,} held-out episodes"
    return out


def table(rules: Sequence[Rule]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of some rules, by their worth on held-out episodes, each clause on a line of its own.

    The title says how soon.
    """
    rows = []
    for rule in rules:
        held, (low, high) = rule.held, rule.interval
        conviction = f"{held.conviction:.1f}" if math.isfinite(held.conviction) else "-"
        share = f"{percent(held.confidence)} %\n{percent(low)}..{percent(high)}"
        figures = [f"{percent(held.base)} %", f"{held.lift:.1f}", f"{percent(held.support)} %", conviction]
        *when, then = rule.clauses
        rows.append(["When " + "\nand ".join(when) + f",\n{then}", share, *figures])
    return ["rule", "confidence", "usually", "lift", "support", "conviction"], rows


NOTE = (
    "confidence: share of the steps with the conditions in which it is so, with its 95 % interval over "
    "episodes; usually: share of all steps. lift: how many times as often as usual. support: share of steps "
    "in which all of it is so. conviction: how many times as often it would be wrong by chance; - where it "
    "never is wrong."
)


def show(study: RuleStudy, name: str) -> None:
    """Prints the rules that hold, the greatest lift first.

    Args:
        study: which.
        name: of the file that has all of them.
    """
    for kind, title in titles(study).items():
        holding, _ = study.of(kind)
        left = len(holding) - SHOWN
        more = f"{left} more stand in {name}." if left > 0 else ""
        if holding:
            print_rows(title, *table(holding[:SHOWN]), notes=(more, NOTE * (kind == "follows")))
        else:
            print(f"\n{title}")
