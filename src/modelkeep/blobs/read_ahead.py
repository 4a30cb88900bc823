"""Chunks read by pool threads, a few ahead of the event loop that consumes them.

A thread fills the read-ahead and then goes back to the pool, so a slow consumer holds a connection
but no thread.
"""

import asyncio
import collections
from collections.abc import AsyncGenerator, Callable

from modelkeep.blobs import s3_read

Submit = Callable[[Callable[[], None]], asyncio.Future[None]]
"""Runs a function in the pool; the future belongs to the running loop."""


async def stream(
    source: s3_read.RangeSource, submit: Submit, chunks_ahead: int
) -> AsyncGenerator[bytes, None]:
    """Yield the source's chunks, at most `chunks_ahead` of them waiting in memory."""
    ahead = _ReadAhead(source, submit, chunks_ahead)
    try:
        while (chunk := await ahead.next_chunk()) is not None:
            yield chunk
    finally:
        ahead.stop()


class _ReadAhead:
    def __init__(self, source: s3_read.RangeSource, submit: Submit, chunks_ahead: int) -> None:
        self._source = source
        self._submit = submit
        self._chunks_ahead = chunks_ahead
        self._ready: collections.deque[bytes] = collections.deque()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._filling: asyncio.Future[None] | None = None

    async def next_chunk(self) -> bytes | None:
        while True:
            self._refill()
            if self._ready:
                return self._ready.popleft()
            if self._filling is None:
                return None
            self._changed.clear()
            if not self._ready and not self._filling.done():
                await self._changed.wait()

    def _refill(self) -> None:
        if self._filling is not None and self._filling.done():
            if self._ready and self._filling.exception():
                return  # what arrived before it broke comes first
            filled, self._filling = self._filling, None
            filled.result()
        if self._filling is not None or self._source.exhausted:
            return
        # Starting a thread for each single chunk would cost more than it reads.
        if len(self._ready) <= self._chunks_ahead // 2:
            self._filling = self._submit(self._fill)
            self._filling.add_done_callback(self._notice)

    def _notice(self, _filled: asyncio.Future[None]) -> None:
        self._changed.set()

    def _fill(self) -> None:
        """Runs in the pool."""
        while len(self._ready) < self._chunks_ahead and not self._source.exhausted:
            self._ready.append(self._source.next_chunk())
            self._loop.call_soon_threadsafe(self._changed.set)

    def stop(self) -> None:
        """Free the connection, and the thread if one is reading; does not wait for it."""
        if self._filling is None:
            self._source.close()
            return
        if not self._filling.done():
            self._source.stop()
        self._filling.add_done_callback(self._close_after)

    def _close_after(self, filled: asyncio.Future[None]) -> None:
        if not filled.cancelled():
            filled.exception()  # what a stopped read raises is of no interest
        self._source.close()
