"""An episode as a data file: the seed and the actions, from which the world plays it again exactly."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from ...checking import load_object
from ...files import check_regular, write_whole
from .registry import WorldSpec, world_specs

if TYPE_CHECKING:
    from .env import WorldEnv

FORMAT = 2
"""Version of the file format; in the first one there was no `layout`."""
MAX_BYTES = 16 * 1024 * 1024
"""Larger files are refused unread."""


class ReplayError(ValueError):
    """A replay file that cannot be used, in one line."""


@dataclass(frozen=True)
class Replay:
    """One episode of a registered world."""

    id: str
    """Gymnasium id of the world, version included."""
    seed: int
    """Seed of the reset, 0 or more."""
    actions: tuple[int, ...]
    """The actions, in order."""
    config: dict[str, Any] = field(default_factory=dict)
    """Settings of the world that differ from the defaults, or all of them; plain JSON values."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the reset; plain JSON values."""
    agent: str = "unknown"
    """Who acted: an agent's name, or `human`."""
    score: float | None = None
    """Return of the episode."""
    state_hash: int | None = None
    """`state_hash()` after the last action, to tell a replay that went another way."""
    layout: int | None = None
    """`state_layout`: with another one than today's the score must tell instead."""

    def save(self, path: str | Path) -> None:
        """Writes the file at once or not at all.

        Args:
            path: where to; an existing file is replaced.

        Raises:
            OSError: when it cannot be written; what was there before is untouched.
            TypeError: when the config or the options hold what JSON cannot.
        """
        from ...version import __version__

        content = {"meze_replay": FORMAT, "version": __version__, **dataclasses.asdict(self)}
        content["actions"] = [int(action) for action in self.actions]
        content["score"] = None if self.score is None else float(self.score)
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        write_whole(path, text.encode())


@dataclass(frozen=True)
class ReplayStep:
    """What one action of a replay led to."""

    action: int
    obs: Any
    reward: float
    terminated: bool
    info: dict[str, Any]
    state: NDArray[Any]
    """(1,) record after the step, for a renderer."""


def load(path: str | Path) -> Replay:
    """Reads a replay file; it is data, and nothing in it is ever run.

    Args:
        path: the file.

    Returns:
        The replay, checked.

    Raises:
        ReplayError: for a file that is missing, truncated, altered, or from a newer version, and for a world
            that is not registered.
    """
    try:
        try:
            check_regular(path)
        except ValueError as error:
            raise ReplayError(str(error)) from None
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ReplayError(f"larger than {MAX_BYTES} bytes")
        content = json.loads(data, parse_constant=_refuse_constant)
        return _checked(content)
    except OSError as error:
        raise ReplayError(f"replay {path}: {error.strerror}") from None
    except ReplayError as error:
        raise ReplayError(f"replay {path}: {error}") from None
    except (ValueError, RecursionError):  # not UTF-8, not JSON, or absurd JSON
        raise ReplayError(f"replay {path}: truncated or not a replay file") from None


def play(replay: Replay) -> Iterator[ReplayStep]:
    """Plays an episode again, on a new environment of its world, without a time limit.

    Args:
        replay: the episode.

    Yields:
        One step an action.

    Raises:
        ReplayError: when the world refuses the config, the options or an action, when the episode ends before
            the actions do, or when it ends in another state than was recorded; where states were laid out
            otherwise (`Replay.layout`), with another score.
    """
    from .env import WorldEnv

    total = 0.0
    try:
        env = WorldEnv(_checked_world(replay.id, replay.config).world, **replay.config)
        env.reset(seed=replay.seed, options=replay.options)
        for action in replay.actions:
            obs, reward, terminated, _, info = env.step(action)
            total += reward
            yield ReplayStep(action, obs, reward, terminated, info, env.get_state())
    except ResetNeeded:
        raise ReplayError(f"replay of {replay.id}: the episode ends before the actions do") from None
    except (AssertionError, TypeError, ValueError) as error:
        raise ReplayError(f"replay of {replay.id}: {error}") from error
    is_other = replay.state_hash is not None and replay.state_hash not in _end_hashes(env)
    if is_other and (replay.layout == env.state_layout or replay.score != total):
        raise ReplayError(f"replay of {replay.id}: the episode went another way than it was recorded")


def _end_hashes(env: WorldEnv) -> tuple[int, int]:
    """The hash of the state as it is, and as an environment with a time limit marks it when it truncates."""
    as_played = env.state_hash()
    record = env.get_state()
    record["done"] = True
    env.set_state(record)
    return as_played, env.state_hash()


def _checked_world(world_id: str, config: Mapping[str, Any]) -> WorldSpec:
    """The world of an id; a file names only what is registered, and only its own settings."""
    spec = next((spec for spec in world_specs() if spec.id == world_id), None)
    if spec is None:
        raise ReplayError(f"of a world that is not registered here: {world_id!r}")
    known = {setting.name for setting in dataclasses.fields(load_object(spec.config))}
    if unknown := sorted(config.keys() - known):
        raise ReplayError(f"{world_id} has no setting {unknown[0]!r}")
    return spec


def _refuse_constant(name: str) -> Any:
    raise ReplayError(f"{name} is not a number")


def _is_int(value: Any) -> bool:
    return type(value) is int


_HASH = (
    lambda value: value is None or (_is_int(value) and 0 <= value < 1 << 64),
    "an integer from 0 to 2**64 - 1, or null",
)
# What each entry of the file must be.
_CHECKS = {
    "id": (lambda value: isinstance(value, str), "text"),
    "seed": (lambda value: _is_int(value) and 0 <= value < 1 << 64, "an integer from 0 to 2**64 - 1"),
    "actions": (lambda value: isinstance(value, list) and all(map(_is_int, value)), "a list of integers"),
    "config": (lambda value: isinstance(value, dict), "an object"),
    "options": (lambda value: isinstance(value, dict), "an object"),
    "agent": (lambda value: isinstance(value, str), "text"),
    "score": (
        lambda value: value is None or (type(value) in (int, float) and abs(value) <= sys.float_info.max),
        "a number or null",
    ),
    "state_hash": _HASH,
    "layout": _HASH,
}


def _checked(content: Any) -> Replay:
    if not isinstance(content, dict) or "meze_replay" not in content:
        raise ReplayError("not a replay file")
    version = content.pop("meze_replay")
    if not _is_int(version) or version < 1:
        raise ReplayError("altered: 'meze_replay' must be the number of a format")
    if version > FORMAT:
        raise ReplayError(f"made by a newer version of meze ({content.get('version')}); please update")
    content.pop("version", None)
    if version == 1:
        content.setdefault("layout", None)
    if content.keys() != _CHECKS.keys():
        odd = sorted(content.keys() ^ _CHECKS.keys())
        raise ReplayError(f"altered: entries missing or not known: {', '.join(map(repr, odd))}")
    for name, (is_fine, wanted) in _CHECKS.items():
        if not is_fine(content[name]):
            raise ReplayError(f"altered: {name!r} must be {wanted}")
    _checked_world(content["id"], content["config"])
    score = content["score"]
    content |= {"actions": tuple(content["actions"]), "score": None if score is None else float(score)}
    return Replay(**content)
