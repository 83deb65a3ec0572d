"""What worlds say of a step, in situations that are set up by hand."""

import numpy as np
import pytest
from city_stage import SIDE, N, S, set_phase
from city_stage import Stage as CityStage
from gymnasium.vector import AutoresetMode
from meze.envs.city.state import AT_KERB, CLAIM, FORWARD, LEFT, ON_ROAD, RIGHT, WAIT
from meze.envs.city.world import City
from meze.envs.core import Digits, Event, WorldVectorEnv, find_world
from meze.envs.core.world import load_world
from meze.envs.maze.state import HUNTS, SCARED
from meze.envs.maze.state import LEFT as WEST
from meze.envs.maze.state import RIGHT as EAST
from meze.envs.maze.world import MazeWorld
from meze.envs.platformer import state as codes
from meze.envs.platformer.observe import SITUATION_WORDS, observe_situation
from meze.envs.platformer.world import Platformer
from meze.envs.tram.state import BELL, BRAKE, BRAKE_HARD, COAST, SWITCH
from meze.envs.tram.world import Tram
from meze.envs.vacuum.world import Vacuum
from platformer_stage import JUMP, NONE
from platformer_stage import RIGHT as RUN_RIGHT
from platformer_stage import Stage as PlatformerStage

EVENTFUL = ("city", "platformer", "vacuum", "maze", "tram")


def told(world, params, before, after):
    """Names of the events of one step."""
    found = {each.name: each.of(params, before, after) for each in world.events}
    assert all(each.shape == (1,) and each.dtype == np.bool_ for each in found.values())
    return {name for name, is_so in found.items() if is_so[0]}


# --- City -----------------------------------------------------------------------------------------------


def driven(stage, action=WAIT):
    """Events of a tick of the stage."""
    before = stage.s.copy()
    stage.step(action)
    return told(City, stage.params, before, stage.s)


@pytest.fixture
def stage(tmp_path):
    return CityStage(tmp_path)


def test_the_light_is_red_and_turns_green_and_red_again(tmp_path):
    stage = CityStage(tmp_path, "*")
    stage.ego(10, 11, N)
    seen = {}
    for phase in range(30):
        set_phase(stage, phase)
        seen[phase] = driven(stage) & {"light_red", "light_turns_red", "light_turns_green"}
    assert all(seen[phase] == set() for phase in range(11)) and seen[11] == {"light_turns_red"}
    assert all(seen[phase] == {"light_red"} for phase in range(12, 29))
    assert seen[29] == {"light_red", "light_turns_green"}
    set_phase(stage, 11)
    assert "light_turns_red" not in driven(stage, FORWARD)  # it drove on


def test_a_siren_is_heard_and_wants_to_pass(stage):
    stage.ego(10, 13, N)
    assert driven(stage) == {"stood"}
    stage.ego(10, 13, N)
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    assert driven(stage) >= {"siren", "siren_behind", "stood"}
    stage.clear()
    stage.ego(2, 6, S)
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    assert driven(stage) & {"siren", "siren_behind"} == {"siren"}


def test_who_drives_before_an_ambulance_holds_it_up(stage):
    stage.ego(10, 14, N)
    stage.ambulance(10, 15, N, [(10, y) for y in range(15, 7, -1)])
    assert driven(stage, FORWARD) >= {"held_up", "siren"}


def test_the_car_ahead_stops_once(stage):
    stage.ego(10, 13, N)
    stage.car(10, 12, N)
    stage.car(10, 11, N, 0, wait=5)
    for x, y in ((10, 8), (8, 9), (11, 10)):  # every way out is taken
        stage.record["road"][y * SIDE + x] |= CLAIM
    assert driven(stage) >= {"car_ahead", "car_ahead_stops"}
    assert "car_ahead_stops" not in driven(stage)


def test_somebody_at_the_kerb_crosses_ahead(tmp_path):
    stage = CityStage(tmp_path, pedestrians=1)
    stage.walker(8, 13, 1, AT_KERB)
    stage.ego(9, 12, S)
    assert driven(stage) & {"person_at_kerb", "person_ahead"} == {"person_at_kerb"}
    assert driven(stage) & {"person_at_kerb", "person_ahead"} == {"person_ahead"}
    stage.walker(8, 13, 1, ON_ROAD)
    stage.clear()
    stage.walker(9, 13, 1, ON_ROAD)
    stage.ego(9, 12, S)
    assert driven(stage, FORWARD) >= {"person_ahead"}


def test_turns_collisions_and_arrivals(tmp_path):
    stage = CityStage(tmp_path, pedestrians=1)
    for action, name in ((LEFT, "turned_left"), (RIGHT, "turned_right")):
        stage.ego(10, 10, N)
        happened = driven(stage, action)
        assert (name in happened) == ("stood" not in happened)
    stage.ego(10, 11, N)
    assert driven(stage, FORWARD).isdisjoint({"stood", "turned_left", "turned_right"})
    stage.clear()
    stage.walker(8, 13, 1, AT_KERB)
    stage.ego(9, 12, S)
    assert driven(stage, FORWARD) == {"person_at_kerb", "collided"}
    stage = CityStage(tmp_path)
    y, x = divmod(int(stage.params.destinations[0, stage.record["destination"]]), SIDE)
    stage.ego(x, y, int(stage.params.cells[0, y * SIDE + x]["heading"]))
    assert "arrived" in driven(stage)


# --- Platformer -----------------------------------------------------------------------------------------


def played(stage, buttons=NONE, times=1):
    """Events of some ticks, one after the other."""
    seen = []
    while len(seen) < times and not stage.over:
        before = stage.s.copy()
        stage.tick(buttons)
        seen.append(told(Platformer, stage.params, before, stage.s))
    return seen


def test_a_jump_a_flight_and_a_landing():
    seen = played(PlatformerStage().put(5), JUMP, 120)
    assert [t for t, each in enumerate(seen) if "jumped" in each] == [0] and "in_air" not in seen[0]
    (landed,) = [t for t, each in enumerate(seen) if "landed" in each]
    assert all(("in_air" in each) == (0 < t <= landed) for t, each in enumerate(seen))


def test_walking_off_an_edge_is_no_jump():
    seen = played(PlatformerStage(pits=[7, 8, 9, 10]).put(5), RUN_RIGHT, 200)
    assert not any("jumped" in each for each in seen) and "fell" in seen[-1]
    assert sum("fell" in each for each in seen) == 1
    assert any("gap_ahead" in each for each in seen) and not any("hurt" in each for each in seen)


def test_enemies_are_ahead_beaten_and_hurt():
    stage = PlatformerStage({(10, 12): "w"}).put(10, 11)
    seen = played(stage, NONE, 40)
    assert "danger_ahead" in seen[1] and sum("stomped" in each for each in seen) == 1
    for big in (False, True):
        stage = PlatformerStage({(10, 12): "w"}).put(7)
        if big:
            stage.grow()
        seen = []
        while not seen or "hurt" not in seen[-1]:
            seen += played(stage)
        assert stage.record["info"]["death"] == (codes.ALIVE if big else codes.ENEMY)
        assert len(seen) > 3 and "danger_ahead" in seen[-1]


def test_coins_and_the_flag():
    stage = PlatformerStage({(8, 12): "oo"}).put(6)
    seen = played(stage, RUN_RIGHT, 60)
    assert sum("coin" in each for each in seen) == 2
    stage.put(44)
    seen = played(stage, RUN_RIGHT, 60)
    assert "cleared" in seen[-1] and sum("cleared" in each for each in seen) == 1


# --- Vacuum, maze, tram ---------------------------------------------------------------------------------


def batch_of(world, **settings):
    env = WorldVectorEnv(world, 1, autoreset_mode=AutoresetMode.DISABLED, **settings)
    env.reset(seed=0)
    return env


def stepped(env, *actions):
    """Events of some steps, one after the other."""
    seen = []
    for action in actions:
        before = env.get_state()
        env.step([action])
        seen.append(told(env.world, env.params, before, env.get_state()))
    return seen


def test_the_vacuum_turns_bumps_cleans_and_docks(tmp_path):
    (tmp_path / "flat.txt").write_text("XXXXXXX\nX....*X\nX.o:::X\nXD..%.X\nXXXXXXX")
    env = batch_of(Vacuum, flat=str(tmp_path / "flat.txt"))
    forward, left, right = range(3)
    seen = stepped(env, left, forward, right, right, forward, forward, forward)
    assert seen[0] == {"turned_left"} and seen[1] == {"blocked_ahead", "bumped"}
    assert [each & {"turned_left", "turned_right"} for each in seen[2:4]] == [{"turned_right"}] * 2
    assert seen[4] == set() and seen[6] == {"dirt_ahead", "cleaned"}
    seen = stepped(env, right, right, forward, forward, forward)
    assert seen[-1] == {"docked"} and not any("docked" in each for each in seen[:-1])


def test_the_vacuum_hears_the_pet_and_the_battery():
    env = WorldVectorEnv(Vacuum, 64, pool_size=16, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=3)
    rng, seen = np.random.default_rng(0), dict.fromkeys((each.name for each in Vacuum.events), 0)
    for _ in range(400):
        before = env.get_state()
        *_, infos = env.step(rng.integers(3, size=64))
        after = env.get_state()
        so = {each.name: each.of(env.params, before, after) for each in Vacuum.events}
        goes_on = after["elapsed"] == before["elapsed"] + 1
        for name, each in so.items():
            seen[name] += (each & goes_on).sum()
        assert (so["hit_pet"] == (infos["cost"] > 0))[goes_on].all()
        assert not (so["hit_pet"] & ~so["pet_near"])[goes_on].any()
        assert not (so["hit_pet"] & ~so["bumped"])[goes_on].any()
        far = np.abs(before["pet"] // 16 - before["cell"] // 16) > 2
        assert not so["pet_near"][far].any()
    assert seen["hit_pet"] > 10 and seen["time_to_go"] > 10


ATE = {"ate", "power", "cleared", "turned_back"}


def test_ghosts_are_near_caught_and_catch(tmp_path):
    rows = ["XXXXXXXXXXX", *["X---------X"] * 4, "XG---S--o.X", *["X---------X"] * 4, "XXXXXXXXXXX"]
    (tmp_path / "maze.txt").write_text("\n".join(rows))
    env = batch_of(MazeWorld, maze=str(tmp_path / "maze.txt"), ghosts=1)
    layout = env.params.mazes[0]

    def cell(row, column):
        return int(np.flatnonzero((layout["place"][: layout["cells"]] == (row, column)).all(axis=1))[0])

    def put(**fields):
        state = env.get_state()
        for name, value in fields.items():
            state[name][0] = value
        env.set_state(state)

    start = {"heading": [EAST, WEST, 0, 0, 0], "last": WEST, "way": 15, "done": False}
    put(cell=[cell(5, 5), cell(5, 7), 0, 0, 0], mode=HUNTS, **start)
    assert stepped(env, EAST)[0] >= {"ghost_near", "ghost_here", "caught"}
    put(cell=[cell(5, 5), cell(5, 7), 0, 0, 0], mode=SCARED, power=9, **start)
    happened = stepped(env, EAST)[0]
    assert happened >= {"prey", "ate_ghost"} and happened.isdisjoint({"caught", "ghost_near"})
    put(cell=[cell(5, 6), cell(1, 1), 0, 0, 0], mode=HUNTS, power=0, **start)
    on, back, again, power, pellet = (each & ATE for each in stepped(env, EAST, WEST, EAST, EAST, EAST))
    assert on == set() and back == again == {"turned_back"}
    assert power == {"ate", "power"} and pellet == {"ate", "cleared"}


@pytest.mark.parametrize(
    ("scene", "actions", "last"),
    [
        ("# speed: 2\nT--3-----E", [COAST], {"on_rails", "hit"}),
        ("# speed: 4\n# aboard: 3\n# falls: 1\nT-----------p--E", [BRAKE, BRAKE_HARD], {"on_rails", "fell"}),
        ("# speed: 1\n# aboard: 0\nT--p--E", [BRAKE], {"on_rails", "stands", "stepped_off"}),
        ("# speed: 1\n# aboard: 0\nT--p--E", [BRAKE, BELL], set()),  # where it stood, it comes to none
        ("# speed: 2\nT------E", [BELL], set()),
        ("# speed: 2\nT------E", [COAST, COAST], {"arrived"}),
    ],
)
def test_the_tram_hits_stands_and_arrives(tmp_path, scene, actions, last):
    (tmp_path / "scene.txt").write_text(scene)
    assert stepped(batch_of(Tram, scene=str(tmp_path / "scene.txt")), *actions)[-1] == last


def test_the_tram_throws_a_switch():
    env = batch_of(Tram)
    assert "switched" in stepped(env, SWITCH)[0] or not env.action_masks()[0, SWITCH]


# --- Of all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVENTFUL)
def test_events_are_told_in_clauses(name):
    events = load_world(find_world(name).world).events
    assert len(events) >= 8
    words = [each.words for each in events]
    assert len(set(words)) == len(words)
    for each in words:
        assert each[0].islower() and each[-1].isalnum() and len(each) <= 32
        assert ", " not in each and " and " not in each  # which part the clauses of a rule


def test_a_kiosk_declares_none_and_names_are_checked():
    assert not load_world(find_world("kiosk").world).events
    with pytest.raises(ValueError, match="an event's name is letters"):
        Event("two words", "it is so", lambda params, before, after: before)


def test_digits_of_an_observation_are_those_that_agents_see():
    env = WorldVectorEnv(Platformer, 16, observation="index", pool_size=4)
    obs, _ = env.reset(seed=0)
    sizes = [len(words) for words in SITUATION_WORDS]
    digits = Digits(observe_situation, sizes)(env.params, env.state)
    assert (np.ravel_multi_index(digits, sizes) == obs).all()
