"""Use cases of uploads."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Collection

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import blobs, errors, names, pages, uploads
from modelkeep.service import (
    budget,
    changes,
    freeing,
    hashing,
    part_storing,
    running_digests,
    upload_changes,
    upload_copies,
    upload_parts,
    upload_streams,
    verification,
)
from modelkeep.storage import database
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import uploads as rows

Settings = upload_parts.Settings


class Uploads:
    """Opens, fills, completes and gives up uploads.

    Args:
        db: where uploads are recorded.
        blobs: where their bytes go.
        settings: sizes and times.
        draining: set when the server is about to stop; streams then end at their next part.
    """

    def __init__(
        self,
        db: database.Database,
        blobs: store.BlobStore,
        settings: Settings | None = None,
        draining: asyncio.Event | None = None,
    ) -> None:
        settings = settings or Settings()
        self._db = db
        self._changes = changes.Changes(db)
        self._draining = draining or asyncio.Event()
        self._leftovers = upload_streams.Leftovers()
        self.memory = budget.MemoryBudget(settings.memory_bytes)
        self.hasher = hashing.Hasher(settings.hash_threads)
        digests = running_digests.RunningDigests(settings.patience, self.memory)
        self._shared = upload_parts.Shared(db, blobs, settings, self.memory, self.hasher, digests)
        self._verifications = verification.Verifications(self._shared)

    @property
    def received_bytes(self) -> int:
        """Bytes of blobs that came in on streams since the start, wanted or not."""
        return self._shared.traffic.received_bytes

    async def start(
        self,
        caller: callers.Caller,
        once: changes.Once,
        parent: names.NamespaceName,
        blob: blobs.Descriptor,
    ) -> uploads.Upload:
        """Open an upload, or answer the caller's open one, or a committed one of the same blob.

        Raises `errors.NotFound` (namespace), `errors.InvalidArgument` (size is not the blob's),
        `errors.QuotaExceeded`.
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, parent)
        starting = upload_changes.Starting(parent, blob, self._shared.settings)
        name = await self._changes.apply(caller, once, names.UploadName, starting.carry_out)
        if starting.expired is not None:
            await self._free(starting.expired)
        return await self._read(name)

    async def get(self, caller: callers.Caller, name: names.UploadName) -> uploads.Upload:
        """Read an upload; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_UPLOAD, name)
        upload = await self._read(name)
        if upload.state is uploads.UploadState.VERIFYING:
            self._verifications.ensure(name)
        return upload

    async def list(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName,
        page: pages.PageRequest,
        states: Collection[uploads.UploadState],
    ) -> pages.Page[uploads.Upload]:
        """A page of a namespace's uploads in these states; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_UPLOAD, parent)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            return await rows.list_page(connection, namespace_id, page, states)

    async def write(
        self,
        caller: callers.Caller,
        name: names.UploadName,
        pieces: AsyncIterator[uploads.Piece],
    ) -> AsyncGenerator[uploads.Progress, None]:
        """Take a stream of bytes and yield what becomes durable.

        Raises:
            NotFound: no such upload.
            FailedPrecondition: it takes no more bytes.
            OutOfRange: bytes are not where they are expected; `expected_offset` says where.
            DataLoss: a chunk is not what its checksum says.
            Aborted: another stream writes the same part.
            Unavailable: the store or the database is away, or the server drains; resume later.
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, name)
        stream = upload_streams.UploadStream(self._shared, name, self._draining, self._leftovers)
        try:
            async with contextlib.aclosing(stream.run(pieces)) as answers:
                async for progress in answers:
                    yield progress
        except errors.FailedPrecondition as error:
            if error.reason == part_storing.LOST_BY_STORE:
                await self.abort(caller, changes.Once("", b""), name)
            raise

    async def complete(
        self, caller: callers.Caller, once: changes.Once, name: names.UploadName
    ) -> uploads.Upload:
        """Have an upload verified and committed; it may still be VERIFYING on return.

        Raises `errors.NotFound`, `errors.FailedPrecondition` if bytes are missing or it was given
        up, `errors.DataLoss` if the bytes are not the declared ones.
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, name)
        await self._leftovers.settled(name, self._shared.settings.settle_s)
        completing = upload_changes.Completing(name)
        await self._changes.apply(caller, once, names.UploadName, completing.carry_out)
        if completing.settling is not None:
            await self._verifications.free(completing.settling)
        stored = await self._stored(name)
        if stored.upload.state is uploads.UploadState.VERIFYING:
            await self._verifications.wait(name)
            stored = await self._stored(name)
        _require_sound(stored)
        return stored.upload

    async def abort(
        self, caller: callers.Caller, once: changes.Once, name: names.UploadName
    ) -> uploads.Upload:
        """Give an upload up; raises `errors.NotFound`, `errors.FailedPrecondition` if committed."""
        policy.require(caller, policy.Action.WRITE_UPLOAD, name)
        await self._changes.apply(
            caller,
            once,
            names.UploadName,
            functools.partial(upload_changes.abort, name, "asked to"),
        )
        stored = await self._stored(name)
        await self._free(stored)
        return stored.upload

    def copies(self) -> upload_copies.Copies:
        """What fills uploads by copies that the store makes."""
        return upload_copies.Copies(self._shared, self._verifications)

    async def sweep(self) -> None:
        """Verify what other replicas left unverified; the app calls it every now and then."""
        await self._verifications.sweep()

    async def close(self) -> None:
        """Finish what cut streams had complete and stop verifying; streams have ended before."""
        await self._leftovers.all_settled()
        await self._verifications.close()
        self._shared.hasher.close()

    async def _read(self, name: names.UploadName) -> uploads.Upload:
        await self._leftovers.settled(name, self._shared.settings.settle_s)
        return (await self._stored(name)).upload

    async def _stored(self, name: names.UploadName) -> rows.Stored:
        async with self._db.connection() as connection:
            return await rows.get(connection, name)

    async def _free(self, stored: rows.Stored) -> None:
        """Delete what an upload that was given up had stored."""
        self._shared.digests.forget(stored.upload.name)
        await freeing.free(self._shared.blobs, stored)


def _require_sound(stored: rows.Stored) -> None:
    if stored.upload.state is uploads.UploadState.FAILED:
        raise errors.DataLoss(
            f"{stored.upload.name} failed: {stored.failure}; nothing was kept, send the bytes anew",
            reason=stored.failure_reason,
        )
