"""A corridor: the smallest world with every feature, and variants that break one rule each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from meze.envs.core.rng import chance, uniform_int
from meze.envs.core.scalars import bind_policy
from meze.envs.core.world import REWARD_SCALE, Kernels, Renderer, World, check_ranges, state_dtype
from numba import njit

LENGTH = 8
STATE = state_dtype(
    fields=[("cell", np.int32), ("start", np.int32)],
    info=[("moved", np.int32), ("slipped", np.bool_), ("bumps", np.int64), ("hope", np.float32)],
    parts=["goal", "time"],
)
STAY, LEFT, RIGHT = 0, 1, 2


@dataclass(frozen=True)
class CorridorConfig:
    """The corridor's settings."""

    observation: Literal["index", "strip"] = "index"
    slip: int = 256
    """Chance in 1/1024 that a move fails."""

    def __post_init__(self) -> None:
        if not 0 <= self.slip <= 1024:
            raise ValueError(f"slip is 0 to 1024, got {self.slip}")


class CorridorParams(NamedTuple):
    bonus: np.ndarray  # (LENGTH,) int32 reward in 1/1024 for standing on the cell
    slip: int


@njit
def reset_one(p, s, i):
    s[i].info.moved = 0
    s[i].info.slipped = False
    s[i].info.bumps = 0
    s[i].parts.goal = 0
    s[i].parts.time = 0
    s[i].cell = s[i].start - 1 if s[i].start > 0 else uniform_int(s[i].rng, LENGTH - 1)
    s[i].start = 0
    s[i].info.hope = s[i].cell / 8


@njit
def step_one(p, s, i, action):
    s[i].info.slipped = chance(s[i].rng, p.slip)
    move = 0 if s[i].info.slipped else (action == RIGHT) - (action == LEFT)
    if s[i].cell + move < 0:
        s[i].info.bumps += 1
        move = 0
    s[i].cell += move
    s[i].info.moved = move
    s[i].info.hope = s[i].cell / 8
    s[i].parts.goal = p.bonus[s[i].cell]
    s[i].parts.time = -1
    return s[i].parts.goal + s[i].parts.time, s[i].cell == LENGTH - 1


@njit
def observe_index(p, s, i, obs):
    obs[i] = s[i].cell


@njit
def observe_strip(p, s, i, obs):
    for x in range(LENGTH):
        obs[i, x] = 255 if x == s[i].cell else 0


@njit
def mask_one(p, s, i, mask):
    mask[i, STAY] = 1
    mask[i, LEFT] = s[i].cell > 0
    mask[i, RIGHT] = 1


@njit
def right_one(p, s, i):
    return RIGHT


class CorridorRenderer(Renderer):
    def draw(self, state, i=0, *, phase=1.0, hud=None):
        picture = np.zeros((8, 8 * LENGTH, 3), np.uint8)
        x = 8 * int(state["cell"][i])
        picture[:, x : x + 8] = 255
        return picture


class Corridor(World):
    """Walk right until the end; each move may slip."""

    kernels = Kernels(reset_one, step_one, observe_index, mask_one)
    strip = observe_strip
    state_dtype = STATE
    render_fps = 5

    def __init__(self, config: CorridorConfig) -> None:
        self.config = config
        self.action_space = Discrete(3)
        self.observation_space = Discrete(LENGTH)
        if config.observation == "strip":
            self.kernels = self.kernels._replace(observe_one=self.strip)
            self.observation_space = Box(0, 255, (LENGTH,), np.uint8)
        bonus = np.zeros(LENGTH, np.int32)
        bonus[-1] = REWARD_SCALE
        bonus.flags.writeable = False
        self._params = CorridorParams(bonus, config.slip)

    def params(self) -> CorridorParams:
        return self._params

    def reset_fields(self, options):
        for name in options:
            if name != "start":
                raise ValueError(f"the corridor has no reset option {name!r}, only 'start'")
        return {"start": np.asarray(options["start"]) + 1} if options else {"start": 0}

    def check_state(self, state):
        check_ranges(state, {"cell": (0, LENGTH - 1), "start": (0, LENGTH)})

    def references(self):
        return {"expert": bind_policy(right_one)}

    def renderer(self) -> CorridorRenderer:
        return CorridorRenderer()
