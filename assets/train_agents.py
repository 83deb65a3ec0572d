"""Trains the agents that ship with meze: `python assets/train_agents.py`, or with the names of some.

Each is trained as anybody would train it, with the world's preset and a fixed seed; the same machine comes to
the same bits. Of its run stay the settings, the scores, the evaluations on the way, and of the best
checkpoint what acts. It is to be run again when a world, a learner or a preset changes what they come to; a
test compares the scores.
"""

from __future__ import annotations

import contextlib
import csv
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import meze
from meze.agents import checkpoint
from meze.runners.run.folder import KEPT_TO_ACT, RunDir
from meze.runners.run.metrics import METRICS, read_rows
from meze.runners.setup.files import read_json, write_json
from meze.runners.setup.pretrained import AGENTS

TRAINED = {
    "city": ("pqn", "city"),
    "city-q-learning": ("q-learning", "city"),
    "platformer": ("pqn", "platformer"),
    "platformer-ppo": ("ppo", "platformer"),
    "platformer-q-learning": ("q-learning", "platformer"),
    "kiosk": ("dqn", "kiosk"),
    "kiosk-q-learning": ("q-learning", "kiosk"),
}
"""Name to agent and world; a world's own name is that of its best network."""
SEED = 0
ACTS = {f"learner.{part}" for part in ("algorithm", "steps", "network", "usual", "q", "rng")}
"""What acting needs of a checkpoint, by the first two parts of its names."""


def keep(run: RunDir, folder: Path) -> None:
    """Keeps of a run what acts."""
    shutil.rmtree(folder, ignore_errors=True)
    kept = RunDir(folder)
    kept.checkpoints.mkdir(parents=True)
    [best] = run.find_checkpoint("best").paths
    state = checkpoint.load(best).items()
    acts = {name: value for name, value in state if ".".join(name.split(".")[:2]) in ACTS}
    checkpoint.save(kept.checkpoints / best.name, acts)
    shutil.copy(run.path / "evaluation.json", folder)
    keep_evaluations(run.path / METRICS, folder / METRICS)
    plain = read_json(run.path / "config.json") | {KEPT_TO_ACT: True}
    plain.pop("commit")  # whoever trains them anew commits them later
    write_json(folder / "config.json", plain)


def keep_evaluations(metrics: Path, target: Path) -> None:
    """Keeps of what was measured on the way the evaluations, of which no clock is part."""
    rows = [row for row in read_rows(metrics) if row.get("eval_return")]
    names = [name for name in rows[0] if name == "step" or name.startswith("eval_")]
    with open(target, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(names: Sequence[str]) -> None:
    """Trains some, or all."""
    for name in names or TRAINED:
        agent, world = TRAINED[name]
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            keep(RunDir.open(meze.train(agent, world, seed=SEED).path), AGENTS / name)


if __name__ == "__main__":
    main(sys.argv[1:])
