"""Macro-actions: sequences of actions that an agent may choose as a whole, beside the single ones.

An agent behind them decides more rarely, and its exploration goes further (McGovern, Sutton & Fagg 1997,
"Roles of macro-actions in accelerating reinforcement learning"). A sequence is cut where the mask forbids its
next action, and where the episode ends.

Who learns meets `VectorMacroActions`: one step of it is one decision in every row, a transition of a
semi-Markov decision process (Sutton, Precup & Singh 1999, sections 1 and 2): its reward is discounted within,
its `discount` is gamma to the steps that it took. Who acts is a `MacroPolicy`, which remembers what it is
about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Discrete, Space
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .base import Decided, Memory, Policy, decide
from .memory import taken_where
from .wrappers import Wrapper

MOST, LONGEST = 1_000, 100
"""Macro-actions, and actions of one of them, at most."""
FINALS = "final_obs", "_final_obs", "final_info", "_final_info"
"""What infos tell of the ends of episodes."""
PLAYED = "macro-actions"
"""Where infos tell what a step was made of; no measure of a world is called so."""


@dataclass(frozen=True)
class Macros:
    """Sequences of an environment's actions, each an action more.

    Raises:
        ValueError: for sequences that are empty, too many or too long, or hold what is no action.
    """

    num_actions: int
    """A, the environment's own actions, from 0."""
    sequences: tuple[tuple[int, ...], ...]
    """M sequences of them."""

    def __post_init__(self) -> None:
        """Checks the sequences."""
        if len(self.sequences) > MOST or not all(1 <= len(each) <= LONGEST for each in self.sequences):
            raise ValueError(f"there are at most {MOST} macro-actions, of 1 to {LONGEST} actions each")
        if strange := [a for each in self.sequences for a in each if not 0 <= a < self.num_actions]:
            raise ValueError(f"a macro-action holds {strange[0]}, and there are {self.num_actions} actions")

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """(A + M,) actions of each choice: of single ones, then of sequences."""
        return np.array([1] * self.num_actions + [len(each) for each in self.sequences])

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """(A + M, L + 1) actions of each choice, zeros behind them."""
        table = np.zeros((len(self.lengths), self.lengths.max() + 1), np.int64)
        table[: self.num_actions, 0] = np.arange(self.num_actions)
        for k, each in enumerate(self.sequences, self.num_actions):
            table[k, : len(each)] = each
        return table

    def possible(self, mask: NDArray | None) -> NDArray | None:
        """(B, A + M) choices whose first action is possible by a (B, A) mask."""
        return None if mask is None else mask[:, self.table[:, 0]]


# --- Where they come from -------------------------------------------------------------------------------


def mined(episodes: Iterable[Sequence[int]], count: int, longest: int) -> list[tuple[int, ...]]:
    """The contiguous sequences that save most decisions, the best one first.

    A sequence of n actions saves n - 1 decisions wherever it occurs, occurrences that overlap counted once
    from the left. What it covers is taken out before the next one is looked for: so the savings add up. Among
    equals the shorter one is taken, and of these the first in order of actions.

    Args:
        episodes: actions of each.
        count: sequences wanted; fewer are found where no other occurs twice.
        longest: actions of a sequence, at most.
    """
    parts, found = [tuple(each) for each in episodes], []
    while len(found) < count:
        times = occurrences(parts, longest)
        saved = {each: many * (len(each) - 1) for each, many in times.items() if many > 1}
        if not saved:
            break
        best = min(saved, key=lambda each: (-saved[each], len(each), each))
        found.append(best)
        parts = [rest for part in parts for rest in without(part, best)]
    return found


def occurrences(parts: Sequence[tuple[int, ...]], longest: int) -> Counter[tuple[int, ...]]:
    """How often each sequence of 2 to `longest` actions occurs, without overlaps.

    None occurs more often than what it begins with: those that begin with what occurs once are left out.
    """
    times: Counter[tuple[int, ...]] = Counter()
    begins: list[Iterable[int]] = [range(len(part)) for part in parts]  # of what may occur twice
    for length in range(2, longest + 1):
        for k, part in enumerate(parts):
            begins[k] = [
                start
                for start in begins[k]
                if start + length <= len(part)
                and (length == 2 or times[part[start : start + length - 1]] > 1)
            ]
            free: dict[tuple[int, ...], int] = {}  # from where on the next occurrence may begin
            for start in begins[k]:
                each = part[start : start + length]
                if free.get(each, 0) <= start:
                    free[each] = start + length
                    times[each] += 1
    return times


def without(part: tuple[int, ...], taken: tuple[int, ...]) -> list[tuple[int, ...]]:
    """What is left of a part when a sequence is taken out wherever it occurs, from the left."""
    rest, begin, start = [], 0, 0
    while start <= len(part) - len(taken):
        if part[start : start + len(taken)] == taken:
            rest.append(part[begin:start])
            begin = start = start + len(taken)
        else:
            start += 1
    return [each for each in (*rest, part[begin:]) if len(each) > 1]


def drawn(num_actions: int, count: int, longest: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Different sequences of 2 to `longest` actions, lengths and actions drawn evenly: a control.

    Fewer than wanted where there are no more.
    """
    found: dict[tuple[int, ...], None] = {}
    there = sum(num_actions**length for length in range(2, longest + 1))
    while len(found) < min(count, there):
        length = int(rng.integers(2, longest + 1))
        found[tuple(rng.integers(num_actions, size=length).tolist())] = None
    return list(found)


# --- Who learns -----------------------------------------------------------------------------------------


class Part(NamedTuple):
    """One step of the world within a decision."""

    reward: NDArray[np.float64]
    """(B,) what it earned; 0 in rows that wait."""
    going: NDArray[np.bool_]
    """(B,) which rows took it; the others wait."""
    passed: NDArray[np.float64]
    """(B,) what it is discounted by."""
    info: dict[str, Any]
    """What the environment told."""


class Played(NamedTuple):
    """What a step was made of."""

    parts: Sequence[Part]
    discount: NDArray[np.float64]
    """(B,) what the observation that follows is discounted by."""
    steps: NDArray[np.int64]
    """(B,) steps of the world."""


class VectorMacroActions(VectorWrapper):
    """A vector environment that takes macro-actions, and goes on until those of all rows have ended.

    Rows whose own has ended before wait. Rewards are discounted within; `info[PLAYED]` tells the rest.

    Args:
        env: vector environment that can step some of its rows, in `SAME_STEP`.
        macros: the sequences.
        gamma: discount factor of a step of the world.

    Raises:
        ValueError: one line, for another environment.
    """

    def __init__(self, env: VectorEnv, macros: Macros, gamma: float) -> None:
        super().__init__(env)
        if not hasattr(env.unwrapped, "step_some"):
            raise ValueError("macro-actions need a world of meze's, in which rows can wait for others")
        self.macros, self.gamma = macros, gamma
        self.single_action_space = Discrete(len(macros.lengths))
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See `VectorEnv.reset`; masks tell of macro-actions, too."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._widened(info)

    def step(self, actions: Any) -> tuple[NDArray, NDArray, NDArray, NDArray, dict[str, Any]]:
        """Plays what is chosen in every row to its end; see `VectorEnv.step`."""
        env, rows, table = self.env, np.arange(self.num_envs), self.macros.table
        choice = np.asarray(actions, np.int64)
        going, terminated, truncated = rows >= 0, rows < 0, rows < 0
        reward, passed, steps = np.zeros(len(rows)), np.ones(len(rows)), np.zeros(len(rows), np.int64)
        parts, obs = [], rows
        while going.any():
            action = table[choice, len(parts)]
            obs, earned, over, cut, info = env.step_some(action, going)  # type: ignore[attr-defined]
            parts.append(Part(earned, going, passed, info))
            reward += passed * earned
            passed, steps = np.where(going, passed * self.gamma, passed), steps + going
            terminated, truncated = terminated | over, truncated | cut
            going = going & ~(over | cut) & (len(parts) < self.macros.lengths[choice])
            if "action_mask" in info:
                going &= info["action_mask"][rows, table[choice, len(parts)]] != 0
        info = self._widened(_joined([part.info for part in parts]))
        return obs, reward, terminated, truncated, info | {PLAYED: Played(parts, passed, steps)}

    def _widened(self, info: dict[str, Any]) -> dict[str, Any]:
        """Infos whose masks tell of macro-actions, too."""
        if "final_info" in info:
            info = info | {"final_info": self._widened(info["final_info"])}
        if "action_mask" not in info:
            return info
        return info | {"action_mask": self.macros.possible(info["action_mask"])}

    def observe(self) -> NDArray:
        """What the environments show now."""
        return self.env.observe()  # type: ignore[attr-defined]

    def action_masks(self) -> NDArray | None:
        """(B, A + M) what is possible now."""
        return self.macros.possible(self.env.unwrapped.action_masks())  # type: ignore[attr-defined]


def _joined(infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last infos, with what all of them tell of the ends of episodes."""
    ends = [info for info in infos if "final_obs" in info]
    if len(ends) < 2:
        return infos[-1] | {name: info[name] for info in ends for name in FINALS}
    obs, told = ends[0]["final_obs"].copy(), {n: each.copy() for n, each in ends[0]["final_info"].items()}
    for info in ends[1:]:
        rows = info["_final_obs"]
        obs[rows] = info["final_obs"][rows]
        for name, values in told.items():
            values[rows] = info["final_info"][name][rows]
    there = np.any([info["_final_obs"] for info in ends], axis=0)
    return infos[-1] | dict(zip(FINALS, (obs, there, told, there), strict=True))


# --- Who acts -------------------------------------------------------------------------------------------


class MacroMemory(NamedTuple):
    """What a `MacroPolicy` remembers of B rows."""

    choice: NDArray[np.int64]
    """(B,) number of the macro-action under way, from 1; 0: none."""
    taken: NDArray[np.int64]
    """(B,) how many of its actions were taken."""
    inner: Memory
    """What the policy that chooses remembers of its last decision."""


class MacroPolicy(Policy):
    """Takes single actions as a policy chooses macro-actions.

    Args:
        policy: chooses among single actions and macro-actions.
        macros: the sequences.
    """

    def __init__(self, policy: Policy, macros: Macros) -> None:
        self._policy, self._macros = policy, macros
        self.values_are = policy.values_are

    def act(
        self, obs: NDArray, memory: Memory = None, *, explore: bool = False, mask: NDArray | None = None
    ) -> Decided:
        """Chooses (B,) actions; see `Policy.act`."""
        macros, single, zeros = self._macros, self._macros.num_actions, np.zeros(len(obs), np.int64)
        number, taken, inner = memory or (zeros, zeros, None)
        row = single - 1 + number  # of the table, of no meaning where nothing is under way
        action, going = macros.table[row, taken], (number > 0) & (taken < macros.lengths[row])
        if mask is not None:
            going &= mask[np.arange(len(obs)), action] != 0
        if not going.all():
            told = {"explore": explore, "mask": macros.possible(mask)}
            choice, after, _ = decide(self._policy, obs, inner, **told)
            inner = taken_where(going, inner, after)
            action = np.where(going, action, macros.table[choice, 0])
            number = np.where(going, number, np.maximum(choice - single + 1, 0))
            taken = np.where(going, taken, 0)
        return action, MacroMemory(number, taken + 1, inner)

    def action_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """The (B, A) values of the best that begins with each action; chances add up."""
        values = self._policy.action_values(obs, None if memory is None else memory.inner)
        if values is None:
            return None
        join = np.add if self.values_are == "chance" else np.maximum
        single, firsts = self._macros.num_actions, self._macros.table[:, 0]
        folded = values[:, :single].copy()
        for choice in range(single, len(firsts)):
            join(folded[:, firsts[choice]], values[:, choice], out=folded[:, firsts[choice]])
        return folded

    def state_values(self, obs: NDArray, memory: Memory = None) -> NDArray | None:
        """See `Policy.state_values`; as if it decided anew."""
        return self._policy.state_values(obs, None if memory is None else memory.inner)

    def carries_out(self, memory: Memory) -> Sequence[str] | None:
        """Which macro-action, and which of its actions came last."""
        if memory is None:
            return ()
        length = self._macros.lengths[self._macros.num_actions - 1 + memory.choice]
        told = zip(memory.choice.tolist(), memory.taken.tolist(), length.tolist(), strict=True)
        return [f"{number}, step {taken} of {many}" if number else "-" for number, taken, many in told]

    def interrupted(self, memory: Memory, rows: NDArray[np.bool_]) -> Memory:
        """Gives up what is under way in some rows; see `Policy.interrupted`."""
        if memory is None:
            return None
        inner = self._policy.interrupted(memory.inner, rows)
        return MacroMemory(np.where(rows, 0, memory.choice), np.where(rows, 0, memory.taken), inner)


class TakesMacros(Wrapper):
    """Macro-actions before an agent of discrete actions.

    Args:
        macros: the sequences.
        gamma: the agent's discount factor.
    """

    place = "macros"

    def __init__(self, macros: Macros, gamma: float) -> None:
        self.macros, self.gamma = macros, gamma

    def acts(self, space: Space) -> Space:
        """Single actions and sequences; see `Wrapper.acts`.

        Raises:
            ValueError: one line, for other actions than those of the sequences.
        """
        if space != Discrete(self.macros.num_actions):
            raise ValueError(f"these macro-actions are of {self.macros.num_actions} actions, not of {space}")
        return Discrete(len(self.macros.lengths))

    def env(self, env: VectorEnv) -> VectorEnv:
        """The environment that takes macro-actions; see `Wrapper.env`."""
        return VectorMacroActions(env, self.macros, self.gamma)

    def policy(self, policy: Policy) -> Policy:
        """The policy that takes single actions; see `Wrapper.policy`."""
        return MacroPolicy(policy, self.macros)
