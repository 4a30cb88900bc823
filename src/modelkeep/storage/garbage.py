"""Rows of blobs that nothing reaches: finding them, and deleting them for good."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import garbage
from modelkeep.storage import codec, database

# OFFSET 0 has each blob looked up by itself; Postgres would hash all files there are instead.
_UNREACHED = """NOT EXISTS (
    SELECT FROM version_file f WHERE f.namespace_id = b.namespace_id AND f.digest = b.digest
    OFFSET 0)
AND NOT EXISTS (
    SELECT FROM upload u WHERE u.namespace_id = b.namespace_id AND u.digest = b.digest
    AND u.state IN ('active', 'verifying') OFFSET 0)"""

# So many blobs are looked at, not so many are found: a namespace without garbage must not be read
# from end to end by one statement.
LOOK = f"""
SELECT b.digest, b.size_bytes, b.verified_at, b.touched_at,
b.touched_at <= now() - $4::interval AND {_UNREACHED} AS unreached
FROM (SELECT * FROM blob WHERE namespace_id = $1 AND digest > $2 ORDER BY digest LIMIT $3) b
ORDER BY b.digest"""
# Finalize holds a blob FOR KEY SHARE, so what it is about to refer to is skipped here ...
LOCK = """
SELECT digest FROM blob WHERE namespace_id = $1 AND digest = ANY($2::bytea[])
AND touched_at <= now() - $3::interval ORDER BY digest FOR UPDATE SKIP LOCKED"""
# ... and this is a statement of its own, so that it sees what was committed before the lock.
DELETE = f"""
DELETE FROM blob b WHERE b.namespace_id = $1 AND b.digest = ANY($2::bytea[]) AND {_UNREACHED}
RETURNING b.digest, b.size_bytes, b.verified_at, b.touched_at, b.storage_key"""
# A record that an upload brought the blob would promise what is no longer there.
FORGET = """
WITH over AS (
    SELECT upload_id FROM upload WHERE namespace_id = $1 AND digest = ANY($2::bytea[])
    AND state = 'committed'),
claims AS (DELETE FROM upload_claim WHERE upload_id IN (SELECT upload_id FROM over)),
parts AS (DELETE FROM upload_part WHERE upload_id IN (SELECT upload_id FROM over))
DELETE FROM upload WHERE upload_id IN (SELECT upload_id FROM over)"""


@dataclass(frozen=True, slots=True)
class Collected:
    """A blob whose row is deleted, and the key of the object that goes next."""

    blob: garbage.Garbage
    storage_key: str


async def look(
    connection: database.Connection,
    namespace_id: int,
    after: str,
    limit: int,
    grace: datetime.timedelta,
) -> list[tuple[garbage.Garbage, bool]]:
    """The next blobs by digest, at most `limit`, and whether each is garbage."""
    rows = await connection.fetch(LOOK, namespace_id, codec.digest_bytes(after), limit, grace)
    return [(_from_row(row), row["unreached"]) for row in rows]


async def collect(
    connection: database.Connection,
    namespace_id: int,
    digests: Sequence[str],
    grace: datetime.timedelta,
) -> list[Collected]:
    """Delete those of the blobs that are garbage still, now that nobody can come to need them."""
    wanted = [codec.digest_bytes(digest) for digest in digests]
    locked = [row["digest"] for row in await connection.fetch(LOCK, namespace_id, wanted, grace)]
    rows = await connection.fetch(DELETE, namespace_id, locked)
    await connection.execute(FORGET, namespace_id, [row["digest"] for row in rows])
    collected = [Collected(_from_row(row), row["storage_key"]) for row in rows]
    return sorted(collected, key=lambda one: one.blob.digest)


def _from_row(row: database.Row) -> garbage.Garbage:
    return garbage.Garbage(
        codec.digest_text(row["digest"]), row["size_bytes"], row["verified_at"], row["touched_at"]
    )
