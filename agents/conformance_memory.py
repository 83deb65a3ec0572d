"""What is checked of agents whose policies remember: that rows do not mix, and that it serves them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Memory, decide
from .conformance_toy import ASKED, BLANK, BLANKS, CUES, STATES, Recall, Toy, encode
from .memory import forget, leaves, named
from .registry import KINDS

STEPS, ROWS, SEED = 12, 8, 1234
Record = list[tuple[NDArray, dict[str, NDArray]]]
"""Of each step the (B,) actions, and what is remembered afterwards."""


def rows_do_not_mix(case: Any) -> None:
    """What a row remembers, and does by it, depends on that row alone, and is gone where it was reset."""
    if not case.is_trained:
        return  # what is not trained may draw
    rng = np.random.default_rng(SEED)
    states, others = rng.integers(STATES, size=(2, STEPS, ROWS))
    resets, other_resets = rng.random((2, STEPS, ROWS)) < 0.2
    no_resets, last = np.zeros_like(resets), np.arange(STEPS)[:, None] == STEPS - 1
    even = np.arange(ROWS) % 2 == 0
    for agent, own in itertools.product(case.agents(), (even, ~even)):
        policy = case.policy(agent)
        if not leaves(decide(policy, encode(case.mode, states[0]), mask=Toy.mask(states[0])).memory):
            return
        played = _play(policy, case.mode, states, resets)
        mixed = np.where(own, states, others), np.where(own, resets, other_resets)
        difference = _difference(played, _play(policy, case.mode, *mixed), own)
        assert not difference, f"other rows saw other things, and {difference}"
        begun = _play(policy, case.mode, states, no_resets)
        again = np.concatenate([others, states]), np.concatenate([last & own, no_resets])
        difference = _difference(begun, _play(policy, case.mode, *again)[STEPS:], own)
        assert not difference, f"after zeros it should be as at an episode's beginning, and {difference}"


def recalls_what_it_remembers(case: Any) -> None:
    """A learner that remembers what it saw solves a task of some steps whose cue is shown at the start."""
    if not KINDS[case.kind].bootstraps:
        return
    every = np.arange(STATES)
    memory = decide(case.policy(case.fresh()), encode(case.mode, every), mask=Toy.mask(every)).memory
    if all((leaf == leaf[:1]).all() for leaf in named(memory).values()):
        return  # it remembers nothing of what it saw
    agent = case.fresh()
    for _ in case.history(agent, Recall(case.mode, ROWS, SEED), case.steps):
        pass
    for blanks in BLANKS:
        memory, action = None, CUES
        for state in (CUES, *[np.full(3, BLANK)] * blanks, np.full(3, ASKED)):
            policy, obs = case.policy(agent), encode(case.mode, state)
            action, memory, _ = decide(policy, obs, memory, mask=Toy.mask(state))
        right = int((action == np.arange(3)).sum())
        told = f"{right} of 3 cues recalled after {blanks + 1} steps, from {case.steps:,} transitions"
        assert right == 3, f"{told}; a memory that does not reach so far had better be longer, or none"


def _play(policy: Any, mode: str, states: NDArray, resets: NDArray) -> Record:
    """What a policy does and remembers in (T, B) states, where rows are reset after some of the steps."""
    memory: Memory = None
    record = []
    for seen, ended in zip(states, resets, strict=True):
        action, memory, _ = decide(policy, encode(mode, seen), memory, mask=Toy.mask(seen))
        record.append((np.asarray(action), named(memory)))
        memory = forget(memory, np.flatnonzero(ended))
    return record


def _difference(one: Record, other: Record, rows: NDArray[np.bool_]) -> str:
    """What two records differ by in some rows; empty where in nothing."""
    for step, ((action, memory), (chosen, kept)) in enumerate(zip(one, other, strict=True)):
        if not np.array_equal(action[rows], chosen[rows]):
            return f"at step {step} it does {chosen[rows]} instead of {action[rows]}"
        if memory.keys() != kept.keys():
            return f"after step {step} it remembers {list(kept)} instead of {list(memory)}"
        for name, leaf in memory.items():
            if leaf[rows].tobytes() != kept[name][rows].tobytes():
                return f"after step {step} its {name} is {kept[name][rows]} instead of {leaf[rows]}"
    return ""
