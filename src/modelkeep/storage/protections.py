"""Rows of alias protections: which aliases of a model or a namespace not everybody may set."""

from modelkeep.domain import aliases, names
from modelkeep.storage import database

COVERS = "LIKE replace(replace(p.pattern, '_', '\\_'), '*', '%')"
"""Follows an alias: whether a protection's pattern is about it."""
HOLDS = "(p.model_id = {model} OR (p.model_id IS NULL AND p.namespace_id = {namespace}))"
"""Whether a protection is about the aliases of a model."""
_OF_ARGUMENTS = HOLDS.format(model="$2", namespace="$1")

FIND_COVERING = f"""
SELECT p.pattern FROM alias_protection p
WHERE {_OF_ARGUMENTS} AND $3 {COVERS} ORDER BY p.protection_id LIMIT 1"""
LIST = f"""
SELECT n.name AS namespace, m.name AS model, p.pattern, p.reason, p.actor, p.created_at
FROM alias_protection p JOIN namespace n ON n.namespace_id = p.namespace_id
LEFT JOIN model m ON m.model_id = p.model_id
WHERE {_OF_ARGUMENTS} ORDER BY p.pattern, p.protection_id"""
COUNT = """
SELECT count(*) FROM alias_protection
WHERE namespace_id = $1 AND model_id IS NOT DISTINCT FROM $2"""
INSERT = """
INSERT INTO alias_protection (namespace_id, model_id, pattern, reason, actor)
VALUES ($1, $2, $3, $4, $5) RETURNING created_at"""
DELETE = """
DELETE FROM alias_protection
WHERE namespace_id = $1 AND model_id IS NOT DISTINCT FROM $2 AND pattern = $3"""

Place = tuple[int, int | None]
"""Ids of a namespace, and of a model in it or None for the namespace itself."""


async def find_covering(connection: database.Connection, place: Place, alias: str) -> str | None:
    """A pattern that protects the alias of that name; hold the model to keep the answer true."""
    found: str | None = await connection.fetchval(FIND_COVERING, *place, alias)
    return found


async def list_all(connection: database.Connection, place: Place) -> tuple[aliases.Protection, ...]:
    """What holds at a place, for a model that of its namespace included, by pattern."""
    return tuple(map(_from_row, await connection.fetch(LIST, *place)))


async def count(connection: database.Connection, place: Place) -> int:
    """How many were made at the place itself."""
    number: int = await connection.fetchval(COUNT, *place)
    return number


async def insert(
    connection: database.Connection, place: Place, target: aliases.ProtectionTarget, actor: str
) -> aliases.Protection:
    """Insert one that is not there."""
    row = await connection.fetchval(INSERT, *place, target.pattern, target.reason, actor)
    return aliases.Protection(target.owner, target.pattern, target.reason, actor, row)


async def delete(connection: database.Connection, place: Place, pattern: str) -> bool:
    """Delete one; False if it is not there."""
    return await connection.execute(DELETE, *place, pattern) == "DELETE 1"


def _from_row(row: database.Row) -> aliases.Protection:
    namespace, model = row["namespace"], row["model"]
    owner = names.ModelName(namespace, model) if model else names.NamespaceName(namespace)
    return aliases.Protection(owner, row["pattern"], row["reason"], row["actor"], row["created_at"])
