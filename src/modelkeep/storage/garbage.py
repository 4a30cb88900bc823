"""Rows of blobs that nothing reaches: finding them, and deleting them for good."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelkeep.domain import garbage
from modelkeep.storage import codec, database, packs, uploads


def _unreached(blob: str) -> str:
    """The condition that nothing reaches a row of `blob`."""
    # OFFSET 0 has each blob looked up by itself; Postgres would hash all files there are instead.
    return f"""NOT EXISTS (
    SELECT FROM version_file f WHERE f.namespace_id = {blob}.namespace_id
    AND f.digest = {blob}.digest OFFSET 0)
AND NOT EXISTS (
    SELECT FROM upload u WHERE u.namespace_id = {blob}.namespace_id AND u.digest = {blob}.digest
    AND u.state IN ('active', 'verifying') OFFSET 0)
AND NOT EXISTS (
    SELECT FROM blob_hold h WHERE h.namespace_id = {blob}.namespace_id
    AND h.digest = {blob}.digest AND h.held_until > now() OFFSET 0)"""


# So many blobs are looked at, not so many are found: a namespace without garbage must not be read
# from end to end by one statement.
LOOK = f"""
SELECT b.digest, b.size_bytes, b.verified_at, b.touched_at,
b.touched_at <= now() - $4::interval AND {_unreached("b")} AS unreached
FROM (SELECT * FROM blob WHERE namespace_id = $1 AND digest > $2 ORDER BY digest LIMIT $3) b
ORDER BY b.digest"""
# Finalize holds a blob FOR KEY SHARE, so what it is about to refer to is skipped here ...
LOCK = """
SELECT digest FROM blob WHERE namespace_id = $1 AND digest = ANY($2::bytea[])
AND touched_at <= now() - $3::interval ORDER BY digest FOR UPDATE SKIP LOCKED"""
# ... and this is a statement of its own, so that it sees what was committed before the lock.
DELETE = f"""
DELETE FROM blob b WHERE b.namespace_id = $1 AND b.digest = ANY($2::bytea[]) AND {_unreached("b")}
RETURNING b.digest, b.size_bytes, b.verified_at, b.touched_at, b.storage_key, b.pack_key"""
# A pack goes with the last of its blobs, if all before it are garbage.
FREES = f"""
SELECT b.digest, CASE WHEN b.pack_key IS NULL THEN b.size_bytes
WHEN NOT EXISTS (SELECT FROM blob o WHERE o.pack_key = b.pack_key AND o.digest > b.digest)
AND NOT EXISTS (
    SELECT FROM blob o WHERE o.pack_key = b.pack_key AND o.digest < b.digest
    AND NOT (o.touched_at <= now() - $3::interval AND {_unreached("o")}))
THEN (SELECT p.size_bytes FROM pack p WHERE p.storage_key = b.pack_key)
ELSE 0 END AS freed_bytes
FROM blob b WHERE b.namespace_id = $1 AND b.digest = ANY($2::bytea[])"""
# A record that an upload brought the blob would promise what is no longer there.
LOCK_UPLOADS = """
SELECT upload_id FROM upload WHERE namespace_id = $1 AND digest = ANY($2::bytea[])
AND state = 'committed' ORDER BY upload_id FOR UPDATE"""


@dataclass(frozen=True, slots=True)
class Collected:
    """Blobs whose rows are deleted, by digest, and the keys of the objects that go next."""

    blobs: tuple[garbage.Garbage, ...]
    storage_keys: tuple[str, ...]


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


async def with_freed(
    connection: database.Connection,
    namespace_id: int,
    found: Sequence[garbage.Garbage],
    grace: datetime.timedelta,
) -> tuple[garbage.Garbage, ...]:
    """The same garbage, told how much each would free if all of the namespace's went now."""
    wanted = [codec.digest_bytes(blob.digest) for blob in found]
    rows = await connection.fetch(FREES, namespace_id, wanted, grace)
    freed = {codec.digest_text(row["digest"]): row["freed_bytes"] for row in rows}
    return tuple(dataclasses.replace(blob, freed_bytes=freed.get(blob.digest, 0)) for blob in found)


async def collect(
    connection: database.Connection,
    namespace_id: int,
    digests: Sequence[str],
    grace: datetime.timedelta,
) -> Collected:
    """Delete those of the blobs that are garbage still, now that nobody can come to need them."""
    wanted = [codec.digest_bytes(digest) for digest in digests]
    locked = [row["digest"] for row in await connection.fetch(LOCK, namespace_id, wanted, grace)]
    rows = await connection.fetch(DELETE, namespace_id, locked)
    over = await connection.fetch(LOCK_UPLOADS, namespace_id, [row["digest"] for row in rows])
    await uploads.delete_all(connection, [row["upload_id"] for row in over])
    rows = sorted(rows, key=lambda row: row["digest"])
    # Of each pack the last blob: if the pack goes, that is what frees it.
    last = {row["pack_key"]: row["digest"] for row in rows if row["pack_key"]}
    emptied = await packs.delete_empty(connection, list(last))
    blobs = [
        dataclasses.replace(_from_row(row), freed_bytes=_freed(row, last, emptied)) for row in rows
    ]
    alone = [row["storage_key"] for row in rows if not row["pack_key"]]
    return Collected(tuple(blobs), (*alone, *emptied))


def _freed(row: database.Row, last: Mapping[str, bytes], emptied: Mapping[str, int]) -> int:
    """Bytes that go with the blob of a deleted row."""
    pack_key = row["pack_key"]
    if pack_key is None:
        size_bytes: int = row["size_bytes"]
        return size_bytes
    return emptied.get(pack_key, 0) if last[pack_key] == row["digest"] else 0


def _from_row(row: database.Row) -> garbage.Garbage:
    return garbage.Garbage(
        codec.digest_text(row["digest"]), row["size_bytes"], row["verified_at"], row["touched_at"]
    )
