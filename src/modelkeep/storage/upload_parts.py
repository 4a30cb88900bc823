"""Rows of uploads' parts: who may write one, and which are durable."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import names, uploads
from modelkeep.storage import codec, database

NEXT_STREAM = """
UPDATE upload SET last_stream = last_stream + 1 WHERE upload_id = $1 RETURNING last_stream"""
# What was computed of the whole so far is worth nothing once others can write its parts.
NEXT_DIRECT_STREAM = """
UPDATE upload SET last_stream = last_stream + 1, direct = true, sha256 = NULL
WHERE upload_id = $1 AND state = 'active' RETURNING last_stream"""
SET_MULTIPART = """
UPDATE upload SET multipart_id = $2 WHERE upload_id = $1 AND state = 'active'
AND multipart_id IS NULL RETURNING multipart_id"""
CLAIM = """
INSERT INTO upload_claim AS c (upload_id, number, stream)
SELECT u.upload_id, $2, $3 FROM upload u WHERE u.upload_id = $1 AND u.state = 'active'
AND NOT EXISTS (SELECT FROM upload_part p WHERE p.upload_id = $1 AND p.number = $2)
ON CONFLICT (upload_id, number) DO UPDATE SET stream = excluded.stream
WHERE c.stream <= excluded.stream
RETURNING stream"""
WHY_NOT_CLAIMED = """
SELECT u.state, EXISTS (
    SELECT FROM upload_part p WHERE p.upload_id = u.upload_id AND p.number = $2) AS durable
FROM upload u WHERE u.upload_id = $1"""
# The digest is kept only together with this very part: were the row of another stream there
# already, the digest would be that of bytes which are not in the store.
LOCK_CLAIMED = """
SELECT FROM upload u JOIN upload_claim c USING (upload_id)
WHERE u.upload_id = $1 AND u.state = 'active' AND c.number = $2 AND c.stream = $3
AND coalesce(u.multipart_id, '') = $4
FOR NO KEY UPDATE OF u, c"""
RECORD = """
WITH recorded AS (
    INSERT INTO upload_part (upload_id, number, crc32c, etag) VALUES ($1, $2, $3, $4)
    ON CONFLICT (upload_id, number) DO NOTHING RETURNING upload_id)
UPDATE upload u SET expires_at = now() + $5::interval, storage_key = $6,
sha256 = CASE WHEN NOT u.direct THEN coalesce($7, u.sha256) END
FROM recorded r WHERE u.upload_id = r.upload_id RETURNING u.upload_id"""
LIST = "SELECT number, crc32c, etag FROM upload_part WHERE upload_id = $1 ORDER BY number"


class Claim(enum.Enum):
    """What came of asking for a part."""

    OURS = enum.auto()
    DURABLE = enum.auto()
    LOST = enum.auto()
    CLOSED = enum.auto()


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the store has: its number, CRC32C and the store's tag."""

    number: int
    crc32c: int
    etag: str


async def next_stream(connection: database.Connection, name: names.UploadName) -> int:
    """Number of a new stream, higher than those of all before."""
    stream: int = await connection.fetchval(NEXT_STREAM, name.upload)
    return stream


async def next_direct_stream(connection: database.Connection, name: names.UploadName) -> int | None:
    """The same for parts that a client sends to the store itself; None if the upload is closed."""
    stream: int | None = await connection.fetchval(NEXT_DIRECT_STREAM, name.upload)
    return stream


async def set_multipart(
    connection: database.Connection, name: names.UploadName, multipart_id: str
) -> bool:
    """Note the store's id of the multipart upload; False if there is one, or it is closed."""
    noted = await connection.fetchval(SET_MULTIPART, name.upload, multipart_id)
    return noted is not None


async def claim(
    connection: database.Connection, name: names.UploadName, number: int, stream: int
) -> Claim:
    """Ask to write a part; a later stream takes it over from an earlier one."""
    if await connection.fetchval(CLAIM, name.upload, number, stream) is not None:
        return Claim.OURS
    row = await connection.fetchrow(WHY_NOT_CLAIMED, name.upload, number)
    if row is None or row["state"] != uploads.UploadState.ACTIVE:
        return Claim.CLOSED
    return Claim.DURABLE if row["durable"] else Claim.LOST


async def record(
    connection: database.Connection,
    name: names.UploadName,
    stream: int,
    part: Part,
    *,
    storage_key: str,
    multipart_id: str = "",
    sha256: str = "",
) -> bool:
    """Note that a part is durable; False if the stream lost its claim or the upload is closed.

    False, too, if the upload has another multipart upload than the one the part is of.

    Args:
        connection: where.
        name: of the upload.
        stream: number of the stream that wrote the part.
        part: what the store has.
        storage_key: where the store has it.
        multipart_id: of which multipart upload it is, or '' if it is a whole object.
        sha256: digest of the whole blob, if this part is the last to be recorded of bytes that
            were all hashed as they were stored.
    """
    async with connection.transaction():
        if not await connection.fetch(LOCK_CLAIMED, name.upload, part.number, stream, multipart_id):
            return False
        recorded = await connection.fetchval(
            RECORD,
            name.upload,
            part.number,
            part.crc32c,
            part.etag,
            uploads.LIFETIME,
            storage_key,
            codec.digest_bytes(sha256) if sha256 else None,
        )
    return recorded is not None


async def list_all(connection: database.Connection, name: names.UploadName) -> Sequence[Part]:
    """The durable parts by number."""
    rows = await connection.fetch(LIST, name.upload)
    return [Part(row["number"], row["crc32c"], row["etag"]) for row in rows]
