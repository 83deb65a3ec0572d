"""What tests of runs share: finding one, reading what it left behind, killing it and going on."""

import csv
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.envs.core.registry import register_world
from meze.runners.run.executor import Processes, Task
from meze.runners.run.folder import RunDir
from meze.runners.tournament import match

IN_ANOTHER_PROCESS = """
import sys
sys.path[:0] = {folders!r}
from run_files import register_corridor
register_corridor()
from meze.runners import cli
sys.exit(cli.main(sys.argv[1:]))
"""


def register_corridor() -> None:
    """Registers the corridor, with the same presets in each process: schedules follow them."""
    register_world(
        id="toy/Corridor-v0",
        name="corridor",
        world="toy_world:Corridor",
        config="toy_world:CorridorConfig",
        max_episode_steps=40,
        presets=Path(__file__).with_name("corridor.toml"),
    )


def play_here(patch: pytest.MonkeyPatch) -> None:
    """Makes tournaments short: tasks are done in this process, one by one, and pictures are brief."""
    one = threading.Lock()

    def run(self: Processes, task: Task) -> str:
        with one:
            try:
                importlib.import_module(task.module).main(task.words, threading.Event())
            except ValueError as error:
                return str(error)
        return ""

    patch.setattr(Processes, "_run", run)
    patch.setattr(match, "SECONDS", 0.5)


def kill_and_resume(args: list[str], out: Path, after: Sequence[int]) -> tuple[Path, int]:
    """Starts `meze` in another process, kills it after so many checkpoints, goes on, kills it again ...

    Returns:
        The run's folder, and how many checkpoints it holds.
    """
    here = Path(__file__).parent
    script = IN_ANOTHER_PROCESS.format(folders=[str(here), str(here.parent / "envs")])
    for checkpoints in after:
        process = subprocess.Popen(
            [sys.executable, "-c", script, *args],
            stdout=subprocess.DEVNULL,
            cwd=out.parent,
            env={**os.environ, "PYTHONPATH": ""},
        )
        while len(list(out.glob("*/*/*/checkpoints/step-*"))) < checkpoints or not list(
            out.glob("*/*/*/config.json")
        ):
            assert process.poll() is None, "ended before it was killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        args = ["train", "--resume", str(only_run(out))]
    run = only_run(out)
    return run, len(list((run / "checkpoints").glob("step-*")))


def only_run(out: Path) -> Path:
    (config,) = out.glob("*/*/*/config.json")
    return config.parent


def final(run: Path) -> dict:
    path = RunDir.open(run).latest_checkpoint()
    assert path is not None
    state = checkpoint.load(path)
    del state["seconds"]  # wall-clock time is no part of the promise
    return state


def assert_same_end(run: Path, other: Path) -> None:
    """Two runs came to the same."""
    a, b = final(run), final(other)
    assert a.keys() == b.keys()
    for name, value in a.items():
        same = np.array_equal(value, b[name]) if isinstance(value, np.ndarray) else value == b[name]
        assert same, name
    assert (run / "evaluation.json").read_text() == (other / "evaluation.json").read_text()
    assert rows(run) == rows(other)


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        return [
            {k: v for k, v in row.items() if not k.startswith(("seconds", "steps_per_second"))}
            for row in csv.DictReader(file)
        ]
