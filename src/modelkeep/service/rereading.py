"""Re-reading of stored blobs: all their bytes, by SHA-256 and CRC32C, in threads."""

import contextlib
import functools
import hashlib
from collections.abc import Awaitable, Callable

from modelkeep.blobs import store
from modelkeep.domain import errors, limits, uploads
from modelkeep.service import hashing, soundness
from modelkeep.storage import files

_READ_BYTES = 4 * limits.CHUNK_BYTES
OnBytes = Callable[[int], Awaitable[None]]
"""Told how many more bytes were read; may wait, which slows the reading down."""


class Rereader:
    """Tells whether the store still has a blob as it was.

    Args:
        blobs: the store.
        hasher: the threads that hash; the event loop never does.

    Attributes:
        examined: blobs that were looked at to the end since the start, sound or not.
        read_bytes: bytes of them that were read.
    """

    def __init__(self, blobs: store.BlobStore, hasher: hashing.Hasher) -> None:
        self._blobs = blobs
        self._hasher = hasher
        self.examined = 0
        self.read_bytes = 0

    async def examine(self, blob: files.StoredBlob, on_bytes: OnBytes) -> soundness.Damage | None:
        """The first damage found, or None; raises `errors.Unavailable` if the store is away."""
        damage = await self._examine(blob, on_bytes)
        self.examined += 1
        return damage

    async def _examine(self, blob: files.StoredBlob, on_bytes: OnBytes) -> soundness.Damage | None:
        try:
            if not blob.is_packed:  # the size of a pack says nothing of this blob
                found = await self._blobs.stat(blob.storage_key)
                if found.size_bytes != blob.size_bytes:
                    return soundness.resized(blob, found.size_bytes)
            return await self._read(blob, on_bytes)
        except errors.NotFound:
            return soundness.lost(blob)

    async def holds_nothing(self, prefix: str) -> bool:
        """Whether the store has no object at all under a prefix: then it is the wrong store."""
        return not await self._blobs.list_page(prefix, "", 1)

    async def _read(self, blob: files.StoredBlob, on_bytes: OnBytes) -> soundness.Damage | None:
        digest, check, reached = hashlib.sha256(), soundness.PartCheck(blob), 0
        reading = self._blobs.read(
            blob.storage_key, blob.storage_offset, blob.size_bytes, _READ_BYTES
        )
        try:
            async with contextlib.aclosing(reading):
                async for content in reading:
                    taking = functools.partial(_take, digest, check, content)
                    if (wrong := await self._hasher.run(taking)) is not None:
                        return soundness.damaged(wrong)
                    reached += len(content)
                    self.read_bytes += len(content)
                    await on_bytes(len(content))
        except errors.DataLoss:
            return soundness.cut(uploads.ByteRange(reached, blob.size_bytes))
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            return soundness.damaged(uploads.ByteRange(0, blob.size_bytes))
        return None


def _take(
    digest: "hashlib._Hash", check: soundness.PartCheck, content: bytes
) -> uploads.ByteRange | None:
    digest.update(content)
    return check.follow(content)
