"""Finds a run's macro-actions: in what the world's expert does, or somebody else, or by lot."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...agents.macros import Macros, drawn, mined
from ..setup.resolve import Environment, make_vector
from .evaluation import find_contestant
from .macros import MacroSettings, RunMacros
from .recording import FIT_ENVS, PolicyMixture, find_teacher, play_mixture

RECORDED = 20_000
"""Steps that are recorded to find sequences in."""
EXPERT, RANDOM = "expert", "random"
"""Sources: whoever the world's expert is, and nobody."""


def find_macros(settings: MacroSettings, environment: Environment, env_config: Any, seed: int) -> RunMacros:
    """Draws sequences, or records who is asked for and takes those that save most decisions.

    Args:
        settings: how many, and whose.
        environment: whose actions they are.
        env_config: its settings; a run plays with its own.
        seed: of the episodes that are recorded, and of the draw.

    Raises:
        ValueError: one line, when there is nobody to record, or nothing is repeated.
    """
    contestant = None
    if settings.source not in (EXPERT, RANDOM):
        contestant = find_contestant(settings.source, environment, env_config)
        env_config = contestant.env_config
    with closing(make_vector(environment, env_config, FIT_ENVS, AutoresetMode.SAME_STEP)) as env:
        space = env.single_action_space
        if not isinstance(space, Discrete) or not hasattr(env.unwrapped, "step_some"):
            raise ValueError(f"{environment.id} takes no macros: they need a world of meze's")
        rng = np.random.default_rng(np.random.SeedSequence([seed, 3]))
        number, longest = settings.number, settings.longest
        if settings.source == RANDOM:
            sequences = drawn(int(space.n), number, longest, rng)
        else:
            cure = "--macros.source names a run, or random"
            policy = contestant.policy(env) if contestant else find_teacher(env, environment, None, cure)
            mixture = PolicyMixture([policy], 0.0, int(space.n), rng)
            recorded = play_mixture(env, mixture, RECORDED, seed)
            sequences = mined(episodes_of(recorded.action, recorded.ended), number, longest)
        if not sequences:
            raise ValueError(f"{settings.source} repeats no sequence of actions in {environment.id}")
        names = getattr(env.unwrapped.world, "action_names", ())  # type: ignore[attr-defined]
    words = [", ".join(names[a] if a < len(names) else str(a) for a in each) for each in sequences]
    print(f"macro-actions, of {settings.source}: {'; '.join(words)}")
    return RunMacros(settings, Macros(int(space.n), tuple(sequences)))


def episodes_of(action: NDArray, ended: NDArray[np.bool_]) -> list[list[int]]:
    """Actions of each episode, or of what is there of it; see `recording.Recorded`."""
    found = []
    for stream, ends in zip(action.T, ended.T, strict=True):
        found += [each.tolist() for each in np.split(stream, np.flatnonzero(ends) + 1) if len(each)]
    return found
