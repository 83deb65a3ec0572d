"""An encoder between an environment and a learner: as a wrapper of environments, or inside an agent.

`EncodeObservation` and `VectorEncodeObservation` are ordinary Gymnasium wrappers. `encoded` puts an encoder
inside an agent instead, which then takes raw observations: whoever evaluates, watches or saves the agent need
not know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..caching import compiled
from .base import Encoder, Memory, Policy, State, Transition

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
        obs, reward, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            rows = np.flatnonzero(info["_final_obs"])
            ends = np.full(len(info["final_obs"]), None, object)
            codes = self.encoder.transform(np.stack([np.asarray(each) for each in info["final_obs"][rows]]))
            for row, code in zip(rows, codes, strict=True):
                ends[row] = code
            info = info | {"final_obs": ends}
        return self.encoder.transform(obs), reward, terminated, truncated, info


# --- Agents ---------------------------------------------------------------------------------------------


class Coder:
    """Encodes the observations of a stream, each once: as a successor, and then as what is acted on."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: tuple[tuple[NDArray, NDArray], ...] = ()  # the last two batches and their codes

    def __call__(self, obs: NDArray) -> NDArray:
        """Codes of (B, ...) observations, an array that nobody changes afterwards.

        The same array has the same codes, as one array: learners know a batch on which they acted by that.
        """
        for raw, codes in self._known:
            if raw is obs:
                return codes
        if self._known and self._known[-1][0].shape == obs.shape:
            raw, codes = self._known[-1]
            width = obs[0].size
            rows = differing(obs.reshape(len(obs), width), raw.reshape(len(raw), width))
            if len(rows) < len(obs) // 2:  # where an episode ended a new one begins; the others go on
                codes = codes.copy()
                if len(rows):
                    codes[rows] = self._encoder.transform(obs[rows])
            else:
                codes = self._encoder.transform(obs)
        else:
            codes = self._encoder.transform(obs)
        self._known = (*self._known[-1:], (obs, codes))
        return codes


@compiled(nogil=True)
def differing(rows, others):
    """The numbers of the rows that are not equal to those of another (B, D) array."""
    found = np.empty(len(rows), np.int64)
    count = 0
    for b in range(len(rows)):
        for d in range(rows.shape[1]):
            if rows[b, d] != others[b, d]:
                found[count] = b
                count += 1
                break
    return found[:count]


class EncodedPolicy:
    """A policy of codes that takes raw observations.

    Args:
        policy: acts on codes.
        encoder: makes them.
        coder: encodes while exploring, where observations come in a stream; none: each batch on its own.
    """

    def __init__(self, policy: Policy, encoder: Encoder, coder: Coder | None = None) -> None:
        self._policy, self._encoder, self._coder = policy, encoder, coder

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        codes = self._coder(obs) if explore and self._coder else self._encoder.transform(obs)
        return self._policy.act(codes, memory, explore=explore, mask=mask)


class _Encoded:
    """An agent that learns from codes, as one that takes raw observations."""

    def __init__(self, agent: Any, encoder: Encoder) -> None:
        self.agent, self.encoder = agent, encoder
        self.coder = Coder(encoder)

    @property
    def policy(self) -> Policy:
        return EncodedPolicy(self.agent.policy, self.encoder, self.coder)

    @property
    def exact(self) -> bool:
        return getattr(self.agent, "exact", True)

    @property
    def notes(self) -> list[str]:
        return list(getattr(self.agent, "notes", ()))

    def state_dict(self) -> State:
        return self.agent.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.agent.load_state_dict(state)

    def load_policy(self, state: Mapping[str, Any]) -> None:
        getattr(self.agent, "load_policy", self.agent.load_state_dict)(state)


class EncodedLearner(_Encoded):
    """A `Learner` of codes."""

    def learn(self, batch: Transition) -> dict[str, Any]:
        """Learns from the codes of a batch; see `Learner.learn`."""
        obs = self.coder(batch.obs)
        return self.agent.learn(batch._replace(obs=obs, next_obs=self.coder(batch.next_obs)))


class EncodedImitator(_Encoded):
    """An `Imitator` that is shown codes."""

    def imitate(self, obs: NDArray, action: NDArray) -> dict[str, float]:
        """Fits to codes of observations; see `Imitator.imitate`."""
        return self.agent.imitate(self.encoder.transform(obs), action)


class EncodedSearcher(_Encoded):
    """A `Searcher` of policies that act on codes."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)

    def policy_of(self, population: Any, genomes: NDArray[np.int64]) -> Policy:
        """A policy for genomes of a population; see `Searcher.policy_of`."""
        return EncodedPolicy(self.agent.policy_of(population, genomes), self.encoder)


class EncodedTrainer(_Encoded):
    """A `Trainer` that steps environments of codes."""

    def begin(self, env: VectorEnv, obs: NDArray) -> None:
        """Takes the environments; see `Trainer.begin`."""
        self.agent.begin(VectorEncodeObservation(env, self.encoder), self.encoder.transform(obs))

    def advance(self) -> tuple[int, dict[str, Any]]:
        """Collects and learns once; see `Trainer.advance`."""
        return self.agent.advance()


def encoded(agent: Any, kind: str, encoder: Encoder) -> Any:
    """Puts a fitted encoder inside an agent of codes.

    Args:
        agent: a `Learner`, `Searcher`, `Trainer` or `Imitator` for the encoder's space.
        kind: which, in small letters.
        encoder: makes codes of what the environment shows.
    """
    kinds = {
        "learner": EncodedLearner,
        "searcher": EncodedSearcher,
        "trainer": EncodedTrainer,
        "imitator": EncodedImitator,
    }
    return kinds[kind](agent, encoder)
