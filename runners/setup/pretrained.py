"""Agents that ship with the package, by name: `pretrained:platformer` is a run's folder in `assets/agents`.

What acts was kept of each, and its scores; nothing is ever written into them.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

PREFIX = "pretrained:"
AGENTS = Path(str(files(__name__.split(".")[0]))) / "assets" / "agents"


def is_pretrained(name: str) -> bool:
    """Whether a word is meant to name an agent that ships with the package."""
    return name.startswith(PREFIX)


def pretrained_names() -> list[str]:
    """What there is, each as commands take it."""
    return [PREFIX + path.parent.name for path in sorted(AGENTS.glob("*/config.json"))]


def run_path(name: str | Path) -> Path:
    """The folder of a run, as it was named: by its path, or as `pretrained:NAME`.

    Raises:
        ValueError: one line, when nothing of that name ships with the package.
    """
    if not isinstance(name, str) or not is_pretrained(name):
        return Path(name)
    if name not in (known := pretrained_names()):
        raise ValueError(f"unknown agent {name!r}; there are {', '.join(known)}")
    return AGENTS / name.removeprefix(PREFIX)


def is_run(name: str) -> bool:
    """Whether there is a run of that name.

    Raises:
        ValueError: see `run_path`.
    """
    return (run_path(name) / "config.json").is_file()
