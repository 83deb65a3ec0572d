"""An agent acting in a few environments, moment by moment, with what is past kept: what `watch` shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Space
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from ...agents.base import Memory, Policy, decide
from ...agents.memory import forget
from ...envs.core.world import Sight
from ..reporting.measures import measured_in
from ..run.rollout import Savable, Tally, action_mask, with_rows

HISTORY_BYTES = 256 * 2**20
"""How much of the past is kept."""


class Moment(NamedTuple):
    """What there is to see at one time in N environments."""

    records: NDArray | None
    """(N,) state records of a native environment."""
    pictures: tuple[NDArray, ...] | None
    """Pictures of any other environment."""
    obs: NDArray
    """(N, ...) what the agent sees."""
    values: NDArray | None
    """(N, A) the agent's action values, if it has any."""
    worth: NDArray | None
    """(N,) what the agent expects from there on, if it says."""
    mask: NDArray | None
    """(N, A) nonzero where an action is possible, if the environment tells."""
    actions: NDArray | None
    """(N,) actions that led here; None at the beginning."""
    episodes: NDArray
    """(N,) numbers of the episodes."""
    measures: dict[str, NDArray]
    """Name to (N,) what the episodes come to so far; see `rollout.Tally`."""
    ended: NDArray
    """(N,) whether the episode is over."""
    carried: Sequence[str] | None = None
    """What the policy is about in each, in words, nothing before it acted; None where that is never told."""
    marks: Sequence[NDArray | None] | None = None
    """What the renderer is to mark, where a policy shows how it searches."""

    @property
    def returns(self) -> NDArray:
        """(N,) returns so far."""
        return self.measures["return"]

    @property
    def steps(self) -> NDArray[np.int64]:
        """(N,) steps so far."""
        return self.measures["length"].astype(np.int64)


class ScriptPolicy(Policy):
    """Takes given actions, one after another, from the first in each episode."""

    def __init__(self, actions: Sequence[int]) -> None:
        self._actions = list(actions)
        self._next = 0

    def within(self, space: Space) -> ScriptPolicy:
        """The same, once its actions are known to be of an environment's action space.

        Raises:
            ValueError: when one is not.
        """
        if strange := [action for action in self._actions if not space.contains(np.int64(action))]:
            raise ValueError(f"the replay's action {strange[0]} is none of {space}")
        return self

    def rewind(self) -> None:
        """Begins again."""
        self._next = 0

    def act(
        self, obs: Any, memory: Memory = None, *, explore: bool = False, mask: Any = None
    ) -> tuple[np.ndarray, Memory]:
        """Returns the next action for a batch of one."""
        self._next += 1
        return np.array([self._actions[self._next - 1]]), memory


class Show:
    """Plays episodes and keeps the moments.

    Args:
        env: vector environment with autoreset `DISABLED`; render mode "rgb_array" unless it is native.
        policy: acts without exploring.
        seed_of: number of an episode to its seed, whatever the number of environments.
        max_steps: steps after which an episode counts as over although the environment could go on.
        options: reset options of each episode.
        before_episode: called before an episode begins.
        together: whether all environments play the same episode, and those where it is over wait, as they
            were, until it is over everywhere; the autoreset mode is `NEXT_STEP` then.
        sights: what is to be seen of the policy's search before the first step, where all episodes begin.
    """

    def __init__(
        self,
        env: VectorEnv,
        policy: Policy,
        seed_of: Callable[[int], int],
        *,
        max_steps: int | None = None,
        options: dict[str, Any] | None = None,
        before_episode: Callable[[], None] = lambda: None,
        together: bool = False,
        sights: Callable[[NDArray], Iterator[Sight]] | None = None,
    ) -> None:
        self.env = env
        self.seed_of = seed_of
        self.finished = 0
        self._policy, self.values_are = policy, policy.values_are
        self._max_steps = max_steps
        self._options = options or {}
        self._before_episode = before_episode
        self._together = together
        self._sights = sights
        self._search: Iterator[Sight] = iter(())
        self._memory: Memory = None
        self._mask: NDArray | None = None
        self._tally = Tally(env.num_envs, measured_in(env))
        self._past: deque[Moment] = deque()
        self._back = 0  # how many moments before the newest one is shown
        self._begin(np.ones(env.num_envs, np.bool_), np.full(env.num_envs, -1))

    @property
    def moment(self) -> Moment:
        """The moment shown."""
        return self._past[-1 - self._back]

    @property
    def before(self) -> Moment:
        """The moment before the one shown; that one itself where nothing is kept of what was before."""
        return self._past[max(-2 - self._back, -len(self._past))]

    @property
    def rewound(self) -> bool:
        """Whether an earlier moment than the newest one is shown."""
        return self._back > 0

    def forward(self) -> None:
        """Goes to the next moment: one that is kept, or a new one."""
        if self._back:
            self._back -= 1
            return
        now = self._past[-1]
        if now.ended.all() if self._together else now.ended.any():
            self._begin(now.ended, now.episodes)
            now = self._past.pop()
        sight = next(self._search, None)
        if sight is not None:
            self._past.append(now._replace(records=sight[0], marks=sight[1]))
            return
        waiting = now.ended
        actions, self._memory, _ = decide(self._policy, now.obs, self._memory, mask=self._mask)
        obs, reward, terminated, truncated, info = self.env.step(actions)
        self._mask = action_mask(info)
        self._tally.add(reward, info)
        ended = terminated | truncated
        if self._max_steps is not None:
            ended |= now.steps + 1 >= self._max_steps
        self.finished += int((waiting | ended).all()) if self._together else int(ended.sum())
        self._keep(obs, actions, now.episodes, waiting | ended, now)

    def back(self) -> None:
        """Goes to the moment before, if it is kept."""
        self._back = min(self._back + 1, len(self._past) - 1)

    def next_episode(self) -> None:
        """Leaves the episodes under way and begins the next ones."""
        self._back = 0
        self._begin(np.ones(self.env.num_envs, np.bool_), self._past[-1].episodes)

    def _begin(self, rows: NDArray, episodes: NDArray) -> None:
        self._before_episode()
        next_ones = int(episodes.max()) + 1 + (0 if self._together else np.arange(int(rows.sum())))
        episodes = with_rows(episodes, np.flatnonzero(rows), next_ones)
        self._memory = forget(self._memory, np.flatnonzero(rows))
        seeds = [self.seed_of(int(k)) if row else None for k, row in zip(episodes, rows, strict=True)]
        whole = bool(rows.all())  # the first reset must not have a mask
        options = self._options if whole else {**self._options, "reset_mask": rows}
        obs, info = self.env.reset(seed=seeds, options=dict(options))  # type: ignore[arg-type]
        fresh = action_mask(info)
        if self._mask is not None and fresh is not None and not whole:
            fresh = np.where(rows[:, None], fresh, self._mask)
        self._mask = fresh
        self._tally.take(np.flatnonzero(rows))
        self._keep(obs, None, episodes, np.zeros(len(rows), np.bool_))
        records = self._past[-1].records
        if whole and self._sights is not None and records is not None:
            self._search = self._sights(records)

    def _keep(
        self,
        obs: NDArray,
        actions: NDArray | None,
        episodes: NDArray,
        ended: NDArray,
        last: Moment | None = None,
    ) -> None:
        """Keeps a moment; where the episode was over in `last` already, what was to see then is kept on."""
        env = self.env.unwrapped
        records = env.get_state() if isinstance(env, Savable) else None
        pictures = None if records is not None else tuple(map(np.asarray, self.env.render() or ()))
        measures = self._tally.so_far()
        if last is not None and last.ended.any():
            waiting = np.flatnonzero(last.ended)
            obs = with_rows(obs, waiting, last.obs[waiting])
            for name, each in measures.items():
                each[waiting] = last.measures[name][waiting] if name in last.measures else 0.0
            if records is not None and last.records is not None:
                records = with_rows(records, waiting, last.records[waiting])
            elif pictures is not None and last.pictures is not None:
                both = zip(last.pictures, pictures, last.ended, strict=True)
                pictures = tuple(old if over else new for old, new, over in both)
        values = self._policy.action_values(obs, self._memory)
        shown = None if values is None else np.array(values)
        worth = self._policy.state_values(obs, self._memory)
        carried = self._policy.carries_out(None if actions is None else self._memory)
        moment = Moment(
            *(records, pictures, np.array(obs), shown, worth, self._mask),
            *(actions, episodes, measures, ended, carried),
        )
        self._past.append(moment)
        if len(self._past) * _size(moment) > HISTORY_BYTES:
            self._past.popleft()


def _size(moment: Moment) -> int:
    arrays = (*(moment.pictures or ()), moment.records, moment.obs, moment.values)
    return sum(array.nbytes for array in arrays if array is not None)
