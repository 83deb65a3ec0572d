"""Plug-ins: worlds and agents that other distributions announce through entry points."""

from __future__ import annotations

import sys
import threading
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from .text import one_line

GROUPS = ("meze.worlds", "meze.agents")
"""Entry points of these groups are modules that register worlds or agents, or functions that do."""
PATIENCE = 5.0
"""Seconds after which it is said which plug-in everybody is waiting for."""


@cache
def load_plugins() -> None:
    """Loads all plug-ins, once; says on stderr which are broken, and why: they never stop the rest."""
    for group in GROUPS:
        for point in entry_points(group=group):
            waiting = threading.Timer(PATIENCE, _say, [f"{_named(point)} is still loading; Ctrl-C stops"])
            waiting.daemon = True
            waiting.start()
            try:
                plugin = point.load()
                if callable(plugin):
                    plugin()
                elif not isinstance(plugin, ModuleType):
                    raise TypeError("neither a module nor a function")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # SystemExit, too: a script among the modules, say
                _say(f"{_named(point)} is broken: {one_line(error)}")
            finally:
                waiting.cancel()


def _named(point: EntryPoint) -> str:
    return f"plug-in {point.name!r} ({point.value})"


def _say(line: str) -> None:
    print(f"meze: warning: {line}", file=sys.stderr, flush=True)
