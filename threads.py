"""A pool of threads that is there after a fork, too."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any


class Threads(Executor):
    """Some threads, made when they are first needed.

    No thread survives a fork. A child that waited for its parent's would wait for ever, so it makes its own.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count, self._process = count, 0
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Has one of them call a function; see `Executor.submit`."""
        if self._pool is None or self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self._count, "meze"), os.getpid()
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends them; new ones are made if they are needed again."""
        pool, self._pool = self._pool, None
        if pool is not None and self._process == os.getpid():
            pool.shutdown(wait, cancel_futures=cancel_futures)
