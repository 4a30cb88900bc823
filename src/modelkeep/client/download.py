"""Fetching one blob into a `.part` file, going on where an earlier run was cut."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from modelkeep.client import (
    blobs,
    direct_download,
    errors,
    hashing,
    patience,
    progress,
    records,
    routes,
    transfer_calls,
    workers,
)

_BATCH_BYTES = 4 * 1024 * 1024
"""How much is written and hashed by one piece of work in a thread."""
_MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Settings:
    """What all fetches of one pull share; `on_fetched` hears each number of bytes received.

    `calls` and `route` are for what comes straight from the store.
    """

    connection: blobs.BlobCalls
    version_name: str
    stall_s: float
    pool: workers.Workers
    listener: progress.Progress
    on_fetched: Callable[[int], None]
    calls: transfer_calls.TransferCalls
    route: routes.Route


def part_path(target: Path, digest: str) -> Path:
    """Where a file's bytes are gathered: beside it, and named after what they shall become."""
    mark = digest.rpartition(":")[2][:12]
    name = f"{target.name}.{mark}.part"
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        name = f"{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:24]}.{mark}.part"
    return target.with_name(name)


async def fetch(file: records.File, target: Path, settings: Settings) -> None:
    """Put the file's verified bytes at `target`, in one step once all of them are right.

    Raises:
        DataLoss: the bytes that came do not have the file's digest.
        RegistryError: refused, or interrupted for too long; the same pull goes on later.
    """
    part = part_path(target, file.digest)
    async with _open_sink(part, file, settings) as sink:
        resumed_at = sink.offset
        settings.listener.file_began(file.path, file.size_bytes, resumed_at)
        await _fill(sink, file, settings)
        # Within the lock: nobody else may take the file up between its last byte and its name.
        if sink.digest() == file.digest:
            part.replace(target)
            return
        part.unlink()
    if resumed_at:
        # What an earlier run left was not what this file begins with; once more from the start.
        await fetch(file, target, settings)
        return
    require_digest(file, sink.digest())


def place(content: bytes, file: records.File, target: Path) -> None:
    """Put a file whose verified bytes are at hand at `target`, in one step; meant for a thread."""
    part = part_path(target, file.digest)
    descriptor = _open_locked(part, file)
    try:
        os.ftruncate(descriptor, 0)
        _Sink(descriptor).write(content)
        part.replace(target)
    finally:
        os.close(descriptor)


def require_digest(file: records.File, found: str) -> None:
    """Raise DataLoss unless the bytes that came for a file have its digest."""
    if found != file.digest:
        raise errors.DataLoss(
            f"{file.path} arrived with the digest {found} instead of {file.digest}; pull"
            " again, and if it repeats, tell whoever runs the registry.",
            reason="DIGEST_MISMATCH",
            metadata={"path": file.path},
        )


class _Sink:
    """The open `.part` file and the running hash of its first `offset` bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.running = hashlib.sha256()
        self.offset = 0

    def absorb(self, batch: list[bytes]) -> None:
        """Append and hash; meant for a thread."""
        for block in batch:
            self.write(block)
            self.running.update(block)
            self.offset += len(block)

    def write(self, block: bytes) -> None:
        """Write at `offset`, hashing nothing and going no further."""
        rest = memoryview(block)
        while rest:
            written = os.pwrite(self._descriptor, rest, self.offset + len(block) - len(rest))
            rest = rest[written:]

    def digest(self) -> str:
        """`sha256:` and the digits of all bytes so far."""
        return hashing.text_of(self.running)


@contextlib.asynccontextmanager
async def _open_sink(part: Path, file: records.File, settings: Settings) -> AsyncIterator[_Sink]:
    descriptor = _open_locked(part, file)
    try:
        sink = _Sink(descriptor)
        size = file.size_bytes
        sink.offset = await hashing.absorb_file(part, size, sink.running, settings.pool)
        try:
            yield sink
        finally:
            # What is longer than the hashed bytes was never checked.
            os.ftruncate(descriptor, sink.offset)
    finally:
        os.close(descriptor)


def _open_locked(part: Path, file: records.File) -> int:
    """A descriptor of the `.part` file that no other pull has.

    Without the lock, a second pull into the same folder could cut the file after this one has
    verified it and given it its name: the descriptor outlives the name.
    """
    # O_NOFOLLOW: nobody may have left a link there that leads elsewhere.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), part.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # Locked by another pull, or finished by it in this very moment.
    os.close(descriptor)
    raise errors.Conflict(
        f"Another pull is writing {file.path} into the same folder; run this one again when it"
        " has ended.",
        reason="CONCURRENT_PULL",
        metadata={"path": file.path},
    )


async def _fill(sink: _Sink, file: records.File, settings: Settings) -> None:
    waits = patience.Patience(settings.stall_s, settings.listener, _may_pass)
    while sink.offset < file.size_bytes:
        try:
            await _read_on(sink, file, settings)
        except errors.RegistryError as failure:
            waits.reached(sink.offset)
            await waits.after(failure)
    settings.listener.file_ended(file.path)


def _may_pass(failure: errors.RegistryError) -> bool:
    return patience.is_passing(failure) or failure.reason in {"CHUNK_CHECKSUM", "WRONG_OFFSET"}


async def _read_on(sink: _Sink, file: records.File, settings: Settings) -> None:
    """Read from where the sink is to the end; what came before a failure is kept."""
    pipe = _Pipe(sink, settings.pool)
    reading = _source(sink.offset, file, settings)
    async with contextlib.aclosing(pipe), contextlib.aclosing(reading):
        async for block in reading:
            await pipe.take(block)
            settings.on_fetched(len(block))
            settings.listener.file_moved(file.path, pipe.taken_bytes)
            if pipe.taken_bytes > file.size_bytes:
                break
    if sink.offset != file.size_bytes:
        raise errors.Unavailable(
            f"The stream of {file.path} ended at byte {sink.offset} of {file.size_bytes}.",
            reason="CUT",
        )


def _source(offset: int, file: records.File, settings: Settings) -> AsyncGenerator[bytes, None]:
    """The file's bytes from there on, straight from the store or through the server."""
    name = f"{settings.version_name}/files/{file.path}"
    if settings.route.takes(name, file.size_bytes):
        return direct_download.read(name, offset, file.size_bytes, settings.calls, settings.route)
    return settings.connection.read_named_blob(name, offset=offset, stall_s=settings.stall_s)


class _Pipe:
    """Collects blocks while a thread writes and hashes the ones before: bounded, in order."""

    def __init__(self, sink: _Sink, pool: workers.Workers) -> None:
        self._sink = sink
        self._pool = pool
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self.taken_bytes = sink.offset

    async def take(self, block: bytes) -> None:
        """Take a block, waiting if two batches are full."""
        self._batch.append(block)
        self._batch_bytes += len(block)
        self.taken_bytes += len(block)
        if self._batch_bytes >= _BATCH_BYTES:
            await self._flush()

    async def aclose(self) -> None:
        """Have everything written."""
        await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        if self._writing is not None:
            # Shielded: a thread that writes cannot be stopped, so a cancelled pull waits for it.
            await asyncio.shield(self._writing)
            self._writing = None
        if self._batch:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._writing = self._pool.submit(lambda: self._sink.absorb(batch))
