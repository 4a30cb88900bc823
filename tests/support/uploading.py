"""A deployment for tests of uploads: one database and one store, as many replicas as wanted."""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from modelkeep.authz import caller as callers
from modelkeep.blobs import store
from modelkeep.domain import blobs, limits, names, namespaces, uploads
from modelkeep.service import artifacts, changes, hashing
from modelkeep.service import namespaces as namespace_service
from modelkeep.service import uploads as upload_service
from modelkeep.storage import database

ACME = names.NamespaceName("acme")
NOT_ONCE = changes.Once("", b"")
CALLER = callers.anonymous(callers.Role.ADMIN, "test", "request-1")
PART = 64 * limits.KIB
CHUNK = 16 * limits.KIB


def content_of(size_bytes: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(content: bytes) -> blobs.Descriptor:
    return blobs.Descriptor(digest_of(content), len(content))


def pieces_of(
    content: bytes,
    start: int = 0,
    end: int | None = None,
    *,
    chunk_bytes: int = CHUNK,
    finish: bool = True,
) -> list[uploads.Piece]:
    """The messages for bytes [start, end), each with its checksum."""
    end = len(content) if end is None else end
    pieces = []
    for offset in range(start, end, chunk_bytes):
        chunk = content[offset : min(offset + chunk_bytes, end)]
        pieces.append(uploads.Piece(None, offset, chunk, hashing.crc32c_of([chunk])))
    if finish:
        pieces.append(uploads.Piece(None, end, b"", finish_stream=True))
    return pieces


async def flow(pieces: Iterable[uploads.Piece]) -> AsyncIterator[uploads.Piece]:
    for piece in pieces:
        yield piece


async def until(condition: Callable[[], object]) -> None:
    """Give way until the condition holds, for things that nobody signals."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.002)


class Feed:
    """A stream that a test feeds piece by piece; `taken` counts what the server took."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[uploads.Piece | None] = asyncio.Queue()

    def send(self, pieces: Iterable[uploads.Piece]) -> None:
        for piece in pieces:
            self._queue.put_nowait(piece)

    def end(self) -> None:
        self._queue.put_nowait(None)

    @property
    def unread(self) -> int:
        return self._queue.qsize()

    async def __aiter__(self) -> AsyncIterator[uploads.Piece]:
        while (piece := await self._queue.get()) is not None:
            yield piece


class Replica:
    """One server's services over the shared database and store."""

    def __init__(
        self,
        db: database.Database,
        blob_store: store.BlobStore,
        settings: upload_service.Settings | None = None,
    ) -> None:
        self.draining = asyncio.Event()
        settings = settings or small_settings()
        self.uploads = upload_service.Uploads(db, blob_store, settings, self.draining)
        self.artifacts = artifacts.Artifacts(db, blob_store, settings.touch_after)

    async def start(self, content: bytes, parent: names.NamespaceName = ACME) -> uploads.Upload:
        return await self.uploads.start(CALLER, NOT_ONCE, parent, described(content))

    async def get(self, name: names.UploadName) -> uploads.Upload:
        return await self.uploads.get(CALLER, name)

    async def write(
        self, name: names.UploadName, pieces: "Iterable[uploads.Piece] | Feed"
    ) -> list[uploads.Progress]:
        stream = pieces.__aiter__() if isinstance(pieces, Feed) else flow(pieces)
        return [progress async for progress in self.uploads.write(CALLER, name, stream)]

    async def cut(self, name: names.UploadName, pieces: Sequence[uploads.Piece]) -> None:
        """Send the pieces, then vanish as soon as the server has taken the last one."""
        taken = asyncio.Event()

        async def stream() -> AsyncIterator[uploads.Piece]:
            for piece in pieces:
                yield piece
            taken.set()
            await asyncio.Event().wait()

        async def drive() -> None:
            async for _ in self.uploads.write(CALLER, name, stream()):
                pass

        writing = asyncio.create_task(drive())
        all_taken = asyncio.create_task(taken.wait())
        await asyncio.wait({writing, all_taken}, return_when=asyncio.FIRST_COMPLETED)
        all_taken.cancel()
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing

    async def complete(self, name: names.UploadName) -> uploads.Upload:
        return await self.uploads.complete(CALLER, NOT_ONCE, name)

    async def abort(self, name: names.UploadName) -> uploads.Upload:
        return await self.uploads.abort(CALLER, NOT_ONCE, name)

    async def push(self, content: bytes, parent: names.NamespaceName = ACME) -> uploads.Upload:
        upload = await self.start(content, parent)
        if content and upload.state is uploads.UploadState.ACTIVE:
            await self.write(upload.name, pieces_of(content, upload.next_offset))
        return await self.complete(upload.name)

    async def read(self, digest: str, offset: int = 0, limit: int = 0) -> bytes:
        name = names.BlobName(ACME.namespace, digest)
        span = blobs.Span(offset, limit)
        return b"".join([chunk.content async for chunk in self.artifacts.read(CALLER, name, span)])

    async def missing(
        self, digests: Sequence[str], parent: names.NamespaceName = ACME
    ) -> tuple[str, ...]:
        wanted = blobs.DigestSet(tuple(digests))
        return await self.artifacts.find_missing(CALLER, parent, wanted)


def small_settings(**changed: object) -> upload_service.Settings:
    wanted = {"min_part_bytes": PART, "memory_bytes": 64 * PART, "stall_s": 20.0} | changed
    return upload_service.Settings(**wanted)


async def make_namespace(db: database.Database, name: names.NamespaceName = ACME) -> None:
    await namespace_service.Namespaces(db).create(
        CALLER, NOT_ONCE, name, namespaces.NamespaceFields()
    )
