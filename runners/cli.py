"""The `meze` command. Its sub-commands load only when they are used."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from .. import __version__
from .interrupts import exit_code, hear_sigterm
from .streams import make_patient
from .text import printable

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
    warnings.formatwarning = _warning
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
        return _error(_unknown_command(args[0]))
    return run_command(lambda words: _run(args[0], words), args[1:])


def _run(name: str, words: Sequence[str]) -> int:
    """Runs a sub-command, its names first, whatever their order was."""
    from .names import arranged

    module = importlib.import_module(f".{COMMANDS[name][0]}", __package__)
    return module.main(arranged(name, words, module, *NAMES[name]))


def run_command(command: Callable[[Sequence[str]], int], args: Sequence[str]) -> int:
    """Runs a command; see `main` for the code that is returned."""
    hear_sigterm()
    try:
        return command(args)
    except SystemExit as stop:  # after --help
        return int(stop.code or 0)
    except KeyboardInterrupt as error:
        return _error("interrupted", exit_code(error))
    except Exception as error:
        if not _is_users(error):
            raise
        return _error(_one_line(error))


def _is_users(error: Exception) -> bool:
    """Whether a user can cause and mend this; other errors are bugs and keep their traceback."""
    import gymnasium

    return isinstance(error, (ValueError, OSError, MemoryError, OverflowError, gymnasium.error.Error))


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}"
    return " ".join(str(error).split()) or type(error).__name__


def _error(message: str, code: int = 2) -> int:
    print(f"meze: error: {printable(message)}", file=sys.stderr)
    return code


def _warning(message: Warning | str, *place: object) -> str:
    """One line: where in the code it was said means nothing to a user."""
    return f"meze: warning: {printable(str(message))}\n"


def _unknown_command(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"unknown command {name!r}; {hint}"


def _help() -> str:
    """What there is, as wide as the terminal."""
    import shutil
    import textwrap

    from .settings import wrapped

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
