"""Pictures and windows beside others that use pygame, too, and quit it whenever they like.

What could end in a segmentation fault runs in a process of its own.
"""

import io
import json
import os
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pygame
import pytest
from meze.envs.core import window_process
from meze.envs.core.window import Window
from registered import NAMES, SPECS

PRELUDE = """
import gc
import gymnasium as gym
import numpy as np
import pygame
import meze
from gymnasium.wrappers import HumanRendering
from meze.envs.core.window import Window


def cartpole(mode):
    env = gym.make("CartPole-v1", render_mode=mode)
    env.reset(seed=0)
    env.render()
    return env


def again(module):
    module.quit()
    module.init()


def closed_human_rendering():
    env = HumanRendering(gym.make("meze/FireEscape-v0", render_mode="rgb_array"))
    env.reset(seed=0)
    env.close()


TROUBLES = {
    "nothing": lambda: None,
    "font quit": pygame.font.quit,
    "display quit": pygame.display.quit,
    "pygame quit": pygame.quit,
    "font again": lambda: again(pygame.font),
    "display again": lambda: again(pygame.display),
    "pygame again": lambda: again(pygame),
    "another display": lambda: pygame.display.set_mode((64, 48)),
    "CartPole closed": lambda: cartpole("rgb_array").close(),
    "CartPole's window closed": lambda: cartpole("human").close(),
    "HumanRendering closed": closed_human_rendering,
}
shown = {}  # the last picture of each window
show = Window.show


def noted(self, picture):
    shown[self] = picture.copy()
    return show(self, picture)


Window.show = noted


def human(world, steps=1):
    env = gym.make(world, render_mode="human")
    env.unwrapped.metadata["render_fps"] = 1000
    env.reset(seed=1)
    for _ in range(steps):
        env.step(0)
    return env


def window(env):
    return env.unwrapped._window


def shows_its_state(env):
    expected = gym.make(env.spec.id, render_mode="rgb_array")
    expected.reset(seed=2)
    expected.unwrapped.set_state(env.unwrapped.get_state())
    expected.unwrapped._return = env.unwrapped._return
    return np.array_equal(shown[window(env)], expected.render())
"""


def run(script: str) -> None:
    """Runs a script, which must neither raise nor crash."""
    done = subprocess.run([sys.executable, "-c", PRELUDE + script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Error" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_whatever_others_quit_pictures_stay_the_same(spec):
    run(f"""
env = gym.make("{spec.id}", render_mode="rgb_array")

def pictures(trouble):
    env.reset(seed=3)
    for step in range(3):
        env.step(0)
        trouble()
        yield env.render()

expected = list(pictures(TROUBLES["nothing"]))
assert not np.array_equal(expected[0], expected[-1])
for name, trouble in TROUBLES.items():
    for picture, wanted in zip(pictures(trouble), expected, strict=True):
        assert np.array_equal(picture, wanted), name
""")


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS, ids=NAMES)
def test_whatever_others_quit_a_window_shows_what_it_should(spec):
    run(f"""
env = human("{spec.id}")
first = window(env)
for name, trouble in TROUBLES.items():
    env.reset(seed=1)
    trouble()
    env.step(0)
    assert shows_its_state(env), name
assert window(env) is first and len(shown) == 1
env.close()
""")


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [0, 1])
def test_of_two_windows_either_may_close_first(earlier):
    run(f"""
for pair in [("City", "City"), ("City", "Kiosk"), ("Platformer", "FireEscape")]:
    envs = [human(f"meze/{{name}}-v0") for name in pair]
    envs.pop({earlier}).close()
    (left,) = envs
    for _ in range(3):
        left.step(0)
        assert shows_its_state(left)
    left.close()
""")


@pytest.mark.slow
@pytest.mark.parametrize("earlier", ["meze", "CartPole"])
def test_a_window_of_another_environment_stays_open_and_as_it_is(earlier):
    run(f"""
pole, env = cartpole("human"), human("meze/City-v0")
pole.step(0)
screen = pygame.display.get_surface()
alone = cartpole("rgb_array")
alone.step(0)
assert np.array_equal(pygame.surfarray.array3d(screen).swapaxes(0, 1), alone.render())
if "{earlier}" == "CartPole":
    pole.close()
    env.step(0)
    assert shows_its_state(env)
    env.close()
else:
    env.close()
    assert pygame.display.get_surface() is screen
    pole.step(0), alone.step(0)
    assert np.array_equal(pygame.surfarray.array3d(screen).swapaxes(0, 1), alone.render())
    pole.close()
""")


@pytest.mark.slow
def test_human_rendering_around_one_of_two_and_a_window_beside():
    run("""
wrapped = HumanRendering(gym.make("meze/Kiosk-v0", render_mode="rgb_array"))
plain, env = gym.make("meze/Kiosk-v0", render_mode="rgb_array"), human("meze/Platformer-v0")
for each in (wrapped, plain):
    each.reset(seed=4)
    each.step(1)
before = plain.render()
wrapped.close()
assert np.array_equal(plain.render(), before)
env.step(0)
assert shows_its_state(env)
env.close()
plain.step(0)
assert plain.render().shape == before.shape
""")


@pytest.mark.slow
def test_closing_at_any_time_and_rendering_afterwards():
    run("""
gym.make("meze/City-v0", render_mode="human").close()
env = human("meze/City-v0")
env.close(), env.close()
env.reset(seed=1)
env.unwrapped.render()
assert shows_its_state(env)
pygame.quit()
env.close(), env.close()
""")


@pytest.mark.slow
def test_a_window_ends_with_its_environment_and_with_the_program():
    script = """
env = human("meze/FireEscape-v0")
process = window(env)._process
shown.clear()
assert process.poll() is None
del env
gc.collect()
assert process.poll() is not None
forgotten = human("meze/FireEscape-v0")
print(window(forgotten)._process.pid)
"""
    command = [sys.executable, "-X", "dev", "-c", PRELUDE + script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ResourceWarning" not in done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout.split()[-1]), 0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
def test_after_a_fork_each_process_has_its_own_window():
    run("""
import os, sys
env = human("meze/FireEscape-v0")
mine = window(env)._process.pid
child = os.fork()
env.step(0)
assert shows_its_state(env)
assert (window(env)._process.pid == mine) == bool(child)
if not child:
    sys.exit()  # and ends what it opened, and nothing else
assert os.waitpid(child, 0)[1] == 0
env.step(0)
assert window(env)._process.pid == mine and window(env)._process.poll() is None
""")


def test_who_is_interrupted_or_ended_shows_the_next_picture_in_a_new_window():
    window, picture = Window("test", 1000), np.zeros((48, 64, 3), np.uint8)
    window.show(picture)

    class Interrupted(io.BytesIO):
        def readline(self, size=-1):
            raise KeyboardInterrupt

    stdout, window._process.stdout = window._process.stdout, Interrupted()
    with pytest.raises(KeyboardInterrupt):
        window.show(picture)
    stdout.close()
    window.show(picture)
    window._process.kill()
    with pytest.raises(OSError, match="ended from outside"):
        [window.show(picture) for _ in range(2)]
    window.show(picture)
    assert window.events() == []
    window.close()


def test_who_shows_a_window_shows_the_last_picture_and_tells_the_keys(monkeypatch):
    key = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_n)
    motion, leaves = (
        pygame.event.Event(pygame.MOUSEMOTION, pos=(3, 4)),
        pygame.event.Event(pygame.WINDOWFOCUSLOST),
    )
    clicks = [pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=(5, 6), button=button) for button in (1, 3)]
    happens = iter([[key], [motion, *clicks, leaves], []])
    monkeypatch.setattr(pygame.event, "get", lambda: next(happens, []))
    random = np.random.default_rng(0)
    small, large = (random.integers(256, size=(*size, 3)).astype(np.uint8) for size in ((9, 7), (30, 50)))
    requests = b"7 9\n%b50 30\n%b0 0\n0 0\n7 9\nand no more" % (small.tobytes(), large.tobytes())
    answers = io.BytesIO()
    window_process.serve(io.BytesIO(requests), answers, "test")
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    pygame.display.quit()
    hello, *said = map(json.loads, answers.getvalue().splitlines())
    assert np.array_equal(shown, large)
    assert hello["driver"] == "dummy" and len(hello["desktop"]) == 2
    mouse = [[pygame.MOUSEMOTION, [3, 4]], [pygame.MOUSEBUTTONDOWN, [5, 6]]]
    assert said == [None, None, [[pygame.KEYDOWN, pygame.K_n], *mouse, [pygame.WINDOWFOCUSLOST, 0]], []]


def test_where_no_window_can_be_opened_it_says_why(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    env = gym.make("meze/FireEscape-v0", render_mode="human")
    with pytest.raises(OSError, match="no such driver"):
        env.reset(seed=0)
    env.close()
