"""Garbage collection: blobs that nothing reaches go, each checked once more under lock."""

import asyncio
import dataclasses
import datetime
import functools

import structlog

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.blobs import store
from modelkeep.domain import errors, events, garbage, limits, names, pages
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import garbage as rows
from modelkeep.storage import namespaces as namespace_rows

_DELETED_AT_ONCE = 4
_LOOKED_AT = 1000
_LOOKS = 10
_log = structlog.get_logger()


class Collecting:
    """Finds and removes blobs that nobody needs.

    Args:
        db: the database.
        blobs: where the bytes are.
        grace: how long a blob stays after somebody was told that it is there.
    """

    def __init__(
        self,
        db: database.Database,
        blobs: store.BlobStore,
        grace: datetime.timedelta = garbage.GRACE,
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._changes = changes.Changes(db)
        self.grace = grace

    async def collect(
        self,
        caller: callers.Caller,
        once: changes.Once,
        parent: names.NamespaceName,
        page: pages.PageRequest,
        *,
        dry_run: bool,
    ) -> garbage.Sweep:
        """Remove what is garbage still when it is locked; raises `errors.NotFound` (namespace).

        The rows go first, in one transaction with their events, and the objects after its commit.
        Should the process die between, the reaper finds objects that no row knows of. A dry run
        only tells what would go.
        """
        policy.require(caller, policy.Action.COLLECT_GARBAGE, parent)
        if dry_run:
            return await self._preview(parent, page)
        keys: list[str] = []
        body = functools.partial(_collect, parent, page, self.grace, keys)
        sweep = await self._changes.apply(caller, once, garbage.Sweep, body)
        slots = asyncio.Semaphore(_DELETED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(self._delete(key, slots))
        return sweep

    async def _preview(self, parent: names.NamespaceName, page: pages.PageRequest) -> garbage.Sweep:
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            seen = await _look(connection, namespace_id, page, self.grace)
            found = await rows.with_freed(connection, namespace_id, seen.found, self.grace)
        return dataclasses.replace(seen, found=found)

    async def _delete(self, key: str, slots: asyncio.Semaphore) -> None:
        try:
            async with slots:
                await self._blobs.delete(key)
        except errors.ModelkeepError as error:
            _log.warning("blob.orphaned", key=key, error=error.message)


async def _look(
    connection: database.Connection,
    namespace_id: int,
    page: pages.PageRequest,
    grace: datetime.timedelta,
) -> garbage.Sweep:
    """Look at blobs until a page is full, all were seen, or it takes too long for one call."""
    found: list[garbage.Garbage] = []
    after, wanted = page.after, min(page.size, limits.COLLECT_BLOBS)
    for _ in range(_LOOKS):
        seen = await rows.look(connection, namespace_id, after, _LOOKED_AT, grace)
        found += [blob for blob, unreached in seen if unreached]
        if len(found) >= wanted:
            return garbage.Sweep(tuple(found[:wanted]), found[wanted - 1].digest, more=True)
        if len(seen) < _LOOKED_AT:
            return garbage.Sweep(tuple(found), "", more=False)
        after = seen[-1][0].digest
    return garbage.Sweep(tuple(found), after, more=True)


async def _collect(
    parent: names.NamespaceName,
    page: pages.PageRequest,
    grace: datetime.timedelta,
    keys: list[str],
    change: changes.Change,
) -> garbage.Sweep:
    namespace_id = await namespace_rows.get_id(change.connection, parent.namespace)
    seen = await _look(change.connection, namespace_id, page, grace)
    digests = [blob.digest for blob in seen.found]
    collected = await rows.collect(change.connection, namespace_id, digests, grace)
    keys += collected.storage_keys
    for blob in collected.blobs:
        change.record(parent.namespace, _event(parent, blob))
    return garbage.Sweep(collected.blobs, seen.reached, seen.more)


def _event(parent: names.NamespaceName, blob: garbage.Garbage) -> events.Event:
    before: dict[str, events.Json] = {
        "size_bytes": blob.size_bytes,
        "verified_at": blob.verified_at.isoformat(),
        "touched_at": blob.touched_at.isoformat(),
    }
    return events.Event("blob.collected", names.BlobName(parent.namespace, blob.digest), before)
