"""Shortest ways, over tables of what follows what."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ways_to(
    after: NDArray[np.integer], goals: NDArray[np.int64], takes: ArrayLike = 1
) -> NDArray[np.float64]:
    """What ways from each state to some others take.

    Args:
        after: (A, S) which state follows, by action.
        goals: (G,) states.
        takes: what a move takes, (S,) by the state that it leads to.

    Returns:
        (G, S) of the shortest ways (Dijkstra 1959), infinite where there is none.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    count = after.shape[1]
    froms = np.broadcast_to(np.arange(count), after.shape)
    costs = np.broadcast_to(takes, count)[after]
    back = csr_array((costs.ravel(), (after.ravel(), froms.ravel())), shape=(count, count))
    return np.asarray(dijkstra(back, indices=goals))
