"""Rows of environments."""

from dataclasses import dataclass

from modelkeep.domain import deployments, errors, names, pages
from modelkeep.storage import database

_COLUMNS = """e.environment_id, e.namespace_id, n.name AS namespace, e.name, e.description,
e.labels, e.stages, e.allow_several, e.creator, e.created_at, e.updated_at, e.revision"""
_FROM = "environment e JOIN namespace n ON n.namespace_id = e.namespace_id"

INSERT = """
INSERT INTO environment
(namespace_id, name, description, labels, stages, allow_several, creator)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
GET = f"SELECT {_COLUMNS} FROM {_FROM} WHERE n.name = $1 AND e.name = $2"
HOLD = f"{GET} FOR SHARE OF e"
LOCK = f"{GET} FOR UPDATE OF e"
UPDATE = """
UPDATE environment SET description = $2, labels = $3, stages = $4, allow_several = $5,
updated_at = now(), revision = revision + 1 WHERE environment_id = $1"""
DELETE = "DELETE FROM environment WHERE environment_id = $1"
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM} WHERE e.namespace_id = $1 AND e.name > $2
ORDER BY e.name LIMIT $3"""
LIST_TAKING = f"""
SELECT {_COLUMNS} FROM {_FROM} WHERE e.namespace_id = $1 AND $2 = ANY(e.stages)
ORDER BY e.name LIMIT $3"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An environment with the ids of its row."""

    environment_id: int
    namespace_id: int
    environment: deployments.Environment


async def insert(
    connection: database.Connection,
    namespace_id: int,
    name: names.EnvironmentName,
    fields: deployments.EnvironmentFields,
    creator: str,
) -> deployments.Environment:
    """Insert an environment; raise `errors.AlreadyExists` if it is there."""
    await connection.execute(INSERT, namespace_id, name.environment, *_values(fields), creator)
    return (await get(connection, name)).environment


async def get(connection: database.Connection, name: names.EnvironmentName) -> Stored:
    """Read an environment, or raise `errors.NotFound`."""
    return await _one(connection, GET, name)


async def hold(connection: database.Connection, name: names.EnvironmentName) -> Stored:
    """Read an environment and keep others from changing it, or raise `errors.NotFound`."""
    return await _one(connection, HOLD, name)


async def lock(connection: database.Connection, name: names.EnvironmentName) -> Stored:
    """Read an environment and keep others from changing or holding it; `errors.NotFound`."""
    return await _one(connection, LOCK, name)


async def _one(
    connection: database.Connection, statement: str, name: names.EnvironmentName
) -> Stored:
    row = await connection.fetchrow(statement, name.namespace, name.environment)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _stored(row)


async def update(
    connection: database.Connection, environment_id: int, fields: deployments.EnvironmentFields
) -> None:
    """Replace an environment's fields."""
    await connection.execute(UPDATE, environment_id, *_values(fields))


async def delete(connection: database.Connection, environment_id: int) -> None:
    """Delete an environment; raise `errors.FailedPrecondition` if anything ever ran there."""
    await connection.execute(DELETE, environment_id)


async def list_page(
    connection: database.Connection, namespace_id: int, page: pages.PageRequest
) -> pages.Page[deployments.Environment]:
    """A page of a namespace's environments by name."""
    rows = await connection.fetch(LIST, namespace_id, page.after, page.size + 1)
    return pages.page_of([(row["name"], _stored(row).environment) for row in rows], page.size)


async def list_taking(
    connection: database.Connection, namespace_id: int, stage: str, limit: int
) -> list[Stored]:
    """Environments that versions of this stage may be deployed to, by name."""
    return [_stored(row) for row in await connection.fetch(LIST_TAKING, namespace_id, stage, limit)]


def _values(fields: deployments.EnvironmentFields) -> tuple[object, ...]:
    return fields.description, fields.labels, list(fields.stages), fields.allow_several


def _stored(row: database.Row) -> Stored:
    environment = deployments.Environment(
        name=names.EnvironmentName(row["namespace"], row["name"]),
        fields=deployments.EnvironmentFields(
            row["description"], row["labels"], tuple(row["stages"]), row["allow_several"]
        ),
        creator=row["creator"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        etag=str(row["revision"]),
    )
    return Stored(row["environment_id"], row["namespace_id"], environment)
