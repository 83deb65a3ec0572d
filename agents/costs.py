"""Costs in front of a learner: what they count is taken off the rewards when it learns.

The multiplier of a limit is learned beside the policy (Altman 1999, "Constrained Markov decision processes"):
it rises while the policy costs too much, and falls while it costs less than it may. The best that keeps a
limit is in general no single deterministic policy but lies between two of them, and is had by drawing one of
both for each episode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Decided, Memory, Policy, State, Transition, decide
from .wrappers import Wrapper

FIRST_STEP, LAST_STEP = 0.5, 0.1
"""By how much the logarithm of a multiplier moves at once, at most: in the beginning, and in the end."""
MOST = 1e6
"""A multiplier never gets larger, nor smaller than its inverse."""


class Paying(Wrapper):
    """Passes on to a learner what remains when costs are paid.

    Args:
        weights: what each of the transitions' costs counts, by name, in their order; they may change.
    """

    place = "costs"

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights

    def transition(self, batch: Transition) -> Transition:
        """A batch that tells its costs, less these; see `Wrapper.transition`."""
        assert batch.costs is not None, "nobody asked for the costs"
        reward = batch.reward - batch.costs @ np.array([*self._weights.values()])
        return batch._replace(reward=reward, costs=None)


class Multiplier:
    """What a cost counts that is to stay within a limit.

    It is multiplied (Le et al. 2019, "Batch policy learning under constraints"), so that nobody has to know
    how rewards and costs compare. Its steps get smaller each time that the cost comes to the other side of
    the limit: what the first policies cost, which know nothing yet, does not slow down what comes later.

    Args:
        most: the limit.

    Attributes:
        value: what the cost counts now.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        self.value, self._step = 1.0, FIRST_STEP

    def learn(self, cost: float) -> None:
        """Takes a step.

        Args:
            cost: what an episode has cost of late, in the mean.
        """
        beyond = min(max((cost - self._most) / max(self._most, 1e-9), -1.0), 1.0)
        if beyond * self._step < 0:  # the sign of a step is that of the last one
            self._step = -math.copysign(max(abs(self._step) / 2, LAST_STEP), self._step)
        self.value = min(max(self.value * math.exp(abs(self._step) * beyond), 1 / MOST), MOST)

    def state_dict(self) -> State:
        """Where it stands."""
        return {"value": self.value, "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it is no multiplier.
        """
        value, step = float(state["value"]), float(state["step"])
        if not (1 / MOST <= value <= MOST and LAST_STEP <= abs(step) <= FIRST_STEP):
            raise ValueError("the multiplier is damaged")
        self.value, self._step = value, step


class MixedPolicy(Policy):
    """Several policies, one of which is drawn for each episode.

    It remembers which, from 1 on, and what each of them does.

    Args:
        policies: of one kind.
        shares: how often each is drawn.
        rng: draws.
    """

    def __init__(self, policies: Sequence[Policy], shares: Sequence[float], rng: np.random.Generator) -> None:
        self._policies, self._shares, self._rng = policies, shares, rng
        self.values_are = policies[0].values_are

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B,) actions; see `Policy.act`."""
        drawn, kept = memory or (np.zeros(len(obs), np.int64), [None] * len(self._policies))
        if not drawn.all():
            fresh = self._rng.choice(len(self._policies), len(obs), p=self._shares) + 1
            drawn = np.where(drawn == 0, fresh, drawn)
        pairs = zip(self._policies, kept, strict=True)
        each = [decide(policy, obs, own, explore=explore, mask=mask) for policy, own in pairs]
        action = np.stack([chosen.action for chosen in each])[drawn - 1, np.arange(len(obs))]
        return action, (drawn, [chosen.memory for chosen in each])

    def _of_drawn(self, values: Sequence[NDArray | None], memory: Memory) -> NDArray | None:
        """The values of those who act; before anybody does, of the first."""
        if values[0] is None:
            return None
        drawn = memory[0] if memory else np.ones(len(values[0]), np.int64)
        found = [values[k - 1][row] for row, k in enumerate(np.maximum(drawn, 1))]  # type: ignore[index]
        return np.stack(found)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """The (B, A) values of those who act; see `Policy.action_values`."""
        kept = memory[1] if memory else [None] * len(self._policies)
        pairs = zip(self._policies, kept, strict=True)
        return self._of_drawn([policy.action_values(obs, own) for policy, own in pairs], memory)

    def carries_out(self, memory: Memory) -> Sequence[str] | None:
        """What those who act are about; see `Policy.carries_out`."""
        if memory is None:
            return self._policies[0].carries_out(None)
        drawn, kept = memory
        each = [policy.carries_out(own) for policy, own in zip(self._policies, kept, strict=True)]
        if None in each:
            return None
        return [each[k - 1][row] for row, k in enumerate(drawn)]  # type: ignore[index]

    def interrupted(self, memory: Memory, rows: NDArray[np.bool_]) -> Memory:
        """What it remembers of each of them; see `Policy.interrupted`."""
        if memory is None:
            return None
        drawn, kept = memory
        pairs = zip(self._policies, kept, strict=True)
        return drawn, [policy.interrupted(own, rows) for policy, own in pairs]

    def state_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """The (B,) values of those who act; see `Policy.state_values`."""
        kept = memory[1] if memory else [None] * len(self._policies)
        pairs = zip(self._policies, kept, strict=True)
        return self._of_drawn([policy.state_values(obs, own) for policy, own in pairs], memory)


def best_mixture(
    returns: Sequence[float], costs: Sequence[float], most: float
) -> tuple[NDArray[np.float64], bool]:
    """The mixture of policies with the highest return that keeps a limit.

    Args:
        returns: (P,) mean return of each.
        costs: (P,) what each costs.
        most: the limit.

    Returns:
        (P,) shares, of which at most two are above 0 (a linear program with two constraints has a solution at
        such a corner), and whether the limit is kept: else it is the one that costs least.
    """
    gain, paid = np.asarray(returns, np.float64), np.asarray(costs, np.float64)
    shares = np.zeros(len(gain))
    within = paid <= most
    if not within.any():
        shares[np.lexsort([-gain, paid])[0]] = 1.0
        return shares, False
    first = np.flatnonzero(within)[np.lexsort([paid[within], -gain[within]])[0]]
    best = gain[first], first, first, 1.0
    for low in np.flatnonzero(within):
        for high in np.flatnonzero(~within & (gain > gain[low])):
            share = (paid[high] - most) / (paid[high] - paid[low])
            best = max(best, (share * gain[low] + (1 - share) * gain[high], low, high, share))
    _, low, high, share = best
    shares[high] = 1 - share
    shares[low] += share
    return shares, True
