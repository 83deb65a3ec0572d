"""Names on the command line: found among the flags, put before them, and told where they are swapped."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .pretrained import is_pretrained, is_run
from .settings import leading_names, take_flag

NUMBER = re.compile(r"[-+]?[_.]*\d[\d_.]*(e[-+]?\d+)?|-inf", re.IGNORECASE)
SWITCHES = {"-h", "--help"}
"""Flags of every command that take no value."""


def arranged(
    command: str, words: Sequence[str], module: ModuleType, most: int, place: int | None
) -> list[str]:
    """What follows a command as its module reads it: names first, the environment's in its place.

    Args:
        command: its name.
        words: what follows it.
        module: the command's, whose settings tell which flags take no value, and which any number.
        most: names that it takes, at most.
        place: how many of them stand before the environment's, which `--env ENV` may name as well; None: it
            has no environment.

    Raises:
        ValueError: for a flag without a value, and names that are swapped.
    """
    given: list[str] = []
    if place is not None:
        given, words = take_flag(words, "--env")
        if given[1:]:
            raise ValueError(f"--env names one environment; got {' and '.join(given)}")
        words = [re.sub(r"^--env-kwargs\b", "--env.kwargs", word) for word in words]
    names, flags = _parted(words, most - len(given[-1:]), dict(_kinds(module)))
    if place is not None:
        at = min(place, len(names))
        names[at:at] = given[-1:]
        if len(names) <= most:
            _check_order(command, names, place)
    return [*names, *flags]


def _kinds(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The flags of a command's own settings, and what they are.

    These are its classes whose names end in `Settings`, and those that its `SETTINGS` lists.
    """
    for each in (*vars(module).values(), *vars(module).get("SETTINGS", ())):
        if isinstance(each, type) and dataclasses.is_dataclass(each) and each.__name__.endswith("Settings"):
            for name, kind in typing.get_type_hints(each).items():
                yield name.replace("_", "-"), kind


def _parted(words: Sequence[str], most: int, kinds: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Names, and flags with their values; of those that stand behind flags no more names than are missing."""
    names = leading_names(words)
    flags: list[str] = []
    takes: Callable[[str, int], bool] = lambda word, count: False  # noqa: E731
    count = 0
    for word in words[len(names) :]:
        is_flag = word.startswith("-") and not NUMBER.fullmatch(word)
        if is_flag:
            flag, equals, _ = word.partition("=")
            takes, count = _taker(flag, kinds, bool(equals)), 0
        if is_flag or len(names) >= most or takes(word, count):
            flags.append(word)
            count += not is_flag
        else:
            names.append(word)
    return names, flags


def _taker(flag: str, kinds: dict[str, Any], whole: bool) -> Callable[[str, int], bool]:
    """Whether a flag takes a word as a value, after it has taken so many.

    A switch takes none, a list of words all. Any other takes the next word, and then numbers. What flags of
    an agent or an environment take is not known before these are: they take no word that names one.
    """
    name = flag.lstrip("-").replace("_", "-")
    kind = kinds.get(name.rpartition(".")[2] if name.startswith("fit.") else name)
    if whole or flag in SWITCHES or kind is bool or name.startswith("no-") and kinds.get(name[3:]) is bool:
        return lambda word, count: False
    if typing.get_origin(kind) is tuple and str in typing.get_args(kind):
        return lambda word, count: True
    open_kind = "." in name and kind is None
    return lambda word, count: bool(NUMBER.fullmatch(word)) if count else not (open_kind and is_name(word))


def is_name(word: str) -> bool:
    """Whether a word names an agent, an environment or a run."""
    from ...agents.registry import agent_names

    return word in agent_names() or is_environment(word) or is_run(word)


def is_environment(word: str) -> bool:
    """Whether a word names a registered environment."""
    import gymnasium

    from ...envs.core.registry import world_specs
    from .plugins import load_plugins

    load_plugins()
    known = {name for world in world_specs() for name in (world.name, world.id)}
    return not is_pretrained(word) and word.rpartition(":")[2] in known | set(gymnasium.registry)


def _check_order(command: str, names: Sequence[str], place: int) -> None:
    """Says so where an environment stands in another's place, and what should stand there elsewhere."""
    if (
        command in ("bench", "envs")
        or len(names) < 2
        or place >= len(names)
        or ":" in names[place]
        and not is_pretrained(names[place])
        or is_environment(names[place])
    ):
        return
    others = [
        k for k, name in enumerate(names) if k != place and is_environment(name) and not Path(name).exists()
    ]
    if len(others) != 1:
        return
    right = list(names)
    right[place], right[others[0]] = names[others[0]], names[place]
    from ...agents.registry import agent_names

    wrong = f"{names[place]} is {'an agent' if names[place] in agent_names() else 'no environment'}"
    if place:  # the agent's place is the one to speak of
        wrong = f"{names[others[0]]} is an environment, where an agent should stand"
    else:
        wrong += ", where an environment should stand"
    raise ValueError(f"{wrong}; say: meze {command} {' '.join(right)}")
