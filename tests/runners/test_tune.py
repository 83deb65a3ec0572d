"""Tuning: what is searched, that a killed study loses nothing, what is refused and what is told."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from meze.runners import cli
from meze.runners.run.start import read_request
from meze.runners.setup.seeds import CHOICE_SEED, EVALUATION_SEED, FRESH_SEED, RANGE, SEARCH_SEED, TUNING_SEED
from run_files import play_here
from study_files import SMALL, folder, tune

optuna = pytest.importorskip("optuna")

from meze.runners.tuning import findings, search, study, trial  # noqa: E402
from meze.runners.tuning.space import distributions  # noqa: E402
from meze.runners.tuning.storage import Journal, open_storage  # noqa: E402
from meze.runners.tuning.study import Aim, Claim, Study  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

PROGRAM = "import sys; from meze.runners.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A small study, not interrupted."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        play_here(patch)
        assert tune(out, "--trials", "8", "--seeds", "2") == 0
    return folder(out)


def test_a_study_ends_with_what_its_best_settings_are_worth(whole):
    report = json.loads((whole / "report.json").read_text())
    assert [each["number"] for each in report["trials"]] == list(range(8))
    complete = [each for each in report["trials"] if each["state"] == "complete"]
    assert report["base"] == 0 and len(complete) >= 2
    for each in complete:
        assert each["values"] == pytest.approx(np.mean(each["runs"], axis=0))
    best = max(complete, key=lambda each: (each["values"][0], -each["number"]))
    assert report["best"] == best["number"] and report["promised"] == best["values"]
    runs = report["fresh"]["runs"]
    assert [each["seed"] for each in runs] == [FRESH_SEED + k for k in range(10)]
    assert report["fresh"]["values"][0]["mean"] == pytest.approx(np.mean([each["value"][0] for each in runs]))
    page = (whole / "report.html").read_text()
    for said in ("What the best settings are worth", "promised", "Around the best", "Parallel coordinates"):
        assert said in page
    assert not list(whole.glob("trials/*/*/*/*/checkpoints")), "they would fill the disk"


def test_the_preset_file_gives_the_best_settings_again(whole):
    opened = Study.open(whole)
    best = opened.best
    asked = read_request(["q-learning", "corridor"], ["--preset", str(whole / "preset.toml")])
    config = opened.config_of(best.number, 0)
    assert asked.config.agent_config == config.agent_config and asked.config.env_config == config.env_config
    assert (asked.config.settings.steps, asked.config.settings.num_envs) == (2000, 8)
    text = (whole / "preset.toml").read_text()
    assert 'provenance.by = "search"' in text and "provenance.tuning-seeds = [1300000000, 1300000001]" in text
    assert cli.main(["train", "q-learning", "corridor", "--preset", str(whole / "preset.toml"), *SMALL,
                     "--out", str(whole / "again")]) == 0  # fmt: skip


@pytest.mark.parametrize("mode", ["index", "grid"])
def test_a_preset_says_what_is_observed(mode):
    from meze.runners.tuning.findings import preset_of

    config = read_request(["q-learning", "city"], ["--env.observation", mode]).config
    assert preset_of(config)["env.observation"] == mode


def test_a_trial_is_what_its_settings_give_alone(whole, tmp_path):
    opened = Study.open(whole)
    for each in opened.complete[-2:]:
        config = [opened.config_of(each.number, seed) for seed in opened.seeds]
        alone = []
        for k, one in enumerate(config):
            run, _ = trial.train(one, tmp_path / f"{each.number}-{k}", threading.Event())
            alone.append(trial.value_of(opened, trial._evaluated(run)))
        assert np.mean(alone, axis=0).tolist() == each.values


def test_a_score_is_the_mean_of_the_last_evaluations(whole):
    rows = [{"step": k, "eval_return": value} for k, value in enumerate([9.0, 1.0, 2.0, 6.0])]
    assert trial.value_of(Study.open(whole), rows) == [3.0]


def test_the_seeds_of_a_study_meet_no_others(whole):
    opened = Study.open(whole)
    assert len(opened.fresh_seeds) == 10
    assert all(SEARCH_SEED <= seed < SEARCH_SEED + RANGE for seed in opened.seeds)
    assert all(FRESH_SEED <= seed < FRESH_SEED + RANGE for seed in opened.fresh_seeds)
    for runs, seeds in (("trials/*", opened.seeds), ("fresh/*/runs", opened.fresh_seeds)):
        configs = whole.glob(f"{runs}/*/*/*/config.json")
        assert {json.loads(path.read_text())["run"]["seed"] for path in configs} == set(seeds)


def test_settings_are_chosen_and_judged_in_ranges_of_their_own(tmp_path, monkeypatch):
    from meze.runners.run import rollout

    played, evaluate = [], rollout.evaluate

    def noted(env, policy, seeds):
        played.append((env.unwrapped.world.config.split, seeds[0]))
        return evaluate(env, policy, seeds)

    monkeypatch.setattr(rollout, "evaluate", noted)
    play_here(monkeypatch)
    monkeypatch.setattr(study, "FRESH", 2)
    flags = ["--trials", "1", "--seeds", "2", "--env.pool-size", "2", "--eval-every", "2000"]
    assert tune(tmp_path, *flags, env="city") == 0
    assert played == [
        *[(TUNING_SEED, TUNING_SEED)] * 2,  # of the trial's runs
        *[(CHOICE_SEED, CHOICE_SEED), ("test", EVALUATION_SEED)] * 2,
    ]


def finished(path):
    """What became of each trial, by its number."""
    return {
        each.number: (each.state, each.values, each.params)
        for each in Study.open(path).trials
        if each.state.is_finished()
    }


@pytest.mark.slow
def test_a_study_that_is_killed_again_and_again_comes_to_the_same(tmp_path):
    flags = ["--trials", "8", "--seeds", "2", "--env.pool-size", "2"]
    with pytest.MonkeyPatch.context() as patch:
        play_here(patch)
        patch.setattr(study, "FRESH", 1)
        assert tune(tmp_path / "whole", *flags, env="city") == 0
    whole = finished(folder(tmp_path / "whole"))
    killed, rng, kills = tmp_path / "killed", random.Random(0), 0
    args = ["tune", "q-learning", "city", *SMALL, "--jobs", "1", "--out", str(killed), *flags]
    while kills < 10:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, *args], stdout=subprocess.DEVNULL)
        while not list(killed.glob("*/*/*/study.json")):
            assert process.poll() is None, "ended before there was a study"
            time.sleep(0.01)
        try:
            code = process.wait(timeout=rng.uniform(1.5, 5.0))
            raise AssertionError(f"ended with {code} before it was killed {kills + 1} times")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            kills += 1
        args = ["tune", "--resume", str(folder(killed)), "--jobs", "1"]
    assert cli.main(args) == 0
    assert finished(folder(killed)) == whole and len(whole) == 8
    assert all(state != TrialState.FAIL for state, _, _ in whole.values())


@pytest.mark.slow
def test_several_processes_share_a_study_and_ctrl_c_saves(tmp_path):
    args = ["tune", "q-learning", "city", *SMALL, "--jobs", "1", "--out", str(tmp_path)]
    args += ["--trials", "100", "--seeds", "1", "--env.pool-size", "2"]
    told = {"stdout": subprocess.PIPE, "text": True}
    first = subprocess.Popen([sys.executable, "-c", PROGRAM, *args], **told)
    try:
        while not list(tmp_path.glob("*/*/*/study.json")):
            assert first.poll() is None, "ended before there was a study"
            time.sleep(0.01)
        again = ["tune", "--resume", str(folder(tmp_path)), "--jobs", "1"]
        second = subprocess.Popen([sys.executable, "-c", PROGRAM, *again], **told)
        try:
            while len(finished(folder(tmp_path))) < 6:
                time.sleep(0.1)
            for process in (first, second):
                process.send_signal(signal.SIGINT)
            said = [process.communicate(timeout=100)[0] for process in (first, second)]
        finally:
            second.kill()
    finally:
        first.kill()
    assert first.returncode == second.returncode == 130
    assert all(f"meze tune --resume {folder(tmp_path)}" in each for each in said)
    done = [re.findall(r"trials: trial (\d+) ", each) for each in said]
    assert all(done) and not set(done[0]) & set(done[1]), "each trial is done by one"
    left = [each for each in Study.open(folder(tmp_path)).trials if not each.state.is_finished()]
    assert len(left) <= 2, "what was under way is done when it goes on"


@pytest.mark.parametrize(("minutes", "code"), [("1e-9", 1), ("60", 0)])
def test_minutes_end_the_search(minutes, code, tmp_path, monkeypatch, capsys):
    play_here(monkeypatch)
    monkeypatch.setattr(study, "FRESH", 1)
    assert tune(tmp_path, "--minutes", minutes, "--trials", "2", "--seeds", "1") == code
    assert len(Study.open(folder(tmp_path)).trials) == (0 if code else 2)
    said = capsys.readouterr()
    assert ("no trial came to its end" in said.err) == bool(code)


# --- Storage and claims ---------------------------------------------------------------------------------


def test_half_a_line_of_a_killed_process_is_cut_off(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append_logs([{"a": 1}, {"a": 2}])
    with open(path, "ab") as file:
        file.write(b'{"a": 3')
    assert list(journal.read_logs(0)) == [{"a": 1}, {"a": 2}]
    journal.append_logs([{"a": 4}])
    assert list(journal.read_logs(2)) == [{"a": 4}] == list(Journal(path).read_logs(2))
    assert path.read_bytes().count(b"\n") == 3


def test_optuna_unpickles_nothing_of_a_journal():
    from optuna.storages.journal._base import BaseJournalSnapshot

    assert not issubclass(Journal, BaseJournalSnapshot)


@pytest.mark.parametrize(
    "line", [b"nonsense", b"[1]", b'{"op_code": 77}', b'{"op_code": 4}', b'{"op_code": 0, "directions": [9]}']
)
def test_a_damaged_journal_is_told_in_one_line_and_kept(line, whole, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "study.json").write_bytes((whole / "study.json").read_bytes())
    data = (whole / "journal.jsonl").read_bytes() + line + b"\n"
    (copy / "journal.jsonl").write_bytes(data)
    with pytest.raises(ValueError, match="journal.jsonl is damaged"):
        open_storage(copy / "journal.jsonl")
    assert cli.main(["tune", "--resume", str(copy)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "journal.jsonl is damaged" in said
    assert (copy / "journal.jsonl").read_bytes() == data


def test_a_study_whose_journal_is_cut_short_comes_to_the_same(whole, tmp_path, monkeypatch):
    play_here(monkeypatch)
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    lines = (whole / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    assert cli.main(["tune", "--resume", str(copy)]) == 0
    ended = [
        [{**each, "seconds": None} for each in json.loads((path / "report.json").read_text())["trials"]]
        for path in (whole, copy)
    ]
    assert ended[0] == ended[1]


def with_another_trial(whole, copy, **changes):
    """A study's folder with one more trial, which is the last one but for some changes."""
    shutil.copytree(whole, copy)
    lines = [json.loads(line) for line in (copy / "journal.jsonl").read_text().splitlines()]
    made = next(each for each in lines if each["op_code"] == 4)
    ended = next(each for each in lines if each["op_code"] == 6)
    times = {"datetime_start": made["datetime_start"], "datetime_complete": ended["datetime_complete"]}
    more = {**made, "state": 1, "values": [1.0], **times, "user_attrs": {}, **changes}
    more = {name: value for name, value in more.items() if value != "gone"}
    with open(copy / "journal.jsonl", "a") as file:
        file.write(json.dumps(more) + "\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {}, "distributions": {}},
        {"values": [1.0, 2.0], "value": None},
        {"values": [float("inf")]},
        {"values": [1.0], "user_attrs": {"runs": [[10**400], [1.0]]}},
        {"datetime_complete": "gone"},
        {"datetime_start": "gone"},
    ],
)
def test_a_strangers_trial_that_can_not_be_is_told_in_one_line(changes, whole, tmp_path, capsys):
    with_another_trial(whole, tmp_path / "copy", **changes)
    assert cli.main(["tune", "--resume", str(tmp_path / "copy")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "is damaged" in said


def test_what_a_stranger_notes_of_a_trial_is_told_harmlessly(whole, tmp_path, capsys, monkeypatch):
    play_here(monkeypatch)
    notes = {"reason": "\x1b[2Jgone", "seconds": 10**400}
    with_another_trial(whole, tmp_path / "copy", state=3, values=None, user_attrs=notes)
    assert cli.main(["tune", "--resume", str(tmp_path / "copy"), "--trials", "9"]) == 0
    said = capsys.readouterr().out
    assert "x1b[2Jgone" in said and "\x1b" not in said
    assert "Infinity" not in (tmp_path / "copy" / "report.json").read_text()


def test_a_locked_storage_is_told_in_one_line(whole, monkeypatch, capsys):
    monkeypatch.setattr("meze.runners.setup.files.PATIENCE", 0.1)
    before = (whole / "journal.jsonl").read_bytes()
    for name in ("asking.lock", "journal.lock"):
        with FileLock(whole / name):
            assert cli.main(["tune", "--resume", str(whole), "--trials", "9", "--jobs", "1"]) == 2
        (said,) = capsys.readouterr().err.splitlines()
        assert f"{name} is locked by another process" in said
    assert (whole / "journal.jsonl").read_bytes() == before
    assert cli.main(["tune", "--resume", str(whole), "--trials", "8", "--jobs", "1"]) == 0


def test_a_claim_is_free_when_its_owner_is_gone(tmp_path, monkeypatch):
    own = Claim.take(tmp_path)
    assert own is not None and Claim.take(tmp_path) is None
    own.release()
    again = Claim.take(tmp_path)
    assert again is not None
    again.release()
    # On another machine, whose locks nobody here knows of, somebody has it who lives, and then is silent.
    (tmp_path / "claim").write_text("elsewhere")
    assert Claim.take(tmp_path) is None
    monkeypatch.setattr(study, "SILENCE", -1.0)
    taken = Claim.take(tmp_path)
    assert taken is not None
    taken.release()


def test_a_trial_whose_owner_died_is_run_again_with_the_same_settings(whole, tmp_path, monkeypatch):
    opened = Study.open(whole)
    copy = Study(tmp_path, opened.config, opened.space, Aim(trials=2, seeds=2))
    copy.create()
    number = copy.ask()
    params = copy.trials[number].params
    assert params == opened.trials[0].params
    piece = search._next_trial(copy)
    assert piece.key == number and copy.trials[number].params == params
    other = search._next_trial(copy)  # while the first is under way
    assert other.key == 1 and search._next_trial(copy) is None
    for each in (piece, other):
        each.claim.release()


@pytest.mark.parametrize("name", ["trials/0008", "trials", "fresh", "asking.lock", "fresh/0000"])
def test_nothing_is_written_through_a_link(name, whole, tmp_path):
    copy, mine = tmp_path / "copy", tmp_path / "mine"
    shutil.copytree(whole, copy)
    kept = mine / "city" / "dqn" / "1" / "checkpoints" / "1.npz"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    link = copy / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(kept if link.suffix else mine)
    with pytest.raises(ValueError, match="is a link"):
        Study.open(copy)
        Claim.take(link if name == "trials/0008" else link / "1400000000")
    assert kept.read_text() == "mine" and len(list(mine.rglob("*"))) == 5


def test_a_link_inside_of_a_trial_is_refused(whole, tmp_path):
    opened = Study.open(whole)
    out, mine = tmp_path / "out", tmp_path / "mine"
    out.mkdir()
    mine.mkdir()
    (out / "corridor").symlink_to(mine)
    with pytest.raises(ValueError, match="is a link"):
        trial.train(opened.config_of(0, opened.seeds[0]), out, threading.Event())
    assert not list(mine.iterdir())


class Ended:
    """An executor whose tasks all end for the same reason.

    Args:
        reason: why; None: Ctrl-C comes as soon as one is begun.
    """

    def __init__(self, reason):
        self.reason, self.begun = reason, []

    @contextmanager
    def running(self, tasks):
        yield self._ended(tasks)

    def _ended(self, tasks):
        for task in tasks:
            self.begun.append(task.name)
            if self.reason is None:
                raise KeyboardInterrupt
            yield task, self.reason


def small_study(whole, path, trials):
    opened = Study.open(whole)
    made = Study(path, opened.config, opened.space, Aim(trials=trials, seeds=1))
    made.create()
    return made


@pytest.mark.parametrize(("reason", "times"), [("killed by signal 9", 2), ("it is broken", 1)])
def test_a_trial_that_the_system_kills_is_run_once_more(reason, times, whole, tmp_path):
    made, executor = small_study(whole, tmp_path, 2), Ended(reason)
    search.run_trials(made, executor)
    assert sorted(executor.begun) == sorted(["trial 0", "trial 1"] * times)
    for each in made.trials:
        assert each.state == TrialState.FAIL and each.user_attrs["reason"] == reason


def test_after_ctrl_c_others_may_go_on_at_once(whole, tmp_path):
    made = small_study(whole, tmp_path, 2)
    with pytest.raises(KeyboardInterrupt):
        search.run_trials(made, Ended(None))
    own = Claim.take(tmp_path / "trials" / "0000")
    assert own is not None
    own.release()


def test_who_waits_for_others_says_so_once(whole, tmp_path, monkeypatch, capsys):
    made = small_study(whole, tmp_path, 1)
    piece, looks = search._next_trial(made), []
    assert piece is not None

    def later(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            made.tell(0, TrialState.FAIL)

    monkeypatch.setattr(search, "time", SimpleNamespace(sleep=later, monotonic=time.monotonic))
    search.run_trials(made, Ended(""))
    piece.claim.release()
    assert len(looks) == 3 and capsys.readouterr().out.count("waiting for what others do") == 1


def test_help_of_a_study_that_goes_on_lists_its_flags(whole, capsys):
    assert cli.main(["tune", "--resume", str(whole), "--help"]) == 0
    assert "--trials" in capsys.readouterr().out


def test_a_study_of_another_agent_is_refused(whole, tmp_path, capsys):
    assert cli.main(["tune", "sarsa", "corridor", "--resume", str(whole)]) == 2
    assert "is a study of q-learning, not of sarsa" in capsys.readouterr().err
    copy = tmp_path / "copy"
    copy.mkdir()
    plain = json.loads((whole / "study.json").read_text())
    plain["settings"]["agent"] = {"name": "clone", "config": {"classifier": "tree"}}
    (copy / "study.json").write_text(json.dumps(plain))
    assert cli.main(["tune", "--resume", str(copy)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_study_can_be_longer(whole, tmp_path, monkeypatch):
    play_here(monkeypatch)
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)
    assert cli.main(["tune", "--resume", str(copy), "--trials", "9"]) == 0
    assert len(Study.open(copy).trials) == 9 == Study.open(copy).aim.trials
    before, after = finished(whole), finished(copy)
    assert {number: after[number] for number in before} == before


# --- What is judged ---------------------------------------------------------------------------------------


def of_curves(made, *curves):
    """Takes the evaluations of a new trial's runs; returns whether it was given up on the way."""
    number, runs = made.ask(), []
    for k, curve in enumerate(curves):
        for n, score in enumerate(curve, 1):
            step = made.step(k, n * made.every)
            if made.report(number, step, made.aim.sign * score, runs):
                made.tell(number, TrialState.PRUNED)
                return True
        runs.append([float(np.mean(curve[-trial.LAST :]))])
    made.note(number, runs=runs)
    made.tell(number, TrialState.COMPLETE, np.mean(runs, axis=0).tolist())
    return False


@pytest.mark.parametrize("aim", [Aim(seeds=2), Aim(seeds=2, objective="time-to-score", score=0.2)])
def test_a_trial_whose_runs_are_worth_more_is_not_given_up(aim, whole, tmp_path):
    made = replace(small_study(whole, tmp_path, 9), aim=aim, path=tmp_path / "own")
    made.create()
    flat, late, poor = 10 * [10.0], [0, 0, 0, 0, 0, 0, 5, 12, 14, 15], 10 * [9.0]
    signed = [[aim.sign * each for each in curve] for curve in (flat, late, poor)]
    assert not of_curves(made, signed[0], signed[0])
    assert of_curves(made, signed[2], signed[2])
    assert not of_curves(made, signed[1], signed[1]), "it learns late, and ends with more"
    assert Study.open(made.path).best.number == 2


def test_what_matters_is_what_the_better_trials_have_in_common(whole, tmp_path):
    aim = Aim(trials=40, seeds=1, objective="score-and-harm", sampler="random")
    made = replace(small_study(whole, tmp_path, 40), aim=aim, path=tmp_path / "own")
    made.create()
    mark = distributions(made.space)["learning-rate.start"]
    for _ in range(aim.trials):
        number = made.ask()
        params = made.trials[number].params
        there = params["learning-rate.start"] > mark.low**0.3 * mark.high**0.7
        value = [1.0 + 0.001 * number if there else params["exploration.end"], 0.0]
        made.note(number, runs=[value])
        made.tell(number, TrialState.COMPLETE, value)
    found = findings.importance(made)
    assert max(found, key=found.get) == "learning-rate.start" and found["learning-rate.start"] > 0.5
