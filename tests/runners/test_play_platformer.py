"""Playing at the keyboard in real time, on a screen that does not exist: real key events, real frames."""

import time

import numpy as np
import pygame
import pytest
from meze.envs.core import replay, window
from meze.envs.core.vector import WorldVectorEnv
from meze.envs.platformer.config import PlatformerConfig
from meze.envs.platformer.renderer import PlatformerRenderer
from meze.envs.platformer.world import Platformer
from meze.runners import cli, play
from meze.runners.show import screen
from meze.runners.show.screen import Window
from meze.runners.show.show import ScriptPolicy, Show
from meze.runners.show.viewer import Viewer

LEVEL = "01-running"


@pytest.fixture
def frames(monkeypatch):
    """Runs a script of key events, by number of the frame before which they happen; notes every moment."""
    moments, done, show, window_show = [], [], play.Show, Window.show

    def run(script: dict[int, list[tuple[int, int]]]):
        games: list = []
        monkeypatch.setattr(play, "Show", lambda *args: games.append(show(*args)) or games[0])

        def shown(self, board):
            moments.append(games[0].moment)
            done.extend(script.get(len(moments), []))
            return window_show(self, board)

        def events(self):
            said = done.copy()
            done.clear()
            return said

        monkeypatch.setattr(Window, "show", shown)
        monkeypatch.setattr(window.Window, "events", events)
        return moments

    return run


def down(*keys: int) -> list[tuple[int, int]]:
    return [(pygame.KEYDOWN, key) for key in keys]


def up(*keys: int) -> list[tuple[int, int]]:
    return [(pygame.KEYUP, key) for key in keys]


def test_held_keys_move_the_player_tick_by_tick_and_the_replay_plays_again(frames, tmp_path, capsys) -> None:
    moments = frames(
        {
            5: down(pygame.K_RIGHT),
            40: down(pygame.K_LSHIFT),
            60: [*down(pygame.K_SPACE), *up(pygame.K_SPACE)],  # as short as a press can be
            100: up(pygame.K_RIGHT, pygame.K_LSHIFT),
            120: down(pygame.K_q),
        }
    )
    assert cli.main(["play", "platformer", "--env.level", LEVEL, "--out", str(tmp_path)]) == 0
    records = np.concatenate([moment.records for moment in moments])
    actions = [None if moment.actions is None else int(moment.actions[0]) for moment in moments]
    assert len(moments) == 120
    assert records["tick"].tolist() == list(
        range(1, 121)
    )  # each frame is a tick, and the keys are asked in each
    right, right_run, jump_run, none = 1, 3, 4, 0
    assert actions[:5] == [none] * 5 and actions[5:40] == [right] * 35 and actions[40:60] == [right_run] * 20
    assert actions[60] == jump_run and actions[61] == right_run and actions[100:] == [none] * 20
    assert (records["x"][:5] == records["x"][0]).all() and records["x"][59] > records["x"][5]
    assert records["grounded"][59] and not records["grounded"][60] and records["vy"][60] < 0

    (path,) = tmp_path.iterdir()
    saved = replay.load(path)
    assert (saved.id, saved.agent, len(saved.actions)) == ("meze/Platformer-v0", "human", 120)
    assert saved.config["frame_skip"] == 1 and saved.config["actions"] == "complex"
    steps = list(replay.play(saved))  # checks the state's hash at the end, too
    assert steps[-1].state["x"][0] == records["x"][-1]
    assert f"you {saved.score:.2f}, expert " in capsys.readouterr().out


def test_in_the_maze_a_turn_that_was_tapped_is_wanted_until_the_next_one(frames, tmp_path) -> None:
    moments = frames({20: [*down(pygame.K_UP), *up(pygame.K_UP)], 60: down(pygame.K_q)})
    assert cli.main(["play", "maze", "--env.maze", "03-the-lobby", "--out", str(tmp_path)]) == 0
    ticks = [int(moment.records["elapsed"][0]) for moment in moments]
    first = {tick: int(moment.actions[0]) for tick, moment in zip(ticks, moments, strict=True) if tick}
    to_the_right, upwards = 1, 0
    turned = min(tick for tick, action in first.items() if action == upwards)
    assert all(action == (to_the_right if tick < turned else upwards) for tick, action in first.items())
    assert turned in (ticks[20], ticks[20] + 1)  # by the clock a tick may begin in the frame of the key
    assert 1 < turned < ticks[-1]
    (path,) = tmp_path.iterdir()
    assert replay.load(path).actions == tuple(first.values())


def test_an_imported_set_is_played_by_its_name(frames, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    for name, letter in (("a", "X"), ("b", "S")):
        rows = [*["-" * 40] * 11, "-" * 20 + letter + "-" * 19, "-" * 40, "X" * 40]
        (tmp_path / "theirs" / f"{name}.txt").write_text("\n".join(rows))
    assert cli.main(["import-levels", "theirs", "--format", "vglc", "--out", "mine"]) == 0
    moments = frames({5: down(pygame.K_RIGHT), 30: down(pygame.K_q)})
    assert cli.main(capsys.readouterr().out.splitlines()[-1].split("meze ")[1].split()) == 0
    assert len(moments) == 30 and moments[-1].records["x"][0] > moments[0].records["x"][0]


@pytest.mark.slow
def test_a_long_game_can_be_watched_to_its_end(tmp_path, monkeypatch) -> None:
    """By hand a step is a tick: an episode as long as others' has more steps than the registered limit."""
    env = WorldVectorEnv(Platformer(PlatformerConfig(level=LEVEL, frame_skip=1)), 1)
    env.reset(seed=5)
    for _ in range(1100):
        env.step([0])
    path = tmp_path / "long.json"
    long = replay.Replay("meze/Platformer-v0", 5, (0,) * 1100, config={"level": LEVEL, "frame_skip": 1})
    long.save(path)
    ticks = []

    def draw(self, state, i, **how):
        ticks.append(int(state[i]["tick"]))
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(PlatformerRenderer, "draw", draw)
    monkeypatch.setattr(
        screen, "write_gif", lambda path, frames, fps: path.write_bytes(bytes(len(list(frames))))
    )
    assert cli.main(["watch", str(path), "--record", str(tmp_path / "long.gif"), "--speed", "400"]) == 0
    assert ticks == list(range(1101))


def test_motion_is_shown_between_two_steps() -> None:
    env = WorldVectorEnv(Platformer(PlatformerConfig(level=LEVEL)), 1, 99, "Disabled")
    show = Show(env, ScriptPolicy([3] * 40), lambda k: 5)
    viewer = Viewer(show, "script")
    for _ in range(39):
        show.forward()
    start, middle, late, end = (viewer.view(phase).pictures[0] for phase in (0.0, 0.5, 0.75, 1.0))
    scrolled = [int((start != picture).any(axis=2)[:, :960].sum()) for picture in (middle, late, end)]
    assert 0 < scrolled[0] < scrolled[1] < scrolled[2]
    ends = end[:, :960]
    show.forward()
    begins = viewer.view(0.0).pictures[0][:, :960]
    assert (begins != ends).any(axis=2).mean() < 0.01  # where it was; only what is animated has moved on


def test_by_hand_there_is_more_time(monkeypatch) -> None:
    played: list = []
    monkeypatch.setattr(play, "run", lambda game, *_: played.append(game))
    assert cli.main(["play", "platformer", "--env.level", LEVEL]) == 0
    played[0]._env.reset(seed=1)
    for _ in range(1100):
        assert not played[0]._env.step([0])[3][0]


def test_frames_come_60_times_a_second(monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    seen, board = Window("test"), pygame.Surface((64, 64))
    for work in (0.001, 0.009, 0.004, 0.015) * 30:
        clock[0] += work
        seen.show(board)
    assert clock[0] == pytest.approx(100 + 120 / 60)
    clock[0] += 1.0  # a hitch
    assert seen.show(board) == pytest.approx(1.0)
    before = clock[0]
    seen.show(board)
    assert clock[0] - before == pytest.approx(1 / 60)  # what was missed is not made up for
    seen.close()


def test_who_leaves_the_window_lets_go_of_all_keys(monkeypatch) -> None:
    happens = iter([down(pygame.K_RIGHT, pygame.K_SPACE), [], [(pygame.WINDOWFOCUSLOST, 0)]])
    monkeypatch.setattr(window.Window, "events", lambda self: next(happens))
    seen = Window("test")
    assert seen.keys() == [pygame.K_RIGHT, pygame.K_SPACE]
    seen.keys()
    assert seen.held == {pygame.K_RIGHT, pygame.K_SPACE}
    assert seen.keys() == [] and seen.held == set()
    seen.close()


@pytest.mark.parametrize("actions", ["right_only", "simple", "complex"])
def test_every_action_has_its_buttons(actions) -> None:
    world = Platformer(PlatformerConfig(level=LEVEL, actions=actions))
    for action, name in enumerate(world.action_names):
        held = [] if name == "none" else name.split(" + ")
        assert world.action_of(held) == action
        assert set(held) <= set(world.buttons) == set(play.KEYS_OF_BUTTON)
    assert world.action_of(["left", "right"]) == 0
    assert world.action_names[world.action_of(["down", "right", "run", "jump"])] == "right + jump + run"
    ducks = world.action_names[world.action_of(["down", "right", "run"])]
    assert ducks == ("down" if actions == "complex" else "right + run")
