"""Rows of versions' files and of the namespace's blobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import errors, manifests, names, pages
from modelkeep.storage import codec, database, packs

INSERT_FILES = """
INSERT INTO version_file (version_id, namespace_id, path, digest, size_bytes, media_type)
SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[], $5::bigint[], $6::text[])"""
FIND_BLOBS = """
SELECT digest, size_bytes FROM blob
WHERE namespace_id = $1 AND digest = ANY($2::bytea[]) AND rotten_at IS NULL"""
LOCK_BLOBS = f"{FIND_BLOBS} ORDER BY digest FOR KEY SHARE"  # as a batch locks them
INSERT_BLOB = """
INSERT INTO blob AS b (namespace_id, digest, size_bytes, storage_key, crc32c, creator,
part_size_bytes, part_crc32cs)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (namespace_id, digest) DO UPDATE
SET storage_key = excluded.storage_key, storage_offset = excluded.storage_offset,
crc32c = excluded.crc32c, verified_at = now(),
part_size_bytes = excluded.part_size_bytes, part_crc32cs = excluded.part_crc32cs,
rotten_at = NULL, rot = '', touched_at = now() WHERE b.rotten_at IS NOT NULL
RETURNING storage_key"""
# Who brings what is there counts on it from now on. The insertion has waited for whoever was
# collecting the blob, and has locked the row.
TOUCH_BLOB = "UPDATE blob SET touched_at = now() WHERE namespace_id = $1 AND digest = $2"
BLOB = """b.digest, b.size_bytes, b.storage_key, b.storage_offset, b.crc32c, b.part_size_bytes,
b.part_crc32cs"""
GET_BLOB = f"""
SELECT {BLOB} FROM blob b
JOIN namespace n USING (namespace_id) WHERE n.name = $1 AND b.digest = $2"""
GET_FILE_BLOB = f"""
SELECT {BLOB} FROM version_file f
JOIN version v USING (version_id) JOIN model m ON m.model_id = v.model_id
JOIN namespace n ON n.namespace_id = v.namespace_id
JOIN blob b ON b.namespace_id = f.namespace_id AND b.digest = f.digest
WHERE n.name = $1 AND m.name = $2 AND v.version = $3 AND v.state = 'ready' AND f.path = $4"""
LIST = """
SELECT path, digest, size_bytes, media_type FROM version_file
WHERE version_id = $1 AND path > $2 ORDER BY path LIMIT $3"""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Verified bytes: what they are, and where the store keeps them.

    They are the bytes [`storage_offset`, `storage_offset` + `size_bytes`) of the object of that
    key, which holds others of the namespace too if it is a pack. `part_crc32cs` are those of its
    parts of `part_size_bytes`; empty if only the whole's is known.
    """

    digest: str
    size_bytes: int
    storage_key: str
    crc32c: int
    part_size_bytes: int = 0
    part_crc32cs: tuple[int, ...] = ()
    storage_offset: int = 0

    @property
    def is_packed(self) -> bool:
        """Whether its object is a pack."""
        return self.storage_key.startswith(packs.KEY_PREFIX)


async def insert_all(
    connection: database.Connection,
    version_id: int,
    namespace_id: int,
    files: Sequence[manifests.File],
) -> None:
    """Insert the files of a version that is still a draft."""
    await connection.execute(
        INSERT_FILES,
        version_id,
        namespace_id,
        [file.path for file in files],
        [codec.digest_bytes(file.digest) for file in files],
        [file.size_bytes for file in files],
        [file.media_type for file in files],
    )


async def find_blob_sizes(
    connection: database.Connection, namespace_id: int, digests: Sequence[str], *, lock: bool
) -> dict[str, int]:
    """Sizes in bytes of those of the digests that the namespace holds, as far as it knows sound.

    With `lock` nobody can delete these blobs before the end of the transaction.
    """
    wanted = [codec.digest_bytes(digest) for digest in digests]
    rows = await connection.fetch(LOCK_BLOBS if lock else FIND_BLOBS, namespace_id, wanted)
    return {codec.digest_text(row["digest"]): row["size_bytes"] for row in rows}


async def insert_blob(
    connection: database.Connection, namespace_id: int, blob: StoredBlob, creator: str
) -> bool:
    """Insert a verified blob, or replace a rotten one; False if the namespace holds it sound."""
    inserted = await connection.fetchval(
        INSERT_BLOB,
        namespace_id,
        codec.digest_bytes(blob.digest),
        blob.size_bytes,
        blob.storage_key,
        blob.crc32c,
        creator,
        blob.part_size_bytes,
        codec.crc32cs_bytes(blob.part_crc32cs),
    )
    if inserted is None:
        await connection.execute(TOUCH_BLOB, namespace_id, codec.digest_bytes(blob.digest))
    return inserted is not None


async def get_blob(
    connection: database.Connection, name: names.BlobName | names.FileName
) -> StoredBlob:
    """The blob of a digest or of a sealed version's file, or raise `errors.NotFound`."""
    if isinstance(name, names.BlobName):
        row = await connection.fetchrow(GET_BLOB, name.namespace, codec.digest_bytes(name.digest))
    else:
        version = name.version
        row = await connection.fetchrow(
            GET_FILE_BLOB, version.namespace, version.model, version.version, name.path
        )
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return blob_from_row(row)


async def list_page(
    connection: database.Connection, version_id: int, page: pages.PageRequest
) -> pages.Page[manifests.File]:
    """A page of a version's files by the bytes of their path."""
    rows = await connection.fetch(LIST, version_id, page.after, page.size + 1)
    return pages.page_of([(row["path"], file_from_row(row)) for row in rows], page.size)


def file_from_row(row: database.Row) -> manifests.File:
    """The domain value of a row of `version_file`."""
    return manifests.File(
        row["path"], codec.digest_text(row["digest"]), row["size_bytes"], row["media_type"]
    )


def blob_from_row(row: database.Row) -> StoredBlob:
    """The value of a row that has the columns of a blob."""
    return StoredBlob(
        codec.digest_text(row["digest"]),
        row["size_bytes"],
        row["storage_key"],
        row["crc32c"],
        row["part_size_bytes"],
        codec.crc32cs_from_bytes(row["part_crc32cs"]),
        row["storage_offset"],
    )
