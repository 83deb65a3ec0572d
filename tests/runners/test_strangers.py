"""Nothing in a stranger's run runs: whatever lies there, whichever way in."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.runners import cli
from meze.runners.run.folder import RunDir, load
from run_files import only_run, play_here

SMALL = ["--num-envs", "4", "--eval-episodes", "2", "--steps", "300", "--env.pool-size", "2"]


class Trap:
    """What makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self._marker),)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs as they should be: a clone, and a Q-learner behind a tree and a forest's predictions."""
    out = tmp_path_factory.mktemp("runs")
    clone = ["clone", "city", *SMALL, "--agent.classifier", "tree"]
    encoded = [
        "clone",
        "city",
        *SMALL,
        "--agent.classifier",
        "tree",
        "--encoder",
        "ridge",
        "--fit.samples",
        "300",
    ]
    for name, words in (("clone", clone), ("encoded", encoded)):
        assert cli.main(["train", *words, "--out", str(out / name)]) == 0
    return {name: only_run(out / name) for name in ("clone", "encoded")}


def plant_in_checkpoint(run: Path, trap: bytes) -> None:
    """As older versions kept a classifier: in an archive of objects."""
    path = RunDir.open(run).latest_checkpoint()
    state = {name: each for name, each in checkpoint.load(path).items() if "learner.classifier" not in name}
    checkpoint.save(path, {**state, "learner.classifier": np.frombuffer(trap, np.uint8)})


def plant_in_encoder(run: Path, trap: bytes) -> None:
    path = run / "encoder.safetensors"
    state = {name: each for name, each in checkpoint.load(path).items() if "model." not in name}
    checkpoint.save(path, {**state, "0.estimator": np.frombuffer(trap, np.uint8)})


def plant_instead_of_checkpoint(run: Path, trap: bytes) -> None:
    RunDir.open(run).latest_checkpoint().write_bytes(trap)


PLANTED = {
    "an archive in the checkpoint": ("clone", plant_in_checkpoint, "train it anew: meze train clone city"),
    "an archive in the encoder": ("encoded", plant_in_encoder, "train it anew: meze train clone city"),
    "a pickle in the checkpoint's place": ("clone", plant_instead_of_checkpoint, "is not a checkpoint"),
}
DOORS = {
    "watch": ["watch", "{run}", "--steps", "2", "--record", "{out}/a.gif"],
    "evaluate": ["evaluate", "city", "{run}", "--episodes", "2"],
    "resume": ["train", "--resume", "{run}", "--steps", "600"],
    "teacher": ["train", "clone", "city", *SMALL, "--teacher", "{run}", "--out", "{out}"],
    "policies": ["collect", "city", "--policies", "{run}", "--steps", "8", "--out", "{out}/data"],
    "fit policies": [
        "train", "q-learning", "city", *SMALL, "--encoder", "kmeans", "--encoder.k", "4",
        "--fit.policies", "{run}", "--fit.samples", "100", "--out", "{out}",
    ],
    "fit teacher": [
        "train", "q-learning", "city", *SMALL, "--encoder", "tree",
        "--fit.teacher", "{run}", "--fit.samples", "100", "--out", "{out}",
    ],
}  # fmt: skip


@pytest.fixture
def planted(request, runs, tmp_path):
    """A run with a trap in it, what is said of it, and what is there once the trap has sprung."""
    name, plant, words = PLANTED[request.param]
    run, marker = tmp_path / "run", tmp_path / "marker"
    shutil.copytree(runs[name], run)
    plant(run, pickle.dumps(Trap(marker)))
    return run, words, marker


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("planted", PLANTED, indirect=True)
def test_no_door_runs_what_lies_there(planted, door, tmp_path, capsys):
    run, words, marker = planted
    capsys.readouterr()
    assert cli.main([word.format(run=run, out=tmp_path / "out") for word in DOORS[door]]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED, indirect=True)
def test_a_notebook_and_a_tournament_do_not_either(planted, tmp_path, capsys, monkeypatch):
    play_here(monkeypatch)
    run, words, marker = planted
    with pytest.raises(ValueError, match=words):
        load(run)
    compare = [
        "compare",
        "city",
        "--agents",
        f"random,{run}",
        "--episodes",
        "2",
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main(compare) in (1, 2)
    told = capsys.readouterr()
    assert words in told.out + told.err and "Traceback" not in told.out + told.err
    assert not marker.exists()


def test_the_trap_springs_for_who_unpickles_it(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "command",
    [
        "meze train clone city; rm -rf ~",
        "meze train clone trap:City",
        "rm -rf ~",
        "meze train clone $(reboot)",
        7,
        None,
    ],
)
def test_only_plain_commands_are_repeated(command, runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs["clone"], run)
    plant_in_checkpoint(run, b"PK")
    plain = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**plain, "command": command}))
    assert cli.main(["evaluate", "city", str(run), "--episodes", "2"]) == 2
    assert capsys.readouterr().err.endswith("train it anew: meze train clone meze/City-v0\n")
