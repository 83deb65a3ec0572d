"""The expert: it knows where it burns, works out how likely each cell burns when, and plans with that."""

import numpy as np
from numpy.typing import NDArray

from .kernels import HARMLESS
from .state import CELLS, EXIT, FIRE, STEPS, WALL, WIDTH, FireEscapeParams

HORIZON = 32  # ticks
DEATH, STRANDED, BREATH = 400, 1000, np.float32(0.4)  # what harm, no way out and lost health cost, in ticks
NEAR = slice(WIDTH, CELLS - WIDTH)  # all cells but the first and the last row, which lie outside
BESIDE = tuple(slice(WIDTH + step, CELLS - WIDTH + step) for step in STEPS)  # their neighbours


def act(params: FireEscapeParams, state: NDArray) -> NDArray[np.int64]:
    """Chooses (N,) actions by dynamic programming (Bellman 1957) over (CELLS, N) cells and ticks to come."""
    kind, smoke, rows = state["kind"].T, np.array(state["smoke"].T), np.arange(len(state))
    burns = np.array(smoke == FIRE, np.float32)  # how likely, as if cells were independent
    is_open, catch = kind[NEAR] < EXIT, (kind[NEAR] < EXIT) * np.float32(params.spread / 4096)
    harms = []
    for _ in range(HORIZON):
        burns[NEAR] += (1 - burns[NEAR]) * catch * sum(burns[beside] for beside in BESIDE)
        smoke[NEAR] += is_open & (np.maximum.reduce([smoke[beside] for beside in BESIDE]) > smoke[NEAR] + 1)
        harms.append(DEATH * burns + BREATH * np.maximum(smoke - HARMLESS, 0))
    tick = np.where(kind == EXIT, 0, np.where(kind < WALL, 1, np.inf)).astype(np.float32)
    cost = enter = STRANDED + state["plan"].min(axis=1).T.astype(np.float32)  # of what is still to come
    for harm in reversed(harms):
        enter = cost + tick + harm  # to be on a cell after the tick
        cost = enter.copy()
        cost[NEAR] = np.minimum.reduce([enter[NEAR], *(enter[beside] for beside in BESIDE)])
        cost[kind == EXIT] = 0
    choices = state["people"][:, 0] + np.array([[0], *([step] for step in STEPS)])  # (5, N) cells
    is_blocked = state["taken"][rows, choices] > 0
    is_blocked[0] = False
    return np.where(is_blocked, np.inf, enter[choices, rows]).argmin(axis=0)
