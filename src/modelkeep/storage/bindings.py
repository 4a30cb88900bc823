"""Rows of role bindings: what principals and groups were given."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelkeep.domain import access, errors, names, pages
from modelkeep.storage import database
from modelkeep.storage import models as model_rows
from modelkeep.storage import namespaces as namespace_rows

_COLUMNS = """b.binding_id, b.principal, b.role, b.stage, b.alias, b.reason, b.creator,
b.created_at, b.namespace_id, b.model_id, n.name AS namespace, m.name AS model"""
# A name that may not be seen is not a wider grant: such rows are left out.
_FROM = """role_binding b LEFT JOIN namespace n ON n.namespace_id = b.namespace_id
LEFT JOIN model m ON m.model_id = b.model_id
WHERE (b.namespace_id IS NULL) = (n.name IS NULL) AND (b.model_id IS NULL) = (m.name IS NULL)"""
FIND_GRANTS = f"SELECT {_COLUMNS} FROM {_FROM} AND b.principal = ANY ($1::text[])"
INSERT = """
INSERT INTO role_binding
(binding_id, principal, role, namespace_id, model_id, stage, alias, reason, creator)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING binding_id"""
FIND_SAME = f"""
SELECT {_COLUMNS} FROM {_FROM} AND b.principal = $1 AND b.role = $2
AND b.namespace_id IS NOT DISTINCT FROM $3 AND b.model_id IS NOT DISTINCT FROM $4
AND b.stage = $5 AND b.alias = $6"""
FIND = f"SELECT {_COLUMNS} FROM {_FROM} AND b.binding_id = $1"
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
AND ($1::bigint IS NULL OR b.namespace_id = $1) AND ($2::bigint IS NULL OR b.model_id = $2)
AND ($3 = '' OR b.principal = $3) AND b.binding_id > $4 ORDER BY b.binding_id LIMIT $5"""
COUNT = "SELECT count(*) FROM role_binding WHERE principal = $1"
DELETE = "DELETE FROM role_binding WHERE binding_id = $1 RETURNING binding_id"
COUNT_ADMINS = """
SELECT count(*) FROM role_binding
WHERE role = 'admin' AND namespace_id IS NULL AND binding_id <> $1"""
# Whoever takes the role of an administrator away waits for whoever else does.
LOCK_ADMINS = "SELECT pg_advisory_xact_lock(hashtext('modelkeep.administrators'))"


@dataclass(frozen=True, slots=True)
class Place:
    """Row ids of where a role holds; None is wider."""

    namespace_id: int | None = None
    model_id: int | None = None


async def find_grants(
    connection: database.Connection, principal: str, groups: Iterable[str]
) -> tuple[access.Grant, ...]:
    """What a principal and its groups were given, as far as the names may be seen."""
    rows = await connection.fetch(FIND_GRANTS, [principal, *groups])
    return tuple(dict.fromkeys(_grant_from_row(row) for row in rows))


async def get_place(connection: database.Connection, grant: access.Grant) -> Place:
    """Where a role is to hold, or `errors.NotFound` (namespace, model)."""
    if grant.namespace == access.ANY:
        return Place()
    if grant.model == access.ANY:
        return Place(await namespace_rows.get_id(connection, grant.namespace))
    stored = await model_rows.get(connection, names.ModelName(grant.namespace, grant.model))
    return Place(stored.namespace_id, stored.model_id)


async def insert(
    connection: database.Connection, place: Place, fields: access.BindingFields, creator: str
) -> tuple[access.Binding, bool]:
    """Insert a binding unless there is the same; it, and whether it is new."""
    grant = fields.grant
    same = (
        fields.principal,
        grant.role.value,
        place.namespace_id,
        place.model_id,
        grant.stage,
        grant.alias,
    )
    made = await connection.fetchval(INSERT, access.new_id(), *same, fields.reason, creator)
    row = await connection.fetchrow(FIND_SAME, *same)
    if row is None:
        raise errors.Aborted("the role was taken away at the same time; grant it again")
    return binding_from_row(row), made is not None


async def find(connection: database.Connection, name: access.BindingName) -> access.Binding | None:
    """A binding, if it is there and its place may be seen."""
    row = await connection.fetchrow(FIND, name.binding)
    return None if row is None else binding_from_row(row)


async def list_page(
    connection: database.Connection, place: Place, principal: str, page: pages.PageRequest
) -> pages.Page[access.Binding]:
    """A page of the bindings that hold there or in a part of it, of one principal or all ('')."""
    rows = await connection.fetch(
        LIST, place.namespace_id, place.model_id, principal, page.after, page.size + 1
    )
    return pages.page_of([(row["binding_id"], binding_from_row(row)) for row in rows], page.size)


async def count(connection: database.Connection, principal: str) -> int:
    """How much a principal was given."""
    number: int = await connection.fetchval(COUNT, principal)
    return number


async def delete(connection: database.Connection, name: access.BindingName) -> bool:
    """Delete a binding; whether it was there."""
    return await connection.fetchval(DELETE, name.binding) is not None


async def lock_admins(connection: database.Connection) -> None:
    """Wait for others who make or unmake administrators, and keep them waiting to the end."""
    await connection.execute(LOCK_ADMINS)


async def count_admins(connection: database.Connection, without: str = "") -> int:
    """How many bindings make administrators of the whole registry, without this one."""
    number: int = await connection.fetchval(COUNT_ADMINS, without)
    return number


def binding_from_row(row: database.Row) -> access.Binding:
    """The domain value of a row."""
    return access.Binding(
        access.BindingName(row["binding_id"]),
        access.BindingFields(row["principal"], _grant_from_row(row), row["reason"]),
        row["creator"],
        row["created_at"],
    )


def _grant_from_row(row: database.Row) -> access.Grant:
    return access.Grant(
        access.Role(row["role"]),
        row["namespace"] or access.ANY,
        row["model"] or access.ANY,
        row["stage"],
        row["alias"],
    )
