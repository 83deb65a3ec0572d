"""Levels that somebody has drawn and the usual search finds no way through."""

import threading
import time

import numpy as np
import platformdirs
import pytest
from meze.envs.platformer import pool, search
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.levels import Level, format_level, parse_level
from meze.envs.platformer.pool import certify, load_pool, starting_states
from meze.envs.platformer.search import THOROUGH, USUAL, Limits, Searcher
from meze.envs.platformer.state import ACTION_SETS, LARGE, STATES
from meze.envs.platformer.world import Platformer
from platformer_stage import WIDE, ZOO
from platformer_stage import draw_level as stage_level
from test_platformer_expert import WALL, make, play

FORWARD = len(ACTION_SETS["right_only"])


def tangle(seed: int, width: int = 200) -> Level:
    """A thicket of blocks with floors that end at walls, which lead a search astray."""
    rng = np.random.default_rng(seed)
    cells = np.full((15, width), ".")
    cells[14] = "#"
    share = rng.uniform(0.05, 0.25)
    cells[:14, 6 : width - 8][rng.random((width - 14, 14)).T < share] = "#"
    for _ in range(rng.integers(2, 8)):
        left, length, row = rng.integers(8, width - 60), rng.integers(20, 50), rng.integers(3, 11)
        cells[row, left : left + length] = "#"
        cells[:row, left + length] = "#"
    cells[:14, width - 8 :] = "."
    cells[13, 2], cells[13, width - 3] = "@", "F"
    return parse_level("\n" + "\n".join(map("".join, cells)), f"tangle-{seed}")


@pytest.fixture
def no_notes(tmp_path, monkeypatch):
    """The cache folder is a new one."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_: str(tmp_path / "cache"))


def write(path, level: Level) -> str:
    path.write_text(format_level(level))
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(29, marks=pytest.mark.slow), 67])
def test_a_drawn_level_is_searched_thoroughly_and_the_expert_plays_what_was_found(seed, tmp_path, no_notes):
    level = tangle(seed)
    assert certify([level]) == [0]
    (found,) = load_pool(write(tmp_path / "tangle.txt", level), 0.3, "train", 1)
    assert found.par_time > 1200
    for settings in ({}, {"frame_skip": 2, "actions": "complex"}):
        envs = make(3, [found], **settings)
        envs.reset(seed=0)
        clear, ticks = play(envs, envs.reference("expert"))
        assert clear.all() and (ticks == found.par_time).all()


@pytest.mark.slow
def test_what_was_found_is_kept(tmp_path, no_notes, monkeypatch):
    path = write(tmp_path / "wall.txt", stage_level(WALL))
    calls = []
    thoroughly = pool.search_thoroughly
    monkeypatch.setattr(
        pool, "search_thoroughly", lambda *arguments: calls.append(1) or thoroughly(*arguments)
    )
    for _ in range(2):
        with pytest.warns(UserWarning, match="'wall' is not certified: .* was found among 5,000,000 states"):
            load_pool(path, 0.3, "train", 1)
    assert calls == [1]
    (note,) = (tmp_path / "cache" / "levels").iterdir()
    for damaged in ('[[0, -5, "x"]]', '[[0, 0, "\\u001b[31m"]]'):
        note.write_text(damaged)
        with pytest.warns(UserWarning, match="not certified") as said:
            load_pool(path, 0.3, "train", 1)
        assert "\x1b" not in str(said[0].message)


@pytest.mark.parametrize(
    "limits, limit",
    [
        (Limits(1000, 1024, 8192), "states"),
        (Limits(200_000, 10, 8192), "moves"),
        (Limits(200_000, 1024, 290), "ticks"),
    ],
)
def test_it_is_told_which_limit_ended_a_search(limits, limit):
    params, state = starting_states([stage_level(WALL), stage_level()])
    plan = Searcher(limits)(params, state, 0, FORWARD, 1)
    assert not plan.clears and plan.limit == limit and plan.tried <= limits.states
    assert Searcher()(params, state, 1, FORWARD, 1).limit == ""


def test_where_all_was_tried_no_limit_is_to_blame(tmp_path, no_notes):
    """Who can only fall to its death is soon at an end."""
    level = stage_level(pits=range(2, 40))
    params, state = starting_states([level])
    plan = Searcher()(params, state, 0, FORWARD, 1)
    assert not plan.clears and plan.limit == "" and plan.tried < 10_000
    with pytest.warns(UserWarning, match="no way to its flag and all that the expert can reach was tried"):
        load_pool(write(tmp_path / "pit.txt", level), 0.3, "train", 1)


@pytest.mark.slow
@pytest.mark.parametrize("level", [ZOO, WIDE, stage_level(WALL)], ids=["zoo", "wide", "wall"])
@pytest.mark.parametrize("every, records", [(7, 10**6), (1, 50), (16, 300)])
def test_states_that_are_played_again_lead_to_the_same_plan(level, every, records):
    params, state = starting_states([level])
    usual = Limits(60_000, 1024, 8192)
    sparse = usual._replace(record_every=every, record_bytes=records * state.itemsize)
    plan, again = (Searcher(limits)(params, state, 0, FORWARD, 1) for limits in (usual, sparse))
    assert again.actions.tolist() == plan.actions.tolist() and again[1:] == plan[1:]


@pytest.mark.slow
def test_a_thorough_search_takes_less_than_a_gigabyte():
    searcher = Searcher(THOROUGH)
    params, state = starting_states([WIDE])
    assert state.dtype == STATES[LARGE]
    searcher(params, state, 0, FORWARD, 1)
    arrays = [value for value in vars(searcher).values() if isinstance(value, np.ndarray)]
    assert 10**8 < sum(array.nbytes for array in arrays) < 10**9


def test_thorough_searches_come_one_after_the_other(monkeypatch):
    under_way, most = [], []

    class Slow:
        def __init__(self, limits):
            assert limits is THOROUGH

        def __call__(self, *_):
            under_way.append(1)
            most.append(len(under_way))
            time.sleep(0.02)
            under_way.pop()

    monkeypatch.setattr(search, "Searcher", Slow)
    threads = [threading.Thread(target=search.search_thoroughly, args=(None,) * 5) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_generated_levels_keep_to_the_usual_limits(monkeypatch):
    """What their pools hold must not change."""
    monkeypatch.setattr(pool, "search_thoroughly", lambda *_: pytest.fail("a generated level"))
    monkeypatch.setattr(pool, "certify", lambda levels: [0] * len(levels))
    assert USUAL == Limits(200_000, 1024, 8192)
    with pytest.raises(ValueError, match="can't be cleared"):
        Platformer(PlatformerConfig(difficulty=0.9, pool_size=2, split=77))
