"""How the player moves: reach, buttons, gravity, and every way to meet a tile."""

import numpy as np
import pytest
from meze.envs.core.env import WorldEnv
from meze.envs.platformer import state as codes
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.world import Platformer
from platformer_stage import (
    BUTTONS,
    DOWN,
    FLOOR,
    JUMP,
    LEFT,
    NONE,
    PIXEL,
    RIGHT,
    RUN,
    TILE,
    WIDTH,
    Stage,
    draw_level,
)

STAND, WALK, RUNNING = NONE, RIGHT, RIGHT | RUN
TOP_SPEED = {STAND: 0, WALK: codes.WALK_SPEED, RUNNING: codes.RUN_SPEED}


def landing(trail):
    """The number of the tick in which the player lands."""
    return int(np.flatnonzero(trail["grounded"])[0])


def jump(approach, hold):
    """A jump at full speed with the button held for some ticks: height and distance, in tiles."""
    stage = Stage().put(5, vx=TOP_SPEED[approach])
    start = stage.record.copy()
    trail = np.concatenate([stage.ticks(approach | JUMP, hold), stage.ticks(approach, 90 - hold)])
    end = trail[landing(trail)]
    return (start["y"] - trail["y"].min()) / TILE, (end["x"] - start["x"]) / TILE


# ---------------------------------------------------------------- reach


@pytest.mark.parametrize(
    "approach, hold, height, distance",
    [
        (STAND, 1, 1.3, 0),
        (WALK, 1, 1.5, 2.2),
        (RUNNING, 1, 1.5, 3.0),
        (STAND, 40, 4.1, 0),
        (WALK, 40, 4.4, 5.6),
        (RUNNING, 40, 5.2, 8.6),
    ],
)
def test_jumps_reach_as_far_as_the_manual_says(approach, hold, height, distance):
    found = jump(approach, hold)
    assert found == (pytest.approx(height, abs=0.05), pytest.approx(distance, abs=0.05))
    row = "height" if distance == 0 else "distance"
    stated = [line for line in Platformer.__doc__.splitlines() if f"... {row}, tiles" in line]
    assert f" {distance or height} " in stated[hold > 1]


@pytest.mark.parametrize("approach, speed", [(WALK, 5.9), (RUNNING, 9.4)])
def test_speeds_are_those_of_the_manual(approach, speed):
    stage = Stage().put(5, vx=TOP_SPEED[approach])
    trail = stage.ticks(approach, 60)
    assert (trail["x"][-1] - trail["x"][0]) / TILE * 60 / 59 == pytest.approx(speed, abs=0.05)
    assert f"{speed}" in Platformer.__doc__


@pytest.mark.parametrize("buttons, height", [(JUMP, 7.0), (NONE, 3.4)])
def test_a_spring_throws_as_high_as_the_manual_says(buttons, height):
    stage = Stage({(6, 12): "S"}).put(6.1, 11)
    trail = stage.ticks(buttons, 100)
    assert (12 * TILE - trail["y"].min()) / TILE == pytest.approx(height, abs=0.05)
    assert (
        f" {height} "
        in [line for line in Platformer.__doc__.splitlines() if "spring, button" in line][buttons == NONE]
    )


@pytest.mark.parametrize("approach", [STAND, WALK, RUNNING])
def test_the_longer_the_button_is_held_the_higher_is_the_jump(approach):
    heights = [jump(approach, hold)[0] for hold in range(1, 30)]
    assert np.all(np.diff(heights) > 0)


# ---------------------------------------------------------------- on the ground


@pytest.mark.parametrize(
    "buttons, top, ticks",
    [(RIGHT, codes.WALK_SPEED, 40), (RIGHT | RUN, codes.RUN_SPEED, 46), (LEFT, -codes.WALK_SPEED, 40)],
)
def test_it_speeds_up_to_the_top_speed_and_no_further(buttons, top, ticks):
    stage = Stage().put(20)
    speeds = stage.ticks(buttons, 60)["vx"]
    assert speeds[ticks - 2] != top and np.all(speeds[ticks - 1 :] == top)
    assert np.all(np.diff(np.abs(speeds)) >= 0)


def test_it_coasts_to_a_halt_and_skids_faster():
    def ticks_to_stop(buttons):
        stage = Stage().put(20, vx=codes.RUN_SPEED)
        return stage.until(lambda r: r["vx"] <= 0, buttons)

    assert ticks_to_stop(NONE) == -(-codes.RUN_SPEED // codes.FRICTION)
    assert ticks_to_stop(LEFT) == -(-codes.RUN_SPEED // codes.SKID)


def test_letting_go_of_run_slows_down_to_walking():
    stage = Stage().put(10, vx=codes.RUN_SPEED)
    assert stage.ticks(RIGHT, 40)["vx"][-1] == codes.WALK_SPEED


def test_left_and_right_together_are_neither():
    level = draw_level()
    world = Platformer(PlatformerConfig(actions="complex"), [level])
    both = world.action_of(["left", "right", "run"])
    assert world.action_names[both] == "none"
    assert world.action_names[world.action_of(["right", "jump", "run", "up"])] == "right + jump + run"
    assert world.action_names[world.action_of(["run", "jump"])] == "jump"


# ---------------------------------------------------------------- in the air


def test_nothing_brakes_in_the_air_but_the_opposite_direction():
    stage = Stage().put(10, 4, vx=codes.RUN_SPEED)
    assert stage.tick()["vx"] == codes.RUN_SPEED
    assert stage.tick(RIGHT)["vx"] == codes.RUN_SPEED  # above the air's top speed, which it keeps
    assert stage.tick(LEFT)["vx"] == codes.RUN_SPEED - codes.AIR_TURN


@pytest.mark.parametrize("vx, top", [(0, codes.WALK_SPEED), (codes.RUN_SPEED - 40, codes.RUN_SPEED)])
def test_the_speed_at_the_start_of_a_jump_limits_the_speed_in_the_air(vx, top):
    stage = Stage().put(5, vx=vx)
    trail = stage.ticks(RIGHT | RUN | JUMP, 56)
    flight = trail["vx"][: landing(trail)]
    assert flight.max() == top


def test_a_jump_needs_a_press():
    stage = Stage().put(5)
    trail = stage.ticks(JUMP, 200)
    assert np.all(trail["grounded"][landing(trail) :])  # held on after landing
    stage.tick(NONE)
    assert stage.tick(JUMP)["vy"] < 0


def test_a_button_pressed_in_the_air_and_held_does_not_jump_at_the_landing():
    stage = Stage().put(5, 11)
    stage.tick()
    trail = stage.ticks(JUMP, 100)
    assert np.all(trail["grounded"][landing(trail) :])


def test_there_is_no_jump_in_the_air():
    stage = Stage().put(5, 5)
    stage.tick()
    assert stage.tick(JUMP)["vy"] > 0


@pytest.mark.parametrize("jump_class", range(3))
def test_gravity_is_less_while_rising_with_the_button_held(jump_class):
    for vy, buttons, gravity in (
        (-600, JUMP, codes.GRAVITY_HELD),
        (-600, NONE, codes.GRAVITY_FREE),
        (0, JUMP, codes.GRAVITY_FREE),
        (300, NONE, codes.GRAVITY_FREE),
    ):
        stage = Stage().put(10, 6, vy=vy)
        stage.record["jump_class"], stage.record["jump_held"] = jump_class, 5
        assert stage.tick(buttons)["vy"] == vy + gravity[jump_class]


@pytest.mark.parametrize(
    "vx, jump_class",
    [(0, 0), (240, 0), (codes.CLASS_1_SPEED, 1), (570, 1), (codes.CLASS_2_SPEED, 2), (-codes.RUN_SPEED, 2)],
)
def test_the_speed_across_chooses_the_class_of_a_jump(vx, jump_class):
    stage = Stage().put(20, vx=vx)
    record = stage.tick(JUMP)
    assert record["jump_class"] == jump_class and record["vy"] == -codes.JUMP_SPEED[jump_class]


def test_falling_has_a_terminal_speed():
    stage = Stage({}, pits=range(20, 24)).put(21, -4)
    speeds = stage.ticks(NONE, 60)["vy"]
    assert speeds.max() == codes.MAX_FALL == speeds[-1]


# ---------------------------------------------------------------- tiles


@pytest.mark.parametrize("direction, x", [(RIGHT, 10 * TILE - codes.PLAYER_WIDTH), (LEFT, 6 * TILE)])
def test_walls_stop_it_flush(direction, x):
    stage = Stage({(10, 12): "#", (5, 12): "#"}).put(8)
    stage.tick(direction | RUN, 100)
    assert stage.record["x"] == x and stage.record["vx"] == 0 and stage.record["grounded"]


def test_the_level_has_walls_at_both_ends():
    stage = Stage().put(1, vx=-codes.RUN_SPEED)
    assert stage.tick(LEFT | RUN, 30)["x"] == 0
    assert stage.env.params.tiles[0, codes.USUAL.cell(WIDTH, 0)] == codes.GROUND


def test_its_head_stops_at_a_ceiling():
    stage = Stage({(5, 9): "#"}).put(5.1)
    stage.until(lambda r: r["vy"] >= 0, JUMP)
    assert stage.record["y"] == 10 * TILE + codes.SMALL_HEIGHT and stage.record["vy"] == 0


def test_the_sky_has_a_ceiling():
    stage = Stage().put(5, -5, vy=-codes.JUMP_SPEED[3])
    trail = stage.ticks(JUMP, 60)
    assert trail["y"].min() == -7 * TILE + codes.SMALL_HEIGHT


@pytest.mark.parametrize("x, stands", [(11 * TILE - 1, True), (11 * TILE, False), (10 * TILE - 3071, True)])
def test_a_hair_on_the_edge_is_enough_to_stand(x, stands):
    stage = Stage({(10, 10): "#"}).put(x / TILE, 10)
    assert stage.tick()["grounded"] == stands


def test_falling_close_by_a_wall_catches_on_nothing():
    stage = Stage({(10, row): "#" for row in range(13)}).put(0, 3)
    stage.record["x"] = 10 * TILE - codes.PLAYER_WIDTH
    trail = stage.ticks(RIGHT, 80)
    assert landing(trail) > 20 and trail["y"][landing(trail)] == FLOOR * TILE


def test_the_corner_of_a_tile_blocks_before_it_carries():
    """Falling diagonally onto a corner: across comes first, so the side of the tile is met, not its top."""
    stage = Stage({(10, 11): "##"}).put(0, 0, vx=300, vy=600)
    stage.record["x"] = 10 * TILE - codes.PLAYER_WIDTH - 100
    stage.record["y"] = 11 * TILE + 600  # deeper than it steps up
    record = stage.tick(RIGHT)
    assert record["x"] == 10 * TILE - codes.PLAYER_WIDTH and record["vx"] == 0 and not record["grounded"]


@pytest.mark.parametrize("depth, steps", [(codes.STEP_UP, True), (codes.STEP_UP + 1, False)])
def test_it_steps_onto_an_edge_that_it_misses_by_little(depth, steps):
    stage = Stage({(10, 11): "##"}).put(0, 0, vx=300, vy=100)
    stage.record["x"] = 10 * TILE - codes.PLAYER_WIDTH - 100
    stage.record["y"] = 11 * TILE + depth
    record = stage.tick(RIGHT)
    assert (record["y"] == 11 * TILE and record["vx"] > 0) == steps


def test_it_does_not_step_up_where_its_head_would_hit():
    stage = Stage({(10, 11): "##", (9, 10): "#", (10, 10): "#"}).put(0, 0, vx=300, vy=100)
    stage.record["x"] = 10 * TILE - codes.PLAYER_WIDTH - 100
    stage.record["y"] = 11 * TILE + 50 + codes.SMALL_HEIGHT
    record = stage.tick(RIGHT)
    assert record["vx"] == 0 and record["x"] == 10 * TILE - codes.PLAYER_WIDTH


@pytest.mark.parametrize(
    "buttons, vx, crosses", [(RIGHT | RUN, codes.RUN_SPEED, True), (RIGHT, codes.WALK_SPEED, False)]
)
def test_a_gap_of_one_tile_is_run_over_but_not_walked_over(buttons, vx, crosses):
    stage = Stage(pits=[8]).put(5, vx=vx)
    stage.until(lambda r: stage.over or r["x"] > 10 * TILE, buttons)
    assert stage.over != crosses


def test_a_tunnel_of_one_tile_lets_the_small_one_pass_and_not_the_big_one():
    roof = {(10, 11): "####"}
    assert Stage(roof).put(8).tick(RIGHT, 90)["x"] > 12 * TILE
    assert Stage(roof).put(8).grow().tick(RIGHT, 90)["x"] == 10 * TILE - codes.PLAYER_WIDTH


@pytest.mark.parametrize("vx", [codes.RUN_SPEED, -codes.RUN_SPEED])
@pytest.mark.parametrize("vy", [codes.MAX_FALL, -codes.JUMP_SPEED[3]])
def test_no_legal_speed_tunnels(vx, vy):
    """A closed room with walls of one tile, from a thousand places in it."""
    walls = {(10, 4): "#" * 8, (10, 11): "#" * 8}
    walls |= {(column, row): "#" for column in (10, 17) for row in range(5, 11)}
    stage = Stage(walls)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        stage.put(0, 0, vx=vx, vy=vy)
        stage.record["x"] = rng.integers(11 * TILE, 17 * TILE - codes.PLAYER_WIDTH + 1)
        stage.record["y"] = rng.integers(5 * TILE + codes.SMALL_HEIGHT, 11 * TILE + 1)
        stage.record["jump_class"] = rng.integers(4)
        for _ in range(4):
            record = stage.tick(JUMP | RUN | (RIGHT if vx > 0 else LEFT))
            assert 11 * TILE <= record["x"] <= 17 * TILE - codes.PLAYER_WIDTH
            assert 5 * TILE + codes.SMALL_HEIGHT <= record["y"] <= 11 * TILE


# ---------------------------------------------------------------- tiles that do something


def test_coins_are_taken_once_from_every_side():
    stage = Stage({(6, 12): "o", (8, 11): "o", (10, 12): "oo"}).put(5)
    stage.tick(RIGHT, 100)
    assert stage.record["coins"] == 3 and stage.reward >= 3 * 0.09
    assert [stage.tile(column, 12) for column in (6, 10, 11)] == [codes.EMPTY] * 3
    assert stage.tile(8, 11) == codes.COIN
    stage.put(8.1, 10).tick(NONE, 60)  # from above
    assert stage.record["coins"] == 4 and stage.record["score"] == 4 * codes.POINTS_COIN
    stage.tick(LEFT, 200)
    assert stage.record["coins"] == 4


def test_coins_behind_a_wall_are_not_taken():
    stage = Stage({(6, 12): "#", (6, 11): "o"}).put(5.2)
    stage.record["y"] = FLOOR * TILE - 8 * PIXEL  # its head is level with the coin, its feet with the wall
    stage.tick(RIGHT)
    assert stage.record["coins"] == 0


def test_coins_are_taken_however_the_body_comes_to_them():
    stage = Stage({(10, 11): "##", (10, 10): "o"}).put(0, 0, vx=300, vy=100)  # by stepping up
    stage.record["x"] = 10 * TILE - codes.PLAYER_WIDTH - 100
    stage.record["y"] = 11 * TILE + 100
    assert stage.tick(RIGHT)["coins"] == 1
    stage = Stage({(6, 11): "o"}).put(6.1).grow()  # by standing up
    stage.record["ducking"] = True
    assert stage.tick(DOWN)["coins"] == 0 and stage.tick()["coins"] == 1


@pytest.mark.parametrize("big", [False, True])
def test_bricks_break_only_under_a_big_head(big):
    stage = Stage({(5, 9): "="}).put(5.1)
    if big:
        stage.grow()
    stage.tick(JUMP, 30)
    assert stage.tile(5, 9) == (codes.EMPTY if big else codes.BRICK)
    assert stage.record["score"] == (codes.POINTS_BRICK if big else 0)
    if big:
        stage.tick(NONE, 60)
        stage.until(lambda r: r["y"] < 9 * TILE, JUMP)  # there is a hole


def test_a_block_gives_one_coin():
    stage = Stage({(5, 9): "?"}).put(5.1)
    for _ in range(3):
        stage.tick(JUMP, 30)
        stage.tick(NONE, 30)
    assert stage.tile(5, 9) == codes.USED and stage.record["coins"] == 1
    assert stage.record["bump_cell"] == codes.USUAL.cell(5, 9)


@pytest.mark.parametrize("column, hit", [(5.3, "left"), (5.8, "right")])
def test_of_two_blocks_the_one_above_the_middle_is_hit(column, hit):
    stage = Stage({(5, 9): "??"}).put(column)
    stage.tick(JUMP, 30)
    assert stage.tile(5, 9) == (codes.USED if hit == "left" else codes.COIN_BLOCK)
    assert stage.tile(6, 9) == (codes.USED if hit == "right" else codes.COIN_BLOCK)


def test_landing_on_a_block_does_not_hit_it():
    stage = Stage({(5, 9): "?"}).put(5.1, 7)
    stage.tick(NONE, 40)
    assert stage.record["grounded"] and stage.tile(5, 9) == codes.COIN_BLOCK


@pytest.mark.parametrize(
    "place, buttons",
    [((6.1, 9, 0, 300), NONE), ((4.5, 13, 300, 0), RIGHT), ((7.5, 13, -300, 0), LEFT)],
)
def test_spikes_harm_from_above_and_from_the_side(place, buttons):
    stage = Stage({(6, 12): "^"}).put(*place)
    stage.until(lambda _: stage.over, buttons, 60)
    assert stage.info["death"] == codes.SPIKES and stage.info["reward_death"] == -5


def test_spikes_harm_from_below():
    stage = Stage({(6, 9): "^"}).put(6.1)
    stage.until(lambda _: stage.over, JUMP, 60)
    assert stage.info["death"] == codes.SPIKES


def test_a_foot_on_firm_ground_beside_spikes_is_safe():
    stage = Stage({(6, 12): "#^"}).put(6.55, 11)  # its middle is above the ground
    assert stage.tick(NONE, 60)["grounded"] and not stage.over


def test_a_big_player_survives_spikes_and_stands_on_them_for_a_while():
    stage = Stage({(6, 12): "^"}).put(6.1, 11).grow()
    stage.until(lambda r: r["grounded"])
    assert not stage.record["big"] and stage.record["invulnerable"] == codes.INVULNERABLE_TICKS
    assert stage.until(lambda _: stage.over) == codes.INVULNERABLE_TICKS


def test_a_spring_throws_only_who_lands_on_it():
    stage = Stage({(6, 12): "S"}).put(5)
    stage.tick(RIGHT, 40)
    assert stage.record["x"] == 6 * TILE - codes.PLAYER_WIDTH and stage.record["grounded"]
    stage.put(6.1, 11)
    stage.until(lambda r: r["vy"] < 0)
    assert stage.record["vy"] == -codes.JUMP_SPEED[codes.SPRING_CLASS]


def test_a_pit_is_deadly_even_for_a_big_player():
    stage = Stage(pits=[6, 7]).put(6.5).grow()
    stage.until(lambda _: stage.over)
    assert stage.info["death"] == codes.PIT and not stage.info["clear"]
    assert stage.reward == pytest.approx(-5, abs=0.5) and stage.info["reward_death"] == -5


@pytest.mark.parametrize("feet", [FLOOR, 2])
def test_the_flag_clears_the_level_at_any_height(feet):
    stage = Stage().put(WIDTH - 5, feet, vx=500)
    stage.until(lambda _: stage.over, RIGHT)
    assert stage.info["clear"] and stage.info["progress"] == 1 and stage.info["death"] == codes.ALIVE
    assert stage.info["reward_flag"] == 10
    assert stage.record["x"] + codes.PLAYER_WIDTH >= (WIDTH - 3) * TILE + TILE // 2


def test_there_and_back_again_is_worth_nothing():
    stage = Stage().put(5)
    start = int(stage.record["x"])
    total = 0.0
    for buttons in [RIGHT | RUN] * 37 + [LEFT] * 200:
        stage.tick(buttons)
        total += stage.info["reward_progress"]
        if stage.record["x"] <= start and buttons & LEFT:
            break
    gained = (int(stage.record["x"]) - start) / TILE
    assert total == pytest.approx(gained * 0.25, abs=1 / 1024)


# ---------------------------------------------------------------- size


def test_a_big_player_ducks_on_the_ground_and_slides():
    stage = Stage().put(5, vx=codes.RUN_SPEED).grow()
    stage.tick(DOWN)
    assert stage.record["ducking"]
    assert stage.record["vx"] == codes.RUN_SPEED - codes.FRICTION
    assert not stage.tick(NONE)["ducking"]


def test_a_small_player_does_not_duck():
    assert not Stage().put(5).tick(DOWN, 3)["ducking"]


def test_ducking_begins_on_the_ground_only_and_lasts_in_the_air():
    stage = Stage().put(5, 8).grow()
    assert not stage.tick(DOWN)["ducking"]
    stage.put(5)
    stage.tick(DOWN)
    world = stage.env.world
    assert world.action_names[world.action_of(["down"])] == "down"
    stage.put(5, 10)
    assert stage.tick(DOWN, 2)["ducking"] and not stage.tick(NONE)["ducking"]


def test_a_ducking_player_slides_into_a_tunnel_crawls_and_stands_up_behind_it():
    stage = Stage({(8, 11): "####"}).put(6, vx=codes.RUN_SPEED).grow()
    stage.until(lambda r: r["x"] > 9 * TILE, DOWN)
    assert stage.tick(NONE)["ducking"]  # no room to stand up
    stage.until(lambda r: r["x"] >= 12 * TILE, RIGHT)
    assert not stage.tick(RIGHT)["ducking"]


def test_a_hit_makes_it_small_and_spares_it_for_two_seconds():
    stage = Stage({(6, 12): "^"}).put(6.1, 11).grow()
    stage.until(lambda r: not r["big"])
    left = stage.ticks(NONE, codes.INVULNERABLE_TICKS)["invulnerable"]
    assert left.tolist() == list(range(codes.INVULNERABLE_TICKS - 1, -1, -1))


# ---------------------------------------------------------------- steps and actions


def test_a_step_is_so_many_ticks_with_the_same_buttons():
    level = draw_level({(8, 12): "w", (12, 9): "?M=", (20, 12): "t"}, pits=[15])
    slow = WorldEnv(Platformer(PlatformerConfig(frame_skip=4), [level]))
    fast = WorldEnv(Platformer(PlatformerConfig(frame_skip=1), [level]))
    slow.reset(seed=3)
    fast.reset(seed=3)
    rng = np.random.default_rng(1)
    for _ in range(300):
        action = rng.integers(7)
        _, reward, over, _, _ = slow.step(action)
        rewards = []
        for _ in range(4):
            _, part, ended, _, _ = fast.step(action)
            rewards.append(part)
            if ended:
                break
        assert reward == sum(rewards) and over == ended
        for name in ("x", "y", "vx", "vy", "tick", "things", "changed", "score"):
            assert np.array_equal(slow.get_state()[name], fast.get_state()[name]), name
        if over:
            slow.reset()
            fast.reset()


def test_the_manual_lists_the_actions():
    world = Platformer(PlatformerConfig(actions="complex"), [draw_level()])
    for number, name in enumerate(world.action_names):
        assert f"| {number} " in Platformer.__doc__
        row = next(line for line in Platformer.__doc__.splitlines() if f"| {number} " in line)
        assert f"| {number:<6} | {name.replace(' + ', ', '):<16} |" in row
    sizes = {name: len(buttons) for name, buttons in codes.ACTION_SETS.items()}
    assert sizes == {"right_only": 5, "simple": 7, "complex": 12}
    assert codes.ACTION_SETS["complex"] == (*codes.ACTION_SETS["simple"], *BUTTONS[7:])


def test_up_does_nothing():
    stage = Stage().put(5)
    before = stage.record.copy()
    after = stage.tick(codes.UP, 5)
    for name in ("x", "y", "vx", "vy", "ducking", "jump_held", "grounded"):
        assert after[name] == before[name]
