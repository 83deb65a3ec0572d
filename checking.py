"""What users ask for, for all floors: names that nobody knows, objects by their paths, allowed settings."""

from __future__ import annotations

import difflib
import importlib
import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, get_args, get_type_hints


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a message about an unknown name: the nearest known one, in whatever case.

    Args:
        name: what was asked for.
        known: what might be meant; flags (`--steps`) are told without quotes.
        otherwise: what to say where none is near; by default nothing.
    """
    folded = {each.lower(): each for each in known}
    for near in difflib.get_close_matches(name.lower(), folded, n=1):
        return f"; did you mean {folded[near] if near.startswith('--') else repr(folded[near])}?"
    return otherwise and f"; {otherwise}"


def unknown(kind: str, name: str, known: Iterable[str], also: str = "") -> str:
    """The message about an unknown name: the nearest known one, or all, and in words what else there is."""
    known = tuple(known)
    return f"unknown {kind} {name!r}" + did_you_mean(name, known, f"there are {', '.join(known)}{also}")


def load_object(path: Any, package: str | None = None) -> Any:
    """Imports what `package.module:Name` says; what is no string is taken for the object itself.

    Whoever calls it knows that no file of a stranger has named it.

    Args:
        path: where it is; `.module:Name` is inside `package`.
        package: the importing module's.

    Raises:
        Exception: whatever the import does; AttributeError where the name is not there.
    """
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module, package), name)


@contextmanager
def needed(name: str, extra: str | None) -> Iterator[None]:
    """Where libraries load that something needs: says which extra has one that is missing.

    Raises:
        ValueError: one line; as it came where there is no such extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        cure = f"pip install 'meze[{extra}]'"
        raise ValueError(f"{name} needs {error.name}, which is not installed: {cure}") from None


# Ranges and choices of settings, for the `__post_init__` of their dataclasses. In those of ranges a name may
# lead inside a setting, as in `epsilon.start`; None is always allowed, NaN never. Each raises a ValueError:
# one line that names the setting, what it may be and its value.


def at_least(settings: Any, least: float, *names: str) -> None:
    """Checks that settings are `least` or more."""
    _check(settings, names, lambda value: value >= least, f"be at least {least}")


def above(settings: Any, low: float, *names: str) -> None:
    """Checks that settings are more than `low`."""
    _check(settings, names, lambda value: value > low, f"be above {low}")


def within(settings: Any, low: float, high: float, *names: str, left_open: bool = False) -> None:
    """Checks that settings lie between two bounds, which are told as an interval; ints as whole numbers.

    Args:
        settings: whose.
        low: the least value.
        high: the greatest value.
        *names: of the settings.
        left_open: the least value is not allowed itself.
    """
    whole = isinstance(low, int)
    bounds = f"{low} .. {high}" if whole else f"{'(' if left_open else '['}{low:g}, {high:g}]"
    above_low = operator.gt if left_open else operator.ge
    _check(settings, names, lambda value: above_low(value, low) and value <= high, f"lie in {bounds}")


def one_of(settings: Any, *names: str) -> None:
    """Checks that settings are among the choices (`Literal`) that their type hints state."""
    hints = get_type_hints(type(settings))
    for name in names:
        choices, value = get_args(hints[name]), getattr(settings, name)
        if value not in choices:
            raise ValueError(f"{name} is one of {', '.join(map(str, choices))}; got {value!r}")


def _check(settings: Any, names: Iterable[str], fits: Callable[[Any], bool], words: str) -> None:
    for name in names:
        value = operator.attrgetter(name)(settings)
        if value is not None and not fits(value):
            raise ValueError(f"{name} must {words}; got {value}")
