"""Environments of others in processes of their own: gymnasium's `AsyncVectorEnv`, closed whatever happens."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState


class WorkerVectorEnv(AsyncVectorEnv):
    """One process for each environment.

    Args:
        make: makes one of them.
        num_envs: how many.
        autoreset: what happens when an episode is over.
    """

    def __init__(self, make: Callable[[], gym.Env], num_envs: int, autoreset: AutoresetMode) -> None:
        self.processes = []
        with self._alive():
            super().__init__([_Deaf(make)] * num_envs, autoreset_mode=autoreset)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins episodes; see `VectorEnv.reset`."""
        with self._alive():
            return super().reset(seed=seed, options=options)  # type: ignore[arg-type]

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes one step in every environment; see `VectorEnv.step`."""
        with self._alive():
            return super().step(actions)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Ends the processes: by force when one has died, or when a step is under way, as after Ctrl-C."""
        dead = any(not process.is_alive() for process in self.processes)
        if dead or self._state is not AsyncState.DEFAULT:
            self._state, terminate = AsyncState.DEFAULT, True  # what is still to come will not be waited for
        if terminate:
            for process in self.processes:
                process.kill()
        super().close_extras(timeout, terminate)

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Says so when a process is gone; what its environment raises is raised here as it is."""
        try:
            yield
        except (EOFError, ConnectionError) as error:
            ended = multiprocessing.connection.wait([process.sentinel for process in self.processes], 1.0)
            dead = [process for process in self.processes if process.sentinel in ended]
            for process in dead:
                process.join(1.0)  # until then it can be dead without an exit code
            codes = sorted({process.exitcode for process in dead if process.exitcode is not None})
            raise ValueError(f"an environment's process has ended by itself (exit codes: {codes})") from error


class _Deaf:
    """Makes an environment; in a process of its own that leaves Ctrl-C and SIGTERM to the one that trains."""

    def __init__(self, make: Callable[[], gym.Env]) -> None:
        self._make = make

    def __call__(self) -> gym.Env:
        if multiprocessing.parent_process() is not None:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
        return self._make()
