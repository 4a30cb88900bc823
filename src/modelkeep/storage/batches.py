"""Rows of many blobs at once."""

from collections.abc import Sequence

from modelkeep.storage import codec, database, files

INSERT_BLOBS = """
INSERT INTO blob AS held
(namespace_id, digest, size_bytes, storage_key, storage_offset, crc32c, creator)
SELECT $1, b.*, $7 FROM unnest($2::bytea[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[]) b
ON CONFLICT (namespace_id, digest) DO UPDATE SET storage_key = excluded.storage_key,
storage_offset = excluded.storage_offset,
crc32c = excluded.crc32c, verified_at = now(), part_size_bytes = 0, part_crc32cs = '',
rotten_at = NULL, rot = '', touched_at = now() WHERE held.rotten_at IS NOT NULL
RETURNING digest"""
FIND_STORED = f"""
SELECT {files.BLOB} FROM blob b WHERE b.namespace_id = $1 AND b.digest = ANY($2::bytea[])"""


async def insert_blobs(
    connection: database.Connection,
    namespace_id: int,
    blobs: Sequence[files.StoredBlob],
    creator: str,
) -> set[str]:
    """Insert verified blobs of different digests, or replace rotten ones; the digests of those.

    A pack that they are in has a row already.
    """
    # In one order, so that two batches of the same blobs never wait for each other in a ring.
    ordered = sorted(blobs, key=lambda blob: blob.digest)
    rows = await connection.fetch(
        INSERT_BLOBS,
        namespace_id,
        [codec.digest_bytes(blob.digest) for blob in ordered],
        [blob.size_bytes for blob in ordered],
        [blob.storage_key for blob in ordered],
        [blob.storage_offset for blob in ordered],
        [blob.crc32c for blob in ordered],
        creator,
    )
    return {codec.digest_text(row["digest"]) for row in rows}


async def find_stored(
    connection: database.Connection, namespace_id: int, digests: Sequence[str]
) -> dict[str, files.StoredBlob]:
    """Those of the digests that the namespace holds, and where the store has them."""
    wanted = [codec.digest_bytes(digest) for digest in digests]
    rows = await connection.fetch(FIND_STORED, namespace_id, wanted)
    found = [files.blob_from_row(row) for row in rows]
    return {blob.digest: blob for blob in found}
