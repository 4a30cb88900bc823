"""Use cases of quotas: what a namespace takes, and counting it anew."""

import dataclasses
import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import events, names, quotas
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import quotas as rows


class Quotas:
    """Tells what namespaces take, and has it counted anew."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def get(self, caller: callers.Caller, name: names.NamespaceName) -> quotas.NamespaceUsage:
        """What a namespace takes of what it may take; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_NAMESPACE, name)
        async with self._db.connection() as connection:
            return await rows.get(connection, name)

    async def recount(
        self, caller: callers.Caller, once: changes.Once, name: names.NamespaceName
    ) -> quotas.Recount:
        """Put the counters right, which should find nothing to do; raises `errors.NotFound`.

        Changes of the namespace wait meanwhile.
        """
        policy.require(caller, policy.Action.SET_QUOTA, name)
        return await self._changes.apply(
            caller, once, quotas.Recount, functools.partial(_recount, name)
        )


async def _recount(name: names.NamespaceName, change: changes.Change) -> quotas.Recount:
    said, counted = await rows.recount(change.connection, name)
    if counted != said:
        before, after = dataclasses.asdict(said), dataclasses.asdict(counted)
        change.record(name.namespace, events.Event("namespace.recounted", name, before, after))
    return quotas.Recount(await rows.get(change.connection, name), said)
