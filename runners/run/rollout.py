"""The one loop over (vector environment, policy); the only code that knows about autoreset.

Training runs in `SAME_STEP`, so row b is always stream b and every row of every step is a valid transition.
Evaluation runs in `DISABLED`, so episode k starts from seed k whatever the number of environments.
Native and foreign vector environments are treated alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from ...agents.base import Memory, Policy, State, Transition, decide
from ...agents.macros import PLAYED, Played
from ...agents.memory import forget, named, restored, select_memory
from ...envs.core.measures import Measure
from ...envs.core.vector import WorldVectorEnv
from ...envs.core.world import World
from ..reporting.measures import Episodes, measured_in
from .stopwatch import Stopwatch

SHRINK = 0.9
"""Each batch in which a population is evaluated is so much smaller than the one before."""


class Tally:
    """Adds up the measures of the episodes under way in B environments.

    Args:
        num_envs: B.
        measures: what the episodes are measured by; see `measures.measured_in`.
    """

    def __init__(self, num_envs: int, measures: Sequence[Measure]) -> None:
        self._measures = measures
        self._how = {each.name: each.how for each in measures if each.how}
        self._totals = {"return": np.zeros(num_envs), "length": np.zeros(num_envs)}

    def add(
        self,
        reward: NDArray,
        info: Mapping[str, Any],
        rows: NDArray | None = None,
        final_info: Mapping[str, Any] | None = None,
        going: NDArray[np.bool_] | None = None,
    ) -> None:
        """Adds one step.

        Args:
            reward: (B,) rewards.
            info: the step's infos.
            rows: (E,) environments whose infos are in `final_info`, while `info` tells of their next episode.
            final_info: infos of these environments.
            going: (B,) which environments took the step, while the others waited; None: all.
        """
        everywhere: Any = True if going is None else going
        self._totals["return"] += reward
        self._totals["length"] += everywhere
        first, final_info = self._totals["length"] == 1.0, final_info or {}
        for name, how in self._how.items():
            if name in ("return", "length") or name not in info and name not in final_info:
                continue
            values = _said_of(name, len(reward), info, rows, final_info)
            totals = self._totals.setdefault(name, np.zeros(len(reward)))
            if how == "max":
                values = np.where(first, values, np.maximum(totals, values))
            elif how != "last":
                values += totals
            np.copyto(totals, values, where=everywhere)

    def count(
        self,
        reward: NDArray,
        ended: NDArray,
        info: Mapping[str, Any],
        going: NDArray[np.bool_] | None = None,
    ) -> Episodes | None:
        """Adds one step in `SAME_STEP` and gives the episodes that ended with it, if any did; see `add`."""
        if not ended.any():
            self.add(reward, info, going=going)
            return None
        rows = np.flatnonzero(ended)
        self.add(reward, info, rows, info["final_info"], going)
        return Episodes(rows, self.take(rows))

    def select(self, rows: NDArray) -> Tally:
        """The tally of some of the environments."""
        chosen = Tally(len(rows), self._measures)
        chosen.load_state_dict({name: totals[rows] for name, totals in self._totals.items()})
        return chosen

    def take(self, rows: NDArray) -> dict[str, NDArray[np.float64]]:
        """The measures of the given rows, whose episodes are over, and begins their next ones."""
        taken = self.so_far(rows)
        for totals in self._totals.values():
            totals[rows] = 0.0
        return taken

    def so_far(self, rows: NDArray | slice = slice(None)) -> dict[str, NDArray[np.float64]]:
        """The measures of the episodes under way in the given rows."""
        found = {name: np.array(totals[rows]) for name, totals in self._totals.items()}
        for name, values in found.items():
            if self._how[name] == "any":
                np.minimum(values, 1.0, out=values)
            elif self._how[name] == "mean":
                values /= np.maximum(found["length"], 1.0)
        return found

    def state_dict(self) -> State:
        """The totals so far."""
        return {name: totals.copy() for name, totals in self._totals.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave, but for what is no longer measured.

        Raises:
            ValueError: when it is of other environments, or of no measures.
        """
        shapes = {np.shape(totals) for totals in state.values()}
        if not {"return", "length"} <= state.keys() or shapes != {self._totals["return"].shape}:
            raise ValueError("the measures of the episodes under way are damaged")
        self._totals = {name: np.array(state[name], np.float64) for name in self._how if name in state}


def _said_of(
    name: str, num_envs: int, info: Mapping[str, Any], rows: NDArray | None, final_info: Mapping[str, Any]
) -> NDArray[np.float64]:
    """What infos say of a measure, (B,); zeros where they do not know it. See `Tally.add`."""
    values = np.array(info.get(name, np.zeros(num_envs)), np.float64)
    if rows is not None:
        values[rows] = final_info[name][rows] if name in final_info else 0.0
    return values


@runtime_checkable
class Savable(Protocol):
    """A vector environment that gives its whole state away, as the native ones do."""

    def get_state(self) -> NDArray: ...  # noqa: D102
    def set_state(self, records: NDArray) -> None: ...  # noqa: D102
    def observe(self) -> NDArray: ...  # noqa: D102
    def action_masks(self) -> NDArray: ...  # noqa: D102


class ReferencePolicy(Policy):
    """A world's reference policy, which reads the true state instead of the observation."""

    def __init__(self, actions: Callable[[], NDArray]) -> None:
        self._actions = actions

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> tuple[NDArray, Memory]:
        """Returns the reference's (B,) actions for the environments' current states."""
        return self._actions(), memory


class Rollout:
    """Endless stream of transitions from a vector environment in `SAME_STEP`.

    Args:
        env: vector environment whose autoreset mode is `SAME_STEP` and which returns fresh arrays.
        policy: chooses the actions, exploring.
        seeds: of the environments, as `env.reset` takes them: one each, or s for s + i.
        stopwatch: measures what the environment and the policy take.
        costs: names of infos that are told to who learns, beside the reward.
    """

    def __init__(
        self,
        env: VectorEnv,
        policy: Policy,
        seeds: int | Sequence[int],
        stopwatch: Stopwatch | None = None,
        costs: Sequence[str] = (),
    ) -> None:
        self.env = env
        self._costs = costs
        self.policy = policy
        self._stopwatch = stopwatch or Stopwatch()
        self._memory: Memory = None
        self._obs, info = env.reset(seed=seeds)  # type: ignore[arg-type]
        self._mask = action_mask(info)
        self._tally = Tally(env.num_envs, measured_in(env))
        self._said: tuple[Mapping[str, Any], NDArray | None] = {}, None

    def step(self) -> tuple[Transition, Episodes | None]:
        """Takes one step in every environment.

        Returns:
            The transitions, and the episodes that ended with them (None where none did).
        """
        known = {"mask": self._mask, "memory": self._memory}
        action, self._memory, extras = decide(self.policy, self._obs, explore=True, **known)
        self._stopwatch.lap("policy")
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._stopwatch.lap("environment")
        mask, played = action_mask(info), info.get(PLAYED)
        next_obs, next_mask = obs, mask
        if played is None:
            episodes, costs = self._count(reward, terminated | truncated, info)
        else:
            episodes, costs = self._count_parts(played)
            known |= {"discount": played.discount, "steps": played.steps}
        if episodes is not None:
            rows = episodes.index
            next_obs = with_rows(obs, rows, info["final_obs"][rows].tolist())
            if mask is not None:
                final_mask = action_mask(info["final_info"], rows)
                next_mask = with_rows(mask, rows, 1 if final_mask is None else final_mask)
            self._memory = forget(self._memory, rows)
        seen = self._obs, action, reward, next_obs, terminated, truncated, next_mask
        transition = Transition(*seen, **known, extras=extras, costs=costs)
        self._obs, self._mask = obs, mask
        self._stopwatch.lap("other")
        return transition, episodes

    def _count(
        self, reward: NDArray, ended: NDArray, info: Mapping[str, Any], going: NDArray | None = None
    ) -> tuple[Episodes | None, NDArray[np.float64] | None]:
        """Counts one step of the world; returns the episodes that ended with it, and (B, K) costs."""
        episodes = self._tally.count(reward, ended, info, going)
        self._said = info, None if episodes is None else episodes.index
        costs = np.stack([self.measured(name) for name in self._costs], axis=1) if self._costs else None
        return episodes, costs

    def _count_parts(self, played: Played) -> tuple[Episodes | None, NDArray[np.float64] | None]:
        """Counts the steps of the world that decisions were made of; costs are discounted as rewards are."""
        found, total = [], np.zeros((self.env.num_envs, len(self._costs)))
        for part in played.parts:
            ended = part.info.get("_final_obs", np.zeros(len(total), np.bool_))
            episodes, costs = self._count(part.reward, ended, part.info, part.going)
            found += [] if episodes is None else [episodes]
            if costs is not None:
                total += np.where(part.going, part.passed, 0.0)[:, None] * costs
        return _joined(found) if found else None, total if self._costs else None

    def measured(self, name: str) -> NDArray[np.float64]:
        """What the infos of the last step say of a measure, (B,); zeros where they do not know it."""
        info, rows = self._said
        return _said_of(name, self.env.num_envs, info, rows, info.get("final_info", {}))

    def advance(self, agent: Any) -> tuple[int, dict[str, Any], Episodes | None]:
        """Lets a `Learner` learn from one step.

        Returns:
            The number of transitions, the agent's metrics, and the episodes that ended (None where none did).
        """
        transition, episodes = self.step()
        metrics = agent.learn(transition)
        self._stopwatch.lap("learning")
        return transition.taken, metrics, episodes

    def state_dict(self) -> State:
        """Where the stream stands; empty for an environment that can't give its state."""
        env = self.env.unwrapped
        if not isinstance(env, Savable):
            return {}
        tally = {f"tally.{name}": totals for name, totals in self._tally.state_dict().items()}
        return {"records": env.get_state(), **tally, **named(self._memory)}

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Whether the environment takes back its records: another version may lay them out otherwise."""
        env, records = self.env.unwrapped, state.get("records")
        if not isinstance(env, Savable) or records is None:
            return False
        return not isinstance(env, WorldVectorEnv) or np.asarray(records).dtype == env.state.dtype

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on exactly where `state_dict` stood; only for a state that `fits`.

        Raises:
            ValueError: when the environment refuses it.
        """
        env: Any = self.env.unwrapped
        env.set_state(state["records"])
        self._obs = getattr(self.env, "observe", env.observe)()  # as what stands around it shows it
        if self._mask is not None:
            self._mask = getattr(self.env, "action_masks", env.action_masks)()  # macro-actions included
        self._tally.load_state_dict({n[6:]: totals for n, totals in state.items() if n.startswith("tally.")})
        self._memory = restored(state, lambda: decide(self.policy, self._obs, mask=self._mask).memory)


class _Watched(VectorWrapper):
    """Measures the steps that someone else takes, and counts the episodes that end with them in `ended`."""

    def __init__(self, env: VectorEnv, tally: Tally, stopwatch: Stopwatch) -> None:
        super().__init__(env)
        self.ended: list[Episodes] = []
        self._tally, self._stopwatch = tally, stopwatch

    def step(self, actions: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        self._stopwatch.lap("policy")
        result = _, reward, terminated, truncated, info = self.env.step(actions)
        self._stopwatch.lap("environment")
        episodes = self._tally.count(reward, terminated | truncated, info)
        if episodes is not None:
            self.ended.append(episodes)
        self._stopwatch.lap("other")
        return result


class TrainerRollout(Rollout):
    """The stream of a `Trainer`, which steps the environments itself."""

    _watched: _Watched | None = None  # the environments, once the trainer has them

    def advance(self, agent: Any) -> tuple[int, dict[str, Any], Episodes | None]:
        """Lets a `Trainer` collect and learn once; see `Rollout.advance`."""
        if self._watched is None:
            self._watched = _Watched(self.env, self._tally, self._stopwatch)
            agent.begin(self._watched, self._obs)
        count, metrics = agent.advance()
        self._stopwatch.lap("learning")
        episodes, self._watched.ended = self._watched.ended, []
        return count, metrics, _joined(episodes) if episodes else None

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on exactly where `state_dict` stood; see `Rollout`."""
        super().load_state_dict(state)
        self._watched = None


def _joined(parts: Sequence[Episodes]) -> Episodes:
    """The episodes of several steps."""
    measures = {name: np.concatenate([part.measures[name] for part in parts]) for name in parts[0].measures}
    return Episodes(np.concatenate([part.index for part in parts]), measures)


def evaluate(
    env: VectorEnv, policy: Policy | Callable[[NDArray[np.int64]], Policy], seeds: Sequence[int]
) -> Episodes:
    """Plays one episode from each seed, without exploring.

    The result is the same for any number of environments, if the policy's choice for a row depends on that
    row alone. A slot for which no seed is left plays on and is ignored.

    Args:
        env: vector environment whose autoreset mode is `DISABLED`; its episodes must end.
        policy: chooses the actions; or gives, for (B,) numbers of episodes, the policy that plays them in the
            rows of a batch.
        seeds: episode k starts from `seeds[k]`.

    Returns:
        The episodes, episode k in row k.
    """
    policy_of = policy if callable(policy) else None
    count, num_envs = len(seeds), env.num_envs
    episode = np.arange(num_envs)  # which episode each slot plays; from `count` on, none that counts
    upcoming, finished = num_envs, 0
    measures: dict[str, NDArray[np.float64]] = {}
    tally = Tally(num_envs, measured_in(env))
    memory: Memory = None
    actor: Any = policy_of(episode % count) if policy_of else policy

    obs, info = env.reset(seed=[seeds[k % count] for k in range(num_envs)])  # type: ignore[arg-type]
    mask = action_mask(info)
    while True:
        action, memory, _ = decide(actor, obs, memory, mask=mask)
        obs, reward, terminated, truncated, info = env.step(action)
        mask = action_mask(info)
        tally.add(reward, info)
        ended = terminated | truncated
        if not ended.any():
            continue
        rows = np.flatnonzero(ended)
        counted = episode[rows] < count
        for name, values in tally.take(rows).items():
            measures.setdefault(name, np.zeros(count))[episode[rows[counted]]] = values[counted]
        finished += int(counted.sum())
        if finished == count:
            return Episodes(np.arange(count), measures)

        episode[rows] = np.arange(upcoming, upcoming + len(rows))
        upcoming += len(rows)
        next_seeds: list[int | None] = [None] * num_envs
        for row in rows:
            if episode[row] < count:
                next_seeds[row] = seeds[episode[row]]
        obs, info = env.reset(seed=next_seeds, options={"reset_mask": ended})  # type: ignore[arg-type]
        fresh = action_mask(info)
        if mask is not None and fresh is not None:
            mask = with_rows(mask, rows, fresh[rows])
        memory = forget(memory, rows)
        if policy_of:
            actor = policy_of(episode % count)


class Batches:
    """Native environments of one world in batches of falling sizes, each made when it is first needed.

    Args:
        world: the world, whose tables they share.
        num_envs: size of the largest batch.
        max_episode_steps: steps after which an episode is cut off.
        num_threads: threads that step the environments.
    """

    def __init__(self, world: World, num_envs: int, max_episode_steps: int, num_threads: int = 1) -> None:
        self._sizes = [num_envs]
        while self._sizes[-1] > 1:
            self._sizes.append(min(self._sizes[-1] - 1, math.ceil(SHRINK * self._sizes[-1])))
        self._arguments = max_episode_steps, AutoresetMode.NEXT_STEP, num_threads
        self._world = world
        self._made: dict[int, WorldVectorEnv] = {}
        self._weights: NDArray[np.int64] | None = None

    def weigh_levels(self, weights: NDArray[np.int64]) -> None:
        """Draws levels by (M,) weights from now on; see `WorldVectorEnv.weigh_levels`."""
        self._weights = weights
        for env in self._made.values():
            env.weigh_levels(weights)

    def smallest(self, rows: int) -> WorldVectorEnv:
        """The smallest batch with room for so many rows."""
        size = min(size for size in self._sizes if size >= rows)
        if size not in self._made:
            self._made[size] = WorldVectorEnv(self._world, size, *self._arguments)
            if self._weights is not None:
                self._made[size].weigh_levels(self._weights)
        return self._made[size]


def evaluate_at_once(
    batches: Batches, policy_of: Callable[[NDArray[np.int64]], Policy], seeds: Sequence[int]
) -> Episodes:
    """Plays one episode from each seed, all side by side, without exploring.

    Environments whose episodes are over run on, ignored, until the others fit into a smaller batch.

    Args:
        batches: native environments, as many as seeds; their episodes must end.
        policy_of: gives, for (B,) numbers of episodes, the policy that plays them in the rows of a batch.
        seeds: episode k starts from `seeds[k]`.

    Returns:
        The episodes, episode k in row k.
    """
    count = len(seeds)
    episode = np.arange(count)  # which episode each environment plays
    playing = np.ones(count, np.bool_)
    measures: dict[str, NDArray[np.float64]] = {}
    memory: Memory = None
    policy = policy_of(episode)

    env = batches.smallest(count)
    tally = Tally(count, measured_in(env))
    obs, info = env.reset(seed=seeds)
    mask = action_mask(info)
    while True:
        action, memory, _ = decide(policy, obs, memory, mask=mask)
        obs, reward, terminated, truncated, info = env.step(action)
        mask = action_mask(info)
        tally.add(reward, info)
        rows = np.flatnonzero((terminated | truncated) & playing)
        if not len(rows):
            continue
        for name, values in tally.take(rows).items():
            measures.setdefault(name, np.zeros(count))[episode[rows]] = values
        playing[rows] = False
        left = np.flatnonzero(playing)
        if not len(left):
            return Episodes(np.arange(count), measures)
        smaller = batches.smallest(len(left))
        if smaller is env:
            continue
        chosen = np.resize(left, smaller.num_envs)  # what is too many repeats, and is ignored
        smaller.set_state(env.get_state(chosen))
        env, episode, obs, tally = smaller, episode[chosen], obs[chosen], tally.select(chosen)
        mask = None if mask is None else mask[chosen]
        memory = select_memory(memory, chosen)
        playing = np.arange(len(chosen)) < len(left)
        policy = policy_of(episode)


def action_mask(info: Mapping[str, Any], rows: NDArray | None = None) -> NDArray | None:
    """The (B, A) mask of a batch of infos, or of some of its rows; a row that has none may do anything."""
    mask = info.get("action_mask")
    if mask is None:
        return None
    present = info["_action_mask"]
    if rows is not None:
        mask, present = mask[rows], present[rows]
    return mask if present.all() else np.where(present[:, None], mask, 1)


def with_rows(values: NDArray, rows: NDArray, replacement: Any) -> NDArray:
    """A copy with the given rows replaced."""
    changed = values.copy()
    changed[rows] = replacement
    return changed
