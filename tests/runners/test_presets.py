"""Presets: what is shipped makes settings, what a file may not say is refused, what they find is best."""

import json
from pathlib import Path

import meze
import pytest
from meze.agents.registry import agent_specs, find_agent
from meze.runners import cli
from meze.runners.listing import rows_of
from meze.runners.run.start import read_request
from meze.runners.setup import presets
from meze.runners.setup.kinds import settings_class
from meze.runners.setup.presets import (
    default_agent_config,
    default_env_config,
    default_settings,
    observation_modes,
    provenance,
    with_preset,
    with_presets_of,
)
from meze.runners.setup.resolve import find_environment

SHIPPED = {path.stem: path for path in (Path(meze.__file__).parent / "assets" / "presets").glob("*.toml")}
AGENTS = {spec.name for spec in agent_specs()}


def tables():
    """Every shipped table: an environment's name, and an agent's, `*` or `bench`."""
    for name, path in sorted(SHIPPED.items()):
        content = presets.read_toml(path)
        below = content if name == "gymnasium" else {name: content}
        for environment, agents in below.items():
            yield from ((environment, agent) for agent in agents)


@pytest.mark.parametrize(("name", "agent"), tables())
def test_every_shipped_table_makes_settings(name, agent) -> None:
    environment = find_environment(name)
    known = presets._known(environment, agent)
    values = {key: value for key, value in known.items() if not key.startswith("provenance.")}
    assert values and all(key.replace("_", "-") == key for key in known)
    if agent == "bench":
        config = with_preset(default_env_config(environment), environment, "bench", "env.")
        assert all(getattr(config, key.removeprefix("env.")) == value for key, value in values.items())
        return
    assert known["provenance.by"] == "hand"
    for each in AGENTS if agent == "*" else {agent}:
        spec = find_agent(each)
        if not spec.is_trained:
            continue
        for mode in (None, *observation_modes(environment.config)):
            default_agent_config(environment, spec, mode)
        for encoded in (False, True):
            default_env_config(environment, spec, encoded=encoded)
        run = default_settings(environment, spec)
        if agent != "*":  # what the file says is what a run has
            own = {key: value for key, value in values.items() if "." not in key}
            assert {key: getattr(run, key.replace("-", "_")) for key in own} == own


@pytest.mark.parametrize("name", sorted({name for name, _ in tables()}))
def test_no_network_learns_in_a_tables_steps(name) -> None:
    environment = find_environment(name)
    deep = [spec for spec in agent_specs() if spec.extra in ("torch", "sb3", "sb3-contrib")]
    for spec in deep:
        assert default_agent_config(environment, spec).learning_rate.start <= 5e-3, spec.name


def test_what_is_shipped_is_what_worlds_name() -> None:
    worlds = {find_environment(name).world for name in SHIPPED.keys() - {"gymnasium"}}
    assert {world.presets for world in worlds} == set(SHIPPED.values()) - {presets.GYMNASIUM}
    assert presets.GYMNASIUM == SHIPPED["gymnasium"]


FILE = """
["*"]
agent.exploration.end = 0.25
agent.net.dueling = true

[q-learning]
like = "sarsa"
agent.gamma = 0.5
provenance = { by = "search", trials = 20 }

[sarsa]
steps = 128
num_envs = 4
agent.gamma = 0.75
agent.exploration = { steps = 64 }

[dqn]
agent.net.planes = [0, 1]
agent.net.hidden = [8]

[dqn.pixels]
agent.net.planes = "None"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return path


def test_a_file_of_ones_own_takes_the_place_of_the_shipped_one(file) -> None:
    given = read_request(["q-learning", "city"], ["--preset", str(file)]).given
    assert (given.run.steps, given.run.num_envs, given.files.preset) == (128, 4, file)
    assert (given.agent.gamma, given.agent.exploration.end, given.agent.exploration.steps) == (0.5, 0.25, 64)
    assert (
        given.agent.learning_rate == type(given.agent)().learning_rate
    )  # nothing of the shipped file is left
    assert (
        read_request(["sarsa", "city"], [f"--preset={file}", "--agent.gamma", "0.1"]).given.agent.gamma == 0.1
    )
    longer = read_request(["q-learning", "CartPole-v1"], ["--preset", str(file), "--steps", "256"]).given
    assert longer.agent.exploration.steps == 128  # schedules follow


@pytest.mark.parametrize("agent", ["dqn", '"*"'])
def test_a_run_is_as_long_as_what_is_observed_asks_for(agent, tmp_path) -> None:
    file = tmp_path / "presets.toml"
    file.write_text(f"[{agent}]\nsteps = 128\n[{agent}.pixels]\nsteps = 64")
    grid, pixels = (
        read_request(["dqn", "platformer"], ["--preset", str(file), "--env.observation", mode]).given.run
        for mode in ("grid", "pixels")
    )
    assert (grid.steps, pixels.steps) == (128, 64)


def test_where_an_agent_has_no_table_that_of_one_it_is_like_holds(file, tmp_path) -> None:
    given = read_request(["sarsa-lambda", "city"], ["--preset", str(file)]).given
    assert (given.run.steps, given.agent.gamma, given.agent.exploration.steps) == (128, 0.75, 64)
    given = read_request(["double-q-learning", "city"], ["--preset", str(file)]).given
    assert (given.run.steps, given.agent.gamma) == (128, 0.5)  # of q-learning, which begins with sarsa's
    own, last = tmp_path / "own.toml", tmp_path / "last.toml"
    own.write_text("[sarsa]\nsteps = 128\n[sarsa-lambda]\nagent.trace-decay = 0.5")
    given = read_request(["sarsa-lambda", "city"], ["--preset", str(own)]).given
    assert given.run.steps != 128 and given.agent.trace_decay == 0.5
    last.write_text("[q-learning]\nsteps = 77")
    assert read_request(["n-step-sarsa", "city"], ["--preset", str(last)]).given.run.steps == 77
    assert cli.main(["train", "expected-sarsa", "city", "--preset", str(own)]) == 2


def test_a_table_may_have_an_agents_short_name(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[ga]\ngenerations = 7")
    assert read_request(["genetic", "city"], ["--preset", str(path)]).given.run.generations == 7


def test_presets_hold_however_the_package_of_an_environment_is_named() -> None:
    dqn, (plain, named) = (
        find_agent("dqn"),
        (find_environment(prefix + "CartPole-v1") for prefix in ("", "gymnasium:")),
    )
    assert default_settings(named, dqn) == default_settings(plain, dqn) != settings_class(dqn)()


def test_an_agent_has_all_settings_of_the_one_that_it_is_like() -> None:
    pairs = [
        (spec.config_class(), find_agent(spec.like).config_class()) for spec in agent_specs() if spec.like
    ]
    assert pairs and all(issubclass(own, other) for own, other in pairs)


def test_observations_have_tables_of_their_own(file) -> None:
    for flags, planes in (([], (0, 1)), (["--env.observation", "pixels"], None)):
        net = read_request(["dqn", "platformer"], ["--preset", str(file), *flags]).given.agent.net
        assert (net.planes, net.hidden, net.dueling) == (planes, (8,), True)


def test_a_file_of_several_environments_has_their_ids(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[CartPole-v1.dqn]\nsteps = 77\n[Acrobot-v1.dqn]\nlike = 'CartPole-v1.dqn'\nnum-envs = 1")
    run = read_request(["dqn", "Acrobot-v1"], ["--preset", str(path)]).given.run
    assert (run.steps, run.num_envs) == (77, 1)


def test_a_run_tells_which_file_it_began_with(file, tmp_path) -> None:
    words = ["train", "q-learning", "corridor", "--preset", str(file), "--eval-episodes", "2"]
    assert cli.main([*words, "--out", str(tmp_path / "runs")]) == 0
    (config,) = tmp_path.glob("runs/*/*/*/config.json")
    written = json.loads(config.read_text())
    assert written["run"]["steps"] == 128 and str(file) in written["command"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[dqn]\nagent.net.kind = 'trap:Net'", "[dqn] agent.net.kind is trap:Net: only the command line"),
        ("['*']\nagent.net.kind = 'trap:Net'", "[dqn] agent.net.kind is trap:Net: only the command line"),
        ("[dqn.grid]\nagent.net.kind = 'trap:Net'", "[dqn] agent.net.kind is trap:Net: only the command"),
        ("[dqn]\nagent.gamma = 'much'", "[dqn] agent.gamma is 'much', which does not fit"),
        ("[dqn]\nagent.gamma = 7", "[dqn] gamma must"),
        ("[dqn]\nagent.loss = 'l3'", "[dqn] agent.loss takes "),
        ("[dqn]\nsteps = 1.5", "[dqn] steps is 1.5, which does not fit"),
        ("[dqn]\nsteps = 1979-05-27", "[dqn] steps is datetime.date(1979, 5, 27), which does not fit"),
        ("[dqn]\nagent.learning-rate = 1", "is 1, which does not fit; it has start, end, steps"),
        ("[dqn]\nstep = 15", "[dqn] there is no setting step"),
        ("[dqn]\nresume = 15", "[dqn] there is no setting resume"),
        ("[dqn]\nagent.gama = 0.9", "[dqn] there is no setting agent.gama"),
        ("[dqn]\nagent.gamma.end = 0.9", "[dqn] there is no setting agent.gamma.end"),
        ("[dqn]\nagnet.gamma = 0.9", "[dqn] there is no setting agnet"),
        ("[dqn.smells]\nsteps = 1", "[dqn] there is no setting smells"),
        ("[dqn.grid]\nenv.size = 9", "[dqn] grid.env.size: only settings of agent and run may differ"),
        ("[ga]\n[genetic]\n[dqn]", "an agent has two tables, one of them by its short name"),
        ("[dqn]\nenv.wind = 1", "[dqn] there is no setting env.wind"),
        ("[dqn]\nfiles.out = 'elsewhere'", "[dqn] there is no setting files"),
        ("[dqn]\nlike = 'pqn'", "[dqn] there is no other table 'pqn' to be like"),
        ("[dqn]\nlike = 'dqn'", "[dqn] there is no other table 'dqn' to be like"),
        ("[dqn]\nlike = 'pqn'\n[pqn]\nlike = 'dqn'", "[dqn] there is no other table 'dqn' to be like"),
        ("[dqn]\nlike = 3", "[dqn] there is no other table 3 to be like"),
        ("[dqnn]\n[dqn]", "unknown agent 'dqnn'; did you mean 'dqn'?"),
        ("[pqn]", "mine.toml has no table for dqn; it has pqn"),
        ("dqn = 1", "mine.toml has no table for dqn"),
        ("", "mine.toml has no table for dqn; it has none at all"),
        ("[dqn", "mine.toml is not TOML: "),
        (f"x = {'[' * 100_000}", "mine.toml is not TOML: "),
    ],
)
def test_what_a_file_may_not_say_is_told_in_one_line(text, words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    Path("trap.py").write_text("raise AssertionError('imported')")
    assert cli.main(["train", "dqn", "city", "--preset", "mine.toml"]) == 2
    said = capsys.readouterr().err
    assert words in said and "mine.toml" in said and said.count("\n") == 1
    assert not Path("runs").exists()


def test_how_settings_were_found_is_told_where_they_are_shown(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    city = find_environment("city")
    assert provenance(city, "sarsa") == "by hand"  # as of what it is like
    assert cli.main(["train", "sarsa", "city", "--help"]) == 0
    assert "These settings of sarsa in city: by hand." in capsys.readouterr().out
    file = tmp_path / "mine.toml"
    file.write_text('[sarsa]\nsteps = 9\nprovenance = { by = "search", trials = 20 }\n[dqn]\nsteps = 9\n')
    assert cli.main(["train", "sarsa", "city", "--preset", str(file), "--help"]) == 0
    assert "These settings of sarsa in city: by search, trials 20." in capsys.readouterr().out
    mine = {name: provenance(with_presets_of(file, city, find_agent("dqn")), name) for name in ("dqn", "ppo")}
    assert mine == {"dqn": "not told", "ppo": "by default"}

    assert cli.main(["envs", "city"]) == 0
    assert "settings by hand: q-learning, sarsa" in capsys.readouterr().out
    assert cli.main(["envs", "city", "--json"]) == 0
    rows = {row["mode"]: row for row in json.loads(capsys.readouterr().out)["environments"]}
    assert rows["index"]["presets"]["sarsa"] == "by hand" and "random" not in rows["index"]["presets"]


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path, capsys) -> None:
    assert cli.main(["train", "dqn", "city", "--preset", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err.endswith("none.toml: No such file or directory\n")
    assert cli.main(["train", "dqn", "city", "--preset"]) == 2
    assert "--preset needs a value" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["q-learning", "double-q-learning"])
def test_the_cliff_is_walked_along_its_edge(agent, tmp_path) -> None:
    """The optimal return is -13 (Sutton & Barto, example 6.6); the agents are greedy when evaluated."""
    assert cli.main(["train", agent, "CliffWalking-v1", "--seed", "8", "--out", str(tmp_path)]) == 0
    (scores,) = tmp_path.glob("*/*/*/evaluation.json")
    assert json.loads(scores.read_text())["scores"][agent]["return"]["mean"] == -13


def test_deep_networks_are_set_for_pixels_where_these_are_asked_for() -> None:
    """Their presets for the platformer's grid fit no pixels."""
    fitting = {row["mode"]: row["agents"] for row in rows_of(find_environment("platformer"))}
    assert {"dqn", "pqn"} <= set(fitting["pixels"])
