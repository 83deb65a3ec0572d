"""What the grid shows, and what the situation number tells."""

import numpy as np
import pytest
from meze.envs.platformer import state as codes
from meze.envs.platformer.observe import (
    ABOVE,
    BEHIND,
    FIRST_SCALAR,
    NUM_PLANES,
    NUM_SITUATIONS,
    PLANE_NAMES,
    VIEW,
)
from meze.envs.platformer.world import Platformer
from platformer_stage import FLOOR, TILE, Stage

SITUATION = {"footing": 3, "jump": 2, "speed": 3, "wall": 5, "gap": 4, "danger": 6}


def look(stage):
    """Plane name to its (VIEW, VIEW) picture, of the stage's record as it is."""
    stage.env.set_state(stage.s)
    return dict(zip(PLANE_NAMES, stage.env.observe(), strict=True))


def situation(stage):
    """Digits of the situation number, by name."""
    stage.env.set_state(stage.s)
    number, digits = int(stage.env.observe()), {}
    for name, base in reversed(SITUATION.items()):
        number, digits[name] = divmod(number, base)
    return digits


def grid(*args, **kwargs):
    return Stage(*args, **kwargs, observation="grid")


# ---------------------------------------------------------------- grid


def test_the_window_shows_the_tiles_around_the_player():
    stage = grid({(6, 12): "^", (7, 12): "S", (8, 12): "o", (6, 9): "=?M"}).put(5.3)
    planes = look(stage)
    feet = FLOOR - 1
    expected = np.zeros((VIEW, VIEW), np.uint8)
    special = np.zeros_like(expected)
    rows = np.arange(feet - ABOVE, feet - ABOVE + VIEW)
    for row in (FLOOR, FLOOR + 1):
        expected[rows == row] = 255
    special[rows >= codes.HEIGHT] = 255
    expected[ABOVE, BEHIND + 1 : BEHIND + 3] = 255
    special[ABOVE, BEHIND + 1 : BEHIND + 4] = 255, 128, 64
    expected[ABOVE - 3, BEHIND + 1 : BEHIND + 4] = 192, 128, 64
    assert np.array_equal(planes["solid"], expected) and np.array_equal(planes["special"], special)


@pytest.mark.parametrize("column, feet", [(0, FLOOR), (44, FLOOR), (10, -5), (10, 15.9)])
def test_beyond_the_level_are_walls_and_the_abyss(column, feet):
    stage = grid(pits=[10, 11]).put(column, feet)
    planes = look(stage)
    left, top = column - BEHIND, int(np.ceil(feet)) - 1 - ABOVE
    for row in range(VIEW):
        for place in range(VIEW):
            x, y = left + place, top + row
            outside = not 0 <= x < 48
            assert (planes["solid"][row, place] == 255) == (
                outside or y <= -codes.SKY or (y in (13, 14) and x not in (10, 11))
            ), (x, y)
            deep = y >= codes.HEIGHT and not outside
            assert (planes["special"][row, place] == 255) == deep, (x, y)


def test_tiles_that_have_changed_are_shown_as_they_are():
    stage = grid({(6, 9): "=?Mo"}).put(5.3)
    stage.record["changed"][0] = 0b1111
    planes = look(stage)
    assert planes["solid"][ABOVE - 3, BEHIND + 1 : BEHIND + 5].tolist() == [0, 255, 255, 0]
    assert not planes["special"][ABOVE - 3].any()


def test_what_keeps_a_secret_looks_like_what_it_is_taken_for():
    stage = grid({(6, 9): "cmiIu_"}).put(5.3)
    row = (ABOVE - 3, slice(BEHIND + 1, BEHIND + 7))
    planes = look(stage)
    assert planes["solid"][row].tolist() == [192, 192, 0, 0, 255, 0]
    assert planes["special"][row].tolist() == [0, 0, 0, 0, 0, 32]
    stage.record["changed"][0] = 0b1111
    assert look(stage)["solid"][row].tolist() == [255, 255, 255, 255, 255, 0]


def test_the_flag_is_seen_from_foot_to_top():
    stage = grid().put(41)
    assert (look(stage)["special"][:, BEHIND + 4] == 192).sum() == ABOVE + 1


@pytest.mark.parametrize(
    "character, plane, value",
    [
        ("W", "creature", 44), ("h", "creature", 52), ("H", "creature", 60), ("T", "creature", 116),
        ("w", "creature", 36), ("e", "creature", 72), ("t", "creature", 108), ("f", "creature", 216),
        ("-", "help", 255), ("|", "help", 192),
    ],
)  # fmt: skip
def test_things_are_shown_in_their_tile(character, plane, value):
    stage = grid({(9, 12): character}).put(5.3)
    stage.tick()
    planes = look(stage)
    other = planes["help" if plane == "creature" else "creature"]
    t = stage.things[0]
    column = int(t["x"]) // TILE - 5 + BEHIND
    width = 3 if plane == "help" else 1
    expected = np.zeros((VIEW, VIEW), np.uint8)
    expected[ABOVE, column : column + width] = value
    assert np.array_equal(planes[plane], expected) and not other.any()
    cell = ABOVE, column
    assert planes["thing x"][cell] == int(t["x"]) % TILE // 16
    assert planes["thing y"][cell] == (int(t["y"]) - 1) % TILE // 16
    clock = character in "f-|"
    assert planes["thing across"][cell] == (t["timer"] if clock else 128 + int(t["vx"]) // 8)
    assert planes["thing down"][cell] == 128 + int(t["vy"]) // 16


def test_platforms_are_cut_at_the_window():
    stage = grid({(9, 11): "-"})
    for column, shown in ((9 + BEHIND + 2, 1), (9 + BEHIND + 3, 0), (9 + BEHIND + 1 - VIEW, 1), (9, 3)):
        stage.put(column).tick()
        assert (look(stage)["help"] > 0).sum() == shown, column


def test_what_harms_nobody_is_not_shown():
    stage = grid({(6, 12): "w", (8, 9): "M"}).put(5.3)
    for kind in (codes.GONE, codes.SQUASHED, codes.KNOCKED):
        stage.things[0]["kind"] = kind
        planes = look(stage)
        assert not planes["creature"].any() and not planes["help"].any()


SCALARS = [
    ("x", {"x": 5 * TILE + 1000}, 1000 // 16),
    ("y", {"y": FLOOR * TILE - 1000}, (TILE - 1001) // 16),
    ("speed across", {"vx": -640}, 8),
    ("speed down", {"vy": 1152}, 218),
    ("footing", {"grounded": False}, 0),
    ("footing", {"grounded": True}, 128),
    ("size", {"big": False}, 0),
    ("size", {"big": True}, 255),
    ("size", {"big": True, "ducking": True}, 128),
    ("jump held", {"jump_held": 3}, 24),
    ("jump held", {"jump_held": 200}, 255),
    ("jump class", {"jump_class": 3}, 240),
    ("invulnerable", {"invulnerable": 120}, 240),
]


@pytest.mark.parametrize("plane, fields, value", SCALARS)
def test_what_the_player_is_like_fills_a_plane(plane, fields, value):
    stage = grid().put(5.3)
    for name, content in fields.items():
        stage.record[name] = content
    assert np.all(look(stage)[plane] == value)


def test_standing_on_a_platform_is_a_footing_of_its_own():
    stage = grid({(8, 10): "-"}).put(9, 9)
    stage.until(lambda r: r["ride"] == 1)
    assert np.all(look(stage)["footing"] == 255)


def test_whatever_matters_changes_the_grid():
    """Two states that differ in what the dynamics read, by more than the grid's grain, look different."""
    stage = grid({(7, 12): "w", (9, 9): "?", (11, 12): "-", (14, 9): "M"}).put(5.3)
    stage.tick()
    before = stage.env.observe().copy()
    original = stage.s.copy()
    changes = {name: delta for name, delta in zip(("x", "y", "vx", "vy"), (16, 16, 6, 13), strict=True)}
    changes |= {"jump_held": 1, "jump_class": 1, "grounded": 1, "big": 1, "invulnerable": 1}
    for name, delta in changes.items():
        stage.s = original.copy()
        value = stage.record[name]
        stage.record[name] = not value if value.dtype == np.bool_ else value + delta
        assert not np.array_equal(np.array(list(look(stage).values())), before), name
    for name, delta in (("x", 16), ("y", 16), ("vx", 8), ("vy", 16), ("kind", 1)):
        stage.s = original.copy()
        stage.things[0][name] += delta
        assert not np.array_equal(np.array(list(look(stage).values())), before), name
    stage.s = original.copy()
    stage.things["timer"] += 1
    assert not np.array_equal(np.array(list(look(stage).values())), before), "timer"
    stage.s = original.copy()
    stage.record["changed"][0] = 1
    assert not np.array_equal(np.array(list(look(stage).values())), before), "changed"


def test_the_manual_states_the_spaces():
    stage = grid()
    assert stage.env.observation_space.shape == (NUM_PLANES, VIEW, VIEW)
    assert str((NUM_PLANES, VIEW, VIEW)) in Platformer.__doc__
    assert f"Discrete({NUM_SITUATIONS})" in Platformer.__doc__
    assert np.prod(list(SITUATION.values())) == NUM_SITUATIONS
    assert len(PLANE_NAMES) == NUM_PLANES and PLANE_NAMES[FIRST_SCALAR] == "x"


# ---------------------------------------------------------------- index


def test_nothing_in_the_way():
    assert situation(Stage().put(5)) == dict.fromkeys(SITUATION, 0)


@pytest.mark.parametrize("fields, digits", [
    ({"grounded": False, "vy": -100}, {"footing": 1}),
    ({"grounded": False, "vy": 100}, {"footing": 2}),
    ({"jump_held": 2}, {"jump": 1}),
    ({"vx": codes.WALK_SPEED}, {"speed": 1}),
    ({"vx": codes.RUN_SPEED}, {"speed": 2}),
])  # fmt: skip
def test_the_situation_of_the_player(fields, digits):
    stage = Stage().put(5)
    for name, value in fields.items():
        stage.record[name] = value
    assert situation(stage) == dict.fromkeys(SITUATION, 0) | digits


@pytest.mark.parametrize(
    "column, height, digit", [(6, 1, 1), (7, 2, 1), (7, 3, 2), (8, 2, 3), (9, 4, 4), (10, 1, 0)]
)
def test_walls_ahead(column, height, digit):
    stage = Stage({(column, FLOOR - 1 - k): "#" for k in range(height)}).put(5)
    assert situation(stage)["wall"] == digit


@pytest.mark.parametrize("column, digit", [(5, 1), (6, 1), (7, 2), (8, 2), (9, 3), (10, 3), (11, 0), (4, 0)])
def test_gaps_ahead(column, digit):
    assert situation(Stage(pits=[column]).put(5))["gap"] == digit


@pytest.mark.parametrize("changes, digit", [
    ({(5, 12): "^"}, 1), ({(6, 12): "w"}, 2), ({(8, 12): "w"}, 4), ({(9, 12): "w"}, 5), ({(10, 12): "w"}, 0),
    ({(8, 9): "f"}, 0), ({(8, 11): "f"}, 4), ({(8, 13): "^"}, 4), ({(3, 12): "w"}, 0),
])  # fmt: skip
def test_dangers_ahead(changes, digit):
    stage = Stage(changes).put(5.1)
    stage.tick()
    stage.put(5.1)
    assert situation(stage)["danger"] == digit


def test_the_situation_is_in_its_range_everywhere():
    stage = Stage({(7, 12): "w", (9, 10): "##", (12, 12): "^"}, pits=[20, 21])
    rng = np.random.default_rng(2)
    for _ in range(500):
        stage.put(rng.uniform(0, 47), rng.uniform(-6, 16.5), int(rng.integers(-640, 641)))
        stage.env.set_state(stage.s)
        assert stage.env.observe() in stage.env.observation_space
