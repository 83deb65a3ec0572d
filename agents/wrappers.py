"""What stands between an environment and an agent: one contract, and one order.

A wrapper may change what an agent observes, what it can do, and what it learns from. It stands around the
environment of who learns, so that each observation of the stream passes it once, and before the policy of who
acts, which then takes raw observations and gives single actions: whoever evaluates, saves or watches the
agent need not know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from .base import Imitator, Learns, Policy, Searcher, State, Trainable, Transition

Place = Literal["encoder", "macros", "costs", "levels"]
ORDER: tuple[Place, ...] = ("encoder", "macros", "costs", "levels")
"""From the environment to the agent: who makes codes of observations, who makes sequences of actions, who
takes costs off rewards, who grades levels by what is learned there."""


class Wrapper:
    """Stands between an environment and an agent; by default everything passes as it is."""

    place: ClassVar[Place]
    """Where it stands; see `ORDER`."""

    def observes(self, space: Space) -> Space:
        """What the agent observes, where the environment shows observations of a space."""
        return space

    def acts(self, space: Space) -> Space:
        """What the agent may do, where the environment takes actions of a space."""
        return space

    def env(self, env: VectorEnv) -> VectorEnv:
        """The environment as who learns meets it.

        Raises:
            ValueError: one line, for an environment before which it can't stand.
        """
        return env

    def policy(self, policy: Policy) -> Policy:
        """The agent's policy as the environment meets it."""
        return policy

    def observed(self, obs: NDArray[Any]) -> NDArray[Any]:
        """What the agent observes of (B, ...) observations."""
        return obs

    def transition(self, batch: Transition) -> Transition:
        """What the agent learns from, of what passed in the environment."""
        return batch


def in_order(wrappers: Iterable[Wrapper]) -> list[Wrapper]:
    """Wrappers from the environment to the agent."""
    return sorted(wrappers, key=lambda each: ORDER.index(each.place))


class Taught:
    """A learner that learns from transitions as wrappers pass them on.

    Args:
        learner: learns.
        wrappers: what stands before it.
    """

    def __init__(self, learner: Learns, wrappers: Iterable[Wrapper]) -> None:
        self._learner, self._wrappers = learner, in_order(wrappers)

    def learn(self, batch: Transition) -> dict[str, Any]:
        """Learns from a batch as it is passed on; see `Learner.learn`."""
        for each in self._wrappers:
            batch = each.transition(batch)
        return self._learner.learn(batch)


class _Wrapped(Trainable):
    """An agent behind wrappers, as one that takes what the environment shows; hands on all that it may have.

    Args:
        agent: made for the spaces that the wrappers leave.
        wrappers: what stands before it.
    """

    def __init__(self, agent: Any, wrappers: Iterable[Wrapper]) -> None:
        self.agent, self.wrappers = agent, in_order(wrappers)

    def _before(self, policy: Policy) -> Policy:
        """A policy of the agent's as the environment meets it."""
        for each in reversed(self.wrappers):
            policy = each.policy(policy)
        return policy

    @property
    def policy(self) -> Policy:
        return self._before(self.agent.policy)

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
        """The environment with the wrappers around it, and the agent within; see `Trainable.inside`."""
        for each in self.wrappers:
            env = each.env(env)
        return env, self.agent


class WrappedLearner(_Wrapped):
    """A `Learner` or a `Trainer` behind wrappers, which learns `inside`."""


class WrappedImitator(_Wrapped, Imitator):
    """An `Imitator` that is shown what wrappers make of observations: the encoder's codes."""

    @property
    def round_steps(self) -> int | None:
        """Transitions of each round; see `Imitator`."""
        return self.agent.round_steps

    def imitate(self, obs: NDArray, action: NDArray) -> dict[str, float]:
        """Fits to what the agent observes; see `Imitator.imitate`."""
        for each in self.wrappers:
            obs = each.observed(obs)
        return self.agent.imitate(obs, action)


class WrappedSearcher(_Wrapped, Searcher):
    """A `Searcher` of policies behind wrappers."""

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
        return self._before(self.agent.policy_of(population, genomes))

    def tell(self, fitness: NDArray) -> dict[str, float]:
        """Takes the fitness of the last population; see `Searcher.tell`."""
        return self.agent.tell(fitness)

    def levels_changed(self) -> None:
        """Is told that episodes are of other levels from now on; see `Searcher.levels_changed`."""
        self.agent.levels_changed()

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
        """The best genome's network over what it observes; see `Searcher.graph`."""
        return self.agent.graph()
