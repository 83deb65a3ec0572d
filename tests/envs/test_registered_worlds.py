"""Every registered world conforms, in every observation mode."""

import warnings

import gymnasium
import pytest
from meze.envs.core.conformance import _Case, _compiled_equals_python, check_world
from meze.envs.core.registry import world_specs

MODES = {
    "city": (
        {"observation": "grid"},
        {"observation": "index", "index": "situation", "hour": 8, "ambulance": 0.1, "jaywalk": 0.1},
        {"observation": "index", "index": "place", "map": "village"},
    ),
    "platformer": (
        {"observation": "grid", "pool_size": 4},
        {"observation": "pixels", "pool_size": 2, "actions": "right_only"},
        {"observation": "index", "pool_size": 4, "actions": "complex", "frame_skip": 1},
    ),
    "kiosk": (
        {"observation": "sites", "pool_size": 4, "objective": "revenue", "rivals": 3},
        {"observation": "grid", "pool_size": 4, "objective": "coverage", "layout": "streets", "radius": 8},
        {"observation": "plain", "source": "fresh", "objective": "p-center"},
        {"observation": "index", "pool_size": 2, "sites": 12, "kiosks": 4},
    ),
    "fire-escape": ({"observation": "grid"}, {"observation": "index", "people": 16, "spread": 0.6}),
}
CASES = [(spec.name, settings) for spec in world_specs() for settings in MODES[spec.name]]


@pytest.mark.slow
@pytest.mark.parametrize("name, settings", CASES)
def test_it_passes_all_conformance_checks(name, settings):
    check_world(name, steps=150, **settings)


@pytest.mark.slow
def test_whole_episodes_in_a_rush_hour_are_what_their_python_text_says():
    """Two environments for 400 steps, more than twenty episodes; `check_world` compares 30 steps."""
    settings = {"observation": "index", "hour": 8, "ambulance": 0.05, "jaywalk": 0.1}
    _compiled_equals_python(_Case("city", steps=2000, settings=settings))


@pytest.mark.parametrize("name, settings", CASES)
def test_stable_baselines3_accepts_it(name, settings):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    ids = {spec.name: spec.id for spec in world_specs()}
    env = gymnasium.make(ids[name], **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Small planes are no picture, nor are rows of features; its advice on those does not apply.
        warnings.filterwarnings(
            "ignore",
            message="It seems that your observation|The minimal resolution|Treating image|Your observation",
        )
        checker.check_env(env.unwrapped)
