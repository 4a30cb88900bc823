"""How often, how long and how much: the figures of one store."""

import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, Iterator, Sequence

from modelkeep.blobs import store


@dataclasses.dataclass(slots=True)
class Meter:
    """Totals of one operation since the start. Cancelled calls and stopped reads are not failures.

    `seconds` is the time that callers waited for the store, summed over concurrent calls.
    """

    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    size_bytes: int = 0


class MeteredBlobStore:
    """Counts calls, failures, seconds and body bytes of another store, by operation.

    It protects against guessing: whether a slow registry waits for its store can be read off
    `meters`, a plain dictionary that belongs to the event loop's thread.
    """

    def __init__(self, inner: store.BlobStore, meters: dict[str, Meter] | None = None) -> None:
        self._inner = inner
        self.meters: dict[str, Meter] = {} if meters is None else meters

    async def check(self) -> None:
        """See `store.BlobStore.check`."""
        with self._metered("check"):
            await self._inner.check()

    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        """See `store.BlobStore.put`."""
        with self._metered("put") as meter:
            await self._inner.put(key, body, crc32c)
            meter.size_bytes += sum(len(buffer) for buffer in body)

    async def start_multipart(self, key: str) -> str:
        """See `store.BlobStore.start_multipart`."""
        with self._metered("start_multipart"):
            return await self._inner.start_multipart(key)

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: store.Buffers, crc32c: int
    ) -> store.PartTag:
        """See `store.BlobStore.put_part`."""
        with self._metered("put_part") as meter:
            tag = await self._inner.put_part(key, multipart_id, number, body, crc32c)
            meter.size_bytes += sum(len(buffer) for buffer in body)
            return tag

    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        """See `store.BlobStore.complete_multipart`."""
        with self._metered("complete_multipart"):
            await self._inner.complete_multipart(key, multipart_id, parts)

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """See `store.BlobStore.abort_multipart`."""
        with self._metered("abort_multipart"):
            await self._inner.abort_multipart(key, multipart_id)

    async def stat(self, key: str) -> store.StoredObject:
        """See `store.BlobStore.stat`."""
        with self._metered("stat"):
            return await self._inner.stat(key)

    async def read(
        self, key: str, offset: int, length: int, chunk_bytes: int, crc32c: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """See `store.BlobStore.read`; the time the consumer takes between chunks is not counted."""
        meter = self._meter("read")
        meter.calls += 1
        chunks = self._inner.read(key, offset, length, chunk_bytes, crc32c)
        async with contextlib.aclosing(chunks):
            while True:
                with _timed(meter):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                meter.size_bytes += len(chunk)
                yield chunk

    async def copy(self, source_key: str, key: str, size_bytes: int) -> AsyncGenerator[int, None]:
        """See `store.BlobStore.copy`."""
        meter = self._meter("copy")
        meter.calls += 1
        steps = self._inner.copy(source_key, key, size_bytes)
        async with contextlib.aclosing(steps):
            while True:
                with _timed(meter):
                    copied_bytes = await anext(steps, None)
                if copied_bytes is None:
                    return
                meter.size_bytes += copied_bytes
                yield copied_bytes

    async def delete(self, key: str) -> None:
        """See `store.BlobStore.delete`."""
        with self._metered("delete"):
            await self._inner.delete(key)

    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        """See `store.BlobStore.list_page`."""
        with self._metered("list_page"):
            return await self._inner.list_page(prefix, after, limit)

    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        """See `store.BlobStore.list_multiparts`."""
        with self._metered("list_multiparts"):
            return await self._inner.list_multiparts(prefix, mark, limit)

    async def close(self) -> None:
        """See `store.BlobStore.close`."""
        await self._inner.close()

    def _meter(self, operation: str) -> Meter:
        return self.meters.setdefault(operation, Meter())

    @contextlib.contextmanager
    def _metered(self, operation: str) -> Iterator[Meter]:
        meter = self._meter(operation)
        meter.calls += 1
        with _timed(meter):
            yield meter


@contextlib.contextmanager
def _timed(meter: Meter) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    except Exception:
        meter.failures += 1
        raise
    finally:
        meter.seconds += time.perf_counter() - started
