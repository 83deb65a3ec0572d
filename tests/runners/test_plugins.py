"""Plug-ins: worlds and agents of others are found, used, resumed; broken ones are named, and stop nothing."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import gymnasium
import pytest
from meze.agents import registry as agents
from meze.agents.conformance import check_agent
from meze.agents.registry import NoSettings, find_agent, register_agent
from meze.agents.tabular import QLearning
from meze.envs.core import register_world
from meze.envs.core import registry as worlds
from meze.runners import bench, cli
from meze.runners.run.folder import RunDir
from meze.runners.setup import plugins
from meze.runners.setup.presets import default_settings
from meze.runners.setup.resolve import find_environment
from meze.runners.tournament.tournament import Tournament
from run_files import only_run, play_here

# A distribution of others: a function that registers, modules that do.
PLUGIN = """
import time
from dataclasses import dataclass
from meze.agents.random import RandomPolicy
from meze.agents.registry import register_agent
from meze.agents.tabular import QLearning, TabularConfig
from meze.envs.core import register_world

@dataclass(frozen=True)
class CarefulConfig(TabularConfig):
    care: float = 0.5

class Careful(QLearning):
    name = "careful"

class Bare(QLearning):
    def __init__(self, observation_space, action_space, *, num_envs, config, rng):
        spaces = observation_space, action_space
        super().__init__(*spaces, num_envs=num_envs, config=TabularConfig(), rng=rng)

class Dozing(RandomPolicy):
    pass

def bare():
    register_agent("bare", "their_plugin:Bare", "learner", "has no settings")
    register_agent("dozing", "their_plugin:Dozing", "policy", "is not trained")

class Alone:
    def __init__(self, observation_space, action_space, *, num_envs, config, rng):
        self.policy = None

    def learn(self, batch):
        return {}

def alone():
    register_agent("alone", "their_plugin:Alone", "learner", "inherits nothing")

def agent():
    register_agent("careful", "their_plugin:Careful", "learner", "Q-learning, but careful",
                   config="their_plugin:CarefulConfig", modes=("index",), like="q-learning")

def exits():
    raise SystemExit("a script, not a plug-in")

def hangs():
    time.sleep(0.4)

def double():
    register_world(id="their/Corridor-v0", name="corridor", world="x:X", config="x:X")

def double_agent():
    register_agent("dqn", "their_plugin:Careful", "learner", "not the one you know")

def odd_agent():
    register_agent("odd", "their_plugin:Careful", "learnr", "of no kind")

def lost():
    register_world(id="their/Lost-v0", name="lost", world="their_plugin:Nothing", config="nowhere:Config")
    register_world(id="their/Half-v0", name="half", world="their_plugin:Nothing",
                   config="their_plugin:CarefulConfig")
    register_agent("lost-agent", "their_plugin:Nothing", "learner", "is not there")
"""


@pytest.fixture
def announce(tmp_path, monkeypatch) -> Iterator:
    """Announces functions of `their_plugin` as the entry points of a distribution."""
    (tmp_path / "their_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worlds, "_worlds", dict(worlds._worlds))
    monkeypatch.setattr(agents, "_AGENTS", dict(agents._AGENTS))

    def announced(*values: str, group: str = "meze.worlds") -> None:
        found = {group: [EntryPoint(value.rpartition(":")[2], value, group) for value in values]}
        monkeypatch.setattr(plugins, "entry_points", lambda group: found.get(group, []))
        plugins.load_plugins.cache_clear()

    yield announced
    plugins.load_plugins.cache_clear()
    sys.modules.pop("their_plugin", None)
    for name in ("their/Lost-v0", "their/Half-v0"):
        gymnasium.registry.pop(name, None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            "no_such_package",
            "plug-in 'no_such_package' (no_such_package) is broken: No module",
        ),
        ("json:loads", "plug-in 'loads' (json:loads) is broken: TypeError"),
        ("their_plugin:missing", "is broken: AttributeError"),
        ("their_plugin:exits", "plug-in 'exits' (their_plugin:exits) is broken: SystemExit: a script"),
        ("their_plugin:double", "is broken: the world corridor (toy/Corridor-v0) is already registered"),
        ("their_plugin:double_agent", "is broken: there is an agent dqn already"),
        ("their_plugin:odd_agent", "is broken: agent odd: kind is one of policy, learner"),
        ("their_plugin:hangs", "plug-in 'hangs' (their_plugin:hangs) is still loading"),
    ],
)
def test_a_broken_plugin_is_named_and_stops_nothing(value, words, announce, monkeypatch, capsys) -> None:
    monkeypatch.setattr(plugins, "PATIENCE", 0.1)
    announce(value, "their_plugin:agent")
    assert cli.main(["evaluate", "corridor", "expert", "--episodes", "4"]) == 0
    said = capsys.readouterr()
    assert words in said.err and said.err.count("meze: warning") == 1 and "expert" in said.out
    assert "careful" in agents.agent_names()  # the one after it


def test_ctrl_c_is_no_broken_plugin(announce, monkeypatch, capsys) -> None:
    announce("their_plugin:hangs")
    monkeypatch.setattr("time.sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(["evaluate", "corridor", "expert"]) == 130


def test_what_a_plugin_says_wrongly_hides_nothing(announce, capsys) -> None:
    announce("their_plugin:lost")
    assert cli.main(["envs"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not listed: lost: world lost: can't load nowhere:Config: No module named 'nowhere'" in said
    assert "not listed: half: world half: can't load their_plugin:Nothing" in said
    assert "city, index" in said and "CartPole-v1" in said and "lost-agent" in said
    assert {"corridor", "city"} <= {each.name for each in bench._all_worlds()}
    assert "world lost: can't load" in capsys.readouterr().err
    for line in ("train q-learning lost", "evaluate half random", "train lost-agent corridor", "bench lost"):
        assert cli.main(line.split()) == 2
        said = capsys.readouterr().err
        assert "can't load" in said and said.count("\n") == 1


def test_an_agent_of_others_trains_resumes_and_shows(announce, tmp_path, capsys) -> None:
    announce("their_plugin:agent", group="meze.agents")
    plugins.load_plugins()
    check_agent("careful")
    city = find_environment("city")
    mine, like = (default_settings(city, find_agent(name)) for name in ("careful", "q-learning"))
    assert mine == like
    size = ["--steps", "512", "--num-envs", "8", "--eval-episodes", "4", "--out", str(tmp_path / "runs")]
    assert cli.main(["train", "careful", "corridor", "--agent.care", "0.25", *size]) == 0
    run = only_run(tmp_path / "runs")
    assert RunDir.open(run).config().agent_config.care == 0.25
    assert cli.main(["train", "--resume", str(run), "--steps", "1024"]) == 0
    assert cli.main(["evaluate", "corridor", str(run), "--episodes", "4"]) == 0
    assert cli.main(["watch", str(run), "--record", "it.gif", "--steps", "2"]) == 0
    capsys.readouterr()
    assert cli.main(["envs", "corridor"]) == 0
    assert "Q-learning, but careful" in " ".join(capsys.readouterr().out.split())

    announce()  # without the plug-in a run names nothing that could be loaded
    del agents._AGENTS["careful"]
    assert cli.main(["watch", str(run)]) == 2
    assert "unknown agent 'careful'" in capsys.readouterr().err


def test_agents_without_settings_or_training_take_part_as_any_other(announce, tmp_path, monkeypatch) -> None:
    announce("their_plugin:bare", group="meze.agents")
    play_here(monkeypatch)
    size = ["--eval-episodes", "4", "--out", str(tmp_path / "runs")]
    assert cli.main(["train", "bare", "corridor", "--steps", "512", *size]) == 0
    run = only_run(tmp_path / "runs")
    assert RunDir.open(run).config().agent_config == NoSettings()
    assert cli.main(["train", "--resume", str(run), "--steps", "1024"]) == 0
    small = ["--seeds", "1", "--budget", "512", "--episodes", "4", "--out", str(tmp_path / "all")]
    assert cli.main(["compare", "corridor", "--agents", "dozing,bare", *small]) == 0
    (file,) = (tmp_path / "all").glob("*/*/tournament.json")
    entries = {each.name: each.kind for each in Tournament.open(file.parent).entries if each.shown}
    assert entries == {"dozing": "ready", "bare": "trained"}


def test_an_agent_that_inherits_nothing_is_refused_in_one_line(announce, tmp_path, capsys) -> None:
    announce("their_plugin:alone", group="meze.agents")
    assert cli.main(["train", "alone", "corridor", "--out", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err == "meze: error: Alone has to inherit meze.agents.base.Learner\n"
    assert not (tmp_path / "runs").exists()


def test_registering_agents() -> None:
    entry = f"{QLearning.__module__}:QLearning"
    for arguments, words in (
        (("ga", entry, "learner", ""), "there is an agent ga already"),
        (("new", ".tabular:QLearning", "learner", ""), "not of the form package.module:Class"),
        (("new", "QLearning", "learner", ""), "not of the form package.module:Class"),
    ):
        with pytest.raises(ValueError, match=words):
            register_agent(*arguments)
    for like in ("new", "no-such-agent"):
        with pytest.raises(ValueError, match=f"no other agent '{like}' to be like"):
            register_agent("new", entry, "learner", "", like=like)
    assert "new" not in agents.agent_names()
    with pytest.raises(ValueError, match="already registered"):
        register_world(id="toy/Corridor-v1", name="corridor", world="x:X", config="x:X")
