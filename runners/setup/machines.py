"""Where the runs of a command are, and how many side by side."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ...checking import at_least, one_of
from .settings import as_words, differences


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Where the runs of a command are, and how many side by side.

    Raises:
        ValueError: for a number below 1, or a place that is not known.
    """

    on: Literal["here", "ray"] = "here"
    """Where they are: on this machine, or on all those of a cluster of Ray (extra `ray`)."""
    cpus_per_run: int = 1
    """Cores that each has for itself."""
    jobs: int | None = None
    """Runs side by side; by default as many as there are cores for."""

    def __post_init__(self) -> None:
        """Checks the fields."""
        at_least(self, 1, "jobs", "cpus_per_run")
        one_of(self, "on")

    @property
    def words(self) -> list[str]:
        """What to say so that others run in the same way."""
        given = Machines(**{each.name: getattr(self, each.name) for each in fields(Machines)})
        return as_words(differences(given, Machines()))
