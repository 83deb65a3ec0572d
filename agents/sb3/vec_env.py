"""`MezeVecEnv`: a native batch of environments for stable-baselines3's own scripts.

from meze.agents.sb3.vec_env import MezeVecEnv
from stable_baselines3 import PPO

PPO("MlpPolicy", MezeVecEnv("meze/City-v0", num_envs=64)).learn(1_000_000)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from .spaces import Codec, counted

MASKS = "action_masks"
"""The method by which sb3-contrib asks an environment what is possible."""
_FINALS = ("final_obs", "final_info")


class MezeVecEnv(VecEnv):
    """stable-baselines3's view of a gymnasium vector environment that resets in the same step.

    Where an episode ends, the environment's info holds what its last step reported, `terminal_observation`,
    `TimeLimit.truncated` (cut off and not terminated), `episode` (return, length, time, as `Monitor` counts
    them) and, where the last step reported `success`, `is_success`. In all other steps it is an empty dict:
    `info` has the whole batch's columns of every step. List and dicts are new at each step, the caller's to
    write to.

    stable-baselines3 takes every uint8 box of three axes for a picture and moves its last axis to the front,
    unless the first one is the shortest. Planes stand first already in the project's grids; a network for
    which the order of the axes matters needs `VecTransposeImage(MezeVecEnv(...), skip=True)`.

    It counts numbers from 0: observations and actions of a space that begins elsewhere are shifted.

    Attributes:
        env: the vector environment.
        info: infos of the last step or reset, as the vector environment gives them.
    """

    def __init__(
        self,
        env: str | VectorEnv,
        num_envs: int | None = None,
        *,
        actions: Codec | None = None,
        **settings: Any,
    ) -> None:
        """Makes the environments, or takes those that are given.

        Args:
            env: id of one of the project's worlds (or a plug-in's); or any vector environment whose autoreset
                mode is `SAME_STEP` and which returns fresh arrays.
            num_envs: how many to make; 1 by default.
            actions: how actions are seen; by default as they are, but numbers from 0.
            **settings: fields of the world's config, and `num_threads`, `max_episode_steps`, `render_mode`.

        Raises:
            TypeError: for settings beside a vector environment, or ones that the world does not have.
            ValueError: for another autoreset mode, or a setting's value that is not possible.
        """
        if isinstance(env, str):
            num_envs = 1 if num_envs is None else num_envs
            env = gymnasium.make_vec(env, num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **settings)
        elif settings or num_envs is not None:
            raise TypeError(f"settings are for an id; {env} is made already")
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(f"stable-baselines3 needs autoreset mode SAME_STEP; {env} has {mode}")
        self._observations = counted(env.single_observation_space)
        self._actions_codec = actions or counted(env.single_action_space)
        self.env = env
        self.info: Any = {}
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, np.int64)
        self._start = time.perf_counter()
        super().__init__(env.num_envs, self._observations.space, self._actions_codec.space)
        self.metadata = {**env.metadata, **self.metadata}  # `render_fps` is that of videos

    # ------------------------------------------------------------ stepping

    def reset(self) -> NDArray:
        """Begins episodes everywhere, with the seeds and options that were set, and returns observations."""
        if any(options != self._options[0] for options in self._options):
            raise ValueError("all environments of a batch take the same reset options")
        seeds = None if None in self._seeds else self._seeds
        obs, self.info = self.env.reset(seed=seeds, options=self._options[0] or None)  # type: ignore[arg-type]
        self._returns[:], self._lengths[:] = 0.0, 0
        self.reset_infos = [_row(self.info, i) for i in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return self._observations.encode(obs)

    def step_async(self, actions: NDArray) -> None:
        """Takes the (N,) actions."""
        self._actions = self._actions_codec.decode(actions)

    def step_wait(self) -> tuple[NDArray, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Steps; returns fresh (N, ...) observations, (N,) rewards and ends, and N infos."""
        obs, reward, terminated, truncated, self.info = self.env.step(self._actions)
        self._returns += reward
        self._lengths += 1
        ended = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if ended.any():
            self._finish(infos, np.flatnonzero(ended), truncated & ~terminated)
        return self._observations.encode(obs), reward.astype(np.float32), ended, infos

    def _finish(self, infos: list[dict[str, Any]], rows: NDArray[np.intp], cut: NDArray[np.bool_]) -> None:
        """Writes the infos of the rows whose episodes ended with this step; their next ones have begun."""
        seconds = round(time.perf_counter() - self._start, 6)
        for row in rows.tolist():
            begun = _row(self.info, row)
            final = {name: begun.pop(name) for name in _FINALS}
            infos[row] = info = dict(final["final_info"])
            if "success" in info:
                info["is_success"] = bool(info["success"])
            info["terminal_observation"] = self._observations.encode(np.asarray(final["final_obs"])[None])[0]
            info["TimeLimit.truncated"] = bool(cut[row])
            length = int(self._lengths[row])
            info["episode"] = {"r": float(self._returns[row]), "l": length, "t": seconds}
            self.reset_infos[row] = begun
        self._returns[rows], self._lengths[rows] = 0.0, 0

    def close(self) -> None:
        """Closes the environments."""
        self.env.close()

    def get_images(self) -> list[NDArray[np.uint8] | None]:
        """A picture of each environment, if the render mode is "rgb_array"."""
        return list(self.env.render() or [None] * self.num_envs)  # type: ignore[arg-type]

    # ------------------------------------------------------------ attributes and methods of each environment

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of some environments; those of a native batch share all but their states."""
        inner: Any = self.env.unwrapped
        if hasattr(inner, "get_attr"):
            values = inner.get_attr(attr_name)
        elif attr_name == "state":
            values = np.split(inner.state, self.num_envs)
        else:
            single = f"single_{attr_name}"  # a space of the batch has one beside it of each environment
            values = [getattr(inner, single if hasattr(inner, single) else attr_name)] * self.num_envs
        return [values[i] for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute in all environments.

        Raises:
            ValueError: for some of them only.
        """
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError("an attribute is set in all environments of a batch, or in none")
        inner: Any = self.env.unwrapped
        if hasattr(inner, "set_attr"):
            inner.set_attr(attr_name, value)
        else:
            setattr(inner, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method: `action_masks` of any environments, which sb3-contrib asks for; others of them all.

        Raises:
            AttributeError: for a method that a native batch does not have for each environment.
            ValueError: for another method than `action_masks` of some environments only.
        """
        chosen = list(self._get_indices(indices))
        if method_name == MASKS and "action_mask" in self.info:
            return [self.info["action_mask"][i] != 0 for i in chosen]
        inner: Any = self.env.unwrapped
        if method_name == MASKS and hasattr(inner, MASKS):
            masks = inner.action_masks()
            return [masks[i] != 0 for i in chosen]
        if not hasattr(inner, "call"):
            raise AttributeError(f"a native batch has no method {method_name!r} of one environment")
        if len(chosen) != self.num_envs:
            raise ValueError("a method is called in all environments of a batch, or in none")
        return list(inner.call(method_name, *method_args, **method_kwargs))

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether environments have a wrapper: none but `Monitor`, whose counts they report themselves."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]


def _row(info: Any, row: int) -> dict[str, Any]:
    """One environment's info, out of a list of them or of a batch's, as gymnasium batches them.

    What a wrapper adds without a mask `_<name>`, as `RecordEpisodeStatistics` does, is of all environments.
    """
    if not isinstance(info, Mapping):
        return dict(info[row])
    return {
        name: _row(column, row) if isinstance(column, dict) else column[row]
        for name, column in info.items()
        if name[0] != "_" and ("_" + name not in info or info["_" + name][row])
    }
