"""Rows of alias assignments: the open ones are the aliases, the closed ones their history."""

import datetime
from dataclasses import dataclass

from modelkeep.domain import aliases, errors, names, pages
from modelkeep.storage import database, protections

_HOLDS = protections.HOLDS.format(model="a.model_id", namespace="a.namespace_id")
_COLUMNS = f"""a.assignment_id, a.version_id, n.name AS namespace, m.name AS model, a.alias,
v.version, a.reason, a.actor, a.valid_from, EXISTS (SELECT FROM alias_protection p
WHERE {_HOLDS} AND a.alias {protections.COVERS}) AS protected"""
_FROM = """alias_assignment a JOIN version v ON v.version_id = a.version_id
JOIN model m ON m.model_id = a.model_id JOIN namespace n ON n.namespace_id = a.namespace_id"""

FIND = f"""SELECT {_COLUMNS} FROM {_FROM}
WHERE n.name = $1 AND m.name = $2 AND a.alias = $3 AND a.valid_to IS NULL"""
CLOSE = """
UPDATE alias_assignment SET valid_to = greatest(valid_from, clock_timestamp())
WHERE assignment_id = $1 RETURNING valid_to"""
INSERT = """
INSERT INTO alias_assignment
(namespace_id, model_id, alias, version_id, reason, actor, valid_from)
VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, clock_timestamp()))
RETURNING assignment_id, valid_from"""
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE a.model_id = $1 AND a.alias > $2 AND a.valid_to IS NULL ORDER BY a.alias LIMIT $3"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An alias with the ids of its row."""

    assignment_id: int
    version_id: int
    alias: aliases.Alias


async def find(connection: database.Connection, name: names.AliasName) -> Stored | None:
    """The alias as it points now; hold its model to keep others from moving it."""
    return _stored(await connection.fetchrow(FIND, name.namespace, name.model, name.alias))


async def get(connection: database.Connection, name: names.AliasName) -> aliases.Alias:
    """The alias as it points now, or raise `errors.NotFound`."""
    found = await find(connection, name)
    if found is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return found.alias


async def close(connection: database.Connection, assignment_id: int) -> datetime.datetime:
    """End an assignment, which stays as history, and return when it ended."""
    ended_at: datetime.datetime = await connection.fetchval(CLOSE, assignment_id)
    return ended_at


async def insert(
    connection: database.Connection,
    target: aliases.AliasTarget,
    ids: tuple[int, int, int],
    actor: str,
    valid_from: datetime.datetime | None,
    *,
    protected: bool,
) -> aliases.Alias:
    """Open an assignment at the instant the one before ended, or now.

    `ids` are those of the namespace, the model and the version.
    """
    namespace_id, model_id, version_id = ids
    row = await connection.fetchrow(
        INSERT,
        namespace_id,
        model_id,
        target.name.alias,
        version_id,
        target.reason,
        actor,
        valid_from,
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING answers a row or raises
    return aliases.Alias(
        name=target.name,
        version=target.version,
        reason=target.reason,
        actor=actor,
        set_at=row["valid_from"],
        etag=str(row["assignment_id"]),
        protected=protected,
    )


async def list_page(
    connection: database.Connection, model_id: int, page: pages.PageRequest
) -> pages.Page[aliases.Alias]:
    """A page of a model's aliases by name."""
    rows = await connection.fetch(LIST, model_id, page.after, page.size + 1)
    return pages.page_of([(row["alias"], _alias_from_row(row)) for row in rows], page.size)


def _stored(row: database.Row | None) -> Stored | None:
    if row is None:
        return None
    return Stored(row["assignment_id"], row["version_id"], _alias_from_row(row))


def _alias_from_row(row: database.Row) -> aliases.Alias:
    return aliases.Alias(
        name=names.AliasName(row["namespace"], row["model"], row["alias"]),
        version=names.VersionName(row["namespace"], row["model"], row["version"]),
        reason=row["reason"],
        actor=row["actor"],
        set_at=row["valid_from"],
        etag=str(row["assignment_id"]),
        protected=row["protected"],
    )
