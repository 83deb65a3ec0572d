"""Where a run's episodes start, and the ranges of seeds that are kept for judging, choosing and tuning.

What is trained on starts below `EVALUATION_SEED`, but for the runs of a study, which tunes settings: seeds
of these lie in two ranges above, and so do their episodes. Each range there has `RANGE` seeds of its own.
Worlds with a `split` generate the maps on which somebody is judged from the same ranges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EVALUATION_SEED = 1_000_000_000
"""Seed of episode 0 of a final evaluation; episode k has this plus k."""
CHOICE_SEED = 1_100_000_000
"""The same of the evaluations during training, by which a checkpoint may be chosen."""
TUNING_SEED = 1_200_000_000
"""The same of evaluations by which settings are chosen."""
SEARCH_SEED = 1_300_000_000
"""Seed of a study's first run; from this range on the episodes start that it trains on while it searches."""
FRESH_SEED = 1_400_000_000
"""The same of the runs with the settings that it found, which show what they are worth."""
RANGE = 100_000_000
"""Seeds, and so episodes, of each of these ranges."""
MOST_EPISODES = RANGE // 2
"""Episodes of an evaluation, at most: who mixes checkpoints plays more behind them, in the same range."""
STREAMS = 2
"""How run seeds become seeds of environments: 1, as older runs have it, is seed + i; 2 is `stream_seeds`."""


def range_of(seed: int) -> range:
    """The seeds at which episodes may start that the run with this seed trains on.

    Raises:
        ValueError: when no run may have this seed.
    """
    for low, high in ((0, EVALUATION_SEED), *((low, low + RANGE) for low in (SEARCH_SEED, FRESH_SEED))):
        if low <= seed < high:
            return range(low, high)
    raise ValueError(f"seed must lie in 0 .. {EVALUATION_SEED - 1}; got {seed}")


def choice_seed(seed: int) -> int:
    """Seed of episode 0 of the evaluations on the way of the run with this seed."""
    return TUNING_SEED if SEARCH_SEED in range_of(seed) else CHOICE_SEED


def stream_seeds(seed: int | Sequence[int], num_envs: int) -> list[int]:
    """Seeds from which the environments of a run start: neighbouring runs have none in common.

    (Gymnasium's own rule, seed + i, gives the runs 0 and 1 all but one of their episodes in common.)

    Args:
        seed: the run's, or several numbers that name a stream, the first one the run's.
        num_envs: how many environments.

    Returns:
        For each environment a seed of the run's range.

    Raises:
        ValueError: when no run may have this seed.
    """
    allowed = range_of(int(np.ravel(seed)[0]))
    words = np.random.SeedSequence(seed).generate_state(num_envs, np.uint64)
    return [allowed[int(word) % len(allowed)] for word in words]
