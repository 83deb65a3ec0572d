"""`meze train AGENT ENV`: trains an agent, with evaluations, checkpoints and exact resume."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..agents.base import NonFiniteLossError
from .run.folder import Run, RunDir
from .run.progress import Waiting
from .run.start import DESCRIPTION as DESCRIPTION
from .run.start import USAGE as USAGE
from .run.start import Begun, IslandSettings, OutSettings, make_training, new_run, old_run
from .setup.files import held
from .setup.interrupts import Saved, stopping
from .setup.kinds import KINDS
from .setup.settings import as_words, leading_names, take_flag
from .setup.text import command

_RUNS = [each for kind in KINDS.values() for each in (kind.settings, kind.on_device) if each]
SETTINGS = [OutSettings, IslandSettings, *_RUNS]
"""What runs may be asked for; see `names`."""


def _describe(error: NonFiniteLossError, run: RunDir) -> str:
    """Keeps the batch of a loss that is no number, and says where."""
    batch, last = run.write_batch(error.batch), run.latest_checkpoint()
    return f"{error}. Its batch: {batch}; the last good checkpoint: {last or 'none yet'}"


def train(agent: str, env: str, settings: Mapping[str, Any] | None = None, /, **run: Any) -> Run:
    """Trains an agent as `meze train AGENT ENV` does, tells how far it is, and prints its scores.

    Args:
        agent: its name; see `list_agents`.
        env: a world's name, any Gymnasium id, `package.module:Id` or `package.module:Class`.
        settings: the flags of `meze train` without dashes, as presets have them, to values:
            `{"agent.gamma": 0.95, "env.hour": 8, "encoder": "kmeans"}`.
        **run: the same for flags whose names have no dot: `steps=100_000, seed=3, out="runs"`.

    Returns:
        The run, in its folder.

    Raises:
        ValueError: one line, for a name or setting that is not there, a value that does not fit, or a loss
            that is no number.
        KeyboardInterrupt: after Ctrl-C; what was learned is saved, and `resume` goes on.
    """
    return _begun([agent, env], as_words({**(settings or {}), **run}))


def resume(path: str | Path, /, *, env: str | None = None, network: str | None = None, **run: Any) -> Run:
    """Goes on with a run as `meze train --resume RUN` does.

    Args:
        path: the run's folder.
        env: `package.module:Id`, needed where the environment lies in another package.
        network: `package.module:Class`, needed where the network does.
        **run: what changes: `steps` or `generations`, `num_threads`, `device`, ...

    Returns:
        The run.

    Raises:
        ValueError: one line, when it can't go on, or what is to change can't.
        KeyboardInterrupt: after Ctrl-C; what was learned is saved.
    """
    words = as_words(run | ({"network": network} if network else {}))
    return _resumed(str(path), words, [env] if env else [])


def _begun(names: Sequence[str], words: Sequence[str]) -> Run:
    begun = new_run(names, words)
    with held(begun.run.path):
        return _train(begun)


def _resumed(path: str, words: Sequence[str], names: Sequence[str]) -> Run:
    run = RunDir.open(path)
    run.check_whole()
    with held(run.path):
        return _train(old_run(path, words, names))


def _train(begun: Begun) -> Run:
    """Trains to the end, or until it is interrupted."""
    config, run, executor, more = begun
    with Waiting("getting ready, which takes longer the first time, when it is compiled"):
        training = make_training(config, run, executor)
    if training.done:
        print(f"going on from {training.done}")
        for caveat in training.caveats:
            print(f"{caveat}, so the run goes on otherwise than one that was never stopped")
    for note in training.notes:
        print(note)
    try:
        with stopping() as stop, training.progress() as progress:
            finished = training.advance(progress, stop)
        again = config.environment.named_again
        if not finished:
            words = command("meze", "train", "--resume", run.path, *again, *more)
            print(f"saved at {training.done or 'the very beginning'}; go on with: {words}")
            raise Saved(stop.code)
        return Run(run.path, training.compare(), tuple(again))
    except NonFiniteLossError as error:
        raise ValueError(_describe(error, run)) from error
    finally:
        training.close()


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    resumed, flags = take_flag(args[len(names) :], "--resume")
    run = _resumed(resumed[-1], flags, names) if resumed else _begun(names, flags)
    # Called by its path, as make does, the program may not be on the user's search path.
    program = "meze" if shutil.which("meze") or Path(sys.argv[0]).name != "meze" else sys.argv[0]
    watch = command(program, "watch", run.path, *run.named_again)
    print(f"run folder: {run.path}\nwatch it:   {watch}", flush=True)
    return 0
