"""Use cases of aliases."""

import functools

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import aliases, errors, events, names, pages, versions
from modelkeep.service import changes, protections
from modelkeep.storage import aliases as rows
from modelkeep.storage import database
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as version_rows


class Aliases:
    """Sets, reads and removes aliases; a change holds the model, so moves of it queue."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def set(
        self,
        caller: callers.Caller,
        once: changes.Once,
        target: aliases.AliasTarget,
        etag: str,
        *,
        if_absent: bool,
    ) -> aliases.Alias:
        """Point an alias at a ready version.

        Raises `errors.NotFound`, `errors.FailedPrecondition` (not ready; protected and no reason),
        `errors.StaleEtag`, `errors.PermissionDenied` (protected), and `errors.AlreadyExists` if it
        is set and `if_absent` forbids moving it.
        """
        policy.require(caller, policy.Action.SET_ALIAS, target.name, alias=target.name.alias)
        body = functools.partial(_set, target, etag, if_absent)
        return await self._changes.apply(caller, once, aliases.Alias, body)

    async def get(self, caller: callers.Caller, name: names.AliasName) -> aliases.Alias:
        """Read an alias; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_ALIAS, name)
        async with self._db.connection() as connection:
            return await rows.get(connection, name)

    async def list(
        self, caller: callers.Caller, parent: names.ModelName, page: pages.PageRequest
    ) -> pages.Page[aliases.Alias]:
        """A page of a model's aliases by name; raises `errors.NotFound` (model)."""
        policy.require(caller, policy.Action.READ_ALIAS, parent)
        async with self._db.connection() as connection:
            model_id = (await model_rows.get(connection, parent)).model_id
            return await rows.list_page(connection, model_id, page)

    async def delete(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.AliasName,
        reason: str,
        etag: str,
    ) -> aliases.Alias:
        """Remove an alias and return what it was.

        Raises `errors.NotFound`, `errors.StaleEtag`, and if it is protected
        `errors.PermissionDenied` and `errors.FailedPrecondition` (no reason).
        """
        policy.require(caller, policy.Action.DELETE_ALIAS, name, alias=name.alias)
        body = functools.partial(_delete, name, reason, etag)
        return await self._changes.apply(caller, once, aliases.Alias, body)


async def _set(
    target: aliases.AliasTarget, etag: str, if_absent: bool, change: changes.Change
) -> aliases.Alias:
    model = await model_rows.lock(change.connection, target.name.parent)
    protected = await protections.require_may_touch(change, target.name, model, target.reason)
    version = await version_rows.hold(change.connection, target.version)
    versions.require_state(version.version, versions.VersionState.READY, "aliased")
    present = await rows.find(change.connection, target.name)
    if present and if_absent:
        raise errors.AlreadyExists(
            f"{target.name} points at {present.alias.version} already", resource=target.name
        )
    changes.require_etag(target.name, etag, present.alias.etag if present else "")
    if present and present.version_id == version.version_id:
        return present.alias
    ended_at = await rows.close(change.connection, present.assignment_id) if present else None
    ids = (version.namespace_id, version.model_id, version.version_id)
    alias = await rows.insert(
        change.connection, target, ids, change.caller.principal, ended_at, protected=protected
    )
    before = {"version": str(present.alias.version)} if present else None
    after = {"version": str(target.version), "reason": target.reason}
    change.record(target.name.namespace, events.Event("alias.set", target.name, before, after))
    return alias


async def _delete(
    name: names.AliasName, reason: str, etag: str, change: changes.Change
) -> aliases.Alias:
    model = await model_rows.lock(change.connection, name.parent)
    present = await rows.find(change.connection, name)
    if present is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    await protections.require_may_touch(change, name, model, reason)
    changes.require_etag(name, etag, present.alias.etag)
    await rows.close(change.connection, present.assignment_id)
    before = {"version": str(present.alias.version)}
    after = {"reason": reason} if reason else None
    change.record(name.namespace, events.Event("alias.deleted", name, before, after))
    return present.alias
