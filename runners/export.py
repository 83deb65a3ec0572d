"""`meze export RUN --to onnx`: what was trained or recorded, for other programs and other people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..files import write_whole
from .run.card import card
from .run.dataset import write_minari
from .run.folder import RunDir
from .run.portable import write_onnx
from .setup.pretrained import is_pretrained, run_path
from .setup.settings import leading_names, parse, take_flag

USAGE = "meze export RUN --to onnx|card [flags], or meze export RECORDING --to minari [flags]"
DESCRIPTION = """Writes what was trained or recorded for other programs, and other people.

onnx: the agent as one graph, from what the environment shows to what the agent does, for ONNX's runtimes; it
is compared with the agent before it is written. card: a page of Markdown that tells a run's scores, how it is
run, and its settings. minari: what `meze collect` recorded as a data set of Minari's.

RUN is a run's folder, or an agent that ships with meze, such as `pretrained:platformer`. A run whose network
is code of another package needs `--network package.module:Class` as well, and one in an environment of
another package `--env package.module:Id`."""


@dataclass(frozen=True)
class ExportSettings:
    """What to write, and where."""

    to: Literal["onnx", "card", "minari"]
    """What is made of it."""
    out: Path | None = None
    """The file to write, by default <env>-<agent>.onnx, or .md; of minari the folder in which data sets lie,
    by default where Minari looks: $MINARI_DATASETS_PATH, or ~/.minari/datasets."""
    checkpoint: str = "best"
    """Of a run, as onnx: `best` by the evaluations on the way, `newest`, or the step after which it was
    written."""


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    networks, flags = take_flag(args[len(names) :], "--network")
    given = parse(ExportSettings, flags, prog="meze export RUN", description=DESCRIPTION)
    if len(names) not in (1, 2):
        raise ValueError(f"usage: {USAGE}")
    env_id = names[1] if len(names) == 2 else None
    path = run_path(names[0])
    is_recording = (path / "data.json").is_file()
    if is_recording != (given.to == "minari"):
        what = "a recording, which goes --to minari" if is_recording else "no recording of meze collect"
        raise ValueError(f"{names[0]} is {what}")
    if given.to == "minari":
        name, target, data = write_minari(path, given.out, env_id)
        print(f"{data.total_steps:,} steps, {data.total_episodes:,} episodes: {target}")
        where = "" if given.out is None else f"MINARI_DATASETS_PATH={given.out} "
        print(f"read it: {where}python -c \"import minari; minari.load_dataset('{name}')\"")
        return 0
    run = RunDir.open(names[0])
    config = run.config(env_id, networks)
    ending = {"onnx": ".onnx", "card": ".md"}[given.to]
    out = given.out or Path(f"{config.environment.name}-{config.agent.name}{ending}")
    if given.to == "card":
        name = names[0] if is_pretrained(names[0]) else run.path.name
        write_whole(out, card(run, config, name).encode())
    else:
        ported = write_onnx(run, config, run.find_checkpoint(given.checkpoint), out)
        for kind, parts in (("takes", ported.inputs), ("gives", ported.outputs)):
            for name, shape in parts.items():
                print(f"{kind} {name:<13} {shape}")
        apart = f"values differ by {ported.apart:.0e} of the largest"
        print(f"on {ported.compared:,} observations it does the same as the agent; {apart}")
    print(out)
    return 0
