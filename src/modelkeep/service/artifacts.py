"""Use cases of blobs: which are missing, and reading them."""

import contextlib
import datetime
from collections.abc import AsyncGenerator

import google_crc32c
import structlog

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import blobs, errors, garbage, limits, names, uploads
from modelkeep.service import readable, soundness
from modelkeep.storage import blob_use, database, rot
from modelkeep.storage import files as rows
from modelkeep.storage import namespaces as namespace_rows

Name = names.BlobName | names.FileName
_log = structlog.get_logger()


class Artifacts:
    """Finds and reads blobs.

    Args:
        db: the database.
        blobs: where the bytes are.
        touch_after: how long it is not noted again that somebody was told of a blob.

    Attributes:
        sent_bytes: bytes of blobs that went out on streams since the start.
    """

    def __init__(
        self,
        db: database.Database,
        blobs: store.BlobStore,
        touch_after: datetime.timedelta = garbage.TOUCH_AFTER,
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._touch_after = touch_after
        self.sent_bytes = 0

    async def find_missing(
        self, caller: callers.Caller, parent: names.NamespaceName, wanted: blobs.DigestSet
    ) -> tuple[str, ...]:
        """Those digests that the namespace does not hold, each once, in the order asked.

        What the store is known to have lost or damaged counts as missing, so that a push repairs
        it. What is not missing is not collected as garbage for the grace period. Raises
        `errors.NotFound` (namespace).
        """
        policy.require(caller, policy.Action.FIND_BLOB, parent)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            held = await blob_use.find_held(
                connection, namespace_id, wanted.digests, self._touch_after
            )
        return wanted.without(held)

    async def read(
        self, caller: callers.Caller, name: Name, span: blobs.Span
    ) -> AsyncGenerator[blobs.Chunk, None]:
        """Yield a span of a blob in chunks; at least one, which tells what the blob is.

        Every part that lies wholly in the span is checked against its CRC32C before its last chunk
        is yielded. Raises `errors.NotFound`, `errors.FailedPrecondition` (the file's version is not
        ready), `errors.OutOfRange`, `errors.DataLoss` naming the file and where it is damaged.
        """
        policy.require(caller, policy.Action.READ_BLOB, name)
        found = await readable.find(self._db, name)
        blob: blobs.Descriptor | None = blobs.Descriptor(found.digest, found.size_bytes)
        length = span.length_in(found.size_bytes)
        if length == 0:
            yield blobs.Chunk(span.offset, b"", 0, blob)
        reading = self._checked(name, found, uploads.ByteRange(span.offset, span.offset + length))
        async with contextlib.aclosing(reading):
            async for chunk in reading:
                yield blobs.Chunk(chunk.offset, chunk.content, chunk.crc32c, blob)
                self.sent_bytes += len(chunk.content)
                blob = None

    async def _checked(
        self, name: Name, blob: rows.StoredBlob, span: uploads.ByteRange
    ) -> AsyncGenerator[blobs.Chunk, None]:
        """The chunks of a span; what the store lost or damaged is a loss of that file or blob."""
        check, offset = soundness.PartCheck(blob, span.start), span.start
        # The store reads ahead by itself, so it is busy while we wait for the caller.
        reading = self._blobs.read(
            blob.storage_key,
            blob.storage_offset + span.start,
            span.end - span.start,
            limits.CHUNK_BYTES,
        )
        try:
            async with contextlib.aclosing(reading):
                async for content in reading:
                    # Twice 50 us for a MiB: a hop to a thread would cost more.
                    if (wrong := check.follow(content)) is not None:
                        raise await self._loss(name, blob, soundness.damaged(wrong))
                    yield blobs.Chunk(offset, content, google_crc32c.value(content))
                    offset += len(content)
        except errors.NotFound as error:
            raise await self._loss(name, blob, soundness.lost(blob)) from error
        except errors.DataLoss as error:
            if error.reason != errors.DataLoss.reason:
                raise
            rest = uploads.ByteRange(offset, blob.size_bytes)
            raise await self._loss(name, blob, soundness.cut(rest)) from error

    async def _loss(
        self, name: Name, blob: rows.StoredBlob, damage: soundness.Damage
    ) -> errors.DataLoss:
        """The error that tells the caller; the scrub is told too."""
        try:
            async with self._db.connection() as connection:
                await rot.suspect(connection, name.namespace, blob)
        except errors.Unavailable as error:
            _log.warning("blob.suspicion_lost", blob=blob.digest, error=error.message)
        return soundness.loss(name, blob, damage)
