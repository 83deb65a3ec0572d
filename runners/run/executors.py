"""Which executor a command asks for: this machine's processes, or Ray's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from ...checking import at_least, needed, one_of
from ..setup.settings import as_words, differences
from .executor import Executor, Processes


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


def make_executor(machines: Machines) -> Executor:
    """Makes who runs tasks; says so while a runtime of Ray starts.

    Raises:
        ValueError: one line, when a run wants more cores than there are, Ray is not installed, or its cluster
            can't be used.
    """
    if machines.on == "here":
        return Processes(machines.jobs, machines.cpus_per_run)
    with needed("--on ray", "ray"):
        from .ray_executor import RayExecutor
    return RayExecutor(machines.jobs, machines.cpus_per_run)
