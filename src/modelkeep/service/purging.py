"""Use case: dropping the content of a deleted version for good."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, names, versions
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import purging as rows
from modelkeep.storage import versions as version_rows


class Purging:
    """Purges deleted versions: when somebody asks, or the reaper finds their time over."""

    def __init__(self, db: database.Database) -> None:
        self._changes = changes.Changes(db)

    async def purge(
        self, caller: callers.Caller, once: changes.Once, name: names.VersionName, etag: str
    ) -> versions.Version:
        """Drop a deleted version's files and all it says about itself.

        Its name, number, digest and history stay; the blobs become garbage if nothing else has
        them. Raises `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` (not
        deleted).
        """
        policy.require(caller, policy.Action.PURGE_VERSION, name)
        body = functools.partial(purge, name, etag)
        return await self._changes.apply(caller, once, versions.Version, body)


async def purge_due(name: names.VersionName, change: changes.Change) -> bool:
    """Purge a version within a change if its time is over still."""
    if not await rows.lock_due(change.connection, name):
        return False
    await purge(name, "", change)
    return True


async def purge(name: names.VersionName, etag: str, change: changes.Change) -> versions.Version:
    """Purge a version within a change; see `Purging.purge`."""
    stored = await version_rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.version.etag)
    if stored.version.state is versions.VersionState.PURGED:
        return stored.version
    if stored.version.state is not versions.VersionState.DELETED:
        raise errors.FailedPrecondition(
            f"{name} is {stored.version.state}; delete it first, only a deleted version is purged",
            reason="VERSION_NOT_DELETED",
            state=stored.version.state,
        )
    await rows.purge(change.connection, stored.version_id)
    before: dict[str, events.Json] = {
        "manifest_digest": stored.version.manifest_digest,
        "file_count": stored.version.file_count,
        "total_bytes": stored.version.total_bytes,
    }
    change.record(name.namespace, events.Event("version.purged", name, before, None))
    return (await version_rows.get(change.connection, name)).version
