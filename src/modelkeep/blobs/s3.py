"""The object store behind an S3 endpoint: each request in a thread of one bounded pool."""

import asyncio
import contextlib
import functools
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent import futures
from typing import Any, TypeVar

import minio
import minio.error

from modelkeep.blobs import read_ahead, s3_connection, s3_errors, s3_read, s3_requests, store
from modelkeep.domain import errors

_MOST_PARTS = 10_000
_CHUNKS_AHEAD = 2  # more is no faster: the socket holds as much again, and each chunk is memory
_Answer = TypeVar("_Answer")
_OWNED = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class S3BlobStore:
    """A `store.BlobStore` in one bucket of an S3 endpoint.

    Never blocks the event loop and never hashes a body. The store behind the endpoint checks
    CRC32C on arrival (AWS, MinIO and SeaweedFS do).
    """

    def __init__(self, settings: s3_connection.S3Settings) -> None:
        self._settings = settings
        self._http = s3_connection.Connections(settings)
        self._uploads = s3_requests.SignedRequests(settings, self._http)
        self._client = minio.Minio(
            settings.endpoint,
            settings.access_key,
            settings.secret_key,
            secure=settings.secure,
            region=settings.region,
            http_client=self._http,
        )
        self._pool = futures.ThreadPoolExecutor(settings.threads, thread_name_prefix="s3")
        self._running: set[asyncio.Future[Any]] = set()

    async def check(self) -> None:
        """Raise unless the bucket exists and answers with these credentials."""
        await self._run(self._check)

    async def ensure_bucket(self, *, create: bool) -> None:
        """Like `check`, but make the bucket first if it is missing and `create` allows it."""
        try:
            if create:
                await self._run(self._make_bucket)
            await self.check()
        except errors.Unavailable as error:  # it may never have answered at all
            raise errors.Unavailable(
                f"{error.message} Or is it another that MODELKEEP_S3_ENDPOINT and "
                "MODELKEEP_S3_SECURE should name?",
                reason=error.reason,
            ) from error

    async def put(self, key: str, body: store.Buffers, crc32c: int) -> None:
        """See `store.BlobStore.put`."""
        sent = s3_requests.Body(body)
        await self._run(functools.partial(self._uploads.put, key, sent, crc32c), sent.cancel)

    async def start_multipart(self, key: str) -> str:
        """See `store.BlobStore.start_multipart`."""
        return await self._run(functools.partial(self._uploads.start_multipart, key))

    async def put_part(
        self, key: str, multipart_id: str, number: int, body: store.Buffers, crc32c: int
    ) -> store.PartTag:
        """See `store.BlobStore.put_part`."""
        sent = s3_requests.Body(body)
        call = functools.partial(self._uploads.put_part, key, multipart_id, number, sent, crc32c)
        return await self._run(call, sent.cancel)

    async def complete_multipart(
        self, key: str, multipart_id: str, parts: Sequence[store.PartTag]
    ) -> None:
        """See `store.BlobStore.complete_multipart`."""
        await self._run(functools.partial(self._complete, key, multipart_id, tuple(parts)))

    async def abort_multipart(self, key: str, multipart_id: str) -> None:
        """See `store.BlobStore.abort_multipart`."""
        with contextlib.suppress(errors.NotFound):
            await self._run(functools.partial(self._uploads.abort_multipart, key, multipart_id))

    async def stat(self, key: str) -> store.StoredObject:
        """See `store.BlobStore.stat`."""
        return await self._run(functools.partial(self._stat, key))

    def read(
        self,
        key: str,
        offset: int,
        length: int,
        chunk_bytes: int,
        crc32c: int | None = None,  # noqa: ARG002 - for a store that verifies
    ) -> AsyncGenerator[bytes, None]:
        """See `store.BlobStore.read`."""
        source = s3_read.RangeSource(
            self._client,
            self._settings.bucket,
            key,
            offset=offset,
            length=length,
            chunk_bytes=chunk_bytes,
            attempts=self._settings.attempts,
        )
        return read_ahead.stream(source, self._submit_fill, _CHUNKS_AHEAD)

    async def copy(self, source_key: str, key: str, size_bytes: int) -> AsyncGenerator[int, None]:
        """See `store.BlobStore.copy`."""
        part_bytes = max(self._settings.copy_part_bytes, -(-size_bytes // _MOST_PARTS))
        if size_bytes <= part_bytes:
            await self._run(functools.partial(self._uploads.copy, source_key, key))
            yield size_bytes
            return
        start = functools.partial(self._uploads.start_multipart, key, checksummed=False)
        multipart_id = await self._run(start)
        try:
            tags = []
            for number, begin in enumerate(range(0, size_bytes, part_bytes), 1):
                end = min(begin + part_bytes, size_bytes)
                part = s3_requests.Range(source_key, begin, end)
                call = functools.partial(self._uploads.copy_part, part, key, multipart_id, number)
                tags.append(await self._run(call))
                yield end - begin
            await self.complete_multipart(key, multipart_id, tags)
        except BaseException:
            with contextlib.suppress(errors.ModelkeepError):  # the reaper finds what is left
                await self.abort_multipart(key, multipart_id)
            raise

    async def delete(self, key: str) -> None:
        """See `store.BlobStore.delete`."""
        with contextlib.suppress(errors.NotFound):
            await self._run(
                functools.partial(self._client.remove_object, self._settings.bucket, key)
            )

    async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        """See `store.BlobStore.list_page`."""
        return await self._run(functools.partial(self._list, prefix, after, limit))

    async def list_multiparts(self, prefix: str, mark: str, limit: int) -> store.MultipartPage:
        """See `store.BlobStore.list_multiparts`."""
        return await self._run(
            functools.partial(self._uploads.list_multiparts, prefix, mark, limit)
        )

    async def close(self) -> None:
        """Take no more calls, wait for those under way, release connections and threads."""
        self._pool.shutdown(wait=False)
        if self._running:
            await asyncio.wait(self._running)
        self._http.clear()

    async def _run(
        self, call: Callable[[], _Answer], cancel: Callable[[], None] | None = None
    ) -> _Answer:
        """Call in the pool; if cancelled, and the call has a body, return when it is let go."""
        started, answer = self._submit(call)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_forget)
            if not started.cancel() and cancel is not None:
                cancel()
                await _settled(answer)
            raise

    def _submit(
        self, call: Callable[[], _Answer]
    ) -> tuple[futures.Future[_Answer], asyncio.Future[_Answer]]:
        try:
            started = self._pool.submit(self._translated, call)
        except RuntimeError as error:
            raise errors.Unavailable("The server is stopping; try again shortly.") from error
        answer = asyncio.wrap_future(started)
        self._running.add(answer)
        answer.add_done_callback(self._running.discard)
        return started, answer

    def _submit_fill(self, fill: Callable[[], None]) -> asyncio.Future[None]:
        return self._submit(fill)[1]

    def _translated(self, call: Callable[[], _Answer]) -> _Answer:
        with s3_errors.translated(self._settings):
            return call()

    def _check(self) -> None:
        # A listing, unlike a HEAD of the bucket, says in words why it is refused.
        next(iter(self._client.list_objects(self._settings.bucket)), None)

    def _make_bucket(self) -> None:
        bucket = self._settings.bucket
        if self._client.bucket_exists(bucket):
            return
        try:
            self._client.make_bucket(bucket, location=self._settings.region)
        except minio.error.S3Error as error:
            if error.code in s3_errors.ACCESS_REFUSED:
                raise s3_errors.cannot_make_bucket(self._settings, error) from error
            if error.code not in _OWNED:  # another replica was faster
                raise

    def _complete(self, key: str, multipart_id: str, parts: tuple[store.PartTag, ...]) -> None:
        try:
            self._uploads.complete_multipart(key, multipart_id, parts)
        except minio.error.S3Error as error:
            if error.code != "NoSuchUpload":
                raise
            self._stat(key)  # completed before, or this raises

    def _stat(self, key: str) -> store.StoredObject:
        found = self._client.stat_object(self._settings.bucket, key)
        return store.StoredObject(key, found.size or 0, found.last_modified)

    def _list(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
        found = self._client.list_objects(
            self._settings.bucket, prefix=prefix, recursive=True, start_after=after or None
        )
        return [
            store.StoredObject(entry.object_name or "", entry.size or 0, entry.last_modified)
            for entry in itertools.islice(found, limit)
        ]


def _forget(answer: asyncio.Future[_Answer]) -> None:
    """Look at an error nobody waits for, or the loop reports it as one that was overlooked."""
    if not answer.cancelled():
        answer.exception()


async def _settled(answer: asyncio.Future[_Answer]) -> None:
    """Wait for the thread, even if cancelled again: its buffers are not ours to give back yet."""
    while not answer.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([answer])
