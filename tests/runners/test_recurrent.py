"""An agent of others that remembers: trained, resumed, evaluated, compared, watched, taken for a teacher."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.agents import registry as agents
from meze.runners import cli
from meze.runners.setup import plugins
from run_files import assert_same_end, final, only_run

HERE = Path(__file__).parent
METADATA = "Metadata-Version: 2.1\nName: recalling\nVersion: 1.0\n"
ENTRY = "[meze.agents]\nrecalling = recalling_agent:register\n"
SIZE = ["--num-envs", "8", "--eval-episodes", "8"]
TRAIN = ["train", "recalling", "corridor", "--steps", "2048", *SIZE]
LEAVES = {"rollout.memory.0", "rollout.memory.1.steps.0"}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Announces it as a distribution does, to this process and to those that it starts."""
    installed = tmp_path / "installed"
    about = installed / "recalling-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(METADATA)
    (about / "entry_points.txt").write_text(ENTRY)
    monkeypatch.syspath_prepend(installed)
    for folder in (installed, HERE):
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(agents, "_AGENTS", dict(agents._AGENTS))
    plugins.load_plugins.cache_clear()
    yield
    plugins.load_plugins.cache_clear()


def trained(out, *args):
    assert cli.main([*args, "--out", str(out)]) == 0
    return only_run(out)


def gone_on(run, copy, *args):
    """A run that was stopped halfway, and resumed."""
    shutil.copytree(run, copy)
    checkpoints = sorted((copy / "checkpoints").iterdir())
    for path in checkpoints[len(checkpoints) // 2 :]:
        path.unlink()
    (copy / "evaluation.json").unlink()
    assert cli.main(["train", "--resume", str(copy), *args]) == 0
    return copy


def test_a_sarsa_executes_what_it_chose_before_it_was_stopped(tmp_path):
    run = trained(tmp_path / "runs", "train", "sarsa", "corridor", "--steps", "2048", *SIZE)
    assert_same_end(run, gone_on(run, tmp_path / "copy"))


def test_it_learns_and_goes_on_as_if_it_had_never_stopped(plugin, tmp_path, capsys):
    run = trained(tmp_path / "runs", *TRAIN)
    assert LEAVES <= final(run).keys() and final(run)["rollout.memory.1.steps.0"].max() > 1
    assert_same_end(run, gone_on(run, tmp_path / "copy"))
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    assert scores["recalling"]["return"]["mean"] > scores["random"]["return"]["mean"]


def test_in_a_world_of_others_all_commands_take_it_and_tell_what_that_measures(
    plugin, alley, tmp_path, capsys
):
    small = ["--steps", "2048", "--num-envs", "8", "--eval-episodes", "8"]
    run = trained(tmp_path / "runs", "train", "recalling", alley, *small)
    assert_same_end(run, gone_on(run, tmp_path / "copy", "--env", alley))
    judged = json.loads((run / "evaluation.json").read_text())["scores"]["recalling"]
    assert list(judged) == ["return", "slipped", "hope", "length"]
    assert 0 < judged["slipped"]["mean"] < 1 and final(run)["rollout.memory.1.steps.0"].max() > 1
    capsys.readouterr()
    assert cli.main(["evaluate", alley, str(run), "--episodes", "8", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert judged in scores.values()
    picture = tmp_path / "it.gif"
    watch = ["watch", str(run), "--env", alley, "--record", str(picture), "--steps", "6", "--sees"]
    assert cli.main(watch) == 0 and picture.stat().st_size > 0
    words = ["compare", alley, "--agents", "random,recalling", "--seeds", "1", "--budget", "2048"]
    assert cli.main([*words, "--episodes", "8", "--out", str(tmp_path / "tournaments")]) == 0
    (report,) = (tmp_path / "tournaments").glob("*/*/report.json")
    told = json.loads(report.read_text())["agents"]["recalling"]["runs"][0]["measures"]
    assert list(told) == list(judged) and 0 < told["slipped"] < 1


def test_a_memory_that_was_altered_is_refused(plugin, tmp_path, capsys):
    run = trained(tmp_path / "runs", *TRAIN)
    path = sorted((run / "checkpoints").iterdir())[-1]
    state = checkpoint.load(path)
    state["rollout.memory.1.steps.0"] = state["rollout.memory.1.steps.0"].astype(np.int64)
    checkpoint.save(path, state)
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run), "--steps", "4096"]) == 2
    said = capsys.readouterr().err
    assert "the policy's memory is damaged" in said and said.count("\n") == 1


def hand_on(path):
    """Makes of a checkpoint one of older runs, whose imitators handed on what the teacher had remembered."""
    state = checkpoint.load(path)
    for leaf in [name for name in state if name.startswith("rollout.memory.1.")]:
        state[leaf.replace("memory.1", "memory.0", 1)] = state[leaf]
    checkpoint.save(path, state)


@pytest.mark.parametrize("agent", ["clone", "dagger"])
def test_it_can_be_the_teacher(agent, plugin, tmp_path, capsys):
    """What it remembers lies within the mixture's memory, one level deeper than its own."""
    teacher = trained(tmp_path / "teacher", *TRAIN)
    flags = ["--teacher", str(teacher), "--steps", "1000", *SIZE, "--agent.classifier", "tree"]
    flags += ["--agent.round", "200"] if agent == "dagger" else []
    run = trained(tmp_path / "runs", "train", agent, "corridor", *flags)
    last = len(LEAVES) if agent == "dagger" else 2 * len(LEAVES)  # of the teacher, and of who plays
    assert len([name for name in final(run) if name.startswith("rollout.memory.")]) == last
    if agent == "dagger":
        hand_on(sorted((run / "checkpoints").iterdir())[1])
        assert_same_end(run, gone_on(run, tmp_path / "copy"))
    else:
        assert cli.main(["train", "--resume", str(run), "--steps", "1200"]) == 0
