"""What each encoder adds to the same Q-learner: a tournament of one Q-learner behind each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .compare import hold
from .encoding import FitSettings
from .resolve import Environment
from .tournament import Budget, Tournament, make_entries

LEARNER = "q-learning"
EPISODES = 1000
"""Of each evaluation."""


def compare_learners(
    environment: Environment,
    over: Callable[[Any], Any],
    encoders: Sequence[str],
    fit: FitSettings,
    steps: int,
    seeds: int,
    folder: Path,
) -> dict[str, Any]:
    """Trains and evaluates a Q-learner behind each encoder, fitted anew for each seed.

    Args:
        environment: where.
        over: lays what is asked of the world over a Q-learner's settings of it.
        encoders: those whose codes are indices; the empty name stands for the world's own index.
        fit: on what they are fitted.
        steps: transitions of each.
        seeds: of each.
        folder: for the runs.

    Returns:
        The standings.
    """
    names = [f"{LEARNER}:{name}" if name else LEARNER for name in encoders]
    budget = Budget(steps=steps)
    fit = FitSettings(**{each.name: getattr(fit, each.name) for each in dataclasses.fields(FitSettings)})
    entries = make_entries(names, environment, budget, over, fit)
    return hold(Tournament.create(folder, environment, entries, seeds, EPISODES, budget))
