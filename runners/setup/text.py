"""What is printed of names and messages that may come from a stranger's file."""

from __future__ import annotations

import shlex

MOST = 500
"""Letters of a message that are shown, at most."""


def printable(text: str, most: int = MOST) -> str:
    """A text on one line in which nothing speaks to the terminal; what is longer is cut in the middle."""
    if len(text) > most:
        text = f"{text[: most * 2 // 3]} ... {text[-(most // 3) :]}"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def one_line(error: BaseException, most: int | None = None) -> str:
    """What an error says, on one line; its kind, where its words alone would not tell.

    Args:
        error: whose words.
        most: letters of them, at most.
    """
    words = " ".join(str(error).split())[:most]
    if isinstance(error, (ValueError, ImportError, OSError)) and words:
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def command(*words: object) -> str:
    """A command as a shell would take it."""
    return shlex.join(map(str, words))
