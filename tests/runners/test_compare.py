"""Tournaments: who takes part, what fails, what is told, and that they go on as if they had never stopped."""

import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
from filelock import FileLock
from meze.agents.registry import find_agent
from meze.runners import cli, compare
from meze.runners.run import start
from meze.runners.run.encoding import FitSettings
from meze.runners.run.folder import RunDir
from meze.runners.setup.resolve import find_environment
from meze.runners.setup.settings import override
from meze.runners.tournament import match
from meze.runners.tournament.report import column_names, print_standings, table_rows, write_report
from meze.runners.tournament.standings import standings
from meze.runners.tournament.tournament import Budget, Entry, Result, Tournament, make_entries, make_entry
from run_files import play_here

CITY = ["--env.pool-size", "2", "--episodes", "8"]
PROGRAM = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"
STEPS = Budget(steps=2000)


def folder(out):
    (found,) = out.glob("*/*/tournament.json")
    return found.parent


def told(out):
    """The report, without what a clock said."""
    report = json.loads((folder(out) / "report.json").read_text())
    for agent in report["agents"].values():
        for run in agent["runs"]:
            del run["seconds"]
            run["curve"] = [[steps, score] for steps, _, score in run["curve"]]
    return report


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small tournament, not interrupted; its folder's parent, and what the command returned."""
    out = tmp_path_factory.mktemp("whole")
    agents = "random,expert,q-learning,clone:tree"
    args = ["compare", "city", "--agents", agents, "--seeds", "2", "--budget", "8000", *CITY]
    with pytest.MonkeyPatch.context() as patch:
        play_here(patch)
        return out, cli.main([*args, "--out", str(out)]), args


def test_a_match_waits_for_who_was_taken_for_lost(tmp_path, monkeypatch):
    def begins(config, run):
        raise InterruptedError("the folder is free")

    config = start.usual(find_agent("q-learning"), find_environment("city")).config
    entry = SimpleNamespace(config=config)
    tournament = SimpleNamespace(entries=[entry], path=tmp_path, stem=str)
    monkeypatch.setattr(match, "begun", lambda config, out: (config, RunDir(tmp_path)))
    monkeypatch.setattr(match, "make_training", begins)
    lock = FileLock(tmp_path / "lock", thread_local=False)
    lock.acquire()
    timer = threading.Timer(0.3, lock.release)
    timer.start()
    with pytest.raises(InterruptedError, match="the folder is free"):
        match._train(tournament, 0, 0, threading.Event())
    timer.join()


def test_everybody_is_evaluated_and_normalised(whole, capsys):
    out, code, _ = whole
    assert code == 0
    report = told(out)
    agents = report["agents"]
    assert list(agents) == ["random", "expert", "q-learning", "clone:tree"]
    assert agents["random"]["score"]["mean"] == pytest.approx(0)
    assert agents["expert"]["score"]["mean"] == pytest.approx(1)
    low, high = (agents[name]["measures"]["return"]["mean"] for name in ("random", "expert"))
    for run in agents["q-learning"]["runs"]:
        assert run["score"] == pytest.approx((run["measures"]["return"] - low) / (high - low))
    assert [run["seed"] for run in agents["clone:tree"]["runs"]] == [0, 1]
    said = agents["clone:tree"]["words"]
    assert said == [
        *("clone", "meze/City-v0", "--steps", "8000", "--agent.classifier", "tree", "--env.pool-size", "2")
    ]
    (entry,) = (each for each in Tournament.open(folder(out)).entries if each.name == "clone:tree")
    assert start.read_request(said[:2], said[2:]).config == entry.config  # what people are told
    both = report["improvement"]
    assert both["q-learning"]["clone:tree"][0] == pytest.approx(1 - both["clone:tree"]["q-learning"][0])
    print_standings(json.loads((folder(out) / "report.json").read_text()))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_scores_are_those_of_evaluate(whole, capsys):
    out, _, _ = whole
    (run,) = (folder(out) / "runs").glob("02-*/city/q-learning/*-s1")
    capsys.readouterr()
    assert (
        cli.main(["evaluate", "city", str(run), "--episodes", "8", "--checkpoint", "newest", "--json"]) == 0
    )
    (evaluated,) = json.loads(capsys.readouterr().out)["scores"].values()
    measures = told(out)["agents"]["q-learning"]["runs"][1]["measures"]
    assert measures["return"] == pytest.approx(evaluated["return"]["mean"])
    assert measures["success"] == pytest.approx(evaluated["success"]["mean"])


@pytest.mark.slow
def test_a_killed_tournament_comes_to_the_same(whole, tmp_path):
    out, _, args = whole
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args, "--jobs", "1", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    while not list(tmp_path.glob("*/*/runs/*/*/q-learning/*/checkpoints/step-*")):
        assert process.poll() is None, "ended before it was killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder(tmp_path) / "report.json").exists()
    assert cli.main(["compare", "--resume", str(folder(tmp_path))]) == 0
    assert told(tmp_path) == told(out)


@pytest.mark.slow
def test_after_ctrl_c_it_is_saved_and_goes_on(tmp_path, capsys):
    args = ["compare", "city", "--agents", "q-learning", "--seeds", "1", "--budget", "1e8", *CITY]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args, "--jobs", "1", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob("*/*/runs/*/*/q-learning/*/metrics.csv")):
        assert process.poll() is None, "ended before it was stopped"
        time.sleep(0.01)
    assert cli.main(["compare", "--resume", str(folder(tmp_path))]) == 2  # while it is under way
    (line,) = capsys.readouterr().err.splitlines()
    assert str(folder(tmp_path)) in line and "another process" in line
    process.send_signal(signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=100)
    finally:
        process.kill()
    assert process.returncode == 130 and f"meze compare --resume {folder(tmp_path)}" in said
    assert "waiting until what is trained is saved, 1 under way" in said
    assert list(tmp_path.glob("*/*/runs/*/*/q-learning/*/checkpoints/step-*"))


@pytest.mark.slow
def test_minutes_end_training_and_stay_over(tmp_path, monkeypatch):
    play_here(monkeypatch)
    args = ["compare", "city", "--agents", "q-learning", "--seeds", "1", "--budget", "0.005min", *CITY]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    (run,) = told(tmp_path)["agents"]["q-learning"]["runs"]
    usual = start.read_request(["q-learning", "city"], []).given.run.steps
    assert not run["finished"] and 0 < run["steps"] < usual
    (result,) = folder(tmp_path).glob("results/00-*.npz")
    result.unlink()
    assert cli.main(["compare", "--resume", str(folder(tmp_path))]) == 0  # is not trained on
    (again,) = told(tmp_path)["agents"]["q-learning"]["runs"]
    assert again == run


@pytest.mark.slow
def test_who_fails_is_named_and_the_rest_goes_on(tmp_path, capfd):
    args = ["compare", "CartPole-v1", "--agents", "random,q-learning,random-search", "--seeds", "1"]
    assert cli.main([*args, "--budget", "500", "--episodes", "4", "--out", str(tmp_path)]) == 1
    said = capfd.readouterr()
    assert "q-learning seed 0 failed: " in said.err and "Box" in said.err
    report = told(tmp_path)
    assert set(report["agents"]) == {"random", "random-search"}
    assert report["reference"] is None
    assert (
        report["agents"]["random"]["score"]["mean"]
        == report["agents"]["random"]["measures"]["return"]["mean"]
    )
    page = (folder(tmp_path) / "report.html").read_text()
    assert "Failed: q-learning seed 0" in page


@pytest.mark.slow
def test_recorded_plays_stand_in_the_table(tmp_path, monkeypatch):
    from meze.envs.core.env import WorldEnv
    from meze.envs.core.registry import find_world
    from meze.envs.core.replay import Replay

    play_here(monkeypatch)
    spec = find_world("city")
    plays = tmp_path / "plays"
    plays.mkdir()
    returns = []
    for seed in (3, 4):
        env = WorldEnv(spec.world, pool_size=2)
        env.reset(seed=seed)
        rewards = [env.step(0)[1] for _ in range(5)]
        returns.append(sum(rewards))
        Replay(spec.id, seed, (0,) * 5, {"pool_size": 2}, agent="human").save(plays / f"{seed}.json")
    args = ["compare", "city", "--agents", f"random,{plays}", *CITY, "--out", str(tmp_path / "out")]
    assert cli.main(args) == 0
    agents = told(tmp_path / "out")["agents"]
    assert agents["plays"]["measures"]["return"]["mean"] == pytest.approx(np.mean(returns))
    assert agents["plays"]["measures"]["length"]["mean"] == 5

    altered = json.loads((plays / "3.json").read_text()) | {"state_hash": 1}
    (plays / "3.json").write_text(json.dumps(altered))
    assert (
        cli.main(["compare", "city", "--agents", f"random,{plays}", *CITY, "--out", str(tmp_path / "b")]) == 1
    )
    assert set(told(tmp_path / "b")["agents"]) == {"random"}


@pytest.mark.parametrize(
    ("text", "budget"),
    [("1e6", Budget(1_000_000)), ("5min", Budget(minutes=5.0)), ("0.5min", Budget(minutes=0.5))],
)
def test_budgets(text, budget):
    assert Budget.read(text) == budget


@pytest.mark.parametrize("text", ["", "much", "0", "-1", "1.5", "nan", "1e400", "infmin", "min"])
def test_a_budget_that_makes_no_sense_is_refused(text):
    with pytest.raises(ValueError, match="transitions"):
        Budget.read(text)


def test_schedules_are_stretched_to_the_budget():
    city = find_environment("city")
    asked = start.read_request(["q-learning", "city"], []).given
    steps, epsilon = 3 * asked.run.steps, asked.agent.exploration
    config = make_entry("q-learning", city, Budget(steps=steps)).config
    assert config.settings.steps == steps and config.agent_config.exploration.steps == 3 * epsilon.steps
    assert epsilon.start != epsilon.end
    assert make_entry("q-learning", city, Budget(minutes=1.0)).config.agent_config == asked.agent
    assert make_entry("random-search", city, STEPS).config.settings.max_steps == 2000
    imitator = start.read_request(["clone", "city"], []).given.run.steps
    assert make_entry("clone", city, Budget(steps=2 * imitator)).config.settings.steps == imitator


def make(path, returns, steps=1):
    """A tournament of which only the scores are there: name to (runs, episodes) returns, and transitions."""
    city = find_environment("city")
    env, sarsa = make_entry("random", city, STEPS).env, make_entry("sarsa", city, STEPS).config
    entries = [
        Entry(name, "ready", env=env)
        if name in ("random", "expert")
        else Entry(name, "trained", sarsa, env=env)
        for name in returns
    ]
    tournament = Tournament(path, city, tuple(entries), 2, 4, STEPS)
    tournament.create()
    for number, runs in enumerate(returns.values()):
        for k, values in enumerate(runs):
            result = Result({"return": np.array(values, float)}, np.array([[1, 1, 2.0]]), steps, 1.0, True)
            steps += 100
            result.write(tournament.result_path(number, k))
    return tournament


def test_who_stands_between_random_and_expert(tmp_path):
    returns = {"random": [[0, 2]], "expert": [[10, 12]], "a": [[1, 1], [6, 6]]}
    found = standings(make(tmp_path / "t", returns), {})
    assert [run["score"] for run in found["agents"]["a"]["runs"]] == pytest.approx([0.0, 0.5])
    assert found["agents"]["a"]["runs"][0]["curve"] == [[1.0, 1.0, pytest.approx(0.1)]]


@pytest.mark.parametrize(("steps", "shown"), [(1_500, "1,650\n1,600..1,700"), (1_900, None)])
def test_transitions_are_told_where_they_are_not_the_budgets(steps, shown, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    returns = {"random": [[0]], "a": [[1], [6]]}
    found = standings(make(tmp_path / "t", returns, steps), {})  # of 2,000 that were asked for
    columns, rows = column_names(found, ["return"]), list(table_rows(found, ["return"]))
    assert ("transitions" in columns) == bool(shown)
    if shown:
        told = {row[0]: row[columns.index("transitions")] for row in rows}
        assert told == {"random": "-", "a": shown}
    print_standings(found)
    said = capsys.readouterr().out
    assert "a budget of 2,000 transitions" in said and ("transitions: what each" in said) == bool(shown)


def test_tolerance_area_and_corrected_tests_are_told(tmp_path, monkeypatch, capsys):
    path = tmp_path / "t"
    low, high = [[k] for k in range(8)], [[k + 10] for k in range(8)]
    few = make(path, {"random": [[0]], "expert": [[20]], "a": low, "b": high, "c": low})
    found = standings(dataclasses.replace(few, seeds=8), {})
    assert found["agents"]["a"]["tolerance"] == pytest.approx([0.0, 0.35])
    assert found["differences"]["a"]["c"] == 1.0 == found["differences"]["c"]["a"]
    assert found["differences"]["a"]["b"] == pytest.approx(3 * 2 / math.comb(16, 8))  # of three pairs
    assert found["agents"]["a"]["area"] is None  # of one evaluation each
    for run in found["agents"]["a"]["runs"]:
        run["curve"] = [[10, 1.0, 0.2], [20, 2.0, 0.4]]
    monkeypatch.setenv("COLUMNS", "200")
    print_standings(found)
    said = capsys.readouterr().out
    assert "half of runs" in said and "0.00..0.35" in said and "it takes 8 runs to say" in said
    monkeypatch.setenv("COLUMNS", "40")
    print_standings(found)
    said = capsys.readouterr().out
    assert "No room for" in said and "takes 8 runs" not in said
    write_report(found, few, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "p &lt; 0.001 *" in page and "p 1.000" in page and "so few runs" not in page


def test_the_area_is_the_mean_score_on_the_way(tmp_path):
    tournament = make(tmp_path / "t", {"random": [[0]], "expert": [[10]], "a": [[1], [6]]})
    for k in range(2):
        curve = np.array([[10, 1, 0.0], [20, 2, 10.0], [40, 3, 10.0]])
        result = Result({"return": np.array([10.0])}, curve, 40, 3.0, True)
        result.write(tournament.result_path(2, k))
    found = standings(tournament, {})
    assert found["agents"]["a"]["area"]["iqm"] == pytest.approx((10 * 0.5 + 20 * 1.0) / 30)
    assert found["agents"]["a"]["tolerance"] is None  # of two runs


def test_several_agents_of_one_run_each_have_no_intervals(tmp_path):
    tournament = make(tmp_path / "t", {"random": [[0]], "expert": [[9]], "a": [[1]], "b": [[6]]})
    found = standings(tournament, {})
    assert found["improvement"]["b"]["a"] == [1.0]
    write_report(found, tournament, tmp_path / "report.html")
    page = re.sub(r" (class|style)=\"[^\"]*\"", "", (tmp_path / "report.html").read_text())
    assert "<td>1.00\np 1.000</td>" in page and "With so few runs p can&#39;t be below 1." in page


@pytest.mark.parametrize(
    "returns", [{"random": [[3]], "expert": [[3]]}, {"expert": [[3]]}, {"random": [[3]]}]
)
def test_without_a_scale_returns_stand_as_they_are(returns, tmp_path):
    tournament = make(tmp_path / "t", {**returns, "a": [[1], [6]]})
    found = standings(tournament, {})
    assert found["reference"] is None
    assert [run["score"] for run in found["agents"]["a"]["runs"]] == [1.0, 6.0]
    json.dumps(found, allow_nan=False)
    print_standings(found)


def test_each_world_has_its_yardsticks():
    city = find_environment("city")
    entries = make_entries(["q-learning"], city, STEPS)
    assert [(entry.name, entry.shown) for entry in entries] == [
        ("q-learning", True),
        ("random", False),
        ("expert", False),
    ]
    assert {entry.env["split"] for entry in entries} == {"test"}
    # dqn is trained on more maps, but judged on the same.
    everybody = make_entries(["random", "expert", "dqn", "q-learning"], city, STEPS)
    assert len(everybody) == 4 and len({entry.world for entry in everybody}) == 1
    few = make_entry("dqn", city, STEPS, lambda env: override(env, {"pool_size": 8}))
    assert few.env["pool_size"] == few.config.env_config.pool_size == 8


def test_matches_step_their_environments_on_all_cores_that_they_have(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "play_matches", MagicMock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(compare, "make_executor", MagicMock())
    args = ["city", "--agents", "q-learning,genetic,clone", "--cpus-per-run", "3", "--out", str(tmp_path)]
    assert compare.main(args) == 130
    (folder,) = tmp_path.glob("city/*")
    configs = [entry.config for entry in Tournament.open(folder).entries]
    assert [config and config.settings.num_threads for config in configs] == [3, 3, 3, None, None]


def test_behind_a_colon_stands_a_classifier_or_an_encoder():
    city = find_environment("city")
    assert make_entry("dagger:knn", city, STEPS).config.agent_config.classifier == "knn"
    encoding = make_entry("q-learning:pca+kmeans", city, STEPS, fit=FitSettings(samples=7)).config.encoding
    assert encoding.chain.name == "pca+kmeans" and encoding.fit.samples == 7
    assert make_entry("ga", city, STEPS).config.agent.name == find_agent("ga").name == "genetic"


def test_settings_follow_the_observation_that_is_asked_for():
    platformer = find_environment("platformer")
    pixels = make_entry("pqn", platformer, STEPS, lambda env: override(env, {"observation": "pixels"})).config
    asked = start.read_request(
        ["pqn", "platformer"], ["--env.observation", "pixels", "--steps", "2000"]
    ).config
    assert pixels == asked and pixels.agent_config.net.kind == "cnn"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["city"], "--agents"),
        (["city", "--agents", ","], "--agents says who takes part"),
        (["city", "--agents", "ga,genetic"], "genetic is named twice"),
        (["city", "--agents", "dqnn"], "did you mean 'dqn'"),
        (["city", "--agents", "clone:oak"], "oak"),
        (["city", "--agents", "sarsa,sarsa"], "sarsa is named twice"),
        (["city", "--agents", "sarsa", "--seeds", "0"], "seeds must be at least 1"),
        (["city", "--agents", "sarsa", "--env.size", "many"], "--env.size"),
        (["city", "--agents", "sarsa", "--env.cars", "many"], "--env.cars must be an integer"),
        (["city", "--agents", "q-learning:"], "unknown encoder"),
        (["city", "--agents", "expert:tree"], "expert"),
        (["--resume", "nowhere"], "nowhere is not a tournament's folder"),
    ],
)
def test_what_a_user_gets_wrong_is_told_in_one_line(args, message, capsys, tmp_path):
    assert cli.main(["compare", *args, *([] if "--resume" in args else ["--out", str(tmp_path)])]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_library_leaves_no_folder(tmp_path, monkeypatch, capsys):
    def missing():
        raise ValueError("reports need matplotlib")

    monkeypatch.setattr(compare, "new_figure", missing)
    assert cli.main(["compare", "city", "--agents", "random", "--out", str(tmp_path)]) == 2
    assert "reports need matplotlib" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_an_altered_folder_is_refused(whole, tmp_path):
    out, _, _ = whole
    copy = tmp_path / "copy"
    shutil.copytree(folder(out), copy)
    plain = json.loads((copy / "tournament.json").read_text())
    for change in (
        {"format": 99},
        {"env": "os:City"},
        {"entries": 3},
        {"seeds": "many"},
        {"entries": [{**plain["entries"][0], "kind": "code"}]},
    ):
        (copy / "tournament.json").write_text(json.dumps(plain | change))
        with pytest.raises(ValueError):
            Tournament.open(copy)


def altered(out, copy, change):
    """A copy of a tournament of which a stranger has changed who learns by himself."""
    shutil.copytree(folder(out), copy)
    plain = json.loads((copy / "tournament.json").read_text())
    plain["entries"] = [each for each in plain["entries"] if each["name"] == "q-learning"]
    change(plain["entries"][0])
    (copy / "tournament.json").write_text(json.dumps(plain))
    return copy


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("agent", "name"), "expert", "unknown agent 'expert'"),
        (("agent", "name"), "random", "random does not learn"),
        (("agent", "config", "gamma"), "much", "agent.gamma is 'much', which does not fit"),
        (("agent", "config", "charm"), 1, "agent has an unknown setting 'charm'"),
        (("agent",), {"name": "dqn", "config": {"net": {"kind": "trap:Net"}}}, "network trap:Net, code"),
        (("env", "id"), "trap:CartPole-v1", "is on trap:CartPole-v1, not on meze/City-v0"),
        (("run", "resume"), "x", "run has an unknown setting 'resume'"),
        (("run", "steps"), -1, "steps must be at least 1"),
        (("encoder",), {"name": "trap:Encoder", "config": {}, "fit": {}}, "trap:Encoder"),
        (("run",), None, "run is None, which does not fit"),
        ((), None, "cut short or altered"),
        ((), {}, "cut short or altered"),
    ],
)
def test_what_a_stranger_changed_is_refused(keys, value, words, whole, tmp_path):
    def change(entry):
        for key in ("settings", *keys)[:-1]:
            entry = entry[key]
        entry[("settings", *keys)[-1]] = value

    with pytest.raises(ValueError, match=words) as caught:
        Tournament.open(altered(whole[0], tmp_path / "copy", change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["name", "kind", "paths", "shown", "env", "settings"])
def test_what_a_stranger_left_out_is_missed(missing, whole, tmp_path):
    with pytest.raises(ValueError):
        Tournament.open(altered(whole[0], tmp_path / "copy", lambda entry: entry.pop(missing)))


@pytest.mark.slow
def test_an_environments_package_is_not_imported_for_a_stranger(whole, tmp_path, monkeypatch):
    (tmp_path / "trap.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    play_here(monkeypatch)
    named = {"id": "trap:meze/City-v0"}
    copy = altered(whole[0], tmp_path / "copy", lambda entry: entry["settings"]["env"].update(named))
    assert cli.main(["compare", "--resume", str(copy)]) == 0  # it plays in the tournament's own
    assert not (tmp_path / "sprung").exists()


# --- Folders of earlier versions, whose entries have words --------------------------------------------------


def as_earlier(out, copy, number):
    """A copy of a tournament as an earlier version kept it."""
    shutil.copytree(folder(out), copy)
    plain = json.loads((copy / "tournament.json").read_text()) | {"format": number}
    for entry, each in zip(plain["entries"], Tournament.open(copy).entries, strict=True):
        del entry["paths"]
        entry.pop("settings", None)
        entry["words"] = each.words
    (copy / "tournament.json").write_text(json.dumps(plain))
    return copy, plain


@pytest.mark.slow
def test_a_folder_of_words_holds_the_same_and_goes_on(whole, tmp_path, monkeypatch):
    play_here(monkeypatch)
    copy, _ = as_earlier(whole[0], tmp_path / "a" / "city" / "copy", 2)
    assert Tournament.open(copy).entries == Tournament.open(folder(whole[0])).entries
    for found in [*copy.glob("results/*q-learning-s1.npz"), copy / "report.json"]:
        found.unlink()
    shutil.rmtree(copy / "runs")
    assert cli.main(["compare", "--resume", str(copy)]) == 0
    assert told(tmp_path / "a") == told(whole[0])


def test_seeds_of_the_first_version_lie_apart(whole, tmp_path):
    copy, _ = as_earlier(whole[0], tmp_path / "copy", 1)
    tournament = Tournament.open(copy)
    assert {seed for number, seed in tournament.matches() if number == 2} == {0, 10_000}


@pytest.mark.parametrize(
    "words",
    [
        ["q-learning", "city", "--network", "trap:Net"],
        ["dqn", "city", "--agent.net.kind", "trap:Net"],
        ["q-learning", "city", "--help"],
        ["q-learning", "city", "--out", "elsewhere"],
        ["q-learning", "city", "--preset", "elsewhere.toml"],
        ["q-learning", "city", "--tyro-write-completion", "bash", "elsewhere"],
        ["q-learning", "city", "-h"],
        ["q-learning", "city", "stray"],
        ["-h", "city"],
        [],
    ],
)
def test_a_stranger_can_not_add_flags(words, whole, tmp_path, monkeypatch):
    copy, plain = as_earlier(whole[0], tmp_path / "copy", 2)
    monkeypatch.chdir(tmp_path)
    plain["entries"][2]["words"] = words
    (copy / "tournament.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError):
        Tournament.open(copy)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_a_damaged_result_is_refused(content, tmp_path):
    path = tmp_path / "result.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        Result.read(path)


def test_a_result_with_objects_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / "result.npz"
    np.savez(path, **{"measure.return": np.array([Trap()], object), "curve": 0, "steps": 0, "seconds": 0})
    with pytest.raises(ValueError, match="damaged"):
        Result.read(path)
    assert not (tmp_path / "sprung").exists()


def test_a_result_that_unpacks_to_more_than_it_is_is_refused_unread(tmp_path):
    path = tmp_path / "result.npz"
    rest = {"curve": np.zeros((1, 3)), "steps": 0, "seconds": 0, "finished": True}
    np.savez_compressed(path, **{"measure.return": np.zeros(1 << 22)}, **rest)
    with pytest.raises(ValueError, match="it unpacks to more than its own size"):
        Result.read(path)


def test_a_result_is_read_as_it_was_written(tmp_path):
    result = Result({"return": np.array([1.0, 2.0])}, np.ones((2, 3)), 5, 0.5, True, np.array([0.0, 1.0]))
    result.write(tmp_path / "result.npz")
    again = Result.read(tmp_path / "result.npz")
    assert (again.measures["return"] == result.measures["return"]).all() and (
        again.curve == result.curve
    ).all()
    assert again.bounds is not None and (again.bounds == result.bounds).all()
    assert (again.steps, again.seconds, again.finished) == (5, 0.5, True)
