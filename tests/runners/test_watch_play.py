"""Watching, recording and playing, on a screen that does not exist."""

import gc
import json
import warnings

import imageio.v3 as iio
import numpy as np
import pygame
import pytest
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from meze.envs.core import replay, window
from meze.envs.core.renderer import to_array
from meze.envs.core.replay import Replay
from meze.envs.core.vector import WorldVectorEnv
from meze.runners import cli
from meze.runners.run.folder import RunDir
from meze.runners.run.rollout import ReferencePolicy
from meze.runners.show import board, screen, sources
from meze.runners.show.board import Board, View, colored
from meze.runners.show.films import recording_limit
from meze.runners.show.screen import write_mp4
from meze.runners.show.seen import Sees, see
from meze.runners.show.show import Show
from meze.runners.show.sources import WatchSettings, find_source


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    assert cli.main(["train", "q-learning", "corridor", "--out", str(out)]) == 0
    return next(out.glob("*/*/*"))


@pytest.fixture
def keyboard(monkeypatch):
    """Presses keys, one list a frame, and collects the boards shown."""

    def press(*frames):
        waiting, boards = iter(frames), []
        monkeypatch.setattr(screen.Window, "keys", lambda self: next(waiting))

        def show(self, board):
            boards.append(to_array(board))
            return 1.0

        monkeypatch.setattr(screen.Window, "show", show)
        return boards

    return press


def read_frames(path):
    if path.suffix == ".gif":
        return np.stack(list(iio.imiter(path)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # imageio's reader leaves its pipes open
        frames = np.stack(list(iio.imiter(path, plugin="FFMPEG")))
        gc.collect()
    return frames


def make_show(num_envs=3):
    env = WorldVectorEnv("toy_world:Corridor", num_envs, 12, AutoresetMode.DISABLED)
    return Show(env, ReferencePolicy(env.reference("expert")), lambda k: 50 + k)


def test_back_and_forward_show_the_same_moments() -> None:
    show = make_show()
    moments = [show.moment]
    for _ in range(20):
        show.forward()
        moments.append(show.moment)
    for moment in reversed(moments[:-1]):
        show.back()
        assert show.moment is moment and show.rewound
    show.back()  # there is nothing before the beginning
    for moment in moments:
        assert show.moment is moment
        show.forward()
    assert not show.rewound


def test_shown_episodes_are_those_of_their_seeds() -> None:
    show, single = make_show(), WorldVectorEnv("toy_world:Corridor", 1, 12, AutoresetMode.DISABLED)
    expert = single.reference("expert")
    returns = {}
    while show.finished < 9:
        show.forward()
        moment = show.moment
        for i in np.flatnonzero(moment.ended):
            returns[int(moment.episodes[i])] = moment.returns[i], moment.steps[i]
    for k, (total, steps) in returns.items():
        single.reset(seed=[50 + k])
        played = [single.step(expert()) for _ in range(steps)]
        assert sum(out[1][0] for out in played) == pytest.approx(total)
        assert played[-1][2][0] or played[-1][3][0]
    assert len(returns) == 9


def test_next_episode_leaves_the_present_one() -> None:
    show = make_show()
    show.forward()
    show.next_episode()
    assert show.moment.episodes.tolist() == [3, 4, 5] and not show.moment.steps.any()


@pytest.mark.parametrize("name", ["out.gif", "out.mp4"])
def test_recording(run, tmp_path, name) -> None:
    path = tmp_path / name
    assert cli.main(["watch", str(run), "--record", str(path), "--steps", "3", "--envs", "2", "--sees"]) == 0
    frames = read_frames(path)
    assert frames.shape[0] >= 3 and frames.shape[3] == 3
    assert (frames[0] != frames[0, 0, 0]).any()  # something is drawn
    assert list(tmp_path.iterdir()) == [path]


def test_recording_a_foreign_environment(tmp_path) -> None:
    path = tmp_path / "cliff.gif"
    assert cli.main(["watch", "random", "CliffWalking-v1", "--record", str(path), "--steps", "4"]) == 0
    assert len(list(iio.imiter(path))) >= 2


def test_an_interrupted_recording_leaves_the_earlier_one(run, tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "out.gif"
    path.write_bytes(b"earlier")
    monkeypatch.setattr(Show, "forward", lambda self: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert cli.main(["watch", str(run), "--record", str(path)]) == 2
    assert path.read_bytes() == b"earlier" and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def cramped_ffmpeg(tmp_path, monkeypatch):
    """The true ffmpeg, which may write a kilobyte."""
    import imageio_ffmpeg

    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(f'#!/bin/sh\nulimit -f 2\nexec "{imageio_ffmpeg.get_ffmpeg_exe()}" "$@"\n')
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(ffmpeg))
    return ffmpeg


def test_a_video_for_which_there_is_no_room_is_told_in_one_line(
    run, cramped_ffmpeg, tmp_path, capsys
) -> None:
    """This one is so small that ffmpeg fails only when it is closed."""
    path = tmp_path / "out.mp4"
    assert cli.main(["watch", str(run), "--record", str(path), "--steps", "20"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "out.mp4" in said and "the video can't be written" in said
    assert list(tmp_path.iterdir()) == [cramped_ffmpeg]


def test_a_video_for_which_there_is_soon_no_room(cramped_ffmpeg, tmp_path, monkeypatch) -> None:
    pipes, popen = [], screen.Popen

    def opened(*args, **settings):
        process = popen(*args, **settings)
        pipes.append(process.stdin)
        return process

    monkeypatch.setattr(screen, "Popen", opened)
    frames = np.random.default_rng(0).integers(0, 256, (200, 320, 480, 3), np.uint8)
    with pytest.raises(OSError, match="the video can't be written") as caught:
        write_mp4(tmp_path / "out.mp4", frames, 30)
    assert caught.value.filename == str(tmp_path / "out.mp4")
    assert [pipe.closed for pipe in pipes] == [True]


def test_the_window_and_its_keys(run, keyboard) -> None:
    keys = [pygame.K_SPACE, pygame.K_RIGHT, pygame.K_LEFT, pygame.K_UP, pygame.K_DOWN, pygame.K_o, pygame.K_n]
    boards = keyboard([], [], *([key] for key in keys), [pygame.K_h], [pygame.K_q])
    assert cli.main(["watch", str(run), "--envs", "4"]) == 0
    assert len(boards) == len(keys) + 3
    sizes = [board.shape for board in boards]
    assert sizes[7][1] > sizes[6][1]  # what the agent sees takes room
    assert sizes[-1][0] < sizes[-2][0]  # the keys are hidden


def test_an_environment_that_quits_pygame_can_be_watched(monkeypatch) -> None:
    """As many do when they are closed; this one does it whenever it is drawn."""
    shown, window_show = [], window.Window.show
    keys = iter([[], [pygame.K_o], [], [pygame.K_n], [pygame.K_q]])
    monkeypatch.setattr(screen.Window, "keys", lambda self: next(keys))

    def render(self):
        pygame.display.set_mode((32, 32))
        pygame.quit()
        return np.full((40, 60, 3), 200, np.uint8)

    def show(self, picture):
        shown.append(picture)
        return window_show(self, picture)

    monkeypatch.setattr(CartPoleEnv, "render", render)
    monkeypatch.setattr(window.Window, "show", show)
    assert cli.main(["watch", "random", "CartPole-v1", "--envs", "2"]) == 0
    assert len(shown) == 4 and shown[0].shape[1] < shown[1].shape[1]


def test_a_board_is_the_same_whatever_others_quit() -> None:
    view = View((np.full((40, 60, 3), 90, np.uint8),), rows=(("step", "1"), ("return", "2")))
    board = Board((640, 480))
    before = to_array(board.draw(view, ["playing"]))
    for trouble in (pygame.font.quit, pygame.quit, pygame.init, pygame.quit):
        trouble()
        assert np.array_equal(to_array(board.draw(view, ["playing"])), before)


def test_following_takes_the_newest_checkpoint(run, keyboard, monkeypatch) -> None:
    loaded = []
    load = RunDir.load_learner
    monkeypatch.setattr(
        RunDir, "load_learner", lambda self, learner, path: (loaded.append(path), load(self, learner, path))
    )
    newest = max((run / "checkpoints").iterdir())
    later = newest.with_name("step-999999999999.safetensors")

    def write_later():
        later.write_bytes(newest.read_bytes())
        return []

    frames = iter([lambda: [], write_later, lambda: [pygame.K_n], lambda: [pygame.K_q]])
    keyboard()
    monkeypatch.setattr(screen.Window, "keys", lambda self: next(frames)())
    try:
        assert cli.main(["watch", str(run), "--follow"]) == 0
    finally:
        later.unlink()
    assert loaded == [newest, later]


def test_following_says_what_it_waits_for_and_ends_when_the_run_is_gone(
    run, tmp_path, monkeypatch, capsys
) -> None:
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: (tmp_path / "config.json").unlink())
    assert cli.main(["watch", str(tmp_path), "--follow", "--record", str(tmp_path / "a.gif")]) == 2
    said = capsys.readouterr()
    assert f"waiting for the first checkpoint in {tmp_path / 'checkpoints'}" in said.out
    assert f"{tmp_path} is gone" in said.err and said.err.count("\n") == 1


def test_a_replay_whose_actions_are_none_of_the_world_is_told_in_one_line(tmp_path, capsys) -> None:
    path = tmp_path / "episode.json"
    Replay("toy/Corridor-v0", 3, (2, 99)).save(path)
    assert cli.main(["watch", str(path), "--record", str(tmp_path / "a.gif")]) == 2
    said = capsys.readouterr().err
    assert "action 99 is none of Discrete(3)" in said and said.count("\n") == 1


def test_playing_saves_a_replay_that_can_be_watched(tmp_path, keyboard, capsys) -> None:
    out = tmp_path / "replays"
    boards = keyboard([], *([pygame.K_2] for _ in range(20)), [pygame.K_q])  # 2 is the step to the right
    assert cli.main(["play", "corridor", "--seed", "5", "--out", str(out)]) == 0
    (path,) = out.iterdir()
    saved = replay.load(path)
    assert (saved.id, saved.seed, saved.agent) == ("toy/Corridor-v0", 5, "human")
    assert 0 < len(saved.actions) < 20 and set(saved.actions) == {2}
    steps = list(replay.play(saved))  # checks the state's hash at the end, too
    assert steps[-1].terminated and sum(step.reward for step in steps) == pytest.approx(saved.score)
    said = capsys.readouterr().out
    assert f"you {saved.score:.2f}, expert {saved.score:.2f}" in said  # who walks right is as good
    assert boards[-1].shape[0] >= boards[0].shape[0]

    gif = tmp_path / "replay.gif"
    assert cli.main(["watch", str(path), "--record", str(gif)]) == 0
    assert gif.stat().st_size > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data.replace(b"toy/Corridor-v0", b"os:Nothing-v0"), "not registered"),
        (lambda data: data.replace(b'"slip": 0', b'"slip": "x"'), "slip"),
        (lambda data: data.replace(b'"meze_replay": 2', b'"meze_replay": 9'), "newer"),
    ],
)
def test_a_damaged_replay_is_told_in_one_line(tmp_path, capsys, change, words) -> None:
    path = tmp_path / "replay.json"
    replay.Replay("toy/Corridor-v0", 1, (2, 2), config={"slip": 0}).save(path)
    json.loads(path.read_text())
    path.write_bytes(change(path.read_bytes()))
    assert cli.main(["watch", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("meze: error: ") and said.count("\n") == 1 and words in said


def shown(space, obs, world=None, values=None, mask=None) -> Sees:
    return see(space, obs, world, values, mask, lambda action: f"a{action}")


def test_planes_are_those_of_either_axis_with_one_scale() -> None:
    planes = np.zeros((5, 9, 9), np.uint8)
    planes[2] = 255
    first = shown(Box(0, 255, planes.shape, np.uint8), planes)
    last = shown(Box(0, 255, (9, 9, 5), np.uint8), np.moveaxis(planes, 0, 2))
    for seen in (first, last):
        assert len(seen.planes) == 5 and {(plane.low, plane.high) for plane in seen.planes} == {(0, 255)}
        assert [plane.values.max() for plane in seen.planes] == [0, 0, 255, 0, 0]
    dark, light = (colored(plane) for plane in first.planes[1:3])
    assert (light > dark).all() and (dark == board.RAMP[0]).all() and (light == board.RAMP[2]).all()


def test_numbers_of_any_environment_are_written() -> None:
    space = Box(-np.inf, np.inf, (4,), np.float32)
    seen = shown(space, np.array([0.5, -1.25, 0.0, 3e9], np.float32))
    assert seen.numbers == (("0", "0.500"), ("1", "-1.250"), ("2", "0"), ("3", "3e+09"))
    assert shown(Discrete(16, start=2), np.array(5)).title == "sees number 3 of 16"


def test_of_a_table_the_best_rows_that_are_possible_come_first() -> None:
    class Named:
        observation_names = ("near", "far")

    obs, values = np.array([[1, 10], [2, 20], [3, 30], [4, 40]], np.int32), np.array([0.5, 9.0, 1.5, 0.1])
    seen = shown(Box(0, 99, (4, 2), np.int32), obs, Named(), values, np.array([1, 0, 1, 1]))
    assert seen.table == (
        ("row", "value", "near", "far"),
        ("a2", "1.50", "3", "30"),
        ("a0", "0.50", "1", "10"),
        ("a3", "0.10", "4", "40"),
    )


def test_bars_begin_at_one_zero_and_what_is_not_possible_has_none() -> None:
    values = (("up", 2.0), ("down", -1.0), ("left", None), ("right", 1.0))
    surface = pygame.Surface((400, 200), 0, 32)
    surface.fill(board.BACKGROUND)
    board.draw_sees(surface, Sees("sees", values=values))
    found = []  # (first, last) columns of each bar, from top to bottom
    for row in to_array(surface):
        columns = np.flatnonzero((row == board.BAR).all(axis=1) | (row == board.BEST).all(axis=1))
        runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
        longest = max(runs, key=len)
        if len(longest) > 40 and (longest[0], longest[-1]) not in found:
            found.append((longest[0], longest[-1]))
    (zero, end), (start, before_zero), (zero_too, middle) = found  # none for `left`
    assert zero == zero_too == before_zero + 1 or zero == zero_too == before_zero + 2  # its line lies between
    assert end - zero == pytest.approx(2 * (middle - zero), abs=3)
    assert before_zero - start == pytest.approx(middle - zero, abs=3)


def test_a_point_of_the_board_is_a_pixel_of_the_picture() -> None:
    drawn = Board((640, 480))
    drawn.draw(View((np.zeros((40, 60, 3), np.uint8),)), ["status"])
    (place,) = drawn.places
    assert place.size == (360, 240)
    assert drawn.pixel(place.topleft) == (0, 0) and drawn.pixel(place.center) == (30, 20)
    assert drawn.pixel((place.right + 1, place.y)) is None


def test_several_share_a_panel_and_a_recording_grows_with_them() -> None:
    pictures = tuple(np.full((90, 160, 3), 60 * n, np.uint8) for n in range(4))
    view = View(pictures, ("a", "b", "c", "d"), panel=np.full((90, 50, 3), 255, np.uint8), chosen=2)
    drawn = Board((900, 700))
    picture = to_array(drawn.draw(view, ()))
    assert len({place.topleft for place in drawn.places}) == 4
    for n, place in enumerate(drawn.places):
        assert (picture[place.centery, place.centerx] == 60 * n).all()
        assert (picture[place.top, place.left] == board.ACCENT).all() == (n == 2)  # of whom the panel tells
    areas = [np.prod(recording_limit(".gif", count)) for count in (1, 2, 4, 9, 64)]
    assert areas[0] < areas[1] < areas[2] < areas[3] == areas[4] and recording_limit(".mp4", 64)[0] == 1920


def test_one_picture_is_the_last_of_the_recording(run, tmp_path) -> None:
    picture, gif = tmp_path / "one.png", tmp_path / "all.mp4"
    for path in (picture, gif):
        assert cli.main(["watch", str(run), "--record", str(path), "--steps", "2"]) == 0
    last = read_frames(gif)[-1].astype(int)
    assert abs(iio.imread(picture).astype(int) - last).mean() < 3  # what the video's coding adds


def test_the_panel_says_which_checkpoint_is_shown(run) -> None:
    folder, source = RunDir.open(run), find_source([str(run)])
    step = max(int(path.stem.rpartition("-")[2]) for path in folder.checkpoints.glob("step-*.safetensors"))
    for which, words in (
        ("best", folder.find_checkpoint().words),
        ("newest", "newest"),
        (str(step), f"at {step:,}"),
    ):
        env, show, viewer = sources.make_viewer(source, source.env_config, WatchSettings(checkpoint=which))
        told = viewer._hud(show.moment, 0)
        assert words in told["checkpoint"] and told["seed"] == "unseen 0"
        env.close()


def test_action_values_are_shown_behind_an_encoder(tmp_path) -> None:
    fit = ["--env.observation", "strip", "--encoder", "kmeans", "--encoder.k", "4", "--fit.samples", "200"]
    args = ["train", "q-learning", "corridor", *fit, "--steps", "2000", "--eval-episodes", "4"]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    source = find_source([str(next(tmp_path.glob("*/*/*")))])
    env, show, _ = sources.make_viewer(source, source.env_config, WatchSettings())
    before = show.moment
    show.forward()
    assert before.values is not None and len(np.unique(before.values)) > 1
    assert (show.moment.actions == np.where(before.mask, before.values, -np.inf).argmax(axis=1)).all()
    env.close()


def test_chances_of_actions_and_what_is_expected_are_shown(tmp_path) -> None:
    args = ["train", "ppo", "corridor", "--steps", "2048", "--num-envs", "16", "--eval-episodes", "4"]
    assert cli.main([*args, "--out", str(tmp_path)]) == 0
    source = find_source([str(next(tmp_path.glob("*/*/*")))])
    env, show, viewer = sources.make_viewer(source, source.env_config, WatchSettings())
    sees = viewer.view(sees=True).sees
    chances = [value for _, value in sees.values if value is not None]
    assert sees.values_are == "chance" and sum(chances) == pytest.approx(1.0)
    assert sees.title.endswith(f", and expects {show.moment.worth[0]:.2f}")
    env.close()


def test_cut_offs_are_those_of_training(tmp_path) -> None:
    args = ["train", "q-learning", "corridor", "--steps", "2000", "--max-episode-steps", "5"]
    assert cli.main([*args, "--eval-episodes", "4", "--out", str(tmp_path)]) == 0
    assert find_source([str(next(tmp_path.glob("*/*/*")))]).max_episode_steps == 5


def test_a_folder_lists_what_is_in_it(run, tmp_path, capsys) -> None:
    Replay("toy/Corridor-v0", 1_000_000_003, (2, 2), agent="human", score=1.5).save(tmp_path / "good.json")
    (tmp_path / "bad.json").write_text("{")
    assert cli.main(["watch", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "good.json" in said and "toy/Corridor-v0" in said and "unseen 3" in said and "1.50" in said
    assert "bad.json" in said and "not a replay file" in said
    assert cli.main(["watch", str(run.parent)]) == 0
    assert run.name in capsys.readouterr().out
    (tmp_path / "nothing").mkdir()
    assert cli.main(["watch", str(tmp_path / "nothing")]) == 2
    assert "no run and no replay" in capsys.readouterr().err


def test_without_a_display_no_window_is_opened(run, monkeypatch, capsys) -> None:
    def open_window(self):
        monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen")
        opened(self)
        monkeypatch.delenv("SDL_VIDEODRIVER")

    opened = window.Window._open
    monkeypatch.setattr(window.Window, "_open", open_window)
    assert cli.main(["watch", str(run)]) == 2
    assert "no display" in capsys.readouterr().err
