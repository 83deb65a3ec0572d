"""Tabular learners that learn a model too: Dyna-Q, and value iteration on what was seen.

The model remembers the last few outcomes of each state-action pair, and takes them for all that can happen,
each as likely: what has changed for good is forgotten. Q-learning uses a transition once; these use it again
and again, and so need fewer of them, and more computing for each.

Sections are those of Sutton & Barto, Reinforcement Learning, 2nd edition (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checking import at_least
from .base import State, Transition
from .checks import check_discounts, check_range, packed, unpacked
from .choosing import bounds_checked, possible
from .ranges import Choices, Range
from .tabular import TabularConfig, TabularLearner, q_learning_update

TERMINATED = -1
"""Successor of an outcome with which the episode terminated."""
MAX_OUTCOMES = 2**26
"""The largest model that is attempted, in outcomes: 1 GiB."""


@dataclass(frozen=True)
class DynaConfig(TabularConfig):
    """Settings of Dyna-Q.

    Raises:
        ValueError: for a value out of its range.
    """

    planning_steps: Annotated[int, Range(1, 50, log=True)] = 10
    """Remembered transitions that are learned from after each real one."""
    memory: Annotated[int, Choices(8, 32, 128)] = 32
    """Outcomes of each state-action pair that are remembered, the last ones: too few of them, and chance is
    taken for the world."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "planning_steps", "memory")


@dataclass(frozen=True)
class ModelConfig(TabularConfig):
    """Settings of value iteration on a learned model, which needs no learning rate.

    Raises:
        ValueError: for a value out of its range.
    """

    unused: ClassVar[tuple[str, ...]] = ("learning_rate",)

    plan_every: Annotated[int, Range(100, 10_000, log=True)] = 1_000
    """Transitions between two plans."""
    sweeps: Annotated[int, Range(1, 50, log=True)] = 20
    """Most sweeps over all states of a plan, which goes on from the values of the one before."""
    memory: Annotated[int, Choices(8, 32, 128)] = 32
    """Outcomes of each state-action pair that are remembered, the last ones."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        super().__post_init__()
        at_least(self, 1, "plan_every", "sweeps", "memory")


class Model(NamedTuple):
    """What was seen of S states and A actions."""

    count: NDArray[np.int64]
    """(S, A) outcomes seen in all."""
    successor: NDArray[np.int32]
    """(S, A, K) the last K outcomes' successors, or TERMINATED; the n-th outcome is in slot n % K."""
    reward: NDArray[np.float64]
    """(S, A, K) their rewards."""
    possible: NDArray[np.int8]
    """(S, A) actions that a mask allowed when the state was last seen; 1 where none was seen."""
    pairs: NDArray[np.int32]
    """(S * A,) the pairs seen, s * A + a, in the order in which they were first seen."""
    num_pairs: NDArray[np.int64]
    """(1,) how many."""
    discount: NDArray[np.float64] | None = None
    """(S, A, K) what their successors' values are discounted by; None: all alike."""


def make_model(num_states: int, num_actions: int, memory: int) -> Model:
    """An empty model.

    Raises:
        ValueError: when it would not fit in memory.
    """
    if num_states * num_actions * memory > MAX_OUTCOMES:
        raise ValueError(
            f"a model of {num_states} states and {num_actions} actions does not fit in memory with "
            f"{memory} outcomes each; --agent.memory lowers them"
        )
    shape = num_states, num_actions
    return Model(
        np.zeros(shape, np.int64),
        np.zeros((*shape, memory), np.int32),
        np.zeros((*shape, memory)),
        np.ones(shape, np.int8),
        np.zeros(num_states * num_actions, np.int32),
        np.zeros(1, np.int64),
    )


@bounds_checked
def remember_discount(discounts, value, s, a, slot):
    """Adds what an outcome's successor is discounted by, where that is remembered."""
    if discounts is not None:
        discounts[s, a, slot] = value


@bounds_checked
def discount_of(discounts, gamma, s, a, slot):
    """What an outcome's successor is discounted by."""
    if discounts is None:
        return gamma
    return discounts[s, a, slot]


@bounds_checked
def remember(model, t):
    """Adds a batch of transitions to the model."""
    memory = model.successor.shape[2]
    num_actions = model.count.shape[1]
    for b in range(len(t.obs)):
        s, a = t.obs[b], t.action[b]
        if model.count[s, a] == 0:
            model.pairs[model.num_pairs[0]] = s * num_actions + a
            model.num_pairs[0] += 1
        slot = model.count[s, a] % memory
        model.successor[s, a, slot] = TERMINATED if t.terminated[b] else t.next_obs[b]
        model.reward[s, a, slot] = t.reward[b]
        remember_discount(model.discount, t.discount[b], s, a, slot)
        model.count[s, a] += 1
        if not t.terminated[b]:
            for other in range(num_actions):
                model.possible[t.next_obs[b], other] = possible(t.next_mask, b, other)


@bounds_checked
def best_value(q, model, s):
    """The highest value among the actions that were possible in state s (0 where none was)."""
    best, found = -np.inf, False
    for a in range(q.shape[1]):
        if model.possible[s, a]:
            best, found = max(best, q[s, a]), True
    return best if found else 0.0


@bounds_checked
def dyna_update(q, model, uniform, learning_rate, gamma):
    """Q-learning on remembered transitions (Sutton 1990; 8.2): a pair that was seen, one of its outcomes.

    `uniform` is (N, 2), numbers from [0, 1) that choose them.
    """
    num_actions, memory = q.shape[1], model.successor.shape[2]
    for n in range(len(uniform)):
        pair = model.pairs[int(uniform[n, 0] * model.num_pairs[0])]
        s, a = pair // num_actions, pair % num_actions
        slot = int(uniform[n, 1] * min(model.count[s, a], memory))
        target = model.reward[s, a, slot]
        if model.successor[s, a, slot] != TERMINATED:
            discount = discount_of(model.discount, gamma, s, a, slot)
            target += discount * best_value(q, model, model.successor[s, a, slot])
        q[s, a] += learning_rate * (target - q[s, a])


@bounds_checked
def sweep(q, model, gamma):
    """One sweep of value iteration (4.4) over the pairs seen, in place; returns the largest change."""
    num_actions, memory = q.shape[1], model.successor.shape[2]
    change = 0.0
    for n in range(model.num_pairs[0] - 1, -1, -1):  # the newest first: they lie nearer to the end
        s, a = model.pairs[n] // num_actions, model.pairs[n] % num_actions
        known = min(model.count[s, a], memory)
        total = 0.0
        for slot in range(known):
            total += model.reward[s, a, slot]
            if model.successor[s, a, slot] != TERMINATED:
                discount = discount_of(model.discount, gamma, s, a, slot)
                total += discount * best_value(q, model, model.successor[s, a, slot])
        change = max(change, abs(total / known - q[s, a]))
        q[s, a] = total / known
    return change


class ModelLearner(TabularLearner):
    """What both share: the model, saved and restored with the table."""

    config: DynaConfig | ModelConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Builds table and model; see `TabularLearner`."""
        super().__init__(*args, **kwargs)
        self.model = make_model(*self.q.shape, self.config.memory)

    def learn(self, batch: Transition) -> dict[str, float]:
        """As `TabularLearner.learn`; the first discounts make room for more of them."""
        if batch.discount is not None and self.model.discount is None:
            self._make_room()
        return super().learn(batch)

    def _make_room(self) -> None:
        """Remembers discounts from now on."""
        shape = self.model.reward.shape
        self.model = self.model._replace(discount=np.full(shape, self.config.gamma))

    def state_dict(self) -> State:
        """The table, the model and the random generator's state."""
        return super().state_dict() | packed("model", self.model)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or its model leads out of its arrays.
        """
        super().load_state_dict(state)
        if "model.discount" in state:
            self._make_room()
        model = unpacked(state, "model", self.model)
        check_range("model.count", model.count, 0, 1 << 62)
        check_range("model.successor", model.successor, TERMINATED, len(self.q))
        check_range("model.pairs", model.pairs, 0, self.q.size)
        check_range("model.num_pairs", model.num_pairs, 0, self.q.size + 1)
        if model.discount is not None:
            check_discounts("model.discount", model.discount)
        # Each pair that was seen stands there once: what comes must find room for one that was not.
        if not np.array_equal(np.sort(model.pairs[: model.num_pairs[0]]), np.flatnonzero(model.count)):
            raise ValueError("the model is damaged")
        self.model = model


class DynaQ(ModelLearner):
    """Dyna-Q (Sutton, "Integrated Architectures for Learning, Planning, and Reacting", ICML 1990; 8.2)."""

    name = "dyna-q"
    config: DynaConfig

    def _update(self, rows: Transition, learning_rate: float) -> float:
        error = q_learning_update(self.q, rows, learning_rate)
        remember(self.model, rows)
        uniform = self.rng.random((self.config.planning_steps * len(rows.obs), 2))
        dyna_update(self.q, self.model, uniform, learning_rate, self.config.gamma)
        return error


class ValueIteration(ModelLearner):
    """Value iteration on the model learned so far, over and over (certainty equivalence; 4.4, 8.1).

    The step size is not used: a pair's value is the mean over its outcomes.
    """

    name = "value-iteration"
    config: ModelConfig

    def _update(self, rows: Transition, learning_rate: float) -> float:
        remember(self.model, rows)
        change, every = 0.0, self.config.plan_every
        if self.steps // every != (self.steps + rows.taken) // every:
            for _ in range(self.config.sweeps):
                change = sweep(self.q, self.model, self.config.gamma)
                if change < 1e-6:
                    break
        return change
