"""Which of a world's levels a learner meets: weights, one a level, that change as it learns.

A curriculum knows levels by their numbers alone. `Ramp` goes from easy to hard. `PrioritizedLevels` is
prioritised level replay (Jiang et al. 2021, arXiv 2010.03934): it prefers levels in which the learner was
wrong of late, and those that it has not met for long.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import Expected, Learner, State, Transition
from .checks import check_range, packed, taken, unpacked
from .wrappers import Wrapper

FIRST_SHARE = 1 / 8
"""Share of the levels that a ramp begins with."""
RAMP_END = 0.5
"""Share of a run after which all its levels are open."""

LOTS = 1 << 24
"""What the weights of prioritised levels add up to, but for what rounding adds or takes."""
TEMPERATURE = 1.0
"""Beta: a level's chance falls with its rank to the power of 1 / beta. The paper has 0.1, by which nearly all
draws fall on one level until its score is told: too few for hundreds of environments side by side."""
STALENESS = 0.1
"""Share rho of draws by how long ago a level was drawn; the paper's."""
REFRESHED = 16
"""Weights change each time that so large a part (one of 16) of the environments has ended an episode."""


class Curriculum(ABC):
    """What weighs levels.

    Attributes:
        weights: (M,) int64 from 0 of each level; they add up to 1 at least.
    """

    weights: NDArray[np.int64]

    @abstractmethod
    def advance(self, share: float) -> bool:
        """Brings the weights up to date.

        Args:
            share: how much of its run is done, 0 to 1.

        Returns:
            Whether they have changed.
        """

    @property
    def num_open(self) -> float:
        """How many levels there are in effect: as many, all alike, would be drawn twice in a row as often."""
        shares = self.weights / self.weights.sum()
        return float(1 / np.square(shares).sum())

    def state_dict(self) -> State:
        """Where it stands."""
        return {"weights": self.weights.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: when it is of other levels, or damaged.
        """
        weights = taken(state, "weights", np.int64, len(self.weights))
        check_range("weights", weights, 0, 2 * LOTS)
        if not weights.any():
            raise ValueError("no level has any weight")
        self.weights = weights


class Ramp(Curriculum):
    """Opens levels from the easiest on, so many a transition, until all are open; open ones are all alike.

    Args:
        hardness: (M,) of the levels; among equals the lower number is the easier one.
    """

    def __init__(self, hardness: ArrayLike) -> None:
        self._rank = np.argsort(np.argsort(hardness, kind="stable"), kind="stable")
        self.weights = np.zeros(len(self._rank), np.int64)
        self.advance(0.0)

    def advance(self, share: float) -> bool:
        """Opens what is to be open by now; see `Curriculum`."""
        wanted = FIRST_SHARE + (1 - FIRST_SHARE) * min(share / RAMP_END, 1.0)
        count = max(1, round(wanted * len(self._rank)))
        if count == np.count_nonzero(self.weights):
            return False
        self.weights = (self._rank < count).astype(np.int64)
        return True


class Levels(NamedTuple):
    """What is known of M levels."""

    score: NDArray[np.float64]
    """(M,) mean absolute TD error of the last episode; 0 before the first one."""
    seen: NDArray[np.bool_]
    """(M,) whether there is a score."""
    drawn: NDArray[np.int64]
    """(M,) how many episodes had begun when one began here; 0 before the first one."""


class Rows(NamedTuple):
    """What is under way in N environments."""

    level: NDArray[np.int64]
    """(N,) levels of the episodes."""
    total: NDArray[np.float64]
    """(N,) absolute errors so far, added up."""
    count: NDArray[np.int64]
    """(N,) how many."""
    rest: NDArray[np.float64]
    """(N,) the last step's reward less what was expected, before the state that follows is valued."""
    waits: NDArray[np.bool_]
    """(N,) whether there is such a step."""


class PrioritizedLevels(Curriculum):
    """Prioritised level replay, whose scores are mean absolute TD errors.

    A step's error is R + gamma V(S') - Q(S, A). S' is valued when the next step begins there, which takes no
    further forward pass; where an episode was cut off, the last step has no error.

    With chance `seen / M` one of the levels seen is drawn, by rank and by staleness, else an unseen one.

    Args:
        num_levels: M.
        num_envs: N.
    """

    def __init__(self, num_levels: int, num_envs: int) -> None:
        self.weights = np.ones(num_levels, np.int64)
        counts, rows = np.zeros(num_levels, np.int64), np.zeros(num_envs, np.int64)
        self._levels = Levels(np.zeros(num_levels), counts > 0, counts)
        self._rows = Rows(rows, np.zeros(num_envs), rows.copy(), np.zeros(num_envs), rows > 0)
        self._counts = np.zeros(2, np.int64)  # episodes begun in all, episodes ended since weights changed

    def begin(self, level: NDArray[np.integer]) -> None:
        """Episodes begin in all environments, in (N,) levels; what was under way is forgotten."""
        for part in self._rows:
            part[...] = 0
        self._start(np.arange(len(level)), level)

    def see(self, batch: Transition, expected: Expected, level: NDArray[np.integer]) -> None:
        """Takes a step of N environments into account.

        Args:
            batch: the transitions.
            expected: what the learner expected when acting.
            level: (N,) of the environments as they are now: of the next episodes, where one ended.
        """
        rows, scores = self._rows, self._levels
        self._add(rows.waits, rows.rest + expected.of_state)
        rows.rest[...] = batch.reward - expected.of_action
        self._add(batch.terminated, rows.rest)
        ended = np.flatnonzero(batch.terminated | batch.truncated)
        rows.waits[...] = True
        if not len(ended):
            return
        told = ended[rows.count[ended] > 0]
        where, size = rows.level[told], len(scores.score)
        means = np.bincount(where, rows.total[told] / rows.count[told], size)
        times = np.bincount(where, minlength=size)
        now = times > 0
        scores.score[now], scores.seen[now] = means[now] / times[now], True
        self._start(ended, level[ended])
        self._counts[1] += len(ended)

    def _add(self, where: NDArray[np.bool_], errors: NDArray[np.float64]) -> None:
        self._rows.total[where] += np.abs(errors[where])
        self._rows.count[where] += 1

    def _start(self, index: NDArray[np.intp], level: NDArray[np.integer]) -> None:
        """Episodes begin in some environments."""
        rows = self._rows
        rows.level[index], rows.total[index], rows.count[index], rows.waits[index] = level, 0.0, 0, False
        self._counts[0] += len(index)
        self._levels.drawn[level] = self._counts[0]

    def advance(self, share: float) -> bool:
        """Weighs the levels anew, if enough episodes have ended since the last time; see `Curriculum`."""
        if self._counts[1] * REFRESHED < len(self._rows.level):
            return False
        self._counts[1] = 0
        self.weights = np.rint(LOTS * self.chances()).astype(np.int64)
        return True

    def chances(self) -> NDArray[np.float64]:
        """(M,) probability of each level at the next draw (section 3 of the paper)."""
        score, seen, drawn = self._levels
        chances = np.full(len(score), 1 / len(score))
        known = np.flatnonzero(seen)
        if not len(known):
            return chances
        ranks = np.empty(len(known))
        ranks[np.argsort(-score[known], kind="stable")] = np.arange(1, len(known) + 1)
        by_rank = ranks ** (-1 / TEMPERATURE)
        stale = (self._counts[0] - drawn[known]).astype(np.float64)
        by_rank /= by_rank.sum()
        stale = stale / stale.sum() if stale.any() else by_rank
        chances[known] = len(known) / len(score) * ((1 - STALENESS) * by_rank + STALENESS * stale)
        return chances

    def state_dict(self) -> State:
        """Scores, what is under way, and the weights."""
        levels, rows = packed("levels", self._levels), packed("rows", self._rows)
        return super().state_dict() | levels | rows | {"counts": self._counts.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave; see `Curriculum`."""
        super().load_state_dict(state)
        levels, rows = unpacked(state, "levels", self._levels), unpacked(state, "rows", self._rows)
        counts = taken(state, "counts", np.int64, 2).copy()
        check_range("counts", counts, 0, 1 << 62)
        check_range("levels.drawn", levels.drawn, 0, int(counts[0]) + 1)
        check_range("rows.level", rows.level, 0, len(levels.score))
        check_range("rows.count", rows.count, 0, 1 << 62)
        if min(levels.score.min(), rows.total.min()) < 0:
            raise ValueError("the scores of levels are damaged")
        self._levels, self._rows, self._counts = levels, rows, counts


class Graded(Wrapper):
    """Grades levels by the errors of a learner in them; what it learns from stays as it is.

    Args:
        learner: learns.
        levels: are graded.
        now: gives the (N,) levels in which the environments are now.
    """

    place = "levels"

    def __init__(
        self, learner: Learner, levels: PrioritizedLevels, now: Callable[[], NDArray[np.integer]]
    ) -> None:
        self._learner, self._levels, self._now = learner, levels, now

    def transition(self, batch: Transition) -> Transition:
        """Grades levels by a batch; see `Wrapper.transition`."""
        expected = self._learner.expected(batch)
        assert expected is not None, "it does not say what it expects"
        self._levels.see(batch, expected, self._now())
        return batch
