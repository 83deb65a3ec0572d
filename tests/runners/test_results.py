"""Results: rows are trained again and come to the same, a stranger's run nothing, budgets are kept."""

import dataclasses
import importlib.util
import itertools
import json
import re
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import meze
import numpy as np
import pytest
from meze.agents.registry import find_agent
from meze.runners import cli
from meze.runners.reporting.statistics import interquartile_mean, interval
from meze.runners.results import job, plan
from meze.runners.results.again import verdicts
from meze.runners.results.job import OUTCOME, ask, outcome_of
from meze.runners.results.plan import LEAST, MOST, Results, pair_of
from meze.runners.results.rows import Evaluation, Outcome, Row, add_row, digest, read_rows
from meze.runners.results.tables import tables
from meze.runners.run.executor import STOPPED, Processes, Stopped
from meze.runners.setup import machine
from meze.runners.setup.files import write_json
from meze.runners.setup.resolve import find_environment
from meze.runners.setup.settings import override, to_plain
from meze.version import __version__
from run_files import play_here

SHORT_RUNS = {
    "q-learning": {"steps": 2048},
    "sarsa-lambda": {"steps": 2048},
    "dyna-q": {"steps": 512},
    "genetic": {"generations": 2},
    "clone": {"steps": 512},
    "dqn": {"steps": 2048},
    "pqn": {"steps": 2048},
    "sb3-a2c": {"steps": 512},
}


def pair(agent, **settings):
    """An agent in the corridor, with the settings of its preset but for some."""
    found = pair_of("presets", find_environment("corridor"), find_agent(agent))
    changed = override(found.config.settings, {"eval_episodes": 4, **SHORT_RUNS.get(agent, {}), **settings})
    return dataclasses.replace(found, config=dataclasses.replace(found.config, settings=changed))


def results(folder, pairs, minutes=10.0, episodes=6):
    return Results(folder / "rows.jsonl", folder / "work", pairs, episodes, time.time() + 60 * minutes)


def trained(folder, agent, seed=0):
    """The outcome of a run, in this process."""
    here = pair(agent)
    task = ask(folder, agent, here.with_seed(seed), 6, here.places)
    job.main(task.words, threading.Event())
    return outcome_of(folder)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A row of each of several kinds of agents, in a file."""
    folder = tmp_path_factory.mktemp("rows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "LEAST", 1)
        patch.setattr(plan, "MOST", 1)
        play_here(patch)
        made = results(folder, [pair(agent) for agent in SHORT_RUNS])
        made.run(Processes(1))
    assert not made.failures
    return folder / "rows.jsonl"


def test_rows_are_read_as_they_were_written(rows, tmp_path):
    found, again = read_rows(rows), tmp_path / "again.jsonl"
    assert {row.config.agent.name for row in found} == set(SHORT_RUNS)
    for each in found:
        add_row(again, each)
        again.write_text(again.read_text().removesuffix("\n"))  # as editors do
    assert again.read_text() + "\n" == rows.read_text()
    for row in found:
        assert row.outcome.cpu and row.outcome.versions["numpy"] and row.outcome.steps > 0
        [evaluation] = row.outcome.evaluations
        assert set(evaluation.yardsticks) == {"random", "expert"}
        assert row.is_exact == (row.config.agent.name in ("q-learning", "sarsa-lambda", "dyna-q"))


def test_rows_that_are_trained_again_come_to_the_same(rows, monkeypatch, capsys):
    play_here(monkeypatch)
    assert cli.main(["verify", str(rows), "--sample", "100", "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count(": the same") == len(SHORT_RUNS) and f"{len(SHORT_RUNS)} the same, 0 not" in said


@pytest.mark.slow
def test_rows_come_to_the_same_in_processes_of_their_own(tmp_path):
    found = pair_of("presets", find_environment("CartPole-v1"), find_agent("pqn"))
    short = override(found.config.settings, {"steps": 4096, "num_envs": 64, "eval_episodes": 4})
    config = dataclasses.replace(found.config, settings=short)
    made = results(tmp_path, [dataclasses.replace(found, config=config)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MOST", 1)
        patch.setattr(plan, "LEAST", 1)
        made.run(Processes(1))
    assert not made.failures
    [verdict] = verdicts(read_rows(tmp_path / "rows.jsonl"), Processes(1))
    assert verdict.same, verdict.words


def altered(rows, path, change):
    """A copy of the file whose first row somebody has changed."""
    lines = rows.read_text().splitlines()
    plain = json.loads(lines[0])
    change(plain)
    path.write_text("\n".join([json.dumps(plain)]) + "\n")
    return path


def evaluation(plain):
    return plain["evaluations"][0]


def in_platformer(plain, *places, **settings):
    """The run is another one, and is judged in other worlds, too."""
    plain["settings"]["env"] = {"id": "meze/Platformer-v0", "config": settings}
    plain["evaluations"] += [{**evaluation(plain), "env": place} for place in places]


def older(plain, **versions):
    plain.update(policy="", versions=plain["versions"] | versions)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plain: plain.update(policy=""), "differs in policy, though it promises the same bits"),
        (lambda plain: plain.update(policy=""), "with the same versions on any machine; its score was"),
        (lambda plain: plain.update(policy=""), "nothing else is different"),
        (lambda plain: evaluation(plain).update(digest=""), "differs in episodes, though"),
        (
            lambda plain: evaluation(plain)["measures"].update({"return": 9.0}),
            "what is told of the same episodes",
        ),
        (lambda plain: older(plain, numpy="1.0"), "and it promises the same bits with the same versions"),
        (lambda plain: older(plain, numpy="1.0"), "numpy 1.0 then, "),
        (lambda plain: plain.update(policy="", cpu="Abacus"), "though it promises"),
        (lambda plain: plain.update(policy="", cpu="Abacus"), "on Abacus then, "),
        (lambda plain: plain.update(policy="", commit="f" * 40 + "-dirty"), "commit ffffffffff-dirty then, "),
        (lambda plain: plain["settings"]["run"].update(seed=1), "differs in policy"),
        (lambda plain: plain.update(steps=1), "differs in policy"),
    ],
)
def test_what_differs_is_named(change, words, rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "1000")
    play_here(monkeypatch)
    assert cli.main(["verify", str(altered(rows, tmp_path / "altered.jsonl", change))]) == 1
    said = capsys.readouterr().out
    assert words in said and "0 the same, 1 not" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plain: plain.update(format=99), "it is from a newer version of meze"),
        (lambda plain: plain.update(format="1"), "it is no row of results"),
        (lambda plain: plain.pop("policy"), "outcome lacks the setting 'policy'"),
        (lambda plain: plain.pop("settings"), "it lacks settings"),
        (lambda plain: plain.update(settings=3), "cut short or altered"),
        (lambda plain: plain.update(charm=3), "outcome has an unknown setting 'charm'"),
        (lambda plain: plain.update(seconds=float("nan")), "a number that is not finite"),
        (lambda plain: evaluation(plain)["yardsticks"].update(random=float("inf")), "that is not finite"),
        (lambda plain: plain.update(episodes=0), "it has no evaluation"),
        (lambda plain: plain.update(episodes=10**9), "it has no evaluation"),
        (lambda plain: in_platformer(plain, level="/etc/passwd"), "is made of a file, '/etc/passwd'"),
        (lambda plain: in_platformer(plain, level="trap"), "is made of a file, 'trap'"),
        (lambda plain: in_platformer(plain, {"level": "trap.txt"}), "is made of a file, 'trap.txt'"),
        (lambda plain: plain.update(evaluations=[]), "it has no evaluation"),
        (lambda plain: evaluation(plain)["measures"].pop("return"), "an evaluation without a return"),
        (lambda plain: evaluation(plain).update(env={"size": [1]}), "which does not fit"),
        (lambda plain: plain["settings"]["agent"].update(name="sprung"), "unknown agent 'sprung'"),
        (lambda plain: plain["settings"]["env"].update(id="trap:toy/Corridor-v0"), "code of another package"),
        (
            lambda plain: plain["settings"].update(
                agent={"name": "dqn", "config": {"net": {"kind": "trap:Net"}}}
            ),
            "network trap:Net, code",
        ),
        (
            lambda plain: plain["settings"].update(
                agent={"name": "clone", "config": {}}, run={"steps": 512, "teacher": "/tmp"}
            ),
            "a teacher that is no reference",
        ),
        (
            lambda plain: plain["settings"].update(encoder={"name": "kmeans", "config": {}, "fit": {}}),
            "it has an encoder",
        ),
    ],
)
def test_a_strangers_row_is_refused_in_one_line_that_names_its_own(
    change, words, rows, tmp_path, monkeypatch, capsys
):
    (tmp_path / "trap.py").write_text("raise AssertionError('imported')")
    (tmp_path / "trap.txt").write_text("no level")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    file = altered(rows, tmp_path / "altered.jsonl", change)
    file.write_text(rows.read_text().splitlines()[1] + "\n" + file.read_text())
    assert cli.main(["verify", str(file)]) == 2
    said = capsys.readouterr().err
    assert "altered.jsonl, line 2: " in said and words in said and said.count("\n") == 1


def test_a_row_that_is_too_deep_is_refused_in_one_line(rows, tmp_path):
    line, deep = rows.read_text().splitlines()[0], tmp_path / "deep.jsonl"
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit()):
        deep.write_text(re.sub(r'"return":[^,}]*', '"return":' + "[" * depth + "]" * depth, line, count=1))
        with pytest.raises(ValueError, match="line 1 was cut short or altered|which does not fit"):
            read_rows(deep)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "usage: meze verify FILE"),
        (["nowhere.jsonl"], "nowhere.jsonl: No such file"),
        (["rows.jsonl", "--sample", "0"], "sample must be at least 1"),
        (["rows.jsonl", "--sample", "some"], "--sample must be an integer"),
        (["empty.jsonl"], "empty.jsonl has no row"),
        (["torn.jsonl"], "torn.jsonl, line 2 was cut short or altered"),
        (["deep.jsonl"], "deep.jsonl, line 1 was cut short or altered"),
        (["."], "Is a directory"),
    ],
)
def test_what_a_user_gets_wrong_is_told_in_one_line(args, words, rows, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = rows.read_text().splitlines()
    Path("rows.jsonl").write_text(rows.read_text())
    Path("empty.jsonl").write_text("")
    Path("torn.jsonl").write_text(f"{lines[0]}\n{lines[1][:200]}")
    Path("deep.jsonl").write_text("[" * 100_000)
    assert cli.main(["verify", *args]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


# --- Which runs, and how many -------------------------------------------------------------------------------


class Pretended:
    """An executor for which time flies: a run is done as soon as the clock says so, or saved.

    Args:
        patch: puts its clock in the place of the real one.
        seconds: beginnings of runs' names to what they take; None: they fail.
        jobs: runs side by side, which all begin when the one before has ended.
    """

    def __init__(self, patch, seconds, jobs=1):
        self.seconds, self.jobs, self.now = seconds, jobs, 1e9
        self.begun, self.left = [], {}
        patch.setattr(plan, "time", SimpleNamespace(time=lambda: self.now))

    @contextmanager
    def running(self, tasks):
        yield self._ended(iter(tasks))

    def _ended(self, tasks):
        under_way = []
        while True:
            under_way += itertools.islice(tasks, self.jobs - len(under_way))
            if not under_way:
                return
            task = under_way.pop(0)
            self.begun.append(task.name.partition(" ")[0])
            [seconds] = (each for name, each in self.seconds.items() if task.name.startswith(name))
            if seconds is None:
                yield task, "it is broken"
                continue
            here = min(self.left.setdefault(task.name, seconds), float(task.words[-1]) - self.now)
            self.left[task.name] -= here
            self.now += here
            if not self.left[task.name]:
                judged = Evaluation(
                    {}, "e", {"return": 1.0 + len(self.begun)}, {"random": 0.0, "expert": 10.0}
                )
                outcome = Outcome(1, seconds, "p", (judged,), "cpu", {}, None)
                write_json(task.log.parent / OUTCOME, to_plain(outcome))
            yield task, STOPPED if self.left[task.name] else ""


def counts(made):
    return [len(found) for _, found in made.rows()]


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_quick_runs_get_thirty_seeds_and_others_five(jobs, tmp_path, monkeypatch):
    pairs, seconds = (
        [pair(name) for name in ("q-learning", "dqn", "clone")],
        {"q-l": 1.0, "dqn": 60.0, "clone": None},
    )
    executor = Pretended(monkeypatch, seconds, jobs)
    made = Results(tmp_path / "rows.jsonl", tmp_path / "work", pairs, 6, executor.now + 1e6)
    made.run(executor)
    assert counts(made) == [MOST, LEAST, 0] == [30, 5, 0]
    assert list(made.failures.values())[0] == "it is broken"
    assert [row.config.settings.seed for row in made.rows()[0][1]] == list(range(30))
    assert len([name for name in executor.begun if name == "dqn"]) <= 5 + 2 * jobs  # saved twice, then known

    executor = Pretended(monkeypatch, seconds, jobs)  # of what is in the file nothing is trained again
    Results(tmp_path / "rows.jsonl", tmp_path / "work", pairs, 6, executor.now + 1e6).run(executor)
    assert set(executor.begun) == {"clone"}


def test_pairs_share_the_time(tmp_path, monkeypatch):
    pairs = [pair("dqn"), pair("pqn"), pair("q-learning"), pair("sarsa-lambda")]
    executor = Pretended(monkeypatch, {"dqn": 1e5, "pqn": 50.0, "q-l": 1.0, "sarsa": 12.0})
    made = Results(tmp_path / "rows.jsonl", tmp_path / "work", pairs, 6, executor.now + 400)
    made.run(executor)
    # the slow ones for 20 seconds each
    assert executor.begun[:4] == ["dqn", "pqn", "q-learning", "q-learning"]
    assert executor.begun.index("sarsa-lambda") == 2 + 4  # a fifth seed would be 5 s, times 5: more than 20
    assert counts(made) == [0, 2, 17, 4]  # up to 300 s, what a fourth try is for the slowest
    assert executor.begun.count("dqn") == 4  # for 20, 40, 80 seconds, and what was left
    assert executor.now == 1e9 + 400


def test_what_would_take_longer_than_is_left_is_not_begun(tmp_path, monkeypatch):
    executor = Pretended(monkeypatch, {"q-learning": 15.0})
    made = Results(tmp_path / "rows.jsonl", tmp_path / "work", [pair("q-learning")], 6, executor.now + 44)
    made.run(executor)
    assert counts(made) == [2] and executor.now == 1e9 + 30
    none = Results(tmp_path / "late.jsonl", tmp_path / "late", [pair("q-learning")], 6, executor.now)
    none.run(executor)
    assert counts(none) == [0]


def test_what_fails_after_its_time_has_failed(tmp_path, monkeypatch):
    executor = Pretended(monkeypatch, {"q-learning": None})
    until = executor.now + 400
    made = Results(tmp_path / "rows.jsonl", tmp_path / "work", [pair("q-learning")], 6, until)

    def late(tasks):
        for task in tasks:
            executor.now = float(task.words[-1]) + 1
            yield task, "it is broken"

    monkeypatch.setattr(executor, "_ended", late)
    made.run(executor)
    assert list(made.failures.values()) == ["it is broken"] and executor.now < until


def test_a_process_that_is_asked_to_stop_says_so(tmp_path):
    here = pair_of("defaults", find_environment("city"), find_agent("q-learning"))
    task = ask(tmp_path / "run", "q-learning", here.with_seed(0), 6, here.places)
    with Processes(1).running([dataclasses.replace(task, words=(*task.words, "0"))]) as ended:
        assert [reason for _, reason in ended] == [STOPPED]


def test_other_settings_are_another_pair(tmp_path, monkeypatch):
    executor = Pretended(monkeypatch, {"q-learning": 15.0})
    pairs = [pair("q-learning", steps=1024)]
    made = Results(tmp_path / "rows.jsonl", tmp_path / "work", pairs, 6, executor.now + 1e6)
    made.run(executor)
    for other in (pair("q-learning", steps=1025), pair("sarsa-lambda", steps=1024)):
        assert [len(found) for _, found in results(tmp_path, [other]).rows()] == [0]
    assert [len(found) for _, found in results(tmp_path, [pair("q-learning", steps=1024)]).rows()] == [5]
    assert [len(found) for _, found in results(tmp_path, made.pairs, episodes=7).rows()] == [0]


def test_a_damaged_file_stops_it_and_stays_as_it_is(rows, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(rows.read_text() + '{"format":1,')
    before = file.read_text()
    with pytest.raises(ValueError, match=f"rows.jsonl, line {len(SHORT_RUNS) + 1} was cut short or altered"):
        results(tmp_path, [pair("q-learning")])
    assert file.read_text() == before


@pytest.mark.parametrize("agent", ["q-learning", "dqn", "genetic", "clone"])
def test_what_was_stopped_comes_to_the_same(agent, tmp_path):
    whole = trained(tmp_path / "whole", agent)
    here, stop = pair(agent), threading.Event()
    stop.set()
    task = ask(tmp_path / "parts", agent, here.with_seed(0), 6, here.places)
    with pytest.raises(Stopped):
        job.main(task.words, stop)
    assert outcome_of(tmp_path / "parts") is None
    parts = trained(tmp_path / "parts", agent)
    assert (parts.policy, parts.evaluations, parts.steps) == (whole.policy, whole.evaluations, whole.steps)
    assert trained(tmp_path / "other", agent, seed=1).policy != whole.policy


def test_a_run_that_other_code_began_begins_anew(tmp_path, monkeypatch):
    stop = threading.Event()
    stop.set()
    here = pair("q-learning")
    task = ask(tmp_path / "a", "a", here.with_seed(0), 6, here.places)
    with pytest.raises(Stopped):
        job.main(task.words, stop)
    monkeypatch.setattr(job, "commit", lambda: "another")
    job.main(task.words, threading.Event())
    outcome = outcome_of(tmp_path / "a")
    assert outcome is not None and outcome.commit == "another" == trained(tmp_path / "b", "q-learning").commit
    assert outcome.policy == trained(tmp_path / "b", "q-learning").policy


def test_a_run_that_is_stopped_before_it_is_judged_is_judged_later(tmp_path, monkeypatch):
    here, stop, train = pair("q-learning"), threading.Event(), job._train
    task = ask(tmp_path / "a", "a", here.with_seed(0), 6, here.places)

    def trained_and_stopped(*args):
        found = train(*args)
        stop.set()
        return found

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(job, "_train", trained_and_stopped)
        job.main(task.words, stop)
    assert outcome_of(tmp_path / "a") is None
    job.main(task.words, threading.Event())
    outcome, other = outcome_of(tmp_path / "a"), trained(tmp_path / "b", "q-learning")
    assert outcome is not None and outcome.evaluations == other.evaluations


def test_a_clock_stops_a_run_and_saves_it(tmp_path):
    here = pair("q-learning", steps=10**9)
    task = ask(tmp_path / "a", "a", here.with_seed(0), 6, here.places)
    with pytest.raises(Stopped):
        job.main((*task.words, str(time.time() + 0.5)), threading.Event())
    assert list((tmp_path / "a").glob("runs/*/*/*/checkpoints/step-*"))


# --- Tables -------------------------------------------------------------------------------------------------


def row(table, config, seed, score, env=()):
    told = {"return": 10.0 * score, "success": 0.5}
    scores = tuple(Evaluation(dict(each), "e", told, {"random": 0.0, "expert": 10.0}) for each in ({}, *env))
    config = dataclasses.replace(config, settings=dataclasses.replace(config.settings, seed=seed))
    return Row(table, config, 6, Outcome(1, 2.0 + seed, "p", scores, "cpu", {}, None))


def test_tables_tell_mean_interval_worst_seed_seconds_and_number():
    one, other = pair("q-learning"), pair("dqn")
    several = [row("presets", one.config, k, 0.5 + 0.1 * k) for k in range(5)]
    text = "\n".join(tables([(one, several), (other, [row("presets", other.config, 0, 1.0)])]))
    assert "### `corridor`" in text and "| agent | score | worst | success | s | seeds | settings |" in text
    low, high = interval(interquartile_mean, np.array([[0.5 + 0.1 * k] for k in range(5)]))
    assert f"| `q-learning` | **0.70** ({low:.2f} to {high:.2f}) | 0.50 | 50.0 % | 4 | 5 | not told |" in text
    assert "| `dqn` | **1.00** | 1.00 | 50.0 % | 2 | 1 | not told |" in text
    assert "One setting" not in text and "The time was over" not in text
    assert "\n".join(tables([(one, [])])) == ""
    text = "\n".join(tables([(one, several), (other, [])]))
    assert text.endswith("The time was over before a run of `dqn`.")


def test_one_setting_over_all_worlds_is_told_of_who_is_in_all():
    def at(world, agent, scores):
        config = dataclasses.replace(pair(agent).config, environment=find_environment(world))
        where = dataclasses.replace(pair(agent), table="defaults", config=config)
        return where, [row("defaults", config, k, score) for k, score in enumerate(scores)]

    known = [
        at("corridor", "q-learning", [0.2] * 5),
        at("city", "q-learning", [0.8] * 6),
        at("city", "sarsa", [0.4, 0.6, 0.5, 0.5]),
        at("city", "dqn", [0.5]),
    ]
    text = "\n".join(tables(known))
    assert "| agent | `corridor` | `city` | all |" in text
    worlds = "**0.20** (0.20 to 0.20), 5 seeds | **0.80** (0.80 to 0.80), 6 seeds"
    assert f"| `q-learning` | {worlds} | **0.50** (0.50 to 0.50) |" in text
    assert "| `sarsa` | - | **0.50**, 4 seeds | - |" in text  # too few for an interval
    assert "| `dqn` | - | **0.50**, 1 seed | - |" in text


def test_other_places_have_a_table_of_their_own():
    one = dataclasses.replace(pair("q-learning"), places=({}, {"length": 9}))
    text = "\n".join(tables([(one, [row("presets", one.config, 0, 0.5, ({"length": 9},))])]))
    assert "| `corridor`, trained as above | 9 |" in text and "| `q-learning` | **0.50** |" in text


# --- The script ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    path = Path(meze.__file__).parent / "benchmarks" / "results_table.py"
    spec = importlib.util.spec_from_file_location("results_table", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_written_between_its_marks(script, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "LEAST", 2)
    monkeypatch.setattr(plan, "MOST", 2)
    play_here(monkeypatch)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{script.BEGIN}\nold table\n{script.END}\nafter\n")
    here = ["--rows", str(tmp_path / "r.jsonl"), "--work", str(tmp_path / "w"), "--page", str(page)]
    few = ["--envs", "corridor", "--agents", "q-learning", "--episodes", "6", "--budget", "5min"]
    assert script.main([*few, *here]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old table" not in text
    assert "### `corridor`" in text and "One setting over all worlds" in text
    found = read_rows(tmp_path / "r.jsonl")
    assert [(each.table, each.config.settings.seed) for each in found].count(("defaults", 1)) == 1
    steps = {(each.table, each.config.settings.steps) for each in found}
    assert steps == {("presets", 4096), ("defaults", 1_000_000)}  # of the corridor's file, and of nobody's
    assert sorted(each.name for each in (tmp_path / "w").iterdir()) == ["defaults.toml", "lock", "yardsticks"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--agents", "q-lerning"], "did you mean 'q-learning'"),
        (["--envs", "gymnasium:CartPole-v1"], "code of another package"),
        (["--episodes", "0"], "episodes must be from 1 to 100,000; got 0"),
        (["--page", "nope.md"], "nope.md"),
    ],
)
def test_nobody_trains_for_what_can_not_be_written(script, args, words, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(script.BEGIN + script.END)
    here = ["--rows", str(tmp_path / "r.jsonl"), "--work", str(tmp_path / "w"), "--page", str(page)]
    with pytest.raises((ValueError, OSError), match=re.escape(words)):
        script.main([*here, *args])
    assert page.read_text() == script.BEGIN + script.END and not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize("budget", ["60", "min", "-1min", "nanmin", "1e99min", "long"])
def test_a_budget_is_minutes(script, budget):
    with pytest.raises(ValueError, match="budget is a number of minutes, as in 60min; got"):
        script.minutes(budget)
    assert script.minutes("1.5min") == 1.5


def test_equal_values_have_equal_digests():
    one = {"a": np.arange(6.0).reshape(2, 3), "b": [1, 2]}
    assert digest(one) == digest({"b": [1, 2], "a": np.asfortranarray(one["a"])})
    others = [
        {**one, "a": one["a"].T.copy()},
        {**one, "a": one["a"].astype(np.float32)},
        {**one, "b": [2, 1]},
    ]
    assert len({digest(each) for each in (one, *others)}) == 4


def test_what_computes_is_told():
    found = machine.versions()
    assert found["meze"] == __version__ and found["numpy"] == np.__version__ and "torch" in found
    commit = machine.commit()
    assert commit is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", commit)
    assert machine.cpu()
