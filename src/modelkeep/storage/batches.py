"""Rows of many blobs at once."""

from collections.abc import Sequence

from modelkeep.storage import codec, database, files

INSERT_BLOBS = """
INSERT INTO blob AS held (namespace_id, digest, size_bytes, storage_key, crc32c, creator)
SELECT $1, b.*, $6 FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::bigint[]) b
ON CONFLICT (namespace_id, digest) DO UPDATE SET storage_key = excluded.storage_key,
crc32c = excluded.crc32c, verified_at = now(), part_size_bytes = 0, part_crc32cs = '',
rotten_at = NULL, rot = '', touched_at = now() WHERE held.rotten_at IS NOT NULL
RETURNING storage_key"""
FIND_STORED = """
SELECT digest, size_bytes, storage_key, crc32c FROM blob
WHERE namespace_id = $1 AND digest = ANY($2::bytea[])"""


async def insert_blobs(
    connection: database.Connection,
    namespace_id: int,
    blobs: Sequence[files.StoredBlob],
    creator: str,
) -> set[str]:
    """Insert verified blobs of different digests, or replace rotten ones; the keys of those."""
    # In one order, so that two batches of the same blobs never wait for each other in a ring.
    ordered = sorted(blobs, key=lambda blob: blob.digest)
    rows = await connection.fetch(
        INSERT_BLOBS,
        namespace_id,
        [codec.digest_bytes(blob.digest) for blob in ordered],
        [blob.size_bytes for blob in ordered],
        [blob.storage_key for blob in ordered],
        [blob.crc32c for blob in ordered],
        creator,
    )
    return {row["storage_key"] for row in rows}


async def find_stored(
    connection: database.Connection, namespace_id: int, digests: Sequence[str]
) -> dict[str, files.StoredBlob]:
    """Those of the digests that the namespace holds, and where the store has them."""
    wanted = [codec.digest_bytes(digest) for digest in digests]
    rows = await connection.fetch(FIND_STORED, namespace_id, wanted)
    found = [
        files.StoredBlob(
            codec.digest_text(row["digest"]), row["size_bytes"], row["storage_key"], row["crc32c"]
        )
        for row in rows
    ]
    return {blob.digest: blob for blob in found}
