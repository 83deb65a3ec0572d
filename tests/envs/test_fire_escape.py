"""The burning building's rules, each against an oracle of plain Python."""

from collections import deque

import numpy as np
import pytest
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.fire_escape.state import CELLS, DOOR, EXIT, EXITS, FAR, FIRE, NEAREST, OUTER, STEPS, WALL
from meze.envs.fire_escape.world import FireEscape

SEED = 3_000


def make(num_envs=16, mode="SameStep", **settings):
    env = WorldVectorEnv(
        FireEscape, num_envs=num_envs, max_episode_steps=128, autoreset_mode=mode, **settings
    )
    env.reset(seed=SEED)
    return env


def played(env, steps=40):
    """States before and after each step of somebody who follows the signs and errs; the episode goes on."""
    act, rng = env.reference("rules"), np.random.default_rng(0)
    for _ in range(steps):
        before = env.get_state()
        actions = np.where(rng.random(env.num_envs) < 0.3, rng.integers(5, size=env.num_envs), act())
        env.step(actions)
        after = env.get_state()
        goes_on = after["elapsed"] == before["elapsed"] + 1
        yield before[goes_on], after[goes_on], actions[goes_on]


def steps_to(kind, starts, is_shut=()):
    """Breadth-first search over walkable cells."""
    steps, queue = dict.fromkeys(starts, 0), deque(starts)
    while queue:
        cell = queue.popleft()
        for step in STEPS:
            if kind[cell + step] < WALL and cell + step not in steps and cell + step not in is_shut:
                steps[cell + step] = steps[cell] + 1
                queue.append(cell + step)
    return steps


def test_signs_show_the_shortest_ways_of_a_connected_building():
    for record in make().get_state():
        kind, plan = record["kind"], record["plan"]
        exits = np.flatnonzero(kind == EXIT)
        assert len(exits) == EXITS
        walkable = set(np.flatnonzero(kind < WALL).tolist())
        nearest = steps_to(kind, exits.tolist())
        assert set(nearest) == walkable, "a room without a way out"
        assert {cell: plan[NEAREST, cell] for cell in walkable} == nearest
        for g in range(EXITS):
            (own,) = np.flatnonzero(plan[g] == 0)
            inside = walkable - set(exits.tolist())
            found = steps_to(kind, [int(own)])
            assert all(plan[g, cell] == found[cell] for cell in inside)
        assert (plan[:, kind >= WALL] == FAR).all()
        assert (kind == DOOR).sum() >= 3  # walls divide it


def test_an_episode_begins_out_of_the_smoke_with_a_way_that_does_not_burn():
    env = make(500)
    for record in env.get_state():
        burning = set(np.flatnonzero(record["smoke"] == FIRE).tolist())
        start, exits = int(record["people"][0]), np.flatnonzero(record["kind"] == EXIT).tolist()
        steps = steps_to(record["kind"], exits, burning)
        assert start in steps
        assert record["plan"][NEAREST, start] >= 10
        assert record["smoke"][start] <= 4


def test_fire_spreads_to_neighbours_only_and_never_into_walls_or_exits():
    env, spread = make(), 0
    for before, after, _ in played(env):
        for old, new in zip(before, after, strict=True):
            burnt, burns = (set(np.flatnonzero(r["smoke"] == FIRE).tolist()) for r in (old, new))
            assert burnt <= burns
            assert all(any(cell + step in burnt for step in STEPS) for cell in burns - burnt)
            assert all(new["kind"][cell] < EXIT for cell in burns)
            assert set(new["burning"][: new["num_burning"]].tolist()) == burns
            spread += len(burns - burnt)
    assert spread > 100


def test_fire_spreads_as_often_as_configured():
    """Each of a burning cell's flames lights a given neighbour with a chance of spread / 4."""
    env, lit, chances = make(64, spread=0.3), 0.0, 0.0
    for before, after, _ in played(env, 20):
        for old, new in zip(before, after, strict=True):
            burning = old["smoke"] == FIRE
            beside = sum(np.roll(burning, -step).astype(int) for step in STEPS)
            may = (beside > 0) & ~burning & (old["kind"] < EXIT)
            chances += (1 - (1 - 0.3 / 4) ** beside[may]).sum()
            lit += (new["smoke"] == FIRE)[may].sum()
    assert lit == pytest.approx(chances, abs=5 * np.sqrt(chances))


def test_smoke_thickens_beside_what_is_thicker_by_two():
    env = make()
    for before, after, _ in played(env, 10):
        for old, new in zip(before, after, strict=True):
            rose = np.flatnonzero((new["smoke"] > old["smoke"]) & (new["smoke"] < FIRE))
            assert (new["smoke"][rose] == old["smoke"][rose] + 1).all()
            around = np.max([new["smoke"][rose + step] for step in STEPS], axis=0)
            assert (around > old["smoke"][rose] + 1).all()
            assert (new["smoke"][new["kind"] >= EXIT] == 0).all()


def test_nobody_shares_a_cell_nor_walks_through_walls_and_all_are_accounted_for():
    env, gone = make(people=16), 0
    for before, after, _ in played(env):
        for old, new in zip(before, after, strict=True):
            people = new["people"][new["people"] > 0].tolist()
            assert len(set(people)) == len(people)
            assert set(np.flatnonzero(new["taken"]).tolist()) == set(people)
            assert (new["kind"][people] < WALL).all()
            stays = new["people"] > 0
            assert np.isin((new["people"] - old["people"])[stays], (0, *STEPS)).all()
            left = (old["people"] > 0) & ~stays
            places = old["people"][left]
            burnt = old["smoke"][places] == FIRE
            assert (burnt | (old["kind"][places] == EXIT)).all()
            assert new["info"]["out"] - old["info"]["out"] == (~burnt).sum()
            gone += left.sum()
    assert gone > 20


def test_rewards_and_ends_are_those_of_the_manual():
    env, act = make(64, "NextStep"), None
    act, ends = env.reference("rules"), set()
    for _ in range(40):
        old = env.get_state()
        _, rewards, terminated, _, _ = env.step(act())
        new = env.get_state()
        for k in np.flatnonzero(~old["done"]):
            was, now = old[k], new[k]
            cell = int(now["people"][0])
            nearer = int(was["plan"][NEAREST, was["people"][0]]) - int(now["plan"][NEAREST, cell])
            lost = int(was["info"]["health"] - now["info"]["health"])
            assert lost == min(was["info"]["health"], max(0, now["smoke"][cell] - 4))
            out, harmed = now["kind"][cell] == EXIT, now["smoke"][cell] == FIRE or now["info"]["health"] == 0
            expected = 0.5 * nearer - 51 / 1024 - 20 / 1024 * lost + 10 * out - 10 * harmed
            assert rewards[k] == expected
            assert (now["info"]["success"], now["info"]["cost"]) == (out, harmed)
            assert terminated[k] == (out or harmed)
            ends.add("out" if out else "harmed" if harmed else "on")
    assert ends == {"out", "harmed", "on"}


def play(name, num_envs):
    """Shares of (N,) episodes that end well, of a reference."""
    env = make(num_envs)
    act = env.reference(name)
    over, success = np.zeros(num_envs, bool), np.zeros(num_envs, bool)
    while not over.all():
        _, _, terminated, truncated, info = env.step(act())
        ended = (terminated | truncated) & ~over
        if ended.any():
            success[ended] = info["final_info"]["success"][ended]
        over |= ended
    return success


@pytest.mark.slow
def test_the_expert_beats_the_rules():
    expert, rules = play("expert", 500), play("rules", 500)
    assert expert.mean() > 0.87
    assert 0.7 < rules.mean() < expert.mean() - 0.05


def test_references_leave_the_state_as_it_is():
    env = make(1)
    for name in env.reference_names:
        before = env.state_hash()
        env.reference(name)()
        assert (env.state_hash() == before).all(), name


def test_forged_records_are_refused():
    env = make(2)

    def refuses(change):
        forged = env.get_state()
        change(forged[0])
        with pytest.raises(ValueError, match="no state of this world"):
            env.set_state(forged)

    wall = int(np.flatnonzero(env.get_state()[0]["kind"] == OUTER)[CELLS // 8])
    refuses(lambda e: e["kind"].__setitem__(0, 0))
    refuses(lambda e: e["kind"].__setitem__(30, 99))
    refuses(lambda e: e["people"].__setitem__(0, 0))
    refuses(lambda e: e["people"].__setitem__(3, wall))
    refuses(lambda e: e["people"].__setitem__(3, CELLS))
    refuses(lambda e: e["burning"].__setitem__(0, wall))
    refuses(lambda e: e["goal"].__setitem__(0, EXITS + 1))
    refuses(lambda e: e.__setitem__("num_burning", 0))

    def burns_everywhere(e):
        e["smoke"][:], e["burning"][:], e["num_burning"] = FIRE, e["people"][0], CELLS

    refuses(burns_everywhere)
    refuses(lambda e: e["smoke"].__setitem__(slice(None), FIRE))
    env.set_state(env.get_state())
    env.step(np.zeros(2, int))


@pytest.mark.parametrize("settings", [{"people": 17}, {"spread": -0.1}, {"spread": 1.5}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must lie between 0 and"):
        make(1, **settings)


def test_the_quickest_fire_ends_every_episode():
    env = make(64, spread=1.0)
    for _ in range(130):
        env.step(np.zeros(64, int))
    assert (env.get_state()["info"]["health"] >= 0).all()
