"""Planning with a known model: the exact values that learners are measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def value_iteration(
    transition: NDArray[np.float64],
    reward: NDArray[np.float64],
    *,
    gamma: float,
    tolerance: float = 1e-10,
    max_sweeps: int = 100_000,
) -> NDArray[np.float64]:
    """Optimal action values of a small MDP (Sutton & Barto, 2nd edition, 4.4).

    Args:
        transition: (S, A, S) probabilities of going on in each state. What a row lacks to 1 is the
            probability that the episode terminates.
        reward: (S, A) expected rewards.
        gamma: discount factor.
        tolerance: sweeps end when no value changes by more.
        max_sweeps: when to give up.

    Returns:
        (S, A) optimal action values.

    Raises:
        ValueError: when the values do not settle, as with gamma 1 and rewards that never end.
    """
    values = np.zeros(len(transition))
    for _ in range(max_sweeps):
        q = reward + gamma * (transition @ values)
        change = np.max(np.abs(q.max(axis=1) - values))
        values = q.max(axis=1)
        if change <= tolerance:
            return q
    raise ValueError(f"the values did not settle in {max_sweeps} sweeps; gamma 1 needs episodes that end")


def toy_text_model(
    table: Mapping[int, Mapping[int, Sequence[tuple[float, Any, float, bool]]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The model of Gymnasium's toy-text environments (`env.unwrapped.P`) for `value_iteration`.

    Args:
        table: `table[state][action]` lists (probability, next state, reward, terminated).

    Returns:
        (S, A, S) probabilities of going on and (S, A) expected rewards.
    """
    num_states, num_actions = len(table), len(table[0])
    transition = np.zeros((num_states, num_actions, num_states))
    reward = np.zeros((num_states, num_actions))
    for state, actions in table.items():
        for action, outcomes in actions.items():
            for probability, next_state, outcome_reward, terminated in outcomes:
                reward[state, action] += probability * outcome_reward
                if not terminated:
                    transition[state, action, next_state] += probability
    return transition, reward
