"""Runs of imitators, and runs with encoders: from the command line to evaluation, and on after a stop."""

import json

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.runners import cli
from meze.runners.run.folder import RunDir, load
from run_files import assert_same_end, final, kill_and_resume, only_run, rows

SMALL = ["--num-envs", "16", "--eval-episodes", "16", "--env.pool-size", "2"]


def trained(tmp_path, *args):
    assert cli.main(["train", *args, "--out", str(tmp_path)]) == 0
    return only_run(tmp_path)


TREE = ["--agent.classifier", "tree"]


@pytest.mark.parametrize(
    ("agent", "flags", "fits"), [("clone", TREE, 1), ("dagger", [*TREE, "--agent.round", "500"], 4)]
)
def test_imitators_learn_from_the_expert_and_are_evaluated(agent, flags, fits, tmp_path):
    run = trained(tmp_path, agent, "city", *SMALL, "--steps", "2000", *flags)
    assert len(rows(run)) == fits
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    assert scores[agent]["return"]["mean"] > scores["random"]["return"]["mean"]
    assert cli.main(["evaluate", "city", str(run), "--episodes", "16", "--json"]) == 0
    policy, env = load(run, num_envs=4)
    obs, info = env.reset(seed=0)
    action, _ = policy.act(obs, explore=False, mask=info["action_mask"])
    assert (info["action_mask"][np.arange(4), action] == 1).all()


@pytest.mark.slow
def test_dagger_goes_on_as_if_it_had_never_stopped(tmp_path):
    flags = [*SMALL, "--steps", "2000", *TREE, "--agent.round", "250", "--seed", "3"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    args = ["train", "dagger", "city", *flags, "--out"]
    run = trained(whole, *args[1:-1])
    other, checkpoints = kill_and_resume([*args, str(killed)], killed, (2,))
    assert checkpoints < 8
    assert cli.main(["train", "--resume", str(other)]) == 0
    assert_same_end(run, other)
    policies = [load(each)[0] for each in (run, other)]
    obs = final(run)["data.obs"]
    one, same = (policy.act(obs, explore=False)[0] for policy in policies)
    assert (one == same).all()


def test_who_has_no_teacher_is_told(capsys, tmp_path):
    assert cli.main(["train", "clone", "CartPole-v1", "--out", str(tmp_path)]) == 2
    assert "CartPole-v1 has no reference to learn from; name a run as the teacher" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_can_be_the_teacher(tmp_path):
    teacher = trained(tmp_path / "a", "q-learning", "corridor")
    flags = ["--teacher", str(teacher), "--steps", "500", *TREE]
    run = trained(tmp_path / "b", "clone", "corridor", *flags)
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    own = json.loads((teacher / "evaluation.json").read_text())["scores"]
    assert scores["clone"]["return"]["mean"] == own["q-learning"]["return"]["mean"]


FIT = ["--encoder", "kmeans", "--encoder.k", "32", "--fit.samples", "2000"]
ENCODED = ["q-learning", "city", *SMALL, "--steps", "4000", *FIT]


@pytest.mark.slow
def test_a_run_with_an_encoder_is_evaluated_watched_and_loaded_like_any_other(tmp_path, capsys):
    run = trained(tmp_path, *ENCODED)
    assert "kmeans: fitted on 2,000 observations" in capsys.readouterr().out
    assert json.loads((run / "config.json").read_text())["encoder"]["config"]["k"] == 32
    assert cli.main(["evaluate", "city", str(run), "--episodes", "16"]) == 0
    assert cli.main(["watch", str(run), "--steps", "5", "--record", str(tmp_path / "a.gif")]) == 0
    policy, env = load(run, num_envs=3)
    obs, info = env.reset(seed=0)
    assert obs.shape[0] == 3 and obs.ndim == 4
    assert policy.act(obs, explore=False, mask=info["action_mask"])[0].shape == (3,)


@pytest.mark.slow
def test_a_run_with_an_encoder_goes_on_as_if_it_had_never_stopped(tmp_path):
    run = trained(tmp_path / "whole", *ENCODED)
    killed = tmp_path / "killed"
    other, _ = kill_and_resume(["train", *ENCODED, "--out", str(killed)], killed, (2,))
    assert cli.main(["train", "--resume", str(other)]) == 0
    assert_same_end(run, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    "agent", ["pqn", pytest.param("sb3-a2c", marks=pytest.mark.slow), "genetic", "clone"]
)
def test_every_kind_of_agent_takes_codes(agent, tmp_path):
    flags = ["--steps", "3000", "--num-envs", "16"]
    if agent == "genetic":
        flags = ["--generations", "2", "--episodes", "1", "--agent.population-size", "20"]
    flags += ["--eval-episodes", "16", "--env.pool-size", "2"]
    fit = ["--encoder.pca.components", "6", "--fit.samples", "1000", "--fit.target", "return"]
    run = trained(tmp_path, agent, "city", "--encoder", "pca+ridge", *fit, *flags)
    assert cli.main(["evaluate", "city", str(run), "--episodes", "8"]) == 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--encoder", "kmean"], "unknown encoder 'kmean'; did you mean 'kmeans'?"),
        (["--encoder", "pca"], "q-learning needs"),
        (["--encoder", "kmeans", "--encoder.k", "0"], "k must be at least 1; got 0"),
        (["--encoder", "kmeans", "--fit.policies", "nobody"], "unknown agent or run 'nobody'"),
        (["--encoder", "kmeans", "--env.observation", "index"], "encoders need observations that are arrays"),
    ],
)
def test_encoders_that_do_not_fit_are_refused_and_leave_nothing(flags, words, tmp_path, capsys):
    assert (
        cli.main(["train", "q-learning", "city", "--fit.samples", "600", *flags, "--out", str(tmp_path)]) == 2
    )
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_encoder_that_was_altered_is_refused(tmp_path, capsys):
    run = trained(tmp_path, *ENCODED)
    path = run / "encoder.safetensors"
    state = checkpoint.load(path)
    state["0.scale"] = state["0.scale"][:5]
    checkpoint.save(path, state)
    assert cli.main(["evaluate", "city", str(run), "--episodes", "8"]) == 2
    assert "the encoder was fitted on other observations" in capsys.readouterr().err
    path.unlink()
    assert cli.main(["evaluate", "city", str(run), "--episodes", "8"]) == 2
    assert "encoder.safetensors" in capsys.readouterr().err
    with pytest.raises(ValueError, match="altered"):
        plain = json.loads((run / "config.json").read_text()) | {"encoder": {"name": "kmeans"}}
        (run / "config.json").write_text(json.dumps(plain))
        RunDir.open(run).config()


def test_a_dagger_that_never_acts_says_so(tmp_path, capsys) -> None:
    words = ["train", "dagger", "corridor", "--steps", "600", "--eval-episodes", "4", "--out", str(tmp_path)]
    assert cli.main([*words, "--agent.round", "600"]) == 0
    assert "dagger never acts itself: its first round has 600 transitions" in capsys.readouterr().out
    assert cli.main([*words, "--agent.round", "300"]) == 0
    assert "never acts itself" not in capsys.readouterr().out
