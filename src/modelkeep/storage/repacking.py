"""Moving the rows of blobs from one object to another that holds the same bytes."""

from collections.abc import Sequence

from modelkeep.storage import codec, database, files, packs

LIST_BLOBS = f"""
SELECT {files.BLOB} FROM blob b WHERE b.pack_key = $1 ORDER BY b.storage_offset"""
# Whoever collects, touches or seals one of them now is not waited for: another time, then.
LOCK_BLOBS = """
SELECT digest FROM blob WHERE pack_key = $1 ORDER BY digest FOR UPDATE SKIP LOCKED"""
COUNT_BLOBS = "SELECT count(*) FROM blob WHERE pack_key = $1"
MOVE = """
UPDATE blob b SET storage_key = $4, storage_offset = moved.storage_offset
FROM unnest($2::bytea[], $3::bigint[]) AS moved (digest, storage_offset)
WHERE b.pack_key = $1 AND b.digest = moved.digest RETURNING b.digest"""


async def list_blobs(connection: database.Connection, pack: packs.Pack) -> list[files.StoredBlob]:
    """The blobs that live in a pack, in the order of their bytes."""
    rows = await connection.fetch(LIST_BLOBS, pack.storage_key)
    return [files.blob_from_row(row) for row in rows]


async def move(
    connection: database.Connection, pack: packs.Pack, copies: Sequence[files.StoredBlob]
) -> bool:
    """Have all blobs of a pack be where their copies are, and retire it.

    False, and nothing is changed, if somebody is at one of the blobs, there is one without a copy,
    or none is left. Locks as collection does: blobs, then packs.
    """
    locked = await connection.fetch(LOCK_BLOBS, pack.storage_key)
    copied = {codec.digest_bytes(blob.digest) for blob in copies}
    alive = {row["digest"] for row in locked}
    if not alive or not alive <= copied:
        return False
    if await connection.fetchval(COUNT_BLOBS, pack.storage_key) != len(alive):
        return False
    await packs.lock(connection, pack.storage_key)
    if copies[0].is_packed:
        size_bytes = sum(blob.size_bytes for blob in copies)
        new = packs.Pack(copies[0].storage_key, pack.namespace_id, size_bytes)
        await packs.insert(connection, new)
    await connection.execute(
        MOVE,
        pack.storage_key,
        [codec.digest_bytes(blob.digest) for blob in copies],
        [blob.storage_offset for blob in copies],
        copies[0].storage_key,
    )
    await packs.retire(connection, pack.storage_key)
    return True
