"""Use case of comparing two versions."""

import asyncio

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import diffs, refs, versions
from modelkeep.storage import database, resolving
from modelkeep.storage import diffs as rows


class Diffing:
    """Tells what lies between two versions."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    async def diff(
        self, caller: callers.Caller, before: refs.Ref, after: refs.Ref
    ) -> diffs.VersionDiff:
        """Compare two sealed versions, of one model or of two; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_VERSION, before.model)
        policy.require(caller, policy.Action.READ_VERSION, after.model)
        async with self._db.connection() as connection:
            old = await resolving.resolve(connection, before, None)
            new = await resolving.resolve(connection, after, None)
            differing = await rows.list_differing(connection, old.name, new.name)
        # Ten thousand files and long texts take a while; other calls need not wait for it.
        return await asyncio.to_thread(_compared, old, new, differing)


def _compared(
    old: versions.Version, new: versions.Version, differing: rows.Rows
) -> diffs.VersionDiff:
    before, after = rows.files_of(differing, "old"), rows.files_of(differing, "new")
    return diffs.between(old, new, (before, after), unchanged=old.file_count - len(before))
