"""The `meze` command. Its sub-commands load only when they are used."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NamedTuple

from ..checking import unknown
from ..version import __version__
from .setup.errors import fail, run_command, warning_line
from .setup.streams import make_patient

MANY = 1000
"""Names of environments, agents and runs that a command may take, where it takes any number."""


class Command(NamedTuple):
    """A sub-command."""

    module: str
    names: int
    """How many it takes, at most."""
    place: int | None
    """How many of them stand before its environment's; None: it has no environment."""
    summary: str


COMMANDS = {
    "train": Command("train", 2, 1, "train an agent, or go on with a run"),
    "evaluate": Command("evaluate", MANY, 0, "score agents and runs side by side"),
    "watch": Command("watch", 2, 1, "see an agent act in a window, or record it"),
    "play": Command("play", 1, 0, "act yourself, by keyboard"),
    "compare": Command("compare", 1, 0, "a tournament of agents, with a report"),
    "tune": Command("tune", 2, 1, "search an agent's settings, and show what the best are worth"),
    "collect": Command("collect", 1, 0, "record what policies see and do, as arrays"),
    "export": Command("export", 2, 1, "write a run as ONNX or a page, a recording for Minari"),
    "verify": Command("verify", 1, None, "train rows of results again, and compare"),
    "features": Command("features", 1, 0, "compare encoders of observations"),
    "import-map": Command("import_map", 1, None, "make a map of an extract of OpenStreetMap"),
    "import-levels": Command("import_levels", 1, None, "make a set of levels of public ones"),
    "make-levels": Command("make_levels", 0, None, "have a model draw levels after those of others"),
    "bench": Command("bench", MANY, 0, "measure steps per second"),
    "envs": Command("listing", MANY, 0, "list environments and agents, and what fits what"),
    "new-world": Command("new_world", 1, None, "begin a world of your own, in a package that works"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `meze`.

    Args:
        argv: the words after `meze`; by default those of the process.

    Returns:
        The exit code: 0, 2 after an error that the user can mend (told in one line), 130 after Ctrl-C, 143
        after SIGTERM.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    warnings.formatwarning = warning_line
    if argv is None:
        make_patient()
        os.environ["PYTHONSAFEPATH"] = "1"  # processes that are begun import nothing of the working folder
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if args[0] == "--version":
        print(f"meze {__version__}")
        return 0
    if args[0] not in COMMANDS:
        return fail(unknown("command", args[0], COMMANDS))
    return run_command(lambda words: _run(args[0], words), args[1:])


def _run(name: str, words: Sequence[str]) -> int:
    """Runs a sub-command, its names first, whatever their order was; or tells its usage."""
    from .setup.names import arranged
    from .setup.settings import asks_for_help, print_help

    command = COMMANDS[name]
    module = importlib.import_module(f".{command.module}", __package__)
    args = arranged(name, words, module, command.names, command.place)
    if hasattr(module, "USAGE") and asks_for_help(args):
        print_help(module.USAGE, module.DESCRIPTION, getattr(module, "FLAGS", None))
        return 0
    return module.main(args)


def _help() -> str:
    """What there is, as wide as the terminal."""
    import shutil
    import textwrap

    from .setup.settings import wrapped

    width = shutil.get_terminal_size().columns
    commands = [
        textwrap.fill(each.summary, width, initial_indent=f"  {name:<15}", subsequent_indent=" " * 17)
        for name, each in COMMANDS.items()
    ]
    return "\n".join(
        [
            "usage: meze COMMAND ...",
            "",
            wrapped("Small worlds to learn in, and every classic way of learning to set on them."),
            "",
            *commands,
            "",
            wrapped(
                "An environment is a name of `meze envs`, any Gymnasium id, package.module:Id or "
                "package.module:Class; it stands in its place, or anywhere as --env ENV. Names may come "
                "before or after flags."
            ),
            "",
            "Begin with:  meze train q-learning city",
            "Flags:       meze train q-learning city --help",
        ]
    )
