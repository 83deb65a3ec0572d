"""A scene as the finite process that it is: where each action leads from each state, and what it costs.

Nothing of the dynamics is written a second time: the world's own kernels take each step, once for each set of
people who might hear the bell, with certain ears in place of chances.
"""

from __future__ import annotations

import copy
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..core import WorldVectorEnv, even_lots
from .kernels import observe_index
from .state import BELL, STATE, TramParams

COSTS = "harm_outside", "harm_aboard", "delay"
DIGITS = "cell", "speed", "aside", "waiting"
"""What a state is, beside its scene."""


class Process(NamedTuple):
    """S states that a scene can come to, first its start; of A actions each leads to one of K states."""

    numbers: NDArray[np.int64]
    """(S,) what states are called: `DIGITS`, in `TramParams.sizes`."""
    after: NDArray[np.int64]
    """(S, A, K) states."""
    chance: NDArray[np.float64]
    """(S, A, K) how likely each is."""
    cost: NDArray[np.float64]
    """(S, A, 3) what is to be expected of `COSTS`."""
    possible: NDArray[np.bool_]
    """(S, A) whether the mask allows it; nothing is, once the tram has arrived."""


def process_of(world: Any, scene: int) -> Process:
    """The process of one scene of a `Tram`.

    Args:
        world: the world.
        scene: number of the scene in its pool.
    """
    layout, sizes = world.params().scenes[scene], world.params().sizes
    start = 0, layout["speed"], 0, (1 << layout["places"]) - 1
    found = [np.atleast_1d(np.ravel_multi_index(start, sizes))]
    known, parts = found[0], []
    while len(found[-1]):
        parts.append(_steps(world, layout, found[-1]))
        new = np.setdiff1d(parts[-1][0], known)
        known = np.concatenate([known, new])
        found.append(new)
    numbers = np.concatenate(found)
    after, chance, cost, possible = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(numbers)
    return Process(numbers, order[np.searchsorted(numbers, after, sorter=order)], chance, cost, possible)


def _steps(world: Any, layout: NDArray[np.void], numbers: NDArray[np.int64]) -> tuple[NDArray, ...]:
    """Rows of a `Process` for some states; what follows is told by its number."""
    sizes, num_actions = world.params().sizes, int(world.action_space.n)
    ears = np.flatnonzero(layout["hears"] > 0)
    cases = np.array(list(product((False, True), repeat=len(ears))))
    certain = np.repeat(layout[None], len(cases))  # a scene for each case: nothing is left to chance
    certain["hears"][:, ears], certain["falls"] = np.where(cases, 1024, 0), 1024
    fixed = copy.copy(world)
    fixed._params = TramParams(certain, sizes, even_lots(len(certain)))
    # Nobody looks: a number costs less than planes.
    fixed.observation_space = Discrete(len(cases) * int(np.prod(sizes)))
    fixed.kernels = fixed.kernels._replace(observe_one=observe_index)
    shape = len(numbers), num_actions, len(cases)
    records = np.zeros(shape, STATE)
    records["rng"], records["scene"] = 1, np.arange(len(cases))
    for name, values in zip(DIGITS, np.unravel_index(numbers, sizes), strict=True):
        records[name] = values[:, None, None]
    env = WorldVectorEnv(fixed, records.size, autoreset_mode=AutoresetMode.DISABLED)
    env.set_state(records.ravel())
    possible = env.action_masks().reshape(*shape, num_actions)[:, 0, 0] != 0
    infos = env.step(np.broadcast_to(np.arange(num_actions)[:, None], shape).ravel())[-1]
    ended = env.get_state().reshape(shape)
    env.close()
    after = np.ravel_multi_index([ended[name] for name in DIGITS], sizes)
    cost = np.stack([infos[name].reshape(shape) for name in COSTS], axis=-1, dtype=np.float64)
    chance = np.zeros(shape)
    chance[..., 0] = 1.0
    chance[:, BELL] = np.where(cases, layout["hears"][ears], 1024 - layout["hears"][ears]).prod(axis=1)
    chance[:, BELL] /= 1024.0 ** len(ears)
    cost[..., 1] *= layout["falls"] / 1024
    over = layout["ahead"][records["cell"][:, 0, 0], 0] < 0
    return after, chance, (cost * chance[..., None]).sum(axis=2), possible & ~over[:, None]


def solve(process: Process, weights: NDArray[np.float64], sweeps: int = 1000) -> NDArray[np.int64]:
    """The policy of the least expected sum of weighted costs, by value iteration (Bellman 1957).

    Args:
        process: of a scene.
        weights: (3,) what each of `COSTS` counts; the last is above 0, so that who never arrives pays for it.
        sweeps: at most.

    Returns:
        (S,) actions.
    """
    value, paid = np.zeros(len(process.numbers)), process.cost @ weights
    over = ~process.possible.any(axis=1)
    for _ in range(sweeps):
        worth = np.where(process.possible, paid + (process.chance * value[process.after]).sum(axis=2), np.inf)
        better = np.where(over, 0.0, worth.min(axis=1))
        if np.abs(better - value).max() < 1e-9:
            break
        value = better
    return worth.argmin(axis=1)


def expected_costs(process: Process, policy: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """What a policy costs from the start, exactly.

    Args:
        process: of a scene.
        policy: (S,) actions.

    Returns:
        (3,) of `COSTS`; None where the tram might never arrive.
    """
    count, rows = len(policy), np.arange(len(policy))
    going = np.asarray(process.possible.any(axis=1))
    moves = np.zeros((count, count))
    np.add.at(
        moves, (rows[:, None], process.after[rows, policy]), process.chance[rows, policy] * going[:, None]
    )
    reached = np.zeros(count, np.bool_)
    reached[0] = True
    while (more := reached | (reached @ moves > 0)).sum() > reached.sum():
        reached = more
    left = reached & going
    within = np.eye(left.sum()) - moves[np.ix_(left, left)]
    if not left[0] or np.linalg.cond(within) > 1e10:
        return None
    return np.linalg.solve(within, process.cost[rows, policy][left])[0]
