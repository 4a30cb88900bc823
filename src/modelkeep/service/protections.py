"""Use cases of alias protections: aliases that not everybody may set, move and remove."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import aliases, errors, events, limits, names
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows
from modelkeep.storage import protections as rows


class Protections:
    """Makes, takes back and lists protections; a change holds the model or the namespace."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def protect(
        self, caller: callers.Caller, once: changes.Once, target: aliases.ProtectionTarget
    ) -> aliases.Protection:
        """Protect what the pattern covers; what is protected already stays as it is.

        Raises `errors.NotFound` (namespace, model), `errors.ResourceExhausted`.
        """
        policy.require(caller, policy.Action.PROTECT_ALIASES, target.owner)
        body = functools.partial(_protect, target)
        return await self._changes.apply(caller, once, aliases.Protection, body)

    async def unprotect(
        self, caller: callers.Caller, once: changes.Once, target: aliases.ProtectionTarget
    ) -> None:
        """Take a protection back; raises `errors.NotFound` if there is none."""
        policy.require(caller, policy.Action.PROTECT_ALIASES, target.owner)
        await self._changes.apply(caller, once, bool, functools.partial(_unprotect, target))

    async def list(
        self, caller: callers.Caller, owner: aliases.Owner
    ) -> tuple[aliases.Protection, ...]:
        """All that holds there, by pattern; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_ALIAS, owner)
        async with self._db.connection() as connection:
            return await rows.list_all(connection, await _place(connection, owner))


async def require_may_touch(
    change: changes.Change, name: names.AliasName, stored: model_rows.Stored, reason: str
) -> bool:
    """Whether an alias is protected.

    Raises `errors.PermissionDenied` if the caller may then not set it, and
    `errors.FailedPrecondition` without a reason. The change has locked the model.
    """
    place = (stored.namespace_id, stored.model_id)
    pattern = await rows.find_covering(change.connection, place, name.alias)
    if pattern is None:
        return False
    policy.require(change.caller, policy.Action.SET_PROTECTED_ALIAS, name, alias=name.alias)
    aliases.require_reason(name, pattern, reason)
    return True


async def _place(connection: database.Connection, owner: aliases.Owner) -> rows.Place:
    if isinstance(owner, names.NamespaceName):
        return await namespace_rows.get_id(connection, owner.namespace), None
    stored = await model_rows.get(connection, owner)
    return stored.namespace_id, stored.model_id


async def _hold(connection: database.Connection, owner: aliases.Owner) -> rows.Place:
    """The place, where nobody else changes protections before the end of the transaction."""
    if isinstance(owner, names.ModelName):
        await model_rows.lock(connection, owner)
    else:
        await namespace_rows.lock(connection, owner)
    return await _place(connection, owner)


async def _protect(target: aliases.ProtectionTarget, change: changes.Change) -> aliases.Protection:
    place = await _hold(change.connection, target.owner)
    for present in await rows.list_all(change.connection, place):
        if (present.owner, present.pattern) == (target.owner, target.pattern):
            return present
    if await rows.count(change.connection, place) >= limits.ALIAS_PROTECTIONS:
        raise errors.ResourceExhausted(
            f"{target.owner} has {limits.ALIAS_PROTECTIONS} protections of aliases already; "
            "one pattern with '*' covers many aliases"
        )
    made = await rows.insert(change.connection, place, target, change.caller.principal)
    after = {"pattern": target.pattern, "reason": target.reason}
    event = events.Event("alias.protected", target.owner, None, after)
    change.record(target.owner.namespace, event)
    return made


async def _unprotect(target: aliases.ProtectionTarget, change: changes.Change) -> bool:
    place = await _hold(change.connection, target.owner)
    if not await rows.delete(change.connection, place, target.pattern):
        raise errors.NotFound(
            f"{target.owner} has no protection {target.pattern!r}", resource=target.owner
        )
    before, after = {"pattern": target.pattern}, {"reason": target.reason}
    event = events.Event("alias.unprotected", target.owner, before, after)
    change.record(target.owner.namespace, event)
    return True
