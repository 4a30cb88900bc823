"""A blob store that fails on demand, for tests of what stands on a store."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from modelkeep.blobs import store
from modelkeep.domain import errors

_Answer = TypeVar("_Answer")


@dataclasses.dataclass
class _Fault:
    operation: str
    calls_before: int
    error: Exception | None = None
    done_before: bool = False
    gate: asyncio.Event | None = None
    after_bytes: int = 0
    flip: bool = False


class FaultyBlobStore:
    """Passes everything on to another store, except what a test asked to go wrong.

    A fault hits one call and is then used up. `calls` counts every call by operation.
    """

    def __init__(self, inner: store.BlobStore) -> None:
        self._inner = inner
        self._faults: list[_Fault] = []
        self.calls: dict[str, int] = {}

    def fail(
        self,
        operation: str,
        *,
        nth: int = 1,
        error: Exception | None = None,
        done_before: bool = False,
    ) -> None:
        """Make the nth call from now raise (`Unavailable` unless told).

        With `done_before`, the store does what it was asked and only its answer is lost.
        """
        lost = error or errors.Unavailable("The object store was told to fail.")
        self._faults.append(_Fault(operation, nth - 1, lost, done_before))

    def hold(self, operation: str, *, nth: int = 1) -> asyncio.Event:
        """Make the nth call from now wait until the returned event is set."""
        gate = asyncio.Event()
        self._faults.append(_Fault(operation, nth - 1, gate=gate))
        return gate

    def cut_read(self, after_bytes: int, *, nth: int = 1, error: Exception | None = None) -> None:
        """Make the nth read from now break after so many bytes."""
        lost = error or errors.Unavailable("The object store was told to break off.")
        self._faults.append(_Fault("read", nth - 1, lost, after_bytes=after_bytes))

    def flip_read(self, at_byte: int, *, nth: int = 1) -> None:
        """Make the nth read from now return one wrong bit, so many bytes from its start."""
        self._faults.append(_Fault("read", nth - 1, after_bytes=at_byte, flip=True))

    async def check(self) -> None:
        await self._call("check", self._inner.check)

    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        await self._call("put", lambda: self._inner.put(key, body, crc32c))

    async def start_multipart(self, key: str) -> str:
        return await self._call("start_multipart", lambda: self._inner.start_multipart(key))

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: store.Buffers, crc32c: int
    ) -> store.PartTag:
        return await self._call(
            "put_part", lambda: self._inner.put_part(key, multipart_id, number, body, crc32c)
        )

    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        await self._call(
            "complete_multipart", lambda: self._inner.complete_multipart(key, multipart_id, parts)
        )

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        await self._call("abort_multipart", lambda: self._inner.abort_multipart(key, multipart_id))

    async def stat(self, key: str) -> store.StoredObject:
        return await self._call("stat", lambda: self._inner.stat(key))

    async def read(
        self, key: str, offset: int, length: int, chunk_bytes: int, crc32c: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        fault = self._due("read")
        if fault.gate:
            await fault.gate.wait()
        position = 0
        chunks = self._inner.read(key, offset, length, chunk_bytes, crc32c)
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                if fault.error and position + len(chunk) > fault.after_bytes:
                    raise fault.error
                at_byte = fault.after_bytes - position
                yield _flipped(chunk, at_byte) if fault.flip else chunk
                position += len(chunk)

    async def copy(self, source_key: str, key: str, size_bytes: int) -> AsyncGenerator[int, None]:
        fault = self._due("copy")
        if fault.gate:
            await fault.gate.wait()
        if fault.error and not fault.done_before:
            raise fault.error
        async with contextlib.aclosing(self._inner.copy(source_key, key, size_bytes)) as steps:
            async for copied_bytes in steps:
                yield copied_bytes
        if fault.error:
            raise fault.error

    async def delete(self, key: str) -> None:
        await self._call("delete", lambda: self._inner.delete(key))

    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        return await self._call("list_page", lambda: self._inner.list_page(prefix, after, limit))

    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        return await self._call(
            "list_multiparts", lambda: self._inner.list_multiparts(prefix, mark, limit)
        )

    async def close(self) -> None:
        await self._inner.close()

    async def _call(self, operation: str, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        fault = self._due(operation)
        if fault.gate:
            await fault.gate.wait()
        if fault.error and not fault.done_before:
            raise fault.error
        answer = await call()
        if fault.error:
            raise fault.error
        return answer

    def _due(self, operation: str) -> _Fault:
        self.calls[operation] = self.calls.get(operation, 0) + 1
        due = _Fault(operation, 0)
        for fault in [fault for fault in self._faults if fault.operation == operation]:
            if fault.calls_before == 0:
                self._faults.remove(fault)
                due = fault
            fault.calls_before -= 1
        return due


def _flipped(chunk: bytes, at_byte: int) -> bytes:
    if not 0 <= at_byte < len(chunk):
        return chunk
    return chunk[:at_byte] + bytes([chunk[at_byte] ^ 1]) + chunk[at_byte + 1 :]
