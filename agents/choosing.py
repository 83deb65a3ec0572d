"""Choosing actions by a table of values: compiled functions of one row of a batch, and of all."""

from __future__ import annotations

import numpy as np

from ..caching import compiled

# An observation outside its space must raise, not write elsewhere in memory.
bounds_checked = compiled(boundscheck=True)

# q is the (S, A) float64 table, s a state, mask None or (B, A), b the row, u one uniform draw from [0, 1).


@bounds_checked
def possible(mask, b, a):
    """Whether action a may be taken in row b."""
    if mask is None:
        return True
    return mask[b, a] != 0


@bounds_checked
def max_value(q, s, mask, b):
    """The highest value among the possible actions of state s (0 where nothing is possible)."""
    best, found = -np.inf, False
    for a in range(q.shape[1]):
        if possible(mask, b, a):
            best, found = max(best, q[s, a]), True
    return best if found else 0.0


@bounds_checked
def mean_value(q, s, mask, b):
    """The mean value of the possible actions of state s (0 where nothing is possible)."""
    total, count = 0.0, 0
    for a in range(q.shape[1]):
        if possible(mask, b, a):
            total += q[s, a]
            count += 1
    return total / count if count else 0.0


@bounds_checked
def greedy_action(q, s, mask, b, u):
    """An action of the highest value; u chooses evenly among equals, and 0 takes the first."""
    best, ties = -np.inf, 0
    for a in range(q.shape[1]):
        if possible(mask, b, a):
            if q[s, a] > best:
                best, ties = q[s, a], 1
            elif q[s, a] == best:
                ties += 1
    rank = min(int(u * ties), ties - 1)
    for a in range(q.shape[1]):
        if possible(mask, b, a) and q[s, a] == best:
            if rank == 0:
                return a
            rank -= 1
    return 0


@bounds_checked
def random_action(q, mask, b, u):
    """A possible action, evenly chosen by u."""
    count = 0
    for a in range(q.shape[1]):
        count += possible(mask, b, a)
    rank = min(int(u * count), count - 1)
    for a in range(q.shape[1]):
        if possible(mask, b, a):
            if rank == 0:
                return a
            rank -= 1
    return 0


@bounds_checked
def epsilon_greedy_action(q, s, mask, b, epsilon, u):
    """Random with probability epsilon, else greedy; one draw serves both choices."""
    if u < epsilon:
        return random_action(q, mask, b, u / epsilon)
    return greedy_action(q, s, mask, b, (u - epsilon) / (1.0 - epsilon))


@bounds_checked
def epsilon_greedy(q, obs, mask, epsilon, uniform):
    """Epsilon-greedy actions of a batch: (B,) states and draws to (B,) actions."""
    actions = np.empty(len(obs), np.int64)
    for b in range(len(obs)):
        actions[b] = epsilon_greedy_action(q, obs[b], mask, b, epsilon, uniform[b])
    return actions
