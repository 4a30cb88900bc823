"""What nobody will come back for: uploads that are over, and objects that no row knows of."""

import datetime
from collections.abc import Sequence

from modelkeep.domain import names
from modelkeep.storage import database, packs
from modelkeep.storage import uploads as upload_rows

LIST_EXPIRED = """
SELECT n.name AS namespace, u.upload_id FROM upload u JOIN namespace n USING (namespace_id)
WHERE u.state = 'active' AND u.expires_at < now() ORDER BY u.expires_at LIMIT $1"""
# A blob of one part was stored by one request: nothing is left of it but the blob itself.
LIST_FINISHED = """
SELECT n.name AS namespace, u.upload_id,
u.state <> 'committed' OR u.size_bytes > u.part_size_bytes OR u.multipart_id IS NOT NULL AS leaves
FROM upload u JOIN namespace n USING (namespace_id)
WHERE u.finished_at < now() - $1::interval ORDER BY u.finished_at LIMIT $2"""
LOCK_OVER = """
SELECT upload_id FROM upload
WHERE upload_id = ANY($1::text[]) AND finished_at < now() - $2::interval
ORDER BY upload_id FOR UPDATE"""

# Apart, so that the upload is looked for by a value: row security lets no index be searched by an
# expression of another table's (ADR 0028).
_UPLOAD_OF_KEY = "substring(key from '^blobs/([0-9a-f]{32})([.].*)?$') AS upload_id"
# One statement, hence one moment: an upload that commits is either open still or a blob already.
FIND_ORPHANS = f"""
WITH o AS MATERIALIZED (SELECT key, {_UPLOAD_OF_KEY} FROM unnest($1::text[]) AS k (key))
SELECT o.key FROM o WHERE o.key LIKE 'blobs/%'
AND NOT EXISTS (SELECT FROM blob b WHERE b.storage_key = o.key)
AND NOT EXISTS (
    SELECT FROM pack p WHERE p.storage_key = o.key AND p.retired_at > now() - $2::interval)
AND NOT EXISTS (
    SELECT FROM upload u WHERE u.upload_id = o.upload_id
    AND u.state IN ('active', 'verifying'))"""
FIND_STRAY_MULTIPARTS = f"""
WITH m AS MATERIALIZED (
    SELECT key, id, {_UPLOAD_OF_KEY} FROM unnest($1::text[], $2::text[]) AS k (key, id))
SELECT m.key, m.id FROM m
WHERE m.key LIKE 'blobs/%'
AND NOT EXISTS (
    SELECT FROM upload u WHERE u.upload_id = m.upload_id
    AND u.state IN ('active', 'verifying') AND coalesce(u.multipart_id, m.id) = m.id)"""


async def list_expired(connection: database.Connection, limit: int) -> list[names.UploadName]:
    """Uploads whose lifetime is over and that nobody gave up yet, longest over first."""
    return _names(await connection.fetch(LIST_EXPIRED, limit))


async def list_finished(
    connection: database.Connection, retention: datetime.timedelta, limit: int
) -> list[tuple[names.UploadName, bool]]:
    """Uploads finished so long ago, longest first, and whether each may have left something."""
    rows = await connection.fetch(LIST_FINISHED, retention, limit)
    return list(zip(_names(rows), [row["leaves"] for row in rows], strict=True))


async def forget(
    connection: database.Connection,
    uploads: Sequence[names.UploadName],
    retention: datetime.timedelta,
) -> int:
    """Delete the rows of those of the uploads that were finished so long ago; their number."""
    ids = [name.upload for name in uploads]
    async with connection.transaction():
        over = [row["upload_id"] for row in await connection.fetch(LOCK_OVER, ids, retention)]
        await upload_rows.delete_all(connection, over)
    return len(over)


async def find_orphans(
    connection: database.Connection, keys: Sequence[str], grace: datetime.timedelta
) -> list[str]:
    """Those of the objects that are no blob's and no open upload's.

    A retired pack stays so long after its retirement. The rows of packs among them are deleted.
    """
    orphans = [row["key"] for row in await connection.fetch(FIND_ORPHANS, keys, grace)]
    await packs.delete_orphans(connection, orphans, grace)
    return orphans


async def find_stray_multiparts(
    connection: database.Connection, multiparts: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those multipart uploads, by key and id, that are no open upload's."""
    keys, ids = [key for key, _ in multiparts], [id_ for _, id_ in multiparts]
    rows = await connection.fetch(FIND_STRAY_MULTIPARTS, keys, ids)
    return [(row["key"], row["id"]) for row in rows]


def _names(rows: Sequence[database.Row]) -> list[names.UploadName]:
    return [names.UploadName(row["namespace"], row["upload_id"]) for row in rows]
