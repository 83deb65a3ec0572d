"""Classes that nobody registered, with arguments; and environments that do not keep Gymnasium's promises."""

import json

import gymnasium
import pytest
from broken_envs import Room
from meze.runners import cli
from meze.runners.setup.resolve import find_environment
from run_files import only_run

ROOM = "broken_envs:Room"
SIZE = ["--steps", "400", "--num-envs", "4", "--eval-episodes", "4"]


def train(*words: str) -> int:
    return cli.main(["train", *words])


def test_a_class_with_arguments_trains_and_goes_on(tmp_path, capsys) -> None:
    Room.made.clear()
    flags = ["--env.size", "5", "--env.gain", "1e-3", "--env-kwargs", '{"table": [[1, 2]], "depth": 2}']
    assert train("q-learning", ROOM, *flags, *SIZE, "--out", str(tmp_path)) == 0
    wanted = {"size": 5, "gain": 1e-3, "walls": (), "table": [[1, 2]], "depth": 2}
    assert all(made == wanted for made in Room.made)
    run = only_run(tmp_path)
    assert run.parts[-3] == "Room"
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(run), "--steps", "800"]) == 2  # no file says what to import
    assert "name it on the command line" in capsys.readouterr().err
    Room.made.clear()
    assert cli.main(["train", "--resume", str(run), "--steps", "800", "--env", ROOM]) == 0
    assert cli.main(["evaluate", ROOM, str(run), "--episodes", "4", "--vectorization", "async"]) == 0
    assert Room.made and all(made == wanted for made in Room.made)


@pytest.mark.parametrize(
    ("given", "value"),
    [("7", 7), ("0.5", 0.5), ("True", True), ("wide", "wide"), ("None", None), ("a()", "a()")],
)
def test_what_has_no_type_is_read_as_a_literal(given, value, tmp_path) -> None:
    Room.made.clear()
    assert (
        train("q-learning", ROOM, "--env.size", "3", "--env.gain", given, *SIZE, "--out", str(tmp_path)) == 0
    )
    assert {repr(made["gain"]) for made in Room.made} == {repr(value)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (ROOM, "broken_envs:Room needs --env.size, which has no default"),
        (f"{ROOM} --env.size x", "--env.size takes INT; got 'x'"),
        (f"{ROOM} --env.size 3 --env-kwargs [1]", "--env-kwargs is a JSON object"),
        (f"{ROOM} --env.size 3 --env-kwargs {{x", "--env-kwargs is not JSON"),
        (f'{ROOM} --env.size 3 --env-kwargs {{"size":4}}', "--env-kwargs names size, which is --env.size"),
        (f'{ROOM} --env.size 3 --env-kwargs {{"render_mode":1}}', "--env-kwargs can't set render_mode"),
        ('broken_envs:Sound --env-kwargs {"color":1}', "takes no arguments"),
        ("broken_envs:Rom", "unknown environment 'Rom'; did you mean 'Room'?"),
        ("FrozenLake-v1 --env-kwargs {}", "--env-kwargs needs an environment named with its package"),
        ("broken_envs:NoActions", "broken_envs:NoActions is broken: it has no action_space"),
        (
            "broken_envs:WrongShape",
            "observation is of shape (3,) and type float32, its observation space Box(",
        ),
        ("broken_envs:WrongType", "observation is of shape () and type <U6, its observation space Box("),
        (
            "broken_envs:WrongPart",
            "observation['map'] is of shape (4,) and type float32, its observation space",
        ),
        ("broken_envs:OutsideNumber", "its observation is 3, outside Discrete(3)"),
        ("broken_envs:NanObservation", "its observation of shape (4,) holds nan"),
        ("broken_envs:NanReward", "its reward is nan"),
        (
            "broken_envs:RowOfRewards",
            "its rewards are of shape (1,) and type float64; a reward is one number",
        ),
        ("broken_envs:NoSeed", "its reset takes no seed"),
        ("broken_envs:FourValues", "its step returns a tuple of 4, not (observation, reward, terminated,"),
    ],
)
def test_what_is_broken_is_one_line_and_leaves_no_folder(line, words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for how in ("sync", "async"):
        assert train("genetic", *line.split(), "--generations", "2", "--vectorization", how) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("agent", ["genetic", "random-search"])
@pytest.mark.parametrize(
    ("env", "words"), [("LateNanReward", "reward"), ("LateNanObservation", "observation")]
)
def test_nothing_that_is_no_number_passes_later(agent, env, words, tmp_path, capsys) -> None:
    flags = [
        "--generations",
        "4",
        "--agent.population-size",
        "20",
        "--eval-episodes",
        "2",
        "--out",
        str(tmp_path),
    ]
    assert train(agent, f"broken_envs:{env}", *flags) == 2
    assert f"broken_envs:{env} is broken: its {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (
            "LateShape",
            "is of shape (3,) and type float32, its observation space Box(-1.0, 1.0, (4,), float32)",
        ),
        ("LateType", "is of shape (4,) and type complex128, its observation space Box(-1.0, 1.0, (4,), fl"),
        (
            "LatePart",
            "['map'] is of shape (2, 3) and type float32, its observation space Box(0.0, 1.0, (2,",
        ),
        ("LateNumber", "is 3, outside Discrete(3)"),
    ],
)
@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.filterwarnings("ignore:.*ERROR")  # Gymnasium's of its workers
def test_an_observation_that_changes_later_is_told_with_its_environment(
    env, words, how, tmp_path, capsys
) -> None:
    flags = ["--steps", "200", "--num-envs", "2", "--eval-episodes", "2", "--out", str(tmp_path)]
    assert train("dqn", f"broken_envs:{env}", *flags, "--device", "cpu", "--vectorization", how) == 2
    said = capsys.readouterr().err
    assert f"the environment broken_envs:{env} is broken: its observation" in said and words in said


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (
            "Sound",
            "no argument render_mode and no render mode rgb_array and no method render; add `rend",
        ),
        (
            "NoModes",
            'no render mode rgb_array; add `metadata = {"render_modes": ["rgb_array"], "render_fps',
        ),
        ("NoRender", "no method render; add one that returns a picture, (height, width, 3) of uint8"),
        ("NoPicture", "its render returns what is of type NoneType, no picture of shape (height, width, 3)"),
    ],
)
def test_what_a_class_lacks_to_be_drawn_is_one_line(env, words, tmp_path, capsys) -> None:
    flags = ["--record", str(tmp_path / "x.gif"), "--steps", "2"]
    assert cli.main(["watch", "random", f"broken_envs:{env}", *flags]) == 2
    said = capsys.readouterr().err
    assert f"broken_envs:{env} " in said and words in said and said.count("\n") == 1
    assert cli.main(["watch", "random", "broken_envs:Drawn", *flags]) == 0
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("env", "words"),
    [("EmptyDict", "has Dict observations that can't be used (Dict())"), ("EmptyPart", "'none': Tuple())")],
)
def test_observations_of_nothing_are_refused_with_their_space(env, words, capsys) -> None:
    for how in ("sync", "async"):
        assert cli.main(["evaluate", f"broken_envs:{env}", "random", "--vectorization", how]) == 2
        said = capsys.readouterr().err
        assert f"broken_envs:{env} " in said and words in said and said.count("\n") == 1


def test_a_sound_one_trains(tmp_path) -> None:
    flags = [
        "--generations",
        "2",
        "--agent.population-size",
        "20",
        "--eval-episodes",
        "2",
        "--out",
        str(tmp_path),
    ]
    assert train("genetic", "broken_envs:Sound", *flags) == 0


def test_a_file_sets_no_more_of_a_registered_environment_than_its_author_meant() -> None:
    """Gymnasium's own makers of older environments import what `env_id` says."""

    def maker(env_id: str | None = None, size: int = 3, more=None) -> gymnasium.Env:
        raise AssertionError

    gymnasium.register("Makers/Maker-v0", maker)
    try:
        plain = find_environment("Makers/Maker-v0").config()
        named = find_environment("gymnasium:Makers/Maker-v0").config()
    finally:
        del gymnasium.registry["Makers/Maker-v0"]
    assert json.dumps(vars(plain)) == '{"size": 3}'
    assert set(vars(named)) == {"env_id", "size", "more", "kwargs"}
