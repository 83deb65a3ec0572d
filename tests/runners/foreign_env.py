"""An environment of others, as any package may have one: it knows gymnasium and nothing of meze."""

import os
import time

import gymnasium
from gymnasium.spaces import Discrete


class Walk(gymnasium.Env):
    """A walk along five cells to the last one; a step fails now and then."""

    metadata = {"render_modes": [], "render_fps": 4}

    def __init__(self, delay: float = 0.0, raises_after: int = 0, dies_after: int = 0, render_mode=None):
        self.observation_space, self.action_space = Discrete(5), Discrete(2)
        self.render_mode = render_mode
        self._delay, self._raises_after, self._dies_after = delay, raises_after, dies_after
        self._cell = self._steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._cell = int(self.np_random.integers(4))
        return self._cell, {}

    def step(self, action):
        self._steps += 1
        if self._steps == self._raises_after:
            raise RuntimeError("the walk is closed")
        if self._steps == self._dies_after:
            os._exit(9)
        time.sleep(self._delay)
        if self.np_random.random() < 0.8:
            self._cell = min(4, max(0, self._cell + (1 if action else -1)))
        return self._cell, float(self._cell == 4), self._cell == 4, False, {}


gymnasium.register("Foreign/Walk-v0", Walk, max_episode_steps=20)
