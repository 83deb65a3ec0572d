"""What an agent is: the classes it inherits, whose methods runners call, and the transition they exchange.

Agents know gymnasium spaces and batches of transitions, never a world. What an agent must have is abstract
here; what it may have is a method or an attribute with a default, so that nobody asks whether it is there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from .spaces import describe

Memory: TypeAlias = Any
"""What a policy carries from step to step: a pytree of arrays or tensors (see `agents.memory`) whose row b
belongs to row b of the batch. All zeros is what an episode begins with, and so is None: at first, and always
for policies without memory."""

Extras: TypeAlias = Any
"""What else was known when acting, for who learns from it (log-probabilities, values): a pytree of arrays or
tensors whose row b belongs to row b of the batch. It is read before the policy acts again."""

State: TypeAlias = dict[str, Any]
"""A checkpoint's content: names to arrays, or to values that JSON can hold."""


class OutdatedError(ValueError):
    """What an older version saved is not read any more: it has to be trained anew."""


class MisfitError(ValueError):
    """An agent does not take these spaces; `make_agent` adds which ones do."""


class Transition(NamedTuple):
    """A batch of B transitions; row b always belongs to stream b of the batch."""

    obs: NDArray[Any]
    """(B, ...) observations before the action."""
    action: NDArray[Any]
    """(B,) actions taken."""
    reward: NDArray[Any]
    """(B,) float64 rewards."""
    next_obs: NDArray[Any]
    """(B, ...) true successors, also where the episode ended there."""
    terminated: NDArray[np.bool_]
    """(B,) the only thing that stops bootstrapping."""
    truncated: NDArray[np.bool_]
    """(B,) the episode was cut off; the successor still has a value."""
    next_mask: NDArray[Any] | None
    """(B, A) actions possible in `next_obs` (nonzero: possible), or None where all are."""
    mask: NDArray[Any] | None = None
    """(B, A) actions possible in `obs`, as `act` was told."""
    memory: Memory = None
    """What `act` was given to remember; not what it returned."""
    extras: Extras = None
    """What `act` returned beside actions and memory; None where it returned nothing."""
    costs: NDArray[np.float64] | None = None
    """(B, K) what the world tells apart beside the reward, as far as somebody asked for it."""
    discount: NDArray[np.float64] | None = None
    """(B,) what `next_obs` is discounted by: gamma to the steps that each took. None: all took one."""
    steps: NDArray[np.int64] | None = None
    """(B,) steps of the world that each took; None: all took one."""

    @property
    def taken(self) -> int:
        """How many steps of the world it was, of all streams together."""
        return len(self.reward) if self.steps is None else int(self.steps.sum())


class Expected(NamedTuple):
    """What a learner expects of B steps, in the units of their rewards."""

    of_action: NDArray[np.float64]
    """(B,) returns from the actions on that were taken."""
    of_state: NDArray[np.float64]
    """(B,) returns from the observations on in which they were, discounted once."""


class Decision(NamedTuple):
    """What a policy decided for a batch; see `Policy.act`."""

    action: NDArray[Any]
    memory: Memory
    extras: Extras = None


Decided: TypeAlias = tuple[NDArray[Any], Memory] | tuple[NDArray[Any], Memory, Extras]
"""What `Policy.act` may return; `decide` makes a `Decision` of both."""


class Policy(ABC):
    """Chooses actions for a batch of observations."""

    values_are: Literal["expects", "chance"] = "expects"
    """What `action_values` are: returns that it expects of actions, or the probabilities of these."""

    @abstractmethod
    def act(
        self,
        obs: NDArray[Any],
        memory: Memory = None,
        *,
        explore: bool = False,
        mask: NDArray[Any] | None = None,
    ) -> Decided:
        """Chooses one action a row.

        Args:
            obs: (B, ...) observations.
            memory: what the last call returned, with zeros in rows whose episode begins; None: in all rows.
            explore: whether to explore (training) or act as well as it can (evaluation).
            mask: (B, A), nonzero where the action is possible.

        Returns:
            (B,) actions, and the memory for the next call, of one structure whether it explores or not; where
            there is something to tell who learns, the extras too. What it was given stays as it was.
        """

    def action_values(self, obs: NDArray[Any], memory: Memory = None) -> NDArray[Any] | None:
        """The (B, A) values by which it acts greedily, for who watches; None where it has none (default)."""
        return None

    def state_values(self, obs: NDArray[Any], memory: Memory = None) -> NDArray[Any] | None:
        """The (B,) returns that it expects from observations on; None where it does not say (default)."""
        return None

    def carries_out(self, memory: Memory) -> Sequence[str] | None:
        """What it is about in each of B rows, in words, for who watches; nothing where memory is None.

        None: of nothing that takes longer than a step (default).
        """
        return None

    def interrupted(self, memory: Memory, rows: NDArray[np.bool_]) -> Memory:
        """What it remembers where something else was done in (B,) rows than it chose last.

        By default the same; who is about something for longer gives it up there. What it was given stays as
        it was.
        """
        return memory


def decide(
    policy: Policy,
    obs: NDArray[Any],
    memory: Memory = None,
    *,
    explore: bool = False,
    mask: NDArray[Any] | None = None,
) -> Decision:
    """What a policy decides, whether its `act` returns extras or not; see there."""
    return Decision(*policy.act(obs, memory, explore=explore, mask=mask))


@contextmanager
def fitting(agent: str, observation_space: Space, action_space: Space) -> Iterator[None]:
    """Where an agent finds out whether it fits some spaces: a refusal then names the agent and both.

    Raises:
        MisfitError: one line, for a ValueError within.
    """
    try:
        yield
    except ValueError as error:
        spaces = f"{describe(observation_space)} and {describe(action_space)}"
        raise MisfitError(f"{agent} does not fit {spaces}: {error}") from error


class NonFiniteLossError(ValueError):
    """The loss is infinite or not a number; `batch` holds what it was computed from."""

    def __init__(self, message: str, batch: dict[str, NDArray[Any]]) -> None:
        super().__init__(message)
        self.batch = batch


class Trainable(ABC):
    """What every agent that is trained can do: act, and be saved."""

    policy: Any
    """The `Policy` that acts as well as the agent can so far; a searcher's acts for its best genome."""
    exact: bool = True
    """Whether `state_dict` holds all that is needed to go on bit for bit; a replay may be left out."""
    notes: Sequence[str] = ()
    """What is worth knowing before it is trained, in lines."""

    def prepare(self) -> None:  # noqa: B027 it need do nothing
        """Makes sure that it can be trained, which may need more than acting; by default nothing does.

        Raises:
            ValueError: one line, when it can't.
        """

    def inside(self, env: VectorEnv) -> tuple[VectorEnv, Any]:
        """The environment in which it learns, and who learns there: by default that one, and itself.

        What stands before an agent (an encoder) goes around the environment instead, for an agent without:
        so each observation of the stream passes it once, and not again as the next one's predecessor.
        """
        return env, self

    @abstractmethod
    def state_dict(self) -> State:
        """Everything needed to go on as if never stopped."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state does not fit this agent.
        """

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """Takes back of what `state_dict` gave only what acting needs; by default all of it.

        Then the agent may act in environments in which it will not learn.

        Raises:
            ValueError: when the state does not fit this agent.
        """
        self.load_state_dict(state)


class Learner(Trainable):
    """Learns from a stream of transition batches: tabular methods, DQN, PQN."""

    discounts_each: bool = False
    """Whether it heeds `Transition.discount` and `Transition.steps`: actions may take many steps then."""

    @abstractmethod
    def learn(self, batch: Transition) -> dict[str, Any]:
        """Learns from one batch and returns metrics by name: numbers, which may be 0-d tensors of torch.

        Metrics may be missing in some calls; `loss` is there where the learner fitted something.

        Raises:
            NonFiniteLossError: when it can't go on.
        """

    def expected(self, batch: Transition) -> Expected | None:
        """What it expects of a batch that it is about to learn from; None: it does not say (default)."""
        return None


class Learns(Protocol):
    """A learner, or what stands between the stream of transitions and one."""

    def learn(self, batch: Transition) -> dict[str, Any]:
        """See `Learner.learn`."""
        ...


class Searcher(Trainable):
    """Searches with populations: arrays or graphs, opaque to the runner but for their length."""

    generation: int = 0
    """Generations evaluated so far."""
    population: Any = None
    """The population that `ask` gave last."""
    fitness: NDArray[np.float64] | None = None
    """Its (P,) fitness, once it was told."""

    @abstractmethod
    def ask(self) -> Any:
        """The population to evaluate next; the same one until `tell` was called."""

    @abstractmethod
    def policy_of(self, population: Any, genomes: NDArray[np.int64]) -> Policy:
        """A policy for batches whose row b acts for genome `genomes[b]` of a population."""

    @abstractmethod
    def tell(self, fitness: NDArray[Any]) -> dict[str, float]:
        """Takes the (P,) fitness of the last population; returns metrics: best, median, diversity, others."""

    def levels_changed(self) -> None:  # noqa: B027 it need do nothing
        """Is told that episodes are of other levels from now on: fitness so far says nothing of what follows.

        By default it does nothing: most compare genomes of one generation alone, which meet the same levels.
        """

    def settle(self, island: int) -> None:  # noqa: B027 it need do nothing
        """Tells it apart from those with which it will exchange genomes, before anything else."""

    def emigrant(self) -> State:
        """The best genome of the last generation, for `receive` of a search with the same settings.

        Raises:
            ValueError: one line, when nobody can make something of it (default).
        """
        raise ValueError(f"{type(self).__name__} does not evolve on islands")

    def receive(self, emigrant: Mapping[str, Any]) -> None:
        """Begins the next generation, in which a genome of another search takes the place of a child.

        Raises:
            ValueError: one line, when it does not fit.
        """
        raise ValueError(f"{type(self).__name__} does not evolve on islands")

    def graph(self) -> Any:
        """The best genome's network, a `population.Graph`, to be drawn; by default None: all are alike."""
        return None


class Imitator(Trainable):
    """Learns to do what a teacher does."""

    round_steps: int | None = None
    """Transitions of each round, the first one the teacher's, others its own; None: all are the teacher's."""

    @abstractmethod
    def imitate(self, obs: NDArray[Any], action: NDArray[Any]) -> dict[str, float]:
        """Fits anew to all (N, ...) observations so far and the teacher's (N,) actions; returns metrics."""


class Trainer(Trainable):
    """Owns its loop: steps the environments itself, as the algorithms of other libraries do."""

    @abstractmethod
    def begin(self, env: VectorEnv, obs: NDArray[Any]) -> None:
        """Takes the environments that it will step; again, when they were put into another state.

        Args:
            env: vector environment whose autoreset mode is `SAME_STEP` and which returns fresh arrays.
            obs: (B, ...) what it observes now, somewhere in its episodes.
        """

    @abstractmethod
    def advance(self) -> tuple[int, dict[str, Any]]:
        """Collects transitions and learns from them, once.

        Returns:
            The number of transitions, and metrics by name, as `Learner.learn` gives them.

        Raises:
            NonFiniteLossError: when it can't go on.
        """


class Encoder(Protocol):
    """Turns observations into features or table indices, in scikit-learn's shape."""

    @property
    def space(self) -> Space:
        """Of one code, once it is fitted: Discrete for indices, Box for (D,) float32 vectors."""
        ...

    def fit(self, obs: NDArray[Any], targets: NDArray[Any] | None = None) -> Encoder:
        """Learns from (N, ...) observations, and (N,) targets where it predicts."""
        ...

    def transform(self, obs: NDArray[Any]) -> NDArray[Any]:
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
