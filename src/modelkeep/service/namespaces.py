"""Use cases of namespaces."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import events, names, namespaces, pages, quotas, sight
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import namespaces as rows


class Namespaces:
    """Creates, reads and changes namespaces.

    Args:
        db: the database.
        new_quotas: of a new namespace whose maker states none.
    """

    def __init__(self, db: database.Database, new_quotas: quotas.Limits = quotas.NONE) -> None:
        self._db = db
        self._new_quotas = new_quotas
        self._changes = changes.Changes(db)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.NamespaceName,
        fields: namespaces.NamespaceFields,
    ) -> namespaces.Namespace:
        """Create a namespace; raises `errors.AlreadyExists`."""
        policy.require(caller, policy.Action.CREATE_NAMESPACE, name)
        if any(getattr(fields, quota) for quota in quotas.FIELDS):
            policy.require(caller, policy.Action.SET_QUOTA, name)
        whole = self._with_quotas(fields)
        return await self._changes.apply(
            caller, once, namespaces.Namespace, functools.partial(_create, name, whole)
        )

    def _with_quotas(self, fields: namespaces.NamespaceFields) -> namespaces.NamespaceFields:
        new = self._new_quotas
        return dataclasses.replace(
            fields,
            stored_bytes_quota=fields.stored_bytes_quota or new.stored_bytes,
            logical_bytes_quota=fields.logical_bytes_quota or new.logical_bytes,
            open_uploads_quota=fields.open_uploads_quota or new.open_uploads,
        )

    async def get(self, caller: callers.Caller, name: names.NamespaceName) -> namespaces.Namespace:
        """Read a namespace; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_NAMESPACE, name)
        async with self._db.connection() as connection:
            return await rows.get(connection, name)

    async def list(
        self, caller: callers.Caller, page: pages.PageRequest
    ) -> pages.Page[namespaces.Namespace]:
        """A page of the namespaces of which the caller may read something, by name."""
        policy.require(caller, policy.Action.LIST_NAMESPACES)
        only = policy.readable_namespaces(caller)
        async with self._db.everywhere(sight.Work.LIST_NAMESPACES) as connection:
            return await rows.list_page(connection, page, only)

    async def update(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.NamespaceName,
        changed: Mapping[str, Any],
        etag: str,
    ) -> namespaces.Namespace:
        """Replace the fields in `changed`; raises `errors.NotFound`, `errors.StaleEtag`."""
        policy.require(caller, policy.Action.UPDATE_NAMESPACE, name)
        if quotas.FIELDS & changed.keys():
            policy.require(caller, policy.Action.SET_QUOTA, name)
        return await self._changes.apply(
            caller, once, namespaces.Namespace, functools.partial(_update, name, changed, etag)
        )


async def _create(
    name: names.NamespaceName, fields: namespaces.NamespaceFields, change: changes.Change
) -> namespaces.Namespace:
    created = await rows.insert(change.connection, name, fields, change.caller.principal)
    after = dataclasses.asdict(fields)
    change.record(name.namespace, events.Event("namespace.created", name, None, after))
    return created


async def _update(
    name: names.NamespaceName, changed: Mapping[str, Any], etag: str, change: changes.Change
) -> namespaces.Namespace:
    present = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, present.etag)
    updated = await rows.update(
        change.connection, name, dataclasses.replace(present.fields, **changed)
    )
    before = {field: getattr(present.fields, field) for field in changed}
    change.record(name.namespace, events.Event("namespace.updated", name, before, dict(changed)))
    return updated
