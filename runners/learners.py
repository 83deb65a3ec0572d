"""What each encoder adds to the same Q-learner: a tournament of one Q-learner behind each of them."""

from __future__ import annotations

from collections.abc import Sequence
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
    env_flags: Sequence[str],
    encoders: Sequence[str],
    fit: FitSettings,
    steps: int,
    seeds: int,
    folder: Path,
) -> dict[str, Any]:
    """Trains and evaluates a Q-learner behind each encoder, fitted anew for each seed.

    Args:
        environment: where.
        env_flags: `--env.` flags.
        encoders: those whose codes are indices; the empty name stands for the world's own index.
        fit: on what they are fitted.
        steps: transitions of each.
        seeds: of each.
        folder: for the runs.

    Returns:
        The standings.
    """
    names = [f"{LEARNER}:{name}" if name else LEARNER for name in encoders]
    entries = make_entries(names, environment, env_flags, Budget(steps=steps), fit_flags(fit))
    return hold(Tournament.create(folder, environment, entries, seeds, EPISODES, Budget(steps=steps)))


def fit_flags(fit: FitSettings) -> list[str]:
    """The flags of `meze train` that fit an encoder so."""
    flags = ["--fit.policies", *fit.policies, "--fit.epsilon", str(fit.epsilon)]
    flags += ["--fit.samples", str(fit.samples), "--fit.target", fit.target]
    flags += ["--fit.horizon", str(fit.horizon)]
    return flags + (["--fit.teacher", fit.teacher] if fit.teacher else [])
