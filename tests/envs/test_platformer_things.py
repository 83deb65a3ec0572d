"""Creatures, platforms and mushrooms: one situation, set up by hand, for each rule."""

import numpy as np
import pytest
from meze.envs.platformer import state as codes
from platformer_stage import DOWN, FLOOR, JUMP, LEFT, NONE, RIGHT, RUN, TILE, Stage

WALKERS = {"w": codes.WALKER, "e": codes.EDGE_WALKER, "t": codes.SHELLED}


def kinds(stage):
    return [int(kind) for kind in stage.things["kind"] if kind != codes.GONE]


def turns(trail, slot=0):
    """Places at which a thing changes its direction."""
    speed = trail["things"][:, slot]["vx"]
    return trail["things"][:, slot]["x"][1:][np.diff(np.sign(speed)) != 0]


PERCH = {(1, 4): "###"}
"""Where the player stands, out of everybody's way."""


def perched(changes, pits=()):
    return Stage(PERCH | changes, pits).put(1.5, 4)


def shell(stage, slot=0, vx=0):
    """Makes a thing a shell."""
    stage.things[slot]["kind"] = codes.SHELL_SLIDING if vx else codes.SHELL
    stage.things[slot]["vx"] = vx
    return stage


# ---------------------------------------------------------------- walking


@pytest.mark.parametrize("character", "wet")
def test_walkers_walk_at_their_speed_and_turn_at_walls(character):
    stage = Stage({(6, 12): "#", (10, 12): character, (13, 12): "#"})
    trail = stage.ticks(NONE, 600)
    assert set(np.abs(trail["things"][:, 0]["vx"]).tolist()) == {codes.WALKER_SPEED}
    places = turns(trail)
    assert len(places) >= 3
    near_a_wall = (places - 7 * TILE < codes.WALKER_SPEED) | (
        13 * TILE - codes.THING_WIDTH - places < codes.WALKER_SPEED
    )
    assert near_a_wall.all()


@pytest.mark.parametrize("character, turns_back", [("w", False), ("t", False), ("e", True)])
def test_only_edge_walkers_turn_at_edges(character, turns_back):
    stage = Stage({(9, 12): character}, pits=[5, 6])
    stage.tick(NONE, 300)
    assert kinds(stage) == ([WALKERS[character]] if turns_back else [])


def test_edge_walkers_stay_on_their_ledge():
    stage = Stage({(8, 8): "=====", (10, 7): "e"})
    trail = stage.ticks(NONE, 600)["things"][:, 0]
    assert len(set(trail["y"].tolist())) == 1
    assert trail["x"].min() >= 8 * TILE - codes.WALKER_SPEED
    assert trail["x"].max() <= 13 * TILE - codes.THING_WIDTH + codes.WALKER_SPEED


def test_walkers_fall_where_a_brick_is_gone():
    stage = Stage({(10, 8): "=", (10, 7): "w"})
    stage.record["changed"][0] = 1  # the only tile that can change
    stage.until(lambda r: r["things"][0]["y"] == FLOOR * TILE, limit=60)
    assert stage.things[0]["kind"] == codes.WALKER


def test_things_are_asleep_until_the_player_is_near():
    stage = Stage({(30, 12): "w"})
    start = int(stage.things[0]["x"])
    stage.put(30 - codes.WAKE_COLUMNS - 1).tick(NONE, 20)
    assert stage.things[0]["x"] == start and stage.record["num_awake"] == 0
    stage.put(30 - codes.WAKE_COLUMNS).tick(NONE, 20)
    assert stage.things[0]["x"] < start and stage.record["num_awake"] == 1


def test_things_fall_asleep_again_behind_the_player():
    stage = Stage({(5, 12): "w"})
    stage.put(5 + codes.WAKE_COLUMNS + 1).tick(NONE, 2)
    before = int(stage.things[0]["x"])
    stage.tick(NONE, 20)
    assert stage.things[0]["x"] == before
    assert stage.things[0]["kind"] == codes.WALKER  # it is still there


# ---------------------------------------------------------------- stomp and side hit


@pytest.mark.parametrize("character", "wet")
@pytest.mark.parametrize("feet, stomps", [(-1, True), (0, False)])
def test_feet_above_the_middle_stomp_and_below_it_are_hit(character, feet, stomps):
    stage = Stage({(10, 12): character})
    stage.put(10, 12, vy=100)
    stage.record["jump_class"] = 0
    gravity = codes.GRAVITY_FREE[0]
    stage.record["y"] = FLOOR * TILE - codes.THING_HEIGHT // 2 + feet - 100 - gravity
    stage.tick()
    assert (stage.info["death"] == codes.ALIVE) == stomps
    assert stage.record["stomps"] == stomps


def test_a_stomped_walker_is_squashed_and_gone_after_a_moment():
    stage = Stage({(10, 12): "w"}).put(10, 11)
    stage.until(lambda r: r["stomps"] == 1)
    assert stage.things[0]["kind"] == codes.SQUASHED and stage.info["reward_stomps"] == 0.25
    assert stage.record["score"] == codes.POINTS_CHAIN[0]
    assert stage.until(lambda r: r["things"][0]["kind"] == codes.GONE) == codes.SQUASHED_TICKS


@pytest.mark.parametrize("buttons", [NONE, JUMP])
def test_stomping_bounces_higher_with_the_button_held(buttons):
    stage = Stage({(10, 12): "w"}).put(10, 11)
    stage.record["jump_held"] = 1
    stage.until(lambda r: r["vy"] < 0, buttons)
    assert stage.record["vy"] == -codes.STOMP_BOUNCE
    height = int(stage.record["y"]) - stage.ticks(buttons, 60)["y"].min()
    assert height > 3 * TILE if buttons else height < 2 * TILE


def test_stomps_in_a_row_are_worth_more_and_more_points():
    stage = Stage({(10, 12): "w", (12, 12): "w"}).put(10, 11)
    stage.until(lambda r: r["stomps"] == 1)
    stage.record["x"] = stage.things[1]["x"]
    stage.until(lambda r: r["stomps"] == 2)
    assert stage.record["score"] == sum(codes.POINTS_CHAIN[:2]) and stage.record["chain"] == 2
    stage.put(20).tick()
    assert stage.record["chain"] == 0


def test_two_creatures_under_the_feet_are_both_stomped():
    stage = Stage({(10, 12): "ww"}).put(10.6, 11)
    stage.until(lambda r: r["stomps"] > 0)
    assert stage.record["stomps"] == 2 and kinds(stage) == [codes.SQUASHED] * 2


@pytest.mark.parametrize("big", [False, True])
def test_a_side_hit_kills_or_makes_small(big):
    stage = Stage({(10, 12): "w"}).put(8)
    if big:
        stage.grow()
        stage.until(lambda r: not r["big"])
        stage.tick(NONE, 60)
        assert not stage.over and stage.record["invulnerable"] == codes.INVULNERABLE_TICKS - 60
        assert stage.things[0]["x"] < stage.record["x"]  # it has walked through
    else:
        stage.until(lambda _: stage.over)
        assert stage.info["death"] == codes.ENEMY


def test_a_big_one_is_hit_at_its_head():
    stage = Stage({(10, 11): "f"}).put(8.4, vx=0).grow()
    stage.things[0]["timer"] = 250  # about to go up from where it is
    stage.tick(RIGHT | RUN, 30)
    assert not stage.record["big"]
    assert not Stage({(10, 10): "f"}).put(10).tick()["invulnerable"]  # a small one is below it


def test_squashed_and_knocked_creatures_harm_nobody():
    for kind in (codes.SQUASHED, codes.KNOCKED):
        stage = Stage({(10, 12): "w"}).put(10)
        stage.things[0]["kind"], stage.things[0]["timer"] = kind, 10
        stage.tick(NONE, 5)
        assert not stage.over


# ---------------------------------------------------------------- shells


def test_a_stomped_shelled_one_leaves_its_shell_at_rest():
    stage = Stage({(10, 12): "t"}).put(10, 11)
    stage.until(lambda r: r["stomps"] == 1)
    assert kinds(stage) == [codes.SHELL] and stage.things[0]["vx"] == 0
    x = int(stage.things[0]["x"])
    assert stage.tick(NONE, 8)["things"][0]["x"] == x  # leaping off does not kick it


@pytest.mark.parametrize(
    "column, buttons, vx", [(9, RIGHT, codes.SHELL_SPEED), (11, LEFT, -codes.SHELL_SPEED)]
)
def test_a_shell_at_rest_is_kicked_away(column, buttons, vx):
    stage = shell(Stage({(10, 12): "t"})).put(column)
    stage.until(lambda r: r["things"][0]["kind"] == codes.SHELL_SLIDING, buttons)
    assert stage.things[0]["vx"] == vx
    stage.tick(buttons, 20)
    assert not stage.over and stage.record["stomps"] == 0


def test_a_shell_is_kicked_from_above_too():
    stage = shell(Stage({(10, 12): "t"})).put(9.6, 11)
    stage.until(lambda r: r["vy"] < 0)
    assert stage.things[0]["vx"] == codes.SHELL_SPEED and stage.record["stomps"] == 0


def test_a_kicked_shell_that_comes_back_kills():
    stage = shell(Stage({(10, 12): "t", (14, 12): "#"})).put(9)
    stage.until(lambda r: r["things"][0]["vx"] > 0, RIGHT)
    stage.until(lambda r: r["things"][0]["vx"] < 0)
    stage.until(lambda _: stage.over)
    assert stage.info["death"] == codes.ENEMY


def test_a_sliding_shell_is_stopped_by_a_stomp():
    stage = shell(Stage({(12, 12): "t"}), vx=-codes.SHELL_SPEED).put(10, 11, vy=200)
    stage.until(lambda r: r["vy"] < 0, limit=30)
    assert kinds(stage) == [codes.SHELL] and stage.things[0]["vx"] == 0 and stage.record["stomps"] == 0


def test_a_sliding_shell_knocks_over_a_chain_of_creatures():
    stage = perched({(5, 12): "t", (8, 12): "w", (10, 12): "e", (12, 12): "t"})
    shell(stage, vx=codes.SHELL_SPEED)
    stage.until(lambda r: r["stomps"] == 3)
    assert kinds(stage) == [codes.SHELL_SLIDING] + [codes.KNOCKED] * 3
    assert stage.things[0]["timer"] == 3
    assert stage.record["score"] == sum(codes.POINTS_CHAIN[:3])
    assert stage.reward == pytest.approx(0.75, abs=0.2)
    stage.tick(NONE, 60)
    assert kinds(stage) == [codes.SHELL_SLIDING]  # the others have fallen out of the level


def test_two_shells_that_meet_knock_each_other_over():
    stage = perched({(8, 12): "t", (14, 12): "t"})
    shell(shell(stage, 0, codes.SHELL_SPEED), 1, -codes.SHELL_SPEED)
    stage.until(lambda r: r["stomps"] > 0)
    stage.tick(NONE, 60)
    assert len(kinds(stage)) == 1  # the first in the order of slots knocks over the other


def test_a_sliding_shell_spares_mushrooms_and_platforms():
    stage = shell(perched({(5, 12): "t", (8, 12): "M", (12, 12): "-"}), vx=codes.SHELL_SPEED)
    stage.record["changed"][0] = 1
    stage.things[1]["kind"] = codes.MUSHROOM
    stage.tick(NONE, 40)
    assert sorted(kinds(stage)) == [codes.SHELL_SLIDING, codes.MUSHROOM, codes.PLATFORM_ACROSS]


def test_a_sliding_shell_falls_into_a_pit():
    stage = shell(Stage({(6, 12): "t"}, pits=[9, 10, 11]), vx=codes.SHELL_SPEED)
    stage.tick(NONE, 60)
    assert kinds(stage) == []


# ---------------------------------------------------------------- flyers and plants


def test_a_flyer_hovers_two_tiles_up_and_is_back_after_its_cycle():
    stage = Stage({(10, 8): "f"})
    trail = stage.ticks(NONE, 512)["things"][:, 0]
    assert trail["y"].max() - trail["y"].min() == 2 * TILE
    assert np.array_equal(trail["y"][:256], trail["y"][256:]) and trail["y"][255] == 9 * TILE
    assert len(set(trail["x"].tolist())) == 1


def test_a_stomped_flyer_falls_out_of_the_level():
    stage = Stage({(10, 10): "f"}).put(10, 8)
    stage.until(lambda r: r["stomps"] == 1)
    assert kinds(stage) == [codes.KNOCKED]
    stage.tick(NONE, 90)
    assert kinds(stage) == []


def test_a_plant_goes_out_and_in():
    stage = Stage({(10, 11): "[]", (10, 12): "[]", (10, 10): "p"})
    trail = stage.ticks(NONE, 600)["things"][:, 0]
    mouth = 11 * TILE
    assert trail["y"].max() == mouth + TILE and trail["y"].min() == mouth
    assert np.array_equal(trail["y"][:256], trail["y"][256:512])
    out = (trail["y"][:256] == mouth).sum()
    assert out == codes.PLANT_DOWN - codes.PLANT_UP + 1


@pytest.mark.parametrize(
    "column, comes", [(9.2, False), (12.1, False), (10.6, False), (8.0, True), (13.6, True)]
)
def test_a_plant_stays_in_while_the_player_is_beside_it(column, comes):
    stage = Stage({(10, 11): "[]", (10, 12): "[]", (10, 10): "p"})
    stage.put(column, 11 if 9 < column < 12 else FLOOR)
    trail = stage.ticks(NONE, 400)["things"][:, 0]
    assert (trail["y"].min() < 12 * TILE) == comes
    assert not stage.over


def test_a_plant_cannot_be_stomped():
    stage = Stage({(10, 11): "[]", (10, 12): "[]", (10, 10): "p"})
    stage.until(lambda r: r["things"][0]["timer"] == codes.PLANT_UP + 5)
    stage.put(10.6, 8)
    stage.until(lambda _: stage.over)
    assert stage.info["death"] == codes.ENEMY and kinds(stage) == [codes.PLANT]


# ---------------------------------------------------------------- mushrooms


def released(more=None):
    """A stage in which a mushroom has just been hit out of its block at column 5."""
    stage = Stage({(5, 9): "M"} | (more or {})).put(5.1)
    stage.until(lambda r: r["things"][0]["kind"] == codes.MUSHROOM, JUMP)
    return stage


def test_a_mushroom_rises_out_of_its_block_and_goes_right():
    stage = released()
    assert stage.tile(5, 9) == codes.USED
    stage.tick(NONE, codes.MUSHROOM_RISE - 1)  # the first tick was that of the hit
    assert stage.things[0]["y"] == 9 * TILE
    assert stage.tick(NONE, 8)["things"][0]["vx"] == codes.MUSHROOM_SPEED


def test_a_mushroom_falls_and_turns_at_walls():
    stage = released({(9, 12): "#"}).put(12)
    trail = stage.ticks(NONE, 120)["things"][:, 0]
    assert trail["y"][-1] == FLOOR * TILE
    assert set(trail["vx"].tolist()) == {0, codes.MUSHROOM_SPEED, -codes.MUSHROOM_SPEED}


def test_a_mushroom_makes_big():
    stage = released()
    stage.record["x"] = stage.things[0]["x"]
    stage.record["y"], stage.record["vy"] = 7 * TILE, 0
    stage.until(lambda r: r["big"])
    assert kinds(stage) == [] and not stage.record["ducking"]
    assert stage.record["score"] == codes.POINTS_MUSHROOM


def test_a_big_player_only_scores_by_it():
    stage = released().grow()
    stage.record["x"], stage.record["y"], stage.record["vy"] = stage.things[0]["x"], 7 * TILE, 0
    stage.until(lambda r: r["things"][0]["kind"] == codes.GONE)
    assert stage.record["big"] and stage.record["score"] == codes.POINTS_MUSHROOM


def test_who_grows_in_a_tunnel_ducks():
    stage = Stage({(8, 11): "#####", (10, 12): "."}).put(9)
    stage.things[0] = (11 * TILE, FLOOR * TILE, 0, 0, codes.MUSHROOM, codes.MUSHROOM_RISE)
    stage.until(lambda r: r["big"], RIGHT)
    assert stage.record["ducking"]
    stage.until(lambda r: r["x"] >= 13 * TILE, RIGHT)
    stage.tick()
    assert stage.record["big"] and not stage.record["ducking"]


# ---------------------------------------------------------------- platforms


def test_platforms_go_four_tiles_and_are_back_after_their_cycle():
    stage = Stage({(6, 9): "-", (12, 11): "|"}).put(2)
    trail = stage.ticks(NONE, 512)["things"]
    across, up = trail[:, 0], trail[:, 1]
    assert across["x"].max() == (6 + 4) * TILE and across["x"][255] == 6 * TILE
    assert up["y"].min() == (11 - 4) * TILE + codes.PLATFORM_HEIGHT
    assert np.array_equal(across[:256], across[256:]) and np.array_equal(up[:256], up[256:])


@pytest.mark.parametrize("character", "-|")
def test_a_platform_carries_who_stands_on_it(character):
    stage = Stage({(8, 10): character}).put(9, 9)
    stage.until(lambda r: r["ride"] == 1)
    offset = stage.record["x"] - stage.things[0]["x"]
    for record in stage.ticks(NONE, 300):
        platform = record["things"][0]
        assert record["grounded"] and record["y"] == platform["y"] - codes.PLATFORM_HEIGHT
        assert record["x"] - platform["x"] == offset


def test_who_is_carried_takes_the_coins_on_the_way():
    stage = Stage({(8, 11): "|", (9, 7): "o"}).put(9, 10)
    stage.tick(NONE, 128)
    assert stage.record["coins"] == 1


def test_one_can_walk_and_jump_on_a_platform():
    stage = Stage({(8, 10): "-"}).put(8.2, 9)
    stage.until(lambda r: r["ride"] == 1)
    assert stage.tick(RIGHT)["vx"] == codes.WALK_ACCELERATION
    record = stage.tick(JUMP)
    assert record["vy"] == -codes.JUMP_SPEED[0] and record["ride"] == 0
    stage.until(lambda r: r["ride"] == 1)
    stage.until(lambda r: r["ride"] == 0, RIGHT | RUN)  # off its edge
    assert not stage.record["grounded"]


def test_a_platform_is_passed_from_below_and_from_the_side():
    stage = Stage({(5, 10): "-"}).put(6)
    stage.things[0]["timer"] = 0
    highest = stage.ticks(JUMP, 30)["y"].min()
    assert highest < 10 * TILE
    stage.until(lambda r: r["ride"] == 1)
    stage = Stage({(5, 12): "-"}).put(3.5)
    stage.tick(RIGHT | RUN, 30)
    assert stage.record["x"] > 5 * TILE and stage.record["ride"] == 0


def test_a_wall_holds_back_who_is_carried():
    stage = Stage({(8, 10): "-", (12, 9): "#", (12, 8): "#"}).put(10.2, 9)
    stage.until(lambda r: r["ride"] == 1)
    stage.tick(NONE, 100)
    assert stage.record["x"] == 12 * TILE - codes.PLAYER_WIDTH and stage.record["ride"] == 1


def test_a_ceiling_drops_who_is_lifted():
    stage = Stage({(8, 11): "|", (8, 7): "###"}).put(9, 10)
    stage.until(lambda r: r["ride"] == 1)
    stage.until(lambda r: r["ride"] == 0)
    assert stage.record["y"] >= 8 * TILE + codes.SMALL_HEIGHT
    stage.tick(NONE, 80)
    assert stage.record["y"] == FLOOR * TILE


def test_a_falling_player_lands_on_a_rising_platform_at_any_speed():
    for vy in range(0, codes.MAX_FALL + 1, 64):
        stage = Stage({(8, 9): "|"}).put(9, 7.3, vy=vy)
        stage.until(lambda r: r["grounded"], limit=40)
        assert stage.record["ride"] == 1, vy


def test_ducking_on_a_platform():
    stage = Stage({(8, 10): "-"}).put(9, 9).grow()
    stage.until(lambda r: r["ride"] == 1)
    assert stage.tick(DOWN)["ducking"] and stage.record["ride"] == 1


def test_things_pass_through_platforms():
    stage = Stage({(9, 12): "-", (13, 12): "w"})
    stage.tick(NONE, 100)
    assert stage.things[1]["x"] < 9 * TILE + 3 * TILE and stage.things[1]["vx"] < 0
