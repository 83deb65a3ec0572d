"""Fogged twins: they share every trajectory with the clear world, and who remembers can do without seeing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from meze.checking import load_object
from meze.comparing import assert_same
from meze.envs.city import fog as city_fog
from meze.envs.city.world import City
from meze.envs.core import replay
from meze.envs.core.env import WorldEnv
from meze.envs.core.fog import lines_of_sight
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.fire_escape.world import FireEscape
from meze.envs.platformer.world import Platformer
from registered import SPECS, modes

FOGGED = [
    spec for spec in SPECS if "fog" in {field.name for field in dataclasses.fields(load_object(spec.config))}
]
WORLDS = pytest.mark.parametrize("spec", FOGGED, ids=lambda spec: spec.name)
SMALL: dict[str, dict[str, Any]] = {"city": {"pool_size": 4, "hour": 8}, "platformer": {"pool_size": 4}}


def make(spec, fog, num_envs=16, mode="SameStep", **settings):
    settings = SMALL.get(spec.name, {}) | settings
    return WorldVectorEnv(
        spec.world, num_envs=num_envs, max_episode_steps=60, autoreset_mode=mode, fog=fog, **settings
    )


def without_fog(records):
    """Records field by field, but for what fog alone needs."""
    return {name: records[name].tolist() for name in records.dtype.names if name != "fog"}


def blind(told):
    """What reset or step tells, but for what is seen."""
    _, *others, info = told
    return [*others, {name: value for name, value in info.items() if "final_obs" not in name}]


def actions_of(env, rng):
    """Those of the world's first reference, and every fourth one at random."""
    row, number = np.arange(env.num_envs), env.single_action_space.n
    if isinstance(env.world, Platformer):  # whose expert takes long: run to the right, and jump now and then
        guide = 3 + (row + rng.integers(4)) // 2 % 2
    else:
        guide = env.reference(env.reference_names[0])()
    return np.where(rng.random(env.num_envs) < 0.25, rng.integers(number, size=env.num_envs), guide)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
@WORLDS
def test_a_fogged_world_and_its_clear_twin_share_every_trajectory(spec, mode):
    clear, fogged, rng = make(spec, False, mode=mode), make(spec, True, mode=mode), np.random.default_rng(3)
    assert "fog" not in (clear.world.state_dtype.names or ())
    seen = clear.reset(seed=5), fogged.reset(seed=5)
    differ, ends = 0, 0
    for step in range(150):
        assert_same(blind(seen[0]), blind(seen[1]), f"step {step}")
        assert_same(without_fog(clear.get_state()), without_fog(fogged.get_state()), f"state {step}")
        differ += (seen[0][0] != seen[1][0]).any()
        actions = actions_of(clear, rng)
        seen = clear.step(actions), fogged.step(actions)
        ends += (seen[0][2] | seen[0][3]).sum()
    assert differ > 100 and ends > 16, "they see the same, or no episode ended"


@WORLDS
def test_a_state_that_is_put_back_is_seen_as_it_was(spec):
    env, other, rng = make(spec, True), make(spec, True), np.random.default_rng(4)
    env.reset(seed=6)
    for _ in range(25):
        env.step(actions_of(env, rng))
    other.reset(seed=1)
    other.set_state(env.get_state())
    for _ in range(80):
        actions = actions_of(env, rng)
        assert_same(env.step(actions), other.step(actions), spec.name)
    assert (env.state_hash() == other.state_hash()).all()


@WORLDS
def test_an_episode_in_the_fog_plays_again(spec, tmp_path):
    settings: dict[str, Any] = SMALL.get(spec.name, {}) | {"fog": True}
    env = WorldEnv(spec.world, **settings)
    env.reset(seed=7)
    act, actions, score, over = env.reference(env.reference_names[0]), [], 0.0, False
    while not over and len(actions) < 100:
        actions.append(act()[0])
        _, reward, over, _, _ = env.step(actions[-1])
        score += reward
    known = {"state_hash": env.state_hash(), "layout": env.state_layout}
    episode = replay.Replay(spec.id, 7, tuple(actions), settings, {}, "expert", score, **known)
    episode.save(tmp_path / "episode.json")
    steps = list(replay.play(replay.load(tmp_path / "episode.json")))
    assert sum(step.reward for step in steps) == score
    assert steps[-1].state.tobytes() == env.get_state().tobytes()


@WORLDS
def test_fog_lies_on_the_grid_alone(spec):
    for mode in modes(spec):
        if mode != "grid":
            with pytest.raises(ValueError, match="^fog .* grid") as caught:
                spec.world(load_object(spec.config)(fog=True, observation=mode))
            assert "\n" not in str(caught.value)


@WORLDS
def test_forged_fog_is_refused(spec):
    env = make(spec, True, 2)
    env.reset(seed=0)
    fields = env.get_state().dtype.fields or {}
    for name in fields["fog"][0].names or () if "fog" in fields else ():
        forged = env.get_state()
        forged["fog"][name][0] = np.iinfo(forged["fog"].dtype[name]).max
        with pytest.raises(ValueError, match=f"no state of this world: {name}"):
            env.set_state(forged)


def test_lines_of_sight_lead_straight_to_the_eye():
    lines = lines_of_sight(5, 7, 2, 3)
    seen = {2 * 7 + 3}
    for cell, onward in lines.tolist():
        assert onward in seen, "what hides must be known before"
        seen.add(cell)
        (y, x), (v, u) = divmod(cell, 7), divmod(onward, 7)
        assert max(abs(y - v), abs(x - u)) == 1
        assert max(abs(v - 2), abs(u - 3)) == max(abs(y - 2), abs(x - 3)) - 1
    assert len(seen) == 35
    onward = dict(lines.tolist())
    assert onward[2] == 9 and onward[0] == 8 and onward[14] == 15  # rows 0, 0 and 2
    for cell in range(35):  # the same on all sides
        if cell in onward:
            assert onward[34 - cell] == 34 - onward[cell]


# ---------------------------------------------------------------- the city

TURNS = dict(zip(city_fog.TURNS.tolist(), (0, 1, -2, -1), strict=True))
WAIT, FORWARD, LEFT, RIGHT = range(4)
JUNCTION, ZEBRA = 240, 180


def drive(planes, mask, turn):
    """What somebody does who sees the fogged grid and remembers `turn`: quarters to the right, still to make.

    Returns:
        The action, and what is left of the turn.
    """
    _, _, kind, cars, claims, people, signal, _, _, route, _, entry, _ = planes
    c = len(kind) // 2
    inside = kind[c, c] == JUNCTION
    if not inside and route[c, c]:
        turn = TURNS[int(route[c, c])]
    action = RIGHT if turn > 0 and mask[RIGHT] else LEFT if turn < 0 and mask[LEFT] else FORWARD
    if inside and route[c, c]:
        action = {85: FORWARD, 170: LEFT, 255: RIGHT}[int(route[c, c])]
    action = action if inside and mask[action] else next(a for a in (FORWARD, LEFT, RIGHT, WAIT) if mask[a])
    y, x = {FORWARD: (c - 1, c), LEFT: (c, c - 1), RIGHT: (c, c + 1), WAIT: (c, c)}[action]
    waits = cars[y, x] or people[y, x] or (not inside and (claims[y, x] or claims[c, c] == 255))
    while action == FORWARD and kind[y, x] == ZEBRA and y > c - 2:  # nobody stops on a zebra
        y -= 1
        waits = waits or cars[y, x]
    if signal[c, c]:
        waits = waits or signal[c, c] == 255 or not entry[c, c]
    if waits:
        return WAIT, turn
    return action, turn - {RIGHT: 1, LEFT: -1}.get(action, 0) * inside


def share_of_successes(world, decide, nothing, remembers=True, steps=128, **settings):
    """How many of 256 first episodes end well.

    Args:
        world: the world's class.
        decide: `(planes, mask, memory) -> (action, memory)`.
        nothing: what is remembered at the start.
        remembers: whether that is all, in every step.
        steps: after which episodes are cut off.
        **settings: of the world.
    """
    env = WorldVectorEnv(world, num_envs=256, max_episode_steps=steps, **settings)
    (seen, info), memories = env.reset(seed=1), [nothing] * 256
    over, ends_well = np.zeros(256, bool), np.zeros(256, bool)
    while not over.all():
        decided = [decide(*each) for each in zip(seen, info["action_mask"], memories, strict=True)]
        seen, _, terminated, truncated, info = env.step(np.array([action for action, _ in decided]))
        ends_well |= ~over & terminated & info["success"]
        over |= terminated | truncated
        memories = [memory if remembers else nothing for _, memory in decided]
    return ends_well.mean()


@pytest.mark.slow
def test_in_the_fogged_city_who_remembers_arrives():
    city = {"steps": 512, "fog": True, "split": "test"}
    assert share_of_successes(City, drive, 0, **city) > 0.97
    assert share_of_successes(City, drive, 0, remembers=False, **city) < 0.6


# ---------------------------------------------------------------- the burning building

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # rows and columns that up, right, down and left add


def escape(planes, mask, memory):
    """What somebody does who follows signs: `memory` are the ways last read, and where the agent is on them.

    Returns:
        The action, and the memory.
    """
    _, fire, people, *ways = planes.astype(int)
    middle = len(fire) // 2
    if any((way != 0).any() and (way[way != 0] != 130).any() for way in ways):
        memory = ways, middle, middle
    known, y, x = memory or ([], 0, 0)
    for way in known:
        open_to = [d for d, (v, u) in enumerate(MOVES) if mask[1 + d] and _inside(y + v, x + u, way)]
        d = max(open_to, key=lambda d: way[y + MOVES[d][0], x + MOVES[d][1]], default=None)
        if d is None or not way[y + MOVES[d][0], x + MOVES[d][1]]:
            continue
        v, u = MOVES[d]
        if not fire[middle + v, middle + u]:
            moves = not people[middle + v, middle + u]
            return 1 + d, (known, y + v * moves, x + u * moves)
    return 0, memory


def _inside(y, x, plane):
    return 0 <= y < len(plane) and 0 <= x < len(plane)


@pytest.mark.slow
def test_in_the_fogged_building_who_remembers_gets_out():
    assert share_of_successes(FireEscape, escape, None, fog=True) > 0.75
    assert share_of_successes(FireEscape, escape, None, remembers=False, fog=True) < 0.1
