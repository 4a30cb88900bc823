"""From all bytes durable to a blob: completes the object, has it verified, commits it.

Whoever verifies holds a lease in the database, so that another replica takes over after a crash.
"""

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from modelkeep.authz import caller as callers
from modelkeep.blobs import store
from modelkeep.domain import errors, events, limits, names, sight, uploads
from modelkeep.service import changes, hashing, part_checksums, upload_parts
from modelkeep.storage import files as blob_rows
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as rows

_SWEPT_AT_ONCE = 4
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Finding:
    """What the stored bytes are, or why they cannot be read.

    `part_crc32cs` are those of bytes that were read back: what is recorded of the parts may be
    what a client claims.
    """

    sha256: str = ""
    crc32c: int = 0
    part_crc32cs: tuple[int, ...] = ()
    failure: str = ""
    failure_reason: str = ""


class Verifications:
    """The verifications that this process carries out."""

    def __init__(self, shared: upload_parts.Shared) -> None:
        self._shared = shared
        self._changes = changes.Changes(shared.db)
        self._running: dict[names.UploadName, asyncio.Task[None]] = {}

    def ensure(self, name: names.UploadName) -> "asyncio.Task[None]":
        """Verify in the background, unless this process does so already or another replica does."""
        if name not in self._running:
            task = asyncio.create_task(self._verify_alone(name))
            self._running[name] = task
            task.add_done_callback(lambda done: self._ended(name, done))
        return self._running[name]

    async def wait(self, name: names.UploadName) -> None:
        """Verify, and wait for it a while; raises what keeps it from being carried out."""
        task = self.ensure(name)
        done, _ = await asyncio.wait([task], timeout=self._shared.settings.verify_wait_s)
        if done:
            task.result()

    async def sweep(self) -> None:
        """Take over what other replicas left unverified; called every now and then."""
        async with self._shared.db.everywhere(sight.Work.VERIFY_UPLOADS) as connection:
            waiting = await rows.list_unverified(connection, _SWEPT_AT_ONCE)
        if waiting:
            await asyncio.wait([self.ensure(name) for name in waiting])

    async def close(self) -> None:
        """Stop; another replica, or the next start, goes on."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, name: names.UploadName, task: "asyncio.Task[None]") -> None:
        del self._running[name]
        if not task.cancelled() and task.exception() is not None:
            _log.warning("upload.not_verified", upload=str(name), error=str(task.exception()))

    async def _verify_alone(self, name: names.UploadName) -> None:
        with sight.only(name.namespace):  # whoever began it
            await self._verify(name)

    async def _verify(self, name: names.UploadName) -> None:
        lease_s = self._shared.settings.verify_lease_s
        async with self._shared.db.connection() as connection:
            verifier = await rows.claim_verification(connection, name, lease_s)
            if verifier is None:
                return
            stored = await rows.get(connection, name)
        async with _leased(self._shared, name, verifier):
            await self._settle(stored.upload, await self._examine(stored))

    async def _examine(self, stored: rows.Stored) -> Finding:
        try:
            await self._complete(stored)
            return await self._find(stored)
        except errors.NotFound:
            return Finding(
                failure="the store has lost its bytes", failure_reason="UPLOAD_LOST_BY_STORE"
            )
        except (errors.DataLoss, errors.FailedPrecondition) as error:
            if error.reason not in (errors.DataLoss.reason, "STORE_REFUSED"):
                raise  # the store's settings are wrong, not the upload
            return Finding(failure=error.message, failure_reason=error.reason)

    async def _complete(self, stored: rows.Stored) -> None:
        """Make the object, unless one request made it."""
        if stored.upload.layout.size_bytes == 0:
            await self._shared.blobs.put(stored.storage_key, [], 0)
        if stored.multipart_id:
            parts = await self._parts(stored)
            tags = [store.PartTag(part.number, part.etag, part.crc32c) for part in parts]
            await self._shared.blobs.complete_multipart(
                stored.storage_key, stored.multipart_id, tags
            )

    async def _find(self, stored: rows.Stored) -> Finding:
        size_bytes = stored.upload.layout.size_bytes
        found = await self._shared.blobs.stat(stored.storage_key)
        if found.size_bytes != size_bytes:
            return Finding(
                failure=f"the store has {found.size_bytes} bytes instead of {size_bytes}",
                failure_reason="SIZE_MISMATCH",
            )
        if stored.sha256:
            return Finding(
                stored.sha256, crc32c_of(stored.upload.layout, await self._parts(stored))
            )
        return await self._read_back(stored.storage_key, stored.upload.layout)

    async def _parts(self, stored: rows.Stored) -> list[part_rows.Part]:
        async with self._shared.db.connection() as connection:
            return list(await part_rows.list_all(connection, stored.upload.name))

    async def _read_back(self, key: str, layout: uploads.Layout) -> Finding:
        digest, checksums = hashlib.sha256(), part_checksums.PartChecksums(layout)
        reading = self._shared.blobs.read(key, 0, layout.size_bytes, 4 * limits.CHUNK_BYTES)
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                await self._shared.hasher.run(functools.partial(_advance, digest, checksums, chunk))
        return Finding(f"sha256:{digest.hexdigest()}", checksums.whole, checksums.crc32cs)

    async def _settle(self, upload: uploads.Upload, finding: Finding) -> None:
        settling = Settling(upload.name, finding)
        caller = callers.Caller(upload.creator, "verification", "")
        await self._changes.apply(caller, changes.Once("", b""), bool, settling.carry_out)
        await self.free(settling)

    async def free(self, settling: "Settling") -> None:
        """Delete the object if the decision left nothing that needs it."""
        self._shared.digests.forget(settling.name)
        if settling.useless_key:
            with left_to_reaper(settling.name):
                await self._shared.blobs.delete(settling.useless_key)


class Settling:
    """The decision about an upload that is examined; `carry_out` runs in a transaction.

    Attributes:
        name: of the upload.
        useless_key: the object that is needed no more after the commit, or ''.
    """

    def __init__(self, name: names.UploadName, finding: Finding) -> None:
        self.name = name
        self.useless_key = ""
        self._finding = finding

    async def carry_out(self, change: changes.Change) -> bool:
        """Commit the upload, or have it failed; False if somebody else has decided."""
        return await self.decide(await rows.lock(change.connection, self.name), change)

    async def decide(self, stored: rows.Stored, change: changes.Change) -> bool:
        """The same for an upload that is locked already."""
        if stored.upload.state is uploads.UploadState.COMMITTED:
            return False
        if stored.upload.state in (uploads.UploadState.ABORTED, uploads.UploadState.FAILED):
            self.useless_key = stored.storage_key  # given up while we completed the object
            return False
        finding = _judged(stored.upload, self._finding)
        if finding.failure:
            await self._fail(stored, finding, change)
        else:
            await self._commit(stored, finding, change)
        return True

    async def _commit(self, stored: rows.Stored, finding: Finding, change: changes.Change) -> None:
        upload = stored.upload
        parts = await part_rows.list_all(change.connection, self.name)
        blob = _blob(stored, finding, parts)
        fresh = await blob_rows.insert_blob(
            change.connection, stored.namespace_id, blob, upload.creator
        )
        if not fresh:
            self.useless_key = stored.storage_key
        await rows.close(change.connection, self.name, uploads.UploadState.COMMITTED)
        after: dict[str, events.Json] = {
            "digest": upload.digest,
            "size_bytes": blob.size_bytes,
            "new_blob": fresh,
        }
        change.record(self.name.namespace, events.Event("upload.committed", self.name, None, after))

    async def _fail(self, stored: rows.Stored, finding: Finding, change: changes.Change) -> None:
        self.useless_key = stored.storage_key
        await rows.close(
            change.connection,
            self.name,
            uploads.UploadState.FAILED,
            failure=finding.failure,
            failure_reason=finding.failure_reason,
        )
        after = {
            "digest": stored.upload.digest,
            "found_digest": finding.sha256,
            "reason": finding.failure_reason,
        }
        change.record(self.name.namespace, events.Event("upload.failed", self.name, None, after))


@contextlib.asynccontextmanager
async def _leased(
    shared: upload_parts.Shared, name: names.UploadName, verifier: int
) -> AsyncIterator[None]:
    """Extend a claim while the block runs; give it back at once if the block fails."""
    beating = asyncio.create_task(_beat(shared, name, verifier))
    try:
        yield
    except BaseException:
        with left_to_reaper(name):
            await _extend(shared, name, verifier, 0)
        raise
    finally:
        beating.cancel()


async def _beat(shared: upload_parts.Shared, name: names.UploadName, verifier: int) -> None:
    lease_s = shared.settings.verify_lease_s
    while True:
        await asyncio.sleep(lease_s / 3)
        # Should the lease be lost, two verify, and the first to settle decides: no harm.
        with contextlib.suppress(errors.Unavailable):
            await _extend(shared, name, verifier, lease_s)


async def _extend(
    shared: upload_parts.Shared, name: names.UploadName, verifier: int, lease_s: float
) -> None:
    async with shared.db.connection() as connection:
        await rows.keep_verification(connection, name, verifier, lease_s)


@contextlib.contextmanager
def left_to_reaper(name: names.UploadName) -> Iterator[None]:
    """Log what could not be tidied up: expiry will see to it."""
    try:
        yield
    except errors.ModelkeepError as error:
        _log.warning("upload.left_to_reaper", upload=str(name), error=error.message)


def _judged(upload: uploads.Upload, finding: Finding) -> Finding:
    if finding.failure or finding.sha256 == upload.digest:
        return finding
    failure = f"its bytes have digest {finding.sha256} instead of {upload.digest}"
    return dataclasses.replace(finding, failure=failure, failure_reason="DIGEST_MISMATCH")


def _blob(
    stored: rows.Stored, finding: Finding, parts: Sequence[part_rows.Part]
) -> blob_rows.StoredBlob:
    """What is kept of a verified upload; the parts' checksums tell later where it is damaged."""
    layout = stored.upload.layout
    blob = blob_rows.StoredBlob(
        stored.upload.digest, layout.size_bytes, stored.storage_key, finding.crc32c
    )
    if layout.count <= 1:
        return blob  # the whole's checksum says as much
    if finding.part_crc32cs:
        crc32cs = finding.part_crc32cs
    elif len(parts) == layout.count and crc32c_of(layout, parts) == finding.crc32c:
        crc32cs = tuple(part.crc32c for part in parts)
    else:  # parts that do not add up say nothing
        return blob
    return dataclasses.replace(blob, part_size_bytes=layout.part_size_bytes, part_crc32cs=crc32cs)


def crc32c_of(layout: uploads.Layout, parts: Iterable[part_rows.Part]) -> int:
    """CRC32C of a whole blob from those of its parts."""
    ranges = ((part.crc32c, layout.range_of(part.number)) for part in parts)
    return hashing.combined_crc32c((crc32c, at.end - at.start) for crc32c, at in ranges)


def _advance(
    digest: "hashlib._Hash", checksums: part_checksums.PartChecksums, chunk: bytes
) -> None:
    digest.update(chunk)
    checksums.take(chunk)
