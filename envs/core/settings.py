"""Checks what a user sets: kinds and choices as type hints state them, ranges as the config's author does."""

from __future__ import annotations

import dataclasses
import math
import os
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

_MISFIT = object()
_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a finite number",
    str: "a string",
    Path: "a path",
    type(None): "None",
}


def check_settings(config: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Checks a config, for its `__post_init__`: each field by its type hint, then ranges.

    Afterwards each field holds just what its hint says: numpy's scalars have become Python's, an int where a
    float is wanted a float, a list where a tuple is wanted a tuple.

    Args:
        config: instance of a dataclass, which may be frozen.
        ranges: name of a field to the least and the greatest number that it may hold; None always may.

    Raises:
        ValueError: one line that names the field, the value and what fits.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.init}
    for name, value in settle(type(config), values).items():
        object.__setattr__(config, name, value)  # as a frozen dataclass itself does
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} must lie between {low} and {high}, got {value!r}")


def settle(config_class: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the fields of a dataclass want them; see `settled`.

    Args:
        config_class: the dataclass.
        settings: values of some of its fields by name.

    Raises:
        ValueError: one line that names the setting, the value and what fits.
    """
    hints = _hints(config_class)
    return {name: settled(name, value, hints[name]) for name, value in settings.items()}


def settled(name: str, value: Any, kind: Any) -> Any:
    """A value as its type hint wants it.

    Numpy's scalars are welcome everywhere, an int as a float, a list as a tuple, a path as a string and the
    other way round. A bool is no number, and a float, even 8.0, no int, as in `gymnasium.spaces.Discrete`.

    Args:
        name: how the message calls it.
        value: what a user gave.
        kind: the type hint: a class, or choices (`Literal`), a union or a tuple of such; what is none of
            these lets everything pass.

    Raises:
        ValueError: one line that names the value and what fits.
    """
    fitting = _fit(value, kind)
    if fitting is _MISFIT:
        raise ValueError(f"{name} must be {_words(kind)}, got {_shown(value)}")
    return fitting


@cache
def _hints(config_class: type) -> dict[str, Any]:
    return get_type_hints(config_class)


def _fit(value: Any, kind: Any) -> Any:
    """The value as the hint wants it, or `_MISFIT`."""
    value = value.item() if isinstance(value, np.generic) else value
    origin, args = get_origin(kind), get_args(kind)
    if kind in (int, float) and isinstance(value, bool):
        return _MISFIT
    if kind is float:
        return _finite(value) if isinstance(value, int | float) else _MISFIT
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if origin is Literal:
        return next((each for each in args if type(each) is type(value) and each == value), _MISFIT)
    if origin in (Union, types.UnionType):
        fitting = [fit for fit in (_fit(value, each) for each in args) if fit is not _MISFIT]
        unchanged = [fit for fit in fitting if type(fit) is type(value)]
        return (unchanged or fitting or [_MISFIT])[0]
    if origin is tuple:
        kinds = args[:1] * len(value) if isinstance(value, tuple | list) and args[1:] == (...,) else args
        if not isinstance(value, tuple | list) or len(value) != len(kinds):
            return _MISFIT
        items = tuple(_fit(item, each) for item, each in zip(value, kinds, strict=True))
        return _MISFIT if any(item is _MISFIT for item in items) else items
    try:
        return value if isinstance(value, origin or kind) else _MISFIT
    except TypeError:  # no class that can be asked
        return value


def _finite(value: float) -> Any:
    try:
        return float(value) if math.isfinite(value) else _MISFIT
    except OverflowError:  # an int beyond all floats
        return _MISFIT


def _words(kind: Any) -> str:
    """What a hint asks for."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in (Union, types.UnionType):
        return " or ".join(map(_words, args))
    if origin is tuple:
        return f"({', '.join('...' if each is ... else _words(each) for each in args)})"
    return _WORDS.get(kind) or f"of type {getattr(origin or kind, '__name__', kind)}"


def _shown(value: Any) -> str:
    """The value in one line that is not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
