"""Environments of others that do not do what Gymnasium's API promises, and one that does, with arguments."""

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Tuple


class Room(gymnasium.Env):
    """A row of cells to its last one; nobody has registered it."""

    made: list[dict] = []

    def __init__(
        self, size: int, gain=None, *, walls: tuple[int, ...] = (), table=None, render_mode=None, **more
    ):
        Room.made.append({"size": size, "gain": gain, "walls": walls, "table": table, **more})
        self.observation_space, self.action_space = Discrete(size), Discrete(2)
        self.cell = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return self.cell, {}

    def step(self, action):
        last = int(self.observation_space.n) - 1
        self.cell = min(last, max(0, self.cell + 2 * int(action) - 1))
        return self.cell, float(self.cell == last), self.cell == last, False, {}


class Sound(gymnasium.Env):
    observation_space, action_space = Box(-1, 1, (4,), np.float32), Discrete(2)
    steps = 0

    def obs(self):
        return np.zeros(4)  # float64, which a batch of float32 holds

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.obs(), {}

    def step(self, action):
        self.steps += 1
        return self.obs(), 1.0, self.steps % 10 == 0, False, {}


class NoActions(gymnasium.Env):
    observation_space = Discrete(3)


class WrongShape(Sound):
    def obs(self):
        return np.zeros(3, np.float32)


class WrongType(Sound):
    def obs(self):
        return "a room"


class WrongPart(Sound):
    observation_space = Dict({"at": Discrete(3), "map": Box(0, 1, (2, 2))})

    def obs(self):
        return {"at": 1, "map": np.zeros(4, np.float32)}


class OutsideNumber(Sound):
    observation_space = Discrete(3)

    def obs(self):
        return 3


class NanObservation(Sound):
    def obs(self):
        return np.array([0, 0, np.nan, 0], np.float32)


class NanReward(Sound):
    def step(self, action):
        return self.obs(), np.nan, False, False, {}


class RowOfRewards(Sound):
    def step(self, action):
        return self.obs(), np.ones(1), False, False, {}


class NoSeed(Sound):
    def reset(self):
        return self.obs(), {}


class FourValues(Sound):
    def step(self, action):
        return self.obs(), 1.0, False, {}


class Late(Sound):
    """What its observations become after some steps."""

    later = None

    def obs(self):
        return super().obs() if self.steps < 30 else self.later


class LateShape(Late):
    later = np.zeros(3, np.float32)


class LateType(Late):
    later = np.zeros(4, np.complex128)


class LatePart(Late):
    observation_space = Dict({"at": Discrete(3), "map": Box(0, 1, (2, 2))})
    later = {"at": 1, "map": np.zeros((2, 3), np.float32)}

    def obs(self):
        return super().obs() if self.steps >= 30 else {"at": 1, "map": np.zeros((2, 2), np.float32)}


class LateNumber(Late):
    observation_space, later = Discrete(3), 3

    def obs(self):
        return super().obs() if self.steps >= 30 else 2


class EmptyDict(Sound):
    observation_space = Dict({})

    def obs(self):
        return {}


class EmptyPart(Sound):
    observation_space = Dict({"at": Discrete(3), "none": Tuple(())})

    def obs(self):
        return {"at": 1, "none": ()}


class Drawn(Sound):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def render(self):
        return np.zeros((9, 12, 3), np.uint8)


class NoModes(Drawn):
    metadata = {}


class NoPicture(Drawn):
    def render(self):
        return None


class NoRender(Drawn):
    render = gymnasium.Env.render


class LateNanReward(Sound):
    def step(self, action):
        obs, reward, *ends = super().step(action)
        return (obs, np.nan if self.steps > 30 else reward, *ends)


class LateNanObservation(Sound):
    def obs(self):
        return np.full(4, np.nan if self.steps > 30 else 0.0, np.float32)
