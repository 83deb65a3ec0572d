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


def command(*words: object) -> str:
    """A command as a shell would take it."""
    return shlex.join(map(str, words))
