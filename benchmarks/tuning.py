"""What a search finds against today's presets, on seeds that nothing was searched with.

    python benchmarks/tuning.py                                   # both studies, 40 trials of 3 seeds each
    python benchmarks/tuning.py --studies q-learning:city --samplers tpe random     # with its control
    python benchmarks/tuning.py --out tuning-benchmark            # said again, it goes on where it stood

Both are trained with the study's budget: the presets', but of ppo in the platformer a quarter, so that a
study takes less than an hour on two cores. Mean returns of 10 fresh runs, in episodes of the test split.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from meze.runners import cli
from meze.runners.reporting.scores import cell, short
from meze.runners.reporting.statistics import probability_of_improvement, with_interval
from meze.runners.reporting.tables import print_rows
from meze.runners.run.executor import Processes
from meze.runners.tuning.findings import fresh
from meze.runners.tuning.search import run_fresh
from meze.runners.tuning.study import Study

BUDGETS = {"q-learning:city": "4e6", "ppo:platformer": "2e6"}
"""Agent and world to the transitions of each run."""


@dataclass(frozen=True)
class Settings:
    """What to run."""

    studies: tuple[str, ...] = tuple(BUDGETS)
    """Agents and worlds."""
    samplers: tuple[str, ...] = ("tpe",)
    """Who proposes settings."""
    trials: int = 40
    """Of each study."""
    seeds: int = 3
    """Of each trial."""
    steps: str | None = None
    """Transitions of each run, if others than `BUDGETS` says."""
    out: Path = Path("tuning-benchmark")
    """Where the studies are kept."""


def study_of(settings: Settings, name: str, sampler: str) -> Study:
    """A study that came to its end."""
    agent, world = name.split(":")
    out = settings.out / sampler
    begun = sorted((out / world / agent).glob("*/study.json"))
    words = ["--resume", str(begun[0].parent)] if begun else [agent, world, "--out", str(out)]
    words += ["--trials", str(settings.trials)]
    if not begun:
        words += ["--seeds", str(settings.seeds), "--steps", settings.steps or BUDGETS[name]]
        words += ["--sampler", sampler]
    if code := cli.main(["tune", *words]):
        sys.exit(code)
    (file,) = (out / world / agent).glob("*/study.json")
    return Study.open(file.parent)


def main(settings: Settings) -> None:
    """Runs the studies, and tells in one table what they found."""
    rows, said = [], []
    for name in settings.studies:
        for sampler in settings.samplers:
            began = time.perf_counter()
            study = study_of(settings, name, sampler)
            minutes = (time.perf_counter() - began) / 60
            best = study.best
            assert best is not None, "it came to its end"
            failures = run_fresh(study, None, Processes())
            assert not failures, failures
            told = {"preset": fresh(study, None), sampler: fresh(study, best.number)}
            values = {who: np.array([run["value"] for run in each["runs"]]) for who, each in told.items()}
            for who, each in told.items():
                if who == "preset" and sampler != settings.samplers[0]:
                    continue
                mean, promised = each["values"][0], short(best.values[0]) if who == sampler else "-"
                worst = short(values[who].min())
                rows.append([f"{name} {who}", cell(mean, False), short(mean["iqm"]), worst, promised])
            better = with_interval(probability_of_improvement, values[sampler], values["preset"])
            probability = "{:.2f} ({:.2f} to {:.2f})".format(*better)
            said.append(
                f"{name}, {sampler}: a run of the found settings beats one of the preset's with probability "
                f"{probability}; {len(study.trials)} trials, {minutes:.1f} minutes"
            )
    print_rows("Found settings and presets", ["", "return", "IQM", "worst", "promised"], rows, said)


if __name__ == "__main__":
    main(tyro.cli(Settings))
