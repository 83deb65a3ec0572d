"""Settings are frozen dataclasses: read from flags, presets and JSON, and written to JSON and as flags."""

from __future__ import annotations

import contextlib
import dataclasses
import decimal
import functools
import io
import itertools
import re
import shutil
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from ...agents.schedules import Schedule
from ...checking import did_you_mean
from .renamed import called_now

Settings = TypeVar("Settings")

_PLAINER = (
    (r"^Error parsing (--\S+): must be an integer", r"\1 must be an integer"),
    (r"^Error parsing (--\S+): could not convert string to float: (.*)", r"\1 must be a number; got \2"),
    (
        r"^Error parsing (--\S+): no type matching {None}\|{?([^}]+?)}? could .* \[(.*)\].*",
        r"\1 takes \2; got \3",
    ),
    (r"^Missing value for argument '(\S+)'.*", r"\1 needs a value"),
    (r"^Missing from (.+?): (--\S+).*", r"\2 is needed; see \1 --help"),
    (r"^Error parsing (--\S+): ", r"\1: "),
    (r"^Error parsing [^-\s]\S*: ", ""),  # a group: its own words name the setting
)
"""What tyro says, and how it is told."""

MOST_DIGITS = 19
"""Digits of an integer that is written with an exponent, at most."""
PLAIN = ("run", "files", "machines")
"""Groups whose flags have no prefix."""


def group(title: str, **parts: Any) -> Any:
    """Puts settings together for one command line: those of `PLAIN` without a prefix."""
    import tyro

    fields = [
        (name, tyro.conf.OmitArgPrefixes[type(part)] if name in PLAIN else type(part))
        for name, part in parts.items()
    ]
    return dataclasses.make_dataclass(title, fields, frozen=True)(**parts)


def asks_for_help(args: Sequence[str]) -> bool:
    """Whether help is wanted, and neither names nor what is to go on were given."""
    given = leading_names(args) or any(word.partition("=")[0] == "--resume" for word in args)
    return not given and bool({"-h", "--help"} & set(args))


def print_help(usage: str, description: str, flags: Any = None) -> None:
    """Prints what is to be known before any name was given.

    Args:
        usage: how the command is called.
        description: what it does.
        flags: settings that are its flags whatever is named; None: they depend on it.
    """
    if flags is None:
        print(f"{wrapped('usage: ' + usage)}\n\n{wrapped(description)}")
        return
    with contextlib.suppress(SystemExit):
        parse(flags, ["--help"], prog=usage.partition(" [flags]")[0], description=description)


def wrapped(text: str) -> str:
    """Paragraphs as wide as the terminal."""
    width = shutil.get_terminal_size().columns
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in text.split("\n\n"))


def leading_names(args: Sequence[str]) -> list[str]:
    """The words before the first flag."""
    return list(itertools.takewhile(lambda arg: not arg.startswith("-"), args))


def take_flag(args: Sequence[str], flag: str) -> tuple[list[str], list[str]]:
    """Takes a flag out that is needed before the others can be read.

    Returns:
        Its values, one for each time it was given, and the other words.

    Raises:
        ValueError: when it has no value.
    """
    values, rest, words = [], [], iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if name != flag:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("--"):
            raise ValueError(f"{flag} needs a value")
        values.append(value)
    return values, rest


def parse(
    default: Settings | type[Settings], args: Sequence[str], *, prog: str, description: str
) -> Settings:
    """Reads flags over a default.

    Args:
        default: settings whose fields are the flags and whose values are the defaults; a class of settings,
            where flags are needed that have none.
        args: the flags.
        prog: the command, for the help.
        description: the help's first lines.

    Raises:
        ValueError: one line, for an unknown flag, a value that does not fit, or a flag that is needed.
        SystemExit: after `--help` was printed.
    """
    import tyro

    known: dict[str, Any] = {} if isinstance(default, type) else {"default": default}
    kind: Any = default if isinstance(default, type) else type(default)

    if {"-h", "--help"} & set(args):
        print(wrapped(description), end="\n\n")  # tyro would not wrap it
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), _whole_numbers():
            settings, left = tyro.cli(
                kind, args=list(args), prog=prog, description="", return_unknown_args=True, **known
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise ValueError(_first_sentence(said.getvalue())) from None
    if left:
        flag = left[0].split("=")[0]
        if not flag.startswith("-"):
            raise ValueError(f"unexpected {flag!r}; see {prog} --help")
        if flag == "--env.kwargs":
            raise ValueError("--env-kwargs needs an environment named with its package: package.module:Id")
        there = flags(default)
        hint = called_now(flag, there) or did_you_mean(flag.replace("_", "-"), there, f"see {prog} --help")
        raise ValueError(f"unknown flag {flag}{hint}")
    return settings


def reader(run: Any, args: Sequence[str], *, prog: str, description: str) -> Callable[[Any], Any]:
    """What reads a command's flags and a world's, the latter over somebody's settings of it; see `parse`.

    Args:
        run: the command's defaults.
        args: the flags.
        prog: the command, for the help.
        description: the help's first lines.

    Returns:
        Settings of the world to `run` and `env` as they are asked for.
    """
    return lambda env: parse(group("Given", run=run, env=env), args, prog=prog, description=description)


def flags(settings: Any, prefix: str = "--") -> list[str]:
    """All flags of some settings, or of a class of them."""
    names = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name, None)
        name = prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            names += flags(value, prefix if field.name in PLAIN else f"{name}.")
        else:
            names.append(name)
    return names


def _whole_numbers() -> Any:
    """Has integers be written as 1e5 and 2.5e6, too."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def _(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda words: whole_number(words[0]),
            is_instance=lambda value: type(value) is int,
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def whole_number(word: str) -> int:
    """Reads an integer, which may be written as 1e5, 2.5e6 or 1_000.

    Raises:
        ValueError: when it is none.
    """
    with contextlib.suppress(ValueError):
        return int(word)
    with contextlib.suppress(decimal.InvalidOperation):
        number = decimal.Decimal(word)
        if number.is_finite() and number.adjusted() < MOST_DIGITS and number == number.to_integral_value():
            return int(number)
    raise ValueError(f"must be an integer; got {word!r}")


def _first_sentence(box: str) -> str:
    """What tyro's framed error says below its title, on one line."""
    lines = []
    for line in box.splitlines()[1:]:
        line = line.strip("│╭╮╰╯ ")
        if set(line) <= set("─-"):  # a rule, before the text where the terminal has no better characters
            if lines:
                break
            continue
        lines.append(line)
    sentence = " ".join(lines) or "the command line could not be read"
    for pattern, words in _PLAINER:
        sentence = re.sub(pattern, words, sentence)
    if choice := re.match(r"invalid choice '(.*)' for argument .* one of \((.*)\)", sentence):
        near = did_you_mean(choice[1], re.findall(r"'([^']*)'", choice[2]))
        sentence = sentence.removesuffix(".") + near if near else sentence
    return sentence


def override(settings: Settings, changes: Mapping[str, Any], prefix: str = "") -> Settings:
    """A copy with some settings changed; each new value's type is checked.

    Args:
        settings: what is changed.
        changes: name to value; a dotted name reaches into nested settings.
        prefix: what messages put before names.

    Raises:
        ValueError: one line, for a setting that is not there, or a value that does not fit.
    """
    hints = typing.get_type_hints(type(settings))
    there = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    parts: dict[str, Any] = {}
    for key, value in changes.items():
        head, dot, rest = key.replace("-", "_").partition(".")
        if head not in there or dot and not dataclasses.is_dataclass(there[head]):
            hint = called_now(key.replace("_", "-"), flags(settings, ""))
            raise ValueError(f"there is no setting {prefix}{key}{hint}")
        if dot:
            parts.setdefault(head, {})[rest] = value
        else:
            there[head] = from_plain(hints[head], to_plain(value), prefix + head)
    for head, inner in parts.items():
        there[head] = override(there[head], inner, f"{prefix}{head}.")
    return dataclasses.replace(settings, **there)  # type: ignore[type-var]


def as_words(values: Mapping[str, Any]) -> list[str]:
    """Settings as the words of a command line.

    Args:
        values: names of flags without dashes, `agent.gamma`, to values; lists are several words.
    """
    words: list[str] = []
    for name, value in values.items():
        group, dot, last = name.replace("_", "-").rpartition(".")
        flag = f"--{group}{dot}{last}"
        if isinstance(value, bool):
            words.append(flag if value else f"--{group}{dot}no-{last}")
        elif isinstance(value, (list, tuple)):
            words += [flag, *map(str, value)]
        else:
            words += [f"{flag}={value}"] if str(value).startswith("-") else [flag, str(value)]
    return words


def differences(settings: Any, default: Any, prefix: str = "") -> dict[str, Any]:
    """What differs from a default, by the names of the flags; see `as_words`."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value, usual = getattr(settings, field.name), getattr(default, field.name)
        name = prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            found |= differences(value, usual, prefix if field.name in PLAIN else f"{name}.")
        elif value != usual:
            found[name] = value
    return found


def to_plain(settings: Any) -> Any:
    """Settings as values that JSON can hold."""
    if dataclasses.is_dataclass(settings):
        return {f.name: to_plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)}
    if isinstance(settings, (list, tuple)):
        return [to_plain(value) for value in settings]
    return str(settings) if isinstance(settings, Path) else settings


def from_plain(kind: Any, plain: Any, name: str) -> Any:
    """Reads what `to_plain` wrote; the file may come from a stranger, so each value's type is checked.

    Args:
        kind: the type to read, usually a dataclass.
        plain: decoded JSON.
        name: how messages call the value.

    Raises:
        ValueError: one line, for an unknown field or a value that does not fit.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return from_plain(args[0], plain, name)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(plain, dict):
        hints, fields = _hints(kind), dataclasses.fields(kind)
        if strange := set(plain) - {field.name for field in fields}:
            raise ValueError(f"{name} has an unknown setting {min(strange)!r}")
        needed = (each.name for each in fields if each.default is each.default_factory is dataclasses.MISSING)
        if missing := [each for each in needed if each not in plain]:
            raise ValueError(f"{name} lacks the setting {missing[0]!r}")
        return kind(**{key: from_plain(hints[key], value, f"{name}.{key}") for key, value in plain.items()})
    if origin in (Union, types.UnionType):
        for choice in args:
            with contextlib.suppress(ValueError):
                return from_plain(choice, plain, name)
    elif origin is Literal:
        if any(plain == choice and type(plain) is type(choice) for choice in args):
            return plain
        near = did_you_mean(str(plain), map(str, args))
        raise ValueError(f"{name} takes {', '.join(map(str, args))}; got {plain!r}{near}")
    elif origin is tuple and isinstance(plain, list):
        kinds = args[:1] * len(plain) if args[1:] == (...,) else args
        if len(kinds) == len(plain):
            return tuple(from_plain(k, v, name) for k, v in zip(kinds, plain, strict=True))
    elif origin is dict and isinstance(plain, dict):
        return {from_plain(args[0], k, name): from_plain(args[1], v, f"{name}.{k}") for k, v in plain.items()}
    elif kind is float and (type(plain) is float or type(plain) is int and abs(plain) < 1 << 1000):
        return float(plain)
    elif kind is Path and isinstance(plain, str):
        return Path(plain)
    elif kind is int and type(plain) is int and abs(plain) < 1 << 63:
        return plain
    elif kind in (bool, str, types.NoneType) and type(plain) is kind:
        return plain
    hint = "; it has start, end, steps" if kind is Schedule else ""
    raise ValueError(f"{name} is {plain!r}, which does not fit{hint}")


@functools.lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    """A dataclass's type hints, which take long to find out."""
    return typing.get_type_hints(kind)


def named_code(agent_config: Any) -> str:
    """The network of another package that an agent's settings name (`package.module:Class`), or nothing.

    It may be named on the command line alone: no file may say which code to import.
    """
    kind = getattr(getattr(agent_config, "net", None), "kind", "")
    return kind if ":" in kind else ""
