"""What namespaces take, as the triggers of migration 0006 count it, and counted anew."""

from modelkeep.domain import errors, names, quotas
from modelkeep.storage import database

_COUNTERS = "stored_bytes, reserved_bytes, logical_bytes, open_uploads"

GET = f"""
SELECT {_COUNTERS}, n.stored_bytes_quota, n.logical_bytes_quota, n.open_uploads_quota
FROM namespace n JOIN namespace_usage USING (namespace_id) WHERE n.name = $1"""
# The event counter first, as whoever changes something: it is taken before the usage is settled.
LOCK_EVENTS = """
SELECT FROM event_counter c JOIN namespace n USING (namespace_id) WHERE n.name = $1
FOR NO KEY UPDATE OF c"""
LOCK = """
SELECT FROM namespace_usage u JOIN namespace n USING (namespace_id) WHERE n.name = $1
FOR NO KEY UPDATE OF u"""
COUNT = f"""
SELECT {_COUNTERS} FROM namespace_usage_counted
WHERE namespace_id = (SELECT namespace_id FROM namespace WHERE name = $1)"""
SET = """
UPDATE namespace_usage SET stored_bytes = $2, reserved_bytes = $3, logical_bytes = $4,
open_uploads = $5 WHERE namespace_id = (SELECT namespace_id FROM namespace WHERE name = $1)"""


async def get(connection: database.Connection, name: names.NamespaceName) -> quotas.NamespaceUsage:
    """What a namespace takes of what it may take, or raise `errors.NotFound`; reads two rows."""
    row = await connection.fetchrow(GET, name.namespace)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    limits = quotas.Limits(
        row["stored_bytes_quota"], row["logical_bytes_quota"], row["open_uploads_quota"]
    )
    return quotas.NamespaceUsage(name, _usage(row), limits)


async def recount(
    connection: database.Connection, name: names.NamespaceName
) -> tuple[quotas.Usage, quotas.Usage]:
    """Put the counters right: what they said, and what they say now.

    Reads all blobs, open uploads and versions, and lets no change of the namespace commit until
    the end of the transaction: under the lock both numbers are of the same moment.
    """
    await connection.execute(LOCK_EVENTS, name.namespace)
    await connection.execute(LOCK, name.namespace)
    said = (await get(connection, name)).usage
    row = await connection.fetchrow(COUNT, name.namespace)
    counted = said if row is None else _usage(row)
    if counted != said:
        await connection.execute(
            SET,
            name.namespace,
            counted.stored_bytes,
            counted.reserved_bytes,
            counted.logical_bytes,
            counted.open_uploads,
        )
    return said, counted


def _usage(row: database.Row) -> quotas.Usage:
    return quotas.Usage(
        row["stored_bytes"], row["reserved_bytes"], row["logical_bytes"], row["open_uploads"]
    )
