"""The city's rules, one situation each, set up by hand."""

import numpy as np
import pytest
from city_stage import APPROACH, SIDE, E, N, S, Stage, W, set_phase
from meze.envs.city.state import (
    AT_KERB,
    CLAIM,
    FORWARD,
    INSIDE_JUNCTION,
    LEFT,
    ON_ROAD,
    PATIENCE,
    RIGHT,
    SIREN_RANGE,
    WAIT,
    WALKING,
)

STRAIGHT, TURN_LEFT, TURN_RIGHT = 0, 1, 2


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.fixture
def signals(tmp_path):
    """A stage whose middle junction has signals, with 12 ticks of green and 3 of red for all."""
    return Stage(tmp_path, "*")


# ---------------------------------------------------------------- the ego car


def test_ego_moves_turns_and_waits(stage):
    stage.ego(10, 11, N)
    stage.step(FORWARD)
    assert stage.place() == (10, 10)
    stage.step(WAIT)
    assert stage.place() == (10, 10)
    stage.step(RIGHT)  # off the junction, eastwards
    assert stage.place() == (11, 10) and stage.record["cars"]["heading"][0] == E

    stage.ego(10, 9, N)
    stage.step(LEFT)
    assert stage.place() == (9, 9) and stage.record["cars"]["heading"][0] == W


def test_a_move_that_the_road_forbids_costs_and_leaves_the_car(stage):
    stage.ego(3, 7, N)
    _, _, terminated, _, info = stage.step(RIGHT)
    assert stage.place() == (3, 7) and not terminated
    assert info["reward_illegal"] == -0.5
    assert info["action_mask"].tolist() == [1, 1, 0, 0]
    assert stage.step(FORWARD)[4]["reward_illegal"] == 0


def test_arriving_ends_the_episode_with_success(stage):
    goal = int(stage.params.destinations[0, 3])
    stage.record["destination"] = 3
    before = np.flatnonzero(stage.params.routes[0, 3] >> 2 == 1)[0]
    heading = int(stage.params.cells[0, goal]["heading"])
    stage.ego(int(before % SIDE), int(before // SIDE), heading)
    _, _, terminated, _, info = stage.step(FORWARD)
    assert terminated and info["success"] and info["distance"] == 0 and info["progress"] == 1
    assert info["reward_arrival"] == 10 and info["reward_progress"] == round(0.1 * 1024) / 1024
    assert info["cost"] == 0


def test_progress_is_paid_along_the_shortest_legal_route(stage):
    stage.aim(3, 6)
    stage.ego(3, 12, N)
    before = stage.record["info"]["distance"]
    info = stage.step(FORWARD)[4]
    assert info["distance"] == before - 1
    info = stage.step(WAIT)[4]
    assert info["reward_progress"] == 0 and info["reward_time"] < 0


def test_driving_into_a_standing_car_is_the_ego_cars_fault(stage):
    blocked = stage.car(10, 12, N)
    stage.ego(10, 13, N)
    stage.record["road"][11 * SIDE + 10] |= CLAIM  # somebody has claimed the cell before it
    _, _, terminated, _, info = stage.step(FORWARD)
    assert stage.place(blocked) == (10, 12)
    assert terminated and info["harm_car"] and info["own_fault"] and info["cost"] == 1
    assert info["reward_collision"] == -20 and not info["success"]


def test_following_a_car_that_drives_on_is_no_harm(stage):
    ahead = stage.car(10, 13, N)
    stage.ego(10, 14, N)
    _, _, terminated, _, info = stage.step(FORWARD)
    assert stage.place(ahead) == (10, 12) and stage.place() == (10, 13)
    assert not terminated and info["cost"] == 0


# ---------------------------------------------------------------- cars


def test_a_car_enters_only_a_cell_that_was_free_when_the_tick_began(stage):
    first, second = stage.car(3, 12, N), stage.car(3, 13, N)
    stage.step()
    assert stage.place(first) == (3, 11) and stage.place(second) == (3, 13)
    stage.step()
    assert stage.place(second) == (3, 12)


@pytest.mark.parametrize("turn, end", [(STRAIGHT, (10, 8)), (TURN_LEFT, (8, 9)), (TURN_RIGHT, (11, 10))])
def test_a_car_takes_its_turn_and_gives_its_claims_back(stage, turn, end):
    v = stage.car(10, 11, N, turn)
    while stage.place(v) != end:
        stage.step()
        assert stage.record["elapsed"] < 6
    road = stage.record["road"][: SIDE * SIDE]
    assert np.count_nonzero(road >> 13) == 0
    assert np.count_nonzero(road) == 2  # the ego car and this one


def test_a_car_waits_until_its_whole_way_and_the_cell_beyond_are_free(stage):
    blocker = stage.car(10, 8, N)
    stage.record["road"][7 * SIDE + 10] |= CLAIM  # which cannot go on
    v = stage.car(10, 11, N, STRAIGHT)
    stage.step()
    assert stage.place(blocker) == (10, 8) and stage.place(v) == (10, 11)
    stage.record["road"][7 * SIDE + 10] = 0
    stage.step()  # the blocker leaves; its cell was not free when the tick began
    assert stage.place(v) == (10, 11)
    stage.step()
    assert stage.place(v) == (10, 10)


@pytest.mark.parametrize("heading", range(4))
def test_right_before_left(stage, heading):
    from_right = (heading - 1) % 4  # who heads so comes from the right of `heading`
    v = stage.car(*APPROACH[heading], heading, STRAIGHT, wait=9)
    w = stage.car(*APPROACH[from_right], from_right, STRAIGHT)
    stage.step()
    assert stage.place(v) == APPROACH[heading]
    assert stage.place(w) != APPROACH[from_right]


def test_opposite_cars_whose_ways_cross_go_by_longest_wait_then_index(stage):
    v = stage.car(*APPROACH[N], N, TURN_LEFT, wait=1)
    w = stage.car(*APPROACH[S], S, STRAIGHT, wait=2)
    stage.step()
    assert stage.place(v) == APPROACH[N] and stage.place(w) != APPROACH[S]


def test_equal_waits_go_by_index(stage):
    v = stage.car(*APPROACH[N], N, TURN_LEFT)
    w = stage.car(*APPROACH[S], S, STRAIGHT)
    stage.step()
    assert stage.place(v) != APPROACH[N] and stage.place(w) == APPROACH[S]


def test_ways_that_do_not_cross_are_granted_together(stage):
    v, w = stage.car(*APPROACH[N], N, STRAIGHT), stage.car(*APPROACH[S], S, STRAIGHT)
    stage.step()
    assert stage.place(v) == (10, 10) and stage.place(w) == (9, 9)


def test_four_cars_that_each_have_one_on_their_right_do_not_block(stage):
    cars = [stage.car(*APPROACH[h], h, STRAIGHT, wait=h) for h in range(4)]
    stage.step()
    moved = [h for h in range(4) if stage.place(cars[h]) != APPROACH[h]]
    assert moved == [1, 3]  # the longest wait, and its opposite, whose way does not cross it
    for _ in range(30):
        stage.step()
    assert all(stage.place(cars[h]) != APPROACH[h] for h in range(4))


def test_a_car_that_waits_redraws_its_turn(tmp_path):
    turns = set()
    for seed in range(12):
        stage = Stage(tmp_path)
        stage.env.reset(seed=seed)
        stage.record["rng"][:] = stage.env.get_state()[0]["rng"]
        v = stage.car(10, 11, N, STRAIGHT)
        for x, y in ((10, 8), (8, 9), (11, 10)):  # every way out is taken
            stage.record["road"][y * SIDE + x] |= CLAIM
        for tick in range(PATIENCE):
            assert stage.record["cars"]["turn"][v] == STRAIGHT, tick
            stage.step()
        turns.add(int(stage.record["cars"]["turn"][v]))
    assert turns == {STRAIGHT, TURN_LEFT, TURN_RIGHT}


def test_hesitation_has_the_chance_that_was_set(tmp_path):
    stage = Stage(tmp_path, slowdown=0.25)
    moved = 0
    for _ in range(800):
        stage.clear()
        v = stage.car(3, 12, N)
        stage.step()
        moved += stage.place(v) == (3, 11)
    assert abs(moved / 800 - 0.75) < 4 * (0.25 * 0.75 / 800) ** 0.5


# ---------------------------------------------------------------- signals


def test_signals_follow_their_phases(signals):
    for phase in range(30):
        entered = {}
        for heading in (N, E):
            set_phase(signals, phase)
            v = signals.car(*APPROACH[heading], heading, TURN_RIGHT)
            signals.step()
            entered[heading] = signals.place(v) != APPROACH[heading]
            signals.clear()
        assert entered == {N: phase < 12, E: 15 <= phase < 27}, phase


def test_running_a_red_light_costs_and_its_harm_is_own_fault(signals):
    set_phase(signals, 20)  # green for east and west
    signals.ego(10, 11, N)
    v = signals.car(9, 10, E, STRAIGHT)
    signals.record["cars"]["approach"][v] = signals.params.cells[0, 10 * SIDE + 8]["number"]
    signals.record["cars"]["step"][v] = 1
    signals.record["cars"]["ahead"][v] = INSIDE_JUNCTION
    for x in (9, 10, 11):  # its way through
        signals.record["road"][10 * SIDE + x] |= CLAIM
    _, _, terminated, _, info = signals.step(FORWARD)
    assert info["reward_red_light"] == -2
    assert terminated and info["harm_car"] and info["own_fault"]


def test_entering_on_green_costs_nothing_and_closes_the_junction(signals):
    set_phase(signals, 2)
    signals.ego(10, 11, N, wait=5)
    v = signals.car(9, 8, S, STRAIGHT)
    info = signals.step(FORWARD)[4]
    assert info["reward_red_light"] == 0 and signals.place() == (10, 10)
    assert signals.place(v) == (9, 8)  # while the ego car is inside, nobody is let in
    signals.step(WAIT)
    assert signals.place(v) == (9, 8)


# ---------------------------------------------------------------- pedestrians


@pytest.fixture
def walk(tmp_path):
    """A stage with one pedestrian."""
    return Stage(tmp_path, pedestrians=1)


def person(stage):
    y, x = divmod(int(stage.record["walkers"]["cell"][0]), SIDE)
    return x, y


def test_people_step_on_a_zebra_only_where_nobody_drives_in_this_tick(walk):
    tried = 0
    for _ in range(200):
        walk.clear()
        walk.walker(8, 6, E)
        v = walk.car(9, 5, S)
        walk.step()
        assert walk.place(v) == (9, 6)
        assert person(walk) != (9, 6)
        tried += int(walk.record["walkers"]["heading"][0] == E and person(walk) == (8, 6))
    assert tried > 10


def test_people_cross_a_zebra_and_cars_stop_for_them(walk):
    walk.walker(9, 6, E, ON_ROAD)
    north = walk.car(10, 7, N)  # about to drive onto the zebra's other lane
    south = walk.car(9, 5, S)
    walk.step()
    assert person(walk) == (10, 6)
    assert walk.place(north) == (10, 7) and walk.place(south) == (9, 5)
    walk.step()
    assert person(walk) == (11, 6) and walk.record["walkers"]["mode"][0] == WALKING
    walk.step()
    assert walk.place(north) == (10, 6)


def test_cars_do_not_stop_on_a_zebra(walk):
    walk.walker(1, 1, E)
    blocked, v = walk.car(10, 5, N), walk.car(10, 7, N)
    walk.record["road"][4 * SIDE + 10] |= CLAIM
    walk.step()
    assert walk.place(blocked) == (10, 5) and walk.place(v) == (10, 7)


def test_a_jaywalker_shows_it_one_tick_before(walk):
    walk.walker(8, 13, E, AT_KERB)
    v = walk.car(9, 12, S)
    walk.step()
    assert person(walk) == (9, 13) and walk.record["walkers"]["mode"][0] == ON_ROAD
    assert walk.place(v) == (9, 12)  # who is about to step is let go
    walk.step()
    walk.step()
    assert person(walk) == (11, 13) and walk.record["walkers"]["mode"][0] == WALKING
    assert np.count_nonzero(walk.record["road"] >> 26) == 0


def test_a_jaywalker_gives_up_where_a_car_stands(walk):
    walk.walker(8, 13, E, AT_KERB)
    walk.ego(9, 13, S)
    info = walk.step(WAIT)[4]
    assert person(walk) == (8, 13) and walk.record["walkers"]["mode"][0] == WALKING and info["cost"] == 0


def test_people_jaywalk_at_kerbs_with_the_chance_that_was_set(tmp_path):
    stage = Stage(tmp_path, pedestrians=1, jaywalk=0.25)
    shown = 0
    for _ in range(800):
        stage.clear()
        stage.walker(8, 13, N)
        stage.step()
        shown += stage.record["walkers"]["mode"][0] == AT_KERB
    expected = 0.25 / 2  # they take a step in every other tick
    assert abs(shown / 800 - expected) < 4 * (expected * (1 - expected) / 800) ** 0.5


def test_driving_into_somebody_who_was_about_to_step_is_own_fault(walk):
    walk.walker(8, 13, E, AT_KERB)
    walk.ego(9, 12, S)
    _, _, terminated, _, info = walk.step(FORWARD)
    assert terminated and info["harm_person"] and info["own_fault"] and info["cost"] == 1


# ---------------------------------------------------------------- the ambulance

NORTHWARD = [(10, y) for y in range(16, 7, -1)][:8]


def test_the_ambulance_drives_two_cells_a_tick_past_a_red_light(signals):
    set_phase(signals, 20)
    signals.ambulance(10, 13, N, [(10, y) for y in range(13, 5, -1)])
    signals.step()
    assert signals.ambulance_place == (10, 11)
    signals.step()
    assert signals.ambulance_place == (10, 9)


def test_the_ambulance_passes_cars_that_wait_and_cars_do_wait(stage):
    v = stage.car(10, 13, N)
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    stage.step()
    assert stage.place(v) == (10, 13) and stage.ambulance_place == (10, 13)
    stage.step()
    assert stage.place(v) == (10, 13) and stage.ambulance_place == (10, 11)
    for _ in range(4):
        stage.step()
    assert stage.place(v) != (10, 13)


def test_waiting_outside_a_junction_is_pulling_over(stage):
    stage.ego(10, 13, N)
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    for place in ((10, 13), (10, 11)):
        _, _, terminated, _, info = stage.step(WAIT)
        assert stage.ambulance_place == place
        assert not terminated and info["cost"] == 0 and info["reward_ambulance"] == 0


def test_moving_ahead_of_the_ambulance_on_its_route_delays_it_and_costs(stage):
    stage.ego(10, 14, N)
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    info = stage.step(FORWARD)[4]
    assert stage.ambulance_place == (10, 15) and info["reward_ambulance"] == -1


def test_standing_in_a_junction_on_the_ambulances_route_delays_it_and_costs(stage):
    stage.ego(10, 10, N)
    stage.ambulance(10, 11, N, [(10, y) for y in range(11, 3, -1)])
    info = stage.step(WAIT)[4]
    assert stage.ambulance_place == (10, 11) and info["reward_ambulance"] == -1
    stage.ego(9, 9, S)  # in the junction, but not on the route
    info = stage.step(WAIT)[4]
    assert stage.ambulance_place == (10, 9) and info["reward_ambulance"] == 0


def test_the_ambulance_goes_before_all_rivals(stage):
    stage.ambulance(10, 12, N, [(10, y) for y in range(12, 4, -1)])
    v = stage.car(*APPROACH[W], W, STRAIGHT, wait=19)  # from its right
    stage.step()
    stage.step()
    assert stage.ambulance_place == (10, 8) and stage.place(v) == APPROACH[W]


def test_driving_into_the_ambulance_is_own_fault(walk):
    walk.ego(10, 14, N)
    walk.ambulance(10, 13, N, [(10, y) for y in range(13, 5, -1)])
    walk.walker(10, 12, E, ON_ROAD)  # somebody is before it
    _, _, terminated, _, info = walk.step(FORWARD)
    assert terminated and info["harm_ambulance"] and info["own_fault"]


@pytest.mark.parametrize("distance", [3, SIREN_RANGE, SIREN_RANGE + 1])
def test_the_siren_is_heard_within_its_range(stage, distance):
    stage.ego(3, 4, N)
    path = [(10, 4 + distance - k) for k in range(3)]
    stage.ambulance(10, 4 + distance, N, path)
    stage.env.set_state(stage.s)
    situation = stage.env.observe()
    assert situation // 3 % 3 == (1 if distance <= SIREN_RANGE else 0)


def test_the_expert_pulls_over_and_gives_way(stage):
    expert = stage.env.reference("expert")

    def choice():
        stage.env.set_state(stage.s)
        return int(expert()[0])

    stage.aim(10, 5)
    stage.ego(10, 13, N)
    assert choice() == FORWARD
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    assert choice() == WAIT
    stage.clear()
    stage.ego(10, 11, N)
    assert choice() == FORWARD
    stage.car(*APPROACH[W], W, STRAIGHT)  # from the right
    assert choice() == WAIT


# ---------------------------------------------------------------- the hour


def test_traffic_follows_the_hour(tmp_path):
    stage = Stage(tmp_path, hour=None, cars=4)
    lanes = int(stage.params.counts[0, 3])
    for hour in range(24):
        stage.env.reset(options={"hour": hour})
        peak = stage.params.rules[0]["profile"][hour] / 1024
        expected = 4 + (int(0.3 * lanes) - 4) * peak
        assert abs(stage.env.get_state()["target_cars"][0] - expected) <= 1
    assert sum(stage.params.rules[0]["profile"] == 1024) == 2  # two rush hours


@pytest.mark.parametrize("options", [{"hour": 24}, {"map": 1}, {"hours": 3}, {"hour": "8"}, {"map": -1}])
def test_reset_options_are_checked(stage, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        stage.env.reset(options=options)
