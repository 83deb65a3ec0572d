"""An environment with any pair of spaces, by name, which minds that actions are of its space."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

LOW, HIGH = np.array([-1.0, 0.0, 5.0], np.float32), np.array([1.0, 50.0, 10.0], np.float32)

OBSERVATIONS = {
    "Box": Box(-1.0, 1.0, (3,)),
    "Discrete": Discrete(5),
    "Discrete(start=1)": Discrete(5, start=1),
    "MultiDiscrete": MultiDiscrete([3, 2], start=[1, 0]),
    "MultiBinary": MultiBinary(3),
    "Dict": Dict(place=Box(-2.0, 2.0, (2,)), mood=Discrete(3, start=1)),
    "Tuple, nested": Tuple((Box(0.0, 1.0, (1, 2)), Dict(left=MultiBinary(2), right=Tuple((Discrete(2),))))),
    "Tuple of numbers": Tuple((Discrete(4), Dict(bits=MultiBinary(2), pair=MultiDiscrete([2, 3])))),
}
ACTIONS = {
    "Discrete": Discrete(3),
    "Discrete(start=1)": Discrete(3, start=1),
    "MultiDiscrete": MultiDiscrete([2, 3], start=[0, 1]),
    "MultiBinary": MultiBinary((2, 2)),
    "MultiBinary, 8,192 combinations": MultiBinary(13),
    "Box": Box(-2.0, 2.0, (1,)),
    "Box, unequal bounds": Box(LOW, HIGH),
}
ODD = {
    "Text": Text(3),
    "Dict of Text and Sequence": Dict(a=Text(3), b=gymnasium.spaces.Sequence(Discrete(2))),
}


class Spaces(gymnasium.Env):
    """Shows what it draws from its space; an episode has five steps, each worth the action's first number."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(
        self, observations: str = "Box", actions: str = "Discrete", masked: bool = False, render_mode=None
    ):
        self.observation_space = (OBSERVATIONS | ODD)[observations]
        self.action_space = ACTIONS[actions]
        self.render_mode = render_mode
        self._masked = masked

    def _shown(self):
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        # No part of an action may be its first value.
        info = {"action_mask": np.array([0, 1, 0, 1, 1], np.int8)} if self._masked else {}
        return self.observation_space.sample(), info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._shown()

    def step(self, action):
        assert action in self.action_space, f"{action!r} is none of {self.action_space}"
        self._steps += 1
        obs, info = self._shown()
        return obs, float(np.ravel(action)[0]), self._steps == 5, False, info

    def render(self):
        return np.zeros((8, 8, 3), np.uint8)


gymnasium.register("Tiny/Spaces-v0", Spaces)
