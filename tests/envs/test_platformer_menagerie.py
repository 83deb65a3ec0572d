"""Tiles and walkers beyond the usual ones: one situation, set up by hand, for each rule."""

import numpy as np
import pytest
from meze.envs.platformer import state as codes
from meze.envs.platformer.levels import build_pool
from platformer_stage import DOWN, FLOOR, JUMP, NONE, RIGHT, TILE, Stage, draw_level

PERCH = {(1, 4): "###"}


def perched(changes, pits=()):
    """A player out of everybody's way."""
    return Stage(PERCH | changes, pits).put(1.5, 4)


# ---------------------------------------------------------------- jump-through floors


def test_a_floor_is_passed_from_below_and_stood_on_from_above():
    stage = Stage({(4, 10): "_____"}).put(5)
    highest = stage.ticks(JUMP, 20)["y"].min()
    assert highest < 10 * TILE
    stage.until(lambda r: r["grounded"])
    assert stage.record["y"] == 10 * TILE and stage.record["ride"] == 0
    stage.tick(DOWN, 60)
    assert stage.record["y"] == 10 * TILE


def test_a_floor_is_no_wall_and_its_end_is_one_s_own():
    stage = Stage({(5, 12): "___"}).put(3)
    stage.until(lambda r: r["x"] > 6 * TILE, RIGHT)
    assert stage.record["y"] == FLOOR * TILE
    stage = Stage({(4, 10): "__"}).put(4.5, 10)
    stage.until(lambda r: r["y"] == FLOOR * TILE, RIGHT)


@pytest.mark.parametrize("floor", ["____", "====", "####"])
@pytest.mark.parametrize("tile", "^S")
def test_on_the_end_of_a_floor_its_neighbour_does_nothing_yet(floor, tile):
    stage = Stage({(4, 10): floor + tile}).put(8 - (codes.PLAYER_WIDTH - codes.PIXEL) / TILE, 10)
    stage.tick(NONE)
    assert stage.record["y"] == 10 * TILE and stage.record["vy"] == 0 and stage.record["info"]["death"] == 0


def test_a_state_whose_blocks_hold_something_far_away_is_refused():
    stage = Stage({(5, 9): "M"})
    state = stage.env.get_state()
    state["things"]["y"][0, 0] = -1000 * TILE
    with pytest.raises(ValueError, match="things has one outside the level"):
        stage.env.set_state(state)


def test_things_stand_on_a_floor_and_edge_walkers_turn_on_it():
    stage = perched({(6, 8): "____", (7, 7): "e", (12, 8): "__", (13, 7): "w"})
    trail = stage.ticks(NONE, 400)["things"]
    edge, walker = trail[:, 0], trail[:, 1]
    assert set(edge["y"].tolist()) == {8 * TILE} and len(set(edge["vx"].tolist())) == 2
    assert walker["y"][0] == 8 * TILE and walker["y"].max() == FLOOR * TILE


# ---------------------------------------------------------------- hidden, filled and used


@pytest.mark.parametrize("tile, code", [("i", codes.HIDDEN_COIN), ("c", codes.COIN_BRICK)])
def test_a_hidden_block_and_a_brick_give_their_coin_once(tile, code):
    stage = Stage({(5, 9): tile}).put(5.1)
    assert stage.tile(5, 9) == code
    for coins in (1, 1):
        stage.tick(NONE)
        stage.tick(JUMP, 12)
        stage.until(lambda r: r["grounded"])
        assert stage.record["coins"] == coins and stage.tile(5, 9) == codes.USED


@pytest.mark.parametrize("tile", "Im")
def test_a_hidden_block_and_a_brick_release_their_mushroom(tile):
    stage = Stage({(5, 9): tile, (20, 9): "M"}).put(5.1)
    stage.tick(JUMP, 12)
    assert stage.things["kind"].tolist()[:2] == [codes.MUSHROOM, codes.IN_BLOCK]
    assert stage.tile(5, 9) == codes.USED and stage.record["coins"] == 0


@pytest.mark.parametrize("tile", "cm")
def test_a_filled_brick_is_not_broken_by_a_big_player(tile):
    stage = Stage({(5, 8): tile}).put(5.1).grow()
    stage.tick(JUMP, 12)
    assert stage.tile(5, 8) == codes.USED


def test_a_hidden_block_is_passed_but_from_below():
    stage = Stage({(5, 12): "i", (5, 9): "i"}).put(3)
    stage.until(lambda r: r["x"] > 7 * TILE, RIGHT)
    assert stage.record["y"] == FLOOR * TILE
    stage.put(5.1, 6)
    stage.until(lambda r: r["y"] == FLOOR * TILE)
    assert not stage.record["changed"].any()
    stage.put(5.1, FLOOR).tick(JUMP, 12)
    assert stage.tile(5, 9) == codes.USED and stage.tile(5, 12) == codes.HIDDEN_COIN


@pytest.mark.parametrize("offset, hit", [(-0.6, "left"), (-0.2, "right")])
def test_of_two_hidden_blocks_the_one_over_the_middle_is_hit(offset, hit):
    stage = Stage({(5, 9): "ii"}).put(6 + offset)
    stage.tick(JUMP, 12)
    expected = (codes.USED, codes.HIDDEN_COIN)
    assert (stage.tile(5, 9), stage.tile(6, 9)) == (expected if hit == "left" else expected[::-1])


def test_a_hidden_block_is_hit_only_where_nothing_else_stops_the_player():
    stage = Stage({(5, 9): "iu"}).put(5.4)
    stage.tick(JUMP, 12)
    assert stage.tile(5, 9) == codes.HIDDEN_COIN
    stage.until(lambda r: r["grounded"])
    stage.put(5.1).tick(NONE)
    stage.tick(JUMP, 12)
    assert stage.tile(5, 9) == codes.USED


def test_a_used_block_is_solid_and_empty():
    stage = Stage({(5, 9): "u"}).put(5.1)
    highest = stage.ticks(JUMP, 14)["y"].min()
    assert highest == 10 * TILE + codes.SMALL_HEIGHT and not stage.record["coins"]


# ---------------------------------------------------------------- pipes


def test_pipes_stand_hang_and_lie_and_have_one_mouth_each():
    rows = {(6, 0): "[]", (6, 1): "[]", (10, 12): "[]", (10, 11): "[]"}
    lying = {(14, 8): "#((", (14, 9): "#))", (20, 8): "((#", (20, 9): "))#"}
    tiles = build_pool([draw_level(rows | lying)]).tiles[0]

    def code(column, row):
        return int(tiles[codes.USUAL.cell(column, row)])

    assert (code(6, 0), code(7, 0)) == (codes.PIPE_LEFT, codes.PIPE_RIGHT)
    assert (code(6, 1), code(7, 1)) == (codes.HANGING_MOUTH_LEFT, codes.HANGING_MOUTH_RIGHT)
    assert (code(10, 11), code(11, 11)) == (codes.PIPE_MOUTH_LEFT, codes.PIPE_MOUTH_RIGHT)
    assert (code(10, 12), code(11, 12)) == (codes.PIPE_LEFT, codes.PIPE_RIGHT)
    assert (code(15, 8), code(15, 9)) == (codes.LYING_UPPER, codes.LYING_LOWER)
    assert (code(16, 8), code(16, 9)) == (codes.EAST_MOUTH_UPPER, codes.EAST_MOUTH_LOWER)
    assert (code(20, 8), code(20, 9)) == (codes.WEST_MOUTH_UPPER, codes.WEST_MOUTH_LOWER)
    assert (code(21, 8), code(21, 9)) == (codes.LYING_UPPER, codes.LYING_LOWER)
    assert min(code(6, 1), code(16, 8), code(20, 9)) >= codes.FIRST_SOLID


# ---------------------------------------------------------------- wings and spines


def above(stage, slot=0, height=1.5):
    """Puts the player so that it falls on a thing."""
    t = stage.things[slot]
    return stage.put(int(t["x"]) / TILE, int(t["y"]) / TILE - height, vy=300)


@pytest.mark.parametrize("letter", "hH")
def test_who_stomps_a_spiny_one_is_hurt(letter):
    stage = above(Stage({(20, 12): letter}))
    stage.until(lambda r: stage.over, limit=60)
    assert stage.info["death"] == codes.ENEMY and stage.record["stomps"] == 0


def test_a_spiny_one_is_knocked_over_by_a_shell():
    stage = perched({(12, 12): "t", (9, 12): "h"})
    stage.things[1]["kind"], stage.things[1]["vx"] = codes.SHELL_SLIDING, -codes.SHELL_SPEED
    stage.until(lambda r: r["things"][0]["kind"] == codes.KNOCKED)
    assert stage.record["stomps"] == 1


@pytest.mark.parametrize(
    "letter, plain, ends",
    [("W", codes.WALKER, codes.SQUASHED), ("T", codes.SHELLED, codes.SHELL)],
)
def test_who_has_wings_loses_them_first(letter, plain, ends):
    stage = Stage({(20, 12): letter})
    above(stage).until(lambda r: r["stomps"] == 1)
    assert stage.things[0]["kind"] == plain and stage.things[0]["timer"] == 0 and stage.record["vy"] < 0
    stage.put(30).tick(NONE, 60)
    assert stage.things[0]["y"] == FLOOR * TILE
    above(stage).until(lambda r: r["stomps"] == 2)
    assert stage.things[0]["kind"] == ends


@pytest.mark.parametrize("letter", "WTH")
def test_who_has_wings_hops_on_and_on(letter):
    trail = perched({(12, 12): letter}).ticks(NONE, 120)["things"][:, 0]
    heights = FLOOR - trail["y"] / TILE
    assert 1.8 < heights.max() < 2 and heights.min() == 0
    assert (heights == 0).sum() >= 3 and set(np.abs(trail["vx"]).tolist()) == {codes.WALKER_SPEED}


def test_a_hop_ends_at_a_ceiling():
    stage = perched({(8, 11): "########", (14, 12): "W"})
    trail = stage.ticks(NONE, 40)["things"][:, 0]
    assert trail["y"].min() == 12 * TILE + codes.THING_HEIGHT and trail["y"].max() == FLOOR * TILE
