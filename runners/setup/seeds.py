"""Where a run's episodes start, and the ranges of seeds that are kept for judging, choosing and tuning.

All that is trained on starts below `EVALUATION_SEED`; each range above it has `RANGE` seeds of its own.
Worlds with a `split` generate their maps from the same ranges.
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
RANGE = 100_000_000
"""Seeds, and so episodes, of each of these ranges."""
STREAMS = 2
"""How run seeds become seeds of environments: 1, as older runs have it, is seed + i; 2 is `stream_seeds`."""


def stream_seeds(seed: int | Sequence[int], num_envs: int) -> list[int]:
    """Seeds from which the environments of a run start: neighbouring runs have none in common.

    (Gymnasium's own rule, seed + i, gives the runs 0 and 1 all but one of their episodes in common.)

    Args:
        seed: the run's, 0 or more, or several numbers that name a stream.
        num_envs: how many environments.

    Returns:
        For each environment a seed below `EVALUATION_SEED`.
    """
    words = np.random.SeedSequence(seed).generate_state(num_envs, np.uint64)
    return (words % EVALUATION_SEED).tolist()
