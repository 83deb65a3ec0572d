"""Trajectories are facts: each world's hashes stand in tests/golden; a change raises the world's version.

To record them anew: `python tests/envs/test_golden.py`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from meze.envs.core.registry import find_world
from meze.envs.core.vector import WorldVectorEnv

FOLDER = Path(__file__).parents[1] / "golden"
SCENARIOS = {
    "city": {
        "default": {},
        "peak": {"hour": 8},
        "left-hand test maps": {"left_hand": True, "split": "test", "pool_size": 4},
        "village": {"map": "village"},
        "all at once": {"hour": 17, "ambulance": 0.1, "jaywalk": 0.1, "pedestrians": 40, "slowdown": 0.5},
    },
    "platformer": {
        "default": {"pool_size": 8},
        "hard test levels": {"difficulty": 1.0, "split": "test", "pool_size": 8},
        "shipped": {"level": "shipped", "actions": "complex"},
        "tick by tick": {"frame_skip": 1, "pool_size": 8},
    },
    "kiosk": {
        "default": {"pool_size": 8},
        "worst walk in fresh cities": {"source": "fresh", "objective": "p-center", "observation": "plain"},
        "coverage along streets": {
            "layout": "streets",
            "objective": "coverage",
            "radius": 8,
            "split": "test",
            "pool_size": 4,
        },
        "revenue against rivals": {"source": "fresh", "objective": "revenue", "rivals": 3, "points": 40},
        "an instance of the OR-Library": {"source": "pmed1"},
    },
    "fire-escape": {"default": {}, "a crowd and a quick fire": {"people": 16, "spread": 0.6}},
}


def city_policy(env):
    """Three of four actions are the expert's."""
    expert, row = env.reference("expert"), np.arange(8)
    return lambda step: np.where((row + step) % 4 < 3, expert(), (row * 7 + step * 5) % 4)


def platformer_policy(env):
    """Each environment jumps in a rhythm of its own while it runs to the right; now and then it errs.

    The expert would not do: how it searches is no part of the dynamics.
    """
    row, number = np.arange(8), env.single_action_space.n
    run, run_and_jump = 3, 4

    def act(step):
        habit = np.where((step // (row + 2)) % 2, run_and_jump, run)
        return np.where((row * 3 + step) % 11 < 9, habit, (row * 5 + step * 7) % number)

    return act


def kiosk_policy(env):
    """Each environment takes one of the free sites, in an order of its own; now and then any site."""
    row, number = np.arange(8), env.single_action_space.n

    def act(step):
        free = env.action_masks().cumsum(axis=1)
        nth = (row * 7 + step * 5) % free[:, -1]
        return np.where((row + step) % 9 < 8, (free > nth[:, None]).argmax(axis=1), (row + step) % number)

    return act


def fire_escape_policy(env):
    """Each environment follows the signs; now and then it goes where it likes."""
    rules, row = env.reference("rules"), np.arange(8)
    return lambda step: np.where((row + step) % 4 < 3, rules(), (row * 7 + step * 5) % 5)


POLICIES = {
    "city": city_policy,
    "platformer": platformer_policy,
    "kiosk": kiosk_policy,
    "fire-escape": fire_escape_policy,
}


def trajectory_hash(name, config):
    """One number for 300 steps of 8 environments."""
    env = WorldVectorEnv(find_world(name).world, num_envs=8, max_episode_steps=200, **config)
    env.reset(seed=20)
    act = POLICIES[name](env)
    rewards = sum(env.step(act(step))[1].sum() for step in range(300))
    return {"states": [f"{number:016x}" for number in env.state_hash()], "rewards": float(rewards)}


def record(name):
    spec = find_world(name)
    return {"id": spec.id, **{key: trajectory_hash(name, c) for key, c in SCENARIOS[name].items()}}


@pytest.mark.parametrize("name", SCENARIOS)
def test_trajectories_are_those_of_this_version(name):
    known = json.loads((FOLDER / f"{name}.json").read_text())
    found = record(name)
    if found["id"] == known["id"]:
        assert found == known, f"the dynamics changed: raise the version of {found['id']} and record anew"
    else:
        assert found == {**known, "id": found["id"]}, f"record the trajectories of {found['id']}"


if __name__ == "__main__":
    for world in SCENARIOS:
        (FOLDER / f"{world}.json").write_text(json.dumps(record(world), indent=2) + "\n")
