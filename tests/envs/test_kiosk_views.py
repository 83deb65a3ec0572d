"""What the kiosk shows, to agents and to people."""

import importlib.util
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from kiosk_stage import OBJECTIVES, assert_follows, limits_of, make, town
from meze.envs.kiosk.instances import Instance
from meze.envs.kiosk.scene import Scene, color, laid_out
from meze.envs.kiosk.state import (
    ALONE,
    FAR_WALK,
    FEATURES,
    GRID,
    KIOSK,
    LEFT,
    MOST,
    MOST_WALK,
    NEAR_WALK,
    NOWHERE,
    PLANE_NAMES,
    REACH,
    RIVAL,
    UNIT,
    WALK,
)

pygame = pytest.importorskip("pygame")
ASSETS = Path(__file__).parents[2] / "assets"
FRESH = dict(source="fresh", points=25, kiosks=4, rivals=2)


def play(env, steps, seed=0):
    """Random possible actions; returns the observation."""
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    for _ in range(steps):
        masks = env.action_masks()
        obs = env.step((rng.random(masks.shape) * masks).argmax(axis=1))[0]
    return obs


@pytest.mark.parametrize("cities", (dict(instances=[town(1)]), FRESH))
@pytest.mark.parametrize("steps", (0, 1, 2))
def test_features_of_sites(cities, steps):
    env = make(**cities)
    table, record = play(env, steps)[0], env.get_state()[0]
    instance = env.world.pool.instance_of(record)
    weights, people = instance.weights.astype(int), int(instance.weights.sum())
    homes = instance.distances.argmin(axis=1)
    limits = limits_of(env.world, instance)
    assert len(FEATURES) == 8 and env.single_observation_space.contains(table)
    free = record["taken"] == 0
    assert not table[~free].any()
    assert (table[free, REACH] == limits[-1]).all()

    def says(column, walked):
        most = MOST_WALK if column == WALK else MOST
        return abs(table[free, column] - np.minimum(walked / limits[-1] * UNIT, most)[free]).max() <= 1

    assert says(ALONE, instance.distances @ weights / people)
    assert says(RIVAL, instance.distances[instance.rivals].min(axis=0)[homes])
    left = (instance.num_kiosks - steps) * UNIT // instance.num_kiosks
    assert (table[free, LEFT] == left).all()
    nearest = np.full(instance.num_points, NOWHERE)
    if steps:
        nearest = instance.distances[record["kiosks"][:steps]].min(axis=0)
    assert says(KIOSK, nearest[homes])
    for column, limit in zip((WALK, FAR_WALK, NEAR_WALK), limits, strict=True):
        walked = np.minimum(np.minimum(nearest, instance.distances), limit)
        assert says(column, walked @ weights / people)


@pytest.mark.parametrize("cities", (dict(instances=[town(1), town(2, 20, 9)]), FRESH))
@pytest.mark.parametrize("steps", (0, 2))
def test_planes_of_the_grid(cities, steps):
    env = make(observation="grid", **cities)
    planes, record = play(env, steps)[0].astype(int), env.get_state()[0]
    instance = env.world.pool.instance_of(record)
    people, sites, rivals, kiosks, distance, left = planes
    assert len(PLANE_NAMES) == len(planes) and (left == instance.num_kiosks - steps).all()
    low = 0 if "source" in cities else np.concatenate([instance.points, instance.sites]).min(axis=0)
    side = 1024 if "source" in cities else (np.concatenate([instance.points, instance.sites]) - low).max() + 1
    homes, corners = ((places - low) * GRID // side for places in (instance.points, instance.sites))

    def plane(values, cells, join=np.maximum):
        expected = np.zeros((GRID, GRID), int)
        join.at(expected, (cells[:, 1], cells[:, 0]), values)
        return expected

    mean = instance.weights.sum() / instance.num_points
    everybody = plane(instance.weights, homes, np.add) * 64 // mean
    assert (people == np.minimum(255, everybody)).all()
    free = record["taken"][: instance.num_sites] == 0
    assert (sites == plane(255 * free, corners)).all()
    assert (rivals == plane(255, corners[instance.rivals])).all()
    placed = record["kiosks"][:steps]
    assert (kiosks == plane(255, corners[placed])).all()
    if steps:
        nearest = instance.distances[placed].min(axis=0)
        span = 1024 if "source" in cities else instance.distances.max()
        assert (distance == plane(np.minimum(255, 255 * nearest // span), homes)).all()
    else:
        assert not distance.any()


@pytest.mark.parametrize("cities", (dict(instances=[town(1), town(2, 5, 9)]), FRESH))
def test_plain_rows(cities):
    env = make(observation="plain", **cities)
    rows, record = play(env, 2)[0], env.get_state()[0]
    instance = env.world.pool.instance_of(record)
    n, s = instance.num_points, instance.num_sites
    assert (rows[:2, :n].T == instance.points).all()
    assert (rows[2, :n] == instance.distances[record["kiosks"][:2]].min(axis=0)).all()
    assert (rows[3, :n] == record["visits"][:n]).all()
    if "source" in cities:
        assert len(rows) == 4
    else:
        assert (rows[4:, :s].T == instance.sites).all()


def test_every_set_of_sites_has_a_number_of_its_own():
    env = make([town(1, sites=5, kiosks=3), town(2, sites=5, kiosks=3)], observation="index")
    numbers = []
    for instance in range(2):
        free = np.flatnonzero(env.world.instances[instance].free)
        for count in range(4):
            for sites in combinations(free, count):
                number = env.reset(seed=0, options={"instance": instance})[0][0]
                for site in sites:
                    number = env.step(np.array([site]))[0][0]
                numbers.append(number)
    assert len(set(numbers)) == len(numbers) == 2 * (1 + 4 + 6 + 4)
    assert set(numbers) < set(range(int(env.single_observation_space.n)))


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("cities", (dict(instances=[town(1), town(2, 40, 9)]), FRESH))
def test_people_have_the_color_of_their_kiosk(cities, objective):
    env = make(objective=objective, **cities)
    play(env, 2)
    renderer, before = env.world.renderer(), env.state_hash()
    picture = renderer.draw(env.get_state())
    assert picture.shape == (768, 1048, 3) and env.state_hash() == before
    record = env.get_state()[0]
    city = Scene(env.world.pool).city(record)
    stalls = city.corners[np.concatenate([record["kiosks"][:2], city.instance.rivals])] * 768
    seen = 0
    for (x, y), visit, weight in zip(city.homes * 768, record["visits"], city.instance.weights, strict=False):
        near = abs(stalls - (x, y)).max(axis=1).min() < 70
        others = np.sort(abs(city.homes * 768 - (x, y)).max(axis=1))[1] < 20
        if weight and not near and not others:  # nothing is drawn over it
            assert tuple(picture[int(y), int(x)]) == color(int(visit))
            seen += 1
    assert seen >= 2


def test_colors_of_many_kiosks_differ():
    assert len({color(number) for number in range(200)}) == 200


def test_everybody_stands_in_the_histogram():
    env = make([town(2, 40, 9)])
    play(env, 3)
    record, instance = env.get_state()[0], env.world.instances[0]
    histogram = Scene(env.world.pool).histogram(record)
    assert histogram.people.sum() == instance.weights.sum()
    for number in range(3):
        assert histogram.people[number].sum() == instance.weights[record["visits"] == number].sum()
    assert histogram.mean == record["total"] / instance.weights.sum()


def test_realms_are_those_of_the_distances():
    env = make([town(2, 40, 9)])
    play(env, 3)
    record = env.get_state()[0]
    scene = Scene(env.world.pool)
    city, realms = scene.city(record), scene.realms(record)
    for (x, y), visit in zip(city.homes, record["visits"], strict=True):
        around = realms[int(y * 192) - 2 : int(y * 192) + 3, int(x * 192) - 2 : int(x * 192) + 3]
        assert visit in around


def test_cities_without_coordinates_are_laid_out_by_their_distances():
    places = np.random.default_rng(0).integers(0, 1000, (30, 2))
    distances = np.sqrt(((places[:, None] - places) ** 2).sum(axis=2))
    homes, corners = laid_out(distances)
    again = np.sqrt(((corners[:, None] - homes) ** 2).sum(axis=2))
    assert np.allclose(again, distances, atol=1e-6 * distances.max())
    env = make([Instance("ring", np.rint(distances), np.ones(30), 3), Instance("pair", [[0, 4]], [1, 1], 1)])
    for instance in (0, 1):
        env.reset(seed=0, options={"instance": instance})
        env.step(np.array([0]))
        assert env.world.renderer().draw(env.get_state()).shape == (768, 1048, 3)


def test_committed_sprites_are_what_the_script_draws(monkeypatch):
    monkeypatch.syspath_prepend(str(ASSETS))
    spec = importlib.util.spec_from_file_location("draw_kiosk", ASSETS / "draw_kiosk.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    sys.modules.pop("draw_sprites", None)
    drawn = script.kiosk_sprites()
    assert {path.stem for path in (ASSETS / "sprites" / "kiosk").glob("*.png")} == set(drawn)
    for name, surface in drawn.items():
        saved = pygame.image.load(ASSETS / "sprites" / "kiosk" / f"{name}.png")
        assert pygame.image.tobytes(saved, "RGBA") == pygame.image.tobytes(surface, "RGBA"), name


@pytest.mark.parametrize("name", ("k-means", "interchange"))
def test_a_search_is_shown_step_by_step(name):
    env = make([town(2, 40, 12, 4), town(3, 30, 10, 3)], num_envs=2)
    env.reset(seed=0, options={"instance": np.array([0, 1])})
    state = env.get_state()
    sights = list(env.world.sights(name, state))
    assert len(sights) > 2
    pictures = []
    for records, marks in sights:
        for record in records:
            assert_follows(env.world, record)
        assert all((places is None) == (name == "interchange") for places in marks)
        pictures.append(env.world.renderer().draw(records, 1, marks=marks[1]))
    assert any((one != other).any() for one, other in zip(pictures, pictures[1:], strict=False))
    if name == "interchange":  # every swap is for the better
        totals = np.array([records["total"] for records, _ in sights])
        assert (np.diff(totals, axis=0) <= 0).all() and (totals[-1] < totals[0]).any()
    assert env.get_state().tobytes() == state.tobytes()


def test_of_other_solvers_there_is_nothing_to_see():
    env = make([town(2, 40, 12, 4)])
    env.reset(seed=0)
    assert not list(env.world.sights("greedy", env.get_state()))


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_expert_is_the_swap_search_and_the_last_reference_the_best(objective):
    env = make([town(seed, 40, 12, 4) for seed in range(6)], num_envs=6, objective=objective)
    names = env.reference_names
    assert names[0] == "expert" and names[-1] == ("genetic-sets" if objective == "revenue" else "exact")
    totals = {}
    for name in ("expert", "interchange", names[-1]):
        env.reset(seed=0, options={"instance": np.arange(6)})
        for _ in range(4):
            env.step(env.reference(name)())
        totals[name] = env.get_state()["total"].tolist()
    assert totals["expert"] == totals["interchange"]
    if objective != "revenue":
        assert totals["expert"] == totals["exact"]
