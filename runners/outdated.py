"""Runs whose models an older version saved in a way that is not read any more, and how to get new ones."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from ..agents.base import OutdatedError

_PLAIN = re.compile(r"[\w.,+/=-]{1,100}")
"""Words that can be shown: they name no code (`package.module:Name`) and mean nothing to a shell."""


def refusal(folder: Path, error: OutdatedError) -> ValueError:
    """The one line for a run that can't be used any more: why, and the command that trains it anew."""
    return ValueError(f"{folder}: {error}, which is not read any more; train it anew: {_command(folder)}")


def _command(folder: Path) -> str:
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
