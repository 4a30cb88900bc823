"""A batch on its way out: what goes into one answer, and its bytes."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from modelkeep.blobs import store
from modelkeep.domain import batches, errors, limits
from modelkeep.storage import files as file_rows

_GETS_AT_ONCE = 8
"""Over all batches of this process, as for writing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """For each digest, where its bytes are, or why they cannot go into this answer."""

    blobs: Mapping[str, file_rows.StoredBlob | batches.Fate]

    @property
    def size_bytes(self) -> int:
        """Bytes that will be read."""
        found = (blob for blob in self.blobs.values() if isinstance(blob, file_rows.StoredBlob))
        return sum(blob.size_bytes for blob in found)


def planned(
    wanted: batches.Wanted, stored: Mapping[str, file_rows.StoredBlob], room_bytes: int
) -> Plan:
    """Take what fits, in the order asked."""
    plan: dict[str, file_rows.StoredBlob | batches.Fate] = {}
    for digest in dict.fromkeys(wanted.digests):
        blob = stored.get(digest)
        fate = batches.unreadable(digest, blob.size_bytes if blob else None, room_bytes)
        if blob is not None and fate is None:
            room_bytes -= blob.size_bytes
            plan[digest] = blob
        elif fate is not None:
            plan[digest] = fate
    return Plan(plan)


class Getting:
    """Gets blobs out of the store, a few at once."""

    def __init__(self, blobs: store.BlobStore) -> None:
        self._blobs = blobs
        self._slots = asyncio.Semaphore(_GETS_AT_ONCE)

    async def get(self, plan: Plan) -> tuple[batches.Read, ...]:
        """Carry the plan out; what the store cannot give now or has lost is told blob by blob."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._get(digest, blob)) for digest, blob in plan.blobs.items()
            ]
        return tuple(task.result() for task in tasks)

    async def _get(self, digest: str, blob: file_rows.StoredBlob | batches.Fate) -> batches.Read:
        if isinstance(blob, batches.Fate):
            return batches.Read(digest, blob)
        try:
            async with self._slots:
                content = await self._content_of(blob)
        except errors.NotFound:
            return batches.Read(digest, batches.Fate.of(_lost(digest)))
        except errors.ModelkeepError as error:
            return batches.Read(digest, batches.Fate.of(error))
        return batches.Read(digest, batches.Fate(), content, blob.crc32c)

    async def _content_of(self, blob: file_rows.StoredBlob) -> bytes:
        # One chunk; the store has checked it against the CRC32C that goes out with it.
        reading = self._blobs.read(
            blob.storage_key, 0, blob.size_bytes, limits.BATCH_BLOB_BYTES, blob.crc32c
        )
        async with contextlib.aclosing(reading):
            return b"".join([chunk async for chunk in reading])


def _lost(digest: str) -> errors.DataLoss:
    return errors.DataLoss(
        f"the store has lost the bytes of {digest}; restore its bucket from a backup",
        reason="BLOB_LOST_BY_STORE",
    )
