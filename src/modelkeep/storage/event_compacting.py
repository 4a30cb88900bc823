"""Deletes events that are old and that no webhook still needs."""

import datetime

from modelkeep.storage import database

LIST_OLD = """
SELECT c.namespace_id FROM event_counter c
JOIN event_log_to_search e ON e.namespace_id = c.namespace_id AND e.seq = c.compacted_seq + 1
WHERE c.namespace_id > $1 AND e.occurred_at < now() - $2::interval
ORDER BY c.namespace_id LIMIT $3"""
# Up to the last old one among the oldest, but not past what an enabled webhook has yet to get.
FIND_CUT = """
WITH oldest AS (
    SELECT e.seq, e.occurred_at FROM event_log e
    WHERE e.namespace_id = $1 AND e.seq > (
        SELECT compacted_seq FROM event_counter WHERE namespace_id = $1)
    ORDER BY e.seq LIMIT $3),
needed AS (
    SELECT coalesce((
        SELECT d.seq - 1 FROM webhook_delivery d
        WHERE d.webhook_id = w.webhook_id AND d.state = 'pending' ORDER BY d.seq LIMIT 1),
        w.cursor_seq) AS upto
    FROM webhook w WHERE w.namespace_id = $1 AND w.enabled)
SELECT max(seq) FROM oldest
WHERE occurred_at < now() - $2::interval AND seq <= ALL (SELECT upto FROM needed)"""
DELETE = "DELETE FROM event_log WHERE namespace_id = $1 AND seq <= $2"
# Last, because whoever appends waits for this row.
NOTE = """
UPDATE event_counter SET compacted_seq = $2 WHERE namespace_id = $1 AND compacted_seq < $2"""


async def list_old(
    connection: database.Connection, after: int, retention: datetime.timedelta, limit: int
) -> list[int]:
    """Namespaces by row id whose oldest event is older than that."""
    rows = await connection.fetch(LIST_OLD, after, retention, limit)
    return [row["namespace_id"] for row in rows]


async def compact(
    connection: database.Connection,
    namespace_id: int,
    retention: datetime.timedelta,
    limit: int,
) -> int:
    """Delete the oldest events that may go, so many at most, in a transaction; their number."""
    cut = await connection.fetchval(FIND_CUT, namespace_id, retention, limit)
    if cut is None:
        return 0
    status: str = await connection.execute(DELETE, namespace_id, cut)
    await connection.execute(NOTE, namespace_id, cut)
    return int(status.rpartition(" ")[2])
