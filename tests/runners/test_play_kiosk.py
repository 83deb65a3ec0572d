"""Kiosks are placed by mouse and by arrow keys, and what one would save is told before."""

import numpy as np
import pygame
import pytest
from meze.envs.core import replay, window
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.kiosk.renderer import KioskRenderer
from meze.runners import cli
from meze.runners.play import Done, PointControls, find_controls
from meze.runners.show.board import Board

WORLD = "meze.envs.kiosk.world:Kiosk"


@pytest.fixture
def env():
    made = WorldVectorEnv(WORLD, 1, source="village")
    made.reset(seed=3)
    return made


def test_the_mouse_points_at_the_nearest_free_site(env) -> None:
    controls = find_controls(env)
    assert isinstance(controls, PointControls)
    spots = env.world.renderer().spots(env.state)
    site = 7
    near = tuple(spots[site] + (1, -1))
    assert controls.action(Done([], set(), near)) is None and controls.cursor == site
    assert controls.action(Done([], set(), near, clicked=True)) == site
    assert controls.action(Done([], set(), (-500.0, -500.0), clicked=True)) is None
    env.step(np.array([site]))
    controls.action(Done([], set(), near))
    assert controls.cursor != site  # it is taken


def test_arrows_lead_to_every_site_and_enter_takes_it(env) -> None:
    controls = PointControls(env)
    spots = env.world.renderer().spots(env.state)
    controls.action(Done(["right"], set()))
    reached, frontier = {controls.cursor}, [controls.cursor]
    while frontier:
        start = frontier.pop()
        for key, (dx, dy) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
            controls.action(Done([], set(), tuple(spots[start])))
            controls.action(Done([key], set()))
            moved = spots[controls.cursor] - spots[start]
            assert controls.cursor == start or moved @ (dx, dy) > 0
            if controls.cursor not in reached:
                reached.add(controls.cursor)
                frontier.append(controls.cursor)
    assert len(reached) > 0.9 * np.count_nonzero(~np.isnan(spots[:, 0]))
    assert controls.action(Done(["return"], set())) == controls.cursor


@pytest.mark.parametrize("objective", ["p-median", "coverage"])
def test_what_a_kiosk_would_bring_is_what_it_brings(objective) -> None:
    env = WorldVectorEnv(WORLD, 1, source="village", objective=objective)
    env.reset(seed=3)
    env.step(np.array([2]))
    renderer, before = env.world.renderer(), env.get_state()
    assert isinstance(renderer, KioskRenderer)
    told = renderer._worth(env.get_state(), 5)
    assert env.get_state().tobytes() == before.tobytes()
    reward = env.step(np.array([5]))[1][0]
    assert told.split()[1] == f"{reward:.1f}"
    assert told.split()[0] == ("saves" if objective == "p-median" else "wins")


def test_a_game_by_mouse_in_a_true_window(tmp_path, monkeypatch) -> None:
    """Moves, clicks, and Enter, as the window's process tells them."""
    boards, places = [], []
    draw = Board.draw

    def noted(self, view, status):
        surface = draw(self, view, status)
        boards.append(view.pictures[0])
        places[:] = [self.places[0]]
        return surface

    sight = WorldVectorEnv(WORLD, 1, source="village")
    sight.reset(seed=4)
    spots = sight.world.renderer().spots(sight.state)

    def at(site):
        x, y = spots[site]
        return [
            round(places[0].x + x * places[0].width / 1048),
            round(places[0].y + y * places[0].height / 768),
        ]

    def events(self):
        frame = len(boards)
        if frame == 1:
            return [(pygame.MOUSEMOTION, at(3))]
        if frame == 3:
            return [(pygame.MOUSEBUTTONDOWN, at(3))]
        if frame == 20:
            return [(pygame.MOUSEMOTION, at(9))]
        if frame == 22:
            return [(pygame.KEYDOWN, pygame.K_RETURN)]
        return [(pygame.KEYDOWN, pygame.K_q)] if frame == 40 else []

    monkeypatch.setattr(Board, "draw", noted)
    monkeypatch.setattr(window.Window, "events", events)
    args = ["play", "kiosk", "--env.source", "village", "--seed", "4", "--out", str(tmp_path)]
    assert cli.main(args) == 0
    assert (boards[2] != boards[0]).any()  # what it would save is shown
    (path,) = tmp_path.iterdir()
    assert replay.load(path).actions == (3, 9)
