"""Tabular temporal-difference control: Q-learning, SARSA, Expected SARSA and double Q-learning.

Each rule is one short kernel, followed by the learner that calls it. In all of them

    Q(S, A) += learning_rate * (R + gamma * [value of S'] - Q(S, A))

and the rules differ in the value of S' alone. It is 0 where the episode terminated; a truncated episode's
last state keeps its value. Actions that the mask forbids are neither taken nor part of a maximum or mean.
Where actions take several steps, each transition tells its own discount in place of gamma.

**Batches.** A batch holds one transition of each of B parallel environments. Its rows are applied one after
another, in row order, and every row reads the table as the rows before it left it; step size and epsilon are
those at the batch's beginning. So a batch of one is the textbook's update, and a state-action pair that
stands in several rows is updated several times in succession, as if the transitions had come one by one.

Sections are those of Sutton & Barto, Reinforcement Learning, 2nd edition (2018).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete, Space
from numpy.typing import NDArray

from ..checking import within
from .base import Expected, Learner, Memory, MisfitError, Policy, State, Transition
from .checks import check_algorithm, check_range, restore_generator, taken
from .choosing import (
    bounds_checked,
    epsilon_greedy,
    epsilon_greedy_action,
    greedy_action,
    max_value,
    mean_value,
)
from .ranges import Choices, Discount, Exploration, Parts, Range
from .schedules import Schedule
from .spaces import Numbering, describe, numbering

MAX_TABLE_VALUES = 2**28
"""The largest table that is attempted: 2 GiB."""


@dataclass(frozen=True)
class TabularConfig:
    """Settings that all tabular learners share.

    Raises:
        ValueError: for a value out of its range.
    """

    learning_rate: Annotated[
        Schedule, Parts(start=Range(0.02, 1.0, log=True), end=Range(0.001, 0.2, log=True))
    ] = Schedule(0.2, 0.02, 1_000_000)
    """Share of the error that an update corrects (alpha)."""
    exploration: Exploration = Schedule(1.0, 0.05, 500_000)
    """Share of actions that are taken at random while learning."""
    gamma: Discount = 0.99
    """Discount factor, from 0 to 1."""
    initial_value: Annotated[float, Choices(0.0, 1.0, 10.0)] = 0.0
    """Value of every state-action pair before learning; a high one makes the learner try everything."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        within(self, 0.0, 1.0, "learning_rate.start", "learning_rate.end", left_open=True)
        within(self, 0.0, 1.0, "exploration.start", "exploration.end", "gamma")
        if not np.isfinite(self.initial_value):
            raise ValueError(f"initial_value must be finite; got {self.initial_value}")


class TabularPolicy(Policy):
    """Epsilon-greedy on a table of action values, equal values drawn by lot; greedy when not exploring.

    Attributes:
        q: (S, A) float64 action values, shared with the learner.
        epsilon: share of random actions when exploring; the learner moves it along its schedule.
        numbers: rows of observations.
        first_action: which action column 0 is.
    """

    def __init__(
        self, q: NDArray[np.float64], rng: np.random.Generator, numbers: Numbering, first_action: int = 0
    ) -> None:
        """Acts on `q`, whose rows are numbers of observations and whose column 0 is `first_action`."""
        self.q = q
        self.epsilon = 0.0
        self.rng = rng
        self.numbers = numbers
        self.first_action = first_action

    def act(
        self,
        obs: NDArray[Any],
        memory: Memory = None,
        *,
        explore: bool = False,
        mask: NDArray[Any] | None = None,
    ) -> tuple[NDArray[np.int64], Memory]:
        """Chooses (B,) actions; see `Policy.act`. Without exploring no random number is drawn."""
        states, mask = self.states(obs), _as_mask(mask)
        if explore:
            actions = epsilon_greedy(self.q, states, mask, self.epsilon, self.rng.random(len(states)))
        else:
            actions = epsilon_greedy(self.q, states, mask, 0.0, np.zeros(len(states)))
        return (actions + self.first_action if self.first_action else actions), memory

    def action_values(self, obs: NDArray[Any], memory: Memory = None) -> NDArray[np.float64]:
        """The (B, A) values of all actions in the states observed."""
        return self.q[self.states(obs)]

    def states(self, obs: NDArray[Any]) -> NDArray[np.int64]:
        """Rows of the table for (B,) observations."""
        return self.numbers(obs)

    def columns(self, action: NDArray[Any]) -> NDArray[np.int64]:
        """Columns of the table for (B,) actions."""
        columns = np.ascontiguousarray(action, np.int64)
        return columns - self.first_action if self.first_action else columns


def _as_mask(mask: NDArray[Any] | None) -> NDArray[np.int8] | None:
    """One dtype for every mask, so that the kernels compile once."""
    return None if mask is None else np.ascontiguousarray(mask, np.int8)


# --- Learners -------------------------------------------------------------------------------------------


class TabularLearner(Learner):
    """What tabular learners share: the table, the schedules, save and restore.

    Attributes:
        q: the learner's table(s); (S, A) float64 unless the learner says otherwise.
        policy: acts on the table.
        steps: transitions learned from.
    """

    name: ClassVar[str]
    policy_class: ClassVar[type[TabularPolicy]] = TabularPolicy
    discounts_each = True

    def __init__(
        self,
        observation_space: Space,
        action_space: Space,
        *,
        num_envs: int,
        config: TabularConfig,
        rng: np.random.Generator,
    ) -> None:
        """Builds the table for one environment's spaces (`num_envs` is for agents that need it).

        Raises:
            ValueError: when the spaces have no numbers, or the table would not fit in memory.
        """
        numbers, spaces = (
            numbering(observation_space),
            f"{describe(observation_space)} and {describe(action_space)}",
        )
        if numbers is None or not isinstance(action_space, Discrete):
            raise MisfitError(f"{self.name} needs Discrete observations and actions; got {spaces}")
        shape = numbers.size, int(action_space.n)
        if shape[0] * shape[1] > MAX_TABLE_VALUES:
            raise MisfitError(
                f"{self.name} keeps a table of at most {MAX_TABLE_VALUES} values; "
                f"{spaces} need {shape[0] * shape[1]}"
            )
        self.config = config
        self.rng = rng
        self.steps = 0
        self.q = np.full(shape, config.initial_value, np.float64)
        self.policy = self.policy_class(self.q, rng, numbers, int(action_space.start))
        self.policy.epsilon = config.exploration.value(0)
        self._alike = np.full(num_envs, config.gamma)  # discounts of a batch whose rows took a step each

    def learn(self, batch: Transition) -> dict[str, float]:
        """Applies the update rule to every row in turn; see `Learner.learn`.

        Returns:
            The mean absolute TD error where there was an update, the step size used, and the epsilon of the
            actions to come.
        """
        rows = Transition(
            obs=self.policy.states(batch.obs),
            action=self.policy.columns(batch.action),
            reward=np.ascontiguousarray(batch.reward, np.float64),
            next_obs=self.policy.states(batch.next_obs),
            terminated=np.ascontiguousarray(batch.terminated, np.bool_),
            truncated=np.ascontiguousarray(batch.truncated, np.bool_),
            next_mask=_as_mask(batch.next_mask),
            discount=self._discounts(batch),
            steps=batch.steps,
        )
        learning_rate = self.config.learning_rate.value(self.steps)
        td_error = self._update(rows, learning_rate)
        self.steps += batch.taken
        self.policy.epsilon = self.config.exploration.value(self.steps)
        metrics = {} if td_error is None else {"td_error": td_error}
        return metrics | {"learning_rate": learning_rate, "epsilon": self.policy.epsilon}

    def _discounts(self, batch: Transition) -> NDArray[np.float64]:
        """(B,) what the values of successors are discounted by."""
        if batch.discount is not None:
            return np.ascontiguousarray(batch.discount, np.float64)
        if len(self._alike) != len(batch.reward):
            self._alike = np.full(len(batch.reward), self.config.gamma)
        return self._alike

    def expected(self, batch: Transition) -> Expected:
        """The table's values; see `Learner.expected`."""
        values = self.policy.action_values(batch.obs)
        of_action = values[np.arange(len(values)), self.policy.columns(batch.action)]
        mask = np.ones(values.shape, np.bool_) if batch.mask is None else np.asarray(batch.mask, np.bool_)
        return Expected(of_action, self.config.gamma * self._of_states(values, of_action, mask))

    def _of_states(
        self, values: NDArray[np.float64], of_action: NDArray[np.float64], mask: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What its rule takes (B,) states for: by default their highest possible value, 0 where none is.

        Args:
            values: (B, A) of all actions.
            of_action: (B,) of those that were taken.
            mask: (B, A) what is possible.
        """
        return np.where(mask.any(axis=1), np.where(mask, values, -np.inf).max(axis=1), 0.0)

    @abstractmethod
    def _update(self, rows: Transition, learning_rate: float) -> float | None:
        """Changes the table; returns the mean absolute TD error, None where nothing was updated."""

    def state_dict(self) -> State:
        """The table, the number of transitions and the random generator's state."""
        return {
            "algorithm": self.name,
            "q": self.q.copy(),
            "steps": self.steps,
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when the state is another algorithm's, or of other spaces.
        """
        check_algorithm(state, self.name)
        shape = np.shape(state["q"])
        if shape != self.q.shape:
            raise ValueError(f"{self.name} has a table of shape {self.q.shape}; the state holds {shape}")
        self.q[...] = taken(state, "q", np.float64, *shape)
        self.steps = int(state["steps"])
        restore_generator(self.rng, state["rng"])
        self.policy.epsilon = self.config.exploration.value(self.steps)


@bounds_checked
def q_learning_update(q, t, learning_rate):
    """Q-learning (Watkins & Dayan 1992; Sutton & Barto 6.5): S' has the value max_a Q(S', a)."""
    total = 0.0
    for b in range(len(t.obs)):
        target = t.reward[b]
        if not t.terminated[b]:
            target += t.discount[b] * max_value(q, t.next_obs[b], t.next_mask, b)
        s, a = t.obs[b], t.action[b]
        error = target - q[s, a]
        q[s, a] += learning_rate * error
        total += abs(error)
    return total / len(t.obs)


class QLearning(TabularLearner):
    """Off-policy TD control: explores, and learns the values of the greedy policy."""

    name = "q-learning"

    def _update(self, rows: Transition, learning_rate: float) -> float:
        return q_learning_update(self.q, rows, learning_rate)


@bounds_checked
def expected_sarsa_update(q, t, learning_rate, epsilon):
    """Expected SARSA (van Seijen et al. 2009; Sutton & Barto 6.6): S' has its value under pi.

    That is sum_a pi(a | S') Q(S', a); for the epsilon-greedy pi, (1 - epsilon) maximum + epsilon mean.
    """
    total = 0.0
    for b in range(len(t.obs)):
        target = t.reward[b]
        if not t.terminated[b]:
            mean = mean_value(q, t.next_obs[b], t.next_mask, b)
            best = max_value(q, t.next_obs[b], t.next_mask, b)
            target += t.discount[b] * (epsilon * mean + (1.0 - epsilon) * best)
        s, a = t.obs[b], t.action[b]
        error = target - q[s, a]
        q[s, a] += learning_rate * error
        total += abs(error)
    return total / len(t.obs)


class ExpectedSarsa(TabularLearner):
    """On-policy TD control that averages over the next action instead of drawing it."""

    name = "expected-sarsa"

    def _update(self, rows: Transition, learning_rate: float) -> float:
        return expected_sarsa_update(self.q, rows, learning_rate, self.policy.epsilon)

    def _of_states(
        self, values: NDArray[np.float64], of_action: NDArray[np.float64], mask: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Under its policy: mostly the highest value, else the mean."""
        best, epsilon = super()._of_states(values, of_action, mask), self.policy.epsilon
        mean = np.where(mask, values, 0.0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)
        return epsilon * mean + (1.0 - epsilon) * best


@bounds_checked
def sarsa_update(q, t, learning_rate, epsilon, uniform):
    """SARSA (Rummery & Niranjan 1994; Sutton & Barto 6.4): S' has the value Q(S', A').

    A' is the epsilon-greedy action that will be executed in S'. Returns the error and the (B,) actions A'.
    """
    total = 0.0
    next_action = np.empty(len(t.obs), np.int64)
    for b in range(len(t.obs)):
        next_action[b] = epsilon_greedy_action(q, t.next_obs[b], t.next_mask, b, epsilon, uniform[b])
        target = t.reward[b]
        if not t.terminated[b]:
            target += t.discount[b] * q[t.next_obs[b], next_action[b]]
        s, a = t.obs[b], t.action[b]
        error = target - q[s, a]
        q[s, a] += learning_rate * error
        total += abs(error)
    return total / len(t.obs), next_action


class SarsaPolicy(TabularPolicy):
    """Executes the next actions A' that `Sarsa.learn` chose, where their episodes go on.

    Its memory is (B,) bool, whether an episode is under way: where it was reset meanwhile, A' is void.

    Attributes:
        next_action: (B,) actions A' for the streams of the last batch; empty when none are waiting.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TabularPolicy`."""
        super().__init__(*args, **kwargs)
        self.next_action = np.empty(0, np.int64)

    def act(
        self,
        obs: NDArray[Any],
        memory: Memory = None,
        *,
        explore: bool = False,
        mask: NDArray[Any] | None = None,
    ) -> tuple[NDArray[np.int64], Memory]:
        """Chooses (B,) actions; see `Policy.act`."""
        action, _ = super().act(obs, explore=explore, mask=mask)
        if explore:
            if memory is not None and len(self.next_action) == len(action):
                action = np.where(memory, self.next_action + self.first_action, action)
            self.next_action = np.empty(0, np.int64)
        return action, np.ones(len(action), np.bool_)


class Sarsa(TabularLearner):
    """On-policy TD control: learns the values of the policy that it follows, exploration included.

    `learn` chooses A' in each true successor, and the next exploring `act` executes it. Rows whose episode
    ended draw a fresh action for their new episode.
    """

    name = "sarsa"
    policy_class = SarsaPolicy
    policy: SarsaPolicy

    def _update(self, rows: Transition, learning_rate: float) -> float:
        uniform = self.rng.random(len(rows.obs))
        epsilon = self.policy.epsilon
        error, next_action = sarsa_update(self.q, rows, learning_rate, epsilon, uniform)
        self.policy.next_action = next_action
        return error

    def _of_states(
        self, values: NDArray[np.float64], of_action: NDArray[np.float64], mask: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The value of the action that is taken."""
        return of_action

    def state_dict(self) -> State:
        """As `TabularLearner`, and the next actions that wait to be executed."""
        return {**super().state_dict(), "next_action": self.policy.next_action}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `TabularLearner`."""
        super().load_state_dict(state)
        actions = np.asarray(state["next_action"])
        if actions.ndim != 1 or actions.dtype.kind != "i":
            raise ValueError("the next actions are damaged")
        if (actions < 0).any():  # of older runs, whose policies remembered nothing: they choose anew
            actions = actions[:0]
        check_range("next_action", actions, 0, self.q.shape[1])
        self.policy.next_action = actions.astype(np.int64)


@bounds_checked
def double_q_learning_update(q, mean, t, learning_rate, uniform):
    """Double Q-learning (van Hasselt 2010; Sutton & Barto 6.7): Q_j(S', argmax_a Q_i(S', a)).

    A coin says which table i learns: it chooses the best action of S', and the other table j values it.
    q is (2, S, A); `mean`, (S, A), is kept at the mean of both, on which the policy acts.
    """
    total = 0.0
    for b in range(len(t.obs)):
        i = int(uniform[b] < 0.5)
        learning, other = q[i], q[1 - i]
        target = t.reward[b]
        if not t.terminated[b]:
            tie_draw = 2.0 * uniform[b] % 1.0  # what the coin left of the draw is uniform again
            best = greedy_action(learning, t.next_obs[b], t.next_mask, b, tie_draw)
            target += t.discount[b] * other[t.next_obs[b], best]
        s, a = t.obs[b], t.action[b]
        error = target - learning[s, a]
        learning[s, a] += learning_rate * error
        mean[s, a] = 0.5 * (q[0, s, a] + q[1, s, a])
        total += abs(error)
    return total / len(t.obs)


class DoubleQLearning(TabularLearner):
    """Q-learning with two tables (q is (2, S, A)), free of the bias that a maximum over estimates has."""

    name = "double-q-learning"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `TabularLearner`."""
        super().__init__(*args, **kwargs)
        self.q = np.stack([self.q, self.q])

    def _update(self, rows: Transition, learning_rate: float) -> float:
        uniform = self.rng.random(len(rows.obs))
        return double_q_learning_update(self.q, self.policy.q, rows, learning_rate, uniform)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `TabularLearner`."""
        super().load_state_dict(state)
        self.policy.q[...] = 0.5 * (self.q[0] + self.q[1])
