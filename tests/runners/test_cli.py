"""The command line: what users see, and what bad input leads to."""

import json
import sys

import gymnasium
import numpy as np
import pytest
from meze.runners import bench, cli
from meze.runners.listing import listed, offered
from meze.runners.reporting.measures import Episodes
from meze.runners.reporting.scores import print_table, score
from meze.runners.reporting.statistics import statistics
from meze.runners.run import rollout
from meze.runners.setup.presets import default_env_config
from meze.runners.setup.resolve import find_environment, make_vector
from meze.runners.setup.seeds import EVALUATION_SEED
from meze.runners.setup.text import printable


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian", "did you mean 'train'?"),
        ("train", "usage"),
        ("train q-lerning corridor", "did you mean 'q-learning'?"),
        ("train q-learning corridr", "did you mean 'corridor'?"),
        ("train q-learning taxi-v4", "did you mean 'Taxi-v4'?"),
        ("train random corridor", "random does not learn"),
        ("train q-learning CartPole-v1", "needs Discrete observations"),
        ("train q-learning corridor --env.observation strip", "needs Discrete observations"),
        ("train q-learning corridor --stpes 3", "did you mean --steps?"),
        ("train q-learning corridor --agent.gamma 2", "error: gamma must lie in [0, 1]"),
        ("train q-learning corridor --agent.exploration.strat 1", "did you mean --agent.exploration.start?"),
        ("train q-learning corridor --env.slip 9999", "error: slip is 0 to 1024"),
        ("train corridor q-learning", "corridor is an environment, where an agent should stand"),
        ("evaluate random corridor", "random is an agent, where an environment should stand"),
        ("train q-learning corridor --steps none", "--steps must be an integer; got 'none'"),
        ("train q-learning corridor --agent.gamma x", "--agent.gamma must be a number; got 'x'"),
        ("train q-learning corridor --steps", "--steps needs a value"),
        ("train q-learning corridor --out /dev/null/runs", ": Not a directory"),
        ("train q-learning corridor --steps 0", "steps must be at least 1"),
        (f"train q-learning corridor --seed {EVALUATION_SEED}", "seed must lie in"),
        ("train --resume", "--resume needs"),
        ("train --resume nowhere", "not a run folder"),
        ("evaluate corridor", "usage"),
        ("evaluate corridor exprt", "did you mean 'expert'?"),
        ("evaluate corridor sarsa", "has to be trained first"),
        ("evaluate corridor ga", "ga has to be trained first"),
        ("evaluate corridor random expert random", "random is named twice"),
        ("evaluate Taxi-v4 expert", "unknown agent or run 'expert'"),
        ("evaluate Blackjack-v1 exprt", "Blackjack-v1 has no references"),
        ("evaluate no.such.module:Id random", "can't import 'no.such.module'"),
        ("evaluate corridor random --episodes 0", "episodes must be at least 1"),
        ("watch nowhere", "no run or replay nowhere"),
        ("watch random corridor --record out.txt", "record writes"),
        ("watch random corridor --record no/such/folder/out.gif", "No such file"),
        ("play Pendulum-v1", "Discrete actions"),
        ("bench Taxi-v4", "not one of the project's worlds"),
        ("envs nowhere", "unknown environment"),
    ],
)
def test_bad_input_is_one_line_and_code_2(line, words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr()
    assert said.err.startswith("meze: error: ") and said.err.count("\n") == 1
    assert words in said.err
    assert not list(tmp_path.iterdir())  # no folder of a run that never began


COMMANDS = ("", "train", "evaluate", "watch", "play", "collect", "features", "bench", "envs", "new-world")
IN_FULL = ("train sarsa city", "evaluate city random", "watch random city", "play city", "bench city")


@pytest.mark.parametrize("command", [*COMMANDS, *IN_FULL])
def test_help_fits_the_terminal(command, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert f"usage: meze {command}".rstrip() in said
    assert max(map(len, said.splitlines())) <= 80


def test_help_shows_settings_with_docstrings_and_presets(capsys) -> None:
    assert cli.main(["train", "q-learning", "corridor", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--agent.gamma FLOAT Discount factor, from 0 to 1. (default: 0.9)" in said
    assert "--env.slip INT Chance in 1/1024 that a move fails. (default: 256)" in said
    assert "(default: 4096)" in said


def test_evaluate_prints_json(capsys) -> None:
    args = ["evaluate", "corridor", "random", "expert", "--episodes", "20", "--json"]
    assert cli.main(args) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["seeds"] == [EVALUATION_SEED, EVALUATION_SEED + 19]
    expert = said["scores"]["expert"]["return"]
    low, high = expert["mean_95"]
    assert low <= expert["mean"] <= high and expert["mean"] > said["scores"]["random"]["return"]["mean"]


def test_flags_of_the_environment_reach_it(capsys) -> None:
    args = ["evaluate", "corridor", "expert", "--episodes", "8", "--json", "--env.slip", "1024"]
    assert cli.main(args) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["expert"]["length"]["mean"] == 40  # it never moves


def test_an_environment_of_another_package(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "elsewhere_envs.py").write_text(
        "import gymnasium\n"
        "if 'Elsewhere-v0' not in gymnasium.registry:\n"
        "    gymnasium.register('Elsewhere-v0', 'gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv',\n"
        "                       max_episode_steps=20)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    args = ["--steps", "200", "--num-envs", "4", "--eval-episodes", "4", "--out", str(tmp_path / "runs")]
    assert cli.main(["train", "q-learning", "elsewhere_envs:Elsewhere-v0", *args]) == 0
    (run,) = (tmp_path / "runs").glob("*/*/*")
    assert run.parts[-3] == "Elsewhere-v0"
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run)]) == 2  # a file must not say what to import
    assert "name it on the command line" in capsys.readouterr().err
    assert cli.main(["train", "q-learning", "elsewhere_envs:Elsewhere-v0", "--resume", str(run)]) == 0
    assert cli.main(["evaluate", "elsewhere_envs:Elsewhere-v0", str(run), "random", "--episodes", "4"]) == 0
    del sys.modules["elsewhere_envs"]


def test_every_environment_without_a_limit_gets_one() -> None:
    cliff = find_environment("CliffWalking-v1")
    assert gymnasium.spec("CliffWalking-v1").max_episode_steps is None
    env = make_vector(cliff, default_env_config(cliff), 1, gymnasium.vector.AutoresetMode.DISABLED)
    env.reset(seed=0)
    for step in range(1, 1001):
        truncated = env.step(np.array([0]))[3]
        assert truncated[0] == (step == 1000)


def test_the_listing(capsys) -> None:
    assert cli.main(["envs", "corridor", "CartPole-v1", "--json"]) == 0
    rows = {(row["name"], row["mode"]): row for row in json.loads(capsys.readouterr().out)["environments"]}
    assert {"q-learning", "random", "expert"} <= set(rows["corridor", "index"]["agents"])
    assert "q-learning" not in rows["corridor", "strip"]["agents"]
    assert "q-learning" not in rows["CartPole-v1", None]["agents"]
    assert cli.main(["envs"]) == 0
    said = capsys.readouterr().out
    assert "city, index: Discrete" in said and "Taxi-v4" in said


def test_what_is_offered_is_what_trains() -> None:
    names = {
        env: {spec.name for spec in offered(find_environment(env))} for env in ("corridor", "CartPole-v1")
    }
    assert {"q-learning", "pqn", "genetic"} <= names["corridor"] and "random" not in names["corridor"]
    assert "pqn" in names["CartPole-v1"] and "q-learning" not in names["CartPole-v1"]
    assert "clone" in names["corridor"] and "clone" not in names["CartPole-v1"]  # which has no teacher
    assert {"city", "CartPole-v1"} <= set(listed())


def test_bench(capsys, monkeypatch) -> None:
    monkeypatch.setattr(bench, "STEPS_A_RUN", 800)
    monkeypatch.setattr(bench, "SECONDS_A_RUN", 0.02)
    args = ["bench", "corridor", "--runs", "1", "--num-envs", "1", "8", "--num-threads", "1", "--json"]
    assert cli.main(args) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["settings"] == {"toy/Corridor-v0": {"slip": 100}}
    rows = said["rows"]
    found = {(row["what"], row["actions"], row["num_envs"]) for row in rows}
    assert {("corridor, strip", "expert", 8), ("corridor, index", "random", 1)} <= found
    assert {row["what"] for row in rows} >= {"gymnasium.make('Taxi-v4')", "gymnasium CartPole-v1, vector"}
    assert all(row["steps_per_second"] > 0 for row in rows)


def test_bench_says_what_it_measures(capsys, monkeypatch) -> None:
    monkeypatch.setattr(bench, "bench_world", lambda *_: iter(()))
    monkeypatch.setattr(bench, "bench_learner", lambda *_: iter(()))
    monkeypatch.setattr(bench, "bench_gymnasium", lambda *_: iter(()))
    for flags, said in (
        ([], "toy/Corridor-v0: slip=100\n"),
        (["--env.slip", "7"], "toy/Corridor-v0: slip=7\n"),
        (["--env.slip", "256"], "toy/Corridor-v0: default settings\n"),
    ):
        assert cli.main(["bench", "corridor", *flags]) == 0
        assert said in capsys.readouterr().out


def test_statistics_against_their_definitions() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=400)
    found = statistics(values)
    assert found["mean"] == pytest.approx(values.mean())
    assert found["iqm"] == pytest.approx(np.sort(values)[100:300].mean())
    half = 1.96 * values.std() / 20  # the normal approximation of the mean's interval
    assert found["mean_95"] == pytest.approx([values.mean() - half, values.mean() + half], abs=half / 5)
    assert statistics(np.array([3.0])) == {"mean": 3.0, "mean_95": None, "iqm": 3.0, "iqm_95": None}
    assert score(Episodes(np.arange(2), {"return": np.ones(2)}))["return"]["mean_95"] == [1.0, 1.0]


def test_a_bug_keeps_its_traceback(monkeypatch) -> None:
    def broken(args):
        raise KeyError("bug")

    monkeypatch.setattr("meze.runners.listing.main", broken)
    with pytest.raises(KeyError):
        cli.main(["envs"])


STRANGE = "\x1b]0;owned\x07\x1b[31mred\u202e"


def test_nothing_that_a_file_says_speaks_to_the_terminal(tmp_path, capsys) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "format": 1,
                "env": {"id": f"os:{STRANGE}", "config": {}},
                "agent": {"name": STRANGE, "config": {}},
                "run": {},
            }
        )
    )
    replay = {"meze_replay": 99, "version": STRANGE * 1000}
    (tmp_path / "replay.json").write_text(json.dumps(replay))
    for words in (
        ["watch", str(tmp_path)],
        ["watch", str(tmp_path / "replay.json")],
        ["evaluate", "corridor", STRANGE],
    ):
        assert cli.main(words) == 2
        said = capsys.readouterr().err
        assert r"\x1b]0;owned\x07\x1b[31mred\u202e" in said
        assert said[:-1].isprintable() and len(said) < 2500, "cut, though each escaped letter is four"


def test_names_in_tables_are_neither_markup_nor_escapes(capsys) -> None:
    episodes = Episodes(np.arange(2), {"return": np.array([1.0, 2.0])})
    print_table(f"[bold]{STRANGE}", {f"[red]{STRANGE}": score(episodes)})
    said = capsys.readouterr().out
    assert "\x1b" not in said and "[red]" in said.replace("\n", "") and "[bold]" in said


def test_printable() -> None:
    assert printable("as it is: \u0142") == "as it is: \u0142"
    assert printable("a\nb\x9b") == r"a\nb\x9b"
    assert printable("x" * 9999, 30) == "x" * 20 + " ... " + "x" * 10


@pytest.mark.parametrize(
    "words",
    [
        ["train", "q-learning", "corridor", "--num-envs", "1000000000"],
        ["train", "q-learning", "corridor", "--eval-episodes", "100000000000000"],
        ["bench", "corridor", "--num-envs", "100000000000000"],
    ],
)
def test_a_request_beyond_all_memory_is_one_line(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1


def test_anybody_can_judge_on_other_episodes_and_maps(capsys, monkeypatch) -> None:
    played = []
    evaluate = rollout.evaluate

    def noted(env, policy, seeds):
        played.append((seeds, getattr(env.unwrapped.world.config, "split", None)))
        return evaluate(env, policy, seeds)

    monkeypatch.setattr(rollout, "evaluate", noted)
    few = ["--episodes", "3", "--env.pool-size", "2", "--json"]
    for words in ([], ["--first-seed", "7"], ["--first-seed", "7", "--env.split", "train"]):
        assert cli.main(["evaluate", "fire-escape", "random", "--episodes", "3", *words[:2], "--json"]) == 0
        assert cli.main(["evaluate", "city", "random", *few, *words]) == 0
    base = range(EVALUATION_SEED, EVALUATION_SEED + 3)
    other = range(7, 10)
    assert played == [
        (base, None),
        (base, "test"),
        (other, None),
        (other, 2_000_000_007),
        (other, None),
        (other, "train"),
    ]
    capsys.readouterr()
    assert cli.main(["evaluate", "city", "random", *few, "--first-seed", "7"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == [7, 9]
    assert cli.main(["evaluate", "corridor", "random", "--first-seed", "-1"]) == 2
    assert "first_seed must lie in 0 .." in capsys.readouterr().err
