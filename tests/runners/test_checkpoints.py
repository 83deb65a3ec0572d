"""Which checkpoint of a run acts: the best by evaluations on seeds of their own, the newest, or any."""

import json
import shutil

import meze
import numpy as np
import pytest
from gymnasium.vector import VectorEnv
from meze.agents import checkpoint
from meze.runners import cli
from meze.runners.run.evaluation import Evaluator, find_contestant
from meze.runners.run.folder import RunDir
from meze.runners.run.start import new_run
from meze.runners.setup.resolve import find_environment
from run_files import only_run

SCORES = [1.0, 5.0, float("nan"), 5.0, 2.0]
BEST, NEWEST = 4 * 1024, 5 * 1024


@pytest.fixture
def scored(monkeypatch):
    """Evaluations on the way find what the list says, one after the other."""
    left = list(SCORES)
    monkeypatch.setattr(Evaluator, "evaluate", lambda self, policy: {"eval_return": left.pop(0)})


def train(folder, agent="q-learning", *flags):
    every = ["--eval-every", "1024", "--checkpoint-every", "100000", "--eval-episodes", "8"]
    words = ["train", agent, "corridor", "--steps", str(NEWEST), "--out", str(folder), *every, *flags]
    assert cli.main(words) == 0
    return only_run(folder)


def test_the_best_is_kept_and_acts(tmp_path, scored, capsys) -> None:
    run = train(tmp_path)
    said = " ".join(capsys.readouterr().out.split())
    assert f"q-learning: the checkpoint best, at {BEST:,}" in said
    assert json.loads((run / "evaluation.json").read_text())["checkpoint"] == f"best, at {BEST:,}"
    folder = RunDir.open(run)
    assert folder.best() == (BEST, 5.0)  # of equals the later one
    q = {step: checkpoint.load(folder.checkpoint_path(step))["learner.q"] for step in (BEST, NEWEST)}
    assert (q[BEST] != q[NEWEST]).any()
    for which, step in (("best", BEST), ("newest", NEWEST), (str(BEST), BEST)):
        policy, _ = meze.load(run, checkpoint=which)
        np.testing.assert_array_equal(policy.q, q[step])
    assert find_contestant(str(run), find_environment("corridor")).checkpoint == f"best, at {BEST:,}"

    assert cli.main(["evaluate", "corridor", str(run), "--episodes", "4"]) == 0
    assert f"the checkpoint best, at {BEST:,}" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["evaluate", "corridor", str(run), "--episodes", "4", "--checkpoint", "newest"]) == 0
    assert f"the checkpoint newest, at {NEWEST:,}" in " ".join(capsys.readouterr().out.split())


def test_a_run_is_evaluated_beside_one_whose_folder_has_the_same_name(tmp_path, scored, capsys) -> None:
    run = train(tmp_path / "a")
    other = tmp_path / "b" / run.name
    shutil.copytree(run, other)
    capsys.readouterr()
    assert (
        cli.main(["evaluate", "corridor", str(run), str(other), "random", "--episodes", "4", "--json"]) == 0
    )
    assert list(json.loads(capsys.readouterr().out)["scores"]) == [str(run), str(other), "random"]


def test_environments_are_closed_where_a_run_is_refused(tmp_path, scored, monkeypatch) -> None:
    run, closed, close = train(tmp_path), [], VectorEnv.close
    monkeypatch.setattr(VectorEnv, "close", lambda self, **how: closed.append(self) or close(self, **how))
    with pytest.raises(ValueError, match="checkpoint takes"):
        meze.load(run, checkpoint="7")
    assert len(closed) == 1
    closed.clear()
    with pytest.raises(ValueError, match="needs Discrete observations"):
        new_run(["q-learning", "corridor"], ["--env.observation", "strip", "--out", str(tmp_path / "none")])
    assert len(closed) == 1
    closed.clear()
    with pytest.raises(ValueError, match="the target luck needs a world that tells of it"):
        new_run(["q-learning", "corridor"], ["--encoder", "kmeans", "--fit.target", "luck"])
    assert len(closed) == 1


@pytest.mark.parametrize("which", ["7", "-1", "oldest", "", f"{BEST}x", "１"])
def test_a_checkpoint_that_is_not_there_is_told_in_one_line(which, tmp_path, scored, capsys) -> None:
    run = train(tmp_path)
    capsys.readouterr()
    assert cli.main(["evaluate", "corridor", str(run), f"--checkpoint={which}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"best, newest, or one of 1024, 2048, {BEST}, {NEWEST}" in line or not which


def test_of_an_older_run_the_newest_acts_and_none_is_chosen(tmp_path, scored, capsys) -> None:
    run = train(tmp_path)
    file = run / "config.json"
    plain = json.loads(file.read_text())
    del plain["streams"]  # all its evaluations are on the seeds of the comparison
    file.write_text(json.dumps(plain))
    SCORES_LEFT = [9.0]
    Evaluator.evaluate = lambda self, policy: {"eval_return": SCORES_LEFT.pop()}  # undone with the fixture
    assert cli.main(["train", "--resume", str(run), "--steps", str(NEWEST + 1024)]) == 0
    assert RunDir.open(run).best() is None and not SCORES_LEFT
    assert "newest, at 6,144" in json.loads((run / "evaluation.json").read_text())["checkpoint"]


def test_without_metrics_that_can_be_read_the_newest_acts(tmp_path, scored, capsys) -> None:
    run = train(tmp_path)
    (run / "metrics.csv").write_text("step;eval_return\n1024;9\n")
    assert RunDir.open(run).best() is None
    newest = RunDir.open(run).checkpoint_path(NEWEST)
    assert RunDir.open(run).find_checkpoint() == ((newest,), (1.0,), f"newest, at {NEWEST:,}")


def test_what_is_trained_again_after_damage_has_no_best_left(tmp_path, scored, capsys) -> None:
    """The best of a part that is trained again is forgotten with its row."""
    run = train(tmp_path)
    folder = RunDir.open(run)
    for step in (BEST, NEWEST):
        folder.checkpoint_path(step).write_bytes(b"damaged")
    Evaluator.evaluate = lambda self, policy: {"eval_return": 0.5}  # undone with the fixture
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert folder.best() == (2048, 5.0)  # what was evaluated before still counts


def test_files_that_are_no_checkpoints_are_no_steps(tmp_path, scored) -> None:
    run = train(tmp_path)
    for name in ("step-abc.safetensors", "step-.safetensors", "step-٣.safetensors", "step-1.safetensors.tmp"):
        (run / "checkpoints" / name).write_bytes(b"")
    assert RunDir.open(run).steps() == [1024, 2048, BEST, NEWEST]


@pytest.mark.parametrize(("agent", "flags"), [("random-search", []), ("clone", []), ("sb3-dqn", [])])
def test_every_kind_of_agent_keeps_its_best(agent, flags, tmp_path, capsys) -> None:
    length = ["--generations", "3"] if agent == "random-search" else ["--steps", "600"]
    words = ["train", agent, "corridor", *length, "--eval-episodes", "8", "--out", str(tmp_path), *flags]
    assert cli.main(words) == 0
    run = only_run(tmp_path)
    best = RunDir.open(run).best()
    assert best is not None
    assert json.loads((run / "evaluation.json").read_text())["checkpoint"] == f"best, at {best[0]:,}"


def test_a_loaded_run_can_be_drawn(tmp_path) -> None:
    words = ["train", "q-learning", "city", "--steps", "2000", "--eval-episodes", "2", "--env.pool-size", "2"]
    assert cli.main([*words, "--out", str(tmp_path)]) == 0
    policy, env = meze.load(only_run(tmp_path), num_envs=2, render_mode="rgb_array")
    obs, _ = env.reset(seed=0)
    actions, _ = policy.act(obs)
    assert actions.shape == (2,)
    pictures = env.render()
    assert len(pictures) == 2 and pictures[0].ndim == 3
    with pytest.raises(ValueError, match="rgb_array"):
        meze.load(only_run(tmp_path), render_mode="human")
