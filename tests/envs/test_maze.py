"""The maze: what is drawn, its dynamics by hand, and exact values of a tiny one."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from meze.envs.core import DrawingError, WorldVectorEnv, first_seed
from meze.envs.maze.config import MazeConfig
from meze.envs.maze.generator import draw_maze
from meze.envs.maze.kernels import CHASER, CIRCLER, CUTTER, WANDERER
from meze.envs.maze.plan import MAZES, lay_out, read_maze
from meze.envs.maze.state import COLUMNS, DOWN, EYES, HUNTS, LEFT, RIGHT, ROWS, SCARED, UP
from meze.envs.maze.world import MazeWorld

WORLD = "meze.envs.maze.world:MazeWorld"
RING = """
XXXXXXXXX
X..o....X
X.XXXXX.X
X.XXXXX.X
X-XXXXX-X
X-XXXXX-X
X-XXXXX-X
XS-----GX
XXXXXXXXX
"""
HALL = """
XXXXXXXXXXX
X---------X
X---------X
X---------X
X---------X
XG---S---.X
X---------X
X---------X
X---------X
X---------X
XXXXXXXXXXX
"""


def env_of(tmp_path, text, **settings):
    path = tmp_path / "maze.txt"
    path.write_text(text)
    env = WorldVectorEnv(WORLD, 1, autoreset_mode=AutoresetMode.DISABLED, maze=str(path), **settings)
    env.reset(seed=0)
    return env


def put(env, **fields):
    """Writes fields of the record; whatever it makes of it must be a state."""
    state = env.get_state()
    for name, value in fields.items():
        state[name][0] = value
    env.set_state(state)


def cell_at(env, row, column):
    places = env.params.mazes[0]["place"][: env.params.mazes[0]["cells"]]
    return int(np.flatnonzero((places == (row, column)).all(axis=1))[0])


def place_of(env, who):
    return tuple(env.params.mazes[0]["place"][env.state["cell"][0, who]].tolist())


# ---------------------------------------------------------------- dynamics by hand


def test_it_goes_straight_on_where_the_way_is_shut_and_through_tunnels():
    env = WorldVectorEnv(WORLD, 1, maze="02-five-tunnels", ghosts=0)
    env.reset(seed=0)
    put(env, cell=[cell_at(env, 3, 1), *env.state["cell"][0, 1:]])
    env.step([LEFT]), env.step([UP])
    assert place_of(env, 0) == (3, 18)  # out on the left, in on the right; no way up
    assert env.action_masks()[0].tolist() == [0, 1, 0, 1]


def test_pellets_count_once_and_the_last_one_clears(tmp_path):
    env = env_of(tmp_path, RING, ghosts=0)
    put(env, cell=cell_at(env, 4, 1))
    rewards = [env.step([action])[1][0] for action in [UP, UP, UP, RIGHT, LEFT, RIGHT]]
    tick, pellet = -1 / 64, 1 / 8
    assert rewards == [tick + pellet] * 4 + [tick] * 2
    put(env, cell=cell_at(env, 1, 2))
    told = [env.step([RIGHT]) for _ in range(5)] + [env.step([DOWN]) for _ in range(2)]
    assert told[-1][2][0] and told[-1][1][0] == tick + pellet + 5 and env.state["info"]["success"][0]
    assert not any(each[2][0] for each in told[:-1]) and told[-1][4]["pellets"][0] == 1


def test_ghosts_leave_home_in_turn_at_their_speed(tmp_path):
    env = env_of(tmp_path, HALL, difficulty=1.0)
    home, left = env.state["cell"][0, 1], []
    for _ in range(34):
        env.step([LEFT])
        left.append(env.state["cell"][0, 1:] != home)
        put(env, done=False)  # whoever is caught plays on
    first = [int(np.argmax([row[g] for row in left])) for g in range(4)]
    assert first == [
        1 + 8 * g for g in range(4)
    ]  # 15/16 of a cell a tick: over the first border at the second


@pytest.mark.parametrize("is_swap", [False, True])
@pytest.mark.parametrize(("mode", "reward"), [(HUNTS, -5), (SCARED, 0.5), (EYES, 0)])
def test_who_meets_whom(tmp_path, is_swap, mode, reward):
    env = env_of(tmp_path, HALL, ghosts=1)
    cells = [cell_at(env, 5, 5), cell_at(env, 5, 6 if is_swap else 7)]
    put(env, cell=[*cells, 0, 0, 0], heading=[RIGHT, LEFT, 0, 0, 0], way=15, mode=mode, power=9, last=LEFT)
    _, rewards, over, _, infos = env.step([RIGHT])
    assert rewards[0] == -1 / 64 + reward and over[0] == (mode == HUNTS) == infos["cost"][0]
    assert infos["ghosts"][0] == (mode == SCARED) and env.state["mode"][0, 0] == max(mode, 2 * (mode > 0))


def test_power_turns_the_hunt_round_and_eyes_hunt_again_from_home(tmp_path):
    env = env_of(tmp_path, RING, ghosts=1, difficulty=0.0)
    put(
        env,
        cell=[cell_at(env, 1, 2), cell_at(env, 1, 6), 0, 0, 0],
        heading=[RIGHT, LEFT, 0, 0, 0],
        last=LEFT,
        way=0,
    )
    env.step([RIGHT])
    assert env.state["mode"][0, 0] == SCARED and env.state["power"][0] == 48
    assert env.state["heading"][0, 1] == RIGHT
    modes = [SCARED]
    for _ in range(40):
        row, column = place_of(env, 0)
        env.step([RIGHT if row == 1 and column < 7 else DOWN if column == 7 and row < 7 else LEFT])
        modes.append(int(env.state["mode"][0, 0]))
        if modes[-1] == HUNTS:
            break
    assert EYES in modes and modes[-1] == HUNTS and env.state["power"][0] > 0  # it is not scared anew


def aim(env, g, eater, chaser, heading, scatters):
    """Where a ghost in the middle of the hall turns, by the rule as the manual tells it."""
    ahead = np.array([ROWS[heading], COLUMNS[heading]])
    eater, chaser = np.array(eater), np.array(chaser)
    corners = (0, 10), (0, 0), (10, 10), (10, 0)
    target = {CHASER: eater, CUTTER: eater + 4 * ahead, CIRCLER: 2 * eater - chaser}[g]
    target = np.array(corners[g]) if scatters else target
    worth = [((np.array([5 + ROWS[d], 5 + COLUMNS[d]]) - target) ** 2).sum() for d in range(4)]
    worth[LEFT] = 1000  # it came going right
    return int(np.argmin(worth))


@pytest.mark.parametrize("g", [CHASER, CUTTER, CIRCLER])
def test_ghosts_turn_by_their_characters(tmp_path, g):
    env, rng = env_of(tmp_path, HALL), np.random.default_rng(g)
    for _ in range(60):
        scatters, heading = int(rng.integers(2)), int(rng.integers(4))
        (row, column), chaser = rng.integers(1, 10, 2), tuple(rng.integers(1, 10, 2).tolist())
        cells = [cell_at(env, row, column), *[cell_at(env, *chaser)] * 4]
        cells[1 + g] = cell_at(env, 5, 4)
        chaser = (5, 4) if g == CHASER else chaser
        headings = [heading, *[RIGHT] * 4]
        put(
            env,
            cell=cells,
            heading=headings,
            last=RIGHT,
            wait=9,
            scatters=scatters,
            way=15,
            mode=HUNTS,
            clock=9,
        )
        put(env, wait=[0 if k == g else 9 for k in range(4)], done=False, elapsed=1)
        env.step([UP])
        assert place_of(env, 1 + g) == (5, 5)
        assert env.state["heading"][0, 1 + g] == aim(env, g, (row, column), chaser, heading, scatters)


def test_the_wanderer_goes_anywhere_but_back(tmp_path):
    env = env_of(tmp_path, HALL)
    turns = []
    for seed in range(300):
        env.reset(seed=seed)
        cells = [0, 0, 0, 0, cell_at(env, 5, 4)]
        put(env, cell=cells, heading=[0, *[RIGHT] * 4], last=RIGHT, way=15, wait=[9, 9, 9, 0])
        env.step([UP])
        turns.append(int(env.state["heading"][0, 1 + WANDERER]))
    assert np.bincount(turns, minlength=4) == pytest.approx([100, 100, 100, 0], abs=30)


def test_ghosts_scatter_and_chase_by_the_clock_and_turn_round(tmp_path):
    env = env_of(tmp_path, RING, ghosts=1, difficulty=0.0)
    seen = []
    for step in range(130):
        put(
            env,
            cell=[cell_at(env, 6, 7), cell_at(env, 7, 4), 0, 0, 0],
            done=False,
            heading=[0, LEFT, 0, 0, 0],
        )
        put(env, last=LEFT, way=0)
        env.step([UP])
        seen.append((step, int(env.state["scatters"][0]), int(env.state["heading"][0, 1])))
    changes = [
        step for (_, before, _), (step, after, _) in zip(seen, seen[1:], strict=False) if before != after
    ]
    assert changes == [39, 39 + 48, 39 + 48 + 40]
    assert all(seen[step][2] == RIGHT for step in changes) and seen[0][2] == LEFT


# ---------------------------------------------------------------- exact values

TINY = """
XXXXXXXXX
XS-----.X
X-XX-XX-X
X-XX-XX-X
X---.---X
X-XX-XX-X
X-XX-XX-X
X.-----GX
XXXXXXXXX
"""
GAMMA = 0.95


def tiny_model(env):
    """Eater, chaser and three pellets, told anew from the manual, for value iteration.

    A state is (eater, ghost, heading, last, sixteenths gone, pellets left); the ghost chases for ever.
    Returned are where a direction leads, and a step `(state, direction) -> (reward, state or None)`.
    """
    m = env.params.mazes[0]
    places = [tuple(each) for each in m["place"][: m["cells"]].tolist()]
    free, speed = set(places), env.params.speed
    moves = list(zip(ROWS, COLUMNS, strict=True))

    def onward(place, d):
        to = place[0] + moves[d][0], place[1] + moves[d][1]
        return to if to in free else None

    def decide(ghost, last, eater):
        open_ways = [d for d in range(4) if d != (last + 2) % 4 and onward(ghost, d)]
        return min(
            open_ways, key=lambda d: sum((a - b) ** 2 for a, b in zip(onward(ghost, d), eater, strict=True))
        )

    def step(state, d):
        eater, ghost, heading, last, way, food = state
        to, before, way = onward(eater, d), ghost, way + speed
        if way >= 16:
            ghost, last, way = onward(ghost, heading), heading, way - 16
            heading = decide(ghost, last, eater)
        reward = -1 / 64 + (1 / 8 if to in food else 0)
        food = food - {to}
        if ghost == to or (ghost == eater and to == before):
            return reward - 5, None
        return (reward + 5, None) if not food else (reward, (to, ghost, heading, last, way, food))

    return onward, step


def values_of(start, onward, step):
    """State to value and best direction, of all that can follow: value iteration until nothing changes."""
    follows, fresh = {}, [start]
    while fresh:
        state = fresh.pop()
        if state not in follows:
            follows[state] = {d: step(state, d) for d in range(4) if onward(state[0], d)}
            fresh += [after for _, after in follows[state].values() if after]
    numbers = {state: k for k, state in enumerate(follows)}
    rewards, after = np.full((len(numbers), 4), -np.inf), np.full((len(numbers), 4), len(numbers))
    for state, k in numbers.items():
        for d, (reward, to) in follows[state].items():
            rewards[k, d], after[k, d] = reward, numbers[to] if to else len(numbers)
    value = np.zeros(len(numbers) + 1)
    while True:
        worth = rewards + GAMMA * value[after]
        change = np.abs(worth.max(axis=1) - value[:-1]).max()
        value[:-1] = worth.max(axis=1)
        if change < 1e-12:
            return numbers, value, worth.argmax(axis=1)


def solved(env):
    """The start of a tiny maze, its steps, and what `values_of` finds."""
    onward, step = tiny_model(env)
    m = env.params.mazes[0]
    places = [tuple(each) for each in m["place"][: m["cells"]].tolist()]
    food = frozenset(place for place, at in zip(places, m["at"], strict=False) if env.state["food"][0, at])
    heading, last = int(env.state["heading"][0, 1]), int(env.state["last"][0, 0])
    start = places[m["start"]], places[m["home"]], heading, last, 0, food
    return start, step, *values_of(start, onward, step)


def test_the_world_gives_what_value_iteration_over_eater_and_chaser_says(tmp_path):
    env = env_of(tmp_path, TINY, ghosts=1, difficulty=1.0)
    put(env, scatters=0, clock=env.params.chase)
    begin = env.get_state()
    start, step, numbers, value, best = solved(env)
    rng = np.random.default_rng(0)
    for part in (0.0, 0.1, 0.3, 1.0):  # random steps among the best ones
        for _ in range(10):
            env.set_state(begin)
            state, total, k = start, 0.0, 0
            while state and k < env.params.chase - 1:  # before the clock turns it round
                free = np.flatnonzero(env.action_masks()[0])
                d = int(rng.choice(free)) if rng.random() < part else int(best[numbers[state]])
                wanted, state = step(state, d)
                told = env.step([d])
                assert told[1][0] == wanted and told[2][0] == (state is None)
                total, k = total + GAMMA**k * wanted, k + 1
            if part == 0:
                assert state is None and total == pytest.approx(value[numbers[start]])


def test_the_expert_is_no_better_than_the_best_and_hardly_worse(tmp_path):
    env = env_of(tmp_path, TINY, ghosts=1, difficulty=1.0)
    put(env, scatters=0, clock=env.params.chase)
    start, _, numbers, value, _ = solved(env)
    act, total = env.reference("expert"), 0.0
    for k in range(100):
        _, rewards, over, _, _ = env.step(act())
        total += GAMMA**k * rewards[0]
        if over[0]:
            break
    assert value[numbers[start]] - 0.5 < total <= value[numbers[start]] + 1e-9


# ---------------------------------------------------------------- mazes


@pytest.mark.parametrize(("width", "height"), [(19, 15), (17, 13), (15, 15), (9, 9), (11, 9)])
def test_generated_mazes_are_symmetric_whole_and_without_dead_ends(width, height):
    for seed in range(40):
        maze = draw_maze(seed, width, height)
        assert maze == draw_maze(seed, width, height)
        assert all(row == row[::-1] for row in maze.rows)
        assert (len(maze.rows), len(maze.rows[0])) == (height, width)
        rows, tunnels = maze.rows, [row for row in maze.rows if row[0] != "X"]
        assert len(tunnels) == 1 and "".join(rows).count("o") == 4
        free = {(r, c) for r in range(height) for c in range(width) if rows[r][c] != "X"}
        beside = {
            (r, c): {((r + dr) % height, (c + dc) % width) for dr, dc in zip(ROWS, COLUMNS, strict=True)}
            & free
            for r, c in free
        }
        assert min(map(len, beside.values())) >= 2
        reached, fresh = set(), [min(free)]
        while fresh:
            place = fresh.pop()
            fresh += beside[place] - reached
            reached.add(place)
        assert reached == free


def test_tables_of_distances_are_those_of_breadth_first_search():
    m, (near, away, toward) = lay_out(draw_maze(1, 13, 11))
    for start in range(m["cells"]):
        steps, edge = {start: 0}, [start]
        while edge:
            cell = edge.pop(0)
            for to in map(int, m["next"][cell]):
                if to not in steps:
                    steps[to] = steps[cell] + 1
                    edge.append(to)
        assert away[start].tolist() == [steps[k] for k in range(m["cells"])]
        assert (np.diff(away[start][near[start]].astype(int)) >= 0).all()
        first = m["next"][start][toward[start]]
        assert all(away[first[k], k] == away[start, k] - 1 for k in range(m["cells"]) if k != start)


@pytest.mark.parametrize(("width", "height"), [(9, 9), (19, 15)])
def test_splits_share_no_maze_however_small_mazes_are(width, height):
    parts = [
        {draw_maze(first_seed(split) + k, width, height).rows for k in range(200)}
        for split in ("train", "test")
    ]
    assert not parts[0] & parts[1] and min(map(len, parts)) > 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("S", "-"), "a maze has one start, S; this one has none"),
        (("G", "S"), "a maze has one start, S; this one has 2"),
        (("X..o....X", "X..o?...X"), "line 2, column 5: '?' is none of"),
        (("X..o....X", "X..o...X"), "line 2, column 1: rows are equally long"),
        (("X-XXXXX-X", "X-XX-XX-X"), "line 5, column 5: a dead end"),
        (("..o....", "-------"), "a maze has pellets"),
        (("XS-----GX\n", ""), "9 to 15 rows of 9 to 19 letters; here are 8 of 9"),
    ],
)
def test_what_is_wrong_with_a_maze_is_told_in_one_line_with_its_place(change, words):
    text = RING.strip().replace("X.XXXXX.X", "X-XXXXX-X") if "pellets" in words else RING.strip()
    with pytest.raises(DrawingError) as caught:
        read_maze(text.replace(*change), "mine.txt")
    assert words in str(caught.value) and "\n" not in str(caught.value) and "mine.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 18}, "no maze of width 18 is symmetric"),
        ({"height": 7}, "height must lie between 9 and 15"),
        ({"difficulty": 2}, "difficulty"),
        ({"split": "tset"}, "split"),
    ],
)
def test_settings_that_are_not_possible(settings, words):
    with pytest.raises(ValueError) as caught:
        MazeWorld(MazeConfig(**settings))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_three_are_shipped():
    mazes = MazeWorld(MazeConfig(maze="shipped")).mazes
    assert len(mazes) == len(MAZES.names()) == 3 and all(":" in maze.title for maze in mazes)


# ---------------------------------------------------------------- what is seen, and who acts


@pytest.mark.parametrize("size", [{}, {"width": 9, "height": 9}, {"width": 11, "height": 13}])
def test_the_grid_shows_the_board_around_the_eater_and_through_tunnels(size):
    env = WorldVectorEnv(WORLD, 32, pool_size=8, autoreset_mode=AutoresetMode.SAME_STEP, **size)
    env.reset(seed=3)
    act = env.reference("rules")
    for _ in range(60):
        env.step(act())
    p, obs = env.params, env.observe()
    for i, e in enumerate(env.state):
        m = p.mazes[e["maze"]]
        wanted = np.zeros((6, *m["sides"]), np.uint8)
        row, column = m["place"][e["cell"][0]]
        for cell in range(m["cells"]):
            at = tuple(m["place"][cell])
            wanted[0][at], wanted[1][at] = 255, e["food"][m["at"][cell]]
        for g in range(4):
            at, to = (
                tuple(m["place"][k])
                for k in (e["cell"][1 + g], m["next"][e["cell"][1 + g], e["heading"][1 + g]])
            )
            light = 32 + 4 * int(e["power"]) if e["mode"][g] == SCARED else 255
            wanted[2 + e["mode"][g]][at] = light
            if e["mode"][g] == HUNTS:
                wanted[2][to] = max(wanted[2][to], 128)
        food = np.flatnonzero(e["food"][m["at"][: m["cells"]]])
        nearest = p.away[e["maze"], e["cell"][0], food].min()
        (to,) = {tuple((way + (row - 5, column - 5)) % m["sides"]) for way in np.argwhere(obs[i, 5])}
        to = m["place"][: m["cells"]].tolist().index(list(to))
        assert p.away[e["maze"], to, food].min() == nearest - 1
        wide = np.pad(wanted, ((0, 0), (5, 5), (5, 5)), mode="wrap")
        assert (obs[i, :5] == wide[:5, row : row + 11, column : column + 11]).all()


def test_the_number_in_words(tmp_path):
    env = env_of(tmp_path, RING, ghosts=1, observation="index")
    put(env, cell=[cell_at(env, 1, 1), cell_at(env, 1, 5), 0, 0, 0], heading=[0, LEFT, 0, 0, 0], last=LEFT)
    sides = ["came going up", "up: wall", "right: a ghost within 4", "down: free", "left: wall"]
    assert env.world.describe(int(env.observe()[0])) == ["food: right", *sides]
    put(env, mode=SCARED, power=9)
    sides[2] = "right: free"
    assert env.world.describe(int(env.observe()[0])) == ["hunt: right", *sides]
    put(env, power=3)  # too late
    assert env.world.describe(int(env.observe()[0]))[0] == "food: right"


def test_records_that_lead_out_of_the_tables_are_refused():
    env = WorldVectorEnv(WORLD, 1, pool_size=2)
    env.reset(seed=0)
    for name, value in [
        ("cell", 190),
        ("came", -1),
        ("maze", 2),
        ("heading", 4),
        ("way", 16),
        ("left", 0),
        ("food", 9),
    ]:
        state = env.get_state()
        state[name] = value
        with pytest.raises(ValueError, match="no state of this world"):
            env.set_state(state)


def test_who_searches_clears_more_than_who_follows_rules():
    cleared = {}
    for name in ("rules", "expert"):
        env = WorldVectorEnv(WORLD, 12, 400, AutoresetMode.SAME_STEP, split="test", pool_size=12)
        env.reset(seed=1)
        act, going, total = env.reference(name), np.ones(12, bool), 0
        while going.any():
            _, _, terminated, truncated, infos = env.step(act())
            ended = going & (terminated | truncated)
            total += infos["final_info"]["success"][ended].sum() if ended.any() else 0
            going &= ~ended
        cleared[name] = total / 12
    assert cleared["expert"] > 0.7 > 0.4 > cleared["rules"]


def test_hunters_are_shown_without_a_jump_between_two_ticks():
    env = WorldVectorEnv(WORLD, 1, split="test", pool_size=4, autoreset_mode=AutoresetMode.DISABLED)
    renderer, moved = env.world.renderer(), 0
    for seed in range(4):
        env.reset(seed=seed)
        act = env.reference("rules")
        for _ in range(100):
            before, m = env.get_state()[0], env.params.mazes[env.state["maze"][0]]
            if env.step(act())[2][0]:
                break
            after = env.state[0]
            for g in range(4):
                jump = np.abs(renderer._spot(after, m, g, 0.0) - renderer._spot(before, m, g, 1.0)).max()
                turned = after["last"][g] == after["heading"][1 + g] ^ 2
                if before["mode"][g] == after["mode"][g] == HUNTS and not turned:
                    assert jump % m["sides"][1] < 1e-9  # in tunnels it comes from the other rim
                    moved += 1
    assert moved > 300


def test_a_turn_holds_until_the_next_one():
    world = MazeWorld(MazeConfig(pool_size=1))
    held = [[], ["up"], [], ["up", "left"], ["up", "left"], ["up"], []]
    assert [world.action_of(each) for each in held] == [RIGHT, UP, UP, LEFT, LEFT, UP, UP]
