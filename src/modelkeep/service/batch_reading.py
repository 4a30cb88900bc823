"""A batch on its way out: what goes into one answer, and its bytes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from modelkeep.blobs import store
from modelkeep.domain import batches, errors
from modelkeep.service import unpacking
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
    """Gets blobs out of the store, a few runs of them at once."""

    def __init__(self, blobs: store.BlobStore) -> None:
        self._blobs = blobs
        self._slots = asyncio.Semaphore(_GETS_AT_ONCE)

    async def get(self, plan: Plan) -> tuple[batches.Read, ...]:
        """Carry the plan out; what the store cannot give now or has lost is told blob by blob."""
        wanted = [blob for blob in plan.blobs.values() if isinstance(blob, file_rows.StoredBlob)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._get(run)) for run in unpacking.runs_of(wanted)]
        found = {read.digest: read for task in tasks for read in task.result()}
        for digest, fate in plan.blobs.items():
            if isinstance(fate, batches.Fate):
                found[digest] = batches.Read(digest, fate)
        return tuple(found[digest] for digest in plan.blobs)

    async def _get(self, run: unpacking.Run) -> list[batches.Read]:
        try:
            async with self._slots:
                contents = await unpacking.read(self._blobs, run)
        except errors.DataLoss as error:
            if len(run.blobs) == 1:
                return [batches.Read(run.blobs[0].digest, batches.Fate.of(error))]
            return await self._get_each(run)
        except errors.NotFound:
            return [batches.Read(b.digest, batches.Fate.of(_lost(b.digest))) for b in run.blobs]
        except errors.ModelkeepError as error:
            return [batches.Read(blob.digest, batches.Fate.of(error)) for blob in run.blobs]
        return [_checked(blob, contents[blob.digest]) for blob in run.blobs]

    async def _get_each(self, run: unpacking.Run) -> list[batches.Read]:
        """One by one, because the object ends too early for some of them."""
        return [read for blob in run.blobs for read in await self._get(unpacking.alone(blob))]


def _checked(blob: file_rows.StoredBlob, content: bytes) -> batches.Read:
    try:
        unpacking.require_intact(blob, content)
    except errors.DataLoss as error:
        return batches.Read(blob.digest, batches.Fate.of(error))
    return batches.Read(blob.digest, batches.Fate(), content, blob.crc32c)


def _lost(digest: str) -> errors.DataLoss:
    return errors.DataLoss(
        f"the store has lost the bytes of {digest}; restore its bucket from a backup",
        reason="BLOB_LOST_BY_STORE",
    )
