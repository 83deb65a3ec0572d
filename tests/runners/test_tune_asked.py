"""Tuning: which settings are searched and by what aim, what is refused, and what is told."""

import json
import tomllib
from pathlib import Path

import pytest
from meze.runners import cli
from run_files import play_here
from study_files import folder, tune

optuna = pytest.importorskip("optuna")

from meze.runners.tuning import study  # noqa: E402
from meze.runners.tuning.study import Study  # noqa: E402


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (
            "agent.gama = true",
            "agent.gama is none of the settings of q-learning; did you mean 'agent.gamma'?",
        ),
        ("agent.exploration.steps = true", "agent.exploration.steps of q-learning may not be searched"),
        ("agent.gamma = [0.5]", "agent.gamma: lies in 0.9, 0.95"),
        (
            "agent.learning-rate.start = { low = 0.5, high = 7.0 }",
            "lies in 0.02 .. 1, logarithmic; got 0.5 .. 7",
        ),
        ("agent.learning-rate.start = { low = 0.5, high = 0.1 }", "a range goes upwards"),
        ("agent.learning-rate.start = 3", "takes true, a list of values, or for a range"),
        ("agent.gamma = []", "agent.gamma: takes true, a list of values"),
        (
            "agent.learning-rate.start = { log = 'no' }",
            "start: low and high are numbers, and log is true or false",
        ),
        ("agent.learning-rate.start = { low = '1' }", "start: low and high are numbers"),
        (f"agent.learning-rate.start = [{10**400}]", "start: int too large"),
        ("steps = true", "steps is none of the settings of q-learning"),
        ("", "names no setting to be searched"),
        ("agent = [", "is not TOML"),
    ],
)
def test_a_space_that_can_not_be_is_refused_by_name(space, words, tmp_path, capsys):
    file = tmp_path / "space.toml"
    file.write_text(space)
    assert tune(tmp_path, "--space", str(file)) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert words in said and "space.toml" in said
    assert not list(tmp_path.glob("*/*")), "no folder is left behind"


def test_a_file_narrows_what_is_searched(tmp_path, monkeypatch):
    play_here(monkeypatch)
    monkeypatch.setattr(study, "FRESH", 1)
    file = tmp_path / "space.toml"
    file.write_text("[agent]\ngamma = [0.9, 0.99]\nlearning_rate.start = { low = 0.1, high = 0.5 }\n")
    assert (
        tune(tmp_path / "out", "--space", str(file), "--trials", "4", "--seeds", "1", "--sampler", "random")
        == 0
    )
    trials = Study.open(folder(tmp_path / "out")).trials
    assert {name for each in trials for name in each.params} == {"gamma", "learning-rate.start"}
    assert all(each.params["gamma"] in ("0.9", "0.99") for each in trials)
    assert all(0.1 <= each.params["learning-rate.start"] <= 0.5 for each in trials)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q-learning corridor --objective time-to-score", "goes with --score"),
        ("q-learning corridor --score 3", "goes with --score"),
        ("q-learning corridor --objective score-and-harm", "tells no harm"),
        ("q-learning corridor --trials 0", "trials must be at least 1"),
        ("q-learning corridor --seed 100000", "--seed of a study must be less than 100000"),
        ("q-learning corridor --seeds 0", "1 to 1000 seeds"),
        ("genetic corridor", "needs --max-steps"),
        ("q-learning CartPole-v1", "Box"),
        ("q-learning city --constraint harm_car<=0.1", "takes no --constraint"),
        ("q-learning corridor --encoder kmeans", "takes no --encoder"),
        ("dqn city --agent.net.kind mine:Net", "no code of another package"),
        ("q-learning", "usage: meze tune AGENT ENV"),
        ("--resume nowhere", "nowhere is not a study's folder"),
        ("random corridor", "random does not learn"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tune", *line.split()]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert words in said
    assert not list(tmp_path.iterdir())


def test_a_trial_that_fails_is_told_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    play_here(monkeypatch)
    monkeypatch.setattr(study, "FRESH", 1)
    file = tmp_path / "space.toml"
    file.write_text("agent.elites = true")
    flags = ["--max-steps", "500", "--agent.population-size", "16", "--trials", "6", "--seeds", "1"]
    code = tune(
        tmp_path / "out",
        *flags,
        "--space",
        str(file),
        agent="genetic",
        small=["--eval-episodes", "4", "--episodes", "1"],
    )
    trials = json.loads((folder(tmp_path / "out") / "report.json").read_text())["trials"]
    failed = [each for each in trials if each["state"] == "failed"]
    assert failed and all(each["settings"]["elites"] >= 16 and "elites" in each["reason"] for each in failed)
    assert code == 0 and f"trial {failed[0]['number']} failed" in capsys.readouterr().out


@pytest.mark.parametrize("objective", ["time-to-score", "score-and-harm"])
def test_other_objectives(objective, tmp_path, monkeypatch, capsys):
    play_here(monkeypatch)
    monkeypatch.setattr(study, "FRESH", 2)
    flags = ["--objective", objective, "--trials", "3", "--seeds", "2", "--eval-every", "500"]
    if objective == "time-to-score":
        assert tune(tmp_path, *flags, "--score", "0.2") == 0
    else:
        assert tune(tmp_path, *flags, "--env.pool-size", "2", env="city") == 0
    report = json.loads((folder(tmp_path) / "report.json").read_text())
    if objective == "time-to-score":
        assert report["directions"] == ["minimize"]
        times = [value for each in report["trials"] if each["runs"] for (value,) in each["runs"]]
        assert times and all(0 < value <= 2 * 2048 for value in times)
    else:
        assert all(each["state"] == "complete" for each in report["trials"]), "nothing is pruned"
        assert report["values"][1] == "harm", "all of it, not collisions with cars alone"
        assert report["front"] and "Trials on the front" in capsys.readouterr().out
        assert "The front" in (folder(tmp_path) / "report.html").read_text()


def test_every_agent_marks_what_may_be_searched():
    from meze.agents.ranges import current, searchable
    from meze.agents.registry import agent_specs
    from meze.runners.setup.settings import flags
    from meze.runners.tuning.space import as_params, chosen, described, distributions, read_space, space_of

    for spec in agent_specs():
        if not spec.is_trained:
            continue
        config = spec.config_class()()
        marked, space = searchable(type(config)), space_of(spec.name, config)
        assert set(space) <= set(marked) <= set(flags(config, "")), spec.name
        plain = json.loads(json.dumps(described(space)))
        assert read_space(plain, spec.name, config, Path("study.json")) == space
        assert set(distributions(space)) == set(space)
        if (params := as_params(space, config)) is not None:
            assert chosen(space, params) == current(config, space), spec.name


@pytest.mark.parametrize(
    ("flags", "begun"),
    [
        ({"gamma": 0.7}, 0.7),
        ({"learning-rate.start": 0.01}, 0.01),
        ({"exploration.end": 0.0}, None),
    ],
)
def test_what_is_searched_holds_the_settings_of_the_beginning(flags, begun):
    from meze.agents.registry import find_agent
    from meze.runners.setup.settings import override
    from meze.runners.tuning.space import as_params, described, read_space, space_of

    config = override(find_agent("q-learning").config_class()(), flags)
    space, (name,) = space_of("q-learning", config), flags
    assert read_space(json.loads(json.dumps(described(space))), "q-learning", config, Path("x")) == space
    params = as_params(space, config)
    assert (params and float(params[name])) == begun


def test_it_is_said_where_no_trial_has_the_settings_of_the_beginning(tmp_path, capsys):
    file = tmp_path / "space.toml"
    file.write_text("agent.gamma = [0.95]")
    for out, flags in (("a", []), ("b", ["--agent.exploration.end", "0"]), ("c", ["--space", str(file)])):
        assert tune(tmp_path / out, "--minutes", "1e-9", *flags) == 1
        assert ("no trial has the settings" in capsys.readouterr().out) == bool(flags)


def test_whole_numbers_narrow_a_range_of_real_ones():
    from meze.agents.ranges import Choices, Range
    from meze.runners.tuning.space import _narrowed

    assert _narrowed(Range(0.25, 10.0, log=True), {"low": 1, "high": 5}) == Range(1.0, 5.0, log=True)
    assert _narrowed(Choices(0.0, 1.0, 10.0), [1, 0]) == Choices(1.0, 0.0)
    with pytest.raises(ValueError, match="whole numbers"):
        _narrowed(Range(1, 8), {"low": 2.0, "high": 4})


@pytest.mark.parametrize(
    ("agent", "unused"), [("value-iteration", "learning-rate.start"), ("random-search", "sigma")]
)
def test_what_an_agent_does_not_use_is_not_searched(agent, unused, tmp_path):
    from meze.agents.registry import find_agent
    from meze.runners.tuning.space import space_of

    config, file = find_agent(agent).config_class()(), tmp_path / "space.toml"
    file.write_text(f"agent.{unused} = true")
    assert unused not in space_of(agent, config)
    with pytest.raises(ValueError, match=f"{unused} of {agent} may not be searched"):
        space_of(agent, config, file)


def test_a_preset_file_is_toml_whatever_is_in_it():
    from meze.runners.tuning.findings import _toml

    value = {"m\N{GRINNING FACE}\x7f.txt": '\x00\t"\\', "a b": [float("inf"), -1.5, 2, True]}
    assert tomllib.loads(f"value = {_toml(value)}") == {"value": value}


@pytest.mark.parametrize("columns", [80, 60])
def test_help_keeps_to_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main(["tune", "--help"]) == 0
    assert cli.main(["tune", "q-learning", "city", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--objective" in said and "--space" in said
    assert max(map(len, said.splitlines())) <= columns


PLUGIN = """
from dataclasses import dataclass
from typing import Annotated
from meze.agents.ranges import Choices, Range
from meze.agents.tabular import QLearning, TabularConfig

@dataclass(frozen=True)
class MineConfig(TabularConfig):
    gamma: Annotated[float, Range(0.5, 0.6)] = 0.55
    eager: Annotated[bool, Choices()] = False

class Mine(QLearning):
    pass
"""


def test_settings_of_a_plug_in_agent_are_searched(tmp_path, monkeypatch):
    import meze
    from meze.agents import registry

    play_here(monkeypatch)
    monkeypatch.setattr(study, "FRESH", 1)
    monkeypatch.setattr(registry, "_AGENTS", dict(registry._AGENTS))
    (tmp_path / "mine.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    meze.register_agent("mine", "mine:Mine", "learner", "mine", config="mine:MineConfig", modes=("index",))
    assert tune(tmp_path / "out", "--trials", "3", "--seeds", "1", agent="mine") == 0
    trials = Study.open(folder(tmp_path / "out")).trials
    assert {"gamma", "eager", "learning-rate.start"} <= set(trials[0].params)
    assert all(0.5 <= each.params["gamma"] <= 0.6 for each in trials)


@pytest.mark.parametrize("world", ["city", "maze", "vacuum", "platformer", "kiosk", "tram", "fire-escape"])
@pytest.mark.parametrize("agent", ["ppo", "sb3-ppo", "sb3-a2c"])
def test_the_first_trial_can_have_the_preset(agent, world):
    from meze.runners.run.start import usual
    from meze.runners.setup.resolve import find_environment, find_learner
    from meze.runners.tuning.space import as_params, space_of

    config = usual(find_learner(agent), find_environment(world)).config.agent_config
    assert as_params(space_of(agent, config), config) is not None
