"""Use cases of versions, but for finalizing, which `finalizing.py` has."""

import dataclasses
import datetime
import functools
from collections.abc import Collection, Mapping
from typing import Any

from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import (
    errors,
    events,
    inspections,
    manifests,
    models,
    names,
    pages,
    refs,
    sight,
    specs,
    stages,
    versions,
)
from modelkeep.service import changes, following, gathering
from modelkeep.storage import codec, database, model_names, resolving
from modelkeep.storage import deployments as deployment_rows
from modelkeep.storage import facts as fact_rows
from modelkeep.storage import files as file_rows
from modelkeep.storage import models as model_rows
from modelkeep.storage import versions as rows


class Versions:
    """Creates, reads, changes, deletes and restores versions.

    Args:
        db: the database.
        retention: how long a deleted version can be restored; None: until somebody purges it.
    """

    def __init__(
        self, db: database.Database, retention: datetime.timedelta | None = versions.RETENTION
    ) -> None:
        self._retention = retention
        self._db = db
        self._changes = changes.Changes(db)
        self._getting = gathering.Gathered(self._get, self._get_all)
        self._resolving = gathering.Gathered(self._resolve, self._resolve_all)

    async def create(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.VersionName,
        content: specs.Content,
        notes: versions.Notes,
    ) -> versions.Version:
        """Reserve a version as a draft.

        Raises `errors.AlreadyExists`, `errors.NotFound` (model, base), `errors.FailedPrecondition`
        (spec does not fit the model's kind, base not ready).
        """
        policy.require(caller, policy.Action.CREATE_VERSION, name)
        return await self._changes.apply(
            caller, once, versions.Version, functools.partial(reserve, name, content, notes)
        )

    async def get(self, caller: callers.Caller, name: names.VersionName) -> versions.Version:
        """Read a version, deleted or not; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_VERSION, name)
        return await self._getting.get(name)

    async def _get(self, name: names.VersionName) -> versions.Version:
        async with self._db.connection() as connection:
            return (await rows.get(connection, name)).version

    async def _get_all(
        self, wanted: Collection[names.VersionName]
    ) -> Mapping[names.VersionName, versions.Version]:
        """What several calls ask for; each was permitted to see the namespace of its version."""
        with sight.only(*{name.namespace for name in wanted}):
            async with self._db.connection() as connection:
                return await rows.get_all(connection, wanted)

    async def resolve(
        self, caller: callers.Caller, ref: refs.Ref, as_of: datetime.datetime | None
    ) -> versions.Version:
        """The sealed version a reference means, now or as of an instant; `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_VERSION, ref.model)
        if as_of is None:
            return await self._resolving.get(ref)
        return await self._resolve(ref, as_of)

    async def _resolve(
        self, ref: refs.Ref, as_of: datetime.datetime | None = None
    ) -> versions.Version:
        async with self._db.connection() as connection:
            return await resolving.resolve(connection, ref, as_of)

    async def _resolve_all(
        self, wanted: Collection[refs.Ref]
    ) -> Mapping[refs.Ref, versions.Version]:
        """What several calls ask for; each was permitted to see the namespace of its reference."""
        with sight.only(*{ref.model.namespace for ref in wanted}):
            async with self._db.connection() as connection:
                return await resolving.resolve_all(connection, wanted)

    async def list(
        self,
        caller: callers.Caller,
        parent: names.ModelName,
        page: pages.PageRequest,
        *,
        deleted: bool,
    ) -> pages.Page[versions.Version]:
        """A page of a model's versions, newest first; raises `errors.NotFound` (model)."""
        policy.require(caller, policy.Action.READ_VERSION, parent)
        async with self._db.connection() as connection:
            model_id = (await model_rows.get(connection, parent)).model_id
            return await rows.list_page(connection, model_id, page, deleted=deleted)

    async def list_files(
        self, caller: callers.Caller, name: names.VersionName, page: pages.PageRequest
    ) -> pages.Page[manifests.File]:
        """A page of a version's files by path; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_VERSION, name)
        async with self._db.connection() as connection:
            version_id = (await rows.get(connection, name)).version_id
            return await file_rows.list_page(connection, version_id, page)

    async def list_inspected(
        self, caller: callers.Caller, name: names.VersionName, page: pages.PageRequest
    ) -> pages.Page[inspections.InspectedFile]:
        """A page of a version's files with what is inside them; raises `errors.NotFound`."""
        policy.require(caller, policy.Action.READ_VERSION, name)
        async with self._db.connection() as connection:
            version_id = (await rows.get(connection, name)).version_id
            return await fact_rows.list_page(connection, version_id, page)

    async def update(
        self,
        caller: callers.Caller,
        once: changes.Once,
        name: names.VersionName,
        changed: Mapping[str, Any],
        etag: str,
    ) -> versions.Version:
        """Replace the fields in `changed`.

        Raises `errors.NotFound`, `errors.StaleEtag`, `errors.FailedPrecondition` if the version is
        deleted, or sealed and a field of its content is named.
        """
        policy.require(caller, policy.Action.UPDATE_VERSION, name)
        return await self._changes.apply(
            caller, once, versions.Version, functools.partial(revise, name, changed, etag)
        )

    async def delete(
        self, caller: callers.Caller, once: changes.Once, name: names.VersionName, etag: str
    ) -> versions.Version:
        """Delete a version softly; raises `errors.FailedPrecondition` while something holds it."""
        policy.require(caller, policy.Action.DELETE_VERSION, name)
        return await self._changes.apply(
            caller, once, versions.Version, functools.partial(_delete, name, etag, self._retention)
        )

    async def restore(
        self, caller: callers.Caller, once: changes.Once, name: names.VersionName, etag: str
    ) -> versions.Version:
        """Bring a version back; raises `errors.FailedPrecondition` if it is not deleted."""
        policy.require(caller, policy.Action.DELETE_VERSION, name)
        return await self._changes.apply(
            caller, once, versions.Version, functools.partial(_restore, name, etag)
        )


async def reserve(
    name: names.VersionName,
    content: specs.Content,
    notes: versions.Notes,
    change: changes.Change,
) -> versions.Version:
    """Insert a draft within a change; see `Versions.create`."""
    base_id = await _hold_base(change, content)
    place = await model_rows.next_ordinal(change.connection, name.parent)
    models.require_spec_fits(name.parent, place.kind, content.spec)
    draft = _new(name, content, notes, change.caller)
    created = await rows.insert(change.connection, place, draft, base_id)
    after = {
        "ordinal": created.ordinal,
        **codec.plain(content),
        **codec.plain(notes),
    }
    change.record(name.namespace, events.Event("version.created", name, None, after))
    return created


def _new(
    name: names.VersionName,
    content: specs.Content,
    notes: versions.Notes,
    caller: callers.Caller,
) -> versions.Version:
    """A draft as it is before the database numbers and dates it."""
    now = datetime.datetime.now(datetime.UTC)
    return versions.Version(
        name=name,
        ordinal=0,
        state=versions.VersionState.DRAFT,
        stage=stages.DEVELOPMENT,
        manifest_digest="",
        file_count=0,
        total_bytes=0,
        content=content,
        notes=notes,
        aliases=(),
        creator=caller.principal,
        create_client=caller.client,
        created_at=now,
        updated_at=now,
        finalized_at=None,
        deleted_at=None,
        etag="",
    )


async def _hold_base(change: changes.Change, content: specs.Content) -> int | None:
    """Id of the base, which nobody can delete before the end of the transaction."""
    if not content.base_version:
        return None
    base = names.VersionName.parse(content.base_version)
    policy.require(change.caller, policy.Action.READ_VERSION, base)
    await database.show_admitted(change.connection)
    stored = await _held(change, base)
    versions.require_state(stored.version, versions.VersionState.READY, "a base")
    return stored.version_id


async def _held(change: changes.Change, base: names.VersionName) -> rows.Stored:
    """A base by a name that its model has or had, in another namespace too if that may be read."""
    try:
        return await rows.hold(change.connection, await model_names.today(change.connection, base))
    except errors.NotFound:
        read = policy.Action.READ_VERSION
        moved = await following.find(change.connection, change.caller, read, [base.parent])
        if base.parent not in moved:
            raise
    model = moved[base.parent]
    today = names.VersionName(model.namespace, model.model, base.version)
    return await rows.hold(change.connection, today)


async def revise(
    name: names.VersionName, changed: Mapping[str, Any], etag: str, change: changes.Change
) -> versions.Version:
    """Replace fields within a change; see `Versions.update`."""
    stored = await rows.lock(change.connection, name)
    present = stored.version
    changes.require_etag(name, etag, present.etag)
    if present.state in versions.GONE:
        raise errors.FailedPrecondition(
            f"{name} is {present.state}; only what is not can be changed",
            reason=present.state.upper(),
        )
    sealed = {key: value for key, value in changed.items() if key in versions.SEALED_FIELDS}
    notes = {key: value for key, value in changed.items() if key not in sealed}
    if sealed:
        await _replace_content(stored, sealed, change)
    await rows.update_notes(
        change.connection, stored.version_id, dataclasses.replace(present.notes, **notes)
    )
    before = {key: getattr(present.content, key) for key in sealed}
    before |= {key: getattr(present.notes, key) for key in notes}
    change.record(
        name.namespace,
        events.Event("version.updated", name, codec.plain(before), codec.plain(dict(changed))),
    )
    return (await rows.get(change.connection, name)).version


async def _replace_content(
    stored: rows.Stored, sealed: Mapping[str, Any], change: changes.Change
) -> None:
    present = stored.version
    if present.state is not versions.VersionState.DRAFT:
        raise errors.FailedPrecondition(
            f"{present.name} is sealed: {', '.join(sorted(sealed))} cannot change; "
            "push a new version instead",
            reason="VERSION_SEALED",
        )
    content = dataclasses.replace(present.content, **sealed)
    model = (await model_rows.get(change.connection, present.name.parent)).model
    models.require_spec_fits(model.name, model.kind, content.spec)
    base_id = await _hold_base(change, content)
    await rows.update_content(change.connection, stored.version_id, content, base_id)


async def _delete(
    name: names.VersionName,
    etag: str,
    retention: datetime.timedelta | None,
    change: changes.Change,
) -> versions.Version:
    stored = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.version.etag)
    if stored.version.state in versions.GONE:
        return stored.version
    async with database.widened(change.connection, sight.Work.FIND_DEPENDENT):
        dependent = await rows.find_dependent(change.connection, stored.version_id)
    running = await deployment_rows.find_active(change.connection, stored.version_id)
    held = [f"{one.deployment.name} in {one.deployment.environment}" for one in running[:10]]
    versions.require_deletable(stored.version, dependent, held)
    await rows.delete(change.connection, stored.version_id, retention)
    before = {"state": stored.version.state.value}
    change.record(name.namespace, events.Event("version.deleted", name, before, None))
    return (await rows.get(change.connection, name)).version


async def _restore(name: names.VersionName, etag: str, change: changes.Change) -> versions.Version:
    model = (await model_rows.lock(change.connection, name.parent)).model
    if model.deleted_at is not None:
        raise errors.FailedPrecondition(
            f"{name.parent} is deleted; restore it first", reason="MODEL_DELETED"
        )
    stored = await rows.lock(change.connection, name)
    changes.require_etag(name, etag, stored.version.etag)
    versions.require_state(stored.version, versions.VersionState.DELETED, "restored")
    await _hold_base(change, stored.version.content)
    await rows.restore(change.connection, stored.version_id)
    restored = (await rows.get(change.connection, name)).version
    after = {"state": restored.state.value}
    change.record(name.namespace, events.Event("version.restored", name, None, after))
    return restored
