"""What it costs to have a task done, here and by Ray on this machine: tasks that do nothing.

    python benchmarks/executors.py

Each is what a run is: a process of its own that loads the part of meze which tells and stops it, its log, and
with Ray an actor. The last line is of Ray without a folder that all machines see: three files of 1 MiB go
there, and one comes back. ms/task are those for which one of the places is taken; the head's are processor
time of this process, which hands out all tasks.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from meze.runners.run.executor import Executor, Processes, Task
from meze.runners.run.ray_executor import RayExecutor
from meze.runners.setup.errors import run_command
from meze.runners.setup.settings import parse

NOTHING = """
from pathlib import Path
from meze.runners.run.executor import serve

def main(words, stop):
    for word in words:
        Path(word).write_bytes(bytes(1 << 20))

serve(main)
"""


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    tasks: int = 1000
    """Tasks that do nothing."""
    jobs: int = 2
    """Tasks side by side."""


def measure(name: str, executor: Executor, tasks: Sequence[Task], jobs: int) -> None:
    began, own = time.perf_counter(), time.process_time()
    with executor.running(tasks) as ended:
        failed = [reason for _, reason in ended if reason]
    assert not failed, failed[0]
    seconds, own = time.perf_counter() - began, time.process_time() - own
    each = 1000 / len(tasks)
    print(
        f"{name:<24}{len(tasks):>6,}{seconds:>9.1f}{jobs * seconds * each:>10.0f}{own * each:>15.1f}",
        flush=True,
    )


def main(args: Sequence[str]) -> int:
    """Measures, and prints a table."""
    given = parse(Settings(), args, prog="executors.py", description=__doc__ or "")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nothing.py").write_text(NOTHING, encoding="utf-8")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [name, os.environ.get("PYTHONPATH", "")]))
        os.environ["RAY_ADDRESS"] = "local"

        def tasks(kind: str, count: int, *words: str) -> list[Task]:
            own = [folder / f"{kind}-{k}" for k in range(count)]
            for each in own:
                each.mkdir()
            return [
                Task(each.name, "nothing", tuple(str(each / word) for word in words), each / "log", each)
                for each in own
            ]

        load = os.getloadavg()[0]
        print(f"{given.jobs} side by side on {os.cpu_count()} cores, whose load was {load:.1f}", flush=True)
        print(f"{'':<24}{'tasks':>6}{'s':>9}{'ms/task':>10}{'head, ms/task':>15}")
        measure("processes", Processes(given.jobs), tasks("here", given.tasks), given.jobs)
        measure("ray", RayExecutor(given.jobs), tasks("ray", given.tasks), given.jobs)
        few = tasks("apart", max(1, given.tasks // 10), "a")
        for task in few:
            for k in range(3):
                (task.log.parent / f"input-{k}").write_bytes(bytes(1 << 20))
        measure("ray, no shared folder", RayExecutor(given.jobs, shared=False), few, given.jobs)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
