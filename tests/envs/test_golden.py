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
}


def trajectory_hash(world, config):
    """One number for 300 steps of 8 environments, half of the actions the expert's."""
    env = WorldVectorEnv(world, num_envs=8, max_episode_steps=200, **config)
    env.reset(seed=20)
    expert = env.reference("expert")
    rewards = 0.0
    for step in range(300):
        others = (np.arange(8) * 7 + step * 5) % 4
        rewards += env.step(np.where((np.arange(8) + step) % 4 < 3, expert(), others))[1].sum()
    names = [f"{number:016x}" for number in env.state_hash()]
    return {"states": names, "rewards": float(rewards)}


def record(name):
    spec = find_world(name)
    return {"id": spec.id, **{key: trajectory_hash(spec.world, c) for key, c in SCENARIOS[name].items()}}


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
