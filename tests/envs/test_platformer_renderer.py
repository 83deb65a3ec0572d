import sys
from pathlib import Path

import numpy as np
import pygame
import pytest
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.renderer import PANEL_WIDTH, SCALE, VIEW
from meze.envs.platformer.scene import FAR, Scene, Thing, between
from meze.envs.platformer.world import Platformer
from platformer_stage import FLOOR, JUMP, LEFT, PIXEL, RIGHT, RUN, TILE, Stage, draw_level

ASSETS = Path(__file__).parents[2] / "assets"
CREATURES = {(8, 12): "w", (11, 12): "e", (13, 12): "t", (15, 9): "f", (5, 8): "-"} | {
    (17, 11): "p",
    (17, 12): "[]",
}


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage({**CREATURES, (24, 9): "=?M", (28, 12): "o^S"}, pits=(33, 34))


@pytest.fixture
def e(stage) -> np.void:
    """The state at the start, to be changed."""
    stage.env.reset(seed=1)
    return stage.env.get_state()[0]


@pytest.fixture(scope="module")
def draw(stage):
    """Draws a record: (height, width, 3) without the panel."""
    renderer = stage.env.world.renderer()

    def draw_view(e: np.void, *others: np.void, **how) -> np.ndarray:
        records = np.array([e, *others])
        return renderer.draw(records, 0, **how)[:, :-PANEL_WIDTH].astype(int)

    return draw_view


def changed(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the pixels that differ, in pixels of the level (not scrolled)."""
    rows, columns = np.nonzero((a != b).any(axis=2))
    assert len(rows) > 0
    return columns.min() / SCALE, rows.min() / SCALE, (columns.max() + 1) / SCALE, (rows.max() + 1) / SCALE


def sprites(stage: Stage, e: np.void, phase: float = 1.0) -> list[Thing]:
    return list(Scene(stage.params).things(e, phase, 0, 48 * 16))


def test_committed_sprites_are_what_the_script_draws(monkeypatch):
    monkeypatch.syspath_prepend(ASSETS)
    for name in ("draw_platformer", "draw_coast"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from draw_platformer import platformer_sprites  # type: ignore[import-not-found]

    drawn = platformer_sprites()
    assert {path.stem for path in (ASSETS / "sprites" / "platformer").glob("*.png")} == set(drawn)
    for name, surface in drawn.items():
        saved = pygame.image.load(ASSETS / "sprites" / "platformer" / f"{name}.png")
        assert pygame.image.tobytes(saved, "RGBA") == pygame.image.tobytes(surface, "RGBA"), name


def test_a_picture_depends_on_its_arguments_alone():
    world = Platformer(PlatformerConfig(), [draw_level(), draw_level(CREATURES, width=64)])
    env = WorldVectorEnv(world, 2)
    env.reset(seed=3, options={"level": np.array([0, 1])})
    for _ in range(9):
        env.step(np.array([3, 4]))
    state, renderer = env.get_state(), world.renderer()
    pictures = [renderer.draw(state, i, phase=0.5, hud={"return": "1.00"}) for i in (0, 1, 0)]
    assert pictures[0].dtype == np.uint8
    assert pictures[0].shape == pictures[1].shape == (15 * 16 * SCALE, VIEW * SCALE + PANEL_WIDTH, 3)
    assert (pictures[0] == pictures[2]).all() and (pictures[0] != pictures[1]).any()
    again = world.renderer().draw(state, 1, phase=0.5, hud={"return": "1.00"})
    assert (again == pictures[1]).all()


def test_a_hud_changes_the_panel_alone(stage, e):
    renderer = stage.env.world.renderer()
    a, b = (renderer.draw(np.array([e]), hud=hud) for hud in (None, {"return": "-3.50", "agent": "x" * 99}))
    assert (a != b).any()
    assert (a == b)[:, :-PANEL_WIDTH].all()


def test_the_panel_tells_score_time_coins_par_and_end(stage, e):
    renderer = stage.env.world.renderer()
    before = renderer.draw(np.array([e]))[:, -PANEL_WIDTH:]
    for name, value in (("score", 700), ("coins", 3), ("tick", 600), ("big", True)):
        other = e.copy()
        other[name] = value
        assert (renderer.draw(np.array([other]))[:, -PANEL_WIDTH:] != before).any(), name
    for name, value in (("par_time", 900), ("progress", 0.5), ("death", codes.SPIKES), ("clear", True)):
        other = e.copy()
        other["info"][name] = value
        assert (renderer.draw(np.array([other]))[:, -PANEL_WIDTH:] != before).any(), name


def test_each_thing_is_drawn_where_it_is(draw, e):
    for slot in np.flatnonzero(e["things"]["kind"]):
        kind = e["things"]["kind"][slot]
        without = e.copy()
        without["things"][slot] = np.zeros((), codes.THING)
        if kind in (codes.PLANT, codes.IN_BLOCK):
            assert (draw(without) == draw(e)).all()  # it is in its pipe, or its block
            if kind == codes.IN_BLOCK:
                continue
            e["things"]["y"][slot] -= TILE
        left, top, right, bottom = changed(draw(without), draw(e))
        thing = e["things"][slot]
        platform = kind in (codes.PLATFORM_ACROSS, codes.PLATFORM_UP)
        width = codes.PLATFORM_WIDTH if platform else codes.THING_WIDTH
        height = codes.PLATFORM_HEIGHT if platform else codes.THING_HEIGHT
        assert abs(left - thing["x"] / PIXEL) <= 2 and abs(right - (thing["x"] + width) / PIXEL) <= 2, kind
        assert abs(top - (thing["y"] - height) / PIXEL) <= 3 and abs(bottom - thing["y"] / PIXEL) <= 2, kind


def test_the_player_is_drawn_where_it_is_small_and_big(draw, e):
    for big, height in ((False, codes.SMALL_HEIGHT), (True, codes.BIG_HEIGHT)):
        e["big"] = big
        away = e.copy()
        away["y"] = -8 * TILE
        left, top, right, bottom = changed(draw(away), draw(e))
        assert abs(left - e["x"] / PIXEL) <= 2 and abs(right - (e["x"] + codes.PLAYER_WIDTH) / PIXEL) <= 3
        assert abs(top - (e["y"] - height) / PIXEL) <= 4 and bottom == e["y"] / PIXEL


def test_poses_follow_the_state(stage, e):
    def pose(**fields) -> str:
        other = e.copy()
        for name, value in fields.items():
            other[name] = value
        return Scene(stage.params).player(other, 1.0).sprite.removeprefix("player_")

    assert pose() == "small_stand"
    assert pose(big=True) == "big_stand"
    assert pose(big=True, ducking=True) == "big_duck"
    assert pose(grounded=False, vy=-900) == "small_jump"
    assert pose(vx=300, facing_left=True) == "small_skid"
    walk = [pose(vx=300, x=k * 3 * PIXEL) for k in range(40)]
    assert set(walk) == {"small_walk_0", "small_walk_1", "small_walk_2"}
    e["info"]["death"] = codes.ENEMY
    assert pose(big=True) == "small_dead"


def test_who_is_invulnerable_flickers(stage, e):
    e["invulnerable"] = 60
    faint = []
    for tick in range(30):
        e["tick"] = tick
        faint.append(Scene(stage.params).player(e, 1.0).faint)
    assert 10 <= sum(faint) <= 20


def test_tiles_that_have_changed_look_so(stage):
    names = {}
    for column, row in ((24, 9), (25, 9), (26, 9), (28, 12)):
        stage = Stage({(24, 9): "=?M", (28, 12): "o"})
        e = stage.record
        slot = int(stage.params.slots[0, codes.USUAL.cell(column, row)])
        place = column * 16 + 8, row * 16 + 16
        found = []
        for bit in (0, 1):
            e["changed"][0] = bit << slot
            things = sprites(stage, e)
            found.append([thing.sprite for thing in things if (thing.x, thing.y) == place])
        names[column] = found
    assert names[24] == [["brick"], []]
    assert names[25] == names[26] == [["question_0"], ["used"]]
    assert names[28] == [["coin_0"], []]


def test_what_keeps_a_secret_looks_like_what_it_is_taken_for():
    stage = Stage({(24, 9): "cmiIu_"})
    seen = []
    for changed_tiles in (0, 0b1111):
        stage.record["changed"][0] = changed_tiles
        row = {thing.x: thing.sprite for thing in sprites(stage, stage.record) if thing.y == 10 * 16}
        seen.append([row.get(column * 16 + 8) for column in range(24, 30)])
    assert seen == [["brick", "brick", None, None, "used", "ledge"], [*["used"] * 5, "ledge"]]


def test_traits_are_seen_while_they_last():
    stage = Stage({(9 + 3 * k, 12): letter for k, letter in enumerate("WTHhw")})

    def names(kind=None) -> list[str]:
        e = stage.record.copy()
        if kind is not None:
            e["things"]["kind"][:5] = kind
        shown = [thing.sprite.rpartition("_")[0] for thing in sprites(stage, e)]
        return [name for name in shown if name.startswith(("walker", "shell", "spiny"))]

    plain = ["walker", "shell", "spiny", "spiny", "walker"]
    assert names() == ["walker_winged", "shelled_winged", "spiny_winged", "spiny", "walker"]
    assert names(codes.KNOCKED) == plain
    stage.things["timer"][:3] -= codes.WINGED
    assert names() == ["walker", "shelled", *plain[2:]]


def test_a_hit_block_jumps_and_shows_its_coin(stage, e):
    cell = codes.USUAL.cell(25, 9)
    e["changed"][0] = 1 << int(stage.params.slots[0, cell])
    e["bump_cell"], e["bump_timer"] = cell, codes.BUMP_TICKS // 2
    things = [thing for thing in sprites(stage, e) if thing.x == 25 * 16 + 8]
    assert {thing.sprite.split("_")[0] for thing in things if thing.y < 9 * 16 + 16} == {"used", "coin"}
    e["bump_timer"] = 0
    things = [thing for thing in sprites(stage, e) if thing.x == 25 * 16 + 8]
    assert [thing.sprite for thing in things if thing.y < 12 * 16] == ["used"]


def test_a_broken_brick_falls_apart(stage, e):
    cell = codes.USUAL.cell(24, 9)
    e["bump_cell"], e["bump_timer"] = cell, 6
    assert "shard" not in [thing.sprite for thing in sprites(stage, e)]
    e["changed"][0] = 1 << int(stage.params.slots[0, cell])
    assert [thing.sprite for thing in sprites(stage, e)].count("shard") == 4


def test_pits_ground_and_the_flag_look_like_themselves(stage, e):
    things = sprites(stage, e)
    at = {}
    for thing in things:
        at.setdefault((int(thing.x // 16), round(thing.y / 16) - 1), []).append(thing.sprite)
    assert at[33, 14] == ["water_0"] and (33, FLOOR) not in at
    assert at[32, FLOOR] == ["ground_top", "edge_right"] and at[35, FLOOR] == ["ground_top", "edge_left"]
    assert at[10, 14] == ["ground"]
    pole = [at[45, row][0] for row in range(4, FLOOR)]
    assert pole == ["flag_top", *["flag_pole"] * 7, "flag_foot"]
    heights = []
    for clear in (False, True):
        e["info"]["clear"] = clear
        heights += [thing.y for thing in sprites(stage, e) if thing.sprite in ("flag_0", "flag_1")]
    assert heights[0] < 7 * 16 < 10 * 16 < heights[1]


# ---------------------------------------------------------------- motion


def test_between_two_steps_everything_is_on_its_way():
    stage = Stage(CREATURES, frame_skip=4)
    records = [stage.tick(RIGHT | RUN).copy() for _ in range(12)]
    before, after = np.array(records[-2:-1]), np.array(records[-1:])
    assert (between(before, after, 1.0) == after).all()
    moved = 0
    for field in ("x", "y"):
        start, middle, end = (between(before, after, phase) for phase in (0.0, 0.5, 1.0))
        assert start[field] == before[field]
        assert abs(2 * middle[field] - start[field] - end[field]) <= 2
        for source in ("x", "y"):
            alive = (before["things"]["kind"] > 0) & (after["things"]["kind"] > 0)
            assert (start["things"][source] == before["things"][source])[alive].all()
            low = np.minimum(start["things"][source], end["things"][source])
            high = np.maximum(start["things"][source], end["things"][source])
            assert ((low <= middle["things"][source]) & (middle["things"][source] <= high)).all()
            moved += int((low < high).sum())
    assert moved > 0
    others = [name for name in after.dtype.names if name not in ("x", "y", "things")]
    assert (start[others] == after[others]).all()


def test_nothing_glides_from_one_episode_to_the_next():
    stage = Stage(CREATURES)
    end = np.array([stage.tick(RIGHT, 20)])
    stage.env.reset(seed=2)
    start = stage.env.get_state()
    assert (between(end, start, 0.3) == start).all()
    far = end.copy()
    far["elapsed"] += 1
    far["x"] += FAR
    assert between(end, far, 0.3)["x"] == far["x"]


def test_the_picture_scrolls_evenly(stage, e):
    renderer = stage.env.world.renderer()
    lefts = []
    for x in range(0, 44 * TILE, PIXEL // 4):
        e["x"] = x
        lefts.append(renderer._camera(e))
    steps = np.diff(lefts) * SCALE
    assert lefts[0] == 0 and lefts[-1] == 48 * 16 - VIEW
    assert set(np.round(steps, 6)) == {0.0, 1.0}  # never by more than a pixel of the picture


def test_ghosts_are_drawn_faintly_on_the_leaders_level():
    world = Platformer(PlatformerConfig(), [draw_level(), draw_level()])
    env = WorldVectorEnv(world, 4)
    env.reset(seed=1, options={"level": np.array([0, 0, 1, 0])})
    state = env.get_state()
    state["x"] += np.array([0, 4, 8, 0]) * TILE
    renderer = world.renderer()
    alone, pair, other = (renderer.draw(state, 0, ghosts=ghosts).astype(int) for ghosts in ((), (1,), (0, 2)))
    assert (alone == other).all()  # another level, and itself
    view = np.s_[:, :-PANEL_WIDTH]
    left, top, right, bottom = changed(alone[view], pair[view])
    assert abs(left - state["x"][1] / PIXEL) <= 2 and bottom == state["y"][1] / PIXEL
    full = state.copy()
    full["x"][0] = state["x"][1]
    solid = renderer.draw(full, 0).astype(int)[view]
    box = np.s_[int(top * SCALE) : int(bottom * SCALE), int(left * SCALE) : int(right * SCALE)]
    assert 0 < abs(pair[view][box] - alone[view][box]).sum() < abs(solid[box] - alone[view][box]).sum()
    # The leader hides whoever stands behind it.
    assert (renderer.draw(state, 0, ghosts=(3,))[view] == alone[view]).all()


def test_states_of_a_whole_run_can_be_drawn(stage):
    """Every kind of thing and every end, as the dynamics bring them about."""
    stage = Stage({**CREATURES, (24, 9): "=?M", (28, 12): "o"}, frame_skip=2)
    renderer = stage.env.world.renderer()
    seen = set()
    rng = np.random.default_rng(5)
    for _ in range(6):
        stage.env.reset(seed=1)
        stage.s, stage.over = stage.env.get_state(), False
        for _ in range(120):
            stage.tick([RIGHT | RUN, RIGHT | RUN | JUMP, LEFT][rng.choice(3, p=[0.5, 0.4, 0.1])])
            seen |= {thing.sprite.split("_")[0] for thing in sprites(stage, stage.record)}
            if stage.over:
                break
        assert renderer.draw(stage.s).any()
    assert {"walker", "edger", "shelled", "flyer", "plant", "platform", "coin", "question"} <= seen
