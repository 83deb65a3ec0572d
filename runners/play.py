"""`meze play ENV`: act yourself, by keyboard or mouse; the score is set against the world's references."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ..agents.base import Memory, Policy
from ..envs.core.env import world_of
from ..envs.core.replay import Replay
from ..envs.core.world import World
from .run import rollout
from .run.evaluation import on_split
from .run.rollout import ReferencePolicy
from .setup.presets import default_env_config
from .setup.resolve import Environment, find_environment, world_class
from .setup.seeds import EVALUATION_SEED
from .setup.settings import group, leading_names, override, parse, to_plain
from .show.show import Show
from .show.sources import make_env
from .show.viewer import Viewer, action_names

USAGE = "meze play ENV [flags]"
DESCRIPTION = """Plays an environment by keyboard. Each key is one step, and a held key repeats; a world of
its own pace goes on by itself, and looks which keys are held. Where actions are places, the mouse or the
arrow keys choose one, and what it would bring is shown.

The score of an episode is shown beside that of the world's reference policies on the same seed, and the
episode is saved as a replay, which `meze watch FILE` shows."""
KEY_OF_ACTION = {
    "forward": "up",
    "up": "up",
    "north": "up",
    "down": "down",
    "south": "down",
    "left": "left",
    "west": "left",
    "right": "right",
    "east": "right",
    "turn left": "left",
    "turn right": "right",
    "wait": "space",
    "stay": "space",
}
"""Names of actions that have a natural key; every action has its number, too."""
KEYS_OF_BUTTON = {
    "left": ("left", "a"),
    "right": ("right", "d"),
    "up": ("up", "w"),
    "down": ("down", "s"),
    "jump": ("space", "z", "k"),
    "run": ("left shift", "x", "j"),
}
"""Keys that are a world's buttons while they are held."""
ARROWS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
ENTER = {"return", "enter", "space"}
GRASP = 48
"""Pixels from a place within which it is pointed at."""
STEPS_A_SECOND = 8.0
"""How fast a held key repeats, and how fast motion is shown."""


@dataclass(frozen=True)
class PlaySettings:
    """What to play."""

    seed: int = EVALUATION_SEED
    """Seed of the first episode; the next ones count up."""
    out: Path = Path("replays")
    """Folder for the replays."""
    max_episode_steps: int | None = None
    """Steps after which an episode is cut off; by default the environment's own limit."""


class HumanPolicy(Policy):
    """Takes the action that was set."""

    def __init__(self) -> None:
        self.action = 0

    def act(
        self, obs: Any, memory: Memory = None, *, explore: bool = False, mask: Any = None
    ) -> tuple[np.ndarray, Memory]:
        """Returns the action for a batch of one."""
        return np.array([self.action]), memory


class Done(NamedTuple):
    """What was done in the window since the last frame."""

    pressed: Sequence[str]
    """Names of the keys that were pressed."""
    held: set[str]
    """Names of the keys that are held."""
    pointed: tuple[float, float] | None = None
    """Pixel of the picture to which the mouse was moved."""
    clicked: bool = False
    """Whether it was clicked there."""


class KeyControls:
    """Each press of a key is a step.

    Args:
        env: what is played.

    Raises:
        ValueError: when its actions are not Discrete.
    """

    steps_a_second = STEPS_A_SECOND
    cursor = None  # see `PointControls`

    def __init__(self, env: VectorEnv) -> None:
        space = env.single_action_space
        if not isinstance(space, Discrete):
            raise ValueError(f"only Discrete actions can be played by keyboard; got {space}")
        names = action_names(env)
        self._actions = {str(n): int(space.start) + n for n in range(min(10, int(space.n)))}
        """Names of keys to actions: numbers for the first ten, and natural keys where actions have names."""
        for action, name in enumerate(names):
            if name in KEY_OF_ACTION:
                self._actions[KEY_OF_ACTION[name]] = action
        self.told = "   ".join(
            f"{key}: {names[action] if action < len(names) else action}"
            for key, action in self._actions.items()
        )

    def action(self, done: Done) -> int | None:
        """The action of the first key pressed that has one."""
        return next((self._actions[key] for key in done.pressed if key in self._actions), None)


class PointControls:
    """Actions are places in the picture: the mouse, or the arrow keys, choose one.

    Args:
        env: what is played; its renderer draws the cursor.
    """

    steps_a_second = STEPS_A_SECOND
    told = "mouse or arrows: choose a place   click or enter: take it"

    def __init__(self, env: VectorEnv) -> None:
        self._env: Any = env.unwrapped
        self._renderer = self._env.world.renderer()
        self.cursor: int | None = None
        """The action that is pointed at."""
        self._place: NDArray | None = None  # where it was last

    def action(self, done: Done) -> int | None:
        """Moves the cursor; the action that was clicked, or at which enter was pressed."""
        spots = self._renderer.spots(self._env.state, 0)
        if self.cursor is not None and np.isnan(spots[self.cursor, 0]):
            self.cursor = None
        if done.pointed is not None:
            away = np.hypot(*(spots - done.pointed).T)
            near = not np.isnan(away).all() and np.nanmin(away) <= GRASP
            self.cursor = int(np.nanargmin(away)) if near else None
        for key in done.pressed:
            if key in ARROWS:
                self.cursor = self._next(spots, ARROWS[key])
        if self.cursor is not None:
            self._place = spots[self.cursor]
        taken = done.clicked or not ENTER.isdisjoint(done.pressed)
        return self.cursor if taken else None

    def _next(self, spots: NDArray, way: tuple[int, int]) -> int | None:
        """The nearest place in a direction, what is aside counting twice; at first the one in the middle."""
        free = np.flatnonzero(~np.isnan(spots[:, 0]))
        if not len(free):
            return None
        start = spots[free].mean(axis=0) if self._place is None else self._place
        ahead, aside = np.array([way, way[::-1]]) @ (spots[free] - start).T
        away = ahead**2 + 4 * aside**2
        if self._place is not None:
            away = np.where(ahead > 0, away, np.inf)
        return int(free[away.argmin()]) if np.isfinite(away).any() else self.cursor


class ButtonControls:
    """The world goes on by itself; the buttons that are held choose the action.

    Args:
        world: what is played; it has buttons.
    """

    cursor = None  # see `PointControls`

    def __init__(self, world: World) -> None:
        self._world = world
        self.steps_a_second = float(world.render_fps)
        self.told = "   ".join(
            f"{button}: {' or '.join(KEYS_OF_BUTTON[button])}" for button in self._world.buttons
        )

    def action(self, done: Done) -> int | None:
        """The action of the buttons whose keys are held."""
        buttons = [name for name in self._world.buttons if not done.held.isdisjoint(KEYS_OF_BUTTON[name])]
        return self._world.action_of(buttons)


Controls: TypeAlias = KeyControls | PointControls | ButtonControls


def find_controls(env: VectorEnv) -> Controls:
    """How an environment is played."""
    world = world_of(env)
    if world is not None and world.buttons:
        return ButtonControls(world)
    is_pointed = world is not None and "cursor" in world.renderer().draws
    return PointControls(env) if is_pointed else KeyControls(env)


class Game:
    """Episodes played by keyboard: steps, scores and replays.

    Args:
        environment: what is played.
        config: its settings.
        env: one environment, autoreset `DISABLED`.
        settings: seed and folder.
    """

    def __init__(self, environment: Environment, config: Any, env: VectorEnv, settings: PlaySettings) -> None:
        self._environment, self._config, self._env, self._settings = environment, config, env, settings
        self._policy = HumanPolicy()
        self.show = Show(env, self._policy, lambda k: settings.seed + k)
        self._actions: list[int] = []
        self.news: list[str] = []

    @property
    def over(self) -> bool:
        """Whether the episode is over."""
        return bool(self.show.moment.ended[0])

    def act(self, action: int) -> None:
        """Takes one step, unless the episode is over."""
        if self.over:
            return
        self._policy.action = action
        self._actions.append(action)
        self.show.forward()
        if self.over:
            self.finish()

    def next_episode(self) -> None:
        """Begins the next episode."""
        if self._actions and not self.over:
            self.finish()
        self._actions, self.news = [], []
        self.show.next_episode()

    def finish(self) -> None:
        """Tells the score and saves the replay."""
        if not self._actions:
            return
        moment = self.show.moment
        seed = self.show.seed_of(int(moment.episodes[0]))
        scores = {"you": float(moment.returns[0]), **self._references(seed)}
        self.news = ["return: " + ", ".join(f"{name} {score:.2f}" for name, score in scores.items())]
        if self._environment.world is not None:
            self.news.append(f"saved as {self._save(seed, scores['you'])}")
        for line in self.news:
            print(line, flush=True)

    def _references(self, seed: int) -> Mapping[str, float]:
        scores, world = {}, world_of(self._env)
        for name in () if world is None else world.references():
            env = self._env.unwrapped.clone()  # type: ignore[attr-defined]
            played = rollout.evaluate(env, ReferencePolicy(env.reference(name)), [seed])
            scores[name] = float(played.measures["return"][0])
        return scores

    def _save(self, seed: int, score: float) -> Path:
        env: Any = self._env.unwrapped
        replay = Replay(
            self._environment.id.rpartition(":")[2],
            seed,
            tuple(self._actions),
            config=to_plain(self._config),
            agent="human",
            score=score,
            state_hash=int(env.state_hash()[0]),
            layout=env.state_layout,
        )
        folder = self._settings.out
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._environment.name}-{time.strftime('%Y%m%d-%H%M%S')}-s{seed}.json"
        replay.save(path)
        return path


def run(game: Game, viewer: Viewer, controls: Controls, title: str) -> None:
    """Plays in a window until it is closed."""
    import pygame

    from .show.board import Board
    from .show.screen import Window

    window = Window(title, repeat=(300, int(1000 / STEPS_A_SECOND)))
    board = Board(window.limit)
    frame = controls.steps_a_second / window.FRAMES_PER_SECOND  # steps
    sees, phase = False, 1.0
    while True:
        pressed = window.keys()
        if pygame.K_q in pressed or pygame.K_ESCAPE in pressed:
            if not game.over:
                game.finish()
            window.close()
            return
        if pygame.K_n in pressed:
            game.next_episode()
            phase = 1.0
        if pygame.K_o in pressed:
            sees = not sees
        held = {pygame.key.name(key) for key in window.held}
        pointed = board.pixel(window.pointed) if window.pointed else None
        action = controls.action(
            Done([pygame.key.name(key) for key in pressed], held, pointed, window.clicked)
        )
        # A step begins with the frame nearest to its time: frames may come a little early or late.
        if action is not None and phase > 1.0 - frame / 2 and not game.over:
            game.act(action)
            phase = min(phase - 1.0, frame / 2)
        status = [controls.told, "n: next episode   o: what an agent sees   q: quit", *game.news]
        # What a frame shows lasts until the next one.
        shown = min(max(phase, 0.0) + frame, 1.0)
        cursor = None if game.over else controls.cursor
        seconds = window.show(board.draw(viewer.view(shown, sees, cursor), status))
        phase += seconds * controls.steps_a_second


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    environment = find_environment(names[0])
    default = group("Play", run=PlaySettings(), env=on_split(default_env_config(environment)))
    if world := world_class(environment):
        default = override(default, world.play_settings)
    given = parse(default, args[1:], prog=f"meze play {names[0]}", description=DESCRIPTION)
    env = make_env(environment, given.env, 1, given.run.max_episode_steps)
    try:
        game = Game(environment, given.env, env, given.run)
        run(game, Viewer(game.show, "you"), find_controls(env), f"meze: play {environment.id}")
    finally:
        env.close()
    return 0
