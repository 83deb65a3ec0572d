"""`meze new-world`: what it writes installs, passes its tests, trains and shows; what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import pytest
from meze.runners import cli

CLI = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.slow
def test_what_is_written_installs_conforms_trains_and_shows(tmp_path: Path, capsys) -> None:
    assert cli.main(["new-world", "tea-house", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert all(f"  {line}" in said for line in (f"cd {tmp_path / 'tea-house'}", "pip install -e '.[dev]'"))
    assert "runs/\n" in (tmp_path / "tea-house" / ".gitignore").read_text()
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])

    def run(*words: object) -> str:
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    install = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    run("-m", "pip", *install, "--target", tmp_path / "site", tmp_path / "tea-house")
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "tea-house")  # check_world is one of them
    run("-m", "ruff", "check", "--isolated", "--line-length", "110", "--select", "E,F,B,UP", "tea-house")
    (listed,) = json.loads(run("-c", CLI, "envs", "tea-house", "--json"))["environments"][:1]
    assert {"q-learning", "expert"} <= set(listed["agents"])

    run("-c", CLI, "train", "q-learning", "tea-house")
    (evaluation,) = tmp_path.glob("runs/tea-house/q-learning/*/evaluation.json")
    found = json.loads(evaluation.read_text())["scores"]
    scores = {name: measures["return"]["mean"] for name, measures in found.items()}
    assert scores["random"] < 0 < scores["expert"] and scores["q-learning"] > scores["expert"] - 0.02

    # Its own measure: the wind blows in 128 of 1024 steps; episodes in which it does not are shorter.
    assert 64 / 1024 < found["expert"]["blown"]["mean"] < 128 / 1024

    run("-c", CLI, "watch", evaluation.parent, "--record", "bee.gif", "--steps", 4)
    frames = iio.imread(tmp_path / "bee.gif", index=None)
    assert len(frames) > 4 and (frames[0] != frames[-1]).any()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "usage"),
        ("tea house", "usage"),
        ("Tea", "can't be a world's name"),
        ("3d", "can't be a world's name"),
        ("tea-", "can't be a world's name"),
        ("../tea", "can't be a world's name"),
        ("class", "keyword of Python"),
        ("json", "module of Python's own"),
        ("numpy", "package numpy already"),
        ("corridor", "a world corridor already"),
        ("q-learning", "is an agent"),
        ("taken", "not an empty folder"),
        ("file", "not an empty folder"),
    ],
)
def test_what_is_refused_writes_nothing(name, words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    for file in (tmp_path / "taken" / "mine.txt", tmp_path / "file"):
        file.write_text("mine")
    assert cli.main(["new-world", *name.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1 and words in said
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "mine.txt", "taken"]
