import importlib.util
from pathlib import Path

import numpy as np
import pygame
import pytest
from meze.envs.city.config import CityConfig
from meze.envs.city.renderer import PANEL_WIDTH
from meze.envs.city.roads import is_green, town_of
from meze.envs.city.scene import Scene, Thing, divide, green
from meze.envs.city.state import AT_KERB, BUILDING, JUNCTION_AHEAD, SIDEWALK, UNDRAWN, WALKING
from meze.envs.city.world import City
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.streets.maps import MAPS

ASSETS = Path(__file__).parents[2] / "assets"
VILLAGE = {"map": "village", "observation": "index"}


def record(ticks: int, hour: int = 12, **settings) -> tuple[City, np.ndarray]:
    """States of the expert's drive, one a tick; they stop before an episode ends."""
    env = WorldVectorEnv(City, 1, **VILLAGE, **settings)
    env.reset(seed=3, options={"hour": hour})
    states = [env.get_state()]
    expert = env.reference("expert")
    while len(states) <= ticks:
        _, _, terminated, _, _ = env.step(expert())
        if terminated[0]:
            break
        states.append(env.get_state())
    return env.world, np.concatenate(states)


@pytest.fixture(scope="module")
def drive() -> tuple[City, np.ndarray]:
    return record(12)


def changed(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the city's pixels that differ."""
    rows, columns = np.nonzero((a != b).any(axis=2)[:, :-PANEL_WIDTH])
    return rows, columns


def test_committed_sprites_are_what_the_script_draws():
    spec = importlib.util.spec_from_file_location("draw_sprites", ASSETS / "draw_sprites.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawn = script.city_sprites()
    assert {path.stem for path in (ASSETS / "sprites" / "city").glob("*.png")} == set(drawn)
    for name, surface in drawn.items():
        saved = pygame.image.load(ASSETS / "sprites" / "city" / f"{name}.png")
        assert pygame.image.tobytes(saved, "RGBA") == pygame.image.tobytes(surface, "RGBA"), name


@pytest.mark.parametrize("map", [*MAPS.names(), "generated"])
def test_a_picture_depends_on_its_arguments_alone(map: str):
    # Larger than the view: the picture scrolls.
    world = City(CityConfig(map=map, pool_size=1, width=64, height=48, cars=8, observation="index"))
    state = np.zeros(2, world.state_dtype)
    for i, cell in enumerate(world.params().lanes[0, [0, 7]]):
        state[i]["cars"]["cell"][0] = state[i]["cars"]["came"][0] = cell
        state[i]["cars"]["turn"] = UNDRAWN
        state[i]["ambulance_cell"] = -1
        state[i]["info"]["hour"] = 22 * i
    renderer = world.renderer()
    pictures = [renderer.draw(state, i, phase=0.5, hud={"return": "1.00"}) for i in (0, 1, 0)]
    assert pictures[0].dtype == np.uint8 and pictures[0].ndim == 3 and pictures[0].shape[2] == 3
    assert max(pictures[0].shape) <= 900
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] == pictures[2]).all()
    again = world.renderer().draw(state, 1, phase=0.5, hud={"return": "1.00"})
    assert (again == pictures[1]).all()


def test_a_hud_changes_the_panel_alone(drive):
    world, states = drive
    renderer = world.renderer()
    a, b = (renderer.draw(states, 3, hud=hud) for hud in (None, {"return": "-3.50", "agent": "x" * 99}))
    assert (a != b).any()
    assert len(changed(a, b)[0]) == 0


def test_each_kind_of_thing_is_drawn_where_it_is(drive):
    world, states = drive
    renderer = world.renderer()
    width = world.shape[1]
    pixels = (renderer.draw(states).shape[1] - PANEL_WIDTH) // width
    empty = states[:1].copy()
    empty["num_cars"] = 0
    empty["ambulance_cell"] = -1
    y, x = np.divmod(world.params().lanes[0], width)
    far = abs(y - empty["cars"]["cell"][0, 0] // width) + abs(x - empty["cars"]["cell"][0, 0] % width)
    cell = int(world.params().lanes[0, far.argmax()])
    before = renderer.draw(empty)

    car, ambulance, person, jaywalker = (empty.copy() for _ in range(4))
    car["num_cars"], car["cars"]["cell"][0, 1], car["cars"]["came"][0, 1] = 1, cell, cell
    ambulance["ambulance_cell"] = ambulance["ambulance_from"] = ambulance["ambulance_via"] = cell
    ambulance["ambulance_path"] = -1
    for people, mode in ((person, WALKING), (jaywalker, AT_KERB)):
        people["walkers"]["cell"][0, 0] = people["walkers"]["came"][0, 0] = cell
        people["walkers"]["mode"][0, 0] = mode
    reach = {"car": 1.0, "ambulance": 2.5, "person": 1.2, "jaywalker": 1.6}
    sizes = {}
    for name, state in (("car", car), ("ambulance", ambulance), ("person", person), ("jaywalker", jaywalker)):
        rows, columns = changed(before, renderer.draw(state))
        moved_from = int(states["walkers"]["cell"][0, 0]) if state["walkers"]["cell"][0, 0] == cell else cell
        near = np.zeros(len(rows), bool)
        for place in (cell, moved_from):
            v, u = divmod(place, width)
            gap = np.maximum(abs(rows / pixels - v - 0.5), abs(columns / pixels - u - 0.5))
            near |= gap < reach[name]
        assert len(rows) > 30, name
        assert near.all(), name
        sizes[name] = len(rows)
    assert sizes["jaywalker"] > sizes["person"]


def test_the_ego_car_its_route_and_its_collision_are_drawn(drive):
    world, states = drive
    scene = Scene(world.params(), world.maps)
    e = states[2:3].copy()[0]
    things = list(scene.things(e, 1.0))
    names = [thing.sprite for thing in things]
    assert names.count("taxi") == names.count("pin") == names.count("ring_ego") == 1
    dots = [(thing.x, thing.y) for thing in things if thing.sprite == "route"]
    assert len(dots) == 2 * e["info"]["distance"] - 1
    steps = abs(np.diff(dots, axis=0)).sum(axis=1)
    assert (steps == 0.5).all()
    y, x = (np.array(dots).T[::-1]).astype(int)
    assert (world.maps[0].exits[y, x] > 0).all()
    assert "burst" not in names and "beams" not in names
    e["info"]["cost"], e["info"]["hour"] = 1, 22
    names = [thing.sprite for thing in scene.things(e, 1.0)]
    assert names.count("burst") == 1 and names.count("beams") == 1 + e["num_cars"]


def test_nothing_jumps_from_one_tick_to_the_next():
    world, states = record(60, hour=8, ambulance=1.0)
    scene = Scene(world.params(), world.maps)
    compared = {"car": 0, "van": 0, "ambulance": 0, "person": 0, "taxi": 0}

    def poses(e: np.void, phase: float) -> dict[str, list[Thing]]:
        found: dict[str, list[Thing]] = {kind: [] for kind in compared}
        for thing in scene.things(e, phase):
            if (kind := thing.sprite.split("_")[0]) in found:
                found[kind].append(thing)
        return found

    for old, new in zip(states[:-1], states[1:], strict=True):
        if old["num_cars"] != new["num_cars"] or new["exits"] != old["exits"]:
            continue  # somebody parked: slots were renumbered
        if old["ambulance_cell"] < 0 or new["ambulance_from"] != old["ambulance_cell"]:
            continue
        ends, begins = poses(old, 1.0), poses(new, 0.0)
        for kind in compared:
            for a, b in zip(ends[kind], begins[kind], strict=True):
                # Who gives up jaywalking steps back from the kerb at once.
                assert abs(a.x - b.x) + abs(a.y - b.y) < (0.4 if kind == "person" else 1e-9), (kind, a, b)
                if kind != "person":  # they turn on the spot
                    assert (a.quarters - b.quarters) % 4 == 0, (kind, a, b)
                compared[kind] += 1
    assert min(compared.values()) > 10, compared


def test_motion_and_turns_lie_between_their_ends():
    world, states = record(40, hour=8)
    scene = Scene(world.params(), world.maps)
    turning = 0
    for e in states[1:]:
        start, middle, end = (scene.cars(e, phase) for phase in (0.0, 0.6, 1.0))
        for a, b, c in zip(start, middle, end, strict=True):
            assert abs(a.x - c.x) + abs(a.y - c.y) in (0, 1)
            assert min(a.x, c.x) <= b.x <= max(a.x, c.x) and min(a.y, c.y) <= b.y <= max(a.y, c.y)
            assert min(a.quarters, c.quarters) <= b.quarters <= max(a.quarters, c.quarters)
            assert abs(a.quarters - c.quarters) in (0, 1)
            turning += a.quarters != c.quarters
    assert turning > 5


def test_the_ego_car_turns_out_of_its_last_heading(drive):
    world, states = drive
    scene = Scene(world.params(), world.maps)
    e = next(e for e in states if e["cars"]["cell"][0] != e["cars"]["came"][0]).copy()
    for turn, quarters in ((0, 0), (1, -1), (2, 1), (UNDRAWN, 0)):
        e["cars"]["turn"][0] = turn
        assert scene.ego(e, 0.0).quarters == int(e["cars"]["heading"][0]) - quarters
        assert scene.ego(e, 1.0).quarters == e["cars"]["heading"][0]


def test_signals_show_what_the_kernel_says():
    world = City(CityConfig(map="downtown", observation="index"))
    params = world.params()
    town = town_of.py_func(params, 0)
    cells = town.cells[town.cells["ahead"] == JUNCTION_AHEAD]
    offsets = params.signals[0, town.ways["junction"][cells["number"]]]
    assert (offsets >= 0).any() and (offsets < 0).any()
    for clock in range(2 * (params.rules[0]["green"] + params.rules[0]["all_red"])):
        shown = green(params.rules[0], offsets, cells["heading"].astype(int), clock) | (offsets < 0)
        told = [is_green(town, clock, int(approach)) for approach in cells["number"]]
        assert shown.tolist() == told


def test_traffic_lights_stand_on_the_pavement():
    for left_hand in (False, True):
        world = City(CityConfig(pool_size=1, signals=1.0, left_hand=left_hand, observation="index"))
        state = np.zeros(1, world.state_dtype)
        state["cars"]["cell"] = state["cars"]["came"] = world.params().destinations[0, 0]
        state["ambulance_cell"] = -1
        things = Scene(world.params(), world.maps).things(state[0], 1.0)
        cells = [(int(thing.y), int(thing.x)) for thing in things if thing.sprite.startswith("lamp")]
        assert len(cells) > 20
        assert {world.maps[0].kind[cell] for cell in cells} == {SIDEWALK}


def test_lots_cover_the_building_cells_once():
    for name in MAPS.names():
        streets = City(CityConfig(map=name, observation="index")).maps[0]
        count = np.zeros(streets.kind.shape, int)
        for lot in divide(streets):
            count[lot.y : lot.y + lot.height, lot.x : lot.x + lot.width] += 1
        assert (count == ((streets.kind == BUILDING) & ~streets.ground)).all()
