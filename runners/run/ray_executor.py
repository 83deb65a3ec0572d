"""Runs tasks on all machines of a cluster of Ray: each in a process of its own, which an actor starts there.

What a task has written so far is on this machine: in a folder that all see, or sent here as it is written. So
when a worker or a whole machine is lost, its task goes on from there on another one.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import platform
import signal
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import exceptions
from ray._private import ray_constants, services, worker
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...version import __version__
from ..setup.files import PATIENCE, Lines
from ..setup.interrupts import uninterrupted
from ..setup.text import one_line, printable
from .away import Changes, Worker, ordered, packed, put
from .executor import STOPPED, Task

MOST_LOST = 5
"""So many workers may be lost with a task before it is given up: it may be what ends them."""
NEWS, HEED = 5.0, 0.5
"""Seconds after which it is looked whether there are more machines, and after which signals are heeded."""
ANSWER = 10.0
"""Seconds in which a cluster has to answer."""
TOKEN = "from its beginning, either all of a cluster has RAY_AUTH_MODE=token and ~/.ray/auth_token, or none"
"""What is said where that may be why."""


@dataclass(eq=False)
class _Flight:
    """A task that is under way."""

    task: Task
    lost: int = 0
    """Workers that were lost with it."""
    actor: Any = None
    steps: Generator[Any, Any, str] | None = None
    """What is to be done one after another: gives calls of the actor, takes what they came to."""
    begun: bool = False


class RayExecutor:
    """Runs each task in a process of its own on some machine of a cluster; see `executor.Executor`.

    Args:
        jobs: tasks side by side; by default as many as the cluster has cores for, as machines come and go.
        cpus: cores that each has for itself.
        shared: whether all machines see the tasks' folders; by default that is found out for each task.

    Raises:
        ValueError: one line, when the cluster can't be used, or no machine of it has so many cores.
    """

    def __init__(self, jobs: int | None = None, cpus: int = 1, shared: bool | None = None) -> None:
        self._jobs, self._cpus, self._shared = jobs, cpus, shared
        _connect()
        _check_versions()
        most = max(each["Resources"].get("CPU", 0) for each in _nodes())
        if cpus > most:
            raise ValueError(f"a run wants {cpus} cores, and no machine of the cluster has as many")
        self._under_way: dict[Any, _Flight] = {}
        self._idle: dict[
            Any, list[Any]
        ] = {}  # actors by what they were asked for: to start one takes a second
        self._stopping = False

    @contextmanager
    def running(self, tasks: Iterable[Task]) -> Iterator[Iterator[tuple[Task, str]]]:
        """Runs tasks; see `Executor.running`."""
        if threading.current_thread() is threading.main_thread():  # even where a shell had it ignored
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield self._ended(iter(tasks))
        except BaseException:
            self._stop()
            raise
        finally:
            self._release()

    def _ended(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, str]]:
        again: deque[_Flight] = deque()
        while True:
            with uninterrupted():
                free = max(0, self._slots() - len(self._under_way))
                begun = itertools.islice(itertools.chain(_taken(again), map(_Flight, tasks)), free)
                first = [self._begin(flight) for flight in begun]
                if len(first) < free:  # nothing is left to be begun
                    self._release()
                told = list(filter(None, first))
            yield from told
            for ref in self._news():
                with uninterrupted():
                    ended = self._advance(self._under_way.pop(ref), ref, again)
                if ended:
                    told.append(ended)
                    yield ended
            if not (told or again or self._under_way):
                return

    def _news(self) -> list[Any]:
        """Calls of which it is known what they came to."""
        ended, calls, end = [], list(self._under_way), time.monotonic() + NEWS
        while calls and not ended and time.monotonic() < end:
            with uninterrupted():  # what a signal raises inside Ray would come out as a plain Ctrl-C
                ended = ray.wait(calls, num_returns=1, timeout=HEED)[0]
        return ended

    def _slots(self) -> int:
        """Tasks that fit into the cluster side by side."""
        fit = sum(int(each["Resources"].get("CPU", 0) // self._cpus) for each in _nodes())
        return max(1, fit if self._jobs is None else self._jobs)

    def _begin(self, flight: _Flight) -> tuple[Task, str] | None:
        flight.steps, flight.begun, flight.actor = self._steps(flight), False, None
        return self._advance(flight, None, deque())

    def _advance(self, flight: _Flight, ref: Any, again: deque[_Flight]) -> tuple[Task, str] | None:
        """Goes on with a task, of which a call has ended; returns it and why it failed, if it is over."""
        assert flight.steps
        try:
            self._under_way[flight.steps.send(None if ref is None else ray.get(ref))] = flight
            return None
        except StopIteration as end:
            if flight.actor:
                self._idle.setdefault(_kind(flight.task), []).append(flight.actor)
            return flight.task, end.value
        except (exceptions.RayTaskError, OSError, ValueError) as error:  # there, or here
            reason = one_line(getattr(error, "cause", None) or error)
        except exceptions.RayError as error:
            if getattr(error, "actor_init_failed", False):  # a machine has joined that has another version
                _check_versions()
            flight.lost += 1
            if not self._stopping and flight.lost < MOST_LOST:
                again.append(flight)
                reason = None
                print(printable(f"{flight.task.name} lost its worker, and goes on with another"), flush=True)
            else:
                hint = f"; {TOKEN}" if "never ran" in str(error) else ""
                lost = f"{flight.lost} workers were lost: {one_line(error)}{hint}"
                reason = STOPPED if self._stopping else lost
        flight.steps.close()
        if flight.actor:
            ray.kill(flight.actor)
        return None if reason is None else (flight.task, reason)

    def _steps(self, flight: _Flight) -> Generator[Any, Any, str]:
        """What is to be done: gives calls of an actor, takes what they came to; returns why it failed."""
        task, folder = flight.task, flight.task.folder
        if task.gpus > max(each["Resources"].get("GPU", 0) for each in _nodes()):
            return "it wants a GPU, and no machine of the cluster has one"
        flight.actor = actor = self._actor(task)
        shared = True if folder is None else self._shared
        if shared is None:
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".shared-") as token:
                shared = yield actor.sees.remote(os.path.abspath(token.name))
        order, files, known = ordered(task, self._cpus), None, {}
        if not shared and folder:
            files = packed(folder, order.files)
            known = {name: Lines(folder / name) for name in task.lines}
        flight.begun = True
        yield actor.begin.remote(order, files, {name: own.exchange() for name, own in known.items()})
        lines: dict[str, bytes] = {}
        while True:
            changes: Changes = yield actor.changes.remote(lines)
            if folder:
                put(folder, changes.files, changes.gone)
            lines = {name: known[name].exchange(gained) for name, gained in changes.lines.items()}
            if changes.reason is not None:
                return changes.reason

    def _actor(self, task: Task) -> Any:
        if idle := self._idle.get(_kind(task)):
            return idle.pop()
        self._release()  # which gives back the cores that they hold
        wanted: dict[str, Any] = {"num_cpus": self._cpus, "num_gpus": task.gpus, "max_concurrency": 2}
        if task.folder is None:  # here, where its files are
            here = ray.get_runtime_context().get_node_id()
            own = next(each for each in _nodes() if each["NodeID"] == here)
            if own["Resources"].get("CPU", 0) < self._cpus:
                wanted["num_cpus"] = 0
            wanted["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
        return _Worker.options(**wanted).remote(__version__)

    def _stop(self) -> None:
        """Asks all that run to save and end, and waits until they have."""
        self._stopping = True
        for ref, flight in list(self._under_way.items()):
            if flight.begun:
                flight.actor.stop.remote()
            else:
                del self._under_way[ref]
                ray.kill(flight.actor)
        if self._under_way:
            print(f"waiting until what is trained is saved, {len(self._under_way)} under way", flush=True)
        while self._under_way:
            self._release()  # cores for which a task may wait that must begin before it can end
            for ref in self._news():
                self._advance(self._under_way.pop(ref), ref, deque())

    def _release(self) -> None:
        for actor in itertools.chain(*self._idle.values()):
            ray.kill(actor)
        self._idle.clear()


_Worker: Any = ray.remote(Worker)


def _kind(task: Task) -> tuple[int, bool]:
    """What an actor must be like that does a task: its GPUs, and whether it is on this machine."""
    return task.gpus, task.folder is None


def _taken(again: deque[_Flight]) -> Iterator[_Flight]:
    while again:
        yield again.popleft()


def _nodes() -> list[dict[str, Any]]:
    """The cluster's machines."""
    return [each for each in ray.nodes() if each["Alive"]]


def _connect() -> None:
    """Joins the cluster that `RAY_ADDRESS` names or `ray start` made, or starts one on this machine alone.

    Raises:
        ValueError: one line, when it can't be used.
    """
    if ray.is_initialized():
        return
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        address = services.canonicalize_bootstrap_address(None)  # type: ignore[arg-type]
        if address is not None:
            _check_answers(address)
            # `ray start` asks for this user's token where there is one, which a named address would not tell.
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        local: dict[str, Any] = {}
        if address is None:
            print("no cluster of Ray is there: starting one on this machine alone, for some 10 s", flush=True)
            local = {"include_dashboard": False}
            # As Ray does by itself on macOS and Windows: only what is on this machine can connect.
            ray_constants.ENABLE_RAY_CLUSTER = False
            os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
        with _own_sigterm():
            worker._worker_logs_enabled = False  # pages of its own logs, where a machine is lost
            ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    except (RuntimeError, OSError, ValueError, exceptions.AuthenticationError) as error:
        hint = f"; {TOKEN}" if not isinstance(error, _Silent) and address is not None else ""
        raise ValueError(f"the cluster of Ray can't be used: {one_line(error)}{hint}") from error
    if address is not None:
        cores = [f"{each['Resources'].get('CPU', 0):g}" for each in _nodes()]
        print(f"cores of the machines in the cluster of Ray at {address}: {', '.join(cores)}", flush=True)


def _check_answers(address: str) -> None:
    """Refuses a cluster that is gone: Ray itself would try for minutes.

    Raises:
        OSError: when nobody answers.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except OSError as error:
        where = f"{address}, which RAY_ADDRESS names or `ray start` made"
        raise _Silent(f"nobody answers at {where} ({error})") from None


class _Silent(OSError):
    """Nobody answers."""


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keeps what SIGTERM does, which Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_versions() -> None:
    """Refuses machines that have other versions: a run would not come to the same on them.

    Raises:
        ValueError: one line.
    """

    # Inside a function it is sent as code: where there is no meze, a name would not be found.
    def versions() -> tuple[str, str]:
        try:
            found = importlib.import_module("meze.version").__version__
        except ModuleNotFoundError:
            found = "none"
        return found, platform.python_version()

    calls = {}
    for node in _nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        call = ray.remote(num_cpus=0, max_retries=0)(versions).options(scheduling_strategy=there).remote()
        calls[call] = node["NodeManagerAddress"]
    own = __version__, platform.python_version()
    for call, address in calls.items():
        try:
            found = ray.get(call, timeout=PATIENCE)
        except exceptions.GetTimeoutError:
            raise ValueError(f"{address} of the cluster of Ray does not answer") from None
        except exceptions.RayError:  # the machine is gone since
            continue
        for name, here, there in zip(("meze", "Python"), own, found, strict=True):
            if here != there:
                raise ValueError(f"{name} is {here} here, and {there} on {address} of the cluster of Ray")
