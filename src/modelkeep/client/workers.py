"""The threads that read, write and hash, so that the event loop never does."""

import asyncio
import os
from collections.abc import Callable
from concurrent import futures
from typing import Any, Self, TypeVar

_R = TypeVar("_R")
_MAX_THREADS = 8


class Workers:
    """A bounded pool of threads; use it as a context manager."""

    def __init__(self) -> None:
        threads = min(_MAX_THREADS, (os.cpu_count() or 1) + 2)
        self._pool = futures.ThreadPoolExecutor(threads, thread_name_prefix="modelkeep")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        # Each piece of work is short, so waiting for those that run takes milliseconds.
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[[], _R]) -> asyncio.Future[_R]:
        """Start the work in a thread; its result comes through the future."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.run_in_executor(self._pool, work)
        return future
