"""Trajectories are facts: each world's hashes stand in tests/golden; a change raises the world's version.

`seen` is what agents see: observations, masks, rewards, ends and infos of every step. `states` names the
records in memory. Another layout of these changes it, and nothing else: then `states` may be recorded anew,
and the version stays. So it does where infos tell more than before, and `seen` without that is what it was.

To record them anew, and those of a new world: `python tests/envs/test_golden.py`. Each file has scenarios
with their settings; of a new one only these need be written.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from meze.envs.core.registry import find_world
from meze.envs.core.vector import WorldVectorEnv
from registered import NAMES

FOLDER = Path(__file__).parents[1] / "golden"


def free_policy(env):
    """Each environment takes one of the possible actions, in an order of its own; now and then any."""
    row, number = np.arange(8), env.single_action_space.n

    def act(step):
        free = env.action_masks().cumsum(axis=1)
        nth = (row * 7 + step * 5) % free[:, -1]
        return np.where((row + step) % 9 < 8, (free > nth[:, None]).argmax(axis=1), (row + step) % number)

    return act


def guided_policy(env):
    """Three of four actions are those of the world's first reference."""
    (guide, *_), row, number = env.world.references(), np.arange(8), env.single_action_space.n
    choose = env.reference(guide)
    return lambda step: np.where((row + step) % 4 < 3, choose(), (row * 7 + step * 5) % number)


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


POLICIES = {
    "city": guided_policy,
    "fire-escape": guided_policy,
    "maze": guided_policy,
    "platformer": platformer_policy,
}
"""Who walks through worlds in which taking whatever is possible leads nowhere."""


def trajectory_hash(name, settings):
    """One number for 300 steps of 8 environments."""
    env = WorldVectorEnv(find_world(name).world, num_envs=8, max_episode_steps=200, **settings)
    seen, rewards = hashlib.blake2b(digest_size=8), 0.0
    add(seen, env.reset(seed=20))
    act = POLICIES.get(name, free_policy)(env)
    for step in range(300):
        told = env.step(act(step))
        add(seen, told)
        rewards += told[1].sum()
    states = [f"{number:016x}" for number in env.state_hash()]
    return {"states": states, "rewards": float(rewards), "seen": seen.hexdigest()}


def add(seen, told):
    """Takes all that was told into account: arrays, of objects too, and what holds them."""
    if isinstance(told, dict):
        for key in sorted(told):
            seen.update(key.encode())
            add(seen, told[key])
    elif isinstance(told, tuple):
        for each in told:
            add(seen, each)
    elif told is None:
        seen.update(b"None")
    elif (array := np.asarray(told)).dtype == object:
        add(seen, tuple(array))
    else:
        seen.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())


def known(name):
    """What stands in a world's file; of one that has none yet, its default settings alone."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"default": {"settings": {}}}


def record(name):
    scenarios = {key: each["settings"] for key, each in known(name).items() if key != "id"}
    found = {key: {"settings": each, **trajectory_hash(name, each)} for key, each in scenarios.items()}
    return {"id": find_world(name).id, **found}


@pytest.mark.parametrize("name", NAMES)
def test_trajectories_are_those_of_this_version(name):
    before, found = known(name), record(name)
    if found["id"] == before.get("id"):
        assert found == before, f"the dynamics changed: raise the version of {found['id']} and record anew"
    else:
        assert found == {**before, "id": found["id"]}, f"record the trajectories of {found['id']}"


if __name__ == "__main__":
    for world in NAMES:
        (FOLDER / f"{world}.json").write_text(json.dumps(record(world), indent=2) + "\n")
