"""The robot vacuum: its flats, its dynamics by hand, and its shortest tours beside brute force."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.envs.core import DrawingError, WorldVectorEnv, is_kept, ways_to
from meze.envs.vacuum.config import VacuumConfig
from meze.envs.vacuum.expert import find_tour
from meze.envs.vacuum.flat import BLOCKED, DIRT, FLATS, least_battery, letters_of, moves, read_flat
from meze.envs.vacuum.generator import draw_flat
from meze.envs.vacuum.state import CELLS, FORWARD, LEFT, RIGHT, SIDE, STEPS
from meze.envs.vacuum.world import Vacuum

WORLD = "meze.envs.vacuum.world:Vacuum"
ROOM = "XXXXXXX\nX....*X\nX.o:::X\nXD..%.X\nXXXXXXX"


def env_of(tmp_path, text, num_envs=1, **settings):
    path = tmp_path / "flat.txt"
    path.write_text(text)
    env = WorldVectorEnv(WORLD, num_envs, autoreset_mode=AutoresetMode.DISABLED, flat=str(path), **settings)
    env.reset(seed=0)
    return env


def drive(env, *actions):
    """Takes the actions; what the last step told: observation, reward, terminated, truncated, infos."""
    for action in actions:
        told = env.step(np.full(env.num_envs, action))
    return told


def cells(board):
    """(SIDE, SIDE) of a board's words."""
    return np.array([[int(board[r // 4]) >> 16 * (r % 4) + c & 1 for c in range(SIDE)] for r in range(SIDE)])


# ---------------------------------------------------------------- dynamics by hand


def test_forward_turns_and_what_is_in_the_way(tmp_path):
    env = env_of(tmp_path, ROOM)
    assert env.state["cell"][0] == 3 * SIDE + 1 and env.state["heading"][0] == 0
    assert drive(env, LEFT)[1] == -1 / 32 and env.state["heading"][0] == 3
    assert drive(env, FORWARD)[-1]["bumps"] == 1 and env.state["cell"][0] == 3 * SIDE + 1
    drive(env, RIGHT, FORWARD)
    assert env.state["cell"][0] == 2 * SIDE + 1
    assert drive(env, RIGHT, FORWARD)[-1]["bumps"] == 1  # furniture


def test_a_flat_is_cleaned_and_the_robot_comes_back(tmp_path):
    env = env_of(tmp_path, ROOM, actions="headings")
    up, right, down, left = range(4)
    told = drive(env, right, right, right)  # onto dirt on carpet, which takes 2
    assert told[1] == 1 - 1 / 32 and told[-1]["cleaned"] == 0.5 and env.state["battery"][0] == 200 - 4
    assert drive(env, up)[-1]["cleaned"] == 0.5 and env.state["battery"][0] == 200 - 6
    told = drive(env, right, up)
    assert told[-1]["cleaned"] == 1 and not told[2] and env.state["battery"][0] == 200 - 9
    told = drive(env, left, left, left, left, down, down)
    assert told[2] and told[-1]["success"] and told[1] == 10 - 1 / 32 and env.state["battery"][0] == 200


def test_the_battery_gets_flat(tmp_path):
    env = env_of(tmp_path, "# battery: 56\n" + ROOM, actions="headings")
    drive(env, 1, 1, 1)
    for _ in range(25):
        assert not drive(env, 2)[2]  # bumps on carpet take 2
    told = drive(env, 2)
    assert told[2] and told[-1]["flat_battery"] and told[1] == -10 - 1 / 32 and env.state["battery"][0] == 0


def test_pet_and_robot_never_swap_nor_meet():
    env = WorldVectorEnv(WORLD, 64, pool_size=16, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=3)
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        before = env.get_state()
        infos = env.step(rng.choice([FORWARD, FORWARD, LEFT, RIGHT], 64))[-1]
        now = env.state[env.state["elapsed"] > 0]
        assert (now["pet"] != now["cell"]).all() and (now["pet"] != now["came"])[now["pet"] > 0].all()
        docks = env.params.flats["dock"][now["flat"]]
        assert (now["pet"] != docks).all()
        was = before[env.state["elapsed"] > 0]
        hit = now["info"]["cost"] > 0
        ahead = was["cell"] + np.array(STEPS)[was["heading"]]
        assert (ahead[hit] == was["pet"][hit]).all() and (now["cell"][hit] == was["cell"][hit]).all()
        hits += infos["cost"].sum()
    assert hits > 20


def test_what_is_sensed_is_around_the_robot_and_around_free_cells_there(tmp_path):
    env = env_of(tmp_path, ROOM)
    wanted = np.zeros((SIDE, SIDE), int)
    wanted[1:5, 0:3] = wanted[2:5, 0:4] = 1  # around (2, 1), (3, 1) and (3, 2); (2, 2) is furniture
    assert (cells(env.state["known"][0, 0]) == wanted).all()
    for lines in ("known", "dirt"):
        rows, columns = env.state[lines][0]
        assert (cells(rows) == cells(columns).T).all()


def slow_senses(is_open, cell):
    """The same, cell by cell."""
    row, column = divmod(int(cell), SIDE)
    found = np.zeros((SIDE, SIDE), bool)
    for r in range(row - 1, row + 2):
        for c in range(column - 1, column + 2):
            if is_open[r, c]:
                found[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2] = True
    return found


@pytest.mark.parametrize("settings", [{}, {"remembered": False}, {"actions": "headings"}])
def test_planes_are_the_map_turned_to_where_the_robot_faces(settings):
    env = WorldVectorEnv(WORLD, 8, pool_size=8, autoreset_mode=AutoresetMode.DISABLED, **settings)
    obs, _ = env.reset(seed=5)
    act, known = env.reference("explorer"), np.zeros((8, SIDE, SIDE), bool)
    for _ in range(25):
        for i, e in enumerate(env.state):
            letters = letters_of(env.world.flats[e["flat"]].rows)
            is_open = ~np.isin(letters, list(BLOCKED))
            seen = slow_senses(is_open, e["cell"])
            known[i] = seen | (known[i] if env.world.config.remembered else False)
            pet = np.arange(CELLS).reshape(SIDE, SIDE) == e["pet"] if e["pet"] else np.zeros_like(is_open)
            dirt = cells(e["dirt"][0]) > 0
            planes = [known[i] & ~is_open, known[i] & is_open, known[i] & dirt]
            planes += [known[i] & np.isin(letters, list(":%")), pet, letters == "D"]
            wide = np.pad(planes, ((0, 0), (4, 4), (4, 4)))
            row, column = divmod(int(e["cell"]), SIDE)
            window = wide[:, row : row + 9, column : column + 9]
            if "actions" not in settings:
                window = np.rot90(window, int(e["heading"]), axes=(1, 2))
            for k in (0, 1, 2, 3, 5):
                assert (obs[i, k] == 255 * window[k]).all(), env.world.observation_names[k]
            inner = np.zeros((9, 9), bool)
            inner[2:7, 2:7] = True
            assert (obs[i, 4] == 255 * (window[4] & inner)).all()
            assert (obs[i, 6] == e["battery"]).all()
        obs = env.step(act())[0]


def test_the_sign_leads_to_the_nearest_dirt_by_cells_that_are_known():
    env = WorldVectorEnv(WORLD, 16, pool_size=16, observation="index", autoreset_mode=AutoresetMode.DISABLED)
    obs, _ = env.reset(seed=1)
    act, told = env.reference("explorer"), 0
    for _ in range(40):
        for i, e in enumerate(env.state):
            is_open = ~np.isin(letters_of(env.world.flats[e["flat"]].rows), list(BLOCKED)) & (
                cells(e["known"][0]) > 0
            )
            dirt, here = (is_open & (cells(e["dirt"][0]) > 0)).ravel(), int(e["cell"])
            steps = {here: 0}
            queue = [here]
            for cell in queue:
                for step in STEPS:
                    if is_open.ravel()[cell + step] and cell + step not in steps:
                        steps[cell + step] = steps[cell] + 1
                        queue.append(cell + step)
            near = [steps[c] for c in np.flatnonzero(dirt) if c in steps]
            to = np.unravel_index(int(obs[i]), (13, 4, 2, 3, 3, 3))[0]
            assert (to < 12 and to % 3 == 0) == bool(near)
            if near:
                told += 1
                first = here + STEPS[(int(e["heading"]) + to // 3) % 4]
                # From the first cell of a shortest way the rest is one step shorter.
                again, queue = {first: 0}, [first]
                for cell in queue:
                    for step in STEPS:
                        if is_open.ravel()[cell + step] and cell + step not in again:
                            again[cell + step] = again[cell] + 1
                            queue.append(cell + step)
                assert min(again[c] for c in np.flatnonzero(dirt) if c in again) == min(near) - 1
        obs = env.step(act())[0]
    assert told > 50


# ---------------------------------------------------------------- flats


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "3 to 16 rows of 3 to 16 letters; here are 0 of 0"),
        ("XX\nXX", "here are 2 of 2"),
        ("X" * 17 + "\nXD*X\nXXXX", "here are 3 of 17"),
        ("XXXX\nXDqX\nXXXX", "line 2, column 3: 'q' is none of"),
        ("XXXX\nX.*X\nXXXX", "a flat has one dock; this one has none"),
        ("XXXXX\nXDD*X\nXXXXX", "a flat has one dock; this one has 2"),
        ("XXXXXX\nXPPD*X\nXXXXXX", "at most one pet; this one has 2"),
        ("XXXX\nXD.X\nXXXX", "some dirt; this one has none"),
        ("XXXX\n.D*X\nXXXX", "line 2, column 1: the flat is open here"),
        ("XXXXX\nXDX*X\nXXXXX", "line 2, column 4: no way leads from here to the dock"),
        ("# battery: 0\nXXXX\nXD*X\nXXXX", "battery is a whole number from 1 to 250; got 0"),
        ("# battery: 9\nXXXX\nXD*X\nXXXX", "the dirt needs a battery of"),
        (
            "# colour: red\nXXXX\nXD*X\nXXXX",
            "line 1: `# name: value` has one of title, battery;",
        ),
    ],
)
def test_what_is_wrong_with_a_flat_is_told_in_one_line(text, words):
    with pytest.raises(DrawingError) as caught:
        read_flat(text, "mine.txt")
    assert words in str(caught.value) and "\n" not in str(caught.value) and "mine.txt" in str(caught.value)


def test_settings_that_are_not_possible():
    with pytest.raises(ValueError, match="pool_size"):
        VacuumConfig(pool_size=0)


def test_generated_flats_are_connected_and_splits_share_none():
    train, test = (FLATS.load("generated", draw_flat, split, 100) for split in ("train", "test"))
    assert draw_flat(7) == draw_flat(7)
    assert not any(is_kept(each.rows) for each in train) and all(is_kept(each.rows) for each in test)
    assert len({each.rows for each in (*train, *test)}) == 200
    for flat in train:
        is_open = ~np.isin(letters_of(flat.rows).ravel(), list(BLOCKED))
        found = {int(np.flatnonzero(is_open)[0])}
        queue = list(found)
        for cell in queue:
            new = {cell + step for step in STEPS if is_open[cell + step]} - found
            found |= new
            queue += new
        assert len(found) == is_open.sum() and flat.values["battery"] >= least_battery(letters_of(flat.rows))


def test_records_that_no_kernel_should_meet(tmp_path):
    env = env_of(tmp_path, ROOM)
    for field, value, words in (
        ("cell", 0, "cell is in a wall"),
        ("cell", 2 * SIDE + 2, "cell is in a wall"),
        ("pet", -1, "pet is -1"),
        ("heading", 4, "heading is 4"),
        ("flat", 1, "flat is 1"),
        ("dirty", 7, "dirty is not the number"),
        ("dirt", 1, "dirt is where its flat has none"),
        ("battery", 201, "battery is 201"),
    ):
        state = env.get_state()
        state[field] = value
        with pytest.raises(ValueError, match=words):
            env.set_state(state)


# ---------------------------------------------------------------- tours


def brute_force(flat, turns):
    """Ticks of the shortest tour, over all orders of the dirty cells."""
    after, letters = moves(letters_of(flat.rows), turns), letters_of(flat.rows).ravel()
    dirty, dock = np.flatnonzero(np.isin(letters, list(DIRT))), int(np.flatnonzero(letters == "D")[0])
    headings = CELLS * np.arange(4)
    ticks = {
        int(c): ways_to(after, headings + c) for c in [*dirty, dock]
    }  # (4, STATES) to each way to arrive
    best = np.inf
    for order in permutations(map(int, dirty)):
        cost, here = np.array([0.0]), np.array([dock])
        for cell in (*order, dock):
            cost = (cost[None] + ticks[cell][:, here]).min(axis=1)
            here = headings + cell
        best = min(best, cost.min())
    return best


SMALL = [
    "XXXXXXX\nX*...*X\nX.oo..X\nXD.*.*X\nXXXXXXX",
    "XXXXXXX\nX*X..*X\nX.X.X.X\nX...X*X\nX*XDX.X\nXXXXXXX",
]


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("text", SMALL)
def test_the_exact_tour_is_that_of_brute_force(text, turns):
    flat = read_flat(text, "small")
    tour = find_tour(flat, turns, 1 << 20)
    assert tour.is_best and tour.ticks == brute_force(flat, turns)


@pytest.mark.parametrize("actions", ["turns", "headings"])
def test_the_expert_is_within_a_tenth_of_the_exact_tour_on_small_flats(tmp_path, actions):
    flats = [
        flat for flat in map(draw_flat, range(40)) if np.isin(letters_of(flat.rows), list(DIRT)).sum() <= 9
    ]
    assert len(flats) >= 5
    for flat in flats:
        rows = "\n".join(flat.rows).replace("P", ".").replace(":", ".").replace("%", "*")
        env = env_of(tmp_path, f"# battery: 250\n{rows}", actions=actions)
        act, ticks = env.reference("expert"), 0
        while not env.state["info"]["success"][0]:
            assert not env.step(act())[2].any() or env.state["info"]["success"][0]
            ticks += 1
        tour = find_tour(env.world.flats[0], actions == "turns", 1 << 20)
        assert tour.is_best and tour.ticks <= ticks <= 1.1 * tour.ticks


def test_three_flats_are_shipped_and_the_expert_cleans_them():
    assert len(FLATS.names()) == 3
    env = WorldVectorEnv(WORLD, 30, flat="shipped", max_episode_steps=512)
    env.reset(seed=0)
    act, ended, cleaned = env.reference("expert"), np.zeros(30, bool), np.zeros(30, bool)
    for _ in range(400):
        _, _, terminated, _, infos = env.step(act())
        cleaned |= infos["success"] & ~ended
        ended |= terminated
    assert ended.all() and cleaned.mean() > 0.9


def test_pictures_show_what_is_clean_known_and_moved():
    env = WorldVectorEnv(WORLD, 2, flat="03-the-cat-in-the-door", autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    renderer, act = env.world.renderer(), env.reference("expert")
    pictures = [renderer.draw(env.state, 0)]
    for _ in range(20):
        env.step(act())
    env.step(np.full(2, RIGHT))
    pictures += [renderer.draw(env.state, 0, phase=phase, hud={"agent": "expert"}) for phase in (0.0, 1.0)]
    assert all(each.dtype == np.uint8 and each.shape == pictures[0].shape for each in pictures)
    assert all((a != b).any() for a, b in zip(pictures, pictures[1:], strict=False))
    assert (renderer.draw(env.state, 0, hud={"agent": "expert"}) == pictures[2]).all()


def test_numbers_in_words():
    world = Vacuum(VacuumConfig(observation="index", pool_size=1))
    words = world.describe(int(np.ravel_multi_index((3 * 3 + 1, 2, 1, 0, 1, 2), (13, 4, 2, 3, 3, 3))))
    assert words[:3] == ["left: what is unknown", "way home: behind", "time to go home"]
    assert words[3:] == ["left: clean", "ahead: in the way", "right: dirt"]
