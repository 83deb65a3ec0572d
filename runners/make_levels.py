"""`meze make-levels`: a model learns from levels and draws others, a set to play and to learn on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import numpy as np

from ..agents.generative.base import MODELS, DrawingModel, Rows, fit, load, save
from ..agents.generative.config import GanConfig, MarkovConfig
from ..checking import needed, unknown, within
from .levels.target import new_set, set_folder
from .reporting.page import new_figure
from .run.metrics import MetricsLog
from .run.progress import ProgressLine
from .setup.interrupts import Saved, exit_code
from .setup.settings import parse

DESCRIPTION = """Has a model learn from levels of the platformer and draw others. They go to the folder NAME,
a text file each: only those that the expert clears, and none twice. Beside them lie the model, a picture of
40 of them, and a report that compares them with the source and with the generator. One level in five, chosen
by its content, is kept for judging. `--env.level NAME` plays them.

markov is a chain of columns, which takes a second; gan a pair of networks (torch), which takes minutes."""


@dataclass(frozen=True)
class MakeLevelsSettings:
    """What to make, and of what."""

    model: str
    """What draws: `markov`, `gan`, or the path of a model that was saved, which learns no more."""
    out: str
    """Name of the set, or path of its folder."""
    train_on: str = "generated"
    """What it learns from and is compared with: as `--env.level`, the part for training."""
    difficulty: float = 0.3
    """How hard generated levels are, 0 to 1."""
    pool_size: int = 256
    """Number of generated levels that it learns from."""
    count: int = 100
    """Levels to make, 2 to 4096."""
    seed: int = 0
    """Of all chance: equal settings make equal levels."""
    markov: MarkovConfig = field(default_factory=MarkovConfig)
    """Settings of the chain."""
    gan: GanConfig = field(default_factory=GanConfig)
    """Settings of the networks."""

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
            ValueError: for a number out of its range.
        """
        within(self, 0.0, 1.0, "difficulty")
        within(self, 2, 4096, "count")
        within(self, 0, 2**63 - 1, "seed")


CURE = "ask for fewer, or take another model"
CURES = {"gan": "train it for longer, or on more levels", "markov": "let it learn from more levels"}
"""What to do where too few drawings can be played; `CURE`, where nothing is learnt."""


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    given = parse(MakeLevelsSettings, args, prog="meze make-levels", description=DESCRIPTION)
    target = set_folder(given.out)
    new_figure()  # a library that is missing shows before anything is learnt
    from ..envs.platformer.making import TooFewError, make_levels, terrain
    from ..envs.platformer.pool import load_pool
    from ..envs.platformer.sets import write_levels
    from .levels.comparison import kind_of_generator, kind_of_made, kind_of_source
    from .levels.report import DRAWINGS, Report, spreads

    with new_set(target) as folder, ExitStack() as kept:
        model = None if given.model in MODELS else load_model(given.model)
        source = load_pool(given.train_on, given.difficulty, "train", given.pool_size)
        if model is None:
            model = learn(given, list(map(terrain, source)), folder)
            kept.enter_context(keeping(model, target))
        save(folder / "model.safetensors", model)
        draw = drawer(model, given.seed)
        try:
            made = make_levels(draw, given.count)
        except TooFewError as error:
            raise ValueError(f"{error}: {CURES.get(given.model, CURE)}") from None
        write_levels(folder, made.levels)
        kinds = (
            kind_of_source(source, given.train_on == "generated"),
            kind_of_generator(given.difficulty, source),
            kind_of_made(model.name, made, source),
        )
        learnt = "which learnt from" if given.model in MODELS else "compared with"
        title = f"Levels of {model.name}, {learnt} {given.train_on}"
        settings = dataclasses.asdict(given)
        spread = spreads(list(map(draw, range(DRAWINGS))), source)
        report = Report(title, made, list(filter(None, kinds)), spread, settings)
        report.write(folder)
    report.show()
    print(f"levels:  {target}\nreport:  {target / 'report.html'}")
    print(f"play it: meze play platformer --env.level {target}")
    return 0


def load_model(path: str) -> DrawingModel:
    """Reads a model of the platformer's levels.

    Raises:
        ValueError: one line, for a file that holds none.
    """
    from ..envs.platformer.making import check_letters

    if not Path(path).exists() and not Path(path).suffix:
        raise ValueError(unknown("model", path, MODELS, ", or the path of a saved model"))
    with needed(path, "torch"):
        model = load(path)
    check_letters(model.letters, model.height, path)
    return model


def learn(given: MakeLevelsSettings, drawings: Sequence[Rows], folder: Path) -> DrawingModel:
    """Has a model learn from drawings; what is measured on the way goes to `metrics.csv`."""
    with needed(given.model, "torch"):
        if given.model == "markov":
            return fit("markov", drawings, given.markov, given.seed, lambda step, row: None)
        with closing(MetricsLog(folder)) as log, ProgressLine(given.gan.steps, unit="steps") as line:

            def tell(step: int, row: Mapping[str, float]) -> None:
                log.write(step, row)
                line.update(step, time.perf_counter())

            return fit("gan", drawings, given.gan, given.seed, tell)


def drawer(model: DrawingModel, seed: int) -> Callable[[int], Rows]:
    """What makes a model's drawing `k`, equal for equal seeds."""
    return lambda k: model.draw(np.random.default_rng([seed, k]))


@contextmanager
def keeping(model: DrawingModel, target: Path) -> Iterator[None]:
    """Keeps a model that has learnt beside the target until the set is made: whatever stops it loses none.

    Raises:
        ValueError: with where it is kept, where one was raised within.
        Saved: after Ctrl-C, when it was said where it is kept.
    """
    places = (
        target.with_name(f"{target.name}{end}.safetensors")
        for end in chain([""], map("-{}".format, count(2)))
    )
    place = next(place for place in places if not (place.exists() or place.is_symlink()))
    save(place, model)
    try:
        yield
    except KeyboardInterrupt as error:
        print(f"stopped; the model is kept: go on with --model {place}")
        raise Saved(exit_code(error)) from error
    except ValueError as error:
        raise ValueError(f"{error}; the model is kept as {place}") from error
    place.unlink()
