"""`meze tune AGENT ENV`: searches an agent's settings, and shows what those are worth that it found."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..checking import above, at_least, needed
from .reporting.page import new_figure
from .run.device import with_device
from .run.executor import Executor
from .run.executors import make_executor
from .run.start import Called, read_request
from .setup.files import new_folder, write_json
from .setup.interrupts import exit_code
from .setup.kinds import KINDS
from .setup.machines import Machines
from .setup.settings import leading_names, named_code, parse, take_flag, wrapped
from .setup.text import command, printable

if TYPE_CHECKING:
    from .tuning.study import Study

USAGE = "meze tune AGENT ENV [flags], or meze tune --resume FOLDER"
DESCRIPTION = """Searches settings of AGENT in ENV, and writes a preset file of the best, and a report.

What may be searched is marked where each agent's settings are; --space FILE (TOML) narrows it, as in
`agent.gamma = [0.95, 0.99]`, `agent.gae-lambda = { low = 0.9, high = 1.0 }` or `agent.vf-coef = true`: then
what it names is searched alone. Flags of `meze train` hold for each run, its length included: a short --steps
finds settings that learn fast. `meze tune AGENT ENV --help` lists all flags with their defaults.

A trial trains with a few seeds, the same ones in each; it is given up where it is worse than the best one
with equal seeds at equal transitions. Training's seeds and those that judge are ranges of their own. In the
end the best settings are trained with 10 seeds more, which nothing was searched with: what these come
to is what is to be expected, not what the search had promised.

Trials run side by side, each in a process of its own. Ctrl-C saves and stops (code 130); `meze tune --resume
FOLDER` goes on, and may be said several times at once, on other machines too."""
CALLED = Called("meze tune", USAGE, DESCRIPTION)


@dataclass(frozen=True)
class ResumeSettings(Machines):
    """How a study goes on.

    Raises:
        ValueError: for a number or a place that makes no sense.
    """

    trials: int = 40
    """Settings that are tried in all."""
    minutes: float | None = None
    """After so many no trial is begun any more; the runs of the best settings come on top."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "trials")
        above(self, 0, "minutes")


@dataclass(frozen=True)
class TuneSettings(ResumeSettings):
    """What is searched for, and how."""

    seeds: int = 3
    """Runs of each trial, with the same seeds in all of them; the study's own is --seed."""
    objective: Literal["score", "time-to-score", "score-and-harm"] = "score"
    """What is sought: the return in the last three evaluations, the transitions after which --score is
    reached, or the return and the harm that the world measures, between which lies a front."""
    score: float | None = None
    """The return that is to be reached, for --objective time-to-score."""
    sampler: Literal["tpe", "random"] = "tpe"
    """Who proposes settings: TPE (Bergstra et al. 2011), or chance, which is its control."""
    space: Path | None = None
    """TOML file of what is searched; by default all that the agent marks."""
    out: Path = Path("tuning")
    """Folder in which the study gets its own: <out>/<env>/<agent>/<stamp>."""
    preset: Path | None = None
    """TOML file of the settings to begin with; by default those that are known to work well."""


def _new(names: Sequence[str], args: Sequence[str]) -> tuple[Study, ResumeSettings, Executor]:
    from .tuning.space import as_params, space_of
    from .tuning.study import Aim, Study

    asked = read_request(names, args, TuneSettings(), CALLED)
    config, given = asked.config, asked.given.files
    spec, environment, settings = asked.agent, asked.environment, asked.config.settings
    if config.encoding:
        raise ValueError("meze tune takes no --encoder: no preset could hold what it was fitted to")
    if config.macros:
        raise ValueError("meze tune takes no --macros: no preset could hold the sequences that are found")
    if network := named_code(config.agent_config):
        raise ValueError(f"meze tune takes no code of another package, and no file may name it: {network}")
    if config.limit:
        raise ValueError("meze tune takes no --constraint; --objective score-and-harm shows the front")
    if KINDS[spec.kind].length == "generations":
        if settings.max_steps is None:
            raise ValueError(
                f"meze tune {spec.name} needs --max-steps: with equal generations the largest population wins"
            )
        settings = dataclasses.replace(settings, **settings.within(settings.max_steps))
    config = with_device(dataclasses.replace(config, settings=settings))  # a misfit leaves no folder behind
    space = space_of(spec.name, config.agent_config, given.space)
    aim = Aim(given.trials, given.seeds, given.objective, given.sampler, given.score)
    new_figure()  # a library that is missing shows before there is a folder, or anything is trained
    study = Study(Path(), config, space, aim)
    if aim.objective == "score-and-harm":
        _ = study.harm  # a world without any has none
    executor = make_executor(given)
    path = new_folder(given.out / environment.name / spec.name, time.strftime("%Y%m%d-%H%M%S"))
    study = dataclasses.replace(study, path=path)
    study.create()
    if as_params(space, config.agent_config) is None:
        print("no trial has the settings that the study begins with: they do not lie in what is searched")
    return study, given, executor


def _old(path: str, names: Sequence[str], args: Sequence[str]) -> tuple[Study, ResumeSettings, Executor]:
    from .setup.plugins import load_plugins
    from .tuning.study import Study

    load_plugins()
    study = Study.open(Path(path), names[-1] if names else None)
    if len(names) > 1 and names[0] != study.config.agent.name:
        raise ValueError(f"{path} is a study of {study.config.agent.name}, not of {names[0]}")
    default = ResumeSettings(study.aim.trials)
    given = parse(default, args, prog="meze tune --resume FOLDER", description=DESCRIPTION)
    if given.trials != study.aim.trials:
        study = dataclasses.replace(study, aim=dataclasses.replace(study.aim, trials=given.trials))
        study.write()
    _ = study.trials  # what is damaged shows before anything is done
    return study, given, make_executor(given)


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    with needed("meze tune", "tune"):
        from .tuning.findings import findings, write_preset
        from .tuning.report import print_findings, write_report
        from .tuning.search import run_fresh, run_trials
    resumed, flags = take_flag(args[len(names) :], "--resume")
    study, given, executor = _old(resumed[-1], names, flags) if resumed else _new(names, flags)
    print(f"study: {study.path}")
    print(
        wrapped(f"searched: {'; '.join(f'{name}: {mark}' for name, mark in study.space.items())}"), flush=True
    )
    if study.aim.objective == "score-and-harm":
        print(f"set against the return: {study.harm}", flush=True)
    failures: dict[str, str] = {}
    try:
        run_trials(study, executor, given.minutes)
        best = study.best
        if best is not None:
            said = f"the best settings, of trial {best.number}, with seeds that nothing was searched with"
            print(wrapped(said), flush=True)
            failures = run_fresh(study, best.number, executor)
        with study.alone():  # others may be ready, too
            found = findings(study, failures)
            write_json(study.path / "report.json", found)
            if best is not None:
                write_preset(study, best.number, study.path / "preset.toml")
            write_report(found, study.path / "report.html")
    except KeyboardInterrupt as error:
        again = *study.config.environment.named_again, *given.words
        print(f"stopped; go on with: {command('meze', 'tune', '--resume', study.path, *again)}")
        return exit_code(error)
    print_findings(found)
    for name, reason in failures.items():
        print(printable(f"meze: error: {name} failed: {reason}"), file=sys.stderr)
    if best is None:
        print("meze: error: no trial came to its end", file=sys.stderr)
    else:
        preset = study.path / "preset.toml"
        said = command("meze", "train", found["agent"], found["env"], "--preset", preset)
        print(f"train with it: {said}")
    print(f"report: {study.path / 'report.html'}", flush=True)
    return 1 if failures or best is None else 0
