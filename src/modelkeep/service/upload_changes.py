"""The changes of uploads: each `carry_out` runs in one transaction."""

import secrets

from modelkeep.domain import blobs, errors, events, names, uploads
from modelkeep.service import changes, hashing, upload_parts, verification
from modelkeep.storage import blob_use
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as rows

KEY_PREFIX = "blobs/"


class Starting:
    """Finds or opens the upload of a blob; `carry_out` runs in a transaction.

    Attributes:
        expired: the caller's open upload whose lifetime is over, if it was given up here.
    """

    def __init__(
        self, parent: names.NamespaceName, blob: blobs.Descriptor, settings: upload_parts.Settings
    ) -> None:
        self._parent = parent
        self._blob = blob
        self._min_part_bytes = settings.min_part_bytes
        self._touch_after = settings.touch_after
        self.expired: rows.Stored | None = None

    async def carry_out(self, change: changes.Change) -> names.UploadName:
        """The name of the upload to go on with."""
        namespace_id = await namespace_rows.get_id(change.connection, self._parent.namespace)
        # Once more, because what was open at the first look may be committed at the second.
        for look in (self._held, self._open, self._held):
            found = await look(namespace_id, change)
            if found is not None:
                return found
        return await self._insert(namespace_id, uploads.UploadState.ACTIVE, change)

    async def _held(self, namespace_id: int, change: changes.Change) -> names.UploadName | None:
        digest = self._blob.digest
        held = await blob_use.find_held(
            change.connection, namespace_id, [digest], self._touch_after
        )
        if digest not in held:
            return None
        return await self._committed(namespace_id, held[digest], change)

    async def _committed(
        self, namespace_id: int, size_bytes: int, change: changes.Change
    ) -> names.UploadName:
        """The upload that brought the blob; if it came otherwise, a record of this one."""
        if size_bytes != self._blob.size_bytes:
            raise errors.invalid(
                f"is {self._blob.size_bytes}; the blob of that digest has {size_bytes} bytes",
                "size_bytes",
            )
        found = await rows.renew_committed(change.connection, namespace_id, self._blob.digest)
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
        self.expired = await expire(name, change)
        return name if self.expired is None else None

    async def _insert(
        self, namespace_id: int, state: uploads.UploadState, change: changes.Change
    ) -> names.UploadName:
        name = names.UploadName(self._parent.namespace, secrets.token_hex(16))
        new = rows.New(
            name=name,
            blob=self._blob,
            part_size_bytes=uploads.part_size_for(self._blob.size_bytes, self._min_part_bytes),
            storage_key=f"{KEY_PREFIX}{name.upload}",
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


class Completing:
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


async def expire(name: names.UploadName, change: changes.Change) -> rows.Stored | None:
    """Give an upload up if its lifetime is over; None if something arrived, or it is closed."""
    stored = await rows.lock(change.connection, name)
    if not stored.expired or stored.upload.state is not uploads.UploadState.ACTIVE:
        return None
    await abort(name, "expired", change)
    return stored


async def abort(name: names.UploadName, reason: str, change: changes.Change) -> names.UploadName:
    """Give an upload up; the caller frees what it stored, after the commit."""
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
