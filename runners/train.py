"""`meze train AGENT ENV`: trains an agent, with evaluations, checkpoints and exact resume."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..agents.base import NonFiniteLossError
from .run.config import RunConfig
from .run.folder import RunDir
from .run.progress import Waiting
from .run.start import DESCRIPTION as DESCRIPTION
from .run.start import USAGE as USAGE
from .run.start import OutSettings, make_training, new_run, old_run
from .setup.files import held
from .setup.interrupts import stopping
from .setup.kinds import KINDS
from .setup.settings import leading_names, take_flag
from .setup.text import command

_RUNS = [each for kind in KINDS.values() for each in (kind.settings, kind.on_device) if each]
SETTINGS = [OutSettings, *_RUNS]
"""What runs may be asked for; see `names`."""


def _told(error: NonFiniteLossError, run: RunDir) -> str:
    """Keeps the batch of a loss that is no number, and says where."""
    batch, last = run.write_batch(error.batch), run.latest_checkpoint()
    return f"{error}. Its batch: {batch}; the last good checkpoint: {last or 'none yet'}"


def main(args: Sequence[str]) -> int:
    """Runs the command."""
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
