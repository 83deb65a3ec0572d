"""Where names may stand on the command line, whole numbers, and what is said where they are mixed up."""

import pytest
from meze.runners import cli, compare, evaluate, features, train, watch
from meze.runners.cli import COMMANDS
from meze.runners.setup import names
from meze.runners.setup.names import arranged
from meze.runners.setup.settings import whole_number

MODULES = {"train": train, "evaluate": evaluate, "watch": watch, "compare": compare, "features": features}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("train q-learning corridor --steps 5", "q-learning corridor --steps 5"),
        ("train --steps 5 q-learning corridor", "q-learning corridor --steps 5"),
        ("train q-learning --steps 5 corridor --seed 1", "q-learning corridor --steps 5 --seed 1"),
        ("train --steps=5 q-learning --env corridor", "q-learning corridor --steps=5"),
        ("train --env.slip 3 q-learning corridor", "q-learning corridor --env.slip 3"),
        ("train --env.some-switch q-learning Taxi-v4", "q-learning Taxi-v4 --env.some-switch"),
        ("train --env.closed 12 18 q-learning corridor", "q-learning corridor --env.closed 12 18"),
        ("train q-learning corridor --fit.policies random expert", None),
        ("train --resume runs/a --steps 9", None),
        ("train q-learning corridor --env-kwargs {}", "q-learning corridor --env.kwargs {}"),
        ("evaluate --episodes 10 corridor random expert", "corridor random expert --episodes 10"),
        (
            "evaluate corridor --json random --first-seed 3 expert",
            "corridor random expert --json --first-seed 3",
        ),
        ("watch --sees --no-follow random corridor", "random corridor --sees --no-follow"),
        ("watch --record a.gif random --env corridor", "random corridor --record a.gif"),
        ("compare --agents random,expert corridor --seeds 2", "corridor --agents random,expert --seeds 2"),
        (
            "features --seeds 0 corridor --policies random expert",
            "corridor --seeds 0 --policies random expert",
        ),
    ],
)
def test_names_are_found_wherever_they_stand(line, wanted) -> None:
    command, *words = line.split()
    takes = COMMANDS[command]
    found = arranged(command, words, MODULES[command], takes.names, takes.place)
    assert found == (words if wanted is None else wanted.split())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train corridor q-learning", "where an agent should stand; say: meze train q-learning corridor"),
        ("train --steps 9 corridor sarsa", "say: meze train sarsa corridor"),
        ("watch corridor expert", "where an agent should stand; say: meze watch expert corridor"),
        ("evaluate random corridor", "random is an agent, where an environment should stand; say: "),
        ("evaluate expert Taxi-v4", "expert is no environment, where an environment should stand; say: "),
        (
            "watch expert CartPole-v1",
            "CartPole-v1 has no references such as an expert; there are also random,",
        ),
        ("evaluate corridor nobody", "corridor has the references expert; there are also random,"),
        ("compare corridor --agents random,exprt", "unknown agent or run 'exprt'; did you mean 'expert'?"),
        ("compare corridor --agents q-lerning", "did you mean 'q-learning'?"),
        ("compare corridor --agents clone:random-forst", "did you mean 'random-forest'?"),
        ("train q-learning corridor --steps 1.5", "--steps must be an integer; got '1.5'"),
        ("evaluate --env corridor random --env city", "--env names one environment; got corridor and city"),
        (f"train q-learning corridor --env.slip {'9' * 300}", "slip"),
        ("play", "usage"),
        ("collect", "usage"),
        ("features", "usage"),
        ("compare", "usage"),
        ("watch", "usage"),
        ("evaluate", "usage"),
        ("import-map", "usage"),
        ("import-levels", "usage"),
        ("new-world", "usage"),
    ],
)
def test_what_is_mixed_up_is_told(line, words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_a_folder_of_a_run_is_no_environment_however_it_is_called(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corridor").mkdir()
    names._check_order("watch", ["corridor", "toy"], 1)


@pytest.mark.parametrize(
    ("word", "number"), [("1e5", 100_000), ("2.5e6", 2_500_000), ("1_000", 1000), ("-3", -3), ("4.0", 4)]
)
def test_whole_numbers(word, number) -> None:
    assert whole_number(word) == number and type(whole_number(word)) is int


@pytest.mark.parametrize("word", ["1.5", "1e-3", "2.5e0", "1e999999999", "nan", "inf", "1e19", "x", ""])
def test_what_is_no_whole_number(word) -> None:
    with pytest.raises(ValueError, match="must be an integer"):
        whole_number(word)


def test_exponents_reach_integer_settings(tmp_path, capsys) -> None:
    size = ["--steps", "2e3", "--num-envs", "1e1", "--eval-episodes", "4e0"]
    assert cli.main(["train", *size, "q-learning", "--out", str(tmp_path), "corridor"]) == 0
    (config,) = tmp_path.glob("*/*/*/config.json")
    assert '"steps": 2000' in config.read_text() and '"num_envs": 10' in config.read_text()
