"""Models that draw levels, beside their source and the generator: playable, hard, new, different.

    python benchmarks/level_models.py                        # what the platformer's page shows
    python benchmarks/level_models.py --models markov --count 200 --seeds 1013

Each model learns from the generator's levels, and from the hand-made ones that come with meze, as `meze
make-levels` has it, and makes as many as are wanted, all of which the expert clears. Playable is the share
that it clears of all that were drawn, with its exact 95 % interval (Clopper & Pearson 1934). The picture, if
one is asked for, is of the last model that was trained.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from meze.agents.generative import base
from meze.agents.generative.config import GanConfig, MarkovConfig
from meze.envs.platformer.making import Made, make_levels, terrain
from meze.envs.platformer.pool import load_pool
from meze.runners.levels.comparison import COLUMNS, JUDGED, kind_of_generator, kind_of_made, kind_of_source
from meze.runners.levels.report import Report, spreads
from scipy.stats import binomtest

CONFIGS = {"markov": MarkovConfig(), "gan": GanConfig()}
WIDTHS = (16, 8, 14, 7, 7, 6, 6, 7, 6, 6, 8)


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    models: tuple[str, ...] = ("markov", "gan")
    """Who draws."""
    sources: tuple[str, ...] = ("generated", "shipped")
    """What they learn from."""
    difficulty: float = 0.3
    """Of generated levels."""
    pool_size: int = 256
    """How many of them to learn from."""
    count: int = 300
    """Levels to make."""
    seeds: tuple[int, ...] = (1013, 7919, 104729)
    """Of each model."""
    picture: Path | None = None
    """Where to put a picture of 40 levels."""


def line(cells: list[str]) -> None:
    """Prints a row of the table."""
    first, *rest = (cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))
    print(first.strip().ljust(WIDTHS[0]), *rest, flush=True)


def interval(cleared: int, drawn: int) -> str:
    """The exact interval of a share."""
    found = binomtest(cleared, drawn).proportion_ci()
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def row(cells: list[str], shares: tuple[int, int] | None, seconds: float | None) -> None:
    """Prints a kind's row, with the interval and the seconds of training."""
    between = interval(*shares) if shares else ""
    line([cells[0], cells[1], between, *cells[2:], "" if seconds is None else f"{seconds:.1f}"])


def main(settings: Settings) -> None:
    """Prints a table for each source."""
    torch.set_num_threads(1)
    print(f"{settings}, torch {torch.__version__}", flush=True)
    for level in settings.sources:
        source = load_pool(level, settings.difficulty, "train", settings.pool_size)
        print(f"\n{level}, {len(source)} levels to learn from")
        line(["", "playable", "of those drawn", *COLUMNS[2:], "seconds"])
        theirs = kind_of_source(source, level == "generated")
        generator = kind_of_generator(settings.difficulty, source)
        assert theirs and generator.playable is not None
        row(theirs.cells(), None, None)
        row(generator.cells(), (round(generator.playable * JUDGED), JUDGED), None)
        for name in settings.models:
            for seed in settings.seeds:
                began = time.perf_counter()
                model = base.fit(name, list(map(terrain, source)), CONFIGS[name], seed, lambda *_: None)
                seconds = time.perf_counter() - began
                drawings: list[base.Rows] = []

                def draw(k: int, model=model, seed=seed, drawings=drawings) -> base.Rows:
                    drawings.append(model.draw(np.random.default_rng([seed, k])))
                    return drawings[-1]

                try:
                    made = make_levels(draw, settings.count)
                except ValueError as error:
                    print(f"{name} {seed}: {error}", flush=True)
                    continue
                kind = kind_of_made(f"{name} {seed}", made, source)
                row(kind.cells(), (len(made.levels), made.drawn - made.repeats), seconds)
                report = Report(name, made, [], spreads(drawings, source), {})
                told(made, report)
    if settings.picture:
        settings.picture.write_bytes(report.samples())


def told(made: Made, report: Report) -> None:
    """Prints what became of the drawings."""
    print(
        f"    {made.drawn:,} drawn: {made.unfit} no level by the rules, {made.uncertified} not cleared, "
        f"{made.repeats} drawn before, {made.mended} mended"
    )
    print(f"    {report.spread_line()}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Settings))
