"""Settings that bore other names once: runs of then load, and who uses an old name is told the new one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from meze.agents.registry import agent_specs
from meze.runners.run.config import RunConfig, read_config
from meze.runners.setup.kinds import settings_class
from meze.runners.setup.renamed import RENAMED
from meze.runners.setup.resolve import find_environment, find_learner
from meze.runners.setup.settings import override, parse

SCHEDULE = {"start": 0.5, "end": 0.1, "steps": 1000}
OLD_AND_NEW = {
    "q-learning": (
        {"step_size": SCHEDULE, "epsilon": SCHEDULE},
        {"learning_rate": SCHEDULE, "exploration": SCHEDULE},
    ),
    "sarsa-lambda": ({"trace_decay": 0.7}, {"trace_decay": 0.7}),
    "dyna-q": ({"planning": 3}, {"planning_steps": 3}),
    "dqn": (
        {"replay": 5000, "warm_up": 500, "updates_per_step": 0.03125, "target_every": 4, "target_rate": 0.1}
        | {"prioritised": True, "replay_checkpoint": "full", "frames": 2},
        {"buffer_size": 5000, "learning_starts": 500, "replay_ratio": 0.03125, "target_update_interval": 128}
        | {"tau": 0.1, "prioritized": True, "buffer_checkpoint": "full", "frame_stack": 2},
    ),
    "pqn": (
        {"trace_decay": 0.7, "rollout": 8, "minibatches": 4, "epochs": 2},
        {"q_lambda": 0.7, "num_steps": 8, "num_minibatches": 4, "update_epochs": 2},
    ),
    "ppo": (
        {"clip": SCHEDULE, "entropy": SCHEDULE, "value_weight": 1.0, "log_deviation": 0.5}
        | {"normalise_advantages": False, "normalise_observations": True, "normalise_rewards": True},
        {"clip_range": SCHEDULE, "ent_coef": SCHEDULE, "vf_coef": 1.0, "log_std_init": 0.5}
        | {"normalize_advantages": False, "normalize_observations": True, "normalize_rewards": True},
    ),
    "sb3-ppo": (
        {"n_steps": 64, "n_epochs": 3, "batch_size": 512, "ent_coef": 0.05},
        {"num_steps": 64, "update_epochs": 3, "num_minibatches": 2}
        | {"ent_coef": {"start": 0.0, "end": 0.05, "steps": 0}},
    ),
    "sb3-td3": ({"noise": 0.2}, {"action_noise": 0.2}),
    "genetic": (
        {"population": 20, "mutation": 0.2, "crossover": 0.5, "tournament": 2, "step": 0.2},
        {"population_size": 20, "mutation_rate": 0.2, "crossover_rate": 0.5, "tournament_size": 2}
        | {"sigma": 0.2},
    ),
}


def read(agent: str, settings: dict) -> RunConfig:
    spec = find_learner(agent)
    number = {"num_envs": 16} if spec.kind != "searcher" else {}
    run = dataclasses.asdict(settings_class(spec)(**number))
    plain = {"agent": {"name": agent, "config": settings}, "env": {"id": "meze/City-v0", "config": {}}}
    return read_config({**plain, "run": run}, Path("run/config.json"))


@pytest.mark.parametrize("agent", OLD_AND_NEW)
def test_a_run_with_the_names_of_then_is_one_with_those_of_today(agent):
    old, new = OLD_AND_NEW[agent]
    found = read(agent, old).agent_config
    assert found == read(agent, new).agent_config != find_learner(agent).config_class()()


def test_each_new_name_is_a_settings_and_tried_here():
    fields = [{f.name for f in dataclasses.fields(each.config_class())} for each in agent_specs()]
    assert set(RENAMED.values()) <= set.union(*fields)
    assert not any(old in names and new in names for old, new in RENAMED.items() for names in fields)
    tried = set().union(*(old for old, _ in OLD_AND_NEW.values()))
    assert set(RENAMED) <= tried


@pytest.mark.parametrize("damaged", [{"target_every": "4"}, {"target_every": 4, "updates_per_step": 0}, []])
def test_damaged_settings_are_one_line(damaged):
    with pytest.raises(ValueError) as caught:
        read("dqn", damaged)
    assert "\n" not in str(caught.value)


def test_who_uses_an_old_name_is_told_the_new_one():
    config = find_learner("q-learning").config_class()()
    with pytest.raises(ValueError, match="^there is no setting agent.epsilon.start: it is exploration.start"):
        override(config, {"epsilon.start": 0.5}, "agent.")
    with pytest.raises(ValueError, match="^unknown flag --step-size.end: it is --learning-rate.end now"):
        parse(config, ["--step-size.end", "0.1"], prog="meze", description="")


def test_a_flag_of_old_on_the_command_line(capsys, tmp_path):
    from meze.runners.cli import main

    assert find_environment("city")
    words = ["train", "dqn", "city", "--agent.warm-up", "5", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "unknown flag --agent.warm-up: it is --agent.learning-starts now" in capsys.readouterr().err
