"""Repacking: packs of which less than half is alive are written anew, without their holes."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

import structlog

from modelkeep.blobs import store
from modelkeep.domain import errors, sight
from modelkeep.service import packing, unpacking
from modelkeep.storage import database, packs
from modelkeep.storage import files as file_rows
from modelkeep.storage import repacking as rows

_log = structlog.get_logger()


class Repacking:
    """Copies the living blobs of sparse packs, each checked by CRC32C and SHA-256.

    Several may run at once: who moves the rows first has done it. The old object stays for those
    who read it, until the reaper removes it.
    """

    def __init__(self, db: database.Database, blobs: store.BlobStore) -> None:
        self._db = db
        self._blobs = blobs

    async def repack(self, storage_keys: Sequence[str], limit: int) -> int:
        """Write those of the packs anew that are worth it, so many at most; how many were.

        Raises `errors.Unavailable` if the database or the store is away.
        """
        keys = [key for key in storage_keys if key.startswith(packs.KEY_PREFIX)]
        if not keys or limit <= 0:
            return 0
        async with self._db.everywhere(sight.Work.REPACK) as connection:
            sparse = await packs.list_sparse(connection, keys, limit)
        return sum([await self._rewrite(pack) for pack in sparse])

    async def _rewrite(self, pack: packs.Pack) -> bool:
        async with self._db.everywhere(sight.Work.REPACK) as connection:
            living = await rows.list_blobs(connection, pack)
        try:
            contents = await self._read(living)
        except (errors.NotFound, errors.DataLoss) as error:
            # The scrub will find it, and say what is damaged; until then the pack stays as it is.
            _log.warning("pack.damaged", key=pack.storage_key, error=error.message)
            return False
        return bool(contents) and await self._replace(pack, packing.laid_out(contents))

    async def _read(self, living: Sequence[file_rows.StoredBlob]) -> dict[str, bytes]:
        contents: dict[str, bytes] = {}
        for run in unpacking.runs_of(living):
            contents |= await unpacking.read(self._blobs, run)
        await asyncio.to_thread(_require_intact, living, contents)
        return contents

    async def _replace(self, pack: packs.Pack, laid: packing.Laid) -> bool:
        # After a failure nobody knows whether rows refer to the new object; the reaper finds out.
        await self._blobs.put(laid.key, [laid.content], laid.crc32c)
        everywhere = self._db.everywhere(sight.Work.REPACK)
        async with everywhere as connection, connection.transaction():
            moved = await rows.move(connection, pack, laid.blobs)
        if moved:
            _log.info("pack.rewritten", key=pack.storage_key, new_key=laid.key)
        else:
            await self._blobs.delete(laid.key)
        return moved


def _require_intact(living: Sequence[file_rows.StoredBlob], contents: Mapping[str, bytes]) -> None:
    """Raise `errors.DataLoss` unless all bytes are what they were; meant for a thread."""
    for blob in living:
        content = contents[blob.digest]
        unpacking.require_intact(blob, content)
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != blob.digest:
            raise errors.DataLoss(f"{blob.digest} has other bytes in the store")
