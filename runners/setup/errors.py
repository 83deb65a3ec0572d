"""From errors to one clear line, and to an exit code."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ...agents.base import OutdatedError
from .interrupts import Saved, exit_code, hear_sigterm
from .text import one_line, printable


def run_command(command: Callable[[Sequence[str]], int], args: Sequence[str]) -> int:
    """Runs a command; see `cli.main` for the code that is returned."""
    hear_sigterm()
    try:
        return command(args)
    except SystemExit as stop:  # after --help
        return int(stop.code or 0)
    except Saved as stop:
        return stop.code
    except KeyboardInterrupt as error:
        return fail("interrupted", exit_code(error))
    except Exception as error:
        if not _is_users(error):
            raise
        return fail(_told(error))


def _is_users(error: Exception) -> bool:
    """Whether a user can cause and mend this; other errors are bugs and keep their traceback."""
    import gymnasium

    return isinstance(error, (ValueError, OSError, MemoryError, OverflowError, gymnasium.error.Error))


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}"
    return one_line(error)


def fail(message: str, code: int = 2) -> int:
    """Prints one line on the standard error; returns the exit code."""
    print(f"meze: error: {printable(message)}", file=sys.stderr)
    return code


def warning_line(message: Warning | str, *place: object) -> str:
    """One line: where in the code it was said means nothing to a user."""
    return f"meze: warning: {printable(str(message))}\n"


_PLAIN = re.compile(r"[\w.,+/=-]{1,100}")
"""Words that can be shown: they name no code (`package.module:Name`) and mean nothing to a shell."""


def refusal(folder: Path, error: OutdatedError) -> ValueError:
    """The one line for a run that can't be used any more: why, and the command that trains it anew."""
    return ValueError(
        f"{folder}: {error}, which is not read any more; train it anew: {train_command(folder)}"
    )


def train_command(folder: Path) -> str:
    """The command that stands in a run's folder; what a stranger wrote there is shown only if it is plain."""
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = [str(written["agent"]["name"]), str(written["env"]["id"])]
        words = shlex.split(str(written["command"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        names, words = ["AGENT", "ENV"], []
    for told in (words, ["meze", "train", *names]):
        if told[:2] == ["meze", "train"] and all(map(_PLAIN.fullmatch, told)) and len(told) < 50:
            return " ".join(told)
    return "meze train AGENT ENV"
