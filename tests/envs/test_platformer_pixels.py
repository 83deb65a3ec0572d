"""The observation `pixels`, against a picture that numpy paints of the whole level and cuts out."""

from itertools import combinations

import numpy as np
import pytest
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer import pixels
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.pixels import CELL, PLAYER_COLUMN, SIDE, TOP
from meze.envs.platformer.world import Platformer
from platformer_stage import FLOOR, TILE, Stage, draw_level

FURNISHED = {
    (8, 12): "w", (11, 12): "e", (13, 12): "t", (15, 9): "f", (17, 11): "p", (17, 12): "[]", (5, 8): "-",
    (24, 9): "=?M=", (28, 12): "o^So", (20, 7): "|", (10, 12): "h", (12, 9): "T",
    (10, 5): "___", (40, 9): "ciu",
}  # fmt: skip
KINDS = (*range(codes.WALKER, codes.PLATFORM_ACROSS),)


def make_stage(**settings) -> Stage:
    return Stage(FURNISHED, pits=(33, 34), observation="pixels", **settings)


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage()


@pytest.fixture
def e(stage) -> np.void:
    """The state at the start, to be changed."""
    stage.env.reset(seed=1)
    return stage.env.get_state()[0]


def observe(stage: Stage, e: np.void) -> np.ndarray:
    stage.env.set_state(np.array([e]))
    return stage.env.observe().astype(int)


def paint(params, e: np.void) -> np.ndarray:
    """The picture, painted in another way: the whole level, then everything on it, then the view cut out."""
    side = 16 * CELL
    level = int(e["level"])
    width = int(params.levels["width"][level]) * CELL
    board = np.zeros((TOP + codes.HEIGHT * CELL + 2 * side, width + 4 * side, 3), int)
    still = params.views[level, 0].reshape(codes.HEIGHT * CELL, -1, 3)[:, : width + 24 * CELL]
    corner = 2 * side - 12 * CELL
    board[side : side + len(still), corner : corner + still.shape[1]] = still

    def put(number: int, x: int, bottom: int, height: int, columns: int) -> None:
        sprite = params.sprites[number, -height:, :columns].astype(int)
        place = board[side + bottom - height : side + bottom, 2 * side + x : 2 * side + x + columns]
        solid = sprite[..., 3] > 0
        place[solid] = sprite[..., :3][solid]

    for slot in range(int(params.levels["num_slots"][level])):
        if int(e["changed"][slot // 64]) >> slot % 64 & 1:
            row, column = divmod(int(params.slot_cells[level, slot]), codes.USUAL.stride)
            code = params.tiles[level, row * codes.USUAL.stride + column]
            gone = code in (codes.COIN, codes.BRICK)
            number = pixels.AIR_SPRITE if gone else pixels.USED_SPRITE
            put(number, (column - codes.MARGIN) * CELL, (row - codes.SKY + 1) * CELL, CELL, CELL)
    scale = TILE // CELL
    for slot in sorted(e["awake"][: e["num_awake"]].tolist()):
        t = e["things"][slot]
        kind, x, y = int(t["kind"]), int(t["x"]), int(t["y"])
        key = kind, int(t["timer"])
        look = (
            [*pixels.TRAITED_NAMES].index(key) + codes.PLATFORM_UP + 1
            if key in pixels.TRAITED_NAMES
            else kind
        )
        number = pixels.FIRST_THING_SPRITE + 2 * look + (t["vx"] < 0)
        if kind in (codes.PLATFORM_ACROSS, codes.PLATFORM_UP):
            put(number, x // scale, y // scale, 2, 3 * CELL)
        elif kind == codes.PLANT:
            mouth = int(params.things["y"][level, slot]) // scale - CELL
            below = board[side + mouth :].copy()
            put(number, (x - codes.PIXEL) // scale, y // scale + 2, 6, CELL)
            board[side + mouth :] = below
        elif codes.GONE < kind < codes.PLATFORM_ACROSS:
            put(number, (x - codes.PIXEL) // scale, y // scale, CELL, CELL)
    left = (int(e["x"]) - 2 * codes.PIXEL) // scale
    number = pixels.SMALL_SPRITE + 2 * (int(e["big"]) + int(e["big"] and e["ducking"])) + e["facing_left"]
    put(number, left, max(int(e["y"]) // scale, 2), 2 * CELL, CELL)
    first = 2 * side + left - PLAYER_COLUMN
    return board[side : side + codes.HEIGHT * CELL, first : first + SIDE]


def test_it_is_the_picture_that_numpy_paints():
    settings = PlatformerConfig(observation="pixels", actions="complex")
    world = Platformer(settings, [draw_level(FURNISHED, pits=(33, 34)), draw_level(FURNISHED, width=90)])
    env = WorldVectorEnv(world, 32)
    rng = np.random.default_rng(7)
    obs, _ = env.reset(seed=3)
    compared, drawn = 0, set()
    for step in range(150):
        if step % 10 == 0:  # also what rarely comes about
            state = env.get_state()
            state["big"] |= rng.random(32) < 0.2
            state["changed"][:, 0] |= rng.integers(16, size=32).astype(np.uint64)
            env.set_state(state)
        obs, *_ = env.step(rng.choice([3, 4, 4, 7, 10], size=32))
        state = env.get_state()
        for i in range(0, 32, 5):
            assert (obs[i, TOP:] == paint(env.params, state[i])).all(), (step, i)
            compared += 1
            drawn |= set(state[i]["things"]["kind"].tolist())
    assert compared > 900 and drawn >= {codes.WALKER, codes.SHELLED, codes.PLANT, codes.SQUASHED, codes.FLYER}


def test_the_player_is_always_in_the_same_column_and_seen(stage, e):
    for x in (1, 5, 20, 40):
        for feet in (-3, -0.1, 0.05, 3, FLOOR):
            e["x"], e["y"], e["column"] = x * TILE, round(feet * TILE), x
            e["num_awake"] = 0
            seen = observe(stage, e)[TOP:]
            there = stage.params.sprites[pixels.SMALL_SPRITE, -1, :CELL]
            row = max(int(np.floor(feet * CELL)), 2) - 1
            solid = there[:, 3] > 0
            assert solid.any()
            assert (seen[row, PLAYER_COLUMN : PLAYER_COLUMN + CELL][solid] == there[solid, :3]).all(), (
                x,
                feet,
            )


def test_everything_that_matters_is_seen_and_told_apart(stage, e):
    """Each kind of thing, each kind of tile, and the way it faces."""
    e["num_awake"], e["awake"][0] = 1, 1
    pictures = {}
    gone, *kinds = ((codes.GONE, 0), *((kind, 0) for kind in KINDS), *pixels.TRAITED_NAMES)
    for kind, timer in (gone, *kinds):
        for vx in (-128, 128):
            e["things"][1] = (10 * TILE, 10 * TILE, vx, 0, kind, timer)
            pictures[(kind, timer), vx > 0] = observe(stage, e)
    for kind in kinds:
        assert (pictures[kind, True] != pictures[gone, True]).any(axis=2).sum() >= 8, kind
        assert (pictures[kind, True] != pictures[kind, False]).any(), kind
    for one, other in combinations((gone, *kinds), 2):
        assert abs(pictures[one, True] - pictures[other, True]).sum() > 500, (one, other)
    poses = []
    for fields in ({}, {"big": True}, {"big": True, "ducking": True}, {"facing_left": True}):
        player = e.copy()
        for name, value in fields.items():
            player[name] = value
        poses.append(observe(stage, player))
    assert all((a != b).any() for a, b in combinations(poses, 2))

    looks = {}
    for character in (".", "#", "=", "?", "o", "^", "S", "[]"):
        other = Stage({(9, 10): character, (9, 11): "##"}, observation="pixels")
        looks[character] = observe(other, other.record)[TOP + 40 : TOP + 44, PLAYER_COLUMN + 7 * CELL :]
    for one, other in combinations(looks, 2):
        assert abs(looks[one][:, :CELL] - looks[other][:, :CELL]).sum() > 300, (one, other)


def test_a_plant_in_its_pipe_is_not_seen(stage, e):
    slot = int(np.flatnonzero(e["things"]["kind"] == codes.PLANT)[0])
    e["x"], e["num_awake"], e["awake"][0] = 14 * TILE, 1, slot
    hidden = observe(stage, e)
    e["things"]["y"][slot] -= TILE
    risen = observe(stage, e)
    e["num_awake"] = 0
    gone = observe(stage, e)
    assert (hidden == gone).all()
    rows, _ = np.nonzero((risen != gone).any(axis=2))
    assert rows.min() == TOP + 11 * CELL and rows.max() == TOP + 12 * CELL - 1


def test_gauges_tell_speeds_jump_and_grace(stage, e):
    def lengths(**fields) -> list[tuple[int, int]]:
        """Of each gauge: where it begins, and how many pixels are filled."""
        for name, value in fields.items():
            e[name] = value
        filled = (observe(stage, e)[:TOP] != pixels.NOT_FILLED).any(axis=2)
        return [(int(row.argmax()), int(row.sum())) for row in filled]

    assert lengths() == [(0, 0)] * TOP
    assert lengths(vx=codes.RUN_SPEED)[0] == (32, 32)
    assert lengths(vx=-codes.RUN_SPEED // 2)[0] == (16, 16)
    assert lengths(vx=-4000)[0] == (0, 32)
    up, down = lengths(vy=-codes.JUMP_SPEED[0])[1], lengths(vy=codes.MAX_FALL)[1]
    assert up[0] + up[1] == 32 and down[0] == 32 and up[1] > 10 and down[1] > 10
    assert lengths(jump_held=7)[2] == (0, 7) and lengths(jump_held=255)[2] == (0, SIDE)
    assert lengths(invulnerable=codes.INVULNERABLE_TICKS)[3] == (0, SIDE)
    assert lengths(invulnerable=codes.INVULNERABLE_TICKS // 2)[3] == (0, SIDE // 2)


def test_a_hidden_block_at_the_bottom_of_a_pit_is_not_seen():
    shown = [Stage(changes, pits=(4, 5), observation="pixels") for changes in ({}, {(4, 14): "i"})]
    plain, hiding = (observe(each, each.env.get_state()[0]) for each in shown)
    np.testing.assert_array_equal(plain, hiding)


def test_tables_are_made_of_the_shipped_sprites():
    """By hand: a tile's color is the mean of 16 pixels of its sprite."""
    from importlib.resources import files

    from imageio.v3 import imread

    folder = files("meze") / "assets" / "sprites" / "platformer"
    stage = make_stage()
    brick = imread((folder / "brick.png").read_bytes(), extension=".png").astype(int)
    left = 2 * TILE + 2 * codes.PIXEL
    stage.record["x"] = left + 18 * TILE
    seen = observe(stage, stage.record)[TOP + 9 * CELL : TOP + 10 * CELL]
    first = PLAYER_COLUMN + (24 - 20) * CELL
    for row in range(CELL):
        for column in range(CELL):
            block = brick[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, :3].reshape(16, 3)
            assert (seen[row, first + column] == block.sum(axis=0) // 16).all()
