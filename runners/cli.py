"""The `meze` command. Its sub-commands load only when they are used."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence

from ..checking import unknown
from ..version import __version__
from .setup.errors import fail, run_command, warning_line
from .setup.streams import make_patient

COMMANDS = {
    "train": ("train", "train an agent, or go on with a run"),
    "evaluate": ("evaluate", "score agents and runs side by side"),
    "watch": ("watch", "see an agent act in a window, or record it"),
    "play": ("play", "act yourself, by keyboard"),
    "compare": ("compare", "a tournament of agents, with a report"),
    "collect": ("collect", "record what policies see and do, as arrays"),
    "features": ("features", "compare encoders of observations"),
    "import-map": ("import_map", "make a map of an extract of OpenStreetMap"),
    "bench": ("bench", "measure steps per second"),
    "envs": ("listing", "list environments and agents, and what fits what"),
    "new-world": ("new_world", "begin a world of your own, in a package that works"),
}
"""Sub-command to its module and a summary."""
MANY = 1000
"""Names of environments, agents and runs that a command may take, where it takes any number."""

NAMES: dict[str, tuple[int, int | None]] = {
    "train": (2, 1),
    "evaluate": (MANY, 0),
    "watch": (2, 1),
    "play": (1, 0),
    "compare": (1, 0),
    "collect": (1, 0),
    "features": (1, 0),
    "import-map": (1, None),
    "bench": (MANY, 0),
    "envs": (MANY, 0),
    "new-world": (1, None),
}
"""Sub-command to how many names it takes at most, and how many of them stand before its environment's."""


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

    module = importlib.import_module(f".{COMMANDS[name][0]}", __package__)
    args = arranged(name, words, module, *NAMES[name])
    if hasattr(module, "USAGE") and asks_for_help(args):
        print_help(module.USAGE, module.DESCRIPTION)
        return 0
    return module.main(args)


def _help() -> str:
    """What there is, as wide as the terminal."""
    import shutil
    import textwrap

    from .setup.settings import wrapped

    width = shutil.get_terminal_size().columns
    commands = [
        textwrap.fill(summary, width, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)
        for name, (_, summary) in COMMANDS.items()
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
