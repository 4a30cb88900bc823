"""Use cases of uploads."""

import asyncio
import contextlib
import functools
import secrets
from collections.abc import AsyncGenerator, AsyncIterator

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import blobs, errors, events, names, uploads
from modelkeep.service import (
    budget,
    changes,
    hashing,
    upload_parts,
    upload_streams,
    verification,
)
from modelkeep.storage import database, files
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as rows

Settings = upload_parts.Settings
_KEY_PREFIX = "blobs/"
_KEYS_FREED = 100


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
        self._shared = upload_parts.Shared(
            db, blobs, settings, self.memory, hashing.Hasher(settings.hash_threads)
        )
        self._verifications = verification.Verifications(self._shared)

    async def start(
        self,
        caller: callers.Caller,
        once: changes.Once,
        parent: names.NamespaceName,
        blob: blobs.Descriptor,
    ) -> uploads.Upload:
        """Open an upload, or answer the caller's open one, or a committed one of the same blob.

        Raises `errors.NotFound` (namespace), `errors.InvalidArgument` (size is not the blob's).
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, parent)
        starting = _Starting(parent, blob, self._shared.settings.min_part_bytes)
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
            if error.reason == upload_parts.LOST_BY_STORE:
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
        completing = _Completing(name)
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
            caller, once, names.UploadName, functools.partial(_abort, name, "asked to")
        )
        stored = await self._stored(name)
        await self._free(stored)
        return stored.upload

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
        if stored.multipart_id:
            await self._shared.blobs.abort_multipart(stored.storage_key, stored.multipart_id)
        # Every stream of a blob of one part has a key of its own, with this prefix.
        prefix = f"{_KEY_PREFIX}{stored.upload.name.upload}"
        for found in await self._shared.blobs.list_page(prefix, "", _KEYS_FREED):
            await self._shared.blobs.delete(found.key)


class _Starting:
    """Finds or opens the upload of a blob; `carry_out` runs in a transaction.

    Attributes:
        expired: the caller's open upload whose lifetime is over, if it was given up here.
    """

    def __init__(
        self, parent: names.NamespaceName, blob: blobs.Descriptor, min_part_bytes: int
    ) -> None:
        self._parent = parent
        self._blob = blob
        self._min_part_bytes = min_part_bytes
        self.expired: rows.Stored | None = None

    async def carry_out(self, change: changes.Change) -> names.UploadName:
        """The name of the upload to go on with."""
        namespace_id = await namespace_rows.get_id(change.connection, self._parent.namespace)
        digest = self._blob.digest
        held = await files.find_blob_sizes(change.connection, namespace_id, [digest], lock=False)
        if digest in held:
            return await self._committed(namespace_id, held[digest], change)
        return await self._open(namespace_id, change) or await self._new(namespace_id, change)

    async def _committed(
        self, namespace_id: int, size_bytes: int, change: changes.Change
    ) -> names.UploadName:
        """The upload that brought the blob; if it came otherwise, a record of this one."""
        if size_bytes != self._blob.size_bytes:
            raise errors.invalid(
                f"is {self._blob.size_bytes}; the blob of that digest has {size_bytes} bytes",
                "size_bytes",
            )
        found = await rows.find_committed(change.connection, namespace_id, self._blob.digest)
        if found is not None:
            return names.UploadName(self._parent.namespace, found)
        return await self._insert(namespace_id, uploads.UploadState.COMMITTED, change)

    async def _open(self, namespace_id: int, change: changes.Change) -> names.UploadName | None:
        stored = await rows.find_open(
            change.connection, namespace_id, self._blob, change.caller.principal
        )
        if stored is None:
            return None
        name = stored.upload.name
        if not stored.expired or stored.upload.state is not uploads.UploadState.ACTIVE:
            return name
        self.expired = stored
        await _abort(name, "expired", change)
        return None

    async def _new(self, namespace_id: int, change: changes.Change) -> names.UploadName:
        return await self._insert(namespace_id, uploads.UploadState.ACTIVE, change)

    async def _insert(
        self, namespace_id: int, state: uploads.UploadState, change: changes.Change
    ) -> names.UploadName:
        name = names.UploadName(self._parent.namespace, secrets.token_hex(16))
        new = rows.New(
            name=name,
            blob=self._blob,
            part_size_bytes=uploads.part_size_for(self._blob.size_bytes, self._min_part_bytes),
            storage_key=f"{_KEY_PREFIX}{name.upload}",
            creator=change.caller.principal,
            state=state,
            sha256="" if self._blob.size_bytes else hashing.EMPTY_SHA256,
        )
        if not await rows.insert(change.connection, namespace_id, new):
            return await self._open(namespace_id, change) or _raise_raced()
        after: dict[str, events.Json] = {
            "digest": self._blob.digest,
            "size_bytes": self._blob.size_bytes,
        }
        change.record(name.namespace, events.Event("upload.started", name, None, after))
        return name


class _Completing:
    """Closes an upload for bytes; `carry_out` runs in a transaction.

    Attributes:
        settling: the decision, if it could be taken at once.
    """

    def __init__(self, name: names.UploadName) -> None:
        self._name = name
        self.settling: verification.Settling | None = None

    async def carry_out(self, change: changes.Change) -> names.UploadName:
        """Commit what was hashed on its way into one object; have anything else verified."""
        stored = await rows.lock(change.connection, self._name)
        if stored.upload.state is not uploads.UploadState.ACTIVE:
            if stored.upload.state is uploads.UploadState.ABORTED:
                uploads.require_active(stored.upload)
            return self._name
        uploads.require_whole(stored.upload)
        if stored.sha256 and stored.upload.layout.count == 1:
            parts = await part_rows.list_all(change.connection, self._name)
            crc32c = verification.crc32c_of(stored.upload.layout, parts)
            finding = verification.Finding(stored.sha256, crc32c)
            self.settling = verification.Settling(self._name, finding)
            await self.settling.decide(stored, change)
        else:
            await rows.set_verifying(change.connection, self._name)
        return self._name


async def _abort(name: names.UploadName, reason: str, change: changes.Change) -> names.UploadName:
    stored = await rows.lock(change.connection, name)
    state = stored.upload.state
    if state is uploads.UploadState.COMMITTED:
        raise errors.FailedPrecondition(
            f"{name} is committed; its blob belongs to the namespace", reason="UPLOAD_COMMITTED"
        )
    if state is not uploads.UploadState.ABORTED:
        await rows.close(change.connection, name, uploads.UploadState.ABORTED)
        before, after = {"state": state.value}, {"state": "aborted", "reason": reason}
        change.record(name.namespace, events.Event("upload.aborted", name, before, after))
    return name


def _raise_raced() -> names.UploadName:
    raise errors.Aborted("another request completed the same upload meanwhile; try again")


def _require_sound(stored: rows.Stored) -> None:
    if stored.upload.state is uploads.UploadState.FAILED:
        raise errors.DataLoss(
            f"{stored.upload.name} failed: {stored.failure}; nothing was kept, send the bytes anew",
            reason=stored.failure_reason,
        )
