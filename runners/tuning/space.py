"""What a study searches: marks of an agent's settings (`agents.ranges`), as a user's file narrows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from ...agents.ranges import Choices, Range, Searched, current, searchable
from ...checking import did_you_mean
from ..setup.files import read_toml
from ..setup.settings import flags, override, to_plain

Space: TypeAlias = Mapping[str, Searched]
"""Names of an agent's settings as of flags, without `agent.`, to what they may be."""
PREFIX = "agent."
"""What stands before these names where people read or write them."""


def space_of(name: str, config: Any, file: Path | None = None) -> Space:
    """What is searched for an agent.

    Args:
        name: of the agent.
        config: the settings with which it is trained but for those that are searched.
        file: TOML file that names what is searched alone: `agent.gamma = true` for all that the agent marks,
            `[0.9, 0.99]` for a few values, `{ low = 0.9, high = 0.99 }` for a part.

    Raises:
        ValueError: one line, when nothing can be searched, or the file names what can't be.
    """
    there = _marks(config)
    if not there:
        raise ValueError(f"{name} marks no setting that can be searched")
    if file is None:
        return there
    wanted = _named(read_toml(file), flags(config, PREFIX))
    found = {}
    for setting, value in wanted.items():
        mark = there.get(setting.removeprefix(PREFIX)) if setting.startswith(PREFIX) else None
        if mark is None:
            known = [PREFIX + each for each in there]
            hint = did_you_mean(setting, known, f"there are {', '.join(known)}")
            exists = setting in flags(config, PREFIX)
            what = "of {} may not be searched" if exists else "is none of the settings of {}"
            raise ValueError(f"{file}: {setting} {what.format(name)}{hint}")
        found[setting.removeprefix(PREFIX)] = _part(mark, value, f"{file}: {setting}")
    if not found:
        raise ValueError(f"{file} names no setting to be searched")
    return found


def _marks(config: Any) -> dict[str, Searched]:
    """What an agent marks of the settings that matter, and their present values, which may lie outside."""
    marked = searchable(type(config))
    return {name: _with(marked[name], value) for name, value in current(config, marked).items()}


def _with(mark: Searched, value: Any) -> Searched:
    """A mark that holds a value, too, where there is one: a logarithmic range never reaches 0."""
    if value in mark:
        return mark
    if isinstance(mark, Choices):
        values = (*mark.values, value)
        return Choices(*sorted(values)) if all(isinstance(each, (int, float)) for each in values) else mark
    fits = isinstance(value, int if mark.whole else (int, float)) and not isinstance(value, bool)
    if not fits or mark.log and value <= 0:
        return mark
    value = value if mark.whole else float(value)
    return dataclasses.replace(mark, low=min(mark.low, value), high=max(mark.high, value))


def _named(table: Mapping[str, Any], known: list[str]) -> dict[str, Any]:
    """Dotted names to what stands there; a table is part of a name unless that is a setting's already."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if isinstance(value, dict) and name not in known and not set(value) <= {"low", "high", "log"}:
            below = [each.partition(".")[2] for each in known if each.startswith(f"{name}.")]
            found |= {f"{name}.{inner}": each for inner, each in _named(value, below).items()}
        else:
            found[name] = value
    return found


def _narrowed(mark: Searched, value: Any) -> Searched:
    """Part of what a mark allows.

    Raises:
        ValueError: when it is none.
        OverflowError: for a whole number beyond all real ones.
    """
    if value is True:
        return mark
    if isinstance(value, list) and value:
        values = [tuple(each) if isinstance(each, list) else each for each in value]
        marked = (mark.low,) if isinstance(mark, Range) else mark.values
        if all(isinstance(each, float) for each in marked):
            values = [float(each) if type(each) is int else each for each in values]
        narrowed: Searched = Choices(*values)
        strange = [each for each in values if each not in mark]
    elif isinstance(value, dict) and set(value) <= {"low", "high", "log"} and isinstance(mark, Range):
        ends = {end: each for end, each in value.items() if end != "log"}
        kinds = (int,) if mark.whole else (int, float)
        if type(value.get("log", False)) is not bool or any(type(end) not in kinds for end in ends.values()):
            what = "whole numbers" if mark.whole else "numbers"
            raise ValueError(f"low and high are {what}, and log is true or false")
        if not mark.whole:
            ends = {end: float(each) for end, each in ends.items()}
        narrowed = dataclasses.replace(mark, **value | ends)
        strange = [] if narrowed in mark else [narrowed]
    else:
        raise ValueError("takes true, a list of values, or for a range { low = ..., high = ... }")
    if strange:
        told = strange[0] if isinstance(strange[0], Range) else to_plain(strange[0])
        raise ValueError(f"lies in {mark}; got {told}")
    return narrowed


def _part(mark: Searched, value: Any, where: str) -> Searched:
    """Part of what a mark allows; see `_narrowed`.

    Raises:
        ValueError: one line that begins with `where`, when it is none.
    """
    try:
        return _narrowed(mark, value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{where}: {error}") from None


def described(space: Space) -> dict[str, Any]:
    """A space as plain values; see `read_space`."""
    return {
        name: to_plain(mark) if isinstance(mark, Range) else to_plain(list(mark.values))
        for name, mark in space.items()
    }


def read_space(plain: Any, name: str, config: Any, file: Path) -> Space:
    """Reads what `described` told, which may come from a stranger.

    Args:
        plain: decoded JSON.
        name: of the agent.
        config: the settings with which it is trained but for those that are searched.
        file: where it stands, for messages.

    Raises:
        ValueError: one line, when it is no part of what the agent marks.
    """
    marked = _marks(config)
    found = {}
    for setting, value in plain.items():
        if setting not in marked:
            raise ValueError(f"{file}: {PREFIX}{setting} of {name} may not be searched")
        found[setting] = _part(marked[setting], value, f"{file}: {PREFIX}{setting}")
    if not found:
        raise ValueError(f"{file} names no setting to be searched")
    return found


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """A space as Optuna knows it; choices stand for themselves by their labels."""
    found: dict[str, BaseDistribution] = {}
    for name, mark in space.items():
        if isinstance(mark, Choices):
            found[name] = CategoricalDistribution(tuple(mark.by_label))
        elif mark.whole:
            found[name] = IntDistribution(int(mark.low), int(mark.high), log=mark.log)
        else:
            found[name] = FloatDistribution(mark.low, mark.high, log=mark.log)
    return found


def chosen(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's parameters as settings.

    Raises:
        ValueError: one line, for what does not lie in the space.
    """
    found = {}
    for name, mark in space.items():
        value = params.get(name)
        if isinstance(mark, Choices):
            value = mark.by_label.get(str(value))
        if value not in mark:
            raise ValueError(f"{PREFIX}{name} is {params.get(name)!r}, which is not in the study's space")
        found[name] = value
    return found


def as_params(space: Space, config: Any) -> dict[str, Any] | None:
    """Some settings as a trial's parameters; None where one of them does not lie in the space."""
    values = current(config, space)
    if set(values) != set(space) or any(values[name] not in mark for name, mark in space.items()):
        return None
    labels = {
        name: {value: label for label, value in mark.by_label.items()}
        for name, mark in space.items()
        if isinstance(mark, Choices)
    }
    return {name: labels[name][value] if name in labels else value for name, value in values.items()}


def with_settings(config: Any, values: Mapping[str, Any]) -> Any:
    """An agent's settings with those of a trial.

    Raises:
        ValueError: one line, when they don't go together.
    """
    return override(config, values, PREFIX)
