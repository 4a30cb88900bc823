"""Reading a range of an object: chunks of exact size, a few ahead of the loop that consumes them.

A pool thread fills the read-ahead and then goes back to the pool, so a slow consumer holds a
connection but no thread.
"""

import asyncio
import collections
import contextlib
import re
import threading
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus

import minio
import minio.error
import urllib3
import urllib3.exceptions

from modelkeep.domain import errors

Submit = Callable[[Callable[[], None]], asyncio.Future[None]]
"""Runs a function in the pool; the future belongs to the running loop."""

_BROKEN = (urllib3.exceptions.HTTPError, OSError)
_TOTAL = re.compile(r"bytes (\d+)-\d+/(\d+)")


class RangeSource:
    """Synchronous reader of bytes [offset, offset + length) of one object, in exact chunks.

    A connection that breaks is opened again where it broke, at most `attempts` times in a row
    without a chunk between.
    """

    def __init__(
        self,
        client: minio.Minio,
        bucket: str,
        key: str,
        *,
        offset: int,
        length: int,
        chunk_bytes: int,
        attempts: int,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._position = offset
        self._end = offset + length
        self._chunk_bytes = chunk_bytes
        self._attempts = attempts
        self._response: urllib3.BaseHTTPResponse | None = None
        self._etag: str | None = None
        self._stopped = threading.Event()

    @property
    def exhausted(self) -> bool:
        """Whether every chunk was read, or nobody wants more."""
        return self._position >= self._end or self._stopped.is_set()

    def next_chunk(self) -> bytes:
        """Read the next chunk, `chunk_bytes` long unless it is the last."""
        size = min(self._chunk_bytes, self._end - self._position)
        for attempt in range(1, self._attempts + 1):
            response = self._response or self._open()
            try:
                return self._read(response, size)
            except _BROKEN:
                self.close()
                if self._stopped.is_set() or attempt == self._attempts:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def stop(self) -> None:
        """Make a read under way in another thread end at once; call `close` when it has."""
        self._stopped.set()
        response = self._response
        if response is not None:
            # ValueError, RuntimeError, OSError: it has just ended by itself.
            with contextlib.suppress(ValueError, RuntimeError, OSError):
                response.shutdown()

    def close(self) -> None:
        """Close the connection, unless the range was read to its end and it is kept alive."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _read(self, response: urllib3.BaseHTTPResponse, size: int) -> bytes:
        self._response = response
        if self._stopped.is_set():  # before there was a response that `stop` could shut down
            raise urllib3.exceptions.IncompleteRead(0, size)
        chunk = response.read(size, decode_content=False)
        if len(chunk) < size:
            raise urllib3.exceptions.IncompleteRead(len(chunk), size - len(chunk))
        self._position += size
        return chunk

    def _open(self) -> urllib3.BaseHTTPResponse:
        try:
            response = self._client.get_object(
                self._bucket,
                self._key,
                offset=self._position,
                length=self._end - self._position,
            )
        except minio.error.S3Error as error:
            if error.code == "InvalidRange":
                raise self._too_short() from error
            raise
        self._check(response)
        return response

    def _check(self, response: urllib3.BaseHTTPResponse) -> None:
        etag = response.headers.get("etag")
        self._etag = self._etag or etag
        if etag == self._etag and self._object_bytes(response) >= self._end:
            return
        response.close()
        if etag != self._etag:
            raise errors.DataLoss(f"Object {self._key} was replaced while it was being read.")
        raise self._too_short()

    def _object_bytes(self, response: urllib3.BaseHTTPResponse) -> int:
        """Size of the whole object; -1 if the answer is not the range that was asked for."""
        total = _TOTAL.fullmatch(response.headers.get("content-range", ""))
        if total and int(total[1]) == self._position:
            return int(total[2])
        # A server may ignore a range and send everything (RFC 9110, section 14.2).
        whole = response.status == HTTPStatus.OK and self._position == 0
        return int(response.headers.get("content-length", -1)) if whole else -1

    def _too_short(self) -> errors.DataLoss:
        return errors.DataLoss(
            f"The store has no bytes {self._position} to {self._end} of object {self._key}."
        )


async def stream(
    source: RangeSource, submit: Submit, chunks_ahead: int
) -> AsyncGenerator[bytes, None]:
    """Yield the source's chunks, at most `chunks_ahead` of them waiting in memory."""
    ahead = _ReadAhead(source, submit, chunks_ahead)
    try:
        while (chunk := await ahead.next_chunk()) is not None:
            yield chunk
    finally:
        ahead.stop()


class _ReadAhead:
    def __init__(self, source: RangeSource, submit: Submit, chunks_ahead: int) -> None:
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
        filling = self._filling
        if filling is None or filling.done():
            self._source.close()
            return
        self._source.stop()
        filling.add_done_callback(self._close_after)

    def _close_after(self, filled: asyncio.Future[None]) -> None:
        if not filled.cancelled():
            filled.exception()  # what a stopped read raises is of no interest
        self._source.close()
