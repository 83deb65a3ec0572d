"""Which executor a command asks for: this machine's processes, or Ray's."""

from __future__ import annotations

from ...checking import needed
from ..setup.machines import Machines
from .executor import Executor, Processes


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
