"""`WorldEnv`: a world as a `gymnasium.Env`, a batch of one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import logger
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from numpy.typing import ArrayLike, NDArray

from ...checking import did_you_mean
from .batch import DISABLED, RESET, RESET_SEEDED, Batch
from .window import Window
from .world import World, make_world


class WorldAccess:
    """What single and vector environments of a world offer beyond gymnasium."""

    _batch: Batch
    _renderer: Any = None
    _window: Window | None = None

    @property
    def world(self) -> World:
        """The world."""
        return self._batch.world

    @property
    def params(self) -> Any:
        """The world's read-only tables."""
        return self._batch.params

    @property
    def state(self) -> NDArray[Any]:
        """The live (N,) state records, not writable here: `set_state` writes."""
        view = self._batch.state.view()
        view.flags.writeable = False
        return view

    def get_state(self, indices: ArrayLike | None = None) -> NDArray[Any]:
        """Copies state records: random stream, elapsed steps and pending autoreset included.

        Args:
            indices: which environments (integers or a bool mask); None for all.

        Returns:
            (K,) structured array of the world's state dtype.
        """
        return self._batch.get_state(indices)

    def set_state(self, records: NDArray[Any], indices: ArrayLike | None = None) -> None:
        """Puts state records back, of this or another environment of the same world and config.

        Args:
            records: (K,) structured array as `get_state` gives; checked, so it may come from a file.
            indices: which environments to overwrite (integers or a bool mask); None for all.

        Raises:
            ValueError: when the records do not fit, or hold what no state of the world can hold.
        """
        self._batch.set_state(records, indices)

    def weigh_levels(self, weights: ArrayLike) -> None:
        """Draws levels by weights at resets from now on, in this environment alone; see `World.level_option`.

        Args:
            weights: (M,) integers from 0, one a level, which add up to 1 at least.

        Raises:
            ValueError: one line, for other weights, or a world without levels.
        """
        self._batch.weigh_levels(weights)

    @property
    def state_layout(self) -> int:
        """Names in 64 bits how state records lie in memory; another version of meze may lay them out anew."""
        return self._batch.layout

    @property
    def reference_names(self) -> tuple[str, ...]:
        """Names of the world's reference policies."""
        return tuple(self.world.references())

    def reference(self, name: str) -> Callable[[], NDArray[np.int64]]:
        """A reference policy on this environment's current states.

        Args:
            name: one of `reference_names`.

        Returns:
            Function without arguments that gives (N,) actions.

        Raises:
            ValueError: for an unknown name.
        """
        policies = self.world.references()
        if name not in policies:
            problem = f"{type(self.world).__name__} has no reference policy {name!r}"
            raise ValueError(problem + did_you_mean(name, policies))
        policy = policies[name]
        return lambda: policy(self._batch.params, self._batch.state)

    def _draw(self, i: int, total: float) -> NDArray[np.uint8]:
        if self._renderer is None:
            self._renderer = self.world.renderer()
        return self._renderer.draw(self._batch.state, i, hud={"return": f"{total:.2f}"})

    def _close(self) -> None:
        if self._window is not None:
            self._window.close()
        self._window = self._renderer = None
        if hasattr(self, "_batch"):  # gymnasium closes on collection, also what was never made to the end
            self._batch.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leaves behind what belongs to this process's screen."""
        return {**self.__dict__, "_renderer": None, "_window": None}


def world_of(env: gymnasium.Env | VectorEnv) -> World | None:
    """The world of an environment, however it is wrapped; None for the environments of others."""
    bare = env.unwrapped
    return bare.world if isinstance(bare, WorldAccess) else None


def check_render_mode(render_mode: str | None, modes: Sequence[str]) -> None:
    """Raises ValueError for a render mode that is not offered."""
    if render_mode is not None and render_mode not in modes:
        raise ValueError(f"render_mode {render_mode!r} is not one of {', '.join(modes)}")


class WorldEnv(WorldAccess, gymnasium.Env):
    """One environment of a world.

    It does not truncate: `gymnasium.make` wraps it in a `TimeLimit`. Every step returns fresh objects;
    `info` holds the world's `info` fields, the reward's summands as `reward_<name>`, and `action_mask` (int8,
    1 where the action is possible) where the world has masks.
    """

    metadata: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 10}

    def __init__(
        self, world: str | type[World] | World, render_mode: str | None = None, **settings: Any
    ) -> None:
        """Makes the world and one record.

        Args:
            world: the world's class, or where it is, as `package.module:Class`; or a world that is made
                already, to share its tables.
            render_mode: None, "rgb_array" (`render` returns a picture) or "human" (a window follows).
            **settings: fields of the world's config.

        Raises:
            TypeError: for a setting that the config does not have.
            ValueError: for a setting's value or a render mode that is not possible.
        """
        check_render_mode(render_mode, self.metadata["render_modes"])
        made = make_world(world, settings)
        self.metadata = {**self.metadata, "render_fps": made.render_fps}
        self.render_mode = render_mode
        self.observation_space = made.observation_space
        self.action_space = made.action_space
        self._batch = Batch(made)
        self._action = np.zeros(1, np.int64)
        self._out = self._batch.outputs()
        self._number_obs = isinstance(made.observation_space, Discrete)
        self._playing = False  # an episode has begun and not terminated
        self._return = 0.0

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode.

        Args:
            seed: starts the random stream of that seed; None goes on with the current one.
            options: reset options of the world.

        Returns:
            Observation and info.

        Raises:
            ValueError: for an option that the world does not have.
        """
        super().reset(seed=seed)
        fields = self.world.reset_fields(dict(options or {}))
        if seed is None and not self._batch.ready:
            seed = int(self.np_random.integers(2**63))
        out = self._batch.outputs()
        command = np.array([RESET if seed is None else RESET_SEEDED])
        self._batch.reset(command, seed_keys([seed or 0]), fields, out)
        self._playing, self._return = True, 0.0
        if self.render_mode == "human":
            self.render()
        return self._observation(out.obs), self._info(out.mask)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes one step.

        Args:
            action: integer in the action space.

        Returns:
            Observation, reward, terminated, False, info.

        Raises:
            AssertionError: for an action out of range, as Gymnasium's own environments do.
            ResetNeeded: before the first reset, and after an episode has terminated.
        """
        if not self._playing:
            raise ResetNeeded("call reset() before step(): no episode is under way")
        try:
            index = operator.index(action)
        except TypeError:
            index = -1
        if not 0 <= index < self._batch.num_actions:
            raise AssertionError(
                f"{action!r} ({type(action)}) invalid: the action space is {self.action_space}"
            )
        self._action[0] = index
        out = self._batch.outputs(self._out)
        self._batch.step(self._action, DISABLED, 0, out)
        reward, terminated = out.reward.item(), out.terminated.item()
        self._playing = not terminated
        self._return += reward
        if self.render_mode == "human":
            self.render()
        return self._observation(out.obs), reward, terminated, False, self._info(out.mask)

    def observe(self) -> Any:
        """The observation of the current state, for use after `set_state`."""
        return self._observation(self._batch.observe()[0])

    def action_masks(self) -> NDArray[np.int8]:
        """(A,) actions possible in the current state, 1 where possible (sb3-contrib asks by this name)."""
        return vector_masks(self._batch)[0]

    def set_state(self, records: NDArray[Any], indices: ArrayLike | None = None) -> None:
        """Puts a state record back (see `WorldAccess.set_state`); `observe()` then gives its observation."""
        super().set_state(records, indices)
        self._playing = self._batch.ready and not self._batch.state["done"][0]
        self._return = 0.0

    def state_hash(self) -> int:
        """Names the state in 64 bits."""
        return int(self._batch.state_hash()[0])

    def clone(self) -> WorldEnv:
        """An independent environment in the same state; it shares the read-only tables."""
        return deepcopy(self)

    def render(self) -> NDArray[np.uint8] | None:
        """Draws the state: (height, width, 3) uint8 in mode "rgb_array"; mode "human" shows it instead."""
        if self.render_mode is None:
            logger.warn('render() needs a render_mode, as in gymnasium.make(..., render_mode="rgb_array")')
            return None
        picture = self._draw(0, self._return)
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            self._window = Window(type(self.world).__name__, self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Closes the window."""
        self._close()

    def _observation(self, obs: NDArray[Any]) -> Any:
        return obs.item() if self._number_obs else obs[0]

    def _info(self, mask: NDArray[np.uint8]) -> dict[str, Any]:
        info = self._batch.reports.read_one(self._batch.state)
        if self._batch.has_mask:
            info["action_mask"] = mask[0].view(np.int8)
        return info


class MOWorldEnv(WorldEnv):
    """One environment whose reward is a vector, as MO-Gymnasium has it: the world's own, then its costs.

    Costs are negative there, since more of a reward is better. `gymnasium.make` does not make it: its checks
    want rewards that are numbers.

    Attributes:
        reward_space: `Box` of (1 + K,) float32 for K costs.
    """

    def __init__(
        self, world: str | type[World] | World, render_mode: str | None = None, **settings: Any
    ) -> None:
        """See `WorldEnv`.

        Raises:
            ValueError: when the world tells no costs.
        """
        super().__init__(world, render_mode, **settings)
        self._costs = [cost.name for cost in self.world.costs]
        if not self._costs:
            raise ValueError(f"{type(self.world).__name__} tells no costs apart")
        self.reward_space = Box(-np.inf, np.inf, (1 + len(self._costs),), np.float32)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes one step; the reward is (1 + K,) float32."""
        obs, reward, terminated, truncated, info = super().step(action)
        paid = [-float(info[name]) for name in self._costs]
        return obs, np.array([reward, *paid], np.float32), terminated, truncated, info


def seed_keys(seeds: Sequence[int]) -> NDArray[np.uint64]:
    """Seeds as the stream takes them: modulo 2**64, the number of keys."""
    return np.array([seed % (1 << 64) for seed in seeds], np.uint64)


def vector_masks(batch: Batch) -> NDArray[np.int8]:
    """(N, A) possible actions of a batch's current states; all ones where the world has no masks."""
    if not batch.has_mask:
        return np.ones((batch.num_envs, batch.num_actions), np.int8)
    return batch.observe()[1].view(np.int8)
