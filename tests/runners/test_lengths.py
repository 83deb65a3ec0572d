"""Runs of other lengths than their presets': schedules follow, and who has not learned says so."""

import json

import pytest
from meze.agents.deep.dqn import DQNConfig
from meze.agents.deep.ppo import PPOConfig
from meze.agents.schedules import Schedule
from meze.agents.tabular import TabularConfig
from meze.runners import cli
from meze.runners.run.start import read_request
from meze.runners.setup.lengths import outlasting, stretched
from run_files import only_run

TABLE = TabularConfig(learning_rate=Schedule(0.2, 0.1, 1000), exploration=Schedule(0.3, 0.3, 500))


def test_schedules_are_scaled_and_constants_are_not():
    assert stretched(TABLE, 0.5).learning_rate == Schedule(0.2, 0.1, 500)
    assert stretched(TABLE, 3).learning_rate.steps == 3000 and stretched(TABLE, 1e-9).learning_rate.steps == 1
    assert stretched(TABLE, 0.5).exploration == TABLE.exploration
    assert stretched(PPOConfig(ent_coef=Schedule(0.0, 0.1, 0)), 3).ent_coef == Schedule(0.0, 0.1, 0)
    assert stretched(TABLE, 0.5, {"--agent.learning-rate.steps"}) == TABLE


def test_warm_ups_become_shorter_but_not_longer():
    config = DQNConfig(learning_starts=10_000)
    assert stretched(config, 0.1).learning_starts == 1000 and stretched(config, 10).learning_starts == 10_000
    assert stretched(config, 0.1, {"--agent.learning-starts"}).learning_starts == 10_000


def test_the_shortest_runs_have_a_learning_starts():
    assert stretched(DQNConfig(learning_starts=10_000), 1e-9).learning_starts == 1
    assert stretched(DQNConfig(learning_starts=1), 0.1).learning_starts == 1


def test_a_number_given_by_flag_stays():
    usual = read_request(["q-learning", "city"], []).given
    steps = usual.run.steps // 4
    for spelled in (["--agent.exploration.steps", "77"], ["--agent.exploration.steps=77"]):
        given = read_request(["q-learning", "city"], ["--steps", str(steps), *spelled]).given
        assert given.agent.exploration.steps == 77
        assert given.agent.learning_rate.steps == usual.agent.learning_rate.steps // 4


def test_resuming_changes_the_length_alone(tmp_path):
    words = ["train", "q-learning", "corridor", "--eval-episodes", "4", "--out", str(tmp_path)]
    assert cli.main([*words, "--steps", "2048"]) == 0
    run = only_run(tmp_path)
    before = json.loads((run / "config.json").read_text())["agent"]
    usual = read_request(["q-learning", "corridor"], []).given
    assert before["config"]["exploration"]["steps"] == usual.agent.exploration.steps * 2048 // usual.run.steps
    assert cli.main(["train", "--resume", str(run), "--steps", "4096"]) == 0
    assert json.loads((run / "config.json").read_text())["agent"] == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--steps", "128", "--num-envs", "16"], "trained for 128 steps, and its preset has 4,096"),
        (
            [
                "--agent.exploration.steps",
                "5000",
                "--agent.exploration.end",
                "0.9",
                "--agent.initial-value",
                "-9",
            ],
            "longer than the run: --agent.learning-rate.steps 1,000,000, --agent.exploration.steps 5,000",
        ),
    ],
)
def test_who_has_not_learned_says_why(flags, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("meze.agents.tabular.QLearning.learn", lambda self, batch: {})
    assert cli.main(["train", "q-learning", "corridor", *flags, "--out", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "q-learning is not above the random agent: " in said and words in said


def test_what_outlasts_a_run():
    assert list(outlasting(TABLE, 999)) == ["--agent.learning-rate.steps 1,000"]
    assert list(outlasting(TABLE, 1000)) == []
    config = DQNConfig(learning_starts=50, exploration=Schedule(1, 0, 900))
    assert list(outlasting(config, 50, warm_ups_alone=True)) == ["--agent.learning-starts 50"]
    assert "--agent.exploration.steps 900" in list(outlasting(config, 50))
