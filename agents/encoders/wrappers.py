"""An encoder between an environment and an agent: as a wrapper of environments, or of an agent.

`EncodeObservation` and `VectorEncodeObservation` are ordinary Gymnasium wrappers. `Encodes` stands before an
agent, which then takes raw observations; see `agents.wrappers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..base import Decided, Encoder, Memory, Policy
from ..wrappers import Wrapper

# --- Environments ---------------------------------------------------------------------------------------


class EncodeObservation(gym.ObservationWrapper):
    """A single environment whose observations are codes of a fitted encoder."""

    def __init__(self, env: gym.Env, encoder: Encoder) -> None:
        super().__init__(env)
        self.encoder = encoder
        self.observation_space = encoder.space

    def observation(self, observation: Any) -> Any:
        """The code of an observation."""
        return self.encoder.transform(np.asarray(observation)[None])[0]


class VectorEncodeObservation(VectorWrapper):
    """A vector environment whose observations, those at the ends of episodes too, are codes of an encoder."""

    def __init__(self, env: VectorEnv, encoder: Encoder) -> None:
        super().__init__(env)
        self.encoder = encoder
        self.single_observation_space = encoder.space
        self.observation_space = batch_space(encoder.space, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Codes of the first observations; see `VectorEnv.reset`."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self.encoder.transform(obs), info

    def step(self, actions: Any) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """Codes of the next observations; see `VectorEnv.step`."""
        return self._coded(*self.env.step(actions))

    def step_some(
        self, actions: Any, rows: NDArray[np.bool_]
    ) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """The same where only some environments take a step; see `WorldVectorEnv.step_some`."""
        return self._coded(*self.env.step_some(actions, rows))  # type: ignore[attr-defined]

    def _coded(
        self, obs: NDArray, reward: NDArray, terminated: NDArray, truncated: NDArray, info: dict[str, Any]
    ) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        if "final_obs" in info:
            rows = np.flatnonzero(info["_final_obs"])
            ends = np.full(len(info["final_obs"]), None, object)
            if len(rows):
                finals = np.stack([np.asarray(each) for each in info["final_obs"][rows]])
                for row, code in zip(rows, self.encoder.transform(finals), strict=True):
                    ends[row] = code
            info = info | {"final_obs": ends}
        return self.encoder.transform(obs), reward, terminated, truncated, info

    def observe(self) -> NDArray:
        """Codes of what the environments show now, if they are native ones."""
        return self.encoder.transform(self.env.observe())  # type: ignore[attr-defined]


# --- Agents ---------------------------------------------------------------------------------------------


class EncodedPolicy(Policy):
    """A policy of codes that takes raw observations.

    Args:
        policy: acts on codes.
        encoder: makes them.
    """

    def __init__(self, policy: Policy, encoder: Encoder) -> None:
        self._policy, self._encoder = policy, encoder
        self.values_are = policy.values_are

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B,) actions; see `Policy.act`."""
        return self._policy.act(self._encoder.transform(obs), memory, explore=explore, mask=mask)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """The (B, A) values of codes; see `Policy.action_values`."""
        return self._policy.action_values(self._encoder.transform(obs), memory)

    def state_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """The (B,) values of codes; see `Policy.state_values`."""
        return self._policy.state_values(self._encoder.transform(obs), memory)

    def carries_out(self, memory: Memory) -> Sequence[str] | None:
        """See `Policy.carries_out`."""
        return self._policy.carries_out(memory)

    def interrupted(self, memory: Memory, rows: NDArray[np.bool_]) -> Memory:
        """See `Policy.interrupted`."""
        return self._policy.interrupted(memory, rows)


class Encodes(Wrapper):
    """A fitted encoder before an agent of codes."""

    place = "encoder"

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def observes(self, space: Space) -> Space:
        """Codes; see `Wrapper.observes`."""
        return self.encoder.space

    def env(self, env: VectorEnv) -> VectorEnv:
        """The environment whose observations are codes; see `Wrapper.env`."""
        return VectorEncodeObservation(env, self.encoder)

    def policy(self, policy: Policy) -> Policy:
        """The policy that takes raw observations; see `Wrapper.policy`."""
        return EncodedPolicy(policy, self.encoder)

    def observed(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Codes of observations; see `Wrapper.observed`."""
        return self.encoder.transform(obs)
