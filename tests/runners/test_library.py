"""What the commands do, from Python: `meze.train`, `resume`, `evaluate`, the lists, and the names."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import meze
import pytest
from meze.runners.cli import main
from meze.runners.setup import interrupts
from meze.runners.setup.settings import as_words

CORRIDOR = "toy_world:corridor"
SMALL = {"steps": 2_048, "num_envs": 8, "eval_episodes": 4, "seed": 3}


def settings_of(run):
    plain = json.loads((run / "config.json").read_text())
    return {name: plain[name] for name in ("agent", "env", "run", "streams")}


def test_training_is_that_of_the_command(tmp_path, capsys):
    settings = {"agent.gamma": 0.5, "agent.exploration.start": 0.3}
    run = meze.train("q-learning", CORRIDOR, settings, out=tmp_path / "here", **SMALL)
    said = capsys.readouterr().out
    words = ["q-learning", CORRIDOR, "--agent.gamma", "0.5", "--agent.exploration.start", "0.3"]
    words += ["--steps", "2048", "--num-envs", "8", "--eval-episodes", "4", "--seed", "3"]
    assert main(["train", *words, "--out", str(tmp_path / "there")]) == 0
    (config,) = (tmp_path / "there").rglob("config.json")
    assert settings_of(run.path) == settings_of(config.parent)
    assert (run.path / "metrics.csv").read_text().count("\n") == len(run.metrics) + 1
    assert run.metrics[-1]["step"] == 2048 and "Corridor" in run.scores.env
    assert list(run.scores.of)[:2] == ["q-learning", "random"]
    assert run.scores["q-learning"]["return"]["mean"] == pytest.approx(
        json.loads((run.path / "evaluation.json").read_text())["scores"]["q-learning"]["return"]["mean"]
    )
    assert "return" in said and "watch it" not in said  # progress and scores, but no commands
    policy, env = meze.load(run.path, CORRIDOR, num_envs=2)
    assert policy.act(env.reset(seed=0)[0], explore=False)[0].shape == (2,)


def test_a_run_goes_on(tmp_path):
    run = meze.train("q-learning", CORRIDOR, out=tmp_path, **SMALL)
    longer = meze.resume(run.path, env=CORRIDOR, steps=4_096)
    assert longer.path == run.path and longer.metrics[-1]["step"] == 4_096
    with pytest.raises(ValueError, match="--steps must be more"):
        meze.resume(run.path, env=CORRIDOR, steps=1)


def test_evaluation_is_that_of_the_command(tmp_path, capsys):
    run = meze.train("q-learning", CORRIDOR, out=tmp_path, **SMALL)
    capsys.readouterr()
    found = meze.evaluate(CORRIDOR, ["random", run], {"env.slip": 2}, episodes=20)
    assert capsys.readouterr().out == ""
    words = [CORRIDOR, "random", str(run.path), "--env.slip", "2", "--episodes", "20", "--json"]
    assert main(["evaluate", *words]) == 0
    assert found.plain() == json.loads(capsys.readouterr().out)
    records = found.records
    assert {each["agent"] for each in records} == set(found.of)
    (first,) = (each for each in records if (each["agent"], each["measure"]) == ("random", "return"))
    statistic = found["random"]["return"]
    assert (
        first["mean"] == statistic["mean"] and [first["mean_low"], first["mean_high"]] == statistic["mean_95"]
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: meze.train("q-learing", "city"), "did you mean 'q-learning'"),
        (lambda: meze.train("q-learning", "citty"), "city"),
        (lambda: meze.train("q-learning", "city", {"agent.gama": 0.5}), "--agent.gamma"),
        (lambda: meze.train("q-learning", "city", {"agent.gamma": "much"}), "must be a number"),
        (
            lambda: meze.train("q-learning", "city", {"agent.epsilon.start": 0.5}),
            "agent.exploration.start",
        ),
        (lambda: meze.train("q-learning", "city", step=5), "--steps"),
        (lambda: meze.resume("nowhere"), "not a run folder"),
        (lambda: meze.evaluate("city", ["random", "random"]), "named twice"),
        (lambda: meze.evaluate("city", ["exprt"]), "expert"),
    ],
)
def test_what_does_not_fit_is_one_line(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_who_interrupts_it_gets_a_keyboard_interrupt_and_nothing_is_lost(tmp_path, monkeypatch):
    stop = interrupts.Stop()
    stop.set()
    monkeypatch.setattr("meze.runners.train.stopping", lambda: contextlib.nullcontext(stop))
    with pytest.raises(KeyboardInterrupt):
        meze.train("q-learning", CORRIDOR, out=tmp_path, **SMALL)
    monkeypatch.undo()
    (config,) = tmp_path.rglob("config.json")
    assert meze.resume(config.parent, env=CORRIDOR).metrics[-1]["step"] == SMALL["steps"]


def test_values_of_all_kinds_become_words():
    values = {
        "agent.double": False,
        "json": True,
        "agent.net.hidden": (8, 8),
        "env.time": -0.5,
        "num_envs": 3,
    }
    words = [
        "--agent.no-double",
        "--json",
        "--agent.net.hidden",
        "8",
        "8",
        "--env.time=-0.5",
        "--num-envs",
        "3",
    ]
    assert as_words(values) == words


def test_the_lists_name_worlds_and_agents():
    assert [world.name for world in meze.list_worlds()][:2] == ["city", "platformer"]
    assert "q-learning" in [agent.name for agent in meze.list_agents()]


@pytest.mark.parametrize("module", ["meze", "meze.envs.core"])
def test_all_and_dir_and_completion_know_the_names_and_nothing_heavy_loads(module):
    code = f"""
import importlib, sys
module = importlib.import_module("{module}")
assert not {{"torch", "numba", "scipy", "pygame", "sklearn"}} & set(sys.modules), sorted(sys.modules)
assert sorted(module.__all__) == dir(module) and len(module.__all__) > 10
for name in module.__all__:
    getattr(module, name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
