"""Agents that ship with the package: they are worth what they were worth, and commands take them by name."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import meze
import pytest
from meze.runners import cli
from meze.runners.run.card import mean_told
from meze.runners.run.folder import RunDir
from meze.runners.setup.pretrained import AGENTS, pretrained_names, run_path
from meze.runners.setup.resolve import find_environment
from meze.runners.show.sources import find_source
from meze.runners.tournament.tournament import make_entry

PAGE = Path(meze.__file__).parent / "docs" / "sharing.md"
SCRIPT = Path(meze.__file__).parent / "assets" / "train_agents.py"
MOST_BYTES = 3_000_000


def test_those_that_ship_are_those_that_are_trained():
    trained = runpy.run_path(str(SCRIPT))["TRAINED"]
    assert pretrained_names() == sorted(f"pretrained:{name}" for name in trained)
    for name, (agent, world) in trained.items():
        config = RunDir.open(f"pretrained:{name}").config()
        assert (config.agent.name, config.environment.name) == (agent, world)
        assert len(RunDir.open(f"pretrained:{name}").steps()) == 1
    files = [path for path in AGENTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.parametrize("name", pretrained_names())
def test_each_is_worth_what_was_recorded(name):
    recorded = json.loads((run_path(name) / "evaluation.json").read_text())
    config = RunDir.open(name).config()
    [agent] = meze.evaluate(recorded["env"], [name], episodes=recorded["episodes"]).of.values()
    was, random = recorded["scores"][config.agent.name]["return"], recorded["scores"]["random"]["return"]
    assert was["mean_95"][0] > random["mean_95"][1], "it does no better than chance"
    if config.agent.on_device:  # another processor rounds otherwise
        assert was["mean_95"][0] <= agent["return"]["mean"] <= was["mean_95"][1]
    else:
        assert agent["return"]["mean"] == pytest.approx(was["mean"], rel=1e-12)


@pytest.mark.parametrize("name", pretrained_names())
def test_the_page_tells_what_was_recorded(name):
    scores = json.loads((run_path(name) / "evaluation.json").read_text())["scores"]
    agent, random, *references = scores
    told = (mean_told(scores[each]["return"]) for each in (agent, random, references[-1]))
    assert f"| `{name}` | `{agent}` | {' | '.join(told)} |" in PAGE.read_text()


def test_watching_makes_no_more_maps_than_usual():
    source = find_source(["pretrained:city"])
    assert RunDir.open("pretrained:city").config().env_config.pool_size == 512
    assert (source.env_config.pool_size, source.env_config.split) == (64, "test")


@pytest.mark.slow
def test_who_only_acts_waits_for_no_optimiser(tmp_path):
    code = (
        "import sys; from meze.runners.cli import main; "
        f"main(['watch', 'pretrained:city', '--steps', '1', '--record', {str(tmp_path / 'a.png')!r}]); "
        "print({'torch', 'torch._dynamo', 'scipy.stats'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.endswith("{'torch'}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch", "pretrained:citty"], "unknown agent 'pretrained:citty'; there are pretrained:city, "),
        (["evaluate", "city", "pretrained:xyz"], "there are pretrained:city, pretrained:city-q-learning, "),
        (["evaluate", "pretrained:city", "city"], "say: meze evaluate city pretrained:city"),
        (["train", "q-learning", "pretrained:city"], "is a trained agent, where an environment should stand"),
        (["evaluate", "platformer", "pretrained:city"], "is on meze/City-v0, not on meze/Platformer-v0"),
        (["train", "--resume", "pretrained:city"], "train one like it: meze train pqn city --seed 0"),
    ],
)
def test_what_can_not_be_is_one_line(words, said, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in AGENTS.rglob("*")}
    assert cli.main([*words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in AGENTS.rglob("*")} == before, "nothing is written there"


def test_commands_take_them_like_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in AGENTS.rglob("*")}
    name = "pretrained:city-q-learning"
    assert cli.main(["watch", name, "--record", "one.png", "--steps", "3"]) == 0
    assert (tmp_path / "one.png").stat().st_size > 1000
    assert cli.main(["evaluate", "city", name, "random", "--episodes", "4"]) == 0
    assert "q-learning city-q-learning" in capsys.readouterr().out
    assert cli.main(["export", name, "--to", "card"]) == 0
    assert f"meze watch {name}" in (tmp_path / "city-q-learning.md").read_text()
    entry = make_entry(name, find_environment("city"), budget=None)  # type: ignore[arg-type]
    assert (entry.kind, entry.paths) == ("run", (name,))
    policy, env = meze.load(name, num_envs=2)
    assert policy.act(env.reset(seed=0)[0])[0].shape == (2,)
    env.close()
    assert {path: path.stat().st_mtime_ns for path in AGENTS.rglob("*")} == before, "nothing is written there"
