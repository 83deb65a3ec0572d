"""Environments of others: what may be set of them, and whether they do what Gymnasium's API promises."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple
from gymnasium.vector import VectorEnv, VectorWrapper

from ...agents.spaces import describe

Plain = bool | int | float | str | None
"""What an argument may be whose type nobody tells: the first of these that a word can be read as."""
MAKES = frozenset({"id", "max_episode_steps", "disable_env_checker", "render_mode", "num_envs", "kwargs"})
"""Arguments of `gymnasium.make`, and what is set by flags of their own; they can't be an environment's."""


# --- Settings -------------------------------------------------------------------------------------------


def config_of(constructor: Callable[..., Any], given: Mapping[str, Any], *, named: bool) -> type:
    """A frozen dataclass of a constructor's arguments.

    Without `named`, only those that have a number, a switch or a word as default. With it all whose type is
    plain, or not told; None is then an argument that is not given, and `kwargs` holds further ones as JSON.

    Args:
        constructor: the class, or a function that makes the environment.
        given: what its registration sets.
        named: whether the user named the package on the command line. If not, a file that a stranger wrote
            may be all that names the environment, and must set no more than its author meant to be set.
    """
    hints = _hints(constructor) if named else {}
    fields: list[tuple[str, Any, Any]] = []
    for name, parameter in inspect.signature(constructor).parameters.items():
        default = given.get(name, parameter.default)
        if name in MAKES or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if type(default) in (bool, int, float, str):
            fields.append((name, type(default), dataclasses.field(default=default)))
        elif named and (default is None or default is parameter.empty):
            kind = hints.get(name, Plain)
            if _is_plain(kind):
                needed = {"needed": default is parameter.empty}
                fields.append((name, kind | None, dataclasses.field(default=None, metadata=needed)))
    if named:
        fields.append(("kwargs", str, dataclasses.field(default="{}")))
    return dataclasses.make_dataclass("EnvConfig", fields, frozen=True)


def arguments_of(config: Any, name: str) -> dict[str, Any]:
    """The constructor's arguments that a config holds.

    Args:
        config: a world's, or one of `config_of`.
        name: what messages call the environment.

    Raises:
        ValueError: one line, for an argument that is needed and not given, or JSON that holds no arguments.
    """
    found = {}
    for field in dataclasses.fields(config):
        found[field.name] = getattr(config, field.name)
        if field.metadata and found[field.name] is None:
            del found[field.name]
    more = _read(found.pop("kwargs", "{}"))
    if twice := sorted(more.keys() & found.keys()):
        raise ValueError(f"--env-kwargs names {twice[0]}, which is --env.{twice[0].replace('_', '-')}")
    given = found | more
    needed = [field.name for field in dataclasses.fields(config) if field.metadata.get("needed")]
    if missing := [each for each in needed if each not in given]:
        flags = ", ".join(f"--env.{each.replace('_', '-')}" for each in missing)
        raise ValueError(f"{name} needs {flags}, which {'have' if missing[1:] else 'has'} no default")
    return given


def _read(text: str) -> dict[str, Any]:
    try:
        more = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--env-kwargs is not JSON: {error}") from None
    if not isinstance(more, dict):
        raise ValueError(f"--env-kwargs is a JSON object, as in '{{\"size\": 8}}'; got {text}")
    if taken := sorted(more.keys() & MAKES):
        raise ValueError(f"--env-kwargs can't set {taken[0]}, which is no argument of the environment's own")
    return more


def _hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    """Type hints of the arguments; none where they can't be read, as where they name what is not there."""
    try:
        return typing.get_type_hints(constructor.__init__ if inspect.isclass(constructor) else constructor)
    except Exception:
        return {}


def _is_plain(kind: Any) -> bool:
    """Whether a word of the command line, and a value in JSON, can be of a type."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return all(type(each) in (bool, int, str) for each in inner)
    if origin in (Union, types.UnionType):
        return all(each is types.NoneType or _is_plain(each) for each in inner)
    if origin is tuple:
        return bool(inner) and all(each is ... or each in (bool, int, float, str) for each in inner)
    return kind in (bool, int, float, str, Path)


# --- Promises -------------------------------------------------------------------------------------------


class Checked(gym.Wrapper):
    """An environment of others that lets nothing pass which is not of its spaces, however late it comes.

    Whether all are numbers is looked at in a batch, which is quicker; see `FiniteVectorEnv`.

    Raises:
        ValueError: one line, here and in each method.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        for name in ("observation_space", "action_space"):
            space = getattr(env.unwrapped, name, None)
            if not isinstance(space, Space):
                what = f"it has no {name}" if space is None else f"its {name} is {space!r}, no space"
                raise broken(env, what)
        self.observation_space = env.observation_space  # said once, since it is asked for at every step

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begins an episode; see `Env.reset`."""
        obs, info = self.env.reset(seed=seed, options=options)
        self._look_at(obs)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes a step; see `Env.step`."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._look_at(obs)
        return obs, reward, terminated, truncated, info

    def render(self) -> Any:
        """Draws a picture; see `Env.render`."""
        picture: Any = self.env.render()
        is_array = isinstance(picture, np.ndarray) and picture.dtype == np.uint8
        if self.render_mode == "rgb_array" and not (is_array and picture.shape[2:] == (3,)):
            what = f"its render returns what is {_kind(picture)}"
            raise broken(self, f"{what}, no picture of shape (height, width, 3) and type uint8")
        return picture

    def _look_at(self, obs: Any) -> None:
        space = self.observation_space
        if isinstance(space, Discrete):  # what nearly all are is told in a fraction of the time of a step
            usual = isinstance(obs, int | np.integer) and space.start <= obs < space.start + space.n
        else:
            usual = isinstance(space, Box) and isinstance(obs, np.ndarray) and obs.dtype == space.dtype
            usual = usual and obs.shape == space.shape
        if not usual:
            _check_obs(self, space, obs, "observation")


def check_drawn(name: str, maker: Callable[..., Any], made: Mapping[str, Any] | None = None) -> None:
    """Refuses an environment that makes no pictures.

    Args:
        name: what messages call the environment.
        maker: its class, or a function that makes it.
        made: its metadata; None before it is made: then what keeps it from being made is refused.

    Raises:
        ValueError: one line that says what it lacks, and what to add.
    """
    parameters = inspect.signature(maker).parameters.values()
    asked = any(each.name == "render_mode" or each.kind is each.VAR_KEYWORD for each in parameters)
    if asked and made is None:
        return
    modes = (getattr(maker, "metadata", None) or {} if made is None else made).get("render_modes", ())
    needed = {
        "argument render_mode": (asked, "`render_mode=None` to its __init__, kept as self.render_mode"),
        "render mode rgb_array": (
            "rgb_array" in modes,
            '`metadata = {"render_modes": ["rgb_array"], "render_fps": 4}` to its class',
        ),
        "method render": (
            getattr(maker, "render", None) is not gym.Env.render,
            "one that returns a picture, (height, width, 3) of uint8",
        ),
    }
    missing = {what: how for what, (there, how) in needed.items() if not there}
    if missing:
        lacks, adds = " and no ".join(missing), ", and ".join(missing.values())
        raise ValueError(f"{name} can't be drawn: it has no {lacks}; add {adds}")


_sound: set[str] = set()
"""Environments, with their settings, that have been looked at in this process."""


def check_once(env: gym.Env, settings: Any) -> None:
    """The same as `check_begin`, once for each environment and its settings: a step may take seconds."""
    key = f"{type(env.unwrapped)} {env.spec.id if env.spec else ''} {settings}"
    if key not in _sound:
        check_begin(env)
        _sound.add(key)


def check_begin(env: gym.Env) -> None:
    """Begins an episode and takes one step, as a batch will, and looks at what comes back.

    Raises:
        ValueError: one line that names what is wrong, with shapes.
    """
    own = env.unwrapped
    parameters = inspect.signature(own.reset).parameters.values()
    if not any(each.name == "seed" or each.kind is each.VAR_KEYWORD for each in parameters):
        raise broken(env, "its reset takes no seed; it is reset(self, *, seed=None, options=None)")
    begun: Any = own.reset(seed=0)
    if not isinstance(begun, tuple) or len(begun) != 2:
        raise broken(env, f"its reset returns {_kind(begun)}, not (observation, info)")
    _check_obs(env, own.observation_space, begun[0], "observation")
    own.action_space.seed(0)
    masked = isinstance(begun[1], dict) and "action_mask" in begun[1]
    if masked and not isinstance(own.action_space, Discrete):
        return  # which actions are possible only the environment's author can say
    action = own.action_space.sample(begun[1]["action_mask"]) if masked else own.action_space.sample()
    done: Any = own.step(action)
    if not isinstance(done, tuple) or len(done) != 5:
        wanted = "(observation, reward, terminated, truncated, info)"
        raise broken(env, f"its step returns {_kind(done)}, not {wanted}")
    _check_obs(env, own.observation_space, done[0], "observation")
    if np.shape(done[1]) != () or np.asarray(done[1]).dtype.kind not in "biuf":
        raise broken(env, f"its rewards are {_shape(done[1])}; a reward is one number")
    if not math.isfinite(done[1]):
        raise broken(env, f"its reward is {float(done[1])}")
    for name, value in zip(("terminated", "truncated"), done[2:4], strict=True):
        if not isinstance(value, bool | np.bool_):
            raise broken(env, f"{name} is {value!r}, neither True nor False")


def _check_obs(env: gym.Env, space: Space, obs: Any, name: str) -> None:
    """Compares an observation with its space, part by part."""
    if isinstance(space, Dict | Tuple):
        parts: dict[Any, Space] = (
            dict(space.spaces) if isinstance(space, Dict) else dict(enumerate(space.spaces))
        )
        is_kind = isinstance(obs, dict if isinstance(space, Dict) else tuple)
        keys = set(obs) if isinstance(obs, dict) else set(range(len(obs))) if is_kind else None
        if keys != set(parts):
            raise broken(env, f"its {name} is {_kind(obs)}, its observation space {describe(space)}")
        for key, part in parts.items():
            _check_obs(env, part, obs[key], f"{name}[{key!r}]")
    elif space.shape is not None and space.dtype is not None:
        try:
            array = np.asarray(obs)
        except ValueError:  # rows of different lengths
            raise broken(
                env, f"its {name} is {_kind(obs)}, its observation space {describe(space)}"
            ) from None
        if array.shape != space.shape or not np.can_cast(array.dtype, space.dtype, "same_kind"):
            raise broken(env, f"its {name} is {_shape(obs)}, its observation space {describe(space)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise broken(env, f"its {name} of shape {array.shape} holds {_strange(array)}")
        if not isinstance(space, Box) and not space.contains(obs):
            raise broken(env, f"its {name} is {' '.join(str(obs).split())}, outside {describe(space)}")


def broken(env: gym.Env | str, what: str) -> ValueError:
    """The error for an environment, or its name, that does not do what Gymnasium's API promises."""
    if not isinstance(env, str):
        own = env.unwrapped
        env = own.spec.id if own.spec else type(own).__name__
    return ValueError(f"the environment {env} is broken: {what}")


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return _shape(value) if isinstance(value, np.ndarray) else f"of type {type(value).__name__}"


def _shape(value: Any) -> str:
    array = np.asarray(value)
    return f"of shape {array.shape} and type {array.dtype}"


def _strange(values: np.ndarray) -> str:
    return "nan" if np.isnan(values).any() else "inf"


class FiniteVectorEnv(VectorWrapper):
    """A batch of environments of others that lets nothing pass which is no number, however late it comes.

    Args:
        env: the batch.
        name: what messages call the environment.
    """

    def __init__(self, env: VectorEnv, name: str) -> None:
        super().__init__(env)
        self._name = name
        self._real = isinstance(env.observation_space, Box) and env.observation_space.dtype.kind == "f"  # type: ignore[union-attr]

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begins episodes; see `VectorEnv.reset`."""
        obs, infos = self.env.reset(seed=seed, options=options)
        self._check("observation", obs)
        return obs, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes one step in every environment; see `VectorEnv.step`."""
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        self._check("observation", obs)
        self._check("reward", rewards)
        if "final_obs" in infos:
            for k in np.flatnonzero(infos["_final_obs"]):
                self._check("observation", infos["final_obs"][k])
        return obs, rewards, terminated, truncated, infos

    def _check(self, name: str, values: np.ndarray) -> None:
        if (self._real or name == "reward") and not np.isfinite(values).all():
            one = "" if name == "reward" else f" of shape {self.single_observation_space.shape}"
            raise broken(self._name, f"its {name}{one} is {_strange(values)} after some steps")
