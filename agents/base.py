"""What an agent is: the protocols that runners compose, and the transition they exchange.

Agents know gymnasium spaces and batches of transitions, never a world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from .spaces import told

Memory: TypeAlias = Any
"""What a policy carries from step to step: an array, or a tuple of arrays, whose row b belongs to row b of
the batch and is all zeros when an episode begins. None at first, and for policies without memory."""

State: TypeAlias = dict[str, Any]
"""A checkpoint's content: names to arrays, or to values that JSON can hold."""


class OutdatedError(ValueError):
    """What an older version saved is not read any more: it has to be trained anew."""


class MisfitError(ValueError):
    """An agent does not take these spaces; `make_agent` adds which ones do."""


class Transition(NamedTuple):
    """A batch of B transitions; row b always belongs to stream b of the batch."""

    obs: NDArray
    """(B, ...) observations before the action."""
    action: NDArray
    """(B,) actions taken."""
    reward: NDArray
    """(B,) float64 rewards."""
    next_obs: NDArray
    """(B, ...) true successors, also where the episode ended there."""
    terminated: NDArray[np.bool_]
    """(B,) the only thing that stops bootstrapping."""
    truncated: NDArray[np.bool_]
    """(B,) the episode was cut off; the successor still has a value."""
    next_mask: NDArray | None
    """(B, A) actions possible in `next_obs` (nonzero: possible), or None where all are."""


class Policy(Protocol):
    """Chooses actions for a batch of observations."""

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Chooses one action a row.

        Args:
            obs: (B, ...) observations.
            memory: what the last call returned, for recurrent policies.
            explore: whether to explore (training) or act as well as it can (evaluation).
            mask: (B, A), nonzero where the action is possible.

        Returns:
            (B,) actions, and the memory for the next call.
        """
        ...


@contextmanager
def fitting(agent: str, observation_space: Space, action_space: Space) -> Iterator[None]:
    """Where an agent finds out whether it fits some spaces: a refusal then names the agent and both.

    Raises:
        MisfitError: one line, for a ValueError within.
    """
    try:
        yield
    except ValueError as error:
        spaces = f"{told(observation_space)} and {told(action_space)}"
        raise MisfitError(f"{agent} does not fit {spaces}: {error}") from error


class NonFiniteLossError(ValueError):
    """The loss is infinite or not a number; `batch` holds what it was computed from."""

    def __init__(self, message: str, batch: dict[str, NDArray]) -> None:
        super().__init__(message)
        self.batch = batch


class Trainable(Protocol):
    """What every agent that is trained can do: act, and be saved.

    One whose checkpoints hold more than acting needs (a replay) may have `load_policy(state)` too: it takes
    from what `state_dict` gave only what its policy needs, for environments in which it will not learn.
    """

    policy: Policy
    """Acts as well as the agent can so far; a searcher's acts for its best genome."""

    def state_dict(self) -> State:
        """Everything needed to go on as if never stopped."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state does not fit this agent.
        """
        ...


class Learner(Trainable, Protocol):
    """Learns from a stream of transition batches: tabular methods, DQN, PQN."""

    def learn(self, batch: Transition) -> dict[str, Any]:
        """Learns from one batch and returns metrics by name: numbers, which may be 0-d tensors of torch.

        Metrics may be missing in some calls; `loss` is there where the learner fitted something.

        Raises:
            NonFiniteLossError: when it can't go on.
        """
        ...


class Searcher(Trainable, Protocol):
    """Searches with populations: arrays or graphs, opaque to the runner but for their length."""

    generation: int
    """Generations evaluated so far."""
    population: Any
    """The population that `ask` gave last."""
    fitness: NDArray[np.float64] | None
    """Its (P,) fitness, once it was told."""

    def ask(self) -> Any:
        """The population to evaluate next; the same one until `tell` was called."""
        ...

    def policy_of(self, population: Any, genomes: NDArray[np.int64]) -> Policy:
        """A policy for batches whose row b acts for genome `genomes[b]` of a population."""
        ...

    def tell(self, fitness: NDArray) -> dict[str, float]:
        """Takes the (P,) fitness of the last population; returns metrics: best, median, diversity, others."""
        ...


class Imitator(Trainable, Protocol):
    """Learns to do what a teacher does."""

    def imitate(self, obs: NDArray, action: NDArray) -> dict[str, float]:
        """Fits anew to all (N, ...) observations so far and the teacher's (N,) actions; returns metrics."""
        ...


class Trainer(Trainable, Protocol):
    """Owns its loop: steps the environments itself, as the algorithms of other libraries do."""

    def begin(self, env: VectorEnv, obs: NDArray) -> None:
        """Takes the environments that it will step; again, when they were put into another state.

        Args:
            env: vector environment whose autoreset mode is `SAME_STEP` and which returns fresh arrays.
            obs: (B, ...) what it observes now, somewhere in its episodes.
        """
        ...

    def advance(self) -> tuple[int, dict[str, Any]]:
        """Collects transitions and learns from them, once.

        Returns:
            The number of transitions, and metrics by name, as `Learner.learn` gives them.

        Raises:
            NonFiniteLossError: when it can't go on.
        """
        ...


class Encoder(Protocol):
    """Turns observations into features or table indices, in scikit-learn's shape."""

    @property
    def space(self) -> Space:
        """Of one code, once it is fitted: Discrete for indices, Box for (D,) float32 vectors."""
        ...

    def fit(self, obs: NDArray, targets: NDArray | None = None) -> Encoder:
        """Learns from (N, ...) observations, and (N,) targets where it predicts."""
        ...

    def transform(self, obs: NDArray) -> NDArray:
        """(B, ...) observations to (B,) int64 indices or (B, D) float32 vectors, each row on its own."""
        ...

    def state_dict(self) -> State:
        """What was fitted: arrays, never code."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it does not fit.
        """
        ...
