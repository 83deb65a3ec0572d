"""What holds in every tick, whatever the level and the buttons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meze.envs.core.batch import DISABLED, KEEP, Batch
from meze.envs.core.env import WorldEnv
from meze.envs.core.interpreted import interpreted
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.generator import draw_level as generated
from meze.envs.platformer.world import Platformer
from platformer_stage import MENAGERIE, TILE, WIDE, ZOO

DRAWN = [generated(difficulty, seed) for difficulty in (0.2, 0.6, 1.0) for seed in range(3)]
LEVELS = [ZOO, *DRAWN, MENAGERIE]
WALKS = (codes.WALKER, codes.EDGE_WALKER, codes.SHELLED, codes.SHELL, codes.SHELL_SLIDING)

# What a kind may become in a tick. Nothing vanishes but what was squashed, eaten, or fell out of the level.
BECOMES = {
    codes.GONE: set(),
    codes.WALKER: {codes.SQUASHED, codes.KNOCKED},
    codes.EDGE_WALKER: {codes.SQUASHED, codes.KNOCKED},
    codes.SHELLED: {codes.SHELL, codes.KNOCKED},
    codes.SHELL: {codes.SHELL_SLIDING, codes.KNOCKED},
    codes.SHELL_SLIDING: {codes.SHELL, codes.KNOCKED},
    codes.FLYER: {codes.KNOCKED},
    codes.PLANT: {codes.KNOCKED},
    codes.MUSHROOM: set(),
    codes.PLATFORM_ACROSS: set(),
    codes.PLATFORM_UP: set(),
    codes.IN_BLOCK: {codes.MUSHROOM},
    codes.SQUASHED: set(),
    codes.KNOCKED: set(),
}
BEATEN = {(codes.SHELLED, codes.SHELL)} | {
    (kind, end)
    for kind in range(codes.FIRST_ENEMY, codes.LAST_ENEMY + 1)
    for end in (codes.SQUASHED, codes.KNOCKED)
}


class Play:
    """Plays ticks on one of some levels, and looks at every state on the way."""

    def __init__(self, levels) -> None:
        config = PlatformerConfig(observation="index", actions="complex", frame_skip=1)
        self.levels = levels
        self.env = WorldEnv(Platformer(config, levels))
        self.params = self.env.params

    def begin(self, level: int, column: int, big: bool) -> None:
        """Stands in the column's lowest free place, or falls where there is none."""
        self.env.reset(seed=0, options={"level": level})
        records = self.env.get_state()
        r = records[0]
        column %= int(self.params.levels["width"][level]) - 4
        rows = self.solid(r)[codes.SKY :, codes.MARGIN + column]
        free = [row for row in range(3, codes.HEIGHT) if not rows[row - 2 : row + 1].any()]
        r["x"], r["y"] = column * TILE + 512, (max(free) + 1) * TILE
        r["column"], r["big"], r["grounded"] = -100, big, False  # a tick wakes what is near
        self.env.set_state(records)
        self.env.step(0)

    def solid(self, r):
        """(TABLE_ROWS, stride) which tiles are solid now."""
        tiles = self.params.tiles[r["level"]].copy()
        goes = np.isin(tiles[self.changed(r)], (codes.COIN, codes.BRICK))
        tiles[self.changed(r)] = np.where(goes, codes.EMPTY, codes.USED)
        return (tiles >= codes.FIRST_SOLID).reshape(codes.TABLE_ROWS, -1)

    def changed(self, r):
        """Cells of the tiles that have changed."""
        bits = np.unpackbits(r["changed"].astype("<u8").view(np.uint8), bitorder="little")
        return self.params.slot_cells[r["level"]][np.flatnonzero(bits)]

    def touched(self, r, body, width, height):
        """Whether a body is inside a solid tile."""
        left, right = int(body["x"]) // TILE, (int(body["x"]) + width - 1) // TILE
        top, bottom = (int(body["y"]) - height) // TILE, (int(body["y"]) - 1) // TILE
        rows = slice(codes.SKY + top, codes.SKY + bottom + 1)
        return self.solid(r)[rows, codes.MARGIN + left : codes.MARGIN + right + 1].any()

    def assert_rules(self, moves) -> None:
        """Takes (action, ticks) one after the other, until the episode is over."""
        before = self.env.get_state()[0]
        if before["done"]:
            return
        for action, ticks in moves:
            for _ in range(ticks):
                _, _, over, _, _ = self.env.step(action)
                records = self.env.get_state()
                self.look(before, records[0])
                self.env.world.check_state(records)
                before = records[0]
                if over:
                    return

    def look(self, before, r) -> None:
        height = codes.BIG_HEIGHT if r["big"] and not r["ducking"] else codes.SMALL_HEIGHT
        assert not self.touched(r, r, codes.PLAYER_WIDTH, height), "the player is inside a tile"
        assert abs(r["vx"]) <= codes.RUN_SPEED and -max(codes.JUMP_SPEED) <= r["vy"] <= codes.MAX_FALL
        platforms = codes.PLATFORM_SPEED
        assert abs(int(r["x"]) - int(before["x"])) <= codes.RUN_SPEED + platforms
        assert abs(int(r["y"]) - int(before["y"])) <= max(codes.JUMP_SPEED) + platforms

        cells = self.params.tiles[r["level"]][self.changed(r)]
        with_coins = codes.COIN, codes.COIN_BLOCK, codes.COIN_BRICK, codes.HIDDEN_COIN
        assert r["coins"] == np.isin(cells, with_coins).sum()
        self.look_at_things(before, r)

    def look_at_things(self, before, r) -> None:
        beaten = 0
        for slot, (was, now) in enumerate(zip(before["things"], r["things"], strict=True)):
            kinds = int(was["kind"]), int(now["kind"])
            beaten += kinds in BEATEN or kinds[0] == kinds[1] <= codes.SHELLED and was["timer"] > now["timer"]
            if kinds[0] != kinds[1] and kinds[1] == codes.GONE:
                assert self.may_vanish(was, now, before, r), (slot, kinds)
            elif kinds[0] != kinds[1]:
                assert kinds[1] in BECOMES[kinds[0]], (slot, kinds)
            if kinds[1] in WALKS or kinds[1] == codes.MUSHROOM and now["timer"] == codes.MUSHROOM_RISE:
                is_free = not self.touched(r, now, codes.THING_WIDTH, codes.THING_HEIGHT)
                assert is_free or self.hidden_were_hit(r), (slot, kinds)
            if now["kind"] != codes.GONE and slot not in before["awake"][: before["num_awake"]]:
                assert was == now, "a thing moved in its sleep"
        assert r["stomps"] == before["stomps"] + beaten

    def hidden_were_hit(self, r) -> bool:
        """Whether a hidden block has turned solid, which does not mind who is in it."""
        hit = self.params.tiles[r["level"]][self.changed(r)]
        return np.isin(hit, (codes.HIDDEN_COIN, codes.HIDDEN_MUSHROOM)).any()

    def may_vanish(self, was, now, before, r) -> bool:
        if now["y"] >= codes.PIT_DEPTH:
            return True
        if was["kind"] == codes.SQUASHED:
            return was["timer"] == 1
        return was["kind"] == codes.MUSHROOM and r["score"] >= before["score"] + codes.POINTS_MUSHROOM


@pytest.fixture(scope="module")
def play():
    return Play(LEVELS)


@pytest.fixture(scope="module")
def play_wide():
    return Play([ZOO, WIDE])


MOVES = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 40)), min_size=1, max_size=12)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.integers(0, len(LEVELS) - 1), st.integers(0, 110), st.booleans(), MOVES)
def test_every_tick_keeps_the_rules(play, level, column, big, moves):
    play.begin(level, column, big)
    play.assert_rules(moves)


@pytest.mark.slow
@settings(max_examples=120)
@given(st.sampled_from([0, len(LEVELS) - 1]), st.integers(0, 40), st.booleans(), MOVES)
def test_every_tick_keeps_the_rules_in_the_zoo(play, level, column, big, moves):
    play.begin(level, column, big)
    play.assert_rules(moves)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.integers(0, WIDE.width - 1), st.booleans(), MOVES)
def test_every_tick_keeps_the_rules_in_a_wide_level(play_wide, column, big, moves):
    play_wide.begin(1, column, big)
    play_wide.assert_rules(moves)


@pytest.mark.slow
@pytest.mark.parametrize("observation", ["grid", "index"])
@pytest.mark.parametrize("where", ["zoo", "menagerie", "wide"])
def test_compiled_rules_are_the_written_ones_in_the_zoo(play, play_wide, where, observation):
    """The loop as plain Python comes to the same states, among all kinds of things."""
    played, level, columns = {
        "zoo": (play, 0, range(2, 44, 3)),
        "menagerie": (play, len(LEVELS) - 1, range(2, 44, 3)),
        "wide": (play_wide, 1, range(50, 430, 27)),
    }[where]
    world = Platformer(PlatformerConfig(observation=observation, actions="complex"), played.levels)
    starts = []
    for column in columns:
        played.begin(level, column, column % 2 == 0)
        starts.append(played.env.get_state())
    states = np.concatenate(starts)
    results = []
    for loop in (None, interpreted(world)):
        batch = Batch(world, len(states), loop=loop)
        batch.set_state(states)
        out = batch.outputs()
        row = np.arange(len(states))
        for step in range(40):
            action = np.where((row + step) % 5 < 3, np.where(step // 4 % 2, 4, 3), (row * 5 + step) % 12)
            action[batch.state["done"]] = KEEP
            batch.step(action, DISABLED, 0, out)
        results.append((batch.get_state().tobytes(), out.obs.tobytes()))
    assert results[0] == results[1]


@settings(max_examples=50)
@given(st.data())
def test_records_that_are_no_states_are_refused(play, data):
    """Fields that the kernels trust: a value out of range is refused, whichever field it is in."""
    play.begin(0, 5, False)
    records = play.env.get_state()
    wrong = {
        "level": (-1, len(LEVELS)),
        "x": (-1, 1 << 20),
        "y": (-(1 << 18), 1 << 18),
        "vx": (-TILE, TILE),
        "vy": (-TILE, TILE),
        "jump_class": (4, 255),
        "tick": (-1, (1 << 31) - 8),
        "ride": (33, 255),
        "bump_cell": (codes.USUAL.cells, 65535),
        "num_awake": (33, 255),
    }
    name = data.draw(st.sampled_from(sorted(wrong)))
    records[name] = data.draw(st.sampled_from(wrong[name]))
    with pytest.raises(ValueError, match="no state of this world"):
        play.env.set_state(records)


def test_things_that_are_no_states_are_refused(play):
    for name, value in (("kind", codes.NUM_KINDS), ("x", -1), ("y", 1 << 18), ("vx", TILE)):
        play.begin(0, 5, False)
        records = play.env.get_state()
        records["things"][0, 0][name] = value
        with pytest.raises(ValueError, match="no state of this world"):
            play.env.set_state(records)
    play.begin(0, 5, False)
    records = play.env.get_state()
    records["ride"] = 1
    with pytest.raises(ValueError, match="ride"):
        play.env.set_state(records)
