"""`meze make-levels`: what a user sees, what lies in the folder afterwards, and what it is good for."""

import json

import numpy as np
import pytest
from meze.agents.generative import base
from meze.agents.generative.config import GanConfig, MarkovConfig
from meze.envs.platformer import making
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.levels import format_level
from meze.envs.platformer.making import Made, terrain
from meze.envs.platformer.pool import load_pool
from meze.envs.platformer.world import Platformer
from meze.runners import cli
from meze.runners.levels import comparison
from meze.runners.levels.report import Report, curves, spreads
from meze.runners.make_levels import MakeLevelsSettings, learn
from meze.runners.run.metrics import read_rows
from meze.runners.setup.interrupts import Terminated
from PIL import Image
from platformer_stage import draw_level

SMALL = ["--pool-size", "8", "--count", "6"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder in which the command is called; few levels of each kind are judged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparison, "JUDGED", 10)
    return tmp_path


def said(capsys, *words):
    """Exit code, and lines of both streams."""
    code = cli.main(["make-levels", *words])
    shown = capsys.readouterr()
    return code, shown.out.splitlines(), shown.err.splitlines()


def texts(folder):
    return {path.name: path.read_text() for path in folder.glob("*.txt")}


def test_a_model_makes_a_set_to_play_and_to_learn_on(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, lines, _ = said(capsys, "--model", "markov", *SMALL, "--out", "mine")
    assert code == 0 and max(map(len, lines)) <= 80
    assert lines[-1] == "play it: meze play platformer --env.level mine"
    table = [line.split()[0] for line in lines if "%" in line and not line.startswith(("Windows", "the"))]
    assert table == ["source", "generator", "markov"]
    report = json.loads((folder / "mine" / "report.json").read_text())
    made = report["made"]
    assert made["levels that are kept"] == 6 == sum(report["levels"].values()) == len(texts(folder / "mine"))
    left_out = ("no level by the rules", "not cleared by the expert", "drawn before")
    assert made["drawings"] == 6 + sum(made[name] for name in left_out)
    assert report["compared"]["source"]["divergence"] == 0 < report["compared"]["markov"]["divergence"]
    assert report["settings"]["markov"]["order"] == 3
    with Image.open(folder / "mine" / "samples.png") as picture:
        assert picture.width > 500 and picture.getcolors() and len(picture.getcolors()) > 8
    page = (folder / "mine" / "report.html").read_text()
    assert "markov" in page and "data:image/png" in page
    pools = [Platformer(PlatformerConfig(level="mine", split=split)).levels for split in ("train", "test")]
    assert not set(pools[0]) & set(pools[1]) and all(level.par_time > 0 for pool in pools for level in pool)
    assert cli.main(["evaluate", "platformer", "expert", "--env.level", "mine", "--episodes", "4"]) == 0
    assert "100.0 %" in capsys.readouterr().out

    for name, more in (("again", ()), ("other", ("--seed", "1"))):
        assert said(capsys, "--model", "markov", *SMALL, "--out", name, *more)[0] == 0
    assert texts(folder / "again") == texts(folder / "mine") != texts(folder / "other")
    saved = str(folder / "mine" / "model.safetensors")
    assert said(capsys, "--model", saved, *SMALL, "--out", "saved")[0] == 0
    assert texts(folder / "saved") == texts(folder / "mine")


def test_few_levels_are_no_sign_of_collapse(capsys):
    code, _, errors = said(capsys, "--model", "markov", "--pool-size", "8", "--count", "2", "--out", "mine")
    assert code == 0 and not errors


def test_a_model_whose_levels_are_too_few_is_kept(folder, capsys, monkeypatch):
    (folder / "mine.safetensors").write_text("somebody's")
    monkeypatch.setattr(making, "MOST_DRAWS", 0)
    words = ["--model", "markov", "--pool-size", "8", "--count", "4"]
    code, _, errors = said(capsys, *words, "--out", "mine")
    assert code == 2 and len(errors) == 1 and "4 are wanted: let it learn from more levels" in errors[0]
    assert errors[0].endswith("; the model is kept as mine-2.safetensors")
    assert (folder / "mine.safetensors").read_text() == "somebody's" and not (folder / "mine").exists()
    assert base.load(folder / "mine-2.safetensors").name == "markov"
    words[1] = "mine-2.safetensors"
    before = sorted(folder.iterdir())
    code, _, errors = said(capsys, *words, "--out", "mine")
    assert code == 2 and errors[0].endswith("4 are wanted: ask for fewer, or take another model")
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_who_is_interrupted_after_learning_keeps_the_model(folder, capsys, monkeypatch, error, code):
    def interrupted(*_):
        assert base.load(folder / "mine.safetensors").name == "markov"  # even if it were killed now
        raise error

    words = ["--model", "markov", *SMALL, "--out", "mine"]
    with monkeypatch.context() as patch:
        patch.setattr(making, "make_levels", interrupted)
        told = "stopped; the model is kept: go on with --model mine.safetensors"
        assert said(capsys, *words) == (code, [told], [])
    assert [path.name for path in folder.iterdir()] == ["mine.safetensors"]
    words[1] = "mine.safetensors"
    assert said(capsys, *words)[0] == 0
    words[1], words[-1] = "markov", "again"
    assert said(capsys, *words)[0] == 0
    assert texts(folder / "mine") == texts(folder / "again")
    assert sorted(path.name for path in folder.iterdir()) == ["again", "mine", "mine.safetensors"]


def test_networks_leave_their_curve(folder, capsys):
    settings = MakeLevelsSettings(model="gan", out="mine", gan=GanConfig(steps=2, batch_size=2, channels=4))
    model = learn(settings, [terrain(draw_level())], folder)
    assert model.name == "gan" and len(model.draw(np.random.default_rng(0))) == 15
    (row,) = rows = read_rows(folder / "metrics.csv")
    assert row["step"] == "2" and row["source_difference"] == "0"
    assert [len(figure.axes[0].lines) for figure, _ in curves(rows)] == [2, 2]
    assert "2 of 2 steps" in capsys.readouterr().out


def test_only_the_part_for_training_is_learnt_from(folder, capsys):
    (folder / "theirs").mkdir()
    for k in range(10):
        (folder / "theirs" / f"{k}.txt").write_text(format_level(draw_level({(6 + 2 * k, 9): "o"})))
    assert said(capsys, "--model", "markov", "--train-on", "theirs", "--count", "4", "--out", "mine")[0] == 0
    model = base.load(folder / "mine" / "model.safetensors")
    train = load_pool("theirs", 0.3, "train", 1)
    alone = base.fit("markov", list(map(terrain, train)), MarkovConfig(), 0, lambda step, row: None)
    assert len(train) < 10 and model.columns.tobytes() == alone.columns.tobytes()
    assert np.array_equal(model.grams, alone.grams) and np.array_equal(model.counts, alone.counts)


def test_collapsed_modes_are_a_warning(capsys):
    source = [draw_level({(5 + k, 9): "ooo", (8 + k, 12): "[]"}) for k in range(16)]
    same = [terrain(source[0])] * 16
    found = spreads(same, source)
    report = Report("x", made_of(source), [], found, {})
    with pytest.warns(UserWarning, match="modes have collapsed"):
        report.show()
    report = Report("x", made_of(source), [], spreads(list(map(terrain, source)), source), {})
    report.show()


def made_of(levels):
    return Made(levels, [], len(levels), 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "--model is needed; see meze make-levels --help"),
        (["--model", "markof"], "unknown model 'markof'; did you mean 'markov'?"),
        (["--model", "none.safetensors"], "none.safetensors: No such file or directory"),
        (["--model", "text.safetensors"], "text.safetensors is not a checkpoint, or was cut short"),
        (["--model", "other.safetensors"], "other tile set: 'x' is no tile of the platformer"),
        (["--model", "markov", "--count", "1"], "count must lie in 2 .. 4096; got 1"),
        (["--model", "markov", "--difficulty", "2"], "difficulty must lie in [0, 1]; got 2"),
        (["--model", "markov", "--pool-size", "0"], "pool_size must be from 1 to 4096, not 0"),
        (["--model", "markov", "--markov.order", "9"], "order must lie in 1 .. 8; got 9"),
        (["--model", "markov", "--train-on", "shiped"], "unknown level 'shiped'; did you mean 'shipped'?"),
        (["--model", "markov", "--train-on", "bad.txt"], "bad.txt, line 12, column 7: unknown character '$'"),
        (["--model", "markov", "--train-on", "ragged.txt"], "line 16, column 48: 47 columns in this line"),
        (["--model", "markov", "--train-on", "one"], "one: one level can't be parted into train and test"),
        (
            ["--model", "gan", "--seed", str(2**63)],
            "seed must lie in 0 .. 9223372036854775807; got 9223372036",
        ),
        (["--model", "markov", "--out", "nowhere"], "nowhere is there already"),
        (["--model", "markov", "--out", "there"], "there is there already"),
        (["--model", "markov", "--out", "shipped"], "shipped names levels of meze"),
        (["--model", "markov", "extra"], "unexpected 'extra'"),
    ],
)
def test_mistakes_are_told_in_one_line_and_leave_nothing_behind(folder, capsys, words, problem):
    text = format_level(draw_level({(6, 10): "o"}))
    (folder / "bad.txt").write_text(text.replace("o", "$"))
    (folder / "ragged.txt").write_text(text[:-2] + "\n")
    (folder / "text.safetensors").write_text("no model")
    other = base.fit("markov", [("x#", "##")], MarkovConfig(), 0, lambda step, row: None)
    base.save(folder / "other.safetensors", other)
    (folder / "there").mkdir()
    (folder / "nowhere").symlink_to("gone")
    (folder / "one").mkdir()
    (folder / "one" / "a.txt").write_text(text)
    before = sorted(folder.rglob("*"))
    out = [] if "--out" in words else ["--out", "new"]
    code, _, errors = said(capsys, *words, *out)
    assert code == 2 and len(errors) == 1 and problem in errors[0]
    assert sorted(folder.rglob("*")) == before
