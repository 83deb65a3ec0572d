"""`meze features ENV`: fits encoders, scores them on held-out episodes, and writes a report."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from ..agents.encoders.registry import EncoderChain, encoder_specs, find_encoder
from ..checking import at_least
from .reporting.page import Page, new_figure
from .reporting.statistics import Score
from .reporting.tables import print_rows
from .run.encoding import FitSettings
from .run.progress import Waiting
from .run.recording import (
    FIT_ENVS,
    Recorded,
    check_target,
    find_mixture,
    find_targets,
    find_witness,
    play_mixture,
)
from .setup.files import new_folder, write_json
from .setup.presets import default_env_config, observation_modes
from .setup.resolve import Environment, find_environment, make_vector, reference_names, world_class
from .setup.settings import leading_names, reader, to_plain
from .setup.text import one_line
from .study.plots import jam_plots, state_plots
from .study.rule_tables import NOTE, show, titles
from .study.rule_tables import table as rule_table
from .study.rules import RuleStudy, check_rules, rules_of
from .study.samples import EncoderJudge, Judged, split
from .study.traffic import JamStudy, study_jams, watch_traffic
from .tournament.matches import play_matches
from .tournament.report import (
    column_names,
    curves,
    footnote,
    has_curves,
    headline,
    measure_names,
    print_standings,
    score_plot,
    table_rows,
)
from .tournament.tournament import Budget, Tournament, make_entries

USAGE = "meze features ENV [flags]"
DESCRIPTION = """Fits encoders on what policies see in ENV and scores them on held-out episodes: a table, and
a report in a folder (report.html, report.json). Beside them stand two yardsticks: what can be told of
nothing, and of all numbers of an observation.

rebuilt: share of the observations' variance that a linear readout of the codes rebuilds (of an index: the
mean). predicts: what a supervised encoder itself predicts of the target. return R^2, action: the same
readout, of the discounted return to come and of the teacher's action. All on episodes that nothing was fitted
on, with 95 % bootstrap intervals over episodes. R^2, and what is rebuilt, is 1 where all is told, 0 for the
mean of the held-out observations, and negative where a readout that was fitted on other episodes does worse
than that."""

PLOTTED = "gradient-boosting"
"""The regressor whose jams are plotted, settled before any score was seen."""
SLOWEST = 200.0
"""Microseconds that an encoder may take for an observation: a Q-learner and its evaluations see millions."""
THIN = 3
"""Steps that are played for each observation that is kept: neighbours in time are almost equal."""
LEARNER = "q-learning"
EPISODES = 1000
"""Of each evaluation."""
COMPARED = (
    *(spec.name for spec in encoder_specs() if spec.name != "tiles"),
    *("pca+kmeans", "pca+gaussian-mixture"),
)
"""What is compared by default; not tiles, which are for observations of a few numbers."""


@dataclass(frozen=True)
class FeaturesSettings(FitSettings):
    """What is compared, and on what.

    Raises:
        ValueError: for a number out of its range, or an unknown encoder.
    """

    samples: int = 6_000
    """Observations; a fifth of them, of other episodes, is held out."""
    encoders: tuple[str, ...] = COMPARED
    """Encoders, or chains of them such as pca+kmeans, with their default settings."""
    steps: int = 50_000
    """Transitions of each Q-learner that is trained behind an encoder whose codes are indices."""
    seeds: int = 3
    """Q-learners behind each of them; 0: none."""
    jams: bool = False
    """Study how well traffic jams are foretold, too, where the world has roads that jam (minutes)."""
    rules: bool = False
    """Tell rules of the world's events, too, of what follows within the horizon (extra `rules`)."""
    seed: int = 0
    """Of the episodes and of all fits; each Q-learner's encoder is fitted with its own."""
    out: Path = Path("reports")
    """Folder in which the report gets its own: <out>/features-<env>-s<seed>."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "steps")
        at_least(self, 0, "seeds")
        for name in self.encoders:
            find_encoder(name)


def score_encoders(
    environment: Environment, env_config: Any, settings: FeaturesSettings
) -> tuple[EncoderJudge, list[Judged], dict[str, str], RuleStudy | str | None]:
    """Plays, and fits and scores each encoder.

    Returns:
        The judge with its training and held-out sample, what it found, of encoders that could not be fitted
        the reason, and the rules of what was played, where they are asked for, or why there are none.

    Raises:
        ValueError: when policies, target, observations or episodes do not fit.
    """
    chains, seed = [find_encoder(name) for name in settings.encoders], settings.seed
    asked = bool(reference_names(environment, env_config)) or settings.teacher is not None
    with closing(make_vector(environment, env_config, FIT_ENVS, AutoresetMode.SAME_STEP)) as env:
        check_target(settings.target, find_targets(env))
        if settings.target == "action" and not asked:
            raise ValueError(f"{environment.id} has no reference to learn from; name a run as the --teacher")
        made = [_make(chain, env.single_observation_space, seed) for chain in chains]
        mixture = find_mixture(env, environment, settings, seed, asks=asked)
        witness = find_witness(env) if settings.rules else None
        recorded = play_mixture(env, mixture, THIN * settings.samples, seed, witness=witness)
        rules = _rules(env, recorded, settings.horizon) if settings.rules else None
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    judge = EncoderJudge(*split(recorded, settings, asked, rng))
    found, refused = judge.yardsticks(), {}
    for chain, (encoder, config) in zip(chains, made, strict=True):
        with Waiting(f"fitting {chain.name}, {len(found)} of {len(chains)}"):
            try:
                found.append(judge(chain, encoder, config))
            except ValueError as error:
                refused[chain.name] = one_line(error)
    return judge, found, refused, rules


def _rules(env: VectorEnv, recorded: Recorded, horizon: int) -> RuleStudy | str:
    """The rules of what was played, or why there are none, for which alone no comparison is thrown away."""
    try:
        return rules_of(env, recorded, horizon)
    except ValueError as error:
        return one_line(error)


def _make(chain: EncoderChain, space: Any, seed: int) -> tuple[Any, Any]:
    config = chain.config_class()()
    return chain.make(space, config, seed), config


# --- What is told ---------------------------------------------------------------------------------------


def _cell(score: Score | None, percent: bool) -> str:
    """A score, with its interval below."""
    if score is None:
        return "-"
    value, low, high = (100 * each if percent else each for each in score)
    digits = 1 if percent else 2
    unit = " %" if percent else ""
    if low == high:
        return f"{value:.{digits}f}{unit}"
    return f"{value:.{digits}f}{unit}\n{low:.{digits}f}..{high:.{digits}f}"


def table(found: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the comparison."""
    columns = ["encoder", "codes", "rebuilt", "predicts", "return R^2", "action", "us/obs"]
    rows = []
    for each in found:
        speed = (
            "-" if not each.microseconds else f"{each.microseconds:.{0 if each.microseconds >= 10 else 1}f}"
        )
        cells = [
            f"{100 * each.rebuilt:.0f} %",
            _cell(each.predicts, each.measure != "R^2"),
            _cell(each.value, False),
            _cell(each.action, True),
        ]
        rows.append([each.name, each.codes, *cells, speed])
    return columns, rows


def jam_table(study: JamStudy) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the scores of jam predictors."""
    return ["predictor", "R^2", "95 % interval"], [
        [name, f"{score.value:.3f}", f"{score.low:.3f}..{score.high:.3f}"]
        for name, score in study.scores.items()
    ]


def group_table(found: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what is told of encoders that make indices."""
    rows = []
    for each in (each for each in found if each.silhouette is not None):
        anomalies = "-" if each.anomalies is None else f"{100 * each.anomalies:.1f} %"
        rows.append([each.name, each.codes, str(each.used), f"{each.silhouette:.2f}", anomalies])
    return ["encoder", "indices", "used", "silhouette", "anomalies"], rows


def prediction_table(found: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what supervised encoders predict, beside the trivial predictor."""
    rows = []
    for each in found:
        if each.predicts is not None and each.trivial is not None:
            share = each.measure != "R^2"
            trivial = f"{100 * each.trivial:.1f} %" if share else f"{each.trivial:.2f}"
            rows.append([each.name, each.measure, _cell(each.predicts, share), trivial])
    return ["encoder", "measure", "score", "trivial predictor"], rows


@dataclass(frozen=True)
class Report:
    """All that was found."""

    environment: Environment
    env_config: Any
    settings: FeaturesSettings
    judge: EncoderJudge
    found: list[Judged]
    refused: dict[str, str]
    """Encoders that could not be fitted, and why."""
    rules: RuleStudy | str | None = None
    """Of events, where they were asked for; or why there are none."""
    learners: dict[str, Any] | None = None
    """The standings of the Q-learners, if any were trained."""
    jams: JamStudy | None = None
    """Where they were studied."""

    @property
    def title(self) -> str:
        """What was compared, in one line."""
        train, test = self.judge.train, self.judge.test
        episodes = [len(np.unique(part.episode)) for part in (train, test)]
        return (
            f"{self.environment.id}: fitted on {len(train.obs):,} observations of {episodes[0]} episodes, "
            f"judged by {len(test.obs):,} of {episodes[1]} others"
        )

    @property
    def _target(self) -> str:
        """What is predicted; what the world declares is explained."""
        world, name = world_class(self.environment), self.settings.target
        notes = {each.name: f", {each.note}" for each in (() if world is None else world.targets)}
        return name + notes.get(name, "")

    def show(self) -> None:
        """Prints the encoders' table."""
        print_rows(self.title, *table(self.found))
        for name, reason in self.refused.items():
            print(f"{name} could not be fitted: {reason}")
        if isinstance(self.rules, RuleStudy):
            show(self.rules, "report.json")
        elif self.rules:
            print(f"no rules: {self.rules}")

    def write(self, folder: Path) -> None:
        """Writes report.json and report.html into its folder."""
        write_json(
            folder / "report.json",
            {
                "env": {"id": self.environment.id, "config": to_plain(self.env_config)},
                "run": to_plain(self.settings),
                "observations": [len(part.obs) for part in (self.judge.train, self.judge.test)],
                "encoders": [dataclasses.asdict(each) for each in self.found],
                "refused": self.refused,
                "learners": self.learners,
                "rules": self.rules.plain() if isinstance(self.rules, RuleStudy) else self.rules,
                "jams": self.jams and {name: list(score) for name, score in self.jams.scores.items()},
            },
        )
        self._page().save(folder / "report.html")

    def _page(self) -> Page:
        page = Page(f"Features of {self.environment.name}", self.title)
        page.paragraph(" ".join(DESCRIPTION.partition("\n\n")[2].split()))
        page.table(*table(self.found))
        for name, reason in self.refused.items():
            page.paragraph(f"{name} could not be fitted: {reason}.")
        if self.learners:
            page.heading("What each adds to the same Q-learner")
            names = measure_names(self.learners)
            page.table(column_names(self.learners, names), list(table_rows(self.learners, names)))
            page.paragraph(f"{headline(self.learners)}. {footnote(self.learners)}")
            caption = "Interquartile means of the Q-learners, with their intervals."
            figures = [(score_plot(self.learners), caption)]
            if has_curves(self.learners):
                figures.append((curves(self.learners, 0), "As they learn."))
            page.figures(figures)
            for name, reason in self.learners["failures"].items():
                page.paragraph(f"Failed: {name}: {reason}")
        for heading, (columns, rows) in {
            f"Supervised encoders: predictions of the {self._target}": prediction_table(self.found),
            "Groups of observations: how many, and how well apart": group_table(self.found),
        }.items():
            if rows:
                page.heading(heading)
                page.table(columns, rows)
        if isinstance(self.rules, str):
            page.paragraph(f"No rules: {self.rules}.")
        elif self.rules:
            page.heading("Rules of events")
            page.paragraph(RULE_NOTE)
            page.paragraph(NOTE)
            for kind, title in titles(self.rules).items():
                page.paragraph(f"{title}.")
                if holding := self.rules.of(kind)[0]:
                    page.table(*rule_table(holding))
        page.heading("Visited states, in the plane")
        page.figures(state_plots(self.judge, self.settings.seed))
        if self.jams:
            page.heading("Traffic jams")
            page.paragraph(_jam_title(self.jams) + ". " + JAM_NOTE)
            page.table(*jam_table(self.jams))
            page.figures(jam_plots(self.jams, PLOTTED))
        return page


RULE_NOTE = (
    "Rules were found on the training episodes and checked on the held-out ones. They hold where chance "
    "alone would show such a lift with a probability below 5 %, corrected for how many were tried."
)
JAM_NOTE = (
    "A day differs from the others by chance alone, so the mean by hour and place over very many days would "
    "be the best predictor there can be; what it leaves is noise."
)


def _jam_title(study: JamStudy) -> str:
    days, hours, places = study.traffic.occupancy.shape
    held = len(study.test_days)
    return f"Share of cells taken by hour, on {places} road segments: R^2 on {held} held-out days of {days}"


def _learners(
    environment: Environment,
    over: Callable[[Any], Any],
    found: Sequence[Judged],
    settings: FeaturesSettings,
    folder: Path,
) -> dict[str, Any] | None:
    """Compares Q-learners behind the encoders whose codes are indices, and with the world's own index.

    Each encoder is fitted anew for each seed.

    Args:
        environment: where.
        over: lays what is asked of the world over a Q-learner's settings of it.
        found: the encoders, as they were judged.
        settings: how many Q-learners, and how long each is trained.
        folder: of the report, where the runs get their own.

    Returns:
        The standings; None where there is no index at all.
    """
    own = [LEARNER] if "index" in observation_modes(environment.config) else []
    offered = [each for each in found if each.name in settings.encoders and each.used is not None]
    indices = [each.name for each in offered if each.microseconds <= SLOWEST]
    for each in offered:
        if each.name not in indices:
            print(f"{each.name} takes {each.microseconds:.0f} us an observation: no Q-learner behind it")
    names = [*own, *(f"{LEARNER}:{name}" for name in indices)]
    if not names:
        return None
    print(f"Q-learners behind {len(indices)} encoders, {settings.steps:,} transitions each")
    budget = Budget(steps=settings.steps)
    fit = FitSettings(**{each.name: getattr(settings, each.name) for each in dataclasses.fields(FitSettings)})
    entries = make_entries(names, environment, budget, over, fit)
    tournament = Tournament(folder / "learners", environment, entries, settings.seeds, EPISODES, budget)
    tournament.create()
    return play_matches(tournament)


def _jams(environment: Environment, env_config: Any, seed: int) -> JamStudy | None:
    """Foretells traffic jams; None where the world has no roads that jam."""
    with Waiting("watching the traffic of some days") as waiting:
        traffic = watch_traffic(environment, env_config, seed=seed)
        waiting.say("fitting predictors of jams")
        return study_jams(traffic, seed=seed) if traffic else None


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    environment = find_environment(names[0])
    config = default_env_config(environment, encoded=True)
    references = reference_names(environment, config)[:1]
    settings = FeaturesSettings(policies=("random", *references), target="action" if references else "return")
    read = reader(settings, args[1:], prog=f"meze features {names[0]}", description=DESCRIPTION)
    given = read(config)
    settings = given.run
    if settings.rules:
        check_rules(environment, settings.horizon, -(-THIN * settings.samples // FIT_ENVS))
    new_figure()  # a library that is missing shows before anything is played
    judged = score_encoders(environment, given.env, settings)
    report = Report(environment, given.env, settings, *judged)
    report.show()
    folder = new_folder(settings.out, f"features-{environment.name}-s{settings.seed}")
    learners = None
    if settings.seeds:
        learners = _learners(environment, lambda env: read(env).env, judged[1], settings, folder)
    if learners:
        print_standings(learners)
    jams = _jams(environment, given.env, settings.seed) if settings.jams else None
    if jams:
        print_rows(_jam_title(jams), *jam_table(jams))
    report = dataclasses.replace(report, learners=learners, jams=jams)
    with Waiting("drawing the report"):
        report.write(folder)
    print(f"report: {folder / 'report.html'}")
    failures = learners["failures"] if learners else {}
    for name, reason in failures.items():
        print(f"meze: error: {name} failed: {reason}", file=sys.stderr)
    return 1 if failures else 0
