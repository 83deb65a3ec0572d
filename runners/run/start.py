"""From the command line to a run, new or old."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...agents.encoders.registry import EncoderChain, find_encoder
from ...agents.registry import AgentSpec, agent_names, find_agent
from ..setup.kinds import KINDS, RunSettings
from ..setup.lengths import stretched
from ..setup.machines import Machines
from ..setup.plugins import load_plugins
from ..setup.presets import (
    default_agent_config,
    default_env_config,
    default_settings,
    provenance,
    with_presets_of,
)
from ..setup.resolve import Environment, find_environment, find_learner
from ..setup.settings import as_words, differences, group, override, parse, take_flag, to_plain
from ..setup.text import command
from .base import Job
from .config import RunConfig
from .device import with_device
from .encoding import Encoding, FitSettings
from .executor import Executor
from .executors import make_executor
from .folder import RunDir
from .macros import MacroSettings, RunMacros, check_takes_macros
from .mining import find_macros
from .recording import fit_encoding

USAGE = "meze train AGENT ENV [flags], or meze train --resume RUN"
DESCRIPTION = """Trains AGENT in ENV and compares it with the random agent and the world's references.
`meze envs` lists both; `meze train AGENT ENV --help` lists all flags with their defaults. `--encoder NAME`
puts an encoder before the agent, or a chain: `--encoder pca+kmeans`; with it, --help lists its settings too.
`--macros 8` makes eight sequences of the expert's actions further actions of a learner.
`--preset FILE` begins with the settings of a TOML file of yours; `assets/presets` has the ones that are known
to work well.

Ctrl-C saves and stops (exit code 130), and so does SIGTERM (143); `meze train --resume RUN` goes on, exactly
where the run stood. A run whose network is code of another package needs `--network package.module:Class`
as well."""

EVALUATIONS = 10
"""Of a run, and checkpoints, by default."""
CONSTRAINED = 100
"""The same of a run with a constraint, whose multiplier moves with each evaluation."""


@dataclass(frozen=True)
class OutSettings:
    """Where a run is written, and with what it begins."""

    out: Path = Path("runs")
    """Folder in which the run gets its own: <out>/<env>/<agent>/<stamp>-s<seed>."""
    preset: Path | None = None
    """TOML file of the settings to begin with; by default those that are known to work well."""


@dataclass(frozen=True, kw_only=True)
class IslandSettings(Machines):
    """Where islands are, and how many side by side; what comes of them is the same."""

    on: Literal["here", "ray"] = "here"
    """Where islands are: on this machine, or on all those of a cluster of Ray (extra `ray`)."""
    cpus_per_run: int = 1
    """Cores that each island has for itself, in a process of its own; --num-threads uses them."""
    jobs: int | None = None
    """Islands that evolve side by side, each in a process of its own; by default one after another in this
    one, and on Ray as many as there are cores for."""

    def executor(self, config: RunConfig) -> Executor | None:
        """Makes who runs a run's islands; None: they have no processes of their own.

        Raises:
            ValueError: one line, when there are none, or that can't be used.
        """
        if self == IslandSettings() or self == IslandSettings(jobs=1):
            return None
        if config.settings.islands == 1:
            raise ValueError(
                "--on, --jobs and --cpus-per-run are for islands; one population has --num-threads"
            )
        return make_executor(self)


class Begun(NamedTuple):
    """A run that is to be trained."""

    config: RunConfig
    run: RunDir
    executor: Executor | None = None
    """Who runs its islands, if they have processes of their own."""
    words: Sequence[str] = ()
    """What to say besides so that it goes on in the same way."""


class Called(NamedTuple):
    """A command that trains an agent, as its help and messages have it."""

    command: str
    usage: str
    description: str


class TrainRequest(NamedTuple):
    """What the words after `meze train` ask for."""

    agent: AgentSpec
    environment: Environment
    chain: EncoderChain | None
    given: Any
    """Settings by their groups: `run`, `files`, `agent`, `env`; of a learner `macros`, of a searcher
    `machines`; with an encoder `encoder` and `fit`."""

    @property
    def config(self) -> RunConfig:
        """The same for a run, whose encoder is not fitted yet."""
        given, chain, asked = self.given, self.chain, getattr(self.given, "macros", None)
        encoding = None if chain is None else Encoding(chain, given.encoder, given.fit)
        macros = RunMacros(asked) if asked and asked.number else None
        return RunConfig(self.agent, given.agent, self.environment, given.env, given.run, encoding, macros)


def usual(
    spec: AgentSpec,
    environment: Environment,
    chain: EncoderChain | None = None,
    mode: str | None = None,
    files: Any = OutSettings(),  # noqa: B008 it is frozen
) -> TrainRequest:
    """A run of the usual length with the settings that are known to work well.

    Args:
        spec: who is trained.
        environment: where.
        chain: the encoder before it.
        mode: the observation mode that the agent's settings are for; by default the one that suits it best.
        files: what a command asks for beside the run, with a `preset`.
    """
    encoded, has_islands = chain is not None, KINDS[spec.kind].apart
    given = group(
        "Train",
        run=default_settings(environment, spec, mode, encoded=encoded),
        files=dataclasses.replace(files, preset=environment.presets),
        agent=default_agent_config(environment, spec, mode, encoded=encoded),
        env=default_env_config(environment, spec, encoded=encoded),
        **({"macros": MacroSettings()} if spec.kind == "learner" else {}),
        **({"machines": IslandSettings()} if has_islands and not isinstance(files, Machines) else {}),
        **({} if chain is None else {"encoder": chain.config_class()(), "fit": FitSettings()}),
    )
    return TrainRequest(spec, environment, chain, given)


def stretch(asked: TrainRequest, usual_run: RunSettings, kept: Collection[str] = ()) -> TrainRequest:
    """The same with schedules that are as long, for its run, as they were for a run of the usual length.

    Args:
        asked: whose schedules are those of the usual length.
        usual_run: settings of such a run.
        kept: flags whose values stay as they are.
    """
    length = KINDS[asked.agent.kind].length
    scale = getattr(asked.given.run, length) / getattr(usual_run, length)
    if scale == 1:
        return asked
    agent = stretched(asked.given.agent, scale, kept)
    return asked._replace(given=dataclasses.replace(asked.given, agent=agent))


def read_request(
    names: Sequence[str],
    args: Sequence[str],
    files: Any = OutSettings(),  # noqa: B008 it is frozen
    called: Called = Called("meze train", USAGE, DESCRIPTION),  # noqa: B008 it is frozen
) -> TrainRequest:
    """Reads what follows `meze train`, or another command that trains an agent with settings as asked for.

    Args:
        names: agent and environment.
        args: the flags.
        files: what the command asks for beside the run, with a `preset`.
        called: the command.

    Raises:
        ValueError: one line, for names that are not known, and flags that do not fit.

    Returns:
        The settings; where the run is longer or shorter than the preset's, its schedules are, too.
    """
    if len(names) != 2:
        raise ValueError(f"usage: {called.usage}; `meze envs` lists agents and environments")
    spec, environment = find_learner(names[0]), find_environment(names[1])
    modes, _ = take_flag(args, "--env.observation")
    encoders, flags = take_flag(args, "--encoder")
    presets, flags = take_flag(flags, "--preset")
    macros, flags = take_flag(flags, "--macros")
    flags += [f"--macros.number={each}" for each in macros]
    if presets:
        environment = with_presets_of(Path(presets[-1]), environment, spec)
    chain = find_encoder(encoders[-1]) if encoders else None
    default = usual(spec, environment, chain, modes[-1] if modes else None, files)
    if macros:
        check_takes_macros(spec, default.given.agent)
    prog = f"{called.command} {' '.join(names)}"
    found = provenance(environment, spec.name)
    description = f"{called.description}\n\nThese settings of {spec.name} in {environment.name}: {found}."
    given = parse(default.given, flags, prog=prog, description=description)
    said = {flag.partition("=")[0].replace("_", "-") for flag in flags}
    idle = sorted(flag for flag in said if flag.startswith("--macros."))
    if idle and "--macros.number" not in idle:
        raise ValueError(f"{idle[0]} needs a number of macro-actions too, such as --macros 8")
    return stretch(default._replace(given=given), default.given.run, said)


def words(config: RunConfig) -> list[str]:
    """What to say after `meze train` for a run with these settings."""
    encoding, mode = config.encoding, getattr(config.env_config, "observation", None)
    default = usual(config.agent, config.environment, encoding and encoding.chain, mode)
    run = dataclasses.replace(default.given, run=config.settings)
    as_long = stretch(default._replace(given=run), default.given.run).given
    given = dataclasses.replace(run, agent=config.agent_config, env=config.env_config)
    names = [config.agent.name, config.environment.id]
    if config.macros:
        given = dataclasses.replace(given, macros=config.macros.settings)
    if encoding:
        given = dataclasses.replace(given, encoder=encoding.config, fit=encoding.fit)
        names += ["--encoder", encoding.chain.name]
    return [*names, *as_words(differences(given, dataclasses.replace(as_long, run=default.given.run)))]


def new_run(names: Sequence[str], args: Sequence[str]) -> Begun:
    """Begins the run that is asked for; see `ask` and `begin`."""
    asked = read_request(names, args)
    machines = getattr(asked.given, "machines", IslandSettings())
    executor = machines.executor(asked.config)  # what can't be used leaves no folder behind
    config, run = begin(asked.config, asked.given.files.out, [*names, *args])
    return Begun(config, run, executor, machines.words)


def begin(config: RunConfig, out: Path, said: Sequence[str]) -> tuple[RunConfig, RunDir]:
    """Fits the encoder and finds the macro-actions, if there are any, and makes the folder of a new run.

    Args:
        config: what the run is asked to do.
        out: where the folder gets its own.
        said: the words after `meze train`, to be kept.
    """
    settings, encoding, macros = config.settings, config.encoding, config.macros
    _ = config.weights  # which checks them
    if macros:
        check_takes_macros(config.agent, config.agent_config)
        macros = find_macros(macros.settings, config.environment, config.env_config, settings.seed)
    length = getattr(settings, KINDS[config.agent.kind].length)
    intervals = {"eval_every": CONSTRAINED if config.limit else EVALUATIONS, "checkpoint_every": EVALUATIONS}
    unset = {
        name: max(1, length // number)
        for name, number in intervals.items()
        if getattr(settings, name, length) is None
    }
    if encoding:
        parts = encoding.chain, encoding.config, encoding.fit
        encoding = fit_encoding(*parts, config.environment, config.env_config, settings.seed)
    settings = dataclasses.replace(settings, **unset)
    config = dataclasses.replace(config, settings=settings, encoding=encoding, macros=macros)
    config = with_device(config)  # a misfit leaves no folder behind
    return config, RunDir.create(out, config, command("meze", "train", *said))


def begun(config: RunConfig, out: Path) -> tuple[RunConfig, RunDir]:
    """Goes on with the run with these settings and seed that was begun in a folder of its own, or begins it.

    Args:
        config: what the run is asked to do.
        out: a folder in which no other runs are but with other seeds.
    """
    found = sorted(out.glob(f"*/*/*-s{config.settings.seed}/config.json"))
    if found:
        going_on = old_run(str(found[0].parent), [], [config.agent.name, config.environment.id])
        return going_on.config, going_on.run
    return begin(config, out, [*words(config), "--out", str(out)])


def old_run(path: str, args: Sequence[str], names: Sequence[str]) -> Begun:
    """Opens the folder of a run that is to go on, with what `args` change in it.

    Raises:
        ValueError: one line, when it can't.
    """
    networks, args = take_flag(args, "--network")
    run = RunDir.open(path)
    load_plugins()
    agents = [name for name in names[:1] if len(names) > 1 or name in agent_names()]
    env_id = next(iter(names[len(agents) :]), None)
    config = run.config(env_id, networks)
    if agents and find_agent(agents[0]) != config.agent:
        raise ValueError(f"{path} is a run of {config.agent.name}, not of {agents[0]}")
    before = config.settings
    may_change = (field.name for field in dataclasses.fields(before.resume))
    default = before.resume(**{name: getattr(before, name) for name in may_change})
    parts = {"machines": IslandSettings()} if KINDS[config.agent.kind].apart else {}
    asked = group("Resume", run=default, **parts)
    asked = parse(asked, args, prog="meze train --resume RUN", description=DESCRIPTION)
    given, machines = to_plain(asked.run), getattr(asked, "machines", IslandSettings())
    length = KINDS[config.agent.kind].length
    if getattr(before, length) != given[length] < run.furthest():
        raise ValueError(f"{path} is at {run.furthest():,} {length} already; --{length} must be more")
    config = with_device(dataclasses.replace(config, settings=override(before, given)))
    kept = {name: getattr(config.settings, name) for name in (length, "device") if name in given}
    if changed := {name: value for name, value in kept.items() if value != getattr(before, name)}:
        run.extend(**changed)
    if "device" in changed:
        print(f"on {config.settings.device} from now on, which rounds sums otherwise than {before.device}")
    return Begun(config, run, machines.executor(config), machines.words)


def make_training(config: RunConfig, run: RunDir, executor: Executor | None = None) -> Job:
    """What trains this kind of agent, where its newest checkpoint stands.

    Args:
        config: what is asked for.
        run: the folder.
        executor: who runs islands, if they have processes of their own.
    """
    if (islands := getattr(config.settings, "islands", 1)) == 1:
        return KINDS[config.agent.kind].run_class()(config, run, run.newest_sound())
    return KINDS[config.agent.kind].run_class(islands)(config, run, run.newest_sound(), executor)
