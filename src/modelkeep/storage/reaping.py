"""What nobody will come back for: uploads that are over, and objects that no row knows of."""

import datetime
from collections.abc import Sequence

from modelkeep.domain import names
from modelkeep.storage import database

LIST_EXPIRED = """
SELECT n.name AS namespace, u.upload_id FROM upload u JOIN namespace n USING (namespace_id)
WHERE u.state = 'active' AND u.expires_at < now() ORDER BY u.expires_at LIMIT $1"""
LIST_FINISHED = """
SELECT n.name AS namespace, u.upload_id FROM upload u JOIN namespace n USING (namespace_id)
WHERE u.finished_at < now() - $1::interval ORDER BY u.finished_at LIMIT $2"""
FORGET = """
WITH over AS (
    SELECT upload_id FROM upload
    WHERE upload_id = $1 AND finished_at < now() - $2::interval FOR UPDATE),
claims AS (DELETE FROM upload_claim WHERE upload_id IN (SELECT upload_id FROM over)),
parts AS (DELETE FROM upload_part WHERE upload_id IN (SELECT upload_id FROM over))
DELETE FROM upload WHERE upload_id IN (SELECT upload_id FROM over) RETURNING upload_id"""

_UPLOAD_OF_KEY = "substring({} from '^blobs/([0-9a-f]{{32}})([.].*)?$')"
# One statement, hence one moment: an upload that commits is either open still or a blob already.
FIND_ORPHANS = f"""
SELECT o.key FROM unnest($1::text[]) AS o (key)
WHERE o.key LIKE 'blobs/%'
AND NOT EXISTS (SELECT FROM blob b WHERE b.storage_key = o.key)
AND NOT EXISTS (
    SELECT FROM upload u WHERE u.upload_id = {_UPLOAD_OF_KEY.format("o.key")}
    AND u.state IN ('active', 'verifying'))"""
FIND_STRAY_MULTIPARTS = f"""
SELECT m.key, m.id FROM unnest($1::text[], $2::text[]) AS m (key, id)
WHERE m.key LIKE 'blobs/%'
AND NOT EXISTS (
    SELECT FROM upload u WHERE u.upload_id = {_UPLOAD_OF_KEY.format("m.key")}
    AND u.state IN ('active', 'verifying') AND coalesce(u.multipart_id, m.id) = m.id)"""


async def list_expired(connection: database.Connection, limit: int) -> list[names.UploadName]:
    """Uploads whose lifetime is over and that nobody gave up yet, longest over first."""
    return _names(await connection.fetch(LIST_EXPIRED, limit))


async def list_finished(
    connection: database.Connection, retention: datetime.timedelta, limit: int
) -> list[names.UploadName]:
    """Uploads that were finished so long ago, longest first."""
    return _names(await connection.fetch(LIST_FINISHED, retention, limit))


async def forget(
    connection: database.Connection, name: names.UploadName, retention: datetime.timedelta
) -> bool:
    """Delete the rows of an upload that was finished so long ago; False if it was not."""
    return await connection.fetchval(FORGET, name.upload, retention) is not None


async def find_orphans(connection: database.Connection, keys: Sequence[str]) -> list[str]:
    """Those of the objects that are no blob's and no open upload's."""
    return [row["key"] for row in await connection.fetch(FIND_ORPHANS, keys)]


async def find_stray_multiparts(
    connection: database.Connection, multiparts: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Those multipart uploads, by key and id, that are no open upload's."""
    keys, ids = [key for key, _ in multiparts], [id_ for _, id_ in multiparts]
    rows = await connection.fetch(FIND_STRAY_MULTIPARTS, keys, ids)
    return [(row["key"], row["id"]) for row in rows]


def _names(rows: Sequence[database.Row]) -> list[names.UploadName]:
    return [names.UploadName(row["namespace"], row["upload_id"]) for row in rows]
