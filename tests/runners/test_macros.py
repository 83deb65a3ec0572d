"""Runs with macro-actions: found, kept with the run, honoured by all commands, or refused."""

import json

import numpy as np
import pytest
from meze.agents.registry import NoSettings, find_agent
from meze.runners import cli
from meze.runners.run.folder import load
from meze.runners.run.macros import check_takes_macros
from meze.runners.run.mining import episodes_of
from meze.runners.setup.resolve import find_environment, world_class
from meze.runners.show.sources import WatchSettings, find_source, make_viewer
from run_files import assert_same_end, kill_and_resume, only_run, play_here, rows

SHORT = ["--steps", "3000", "--num-envs", "16", "--eval-episodes", "16"]
CORRIDOR = ["q-learning", "corridor", *SHORT, "--macros", "2"]


def trained(tmp_path, *args):
    assert cli.main(["train", *args, "--out", str(tmp_path)]) == 0
    return only_run(tmp_path)


def refused(capsys, *args):
    """What is said in one line."""
    capsys.readouterr()
    assert cli.main([*map(str, args)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said
    return said


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs"), *CORRIDOR)


def test_episodes_are_told_apart():
    action, ended = np.array([[1, 5], [2, 6], [3, 7]]), np.array([[0, 0], [1, 0], [0, 0]], bool)
    assert episodes_of(action, ended) == [[1, 2], [3], [5, 6, 7]]


def test_a_run_keeps_what_the_expert_repeats(run):
    kept = json.loads((run / "macros.json").read_text())
    assert kept["env"] == "toy/Corridor-v0" and kept["num_actions"] == 3
    assert kept["sequences"] == [[2, 2, 2, 2], [2, 2]]  # the expert of a corridor goes right
    told = json.loads((run / "config.json").read_text())["macros"]
    assert told == {"number": 2, "source": "expert", "longest": 4}
    steps = [int(row["step"]) for row in rows(run)]
    assert 3000 <= steps[-1] < 3000 + 16 * 4  # counted in steps of the world


def test_a_run_with_macros_is_evaluated_compared_watched_and_loaded_like_any_other(
    run, tmp_path, capsys, monkeypatch
):
    play_here(monkeypatch)
    own = json.loads((run / "evaluation.json").read_text())["scores"]["q-learning"]
    capsys.readouterr()
    assert cli.main(["evaluate", "corridor", str(run), "--episodes", "16", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["scores"].values()
    assert found == own
    out = ["--agents", f"{run},random", "--episodes", "16", "--out", str(tmp_path / "compared")]
    assert cli.main(["compare", "corridor", *out]) == 0
    assert cli.main(["watch", str(run), "--steps", "5", "--record", str(tmp_path / "a.gif")]) == 0
    policy, env = load(run, num_envs=3)
    obs, _ = env.reset(seed=0)
    action, memory, *_ = policy.act(obs)
    assert env.action_space.contains(action) and len(policy.carries_out(memory)) == 3


def test_watching_tells_which_one_runs_and_its_step(run):
    source = find_source([str(run)])
    env, show, viewer = make_viewer(source, source.env_config, WatchSettings(seed=3))
    learner = show._policy._policy
    learner.q[:] = 0.0
    learner.q[:, 3] = 1.0  # the first sequence is what it likes best
    told = [viewer._lines(show.moment, 0)["macro"]]
    for _ in range(2):
        show.forward()
        told.append(viewer._lines(show.moment, 0)["macro"])
    env.close()
    assert told == ["-", "1, step 1 of 4", "1, step 2 of 4"]


def test_sequences_can_be_those_of_a_run_or_drawn(run, tmp_path):
    flags = ["q-learning", "corridor", *SHORT, "--macros", "3"]
    theirs = trained(tmp_path / "a", *flags, "--macros.source", str(run))
    kept = json.loads((theirs / "macros.json").read_text())["sequences"]
    assert 1 <= len(kept) <= 3 and all(2 <= len(each) <= 4 for each in kept)
    lot = ["--macros.source", "random", "--macros.longest", "2", "--seed"]
    one, same, other = (
        json.loads((trained(tmp_path / n, *flags, *lot, seed) / "macros.json").read_text())["sequences"]
        for n, seed in (("b", "1"), ("c", "1"), ("d", "2"))
    )
    assert one == same != other and {len(each) for each in one} == {2}


def test_a_run_with_macros_goes_on_as_if_it_had_never_stopped(tmp_path):
    long = [*CORRIDOR, "--steps", "60_000", "--checkpoint-every", "600", "--eval-every", "6_000"]
    run, killed = trained(tmp_path / "whole", *long), tmp_path / "killed"
    other, checkpoints = kill_and_resume(["train", *long, "--out", str(killed)], killed, (2, 9))
    assert checkpoints < 90
    assert cli.main(["train", "--resume", str(other)]) == 0
    assert_same_end(run, other)


def test_no_macros_is_the_plain_run(tmp_path):
    plain = trained(tmp_path / "a", *CORRIDOR[:-2])
    none = trained(tmp_path / "b", *CORRIDOR[:-1], "0")
    assert_same_end(plain, none)
    for each in (plain, none):
        assert "macros" not in json.loads((each / "config.json").read_text())
        assert not (each / "macros.json").exists()


def copied(run, tmp_path, **changes):
    """The same run with other sequences in its file."""
    other = tmp_path / "copied"
    for path in (each for each in run.rglob("*") if each.is_file()):
        target = other / path.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    plain = json.loads((run / "macros.json").read_text()) | changes
    (other / "macros.json").write_text(json.dumps(plain))
    return other


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"env": "meze/City-v0"}, "has macro-actions of meze/City-v0, not of toy/Corridor-v0"),
        ({"sequences": [[2, 9], [2, 2]]}, "holds 9, and there are 3 actions"),
        ({"sequences": [[2, 2], "2"]}, "does not fit"),
        ({"sequences": [[2, 2], []]}, "of 1 to 100 actions each"),
        ({"sequences": [[0, 1]]}, "does not fit the run's learner"),
        ({"num_actions": 5}, "of 5 actions, not of Discrete(3)"),
        ({"num_actions": 1 << 70}, "does not fit"),
        ({"format": 2}, "newer version"),
        ({"more": 1}, "cut short or altered"),
    ],
)
def test_files_that_were_altered_or_are_of_another_world_are_refused(run, tmp_path, capsys, changes, words):
    other = copied(run, tmp_path, **changes)
    assert words in refused(capsys, "evaluate", "corridor", other, "--episodes", "4")
    assert words in refused(capsys, "train", "--resume", other)


def test_a_file_that_is_gone_or_no_json_is_refused(run, tmp_path, capsys):
    other = copied(run, tmp_path)
    (other / "macros.json").write_text('{"format": 1, "sequ')
    assert "macros.json" in refused(capsys, "evaluate", "corridor", other)
    (other / "macros.json").unlink()
    assert "macros.json" in refused(capsys, "evaluate", "corridor", other)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["genetic", "corridor"], "genetic discounts each decision alike, so it takes no macros"),
        (["clone", "city"], "clone discounts each decision alike, so it takes no macros"),
        (["sb3-dqn", "corridor"], "sb3-dqn discounts each decision alike, so it takes no macros"),
        (["q-learning", "FrozenLake-v1"], "FrozenLake-v1 takes no macros: they need a world of meze's"),
        (["q-learning", "city", "--macros.source", "nobody"], "unknown agent or run 'nobody'"),
        (["q-learning", "city", "--macros.longest", "1"], "longest must lie in 2 .. 100"),
        (["q-learning", "maze", "--curriculum", "plr"], "plr goes by the errors of single steps"),
        (["ppo", "Pendulum-v1"], "Pendulum-v1 takes no macros"),
    ],
)
def test_who_can_not_take_them_says_so(args, words, tmp_path, capsys):
    said = refused(capsys, "train", *args, *SHORT[2:], "--macros", "2", "--out", tmp_path)
    assert words in said
    assert not list(tmp_path.iterdir())


def test_a_learner_without_gamma_takes_none():
    with pytest.raises(ValueError, match="has no setting gamma, by which rewards within a decision are"):
        check_takes_macros(find_agent("q-learning"), NoSettings())


@pytest.mark.parametrize("flag", [["--macros.source", "random"], ["--macros.longest=3"]])
def test_settings_of_macros_without_a_number_are_refused(flag, tmp_path, capsys):
    said = refused(capsys, "train", *CORRIDOR[:-2], *flag, "--out", tmp_path)
    assert f"{flag[0].partition('=')[0]} needs a number" in said and not list(tmp_path.iterdir())


def test_where_nobody_can_be_recorded_the_flag_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(world_class(find_environment("corridor")), "references", lambda self: {})
    said = refused(capsys, "train", *CORRIDOR, "--out", tmp_path)
    assert "no reference to learn from; --macros.source names a run, or random" in said


def test_sequences_of_a_run_in_another_world_are_refused(run, tmp_path, capsys):
    flags = ["--macros", "2", "--macros.source", run, "--out", tmp_path]
    said = refused(capsys, "train", "q-learning", "city", *flags)
    assert "is on toy/Corridor-v0, not on meze/City-v0" in said and not list(tmp_path.iterdir())


def test_what_can_not_hold_sequences_takes_none(run, tmp_path, capsys):
    said = refused(capsys, "tune", "q-learning", "corridor", "--macros", "2", "--out", tmp_path)
    assert "takes no --macros" in said
    said = refused(capsys, "export", run, "--to", "onnx", "--out", tmp_path / "a.onnx")
    assert "which macro-action is under way" in said or "needs" in said


def test_the_words_of_a_run_with_macros_ask_for_the_same():
    from meze.runners.run.start import read_request, words

    config = read_request(["q-learning", "city"], ["--macros", "8", "--macros.longest", "3"]).config
    said = words(config)
    assert said[2:] == ["--macros.number", "8", "--macros.longest", "3"]
    assert read_request(said[:2], said[2:]).config == config
