"""`meze train AGENT ENV`: trains an agent, with evaluations, checkpoints and exact resume."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gymnasium.vector import AutoresetMode

from ..agents import checkpoint
from ..agents.base import NonFiniteLossError
from ..agents.encoders import EncoderChain, find_encoder
from ..agents.registry import AgentSpec, agent_names
from .collect import fit_encoding
from .device import with_device
from .encoding import Encoding, FitSettings
from .files import held
from .interrupts import stopping
from .judge import Judge
from .kinds import KINDS, RunSettings
from .lengths import stretched
from .metrics import Meter, MetricsLog
from .plugins import load_plugins
from .presets import default_agent_config, default_env_config, default_settings, with_presets_of
from .progress import ProgressLine, Waiting
from .resolve import Environment, find_environment, find_learner
from .rollout import Rollout, Savable
from .rundir import RunConfig, RunDir, pack, restore, unpack
from .settings import (
    as_flags,
    asks_for_help,
    group,
    leading_names,
    override,
    parse,
    print_help,
    take_flag,
    to_plain,
)
from .stopwatch import Stopwatch, count
from .text import command

USAGE = "meze train AGENT ENV [flags], or meze train --resume RUN"
DESCRIPTION = """Trains AGENT in ENV and compares it with the random agent and the world's references.
`meze envs` lists both; `meze train AGENT ENV --help` lists all flags with their defaults. `--encoder NAME`
puts an encoder before the agent, or a chain: `--encoder pca+kmeans`; with it, --help lists its settings too.
`--preset FILE` begins with the settings of a TOML file of yours; `assets/presets` has the ones that are known
to work well.

Ctrl-C saves and stops (exit code 130), and so does SIGTERM (143); `meze train --resume RUN` goes on, exactly
where the run stood. A run whose network is code of another package needs `--network package.module:Class`
as well."""
SETTINGS = [each for kind in KINDS.values() for each in (kind.settings, kind.on_device) if each]
"""What runs may be asked for; see `names`."""
ROWS = 100
"""Rows of metrics.csv in a run, apart from those of evaluations and checkpoints."""


@dataclass(frozen=True)
class OutSettings:
    """Where a run is written, and with what it begins."""

    out: Path = Path("runs")
    """Folder in which the run gets its own: <out>/<env>/<agent>/<stamp>-s<seed>."""
    preset: Path | None = None
    """TOML file of the settings to begin with; by default those that are known to work well."""


class Asked(NamedTuple):
    """What the words after `meze train` ask for."""

    agent: AgentSpec
    environment: Environment
    chain: EncoderChain | None
    given: Any
    """Settings by their groups: `run`, `files`, `agent`, `env`; with an encoder `encoder` and `fit`."""

    @property
    def config(self) -> RunConfig:
        """The same for a run, whose encoder is not fitted yet."""
        given, chain = self.given, self.chain
        encoding = None if chain is None else Encoding(chain, given.encoder, given.fit)
        return RunConfig(self.agent, given.agent, self.environment, given.env, given.run, encoding)


class Training:
    """One training run of a learner or trainer: environment, learner, and where they stand.

    Everything happens at points of the loop that depend on the number of transitions alone, so a run that was
    killed and resumed goes through the same states as one that never stopped. (An environment that can't give
    its state begins new episodes instead.)
    """

    def __init__(self, config: RunConfig, run: RunDir, start: Path | None = None) -> None:
        """Makes everything, and goes on from the checkpoint `start`, if one is given."""
        self.config = config
        self.run = run
        self.step = 0
        self.env = config.make_env(config.settings.num_envs, AutoresetMode.SAME_STEP)
        self.learner = config.make_learner(self.env, config.settings.device)
        self.judge = Judge(config)
        self._stopwatch = Stopwatch()
        self._rollout = self._begin(config.env_seeds())
        self._meter = Meter()
        if start is not None:
            self._restore(start)
        self.log = MetricsLog(run.path, self.step)

    @property
    def done(self) -> str:
        """How far it is, in words; empty at the very beginning."""
        return f"{self.step:,} transitions" if self.step else ""

    @property
    def seconds(self) -> float:
        """How long it has been trained."""
        return self._stopwatch.total

    @property
    def transitions(self) -> int:
        """On how many it has been trained."""
        return self.step

    @property
    def notes(self) -> Sequence[str]:
        """What the learner has to say before it is trained, in lines."""
        return self.learner.notes

    @property
    def losses(self) -> list[str]:
        """Why a resumed run differs from one that never stopped, if it does."""
        savable = isinstance(self.env.unwrapped, Savable)
        losses = [] if savable else [f"{self.config.environment.id} can't save its state: new episodes begin"]
        if not self.learner.exact:
            losses.append("the replay was not saved: it begins empty")
        return losses

    def _begin(self, seeds: Sequence[int]) -> Rollout:
        """New episodes."""
        rollout = KINDS[self.config.agent.kind].rollout_class()
        env, self._inside = self.learner.inside(self.env)
        return rollout(env, self._inside.policy, seeds, self._stopwatch)

    def _restore(self, path: Path) -> None:
        state = checkpoint.load(path)
        restore(self.learner, state, path)
        try:
            self.step = count(state["step"])
            self._stopwatch.restore(state["seconds"])
            if not isinstance(self.env.unwrapped, Savable):
                self._rollout = self._begin(self.config.env_seeds(self.step))
            self._rollout.load_state_dict(unpack(state, "rollout"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} does not fit its run ({error})") from error

    def save(self) -> None:
        """Writes a checkpoint."""
        parts = pack(learner=self.learner.state_dict(), rollout=self._rollout.state_dict())
        state = {"step": self.step, "seconds": self._stopwatch.seconds, **parts}
        checkpoint.save(self.run.checkpoint_path(self.step), state)

    def progress(self) -> ProgressLine:
        """What shows how far it is."""
        return ProgressLine(self.config.settings.steps, self.step, measures=self.judge.measures)

    def advance(self, progress: ProgressLine, stop: threading.Event) -> bool:
        """Trains up to the run's number of transitions.

        Returns:
            False when `stop` was set before that; the run is saved all the same.
        """
        settings, stopwatch = self.config.settings, self._stopwatch
        row_every = max(1, settings.steps // ROWS)
        eval_every = settings.eval_every or settings.steps
        checkpoint_every = settings.checkpoint_every or settings.steps
        mark = stopwatch.total, self.step  # the last row
        stopwatch.start()
        stopping = False
        while self.step < settings.steps and not stopping:
            stopping = stop.is_set()
            count, metrics, episodes = self._rollout.advance(self._inside)
            self._meter.add(metrics, episodes)
            before, self.step = self.step, self.step + count
            last = self.step >= settings.steps
            evaluation = last or _crossed(before, self.step, eval_every)
            saving = last or stopping or _crossed(before, self.step, checkpoint_every)
            progress.update(self.step, stopwatch.lap("other"))
            if not (evaluation or saving or _crossed(before, self.step, row_every)):
                continue
            seconds = stopwatch.total
            row = {"seconds": seconds, "steps_per_second": (self.step - mark[1]) / (seconds - mark[0])}
            row |= {f"seconds_{part}": each for part, each in stopwatch.seconds.items()}
            row |= self._meter.take()
            if evaluation:
                with progress.busy("evaluating"):
                    row |= self.judge.evaluate(self.learner.policy)
                progress.evaluated(self.step, row)
            self.log.write(self.step, row)
            if saving or evaluation and self.judge.chooses(row, self.run):
                self.save()
            mark = seconds, self.step
            stopwatch.start()  # evaluating and saving are not training
        return self.step >= settings.steps

    def compare(self) -> None:
        """Evaluates the learner, the random agent and the world's references; prints and keeps the scores."""
        print(f"trained for {self._stopwatch.summary()}")
        self.log.final(self.judge.compare(self.learner.policy, self.run, self.done))

    def close(self) -> None:
        """Closes files and environments."""
        self.log.close()
        self.env.close()
        self.judge.close()


def _crossed(before: int, after: int, every: int) -> bool:
    return before // every != after // every


def usual(
    spec: AgentSpec, environment: Environment, chain: EncoderChain | None = None, mode: str | None = None
) -> Asked:
    """A run of the usual length with the settings that are known to work well.

    Args:
        spec: who is trained.
        environment: where.
        chain: the encoder before it.
        mode: the observation mode that the agent's settings are for; by default the one that suits it best.
    """
    encoded = chain is not None
    given = group(
        "Train",
        run=default_settings(environment, spec),
        files=OutSettings(preset=environment.presets),
        agent=default_agent_config(environment, spec, mode, encoded=encoded),
        env=default_env_config(environment, spec, encoded=encoded),
        **({} if chain is None else {"encoder": chain.config_class()(), "fit": FitSettings()}),
    )
    return Asked(spec, environment, chain, given)


def stretch(asked: Asked, usual_run: RunSettings, kept: Collection[str] = ()) -> Asked:
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


def ask(names: Sequence[str], args: Sequence[str]) -> Asked:
    """Reads what follows `meze train`.

    Args:
        names: agent and environment.
        args: the flags.

    Raises:
        ValueError: one line, for names that are not known, and flags that do not fit.

    Returns:
        The settings; where the run is longer or shorter than the preset's, its schedules are, too.
    """
    if len(names) != 2:
        raise ValueError(f"usage: {USAGE}; `meze envs` lists agents and environments")
    spec, environment = find_learner(names[0]), find_environment(names[1])
    modes, _ = take_flag(args, "--env.observation")
    encoders, flags = take_flag(args, "--encoder")
    presets, flags = take_flag(flags, "--preset")
    if presets:
        environment = with_presets_of(Path(presets[-1]), environment, spec)
    default = usual(spec, environment, find_encoder(encoders[-1]) if encoders else None, *modes[-1:])
    given = parse(default.given, flags, prog=f"meze train {' '.join(names)}", description=DESCRIPTION)
    said = {flag.partition("=")[0].replace("_", "-") for flag in flags}
    return stretch(default._replace(given=given), default.given.run, said)


def words(config: RunConfig) -> list[str]:
    """What to say after `meze train` for a run with these settings."""
    encoding, mode = config.encoding, getattr(config.env_config, "observation", None)
    default = usual(config.agent, config.environment, encoding and encoding.chain, mode)
    run = dataclasses.replace(default.given, run=config.settings)
    as_long = stretch(default._replace(given=run), default.given.run).given
    given = dataclasses.replace(run, agent=config.agent_config, env=config.env_config)
    names = [config.agent.name, config.environment.id]
    if encoding:
        given = dataclasses.replace(given, encoder=encoding.config, fit=encoding.fit)
        names += ["--encoder", encoding.chain.name]
    return [*names, *as_flags(given, dataclasses.replace(as_long, run=default.given.run))]


def new_run(names: Sequence[str], args: Sequence[str]) -> tuple[RunConfig, RunDir]:
    """Begins the run that is asked for; see `ask` and `begin`."""
    asked = ask(names, args)
    return begin(asked.config, asked.given.files.out, [*names, *args])


def begin(config: RunConfig, out: Path, said: Sequence[str]) -> tuple[RunConfig, RunDir]:
    """Fits the encoder, if there is one, and makes the folder of a new run.

    Args:
        config: what the run is asked to do.
        out: where the folder gets its own.
        said: the words after `meze train`, to be kept.
    """
    settings, encoding = config.settings, config.encoding
    tenth = max(1, getattr(settings, KINDS[config.agent.kind].length) // 10)
    intervals = ("eval_every", "checkpoint_every")
    unset = {name: tenth for name in intervals if getattr(settings, name, tenth) is None}
    if encoding:
        parts = encoding.chain, encoding.config, encoding.fit
        encoding = fit_encoding(*parts, config.environment, config.env_config, settings.seed)
    settings = dataclasses.replace(settings, **unset)
    config = dataclasses.replace(config, settings=settings, encoding=encoding)
    config = with_device(config)  # a misfit leaves no folder behind
    return config, RunDir.create(out, config, command("meze", "train", *said))


def old_run(path: str, args: Sequence[str], names: Sequence[str]) -> tuple[RunConfig, RunDir]:
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
    if agents and agents[0] != config.agent.name:
        raise ValueError(f"{path} is a run of {config.agent.name}, not of {agents[0]}")
    before = config.settings
    may_change = (field.name for field in dataclasses.fields(before.resume))
    default = before.resume(**{name: getattr(before, name) for name in may_change})
    given = to_plain(parse(default, args, prog="meze train --resume RUN", description=DESCRIPTION))
    length = KINDS[config.agent.kind].length
    if getattr(before, length) != given[length] < run.reached():
        raise ValueError(f"{path} is at {run.reached():,} {length} already; --{length} must be more")
    config = with_device(dataclasses.replace(config, settings=override(before, given)))
    kept = {name: getattr(config.settings, name) for name in (length, "device") if name in given}
    if changed := {name: value for name, value in kept.items() if value != getattr(before, name)}:
        run.extend(**changed)
    if "device" in changed:
        print(f"on {config.settings.device} from now on, which rounds sums otherwise than {before.device}")
    return config, run


def make_training(config: RunConfig, run: RunDir) -> Any:
    """What trains this kind of agent (`Training` or one like it), where its newest checkpoint stands."""
    return KINDS[config.agent.kind].run_class()(config, run, run.newest_sound())


def _told(error: NonFiniteLossError, run: RunDir) -> str:
    """Keeps the batch of a loss that is no number, and says where."""
    batch, last = run.write_batch(error.batch), run.latest_checkpoint()
    return f"{error}. Its batch: {batch}; the last good checkpoint: {last or 'none yet'}"


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    if asks_for_help(args):
        print_help(USAGE, DESCRIPTION)
        return 0
    names = leading_names(args)
    resumed, flags = take_flag(args[len(names) :], "--resume")
    if resumed:
        with held(RunDir.open(resumed[-1]).path):
            return _train(*old_run(resumed[-1], flags, names))
    config, run = new_run(names, flags)
    with held(run.path):
        return _train(config, run)


def _train(config: RunConfig, run: RunDir) -> int:
    """Trains to the end, or until it is interrupted; returns the exit code."""
    with Waiting("getting ready, which takes longer the first time, when it is compiled"):
        training = make_training(config, run)
    if training.done:
        print(f"going on from {training.done}")
        for loss in training.losses:
            print(f"{loss}, so the run goes on otherwise than one that was never stopped")
    for note in training.notes:
        print(note)
    again = config.environment.named_again
    try:
        with stopping() as stop, training.progress() as progress:
            finished = training.advance(progress, stop)
        if not finished:
            words = command("meze", "train", "--resume", run.path, *again)
            print(f"saved at {training.done or 'the very beginning'}; go on with: {words}")
            return stop.code
        training.compare()
    except NonFiniteLossError as error:
        raise ValueError(_told(error, run)) from error
    finally:
        training.close()
    # Called by its path, as make does, the program may not be on the user's search path.
    program = "meze" if shutil.which("meze") or Path(sys.argv[0]).name != "meze" else sys.argv[0]
    print(f"run folder: {run.path}\nwatch it:   {command(program, 'watch', run.path, *again)}", flush=True)
    return 0
