"""What worlds say to those who look on: observations in words, names of planes, seeds, texts that fit."""

import numpy as np
import pygame
import pytest
from meze.envs.city.observe import SITUATION_WORDS as CITY
from meze.envs.city.state import FORWARD, LEFT, RIGHT
from meze.envs.core.registry import find_world
from meze.envs.core.renderer import Panel, font, shortened
from meze.envs.core.splits import shown_name, shown_seed
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer.observe import SITUATION_WORDS as PLATFORMER
from registered import NAMES, SPECS, modes


def states(name, steps=40, **settings):
    """Observations, masks and records of random possible actions."""
    env = WorldVectorEnv(find_world(name).world, 32, autoreset_mode="NextStep", **settings)
    obs, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        masks = env.action_masks()
        yield env, obs, masks, env.get_state()
        obs = env.step((rng.random(masks.shape) * (masks + 1e-9)).argmax(axis=1))[0]


def test_a_situation_of_the_city_says_what_the_mask_and_the_record_say():
    said = set()
    for env, obs, masks, _ in states("city", map="downtown", observation="index", hour=8):
        for number, mask in zip(obs, masks, strict=True):
            ahead, left, right, *_ = words = env.world.describe(number)
            said.update(words)
            assert (ahead == "no road ahead") == (not mask[FORWARD])
            assert (left == "no road to the left") == (not mask[LEFT])
            assert (right == "no road to the right") == (not mask[RIGHT])
    assert {"signal red", "signal green", "car ahead", "route to the left"} <= said
    assert np.prod([len(words) for words in CITY]) == 1215


def test_a_place_of_the_city_says_where_the_car_is():
    for env, obs, _, records in states("city", 3, map="village", observation="index", index="place"):
        for number, record in zip(obs, records, strict=True):
            cell, heading = record["cars"]["cell"][0], record["cars"]["heading"][0]
            where, way, to = env.world.describe(number)
            y, x = divmod(int(cell), env.world.shape[1])
            assert where == f"row {y}, column {x}"
            assert way == f"heading {('north', 'east', 'south', 'west')[heading]}"
            assert to == f"to destination {record['destination']}"


def test_a_situation_of_the_platformer_says_how_the_player_moves():
    assert np.prod([len(words) for words in PLATFORMER]) == 2160
    for env, obs, _, records in states("platformer", level="01-running", observation="index"):
        for number, record in zip(obs, records, strict=True):
            footing, jump, *_ = env.world.describe(number)
            assert (footing == "on the ground") == bool(record["grounded"])
            assert (jump == "jump held") == (record["jump_held"] > 0)


def test_an_index_of_the_fire_says_what_stands_in_the_way():
    for env, obs, masks, records in states("fire-escape", observation="index"):
        for number, mask, record in zip(obs, masks, records, strict=True):
            sign, _, *sides = env.world.describe(number)
            assert sign.startswith("sign points ")
            for side, possible, step in zip(sides, mask[1:], (-23, 1, 23, -1), strict=True):
                way, what = side.split(": ")
                cell = record["people"][0] + step
                assert way in env.world.action_names and (possible or what == "wall or people")
                assert (what == "fire") == (record["smoke"][cell] == 13)


def test_an_index_of_the_kiosk_says_which_sites_are_taken():
    settings = {"source": "generated", "sites": 6, "points": 12, "kiosks": 3, "pool_size": 2}
    for env, obs, _, records in states("kiosk", 3, observation="index", **settings):
        for number, record in zip(obs, records, strict=True):
            city, taken = env.world.describe(number)
            assert city == env.world.instances[record["instance"]].name
            sites = np.flatnonzero(record["taken"])
            assert taken == f"taken: {', '.join(map(str, sites)) or 'none'}"


@pytest.mark.parametrize(
    ("name", "mode"),
    [(spec.name, mode) for spec in SPECS for mode in modes(spec) if mode in ("grid", "plain")],
)
def test_every_plane_has_a_name(name, mode):
    env = WorldVectorEnv(find_world(name).world, 1, observation=mode)
    assert len(env.world.observation_names) == env.single_observation_space.shape[0]
    sites = WorldVectorEnv(find_world("kiosk").world, 1)
    assert len(sites.world.observation_names) == sites.single_observation_space.shape[1]


def test_seeds_that_are_kept_for_judging_are_called_unseen():
    assert [shown_seed(seed) for seed in (0, 999_999_999)] == ["0", "999,999,999"]
    assert [shown_seed(10**9 + k) for k in (0, 12_345)] == ["unseen 0", "unseen 12,345"]
    assert shown_seed(1_100_000_000) == "1,100,000,000"  # another range
    assert shown_name("districts-1000000063") == "districts, unseen 63"
    for name in ("districts-17", "pmed1", "my-town", "my-town-2\u00b2"):
        assert shown_name(name) == name


def test_a_text_is_shortened_in_words():
    text = "right, jump and run"
    width = font(22).size("right, jump and")[0]
    assert shortened(text, 22, 1000) == text
    assert shortened(text, 22, width) == "right, jump ..."
    assert shortened("x" * 99, 22, width).endswith("x...")


def test_a_value_without_room_beside_its_label_stands_below_it():
    def lines(value):
        panel = Panel(pygame.Surface((216, 300)))
        panel.begin()
        before = panel.y
        panel.row("checkpoint", value)
        return (panel.y - before) // panel.LINE

    assert lines("best") == 1 and lines("best, at 1,000,000") == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_panel_has_a_legend_and_ends_where_it_says(name):
    """What a line of text changes lies in the panel; below it a legend is drawn until there is no room."""
    env = WorldVectorEnv(find_world(name).world, 1)
    env.reset(seed=0)
    renderer = env.world.renderer()
    bare = renderer.draw(env.get_state())
    full = renderer.draw(env.get_state(), hud={f"line {k}": "1" for k in range(40)})
    assert not (bare != full)[:, : -renderer.panel_width].any()
    legend = bare[-70:-20, -renderer.panel_width :].reshape(-1, 3)
    assert len(np.unique(legend, axis=0)) > 10
