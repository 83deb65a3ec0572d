"""Runs of agents that own their loop: stable-baselines3's through train, evaluate, watch and resume."""

import json
import signal

import meze
import numpy as np
import pytest
import torch
from meze.agents import checkpoint
from meze.agents.sb3.trainers import SB3Trainer
from meze.runners import cli
from meze.runners.run.folder import RunDir
from meze.runners.run.rollout import TrainerRollout
from meze.runners.run.stopwatch import PARTS
from meze.runners.setup.interrupts import INTERRUPTED
from run_files import assert_same_end, final, kill_and_resume, only_run, rows

AGENTS = ("sb3-ppo", "sb3-a2c", pytest.param("sb3-recurrent-ppo", marks=pytest.mark.slow), "sb3-dqn")
FAST = ["--agent.net.hidden", "32", "--agent.learning-rate.start", "0.01", "--agent.gamma", "0.9"]
OWN = {
    "sb3-ppo": ["--agent.num-steps", "16", "--agent.num-minibatches", "8"],
    "sb3-a2c": ["--agent.ent-coef.end", "0.01"],
    "sb3-recurrent-ppo": ["--agent.num-steps", "16", "--agent.num-minibatches", "4"],
    "sb3-dqn": [
        "--agent.learning-starts",
        "256",
        "--agent.train-freq",
        "1",
        "--agent.exploration.steps",
        "4096",
    ],
}


@pytest.fixture(autouse=True)
def own_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def args_of(agent: str, steps: int = 8192) -> list[str]:
    short = ["--steps", str(steps), "--eval-episodes", "16", "--torch-threads", "1"]
    return ["train", agent, "corridor", *short, *FAST, *OWN[agent]]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_run(agent, tmp_path, capsys) -> None:
    assert cli.main([*args_of(agent), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "network: " in said and "trained for " in said
    assert ("replay: 100,000 transitions" in said) == (agent == "sb3-dqn")
    run = only_run(tmp_path)
    scores = json.loads((run / "evaluation.json").read_text())["scores"]
    returns = {name: each["return"]["mean"] for name, each in scores.items()}
    assert returns["random"] < returns[agent] == pytest.approx(returns["expert"], abs=1e-9)
    table = rows(run)
    assert 8192 <= int(table[-1]["step"]) < 8192 + 16 * 32
    assert sum(float(row["episodes"]) for row in table) > 200
    assert 0.9 < float(table[-1]["return"]) < 1.0 and float(table[-1]["length"]) < 20
    assert float(table[-1]["loss"])
    newest = RunDir.open(run).latest_checkpoint()
    assert newest is not None and all(checkpoint.load(newest)["seconds"][part] > 0 for part in PARTS)
    assert len(list((run / "checkpoints").iterdir())) >= 8

    policy, env = meze.load(run, num_envs=3)
    obs, info = env.reset(seed=0)
    assert policy.act(obs, explore=False, mask=info["action_mask"])[0].tolist() == [2, 2, 2]
    assert cli.main(["evaluate", "corridor", str(run), "--episodes", "4", "--json"]) == 0
    assert cli.main(["watch", str(run), "--record", str(tmp_path / "film.gif"), "--episodes", "1"]) == 0
    assert (tmp_path / "film.gif").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_stopped_and_resumed(agent, tmp_path, monkeypatch, capsys) -> None:
    """The actor-critics end just as if they had never stopped; DQN says why it can't."""
    args = args_of(agent, 4096)
    assert cli.main([*args, "--out", str(tmp_path / "whole")]) == 0
    advance, taken = TrainerRollout.advance, []

    def interrupted(self, agent):
        taken.append(0)
        if len(taken) == 4:
            signal.raise_signal(signal.SIGINT)
        return advance(self, agent)

    monkeypatch.setattr(TrainerRollout, "advance", interrupted)
    assert cli.main([*args, "--out", str(tmp_path / "stopped")]) == INTERRUPTED
    run, whole = only_run(tmp_path / "stopped"), only_run(tmp_path / "whole")
    assert 0 < final(run)["step"] < 4096
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run)]) == 0
    resumed = capsys.readouterr().out
    a, b = final(run), final(whole)
    assert a["step"] == b["step"] >= 4096 and a.keys() == b.keys()
    if agent == "sb3-dqn":
        assert "the replay was not saved" in resumed
    else:
        assert "otherwise than" not in resumed
        assert all(np.array_equal(a[name], b[name]) for name in a)
        assert (run / "evaluation.json").read_text() == (whole / "evaluation.json").read_text()


@pytest.mark.slow
def test_killed_in_the_middle_of_episodes_it_goes_on_with_what_it_remembers(tmp_path) -> None:
    args = [*args_of("sb3-recurrent-ppo"), "--checkpoint-every", "1000"]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert cli.main([*args, "--out", str(whole)]) == 0
    run, left = kill_and_resume([*args, "--out", str(broken)], broken, after=(0, 2, 4))
    assert left < 7  # far from the end
    state = final(run)
    begins = state["learner.memory.begins"]
    assert not begins.all() and state["learner.memory.policy.cell"][~begins].any(axis=1).all()
    assert cli.main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, only_run(whole))


@pytest.mark.parametrize("agent", ["sb3-ppo", pytest.param("sb3-recurrent-ppo", marks=pytest.mark.slow)])
def test_a_foreign_environment(agent, tmp_path, capsys) -> None:
    args = ["--steps", "2048", "--num-envs", "4", "--eval-episodes", "4", "--out", str(tmp_path)]
    assert cli.main(["train", agent, "CartPole-v1", *args, "--agent.num-steps", "64"]) == 0
    run = only_run(tmp_path)
    assert float(rows(run)[-1]["length"]) > 9
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run), "--steps", "2500"]) == 0
    assert "CartPole-v1 can't save its state" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train sb3-dqn Pendulum-v1", "it needs Discrete actions; try one of ppo, genetic"),
        ("train sb3-pp corridor", "did you mean 'sb3-ppo'?"),
        ("train sb3-dqn corridor --agent.batch-size 200000", "below buffer_size = 100000; got 200000"),
        ("train sb3-dqn corridor --num-envs 4096", "got num_envs 4096"),
        ("train sb3-ppo corridor --agent.net.kind cnn", "a cnn needs observations of three axes"),
        ("train sb3-ppo corridor --agent.net.kind os:path", "auto, mlp or cnn"),
        ("train sb3-a2c corridor --agent.n-stpes 3", "did you mean --agent.num-steps?"),
    ],
)
def test_bad_input_is_one_line(line, words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1 and words in said
    assert not list(tmp_path.iterdir())


def test_a_strangers_checkpoint_is_refused_in_one_line(tmp_path, capsys) -> None:
    assert cli.main([*args_of("sb3-a2c", 512), "--out", str(tmp_path)]) == 0
    run = only_run(tmp_path)
    path = RunDir.open(run).latest_checkpoint()
    assert path is not None
    state = checkpoint.load(path)
    for change, words in (
        ({"learner.policy.action_net.weight": np.zeros((3, 7))}, "shape"),
        ({"learner.optimizer.0.square_avg": np.zeros(3)}, "shape"),
        ({"learner.torch_random.0": np.zeros(5056, np.uint8)}, "random generator"),
        ({"learner.action_random": {"state": {}}}, "learner"),
    ):
        checkpoint.save(path, state | change)
        capsys.readouterr()
        assert cli.main(["train", "--resume", str(run), "--steps", "999"]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"meze: error: {path}") and said.count("\n") == 1 and words in said


def test_what_can_not_be_learned_from_is_kept(tmp_path, monkeypatch, capsys) -> None:
    collect = SB3Trainer.advance

    def spoiled(self):
        if self.model.num_timesteps > 2000:
            with torch.no_grad():
                self.model.policy.action_net.bias.fill_(torch.nan)
        return collect(self)

    monkeypatch.setattr(SB3Trainer, "advance", spoiled)
    assert cli.main([*args_of("sb3-ppo"), "--out", str(tmp_path)]) == 2
    said, run = capsys.readouterr().err, only_run(tmp_path)
    assert said.startswith("meze: error: the network's weights are no numbers") and said.count("\n") == 1
    last = RunDir.open(run).latest_checkpoint()
    assert str(last) in said and str(run / "nonfinite.npz") in said
    with np.load(run / "nonfinite.npz", allow_pickle=False) as batch:
        assert {"observations", "actions", "rewards"} <= set(batch)
