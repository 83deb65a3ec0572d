"""`WorldVectorEnv`: N environments of a world, stepped by one compiled loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from .batch import DISABLED, KEEP, NEXT_STEP, RESET, RESET_SEEDED, SAME_STEP, Batch, Outputs
from .env import WorldAccess, check_render_mode, seed_keys, vector_masks
from .info import Columns
from .settings import settled
from .world import World, make_world

_CODES = {
    AutoresetMode.DISABLED: DISABLED,
    AutoresetMode.NEXT_STEP: NEXT_STEP,
    AutoresetMode.SAME_STEP: SAME_STEP,
}
MOST_STEPS = 2**31 - 1
"""Steps that a record counts in an episode."""


class WorldVectorEnv(WorldAccess, VectorEnv):
    """N environments of a world.

    Results equal those of gymnasium's `SyncVectorEnv` over `WorldEnv`, bit for bit, infos included;
    environment i of a batch seeded with s is the single environment seeded with s + i. In infos, the `_key`
    masks of keys that every environment reports are one shared array, which cannot be written.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        world: str | type[World] | World,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        num_threads: int = 1,
        copy: bool = True,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        """Makes the world and N records.

        Args:
            world: the world's class, or where it is, as `package.module:Class`; or a world that is made
                already, to share its tables.
            num_envs: number N of environments.
            max_episode_steps: steps after which an episode is truncated, at least 1; None or -1 is never.
            autoreset_mode: what happens to an environment whose episode is over.
            num_threads: threads that share the environments; results do not depend on it.
            copy: whether every step returns fresh arrays. Otherwise observations, rewards, `terminated`,
                `truncated` and `action_mask` are the same arrays at every step, overwritten by the next.
            render_mode: None or "rgb_array".
            **settings: fields of the world's config.

        Raises:
            TypeError: for a setting that the config does not have.
            ValueError: for a setting's value, a mode or a number that is not possible.
        """
        check_render_mode(render_mode, self.metadata["render_modes"])
        made = make_world(world, settings)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            **self.metadata, "render_fps": made.render_fps, "autoreset_mode": self.autoreset_mode
        }  # fmt: skip
        self.render_mode = render_mode
        self._max_steps = _checked_limit(max_episode_steps)
        self._batch = Batch(made, num_envs, num_threads)
        self.num_envs = self._batch.num_envs
        self.single_observation_space = made.observation_space
        self.single_action_space = made.action_space
        self.observation_space = batch_space(made.observation_space, self.num_envs)
        self.action_space = batch_space(made.action_space, self.num_envs)
        self._names = self._batch.reports.names
        self._number_obs = isinstance(made.observation_space, Discrete)
        self._buffers = None if settled("copy", copy, bool) else self._batch.outputs()
        self._ready = False  # every environment has been reset once
        self._returns = np.zeros(self.num_envs)  # so far, for the picture
        self._share(np.ones(self.num_envs, np.bool_))

    def _share(self, everywhere: NDArray[np.bool_]) -> None:
        """Locks what infos share."""
        everywhere.flags.writeable = False
        self._everywhere = everywhere
        self._by_all = dict.fromkeys(self._batch.reports.flags, everywhere)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Locks what is shared again: copies of arrays can be written."""
        self.__dict__.update(state)
        self._share(self._everywhere)

    # ------------------------------------------------------------ gymnasium

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Begins episodes in all environments, or in those of a mask.

        Args:
            seed: s for seeds s + i; or one seed or None an environment (ignored outside of the mask).
                Without a seed an environment goes on with its own stream. A seed is an int from 0, taken
                modulo 2**64.
            options: `reset_mask`, (N,) bool; and reset options of the world, scalars or (N,) arrays.

        Returns:
            Observations of all environments, and infos of those that were reset.

        Raises:
            gymnasium.error.Error: for a seed that is none.
            TypeError: for a `reset_mask` that is not a bool array.
            ValueError: for seeds or a mask of the wrong length, an empty mask, or an unknown option.
        """
        super().reset(seed=None if isinstance(seed, Iterable) else seed)  # checks the seed, too
        others = dict(options or {})
        rows = self._checked_mask(others.pop("reset_mask")) if "reset_mask" in others else None
        fields = self.world.reset_fields(others)
        chosen = self._everywhere if rows is None else rows
        command, keys = self._streams(seed, chosen)
        out = self._outputs()
        self._batch.reset(command, keys, fields, out)
        self._ready = self._batch.ready
        self._returns[chosen] = 0.0
        if rows is None:
            return out.obs, self._infos(out.columns, out.mask, self._everywhere)
        shown = out.mask * rows[:, None]
        return out.obs, self._infos(out.columns.of(np.flatnonzero(rows)), shown, rows.copy())

    def step(
        self, actions: ArrayLike
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Takes one step in every environment.

        Args:
            actions: (N,) integers in the action space.

        Returns:
            Observations, rewards (float64), terminated, truncated, infos.

        Raises:
            ResetNeeded: before all environments have been reset.
            TypeError: for a single action.
            ValueError: for actions of the wrong shape or type.
            AssertionError: for an action out of range, and, without autoreset, for an environment whose
                episode is over.
        """
        return self._step(actions)

    def step_some(
        self, actions: ArrayLike, rows: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Takes one step in some environments; the others wait.

        Those earn nothing, and observations and infos tell how they stand.

        Args:
            actions: (N,) integers in the action space, which mean nothing where an environment waits.
            rows: (N,) bool, true where a step is taken.

        Returns:
            As `step`; raises the same.
        """
        return self._step(actions, rows)

    def _step(
        self, actions: ArrayLike, rows: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        if not self._ready:
            raise ResetNeeded("call reset() before step()")
        checked = self._checked_actions(actions)
        if rows is not None:
            checked = np.where(rows, checked, KEEP)
        if self.autoreset_mode is AutoresetMode.DISABLED and (done := self._batch.state["done"]).any():
            stepped = np.flatnonzero(done & (checked != KEEP))
            if len(stepped):
                raise AssertionError(f"environments {stepped} are over and need a reset")
        out = self._outputs()
        ended = self._batch.step(checked, _CODES[self.autoreset_mode], self._max_steps, out)
        infos = self._infos(out.columns, out.mask, self._everywhere)
        if ended and self.autoreset_mode is AutoresetMode.SAME_STEP:
            self._add_finals(infos, np.flatnonzero(out.terminated | out.truncated))
        if self.render_mode is not None:
            self._count_returns(out)
        return out.obs, out.reward, out.terminated, out.truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draws every environment: N pictures (height, width, 3) uint8; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(self._draw(i, self._returns[i]) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the threads."""
        self._close()

    # ------------------------------------------------------------ states

    def set_state(self, records: NDArray[Any], indices: ArrayLike | None = None) -> None:
        """Puts state records back (see `WorldAccess.set_state`); `observe()` gives their observations."""
        super().set_state(records, indices)
        self._ready = self._batch.ready

    def state_hash(self, indices: ArrayLike | None = None) -> NDArray[np.uint64]:
        """Names states in 64 bits: (K,) digests of the records' bytes."""
        return self._batch.state_hash(indices)

    def observe(self) -> NDArray[Any]:
        """(N, ...) observations of the current states, for use after `set_state`."""
        return self._batch.observe()[0]

    def action_masks(self) -> NDArray[np.int8]:
        """(N, A) actions possible in the current states, 1 where possible; all ones where none are masked."""
        return vector_masks(self._batch)

    def clone(self) -> WorldVectorEnv:
        """Independent environments in the same states; they share the read-only tables."""
        return deepcopy(self)

    # ------------------------------------------------------------ checks

    def _checked_mask(self, mask: Any) -> NDArray[np.bool_]:
        """The checks, errors and words of gymnasium's `SyncVectorEnv`."""
        if not isinstance(mask, np.ndarray):
            raise TypeError(f"`options['reset_mask']` must be a numpy array, got {type(mask)}")
        if mask.shape != (self.num_envs,):
            raise ValueError(
                f"`options['reset_mask']` must have shape `({self.num_envs},)`, got {mask.shape}"
            )
        if mask.dtype != np.bool_:
            raise TypeError(f"`options['reset_mask']` must have `dtype=np.bool_`, got {mask.dtype}")
        if not mask.any():
            raise ValueError(
                "`options['reset_mask']` must contain a boolean array with at least one True value, "
                f"got reset_mask={mask}"
            )
        return mask

    def _streams(
        self, seed: int | Sequence[int | None] | None, rows: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """What a reset does with each row, and its seed; rows that never had a seed get one."""
        n = self.num_envs
        if isinstance(seed, Iterable):
            seeds = list(seed)
        else:
            seeds = [None] * n if seed is None else [seed + i for i in range(n)]
        if len(seeds) != n:
            problem = f"the length must match num_envs={n} but got length={len(seeds)}."
            raise ValueError(f"If seeds are passed as a list {problem}")
        seeds = [value if row else None for value, row in zip(seeds, rows.tolist(), strict=True)]
        for value in seeds:
            if value is not None and not (isinstance(value, int) and value >= 0):
                seeding.np_random(value)  # refuses it, in gymnasium's words
        given = np.array([value is not None for value in seeds])
        keys = seed_keys([value or 0 for value in seeds])
        new = rows & ~given & ~self._batch.state["rng"].any(axis=1)
        if new.any():
            keys[new] = self.np_random.integers(2**63, size=int(new.sum()))
        return np.where(rows, np.where(given | new, RESET_SEEDED, RESET), KEEP), keys

    def _checked_actions(self, actions: ArrayLike) -> NDArray[np.int64]:
        array = np.asarray(actions)
        if array.ndim == 0:
            raise TypeError(f"Unable to iterate over the following elements: {actions}")  # gymnasium's words
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
            raise ValueError(
                f"actions must be ({self.num_envs},) integers, got {array.dtype} of shape {array.shape}"
            )
        array = np.ascontiguousarray(array, np.int64)
        if (row := self._batch.first_wrong(array)) >= 0:
            raise AssertionError(
                f"{array[row]} invalid in environment {row}: the action space is {self.single_action_space}"
            )
        return array

    # ------------------------------------------------------------ outputs

    def _outputs(self) -> Outputs:
        if self._buffers is None:
            return self._batch.outputs()
        return self._buffers._replace(**self._batch.columns())

    def _infos(self, columns: Columns, mask: NDArray[np.uint8], present: NDArray[np.bool_]) -> dict[str, Any]:
        """Infos as gymnasium batches them.

        Args:
            columns: what is reported, zeros where nothing is.
            mask: (N, A) possible actions, zeros likewise.
            present: (N,) which environments report.
        """
        everywhere = present is self._everywhere
        infos: dict[str, Any] = self._by_all.copy() if everywhere else dict.fromkeys(self._by_all, present)
        infos.update(zip(self._names, chain(*columns), strict=False))  # a name a column: `zip` needs no check
        if self._batch.has_mask:
            infos["action_mask"], infos["_action_mask"] = mask.view(np.int8), present
        return infos

    def _add_finals(self, infos: dict[str, Any], ended: NDArray[np.intp]) -> None:
        """Adds what the episodes that ended in this step were like before their reset."""
        finals, final_obs = self._batch.finals, np.empty(self.num_envs, object)
        obs, present = finals.obs[ended], np.zeros(self.num_envs, np.bool_)
        for row, value in zip(ended.tolist(), obs.tolist() if self._number_obs else obs, strict=True):
            final_obs[row] = value
        present[ended] = True
        infos["final_obs"], infos["_final_obs"] = final_obs, present
        infos["final_info"] = self._infos(finals.columns, finals.mask, present)
        infos["_final_info"] = present

    def _count_returns(self, out: Outputs) -> None:
        self._returns += out.reward
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            self._returns[out.terminated | out.truncated] = 0.0
        elif self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self._returns[self._batch.state["elapsed"] == 0] = 0.0


def _checked_limit(max_episode_steps: int | None) -> int:
    """Steps after which an episode is truncated, 0 for never; raises ValueError for other numbers."""
    limit = settled("max_episode_steps", max_episode_steps, int | None)
    if limit in (None, -1):
        return 0
    if not 1 <= limit <= MOST_STEPS:
        raise ValueError(
            f"max_episode_steps must lie between 1 and {MOST_STEPS}, or be None or -1 for never, got {limit}"
        )
    return limit
