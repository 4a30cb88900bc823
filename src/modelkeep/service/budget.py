"""One bound on the memory that all uploads together keep parts in."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator


class MemoryBudget:
    """Hands out bytes of a fixed total, first come, first served.

    A part is reserved whole before its first byte is kept. Were each chunk reserved by itself,
    many streams could each hold a piece of a part until none could ever complete one. A part
    larger than the total is admitted when nothing else is: it could not be stored otherwise.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self.used_bytes = 0
        self._waiting: collections.deque[tuple[int, asyncio.Future[None]]] = collections.deque()
        self._watchers: list[Callable[[], None]] = []

    @property
    def waiting(self) -> int:
        """How many reservations wait."""
        return len(self._waiting)

    async def reserve(self, size_bytes: int) -> None:
        """Wait for so many bytes; the caller must `release` as many."""
        if not self._waiting and self._fits(size_bytes):
            self.used_bytes += size_bytes
            return
        granted = asyncio.get_running_loop().create_future()
        entry = (size_bytes, granted)
        self._waiting.append(entry)
        for tell in tuple(self._watchers):
            tell()
        try:
            await granted
        except asyncio.CancelledError:
            self._forget(entry)
            raise

    @contextlib.contextmanager
    def watched(self, tell: Callable[[], None]) -> Iterator[None]:
        """Inside the block, `tell` is called whenever somebody begins to wait."""
        self._watchers.append(tell)
        try:
            yield
        finally:
            self._watchers.remove(tell)

    @contextlib.asynccontextmanager
    async def held(self, size_bytes: int) -> AsyncIterator[None]:
        """So many bytes are reserved inside the block."""
        await self.reserve(size_bytes)
        try:
            yield
        finally:
            self.release(size_bytes)

    def release(self, size_bytes: int) -> None:
        """Give bytes back and grant as many waiting reservations, in their order, as fit."""
        self.used_bytes -= size_bytes
        self._grant()

    def _fits(self, size_bytes: int) -> bool:
        return self.used_bytes + size_bytes <= self.total_bytes or self.used_bytes == 0

    def _grant(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, granted = self._waiting.popleft()
            if granted.cancelled():
                continue
            self.used_bytes += size_bytes
            granted.set_result(None)

    def _forget(self, entry: tuple[int, "asyncio.Future[None]"]) -> None:
        size_bytes, granted = entry
        if granted.done() and not granted.cancelled():
            self.release(size_bytes)  # granted at the very moment of the cancellation
            return
        with contextlib.suppress(ValueError):  # `_grant` may have dropped it
            self._waiting.remove(entry)
        self._grant()
