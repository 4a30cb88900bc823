"""Use cases of environments: the places where versions run."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import deployments, errors, events, names, pages
from modelkeep.service import changes
from modelkeep.storage import codec, database
from modelkeep.storage import deployments as deployment_rows
from modelkeep.storage import environments as rows
from modelkeep.storage import namespaces as namespace_rows


class Environments:
    """Creates, reads, changes and deletes environments."""

    def __init__(self, db: database.Database) -> None:
        self._db = db
        self._changes = changes.Changes(db)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.EnvironmentName,
        fields: deployments.EnvironmentFields,
    ) -> deployments.Environment:
        """Create an environment; raises `errors.NotFound` (namespace), `errors.AlreadyExists`."""
        policy.require(caller, policy.Action.CREATE_ENVIRONMENT, name)
        body = functools.partial(_create, name, fields)
        return await self._changes.apply(caller, once, deployments.Environment, body)

    async def get(
        self, caller: callers.Caller, name: names.EnvironmentName
    ) -> deployments.Environment:
        """Read an environment; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_ENVIRONMENT, name)
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).environment

    async def list(
        self, caller: callers.Caller, parent: names.NamespaceName, page: pages.PageRequest
    ) -> pages.Page[deployments.Environment]:
        """A page of a namespace's environments by name; raises `errors.NotFound` (namespace)."""
        policy.require(caller, policy.Action.READ_ENVIRONMENT, parent)
        async with self._db.connection() as connection:
            namespace_id = await namespace_rows.get_id(connection, parent.namespace)
            return await rows.list_page(connection, namespace_id, page)

    async def update(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.EnvironmentName,
        changed: Mapping[str, Any],
        etag: str,
    ) -> deployments.Environment:
        """Replace the fields in `changed`; what runs there goes on.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` (several run,
        and only one is to).
        """
        policy.require(caller, policy.Action.UPDATE_ENVIRONMENT, name)
        body = functools.partial(_update, name, changed, etag)
        return await self._changes.apply(caller, once, deployments.Environment, body)

    async def delete(
        self, caller: callers.Caller, once: changes.Once, name: names.EnvironmentName, etag: str
    ) -> deployments.Environment:
        """Delete an environment in which nothing ever ran, and tell what it was.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` (it has a
        history).
        """
        policy.require(caller, policy.Action.DELETE_ENVIRONMENT, name)
        body = functools.partial(_delete, name, etag)
        return await self._changes.apply(caller, once, deployments.Environment, body)


async def _create(
    name: names.EnvironmentName, fields: deployments.EnvironmentFields, change: changes.Change
) -> deployments.Environment:
    namespace_id = await namespace_rows.get_id(change.connection, name.namespace)
    created = await rows.insert(
        change.connection, namespace_id, name, fields, change.caller.principal
    )
    after = codec.plain(fields)
    change.record(name.namespace, events.Event("environment.created", name, None, after))
    return created


async def _update(
    name: names.EnvironmentName, changed: Mapping[str, Any], etag: str, change: changes.Change
) -> deployments.Environment:
    stored = await rows.lock(change.connection, name)
    present = stored.environment
    changes.require_etag(name, etag, present.etag)
    fields = dataclasses.replace(present.fields, **changed)
    if present.fields.allow_several and not fields.allow_several:
        await _close(stored, change)
    await rows.update(change.connection, stored.environment_id, fields)
    before = codec.plain({key: getattr(present.fields, key) for key in changed})
    after = codec.plain(dict(changed))
    change.record(name.namespace, events.Event("environment.updated", name, before, after))
    return (await rows.get(change.connection, name)).environment


async def _close(stored: rows.Stored, change: changes.Change) -> None:
    """Let only one deployment of a model run there from now on."""
    crowd = await deployment_rows.find_crowd(change.connection, stored.environment_id)
    if crowd is not None:
        raise errors.FailedPrecondition(
            f"several deployments of {crowd} run in {stored.environment.name}; "
            "end all but one of each model first",
            reason="SEVERAL_RUNNING",
            model=crowd,
        )
    await deployment_rows.close_place(change.connection, stored.environment_id)


async def _delete(
    name: names.EnvironmentName, etag: str, change: changes.Change
) -> deployments.Environment:
    stored = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.environment.etag)
    await rows.delete(change.connection, stored.environment_id)
    before = codec.plain(stored.environment.fields)
    change.record(name.namespace, events.Event("environment.deleted", name, before, None))
    return stored.environment
