"""An encoder between an environment and a learner: as a wrapper of environments, or inside an agent.

`EncodeObservation` and `VectorEncodeObservation` are ordinary Gymnasium wrappers. `EncodedLearner` and those
for agents of other kinds put an encoder inside an agent instead, which then takes raw observations: whoever
evaluates, watches or saves the agent need not know of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..base import Decided, Encoder, Imitator, Memory, Policy, Searcher, State, Trainable

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


class _Encoded(Trainable):
    """An agent that learns from codes, as one that takes raw observations; hands on all that it may have."""

    def __init__(self, agent: Any, encoder: Encoder) -> None:
        self.agent, self.encoder = agent, encoder

    @property
    def policy(self) -> Policy:
        return EncodedPolicy(self.agent.policy, self.encoder)

    @property
    def exact(self) -> bool:
        return self.agent.exact

    @property
    def notes(self) -> Sequence[str]:
        return self.agent.notes

    def prepare(self) -> None:
        self.agent.prepare()

    def state_dict(self) -> State:
        return self.agent.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.agent.load_state_dict(state)

    def load_policy(self, state: Mapping[str, Any]) -> None:
        self.agent.load_policy(state)

    def inside(self, env: VectorEnv) -> tuple[VectorEnv, Any]:
        """The environment with the encoder around it, and the agent of codes; see `Trainable.inside`."""
        return VectorEncodeObservation(env, self.encoder), self.agent


class EncodedLearner(_Encoded):
    """A `Learner` or a `Trainer` of codes, which learns `inside`."""


class EncodedImitator(_Encoded, Imitator):
    """An `Imitator` that is shown codes."""

    @property
    def round_steps(self) -> int | None:
        """Transitions of each round; see `Imitator`."""
        return self.agent.round_steps

    def imitate(self, obs: NDArray, action: NDArray) -> dict[str, float]:
        """Fits to codes of observations; see `Imitator.imitate`."""
        return self.agent.imitate(self.encoder.transform(obs), action)


class EncodedSearcher(_Encoded, Searcher):
    """A `Searcher` of policies that act on codes."""

    @property
    def generation(self) -> int:
        """Generations evaluated so far."""
        return self.agent.generation

    @property
    def population(self) -> Any:
        """The population that `ask` gave last."""
        return self.agent.population

    @property
    def fitness(self) -> NDArray[np.float64] | None:
        """Its (P,) fitness, once it was told."""
        return self.agent.fitness

    def ask(self) -> Any:
        """The population to evaluate next; see `Searcher.ask`."""
        return self.agent.ask()

    def policy_of(self, population: Any, genomes: NDArray[np.int64]) -> Policy:
        """A policy for genomes of a population; see `Searcher.policy_of`."""
        return EncodedPolicy(self.agent.policy_of(population, genomes), self.encoder)

    def tell(self, fitness: NDArray) -> dict[str, float]:
        """Takes the fitness of the last population; see `Searcher.tell`."""
        return self.agent.tell(fitness)

    def settle(self, island: int) -> None:
        """Tells it apart from others; see `Searcher.settle`."""
        self.agent.settle(island)

    def emigrant(self) -> State:
        """The best genome of the last generation; see `Searcher.emigrant`."""
        return self.agent.emigrant()

    def receive(self, emigrant: Mapping[str, Any]) -> None:
        """Begins the next generation, with another's genome in it; see `Searcher.receive`."""
        self.agent.receive(emigrant)

    def graph(self) -> Any:
        """The best genome's network over codes; see `Searcher.graph`."""
        return self.agent.graph()
