"""Use cases of role bindings: who is given what, and what that comes to for a caller."""

import functools

from modelkeep.audit_chain import links
from modelkeep.authz import caller as callers
from modelkeep.authz import policy
from modelkeep.domain import access, errors, events, limits, names, pages, sight
from modelkeep.service import changes, remembering, tokens
from modelkeep.storage import bindings as rows
from modelkeep.storage import codec, database
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows

_Key = tuple[str, frozenset[str]]
Place = names.NamespaceName | names.ModelName | None


class Bindings:
    """Gives roles, takes them away, and knows who has which.

    Args:
        db: where they are.
        lifetime_s: for how long another replica may go by what was taken away here.
    """

    def __init__(self, db: database.Database, lifetime_s: float = tokens.LIFETIME_S) -> None:
        self._db = db
        self._changes = changes.Changes(db)
        self._known = remembering.Remembered(self._find, lifetime_s)

    async def grants_of(self, principal: str, groups: frozenset[str]) -> tuple[access.Grant, ...]:
        """What the principal and the groups were given."""
        return await self._known.get((principal, groups))

    def forget(self) -> None:
        """Look up again what was given."""
        self._known.forget_all()

    async def create(
        self, caller: callers.Caller, once: changes.Once, fields: access.BindingFields
    ) -> access.Binding:
        """Give a role; to give it twice is the same as once.

        Raises `errors.NotFound` (namespace, model), `errors.ResourceExhausted`.
        """
        place = place_of(fields.grant)
        policy.require(caller, policy.Action.GRANT_ROLE, place)
        sight.admit(links.REGISTRY)
        body = functools.partial(_create, fields)
        made = await self._changes.apply(caller, once, access.Binding, body)
        self._known.forget_all()
        return made

    async def list(
        self, caller: callers.Caller, place: Place, principal: str, page: pages.PageRequest
    ) -> pages.Page[access.Binding]:
        """A page of what holds in a place or in a part of it, of one principal or of all ('')."""
        policy.require(caller, policy.Action.READ_ROLE, place)
        async with self._db.everywhere(sight.Work.KNOW_GRANTS) as connection:
            where = await rows.get_place(connection, _everything_of(place))
            return await rows.list_page(connection, where, principal, page)

    async def delete(
        self, caller: callers.Caller, once: changes.Once, name: access.BindingName
    ) -> access.Binding:
        """Take a role away and return what it was.

        Raises `errors.NotFound`, also where the caller may not; `errors.FailedPrecondition`
        (LAST_ADMIN).
        """
        present = await self._get(name)
        place = place_of(present.fields.grant)
        try:
            policy.require(caller, policy.Action.REVOKE_ROLE, place)
        except (errors.PermissionDenied, errors.Hidden) as error:
            denied = error.denied if isinstance(error, errors.Hidden) else error
            raise errors.Hidden(f"{name} does not exist", denied, resource=name) from error
        sight.admit(links.REGISTRY)
        body = functools.partial(_delete, present)
        taken = await self._changes.apply(caller, once, access.Binding, body)
        self._known.forget_all()
        return taken

    async def _get(self, name: access.BindingName) -> access.Binding:
        async with self._db.everywhere(sight.Work.KNOW_GRANTS) as connection:
            found = await rows.find(connection, name)
        if found is None:
            raise errors.NotFound(f"{name} does not exist", resource=name)
        return found

    async def _find(self, key: _Key) -> tuple[access.Grant, ...]:
        async with self._db.everywhere(sight.Work.KNOW_GRANTS) as connection:
            return await rows.find_grants(connection, *key)


def place_of(grant: access.Grant) -> Place:
    """Where a role holds; None is the registry."""
    if grant.namespace == access.ANY:
        return None
    if grant.model == access.ANY:
        return names.NamespaceName(grant.namespace)
    return names.ModelName(grant.namespace, grant.model)


def _everything_of(place: Place) -> access.Grant:
    """Some grant that holds there."""
    namespace = place.namespace if place else access.ANY
    model = place.model if isinstance(place, names.ModelName) else access.ANY
    return access.Grant(access.Role.READER, namespace, model)


async def _create(fields: access.BindingFields, change: changes.Change) -> access.Binding:
    await namespace_rows.ensure_registry(change.connection)
    if _is_admin(fields.grant):
        await rows.lock_admins(change.connection)
    async with database.widened(change.connection, sight.Work.KNOW_GRANTS):
        given = await rows.count(change.connection, fields.principal)
    if given >= limits.BINDINGS_OF_ONE:
        raise errors.ResourceExhausted(
            f"{fields.principal} was given {limits.BINDINGS_OF_ONE} roles already; give one that "
            "holds in a whole namespace",
            limit=limits.BINDINGS_OF_ONE,
        )
    if isinstance(owner := place_of(fields.grant), names.ModelName):
        await model_rows.lock(change.connection, owner)  # which may be leaving for elsewhere
    place = await rows.get_place(change.connection, fields.grant)
    made, is_new = await rows.insert(change.connection, place, fields, change.caller.principal)
    if is_new:
        _record(change, "role.granted", made)
    return made


async def _delete(present: access.Binding, change: changes.Change) -> access.Binding:
    await namespace_rows.ensure_registry(change.connection)
    if _is_admin(present.fields.grant):
        await _require_another_admin(present, change)
    if not await rows.delete(change.connection, present.name):
        raise errors.NotFound(f"{present.name} does not exist", resource=present.name)
    _record(change, "role.revoked", present)
    return present


async def _require_another_admin(present: access.Binding, change: changes.Change) -> None:
    await rows.lock_admins(change.connection)
    if not await rows.count_admins(change.connection, present.name.binding):
        raise errors.FailedPrecondition(
            f"{present.fields.principal} is the only administrator of the registry; make another "
            "first",
            reason="LAST_ADMIN",
        )


def _is_admin(grant: access.Grant) -> bool:
    return grant.role is access.Role.ADMIN and grant.namespace == access.ANY


def _record(change: changes.Change, action: str, binding: access.Binding) -> None:
    grant = binding.fields.grant
    told = {"binding": str(binding.name), **codec.plain(binding.fields)}
    before, after = (None, told) if action == "role.granted" else (told, None)
    resource = place_of(grant) or events.NamedResource("")
    namespace = links.REGISTRY if grant.namespace == access.ANY else grant.namespace
    change.record(namespace, events.Event(action, resource, before, after))
