"""Rows of deleted versions whose time is over, and of answers kept long enough."""

import datetime

from modelkeep.domain import names, specs
from modelkeep.storage import codec, database, versions

LIST_DUE = """
SELECT n.name AS namespace, m.name AS model, v.version
FROM version v JOIN model m ON m.model_id = v.model_id
JOIN namespace n ON n.namespace_id = v.namespace_id
WHERE v.state = 'deleted' AND v.purge_at <= now() ORDER BY v.purge_at LIMIT $1"""
LOCK_DUE = f"""
{versions.FIND_ID} AND v.state = 'deleted' AND v.purge_at <= now() FOR NO KEY UPDATE OF v"""
PURGE = """
UPDATE version SET state = 'purged', purged_at = now(), updated_at = now(), content = $2,
labels = '{}', description = '', card = '', warnings = '[]', revision = revision + 1
WHERE version_id = $1"""
DELETE_FILES = "DELETE FROM version_file WHERE version_id = $1"
# What another replica forgets at this moment is left to it.
FORGET_ANSWERS = """
DELETE FROM idempotency_key WHERE (principal, request_id) IN (
    SELECT principal, request_id FROM idempotency_key
    WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2
    FOR UPDATE SKIP LOCKED)
RETURNING 1"""

_NOTHING = codec.dump(specs.Content())


async def list_due(connection: database.Connection, limit: int) -> list[names.VersionName]:
    """Deleted versions whose time to be restored is over, longest over first."""
    rows = await connection.fetch(LIST_DUE, limit)
    return [names.VersionName(row["namespace"], row["model"], row["version"]) for row in rows]


async def lock_due(connection: database.Connection, name: names.VersionName) -> bool:
    """Lock a version for its purging, unless it was restored or purged meanwhile."""
    found = await connection.fetchval(LOCK_DUE, name.namespace, name.model, name.version)
    return found is not None


async def purge(connection: database.Connection, version_id: int) -> None:
    """Drop a deleted version's files and all it says about itself; its name and number stay."""
    await connection.execute(PURGE, version_id, _NOTHING)
    await connection.execute(DELETE_FILES, version_id)


async def forget_answers(
    connection: database.Connection, kept: datetime.timedelta, limit: int
) -> int:
    """Forget the answers to requests that are older than that, oldest first; their number."""
    return len(await connection.fetch(FORGET_ANSWERS, kept, limit))
