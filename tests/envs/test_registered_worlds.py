"""Every registered world conforms, in every observation mode."""

import warnings

import gymnasium
import pytest
from meze.envs.core.conformance import _Case, _compiled_equals_python, check_world
from meze.envs.core.registry import find_world
from registered import SPECS, modes

SETTINGS = {
    "city": {
        "grid": ({}, {"fog": True, "hour": 8, "pool_size": 4}),
        "index": (
            {"index": "situation", "hour": 8, "ambulance": 0.1, "jaywalk": 0.1},
            {"index": "place", "map": "village"},
        ),
    },
    "platformer": {
        "grid": ({"pool_size": 4}, {"pool_size": 4, "fog": True}),
        "pixels": ({"pool_size": 2, "actions": "right_only"},),
        "index": ({"pool_size": 4, "actions": "complex", "frame_skip": 1},),
    },
    "kiosk": {
        "sites": ({"pool_size": 4, "objective": "revenue", "rivals": 3},),
        "grid": ({"pool_size": 4, "objective": "coverage", "layout": "streets", "radius": 8},),
        "plain": ({"source": "fresh", "objective": "p-center"},),
        "index": ({"pool_size": 2, "sites": 12, "kiosks": 4},),
    },
    "fire-escape": {"grid": ({}, {"fog": True}), "index": ({"people": 16, "spread": 0.6},)},
    "maze": {"grid": ({"pool_size": 4},), "index": ({"maze": "shipped", "difficulty": 0.0},)},
    "tram": {"grid": ({"pool_size": 8},), "index": ({"scene": "shipped"},)},
    "vacuum": {
        "grid": ({"pool_size": 4}, {"flat": "shipped", "actions": "headings", "remembered": False}),
        "index": ({"pool_size": 4},),
    },
}
"""World to observation mode to settings with which it is cheaper, or more goes on, than by default."""
CASES = [
    (spec.name, {"observation": mode, **settings})
    for spec in SPECS
    for mode in modes(spec)
    for settings in SETTINGS.get(spec.name, {}).get(mode, ({},))
]


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
    env = gymnasium.make(find_world(name).id, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Small planes are no picture, nor are rows of features; its advice on those does not apply.
        warnings.filterwarnings(
            "ignore",
            message="It seems that your observation|The minimal resolution|Treating image|Your observation",
        )
        checker.check_env(env.unwrapped)
