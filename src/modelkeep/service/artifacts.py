"""Use cases of blobs: which are missing, and reading them."""

import contextlib
from collections.abc import AsyncGenerator

import google_crc32c

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import blobs, errors, limits, names
from modelkeep.storage import database
from modelkeep.storage import files as rows
from modelkeep.storage import namespaces as namespace_rows


class Artifacts:
    """Finds and reads blobs."""

    def __init__(self, db: database.Database, blobs: store.BlobStore) -> None:
        self._db = db
        self._blobs = blobs

    async def find_missing(
        self, caller: callers.Caller, parent: names.NamespaceName, wanted: blobs.DigestSet
    ) -> tuple[str, ...]:
        """Those digests that the namespace does not hold, each once, in the order asked.

        Raises `errors.NotFound` (namespace).
        """
        policy.require(caller, policy.Action.FIND_BLOB, parent)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            held = await rows.find_blob_sizes(connection, namespace_id, wanted.digests, lock=False)
        return wanted.without(held)

    async def read(
        self, caller: callers.Caller, name: names.BlobName | names.FileName, span: blobs.Span
    ) -> AsyncGenerator[blobs.Chunk, None]:
        """Yield a span of a blob in chunks; at least one, which tells what the blob is.

        A whole blob is checked against its CRC32C before its last chunk is yielded. Raises
        `errors.NotFound`, `errors.OutOfRange`, `errors.DataLoss`.
        """
        policy.require(caller, policy.Action.READ_BLOB, name)
        async with self._db.connection() as connection:
            found = await rows.get_blob(connection, name)
        blob: blobs.Descriptor | None = blobs.Descriptor(found.digest, found.size_bytes)
        length = span.length_in(found.size_bytes)
        if length == 0:
            yield blobs.Chunk(span.offset, b"", 0, blob)
        whole = found.crc32c if length == found.size_bytes else None
        offset = span.offset
        # The store reads ahead by itself, so it is busy while we wait for the caller.
        reading = self._blobs.read(found.storage_key, offset, length, limits.CHUNK_BYTES, whole)
        async with contextlib.aclosing(_present(reading, name)) as contents:
            async for content in contents:
                # 50 us for a MiB: a hop to a thread would cost more.
                yield blobs.Chunk(offset, content, google_crc32c.value(content), blob)
                offset, blob = offset + len(content), None


async def _present(
    reading: AsyncGenerator[bytes, None], name: names.Resource
) -> AsyncGenerator[bytes, None]:
    """The same bytes; an object that is gone is a loss, for its blob is in our books."""
    try:
        async with contextlib.aclosing(reading):
            async for content in reading:
                yield content
    except errors.NotFound as error:
        raise errors.DataLoss(
            f"the store has lost the bytes of {name}; restore its bucket from a backup",
            reason="BLOB_LOST_BY_STORE",
        ) from error
