"""Rewards divided by the deviation of the discounted return so far: the library's `VecNormalize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from ..base import State
from ..checks import taken


class Rewards:
    """What `VecNormalize` has seen of returns, kept when the environments are others.

    Args:
        num_envs: N.
        gamma: discount factor.
    """

    def __init__(self, num_envs: int, gamma: float) -> None:
        self._gamma = gamma
        self._told = RunningMeanStd(shape=())
        self._running = np.zeros(num_envs)
        self._env: VecNormalize | None = None

    def around(self, env: VecEnv) -> VecNormalize:
        """Environments whose rewards are divided; observations stay as they are."""
        running = self._returns
        self._env = VecNormalize(env, norm_obs=False, gamma=self._gamma)
        self._env.ret_rms, self._env.returns = self._told, running
        return self._env

    @property
    def _returns(self) -> np.ndarray:
        return self._running if self._env is None else self._env.returns

    def state_dict(self) -> State:
        """What was seen so far."""
        told = self._told
        return {
            "returns.running": self._returns.copy(),
            "returns.told": np.array([told.count, float(told.mean), float(told.var)]),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it is of other environments, or damaged.
        """
        running = taken(state, "returns.running", np.float64, len(self._running))
        count, mean, var = taken(state, "returns.told", np.float64, 3).tolist()
        if count <= 0 or var < 0:
            raise ValueError("the returns so far are damaged")
        self._told.count, self._told.mean, self._told.var = count, np.array(mean), np.array(var)
        self._running, self._env = running.copy(), None
