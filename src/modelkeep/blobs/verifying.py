"""Checksums that do not trust the store, the way to it, or our own buffers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent import futures

import google_crc32c

from modelkeep.blobs import store
from modelkeep.domain import errors, limits

_INLINE_BYTES = limits.CHUNK_BYTES
"""A body up to this size is checksummed on the loop: that takes less than a hop to a thread."""


class VerifyingBlobStore:
    """Recomputes CRC32C on both sides of another store.

    Before a body leaves, it protects against a buffer that was reused or damaged between the
    caller's checksum and the request, also with a store that ignores checksums. On a read with a
    known checksum it protects against bytes that the store let rot: the last chunk is kept back
    until the whole range matches, so nobody ever holds a complete wrong body. Bodies are
    checksummed in `pool`, because the C code releases the interpreter lock; small ones and the
    chunk of a read take 50 us per MiB and stay on the loop: a hop to a thread would cost more.
    """

    def __init__(self, inner: store.BlobStore, pool: futures.Executor) -> None:
        self._inner = inner
        self._pool = pool

    async def check(self) -> None:
        """See `store.BlobStore.check`."""
        await self._inner.check()

    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        """See `store.BlobStore.put`."""
        await self._require(body, crc32c, key)
        await self._inner.put(key, body, crc32c)

    async def start_multipart(self, key: str) -> str:
        """See `store.BlobStore.start_multipart`."""
        return await self._inner.start_multipart(key)

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: store.Buffers, crc32c: int
    ) -> store.PartTag:
        """See `store.BlobStore.put_part`."""
        await self._require(body, crc32c, f"{key}, part {number}")
        return await self._inner.put_part(key, multipart_id, number, body, crc32c)

    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        """See `store.BlobStore.complete_multipart`."""
        await self._inner.complete_multipart(key, multipart_id, parts)

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """See `store.BlobStore.abort_multipart`."""
        await self._inner.abort_multipart(key, multipart_id)

    async def stat(self, key: str) -> store.StoredObject:
        """See `store.BlobStore.stat`."""
        return await self._inner.stat(key)

    def read(
        self, key: str, offset: int, length: int, chunk_bytes: int, crc32c: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `store.BlobStore.read`."""
        chunks = self._inner.read(key, offset, length, chunk_bytes, crc32c)
        return chunks if crc32c is None else _verified(chunks, length, crc32c, key)

    def copy(self, source_key: str, key: str, size_bytes: int) -> AsyncGenerator[int, None]:
        """See `store.BlobStore.copy`."""
        return self._inner.copy(source_key, key, size_bytes)

    async def delete(self, key: str) -> None:
        """See `store.BlobStore.delete`."""
        await self._inner.delete(key)

    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        """See `store.BlobStore.list_page`."""
        return await self._inner.list_page(prefix, after, limit)

    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        """See `store.BlobStore.list_multiparts`."""
        return await self._inner.list_multiparts(prefix, mark, limit)

    async def close(self) -> None:
        """See `store.BlobStore.close`; the pool is the caller's."""
        await self._inner.close()

    async def _require(self, body: store.Buffers, expected: int, place: str) -> None:
        if sum(len(buffer) for buffer in body) <= _INLINE_BYTES:
            found = crc32c_of(body)
        else:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._pool, crc32c_of, body)
        if found != expected:
            raise errors.DataLoss(
                f"The bytes for {place} have CRC32C {found:08x} instead of {expected:08x}; "
                "send them again."
            )


def crc32c_of(body: store.Buffers) -> int:
    """CRC32C of the buffers one after another; memoryviews are copied, the C code takes bytes."""
    crc32c = 0
    for buffer in body:
        crc32c = google_crc32c.extend(crc32c, bytes(buffer))
    return crc32c


async def _verified(
    chunks: AsyncGenerator[bytes, None], length: int, expected: int, key: str
) -> AsyncGenerator[bytes, None]:
    found, position = 0, 0
    try:
        async for chunk in chunks:
            found = google_crc32c.extend(found, chunk)
            position += len(chunk)
            if position == length and found != expected:
                raise errors.DataLoss(
                    f"Object {key} has CRC32C {found:08x} in the store instead of {expected:08x}."
                )
            yield chunk
    finally:
        await chunks.aclose()
