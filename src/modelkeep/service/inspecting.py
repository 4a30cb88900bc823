"""Looks into blobs before a version is sealed, and keeps what it finds."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncGenerator, Sequence
from concurrent import futures
from dataclasses import dataclass, field

import structlog

from modelkeep.blobs import store
from modelkeep.domain import errors, inspections, limits, manifests, names, pickle_policies
from modelkeep.domain.formats import facts, reading
from modelkeep.storage import database
from modelkeep.storage import facts as rows
from modelkeep.storage import files as file_rows
from modelkeep.storage import namespaces as namespace_rows

_AT_ONCE = 8
_KEPT_AT_ONCE = 64
_log = structlog.get_logger()


class Inspecting:
    """Finds the facts of blobs that have none yet.

    Args:
        db: the database.
        blobs: where the bytes are.
        pool: threads that read bytes and parse them; they wait for the event loop now and then.
    """

    def __init__(
        self, db: database.Database, blobs: store.BlobStore, pool: futures.Executor
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._pool = pool

    async def inspect(
        self, namespace: names.NamespaceName, files: Sequence[manifests.File]
    ) -> None:
        """Look into the blobs of these files, the most telling first, and keep their facts.

        How many is bounded, except where pickles are quarantined. What was found before a failure
        is kept, so that the next call goes on. Raises `errors.NotFound` (namespace),
        `errors.Unavailable`.
        """
        work = await self._plan(namespace, files)
        if not work.blobs:
            return
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(work.blobs))):
                    group.create_task(self._work(work))
        except* errors.ModelkeepError as failed:
            raise failed.exceptions[0] from failed
        await self._keep(work)

    async def _plan(
        self, namespace: names.NamespaceName, files: Sequence[manifests.File]
    ) -> "_Work":
        ordered = sorted(files, key=inspections.urgency)
        digests = list(dict.fromkeys(file.digest for file in ordered))
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, namespace.namespace)
            policy = (await namespace_rows.get(connection, namespace)).fields.pickle_policy
            unknown = await rows.find_unknown(connection, namespace_id, digests)
        rank = {digest: n for n, digest in enumerate(digests)}
        unknown.sort(key=lambda blob: rank[blob.digest])
        if policy is pickle_policies.PicklePolicy.QUARANTINE:
            return _Work(namespace_id, collections.deque(unknown), float("inf"))
        until = asyncio.get_running_loop().time() + inspections.SECONDS_AT_A_SEAL
        most = inspections.FILES_AT_A_SEAL
        return _Work(namespace_id, collections.deque(unknown[:most]), until)

    async def _work(self, work: "_Work") -> None:
        loop = asyncio.get_running_loop()
        while work.blobs and loop.time() < work.until:
            blob = work.blobs.popleft()
            found = await self._facts(blob)
            if found is not None:
                work.found.append((blob.digest, found))
            if len(work.found) >= _KEPT_AT_ONCE:
                await self._keep(work)

    async def _keep(self, work: "_Work") -> None:
        found, work.found = work.found, []
        async with self._db.transaction() as connection:
            await rows.insert_all(connection, work.namespace_id, found)

    async def _facts(self, blob: file_rows.StoredBlob) -> facts.Facts | None:
        """What is inside, or None if the store has lost or damaged the bytes."""
        source = _StoredSource(self._blobs, blob, asyncio.get_running_loop())
        try:
            head = await source.fetch(0, min(reading.HEAD_BYTES, blob.size_bytes))
            return await asyncio.get_running_loop().run_in_executor(self._pool, _read, source, head)
        except (errors.NotFound, errors.DataLoss) as error:
            _log.warning("inspection.bytes_lost", blob=blob.digest, error=error.message)
            return None
        finally:
            source.stop()


@dataclass(slots=True)
class _Work:
    """What is left to look into, and what was found and not kept yet."""

    namespace_id: int
    blobs: collections.deque[file_rows.StoredBlob]
    until: float
    found: list[tuple[str, facts.Facts]] = field(default_factory=list)


def _read(source: "_StoredSource", head: bytes) -> facts.Facts:
    try:
        return reading.read(source, head)
    except (errors.ModelkeepError, futures.CancelledError):
        raise
    except Exception:  # noqa: BLE001 - a mistake in reading a hostile file must not stop a seal
        _log.exception("inspection.failed", blob=source.digest)
        problem = "it made the inspection fail"
        return facts.Facts(problem=problem, pickle=facts.unreadable(problem))


class _StoredSource:
    """A blob as the parsers read it, in a thread: each read is carried out by the event loop."""

    def __init__(
        self,
        blobs: store.BlobStore,
        blob: file_rows.StoredBlob,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._blobs = blobs
        self._blob = blob
        self._loop = loop
        self._stopped = False
        self._pending: futures.Future[bytes] | None = None

    @property
    def size_bytes(self) -> int:
        """Of the blob."""
        return self._blob.size_bytes

    @property
    def digest(self) -> str:
        """Of the blob."""
        return self._blob.digest

    def read(self, offset: int, length: int) -> bytes:
        """See `source.Source.read`; raises what the store raises."""
        self._pending = asyncio.run_coroutine_threadsafe(self.fetch(offset, length), self._loop)
        if self._stopped:
            self._pending.cancel()
        return self._pending.result()

    def stop(self) -> None:
        """Nobody waits for the thread any more: end what it is reading, and what it may read."""
        self._stopped = True
        if self._pending is not None:
            self._pending.cancel()

    async def fetch(self, offset: int, length: int) -> bytes:
        """These bytes, which the blob has; raises what the store raises."""
        chunks: AsyncGenerator[bytes, None] = self._blobs.read(
            self._blob.storage_key,
            self._blob.storage_offset + offset,
            length,
            limits.CHUNK_BYTES,
        )
        async with contextlib.aclosing(chunks):
            return b"".join([chunk async for chunk in chunks])
