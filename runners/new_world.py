"""`meze new-world NAME`: writes a small package with a world that works, for its author to change."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from ..agents.registry import agent_names
from ..envs.core.registry import world_specs
from .setup.plugins import load_plugins
from .setup.settings import leading_names, parse

USAGE = "meze new-world NAME [flags]"
DESCRIPTION = """Writes an installable package with a small world (config, state, kernels, expert, renderer,
tests) that trains, plays and passes its tests as it stands, for you to change.

NAME is in lower case, such as tea-house: the folder tea-house, the package tea_house, the world
tea_house/TeaHouse-v0, which commands know as tea-house."""
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
SUFFIX = ".template"
"""Ends the names of the template's files, which are no Python until they are filled in."""
NEXT = """$folder holds a small world that works, for you to change. Next:

  cd $folder
  pip install -e '.[dev]'                 # from now on meze knows $name; pytest comes with it
  python -m pytest
  meze train q-learning $name
  meze watch expert $name
  meze play $name"""


@dataclass(frozen=True)
class NewWorldSettings:
    """Where the package is written."""

    out: Path = Path()
    """Folder in which the package gets its own, <out>/NAME."""


def check_name(name: str) -> str:
    """Refuses names that could not be a world's, or would hide another package.

    Args:
        name: as it was given.

    Returns:
        The package's name.

    Raises:
        ValueError: one line that says why.
    """
    package = name.replace("-", "_")
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} can't be a world's name: lower-case letters and digits, with single hyphens between "
            "words, as in tea-house"
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise ValueError(f"{name} is a keyword of Python; choose another name")
    if package in sys.stdlib_module_names:
        raise ValueError(f"{package} is a module of Python's own; choose another name")
    load_plugins()
    if name in (world.name for world in world_specs()):
        raise ValueError(f"there is a world {name} already; choose another name")
    if name in agent_names():
        raise ValueError(f"{name} is an agent; choose another name")
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:  # a plain folder has no origin
        raise ValueError(f"there is a package {package} already ({spec.origin}); choose another name")
    return package


def write_package(name: str, package: str, folder: Path) -> None:
    """Fills in the template.

    Args:
        name: the world's short name.
        package: name of the package.
        folder: where to write; new, or empty.

    Raises:
        ValueError: when the folder is in use.
        OSError: when it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already, and not an empty folder")
    world = "".join(word.capitalize() for word in package.split("_"))
    words = {"name": name, "package": package, "World": world, "id": f"{package}/{world}-v0"}
    named = {"package": package, "gitignore.template": ".gitignore"}  # a wheel leaves hidden files out
    template = files(__name__.split(".")[0]) / "assets" / "new_world"
    for parts, text in _files_of(template):
        target = folder.joinpath(*(named.get(part, part) for part in parts))
        target = target.with_name(target.name.removesuffix(SUFFIX))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(text).substitute(words), encoding="utf-8")


def _files_of(folder: Traversable, *parts: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of all files below a folder of package data, each with the parts of its path there."""
    for each in folder.iterdir():
        if each.is_dir():
            yield from _files_of(each, *parts, each.name)
        elif each.name.endswith(SUFFIX):
            yield (*parts, each.name), each.read_text(encoding="utf-8")


FLAGS = NewWorldSettings()


def main(args: Sequence[str]) -> int:
    """Runs the command."""
    names = leading_names(args)
    if len(names) != 1:
        raise ValueError(f"usage: {USAGE}")
    name = names[0]
    given = parse(FLAGS, args[1:], prog=f"meze new-world {name}", description=DESCRIPTION)
    package = check_name(name)
    write_package(name, package, given.out / name)
    print(Template(NEXT).substitute(folder=given.out / name, name=name))
    return 0
