"""Uploads whose bytes the store copies by itself, from an object that is another namespace's."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from modelkeep.domain import errors, names, uploads
from modelkeep.service import upload_parts, verification
from modelkeep.storage import files as file_rows
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as rows

KEY_PREFIX = "blobs/"
_PAUSE_S = 0.2
"""Until it is asked again how far another replica's verification is."""


class Copies:
    """Fills uploads by copies and has these verified as any other bytes."""

    def __init__(
        self, shared: upload_parts.Shared, verifications: verification.Verifications
    ) -> None:
        self._shared = shared
        self._verifications = verifications

    async def fill(
        self, name: names.UploadName, source: file_rows.StoredBlob
    ) -> AsyncGenerator[int, None]:
        """Copy a blob that is an object of its own; ends when the upload is committed.

        Yields how many more bytes are copied, and 0 now and then while they are verified. Several
        may fill one upload: each has a key of its own, and the first that is done counts.

        Raises:
            DataLoss: the copy, and so most likely its source, does not have the blob's digest.
            Aborted: the upload was given up meanwhile.
            Unavailable: the store or the database is away; what is copied wholly stays.
        """
        async with self._shared.db.connection() as connection:
            stream = await part_rows.next_stream(connection, name)
            stored = await rows.get(connection, name)
        if stored.upload.state is uploads.UploadState.ACTIVE:
            key = f"{KEY_PREFIX}{name.upload}.{stream}"
            copying = self._shared.blobs.copy(source.storage_key, key, source.size_bytes)
            async with contextlib.aclosing(copying):
                async for copied_bytes in copying:
                    yield copied_bytes
            await self._adopt(name, key)
        while not await self._is_settled(name):
            yield 0

    async def _adopt(self, name: names.UploadName, key: str) -> None:
        async with self._shared.db.transaction() as connection:
            adopted = await rows.adopt(connection, name, key)
        if not adopted:
            with verification.left_to_reaper(name):
                await self._shared.blobs.delete(key)

    async def _is_settled(self, name: names.UploadName) -> bool:
        await self._verifications.wait(name)
        async with self._shared.db.connection() as connection:
            stored = await rows.get(connection, name)
        if stored.upload.state is uploads.UploadState.FAILED:
            raise errors.DataLoss(
                f"the copy of {stored.upload.digest} failed: {stored.failure}; have the version "
                "that has it verified, and push its files again",
                reason=stored.failure_reason,
            )
        if stored.upload.state is uploads.UploadState.VERIFYING:
            await asyncio.sleep(_PAUSE_S)
            return False
        if stored.upload.state is not uploads.UploadState.COMMITTED:
            raise errors.Aborted(f"{name} was given up; copy again")
        return True
