"""`meze play ENV`: act yourself, by keyboard; the score is set against the world's references."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv

from ..agents.base import Memory
from ..envs.core.replay import Replay
from . import rollout
from .evaluate import on_test_split
from .presets import default_env_config
from .resolve import Environment, find_environment
from .rollout import ReferencePolicy
from .rundir import EVALUATION_SEED
from .settings import asks_for_help, group, leading_names, parse, to_plain
from .show import Show
from .watch import Viewer, WatchSettings, action_names, make_env

USAGE = "meze play ENV [flags]"
DESCRIPTION = """Plays an environment by keyboard. Each key is one step; a held key repeats.

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
    "wait": "space",
    "stay": "space",
}
"""Names of actions that have a natural key; every action has its number, too."""
STEPS_A_SECOND = 8.0
"""How fast a held key repeats, and how fast motion is shown."""


@dataclass(frozen=True)
class PlaySettings:
    """What to play."""

    seed: int = EVALUATION_SEED
    """Seed of the first episode; the next ones count up."""
    out: Path = Path("replays")
    """Folder for the replays."""


class HumanPolicy:
    """Takes the action that was set."""

    def __init__(self) -> None:
        self.action = 0

    def act(
        self, obs: Any, memory: Memory = None, *, explore: bool, mask: Any = None
    ) -> tuple[np.ndarray, Memory]:
        """Returns the action for a batch of one."""
        return np.array([self.action]), memory


def key_table(env: VectorEnv) -> dict[str, int]:
    """Names of keys to actions: numbers for the first ten, and natural keys where actions have names."""
    space = env.single_action_space
    if not isinstance(space, Discrete):
        raise ValueError(f"only Discrete actions can be played by keyboard; got {space}")
    keys = {str(n): int(space.start) + n for n in range(min(10, int(space.n)))}
    for action, name in enumerate(action_names(env)):
        if name in KEY_OF_ACTION:
            keys[KEY_OF_ACTION[name]] = action
    return keys


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
        scores = {}
        for name in getattr(self._env.unwrapped, "reference_names", ()):
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
        )
        folder = self._settings.out
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._environment.name}-{time.strftime('%Y%m%d-%H%M%S')}-s{seed}.json"
        replay.save(path)
        return path


def run(game: Game, viewer: Viewer, keys: Mapping[str, int], title: str) -> None:
    """Plays in a window until it is closed."""
    import pygame

    from .screen import Board, Window

    window = Window(title)
    board = Board(window.limit)
    pygame.key.set_repeat(300, int(1000 / STEPS_A_SECOND))
    sees, phase = False, 1.0
    names = action_names(game.show.env)
    told = "   ".join(
        f"{key}: {names[action] if action < len(names) else action}" for key, action in keys.items()
    )
    while True:
        for key in window.keys():
            name = pygame.key.name(key)
            if key in (pygame.K_q, pygame.K_ESCAPE):
                if not game.over:
                    game.finish()
                window.close()
                return
            if name in keys and phase >= 1.0 and not game.over:
                game.act(keys[name])
                phase = 0.0
            elif key == pygame.K_n:
                game.next_episode()
                phase = 1.0
            elif key == pygame.K_o:
                sees = not sees
        status = [told, "n: next episode   o: what an agent sees   q: quit", *game.news]
        seconds = window.show(board.draw(viewer.tiles(min(phase, 1.0), sees), status))
        phase += seconds * STEPS_A_SECOND


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    if asks_for_help(args):
        print(f"usage: {USAGE}\n\n{DESCRIPTION}")
        return 0
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    environment = find_environment(names[0])
    default = group("Play", run=PlaySettings(), env=on_test_split(default_env_config(environment)))
    given = parse(default, args[1:], prog=f"meze play {names[0]}", description=DESCRIPTION)
    env = make_env(environment, given.env, WatchSettings())
    try:
        game = Game(environment, given.env, env, given.run)
        run(game, Viewer(game.show, "you"), key_table(env), f"meze: play {environment.id}")
    finally:
        env.close()
    return 0
