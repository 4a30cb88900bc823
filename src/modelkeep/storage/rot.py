"""What is known of the soundness of stored blobs, and who re-reads which of them."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import manifests, names
from modelkeep.storage import codec, database, files

# The oldest first. A blob somebody found unsound has an age without end.
LOCK_DUE = """
SELECT namespace_id, digest FROM blob
WHERE verified_at < now() - $1::interval AND reading_until < now()
ORDER BY verified_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED"""
CLAIM = f"""
UPDATE blob b SET reading_until = now() + $3::interval FROM namespace n
WHERE n.namespace_id = b.namespace_id AND b.namespace_id = $1 AND b.digest = $2
RETURNING n.name AS namespace, b.rotten_at IS NOT NULL AS rotten, {files.BLOB}"""
_BLOB = """FROM namespace n WHERE n.namespace_id = b.namespace_id AND n.name = $1
AND b.digest = $2 AND b.storage_key = $3"""
KEEP = f"UPDATE blob b SET reading_until = now() + $4::interval {_BLOB}"
SUSPECT = f"UPDATE blob b SET verified_at = '-infinity' {_BLOB}"
SET_SOUND = f"""
UPDATE blob b SET verified_at = now(), reading_until = '-infinity', rotten_at = NULL, rot = ''
{_BLOB} RETURNING b.digest"""
SET_ROTTEN = f"""
UPDATE blob b SET verified_at = now(), reading_until = '-infinity', rot = $4,
rotten_at = coalesce(b.rotten_at, now()) {_BLOB} RETURNING b.digest"""
LIST_EXPOSED = """
SELECT DISTINCT n.name AS namespace, v.version_id FROM blob b
JOIN version_file f ON f.namespace_id = b.namespace_id AND f.digest = b.digest
JOIN version v ON v.version_id = f.version_id
JOIN namespace n ON n.namespace_id = b.namespace_id
WHERE b.rotten_at IS NOT NULL AND v.state = 'ready' LIMIT $1"""
LIST_FILES = f"""
SELECT f.path, f.media_type, b.rotten_at IS NOT NULL AS rotten, {files.BLOB}
FROM version_file f JOIN blob b ON b.namespace_id = f.namespace_id AND b.digest = f.digest
WHERE f.version_id = $1 ORDER BY f.path"""
LIST_ROTTEN_OF = """
SELECT f.path, b.digest, b.rot FROM version_file f
JOIN blob b ON b.namespace_id = f.namespace_id AND b.digest = f.digest
WHERE f.version_id = $1 AND b.rotten_at IS NOT NULL ORDER BY f.path LIMIT $2"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A blob to re-read: whose it is, what is known of it, where it is."""

    name: names.BlobName
    rotten: bool
    blob: files.StoredBlob


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of a version, where its bytes are, and whether they are known to be rotten."""

    file: manifests.File
    rotten: bool
    blob: files.StoredBlob


@dataclass(frozen=True, slots=True)
class RottenFile:
    """A file whose bytes are rotten, and how."""

    path: str
    digest: str
    rot: str


async def claim(
    connection: database.Connection, older_than: datetime.timedelta, lease_s: float
) -> Claimed | None:
    """Take the blob verified longest ago for so long; None if all were verified lately."""
    lease = datetime.timedelta(seconds=lease_s)
    async with connection.transaction():
        due = await connection.fetchrow(LOCK_DUE, older_than)
        if due is None:
            return None
        (row,) = await connection.fetch(CLAIM, due["namespace_id"], due["digest"], lease)
    blob = files.blob_from_row(row)
    return Claimed(names.BlobName(row["namespace"], blob.digest), row["rotten"], blob)


async def keep(
    connection: database.Connection, namespace: str, blob: files.StoredBlob, lease_s: float
) -> None:
    """Extend a claim, or give it back with a lease of 0."""
    lease = datetime.timedelta(seconds=lease_s)
    await connection.execute(KEEP, *_key(namespace, blob), lease)


async def suspect(connection: database.Connection, namespace: str, blob: files.StoredBlob) -> None:
    """Have the scrub re-read a blob before all others."""
    await connection.execute(SUSPECT, *_key(namespace, blob))


async def set_sound(
    connection: database.Connection, namespace: str, blob: files.StoredBlob
) -> bool:
    """Note that a blob was re-read and is right; False if it was replaced or deleted meanwhile."""
    return await connection.fetchval(SET_SOUND, *_key(namespace, blob)) is not None


async def set_rotten(
    connection: database.Connection, namespace: str, blob: files.StoredBlob, rot: str
) -> bool:
    """Note what is wrong with a blob; False if it was replaced or deleted meanwhile."""
    return await connection.fetchval(SET_ROTTEN, *_key(namespace, blob), rot) is not None


async def list_exposed(connection: database.Connection, limit: int) -> Sequence[tuple[str, int]]:
    """Ready versions that have a file whose bytes are rotten: namespace and row id of each."""
    rows = await connection.fetch(LIST_EXPOSED, limit)
    return [(row["namespace"], row["version_id"]) for row in rows]


async def list_files(connection: database.Connection, version_id: int) -> Sequence[HeldFile]:
    """All files of a version by path, at most `limits.FILES_PER_VERSION`."""
    rows = await connection.fetch(LIST_FILES, version_id)
    return [_held_file(row) for row in rows]


async def list_rotten_of(
    connection: database.Connection, version_id: int, limit: int
) -> Sequence[RottenFile]:
    """The files of a version whose bytes are rotten, by path."""
    rows = await connection.fetch(LIST_ROTTEN_OF, version_id, limit)
    return [RottenFile(row["path"], codec.digest_text(row["digest"]), row["rot"]) for row in rows]


def _held_file(row: database.Row) -> HeldFile:
    blob = files.blob_from_row(row)
    file = manifests.File(row["path"], blob.digest, blob.size_bytes, row["media_type"])
    return HeldFile(file, row["rotten"], blob)


def _key(namespace: str, blob: files.StoredBlob) -> tuple[str, bytes, str]:
    return namespace, codec.digest_bytes(blob.digest), blob.storage_key
