"""Registration: light, found by name and id, made by gymnasium with its limits."""

import gymnasium
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import TimeLimit
from meze.envs.core import registry
from meze.envs.core.registry import find_world, register_world, world_specs
from meze.envs.core.vector import WorldVectorEnv
from registered import SPECS

CORRIDOR = {
    "id": "toy/Corridor-v3",
    "name": "corridor",
    "world": "toy_world:Corridor",
    "config": "toy_world:CorridorConfig",
    "max_episode_steps": 9,
}


@pytest.fixture
def corridor(monkeypatch):
    monkeypatch.setattr(registry, "_worlds", {spec.name: spec for spec in SPECS})  # not the runners' corridor
    register_world(**CORRIDOR, presets="not-read-here.toml", summary="Walk right.")
    yield find_world("corridor")
    del gymnasium.registry[CORRIDOR["id"]]


def test_the_city_is_registered():
    spec = find_world("city")
    assert spec.id == "meze/City-v0" and spec is find_world("meze/City-v0") and spec in world_specs()


def test_make_wraps_a_time_limit_and_make_vec_passes_it_on(corridor):
    env = gymnasium.make(corridor.id, slip=0)
    assert isinstance(env, TimeLimit) and env._max_episode_steps == 9
    assert env.unwrapped.world.config.slip == 0  # type: ignore[attr-defined]
    envs = gymnasium.make_vec(corridor.id, 3, autoreset_mode="SameStep", slip=0)
    assert isinstance(envs, WorldVectorEnv) and envs.num_envs == 3
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    envs.reset(seed=0, options={"start": 0})
    ends = [envs.step([0, 0, 0])[3].all() for _ in range(9)]
    assert ends == [False] * 8 + [True]
    with pytest.raises(TypeError, match="unexpected keyword argument 'slap'; did you mean 'slip'"):
        gymnasium.make(corridor.id, slap=1)


def test_a_spec_can_be_made_again(corridor):
    for env in (gymnasium.make(corridor.id, slip=7), gymnasium.make_vec(corridor.id, 2, slip=7)):
        again = (gymnasium.make if env.unwrapped is not env else gymnasium.make_vec)(env.spec)
        assert again.unwrapped.world.config.slip == 7


def test_the_same_again_is_fine_and_another_is_not(corridor):
    register_world(**CORRIDOR, presets="not-read-here.toml", summary="Walk right.")
    with pytest.raises(TypeError, match="not dict"):  # as it was before presets stood in files
        register_world(**CORRIDOR, presets={"q-learning": {"steps": 10}})  # type: ignore[arg-type]
    for clash in ({"id": "toy/Other-v0"}, {"name": "other"}):
        with pytest.raises(ValueError, match="already registered"):
            register_world(**{**CORRIDOR, **clash})


def test_unknown_names_get_the_closest(corridor):
    with pytest.raises(ValueError, match="'corridr'; did you mean 'corridor'"):
        find_world("corridr")
    with pytest.raises(ValueError, match="registered as 'chess'$"):
        find_world("chess")
