"""Names that models have and had; each belongs to one model for ever."""

from collections.abc import Collection

from modelkeep.domain import errors, names
from modelkeep.storage import database

FIND_MOVED = """
SELECT asked.namespace AS old_namespace, asked.model AS old_model, n.name AS namespace, m.name
FROM unnest($1::text[], $2::text[]) AS asked (namespace, model)
JOIN namespace o ON o.name = asked.namespace
JOIN model_name k ON k.namespace_id = o.namespace_id AND k.name = asked.model
JOIN model m ON m.model_id = k.model_id
JOIN namespace n ON n.namespace_id = m.namespace_id
WHERE (n.name, m.name) <> (asked.namespace, asked.model)"""
# A name that a model had is no other's, so what happened under it happened to this model.
# There: in another namespace it may be another model's.
LIST_ALL = """
SELECT name FROM model_name WHERE model_id = ANY ($1::bigint[]) AND namespace_id = $2"""
TAKE = """
INSERT INTO model_name AS k (namespace_id, name, model_id) VALUES ($1, $2, $3)
ON CONFLICT (namespace_id, name) DO UPDATE SET since = now() WHERE k.model_id = excluded.model_id
RETURNING k.model_id"""
RENAME = """
UPDATE model SET name = $2, updated_at = now(), revision = revision + 1 WHERE model_id = $1"""


async def find_moved(
    connection: database.Connection, wanted: Collection[names.ModelName]
) -> dict[names.ModelName, names.ModelName]:
    """Today's names of those of the models that had the wanted name in the past."""
    rows = await connection.fetch(
        FIND_MOVED, [name.namespace for name in wanted], [name.model for name in wanted]
    )
    return {
        names.ModelName(row["old_namespace"], row["old_model"]): names.ModelName(
            row["namespace"], row["name"]
        )
        for row in rows
    }


async def list_all(
    connection: database.Connection, model_ids: Collection[int], namespace_id: int
) -> frozenset[str]:
    """All names that these models have and had in a namespace."""
    rows = await connection.fetch(LIST_ALL, list(model_ids), namespace_id)
    return frozenset(row["name"] for row in rows)


async def today(connection: database.Connection, name: names.VersionName) -> names.VersionName:
    """The version's name today, whatever its model was called when the name was written down."""
    moved = await find_moved(connection, [name.parent])
    model = moved.get(name.parent, name.parent)
    return names.VersionName(model.namespace, model.model, name.version)


async def rename(
    connection: database.Connection, model_id: int, namespace_id: int, name: names.ModelName
) -> None:
    """Give a model another name in its namespace.

    Raises `errors.AlreadyExists` if another model has the name or had it.
    """
    # In the order in which a new model takes its name, or the two would lock each other out.
    await connection.execute(RENAME, model_id, name.model)
    await take(connection, model_id, namespace_id, name)


async def take(
    connection: database.Connection, model_id: int, namespace_id: int, name: names.ModelName
) -> None:
    """Have a name mean the model for ever, or raise `errors.AlreadyExists`."""
    if await connection.fetchval(TAKE, namespace_id, name.model, model_id) is None:
        raise errors.AlreadyExists(
            f"{name} is the former name of another model, which still answers to it", resource=name
        )
