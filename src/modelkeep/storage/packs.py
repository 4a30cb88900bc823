"""Rows of packs: objects that hold many small blobs, one behind the other.

A pack gets all its blobs in the transaction that inserts it, and never another one: their number
only falls, so who finds a pack empty may give it up.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.storage import database

KEY_PREFIX = "blobs/pack-"
"""What the keys of packs begin with, and no others; the schema knows it too."""

INSERT = "INSERT INTO pack (storage_key, namespace_id, size_bytes) VALUES ($1, $2, $3)"
DELETE = "DELETE FROM pack WHERE storage_key = $1"
# Who has taken blobs out of the same pack at the same time is waited for here ...
LOCK = """
SELECT storage_key FROM pack WHERE storage_key = ANY($1::text[]) ORDER BY storage_key FOR UPDATE"""
_EMPTY = "NOT EXISTS (SELECT FROM blob b WHERE b.pack_key = p.storage_key)"
# ... and this is a statement of its own, so that it sees what they did.
DELETE_EMPTY = f"""
DELETE FROM pack p WHERE p.storage_key = ANY($1::text[]) AND {_EMPTY}
RETURNING p.storage_key, p.size_bytes"""
# A retired pack may still be read by who looked for a blob before it moved.
DELETE_ORPHANS = f"""
DELETE FROM pack p WHERE p.storage_key = ANY($1::text[]) AND {_EMPTY}
AND (p.retired_at IS NULL OR p.retired_at <= now() - $2::interval)"""
LIST_SPARSE = """
SELECT p.storage_key, p.namespace_id, p.size_bytes FROM pack p CROSS JOIN LATERAL (
    SELECT count(*) AS blobs, coalesce(sum(b.size_bytes), 0) AS living_bytes,
    bool_or(b.rotten_at IS NOT NULL) AS rotten FROM blob b WHERE b.pack_key = p.storage_key) alive
WHERE p.storage_key = ANY($1::text[]) AND p.retired_at IS NULL
AND alive.blobs > 0 AND NOT alive.rotten AND 2 * alive.living_bytes < p.size_bytes
ORDER BY p.storage_key LIMIT $2"""
RETIRE = f"""
UPDATE pack p SET retired_at = now() WHERE p.storage_key = $1 AND {_EMPTY}"""


@dataclass(frozen=True, slots=True)
class Pack:
    """An object of many blobs: where it is, whose, and its size with the holes."""

    storage_key: str
    namespace_id: int
    size_bytes: int


async def insert(connection: database.Connection, pack: Pack) -> None:
    """Insert a pack, before the blobs that are in it."""
    await connection.execute(INSERT, pack.storage_key, pack.namespace_id, pack.size_bytes)


async def delete(connection: database.Connection, storage_key: str) -> None:
    """Delete a pack that no blob is in; the database refuses any other."""
    await connection.execute(DELETE, storage_key)


async def delete_empty(
    connection: database.Connection, storage_keys: Sequence[str]
) -> dict[str, int]:
    """Delete those of the packs that no blob is in any more; sizes in bytes of what may go.

    Of two who took the last blobs out of a pack at the same time, the later one deletes it.
    """
    await connection.fetch(LOCK, storage_keys)
    rows = await connection.fetch(DELETE_EMPTY, storage_keys)
    return {row["storage_key"]: row["size_bytes"] for row in rows}


async def delete_orphans(
    connection: database.Connection, storage_keys: Sequence[str], grace: datetime.timedelta
) -> None:
    """Delete those of the packs that no blob is in, retired ones so long after their retirement."""
    found = [key for key in storage_keys if key.startswith(KEY_PREFIX)]
    if found:
        async with connection.transaction():
            await connection.fetch(LOCK, found)
            await connection.execute(DELETE_ORPHANS, found, grace)


async def list_sparse(
    connection: database.Connection, storage_keys: Sequence[str], limit: int
) -> list[Pack]:
    """Those of the packs of which less than half is alive, and all that is known to be sound."""
    rows = await connection.fetch(LIST_SPARSE, storage_keys, limit)
    return [Pack(row["storage_key"], row["namespace_id"], row["size_bytes"]) for row in rows]


async def lock(connection: database.Connection, storage_key: str) -> bool:
    """Hold a pack to the end of the transaction; False if it is gone."""
    return bool(await connection.fetch(LOCK, [storage_key]))


async def retire(connection: database.Connection, storage_key: str) -> None:
    """Note that a pack's blobs are elsewhere from now on, if all of them are."""
    await connection.execute(RETIRE, storage_key)
