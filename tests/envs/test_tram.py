"""The tram: its scenes, its dynamics by hand, and the process that they are."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.agents.fronts import coverage_set
from meze.envs.core import DrawingError, MOWorldEnv, WorldEnv, WorldVectorEnv
from meze.envs.tram.config import TramConfig
from meze.envs.tram.expert import WEIGHTS, planner
from meze.envs.tram.generator import MOST, draw_scene
from meze.envs.tram.process import expected_costs, process_of, solve
from meze.envs.tram.scene import SCENES, lay_out, read_scene
from meze.envs.tram.state import BELL, BRAKE, BRAKE_HARD, COAST, SWITCH
from meze.envs.tram.world import Tram
from meze.runners import cli
from scipy.spatial import ConvexHull

WORLD = "meze.envs.tram.world:Tram"


def env_of(tmp_path, text, num_envs=1, **settings):
    path = tmp_path / "scene.txt"
    path.write_text(text)
    env = WorldVectorEnv(WORLD, num_envs, autoreset_mode=AutoresetMode.DISABLED, scene=str(path), **settings)
    env.reset(seed=0)
    return env


def drive(env, *actions):
    """Totals of the costs, and where the tram is."""
    total = np.zeros(3)
    for action in actions:
        infos = env.step(np.full(env.num_envs, action))[-1]
        total += [infos[name].mean() for name in ("harm_outside", "harm_aboard", "delay")]
    return total.tolist(), int(env.state["cell"][0]), int(env.state["speed"][0])


# ---------------------------------------------------------------- dynamics by hand


def test_who_stands_on_the_rails_is_hit_once(tmp_path):
    env = env_of(tmp_path, "# speed: 2\nT--3-----E")
    assert drive(env, COAST) == ([3.0, 0.0, 1.0], 3, 3)
    assert drive(env, COAST, COAST) == ([0.0, 0.0, 2.0], 9, 5) and env.state["info"]["success"][0]


def test_brakes_and_those_aboard(tmp_path):
    env = env_of(tmp_path, "# speed: 4\n# aboard: 3\n# falls: 1\nT-----------p--E")
    assert drive(env, BRAKE) == ([0.0, 0.0, 1.0], 3, 3)
    assert drive(env, BRAKE_HARD) == ([0.0, 3.0, 1.0], 4, 1)
    assert drive(env, BRAKE_HARD) == ([0.0, 0.0, 1.0], 4, 0)  # slow: nobody falls


@pytest.mark.parametrize(("gap", "left"), [(2, 0), (3, 1)])
def test_everybody_steps_off_before_a_tram_that_stands_near(tmp_path, gap, left):
    env = env_of(tmp_path, f"# speed: 1\n# aboard: 0\nT{'-' * gap}p--E")
    drive(env, BRAKE)
    assert env.state["waiting"][0] == left


def test_the_bell_is_heard_by_chance_and_near(tmp_path):
    env = env_of(tmp_path, "# speed: 1\n# hears: 0.25\nT-----PP--P-p---E", num_envs=4000)
    drive(env, BELL)
    gone = [1 - (env.state["waiting"] >> k & 1).mean() for k in range(4)]
    assert gone[:2] == pytest.approx([0.25, 0.25], abs=0.03) and gone[2:] == [0, 0]  # too far; deaf


def test_the_next_switch_is_thrown_but_not_the_one_under_the_tram(tmp_path):
    env = env_of(tmp_path, "# speed: 0\n...../---E\nT-Y-Y----E\n...\\-----E")
    assert env.action_masks()[0].tolist() == [1, 0, 0, 1, 1]
    drive(env, SWITCH, SWITCH, SWITCH)
    assert env.state["aside"][0] == 1
    drive(env, COAST, COAST)  # 1 and 2 cells: beyond the switch, on its branch
    assert env.action_masks()[0, SWITCH] == 0
    (_, cell, _), layout = drive(env, BELL), env.params.scenes[0]
    assert layout["at"][cell][0] == 2


# ---------------------------------------------------------------- scenes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "here are 0 of 0"),
        ("T--x-E", "line 1, column 4: 'x' is none of"),
        ("T-----", "line 1, column 6: no rails follow this -"),
        ("---E", "one T"),
        ("T-T-E", "has 2"),
        ("T-Y-E", "line 1, column 3"),
        ("T---E\n---E", "line 2, column 1: the tram never comes here"),
        ("# speed: 9\nT-E", "speed is a whole number from 0 to 5; got 9"),
        ("# hears: often\nT-E", "hears is a number from 0 to 1; got often"),
        (
            "# colour: red\nT-E",
            "one of title, question, speed, aboard, hears, falls; got # colour: red",
        ),
        ("TppppppE", "line 1, column 7: there are people in more than 5"),
        ("T" + "-" * 40 + "E", "of 1 to 32 letters; here are 1 of 42"),
    ],
)
def test_what_is_wrong_with_a_scene_is_told_in_one_line_with_its_place(text, words):
    with pytest.raises(DrawingError) as caught:
        read_scene(text, "mine.txt")
    assert words in str(caught.value) and "\n" not in str(caught.value) and "mine.txt" in str(caught.value)


def test_a_dozen_are_shipped_and_each_asks_something():
    scenes = SCENES.load("shipped", draw_scene, "train", 1)
    assert len(scenes) == len(SCENES.names()) == 12 and all(
        each.values["question"].endswith(("?", ".")) for each in scenes
    )


def test_a_table_of_generated_scenes_fits_those_of_other_splits(tmp_path):
    splits = [TramConfig(observation="index", split=split) for split in ("train", "test")]
    assert len({Tram(config).observation_space.n for config in splits}) == 1
    drawn = [lay_out(draw_scene(seed)) for seed in range(300)]
    most = [max(int(each[name]) for each in drawn) for name in ("cells", "switches", "places")]
    assert 50 < most[0] <= MOST[0] and tuple(most[1:]) == MOST[1:]
    args = ["train", "q-learning", "tram", "--env.scene", "generated", "--env.pool-size", "2"]
    assert cli.main([*args, "--steps", "2000", "--eval-episodes", "4", "--out", str(tmp_path)]) == 0


def test_generated_scenes_can_be_driven_and_splits_share_none():
    train, test = (SCENES.load("generated", draw_scene, split, 500) for split in ("train", "test"))
    assert draw_scene(7) == draw_scene(7)
    content = [{(each.rows, *each.values.values()) for each in part} for part in (train, test)]
    assert not content[0] & content[1] and len(content[0]) > 450
    for scene in train:
        layout = lay_out(scene)
        ahead = layout["ahead"][: layout["cells"]]
        assert (ahead[:, 0] > np.arange(len(ahead))).sum() == (
            ahead[:, 0] >= 0
        ).sum()  # nobody drives in a ring


# ---------------------------------------------------------------- the process


@pytest.mark.parametrize("scene", ["02-the-bell", "10-three-ways"])
def test_the_process_is_what_the_world_does(scene):
    env = WorldVectorEnv(WORLD, 20_000, autoreset_mode=AutoresetMode.DISABLED, scene=scene)
    process, rng = process_of(env.world, 0), np.random.default_rng(0)
    for _ in range(4):
        env.reset(seed=int(rng.integers(10**9)))
        state, total, mean, chance = 0, np.zeros(3), np.zeros(3), np.zeros(len(process.numbers))
        chance[state] = 1.0
        actions = rng.integers(0, 5, 6)
        for action in actions:
            infos = env.step(np.full(env.num_envs, action))[-1]
            if env.state["info"]["success"].any():
                break  # whoever has arrived goes no further in the process
            total += [infos[name].mean() for name in ("harm_outside", "harm_aboard", "delay")]
            mean += chance @ process.cost[:, action]
            moved = np.zeros_like(chance)
            np.add.at(moved, process.after[:, action], chance[:, None] * process.chance[:, action])
            chance = moved
        assert total == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize("weights", [WEIGHTS, np.array([1.0, 2.0, 0.3]), np.array([0.0, 0.0, 1.0])])
def test_the_plan_is_the_best_of_all_deterministic_ones(tmp_path, weights):
    env = env_of(tmp_path, "# speed: 2\n# aboard: 2\n# falls: 0.5\n# hears: 0.5\nT-P-E")
    process = process_of(env.world, 0)
    free = [np.flatnonzero(row) if row.any() else [0] for row in process.possible]
    assert np.prod([float(len(each)) for each in free]) < 1e9
    planned = expected_costs(process, solve(process, weights)) @ weights
    rng = np.random.default_rng(0)
    for _ in range(3000):  # of the millions of others
        other = expected_costs(process, np.array([rng.choice(each) for each in free]))
        assert other is None or other @ weights >= planned - 1e-9


def test_the_expert_costs_what_its_plan_says():
    env = WorldVectorEnv(WORLD, 20_000, autoreset_mode=AutoresetMode.SAME_STEP, scene="07-who-hears")
    env.reset(seed=1)
    process = process_of(env.world, 0)
    wanted = expected_costs(process, solve(process, WEIGHTS))
    plan, going, total = planner(env.world), np.ones(env.num_envs, bool), np.zeros(3)
    while going.any():
        _, _, ended, _, infos = env.step(plan(env.params, env.state))
        source = infos["final_info"] if "final_info" in infos else infos
        for k, name in enumerate(("harm_outside", "harm_aboard", "delay")):
            values = np.where(ended, source[name], infos[name])
            total[k] += values[going].sum()
        going &= ~ended
    assert total / env.num_envs == pytest.approx(wanted, abs=0.06)


def lower_hull(points):
    """Some points, less those that no weights of at least 0 prefer; of few only what others dominate."""
    found = np.zeros((0, 3))
    for row in np.unique(points.round(9), axis=0):
        if not (found <= row + 1e-12).all(axis=1).any():
            found = np.vstack([found, row])
    if len(found) <= 8:
        return found
    away = found.min(axis=0) + 100 * np.eye(3) * (1 + np.ptp(found, axis=0).max())
    kept = ConvexHull(np.concatenate([found, away]), qhull_options="QJ").vertices
    return found[kept[kept < len(found)]]


def all_policies(process, ticks=60):
    """(P, 3) what the policies of a process cost, dominated ones left out: convex hull value iteration.

    Each state has a set of points, one for each way to go on, which grows backwards from the end (Barrett &
    Narayanan 2008, "Learning all optimal policies with multiple criteria").
    """
    over = ~process.possible.any(axis=1)
    ways = [np.zeros((int(each), 3)) for each in over]
    for _ in range(ticks):
        before, ways = ways, list(ways)
        for state in np.flatnonzero(~over):
            found = [np.zeros((0, 3))]
            for action in np.flatnonzero(process.possible[state]):
                after, of_case = np.unique(process.after[state, action], return_inverse=True)
                chance = np.bincount(of_case, process.chance[state, action])
                total = process.cost[state, action][None]
                for successor, share in zip(after[chance > 0], chance[chance > 0], strict=True):
                    total = (total[:, None] + share * before[successor]).reshape(-1, 3)
                    total = lower_hull(total)
                found.append(total)
            ways[state] = lower_hull(np.concatenate(found))
        pairs = zip(before, ways, strict=True)
        if all(len(a) == len(b) and np.allclose(a, b, atol=1e-9) for a, b in pairs):
            return ways[0]
    return ways[0]


@pytest.mark.parametrize("scene", SCENES.names())
def test_the_front_of_a_scene_is_that_of_all_its_policies(scene):
    world = Tram(TramConfig(scene=scene))
    front, every = coverage_set(world.least_costs, 3), all_policies(process_of(world, 0))
    weights = np.maximum(np.random.default_rng(0).dirichlet(np.ones(3) / 2, 2000), 1e-4)
    assert (front @ weights.T).min(axis=0) == pytest.approx((every @ weights.T).min(axis=0), abs=1e-6)
    assert len(front) <= len(every)


def test_the_front_of_several_scenes_is_that_of_who_knows_in_which_it_drives():
    several = Tram(TramConfig(scene="shipped"))
    each = [Tram(TramConfig(scene=name)) for name in SCENES.names()]
    for weights in ([1.0, 1.0, 0.1], [30.0, 1.0, 0.2]):
        alone = [world.least_costs(np.array(weights)) for world in each]
        assert several.least_costs(np.array(weights)) == pytest.approx(np.mean(alone, axis=0))


def test_settings_that_are_not_possible():
    with pytest.raises(ValueError, match="pool_size"):
        Tram(TramConfig(pool_size=0))
    with pytest.raises(ValueError, match="split"):
        TramConfig(split="tset")  # type: ignore[arg-type]


def test_all_letters_of_the_grid(tmp_path):
    env = env_of(tmp_path, "# speed: 3\n# hears: 1\nT--Y-P-3--E\n....\\-----E")
    obs = env.step(np.array([BELL]))[0][0]
    names = env.world.observation_names
    planes = dict(zip(names, obs, strict=True))
    row = planes["rails"].any(axis=1).argmax()
    assert planes["people who hear"].max() == 0 and planes["people who don't hear"][row].max() == 84
    assert set(np.unique(planes["switches"])) == {0, 128} and planes["speed"].min() == 51 * 3


def test_rewards_may_be_vectors():
    env, single = MOWorldEnv(WORLD, scene="03-those-aboard"), WorldEnv(WORLD, scene="03-those-aboard")
    assert env.reward_space.shape == (4,)
    env.reset(seed=3), single.reset(seed=3)
    for action in (BRAKE, BRAKE_HARD, COAST):
        (_, vector, *_), (_, reward, *_, info) = env.step(action), single.step(action)
        costs = [info[cost.name] for cost in env.world.costs]
        assert vector in env.reward_space and vector.tolist() == [reward, *(-float(each) for each in costs)]
    with pytest.raises(ValueError, match="Kiosk tells no costs apart"):
        MOWorldEnv("meze.envs.kiosk.world:Kiosk")
