"""`meze import-levels`: what a user sees, what lies in the folder afterwards, and what it is good for."""

import json
import subprocess
import sys

import pytest
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from meze.runners import cli
from meze.runners.levels.target import new_set

WIDTH = 40
ROWS = ["-" * WIDTH] * 13
VGLC = "\n".join([*ROWS[:9], "-" * 12 + "?S?" + "-" * 25, *ROWS[:3], "X" * WIDTH]) + "\n"
MARIO_AI = "\n".join([*ROWS, "---M---rL*" + "-" * 26 + "F---", *["X" * WIDTH] * 2]) + "\n"
PIT = "\n".join([*ROWS[:12], "-" * WIDTH, "XXXX" + "-" * 34 + "XX"]) + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a collection, in which the command is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    for k in range(6):
        level = VGLC if k == 0 else VGLC[:k] + "o" + VGLC[k + 1 :]
        (tmp_path / "theirs" / f"level-{k}.txt").write_text(level)
    return tmp_path


def said(capsys, *words):
    """Exit code, and lines of both streams."""
    code = cli.main(["import-levels", *words])
    shown = capsys.readouterr()
    return code, shown.out.splitlines(), shown.err.splitlines()


def test_a_collection_becomes_a_set_to_play_and_to_learn_on(folder, capsys):
    code, lines, _ = said(capsys, "theirs", "--format", "vglc", "--out", "mine")
    assert code == 0 and max(map(len, lines)) <= 80
    assert lines[-2:] == ["levels:  mine", "play it: meze play platformer --env.level mine"]
    report = json.loads((folder / "mine" / "report.json").read_text())
    assert sum(report["levels"].values()) == 6 and min(report["levels"].values()) >= 1
    assert (
        len(report["certified, par in seconds"]) == 6
        and min(report["certified, par in seconds"].values()) > 3
    )
    for facts in report.values():
        for name, value in facts.items():
            assert f"  {name:<48} {value}" in lines
    assert {path.name for path in (folder / "mine").iterdir()} == {
        "report.json",
        *(f"level-{k}.txt" for k in range(6)),
    }
    pools = [Platformer(PlatformerConfig(level="mine", split=split)).levels for split in ("train", "test")]
    assert [len(pool) for pool in pools] == [report["levels"]["train"], report["levels"]["test"]]
    assert all(level.par_time > 0 for pool in pools for level in pool)

    of_the_set = ["--env.level", "mine"]
    assert cli.main(["evaluate", "platformer", "expert", *of_the_set, "--episodes", "4"]) == 0
    assert "100.0 %" in capsys.readouterr().out
    train = ["train", "q-learning", "platformer", *of_the_set, "--steps", "2000", "--eval-episodes", "4"]
    assert cli.main([*train, "--out", "runs"]) == 0
    (run,) = (folder / "runs" / "platformer" / "q-learning").iterdir()
    assert '"level": "mine"' in (run / "config.json").read_text()
    watch = ["watch", "expert", "platformer", *of_the_set, "--steps", "3", "--record", "seen.gif"]
    assert cli.main(watch) == 0 and (folder / "seen.gif").stat().st_size > 1000


def test_what_is_left_out_and_where_the_expert_is_stuck_is_told(folder, capsys):
    (folder / "one.txt").write_text(MARIO_AI)
    code, lines, _ = said(capsys, "one.txt", "--format", "mario-ai", "--out", "one")
    assert code == 0
    left_out = lines[lines.index("left out") + 1 : lines.index("certified, par in seconds")]
    assert [line.rsplit(maxsplit=1)[0].strip() for line in left_out] == [
        "bullets of launchers, which stand as ground",
        "lives in blocks, which hold mushrooms",
        "shells of red koopas",
    ]
    assert [line.split()[-1] for line in left_out] == ["1"] * 3
    assert lines[-1] == "play it: meze play platformer --env.level one/one.txt"  # one alone is no set

    (folder / "pit.txt").write_text(PIT)
    code, lines, _ = said(capsys, "pit.txt", "--format", "vglc", "--out", "pit")
    assert code == 0
    stuck = lines[lines.index("not certified, how far the expert came") + 1].split()
    assert stuck[:2] == ["pit", "column"] and stuck[3:] == ["of", "40"] and 1 <= int(stuck[2]) <= 5
    with pytest.warns(UserWarning, match="level 'pit' is not certified.*it came to column"):
        assert Platformer(PlatformerConfig(level="pit/pit.txt")).levels[0].par_time == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "usage: meze import-levels FILE|FOLDER --format vglc|mario-ai --out NAME"),
        (["theirs", "--out", "x"], "--format is needed; see meze import-levels FILE|FOLDER --help"),
        (["theirs", "--format", "lode-runner", "--out", "x"], "--format"),
        (["theirs", "--format", "vglc"], "--out is needed; see meze import-levels FILE|FOLDER --help"),
        (["theirs", "--format", "vglc", "--out", ".."], "--out needs the name of a set, not '..'"),
        (["theirs", "--format", "vglc", "--out", "theirs"], "theirs is there already"),
        (["theirs", "--format", "vglc", "--out", "shipped"], "shipped names levels of meze"),
        (["theirs", "--format", "vglc", "--out", "nowhere/x"], "there is no folder nowhere"),
        (["none", "--format", "vglc", "--out", "x"], "none: no such file or directory"),
        (["empty", "--format", "vglc", "--out", "x"], "empty: 0 files that end in .txt"),
        (["theirs", "--format", "mario-ai", "--out", "x"], "level-0.txt, line 1: 14 rows; a level has 16"),
        (["bad", "--format", "vglc", "--out", "x"], "bad/b.txt, line 10, column 14: unknown character '$'"),
        (
            ["ragged", "--format", "vglc", "--out", "x"],
            "ragged/b.txt, line 14, column 39: 38 columns in this",
        ),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing_behind(folder, capsys, words, problem):
    for name, text in (("bad", VGLC.replace("?S?", "?$?")), ("ragged", VGLC[:-3] + "\n")):
        (folder / name).mkdir()
        (folder / name / "a.txt").write_text(VGLC)
        (folder / name / "b.txt").write_text(text)
    (folder / "empty").mkdir()
    before = sorted(folder.rglob("*"))
    code, _, errors = said(capsys, *words)
    assert code == 2 and len(errors) == 1 and problem in errors[0]
    assert sorted(folder.rglob("*")) == before


def test_what_can_not_be_parted_is_refused_before_anything_is_learnt(folder, capsys):
    assert said(capsys, "theirs/level-1.txt", "--format", "vglc", "--out", "one")[0] == 0
    for words in (
        ["train", "q-learning", "platformer", "--steps", "1000"],
        ["evaluate", "platformer", "random"],
    ):
        assert cli.main([*words, "--env.level", "one"]) == 2
        shown = capsys.readouterr()
        assert "one: one level can't be parted into train and test; alone it is one/level-1.txt" in shown.err
    assert not (folder / "runs").exists()


def test_a_set_that_is_being_made_is_refused_before_work_begins(folder, capsys):
    (folder / "usual").mkdir()
    before = sorted(folder.iterdir())
    with new_set(folder / "mine") as first:
        (first / "a.txt").write_text(VGLC)
        for words in (("theirs", "--format", "vglc"), ("no such file", "--format", "vglc")):
            code, lines, errors = said(capsys, *words, "--out", "mine")
            assert code == 2 and not lines
            assert errors == ["meze: error: .mine.new is being written by another process"]
    assert sorted(folder.iterdir()) == sorted([*before, folder / "mine"])
    assert [path.name for path in (folder / "mine").iterdir()] == ["a.txt"]
    assert (folder / "mine").stat().st_mode == (folder / "usual").stat().st_mode


KILLED = """
import os, sys
sys.path = {path!r}
from pathlib import Path
from meze.runners.levels.target import new_set
with new_set(Path("mine")) as folder:
    (folder / "half.txt").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_thrown_away(folder, capsys):
    process = subprocess.run([sys.executable, "-c", KILLED.format(path=sys.path)], check=False)
    assert process.returncode == -9 and (folder / ".mine.new" / "set" / "half.txt").exists()
    assert said(capsys, "theirs", "--format", "vglc", "--out", "mine")[0] == 0
    assert not (folder / "mine" / "half.txt").exists() and len(list((folder / "mine").glob("*.txt"))) == 6
    assert sorted(path.name for path in folder.iterdir()) == ["mine", "theirs"]


def test_nothing_is_written_through_a_link(folder, capsys):
    (folder / ".mine.new").symlink_to("theirs")
    code, _, errors = said(capsys, "theirs", "--format", "vglc", "--out", "mine")
    assert code == 2 and errors == ["meze: error: .mine.new is a link, and nothing is written through it"]
    assert len(list((folder / "theirs").iterdir())) == 6
