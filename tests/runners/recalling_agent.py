"""An agent of others that remembers: Q-learning on what it sees and what it saw first in the episode."""

import math
from typing import NamedTuple

import numpy as np
from gymnasium.spaces import Discrete
from meze.agents.base import fitting
from meze.agents.registry import register_agent
from meze.agents.tabular import QLearning, TabularConfig, TabularPolicy


class Remembered(NamedTuple):
    """What it remembers, in parts of several kinds."""

    first: np.ndarray
    """(B,) the first observation and 1; 0 where there was none."""
    rest: dict
    """`steps`: a tuple of (B, 1) float32."""


class RecallingPolicy(TabularPolicy):
    """Rows of the table are those of pairs: what was seen first, and what is seen now."""

    def act(self, obs, memory=None, *, explore=False, mask=None):
        rows = self.pairs(obs, memory)
        action, _ = super().act(rows, explore=explore, mask=mask)
        (steps,) = memory.rest["steps"] if memory else (np.zeros((len(obs), 1), np.float32),)
        remembered = Remembered(rows // self.size + 1, {"steps": (steps + 1,)})
        return action, remembered, {"values": self.q[rows]}

    def action_values(self, obs, memory=None):
        return super().action_values(self.pairs(obs, memory))

    @property
    def size(self):
        return math.isqrt(len(self.q))

    def pairs(self, obs, memory):
        first = obs if memory is None else np.where(memory.first > 0, memory.first - 1, obs)
        return first * self.size + obs


class Recalling(QLearning):
    name = "recalling"
    policy_class = RecallingPolicy

    def __init__(self, observation_space, action_space, *, num_envs, config: TabularConfig, rng) -> None:
        with fitting(self.name, observation_space, action_space):
            if not all(isinstance(each, Discrete) for each in (observation_space, action_space)):
                raise ValueError("it needs numbers")
            if observation_space.start:
                raise ValueError("it counts from 0")
        pairs = Discrete(int(observation_space.n) ** 2)
        super().__init__(pairs, action_space, num_envs=num_envs, config=config, rng=rng)

    def learn(self, batch):
        first = self.policy.pairs(batch.obs, batch.memory)
        assert batch.extras["values"].shape == (len(first), self.q.shape[1])
        following = first - batch.obs + batch.next_obs
        return super().learn(batch._replace(obs=first, next_obs=following, memory=None, extras=None))


def register() -> None:
    """Announces it, as the entry point of a distribution would."""
    register_agent(
        "recalling",
        "recalling_agent:Recalling",
        "learner",
        "remembers what it saw first",
        config="meze.agents.tabular:TabularConfig",
        modes=("index",),
    )
