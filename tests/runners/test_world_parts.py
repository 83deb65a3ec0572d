"""What worlds may leave out, and what environments of others happen to call by the same names."""

import gymnasium
import imageio.v3 as iio
import numpy as np
import pytest
from gymnasium.spaces import Discrete
from gymnasium.vector import SyncVectorEnv
from meze.envs.core.env import WorldEnv, world_of
from meze.envs.core.registry import register_world
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.core.world import World
from meze.runners import cli
from meze.runners.play import ButtonControls, Done, KeyControls, find_controls
from toy_world import Corridor, CorridorConfig


class Least(World):
    """A corridor that says what every world must, and nothing else."""

    kernels, state_dtype = Corridor.kernels, Corridor.state_dtype
    action_space, observation_space = Discrete(3), Discrete(8)

    def __init__(self, config: CorridorConfig) -> None:
        self.config = config
        self._params = Corridor(config).params()

    def params(self):
        return self._params


class NoHeir:
    """No world, though it has all of one's parts."""

    locals().update({name: part for name, part in vars(Corridor).items() if not name.startswith("__")})
    __init__ = Corridor.__init__


class Globe(gymnasium.Env):
    """An environment of others with a `world` of its own."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}
    observation_space, action_space = Discrete(2), Discrete(2)
    world = "round"

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return 0, {}

    def step(self, action):
        self._steps += 1
        return 1, 1.0, self._steps == 3, False, {}

    def render(self):
        return np.full((8, 8, 3), 60 * self._steps, np.uint8)


for name in ("Least", "NoHeir"):
    register_world(f"Tests/{name}-v0", name.lower(), f"{__name__}:{name}", "toy_world:CorridorConfig", 30)


def test_the_world_of_an_environment_is_found_behind_wrappers_and_of_others_there_is_none():
    made = gymnasium.make("Tests/Least-v0")
    assert not isinstance(made, WorldEnv) and isinstance(world_of(made), Least)
    assert world_of(Globe()) is None
    assert isinstance(world_of(WorldVectorEnv(Least, 3)), Least)
    assert world_of(SyncVectorEnv([Globe, Globe])) is None


def test_an_environment_of_others_with_a_world_of_its_own_is_watched(tmp_path):
    path = tmp_path / "globe.gif"
    words = ["watch", "random", f"{__name__}:Globe", "--sees", "--record", str(path), "--steps", "3"]
    assert cli.main(words) == 0
    assert len(list(iio.imiter(path))) == 4


def test_a_world_that_says_the_least_is_trained_and_refused_a_picture_in_one_line(tmp_path, capsys):
    words = [
        "train",
        "q-learning",
        "least",
        "--steps",
        "2000",
        "--eval-episodes",
        "4",
        "--out",
        str(tmp_path),
    ]
    assert cli.main(words) == 0
    assert cli.main(["evaluate", "least", "random", "--episodes", "4"]) == 0
    capsys.readouterr()
    for words in (["watch", "random", "least", "--record", str(tmp_path / "a.gif")], ["play", "least"]):
        assert cli.main(words) == 2
        assert capsys.readouterr().err == "meze: error: Least can't be drawn: it has no renderer\n"
    assert not (tmp_path / "a.gif").exists()


@pytest.mark.parametrize("words", (["train", "q-learning"], ["watch", "random"], ["play"]))
def test_what_inherits_no_world_is_refused_in_one_line(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*words, "noheir"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("NoHeir must inherit meze.envs.core.World\n") and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_buttons_come_before_keys():
    class Pressed(Corridor):
        buttons = ("right",)

        def action_of(self, buttons):
            return 2 * ("right" in buttons)

    controls = find_controls(WorldVectorEnv(Pressed))
    assert isinstance(controls, ButtonControls)
    assert [controls.action(Done([], held)) for held in (set(), {"d"})] == [0, 2]
    assert isinstance(find_controls(WorldVectorEnv(Corridor)), KeyControls)
