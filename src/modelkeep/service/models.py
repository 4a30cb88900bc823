"""Use cases of models."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import errors, events, models, names, pages
from modelkeep.service import changes
from modelkeep.storage import database
from modelkeep.storage import models as rows
from modelkeep.storage import namespaces as namespace_rows


class Models:
    """Creates, reads, changes, deletes and restores models."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.ModelName,
        kind: models.ModelKind,
        fields: models.ModelFields,
    ) -> models.Model:
        """Create a model; raises `errors.AlreadyExists`, `errors.NotFound` (namespace)."""
        policy.require(caller, policy.Action.CREATE_MODEL, name)
        if fields.classifies:
            policy.require(caller, policy.Action.SET_RISK, name)
        return await self._changes.apply(
            caller, once, models.Model, functools.partial(_create, name, kind, fields)
        )

    async def get(self, caller: callers.Caller, name: names.ModelName) -> models.Model:
        """Read a model, deleted or not; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_MODEL, name)
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).model

    async def list(
        self,
        caller: callers.Caller,
        parent: names.NamespaceName,
        page: pages.PageRequest,
        *,
        deleted: bool,
    ) -> pages.Page[models.Model]:
        """A page of those models of a namespace that the caller may read, by name.

        Raises `errors.NotFound` (namespace).
        """
        policy.require(caller, policy.Action.READ_MODEL, parent)
        only = policy.readable_models(caller, parent.namespace)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            return await rows.list_page(connection, namespace_id, page, deleted=deleted, only=only)

    async def update(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.ModelName,
        changed: Mapping[str, Any],
        etag: str,
    ) -> models.Model:
        """Replace the fields in `changed`; raises `errors.NotFound`, `errors.StaleEtag`.

        Its risk takes a permission of its own.
        """
        if not changed.keys() <= models.RISK_FIELDS:
            policy.require(caller, policy.Action.UPDATE_MODEL, name)
        if changed.keys() & models.RISK_FIELDS:
            policy.require(caller, policy.Action.SET_RISK, name)
        return await self._changes.apply(
            caller, once, models.Model, functools.partial(_update, name, changed, etag)
        )

    async def delete(
        self, caller: callers.Caller, once: changes.Once, name: names.ModelName, etag: str
    ) -> models.Model:
        """Delete a model softly; raises `errors.FailedPrecondition` while it has versions."""
        policy.require(caller, policy.Action.DELETE_MODEL, name)
        return await self._changes.apply(
            caller, once, models.Model, functools.partial(_delete, name, etag)
        )

    async def restore(
        self, caller: callers.Caller, once: changes.Once, name: names.ModelName, etag: str
    ) -> models.Model:
        """Bring a deleted model back; raises `errors.FailedPrecondition` if it is not deleted."""
        policy.require(caller, policy.Action.DELETE_MODEL, name)
        return await self._changes.apply(
            caller, once, models.Model, functools.partial(_restore, name, etag)
        )


async def _create(
    name: names.ModelName,
    kind: models.ModelKind,
    fields: models.ModelFields,
    change: changes.Change,
) -> models.Model:
    await namespace_rows.get_id(change.connection, name.namespace)
    stored = await rows.insert(change.connection, name, kind, fields, change.caller.principal)
    after = {"kind": kind.value, **dataclasses.asdict(fields)}
    change.record(name.namespace, events.Event("model.created", name, None, after))
    return stored.model


async def _update(
    name: names.ModelName, changed: Mapping[str, Any], etag: str, change: changes.Change
) -> models.Model:
    stored = await _lock(name, etag, change)
    fields = dataclasses.replace(stored.model.fields, **changed)
    await rows.update(change.connection, stored.model_id, fields)
    before = {field: getattr(stored.model.fields, field) for field in changed}
    change.record(name.namespace, events.Event("model.updated", name, before, dict(changed)))
    return (await rows.get(change.connection, name)).model


async def _delete(name: names.ModelName, etag: str, change: changes.Change) -> models.Model:
    stored = await _lock(name, etag, change)
    if stored.model.deleted_at is not None:
        return stored.model
    live = await rows.find_live_version(change.connection, stored.model_id)
    if live is not None:
        raise errors.FailedPrecondition(
            f"{name} still has version {live}; delete its versions first",
            reason="MODEL_NOT_EMPTY",
            version=live,
        )
    await rows.set_deleted(change.connection, stored.model_id, deleted=True)
    change.record(name.namespace, events.Event("model.deleted", name, {}, None))
    return (await rows.get(change.connection, name)).model


async def _restore(name: names.ModelName, etag: str, change: changes.Change) -> models.Model:
    stored = await _lock(name, etag, change)
    if stored.model.deleted_at is None:
        raise errors.FailedPrecondition(f"{name} is not deleted", reason="NOT_DELETED")
    await rows.set_deleted(change.connection, stored.model_id, deleted=False)
    change.record(name.namespace, events.Event("model.restored", name, None, {}))
    return (await rows.get(change.connection, name)).model


async def _lock(name: names.ModelName, etag: str, change: changes.Change) -> rows.Stored:
    stored = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.model.etag)
    return stored
