"""Use cases of small blobs that come and go together."""

import datetime
import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import batches, errors, garbage, limits, names, quotas
from modelkeep.domain.formats import facts
from modelkeep.service import batch_reading, batch_writing, budget, changes, hashing
from modelkeep.storage import batches as rows
from modelkeep.storage import blob_use, database
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import quotas as quota_rows

_COPIES = 3
"""The message, each blob's bytes, and the object they lie in are in memory at the same time."""


class Batches:
    """Writes and reads batches.

    Args:
        db: where blobs are recorded.
        blobs: where their bytes are.
        memory: the budget that all bodies of this process share.
        hasher: the threads that hash.
        touch_after: how long it is not noted again that somebody was told of a blob.
    """

    def __init__(
        self,
        db: database.Database,
        blobs: store.BlobStore,
        memory: budget.MemoryBudget,
        hasher: hashing.Hasher,
        touch_after: datetime.timedelta = garbage.TOUCH_AFTER,
    ) -> None:
        self._db = db
        self._changes = changes.Changes(db)
        self._memory = memory
        self._hasher = hasher
        self._touch_after = touch_after
        self._writing = batch_writing.Putting(blobs)
        self._reading = batch_reading.Getting(blobs)

    async def write(
        self,
        caller: callers.Caller,
        request_id: str,
        parent: names.NamespaceName,
        batch: batches.Batch,
    ) -> tuple[batches.Written, ...]:
        """Store what the namespace does not hold; the fate of each blob, in the batch's order.

        Raises `errors.NotFound` (namespace), `errors.RequestIdReused`, `errors.QuotaExceeded`.
        """
        policy.require(caller, policy.Action.WRITE_UPLOAD, parent)
        async with self._memory.held(_COPIES * batch.size_bytes):
            work = functools.partial(batch_writing.checked, parent, batch)
            found = await self._hasher.run(work)
            namespace_id, held = await self._find_held(parent, found)
            async with self._writing.put(found, held) as stored:
                # What the store could not take now shall be tried again by the same request.
                once = changes.Once("" if stored.incomplete else request_id, found.fingerprint)
                looked = await self._look_into(found, stored)
                change = batch_writing.Recording(parent, namespace_id, found, stored, looked)
                try:
                    answer = await self._changes.apply(
                        caller, once, batch_writing.Answer, change.carry_out
                    )
                except errors.QuotaExceeded:
                    stored.is_kept = False  # told at the commit, which took the rows back
                    raise
        return answer.written

    async def _find_held(
        self, parent: names.NamespaceName, found: batch_writing.Checked
    ) -> tuple[int, dict[str, int]]:
        """The namespace's row id, and the sizes of what it holds already; refuses what is too much.

        It is the commit that decides, but what cannot succeed need not go through the store first.
        """
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            held = await blob_use.find_held(
                connection, namespace_id, found.sound_digests, self._touch_after
            )
            usage = await quota_rows.get(connection, parent)
        new = (content for digest, content in found.sound.items() if digest not in held)
        quotas.require_room(usage, sum(map(len, new)))
        return namespace_id, held

    async def _look_into(
        self, found: batch_writing.Checked, stored: batch_writing.Stored
    ) -> list[tuple[str, facts.Facts]]:
        sound = found.sound
        contents = {digest: sound[digest] for digest in stored.digests}
        if not contents:
            return []
        return await self._hasher.run(functools.partial(batch_writing.looked_into, contents))

    async def read(
        self, caller: callers.Caller, parent: names.NamespaceName, wanted: batches.Wanted
    ) -> tuple[batches.Read, ...]:
        """Read small blobs, each once in the order asked; the fate of each.

        Raises `errors.NotFound` (namespace).
        """
        policy.require(caller, policy.Action.READ_BLOB, parent)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            stored = await rows.find_stored(connection, namespace_id, wanted.digests)
        plan = batch_reading.planned(wanted, stored, limits.BATCH_BYTES)
        async with self._memory.held(_COPIES * plan.size_bytes):
            return await self._reading.get(plan)
