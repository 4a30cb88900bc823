"""Rows of uploads: their life. `upload_parts.py` has what is durable of them."""

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelkeep.domain import blobs, errors, names, pages, uploads
from modelkeep.storage import codec, database

_COLUMNS = """u.upload_id, u.namespace_id, n.name AS namespace, u.digest, u.size_bytes,
u.part_size_bytes, u.state, u.storage_key, u.multipart_id, u.sha256, u.failure, u.failure_reason,
u.creator, u.created_at, u.expires_at, u.expires_at < now() AS expired,
ARRAY(SELECT p.number FROM upload_part p WHERE p.upload_id = u.upload_id ORDER BY p.number)
AS numbers"""
_FROM = "upload u JOIN namespace n USING (namespace_id)"
_OPEN = "state IN ('active', 'verifying')"

INSERT = f"""
INSERT INTO upload (upload_id, namespace_id, digest, size_bytes, part_size_bytes, state,
storage_key, sha256, creator, expires_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10::interval,
CASE WHEN $6 NOT IN ('active', 'verifying') THEN now() END)
ON CONFLICT (namespace_id, digest, size_bytes, creator) WHERE {_OPEN} DO NOTHING
RETURNING upload_id"""
GET = f"SELECT {_COLUMNS} FROM {_FROM} WHERE n.name = $1 AND u.upload_id = $2"
LOCK = """
SELECT FROM upload u JOIN namespace n USING (namespace_id)
WHERE n.name = $1 AND u.upload_id = $2 FOR NO KEY UPDATE OF u"""
FIND_OPEN = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE u.namespace_id = $1 AND u.digest = $2 AND u.size_bytes = $3 AND u.creator = $4
AND u.{_OPEN}"""
# A record that is answered once more is young again, so that nobody forgets it meanwhile.
RENEW_COMMITTED = """
UPDATE upload SET finished_at = now() WHERE upload_id = (
    SELECT upload_id FROM upload WHERE namespace_id = $1 AND digest = $2 AND state = 'committed'
    LIMIT 1) AND state = 'committed' RETURNING upload_id"""
SET_STATE = """
UPDATE upload SET state = $2, failure = $3, failure_reason = $4,
finished_at = CASE WHEN $2 NOT IN ('active', 'verifying') THEN now() END
WHERE upload_id = $1"""
# What was sent by others is not looked at: the bytes are those of one object, read back as a whole.
ADOPT = """
UPDATE upload SET storage_key = $2, multipart_id = NULL, sha256 = NULL, state = 'verifying'
WHERE upload_id = $1 AND state = 'active' RETURNING upload_id"""
DELETE_PARTS = "DELETE FROM upload_part WHERE upload_id = ANY($1::text[])"
DELETE_CLAIMS = "DELETE FROM upload_claim WHERE upload_id = ANY($1::text[])"
DELETE = "DELETE FROM upload WHERE upload_id = ANY($1::text[])"
CLAIM_VERIFICATION = """
UPDATE upload SET verifier = verifier + 1, verifying_until = now() + $2::interval
WHERE upload_id = $1 AND state = 'verifying' AND verifying_until < now()
RETURNING verifier"""
KEEP_VERIFICATION = """
UPDATE upload SET verifying_until = now() + $3::interval
WHERE upload_id = $1 AND verifier = $2 AND state = 'verifying' RETURNING verifier"""
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE u.namespace_id = $1 AND u.upload_id > $2 AND u.state = ANY($4::text[])
ORDER BY u.upload_id LIMIT $3"""
# For this one there is an index: open uploads are few among all that were.
LIST_OPEN = LIST.replace("ORDER BY", f"AND u.{_OPEN} ORDER BY")
LIST_UNVERIFIED = """
SELECT n.name AS namespace, u.upload_id FROM upload u JOIN namespace n USING (namespace_id)
WHERE u.state = 'verifying' AND u.verifying_until < now() ORDER BY u.verifying_until LIMIT $1"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An upload with what only the server knows of it.

    Attributes:
        upload: what a caller may see.
        namespace_id: row id of its namespace.
        storage_key: where the bytes are, or will be.
        multipart_id: the store's id of the multipart upload, or ''.
        sha256: digest computed while the bytes came in, or '' if they must be read back.
        failure: why it failed, or ''.
        failure_reason: the same for programs.
        expired: whether its lifetime is over.
    """

    upload: uploads.Upload
    namespace_id: int
    storage_key: str
    multipart_id: str
    sha256: str
    failure: str
    failure_reason: str
    expired: bool


@dataclass(frozen=True, slots=True)
class New:
    """An upload to be opened."""

    name: names.UploadName
    blob: blobs.Descriptor
    part_size_bytes: int
    storage_key: str
    creator: str
    state: uploads.UploadState = uploads.UploadState.ACTIVE
    sha256: str = ""


async def insert(connection: database.Connection, namespace_id: int, new: New) -> bool:
    """Insert an upload; False if its creator has an open one for the same blob."""
    inserted = await connection.fetchval(
        INSERT,
        new.name.upload,
        namespace_id,
        codec.digest_bytes(new.blob.digest),
        new.blob.size_bytes,
        new.part_size_bytes,
        new.state,
        new.storage_key,
        codec.digest_bytes(new.sha256) if new.sha256 else None,
        new.creator,
        uploads.LIFETIME,
    )
    return inserted is not None


async def get(connection: database.Connection, name: names.UploadName) -> Stored:
    """Read an upload, or raise `errors.NotFound`."""
    row = await connection.fetchrow(GET, name.namespace, name.upload)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _stored(row)


async def lock(connection: database.Connection, name: names.UploadName) -> Stored:
    """Read an upload and keep others from changing it, or raise `errors.NotFound`.

    Locked before it is read, so that the parts are those after the wait for the lock.
    """
    await connection.execute(LOCK, name.namespace, name.upload)
    return await get(connection, name)


async def find_open(
    connection: database.Connection, namespace_id: int, blob: blobs.Descriptor, creator: str
) -> Stored | None:
    """The creator's open upload of a blob, if there is one."""
    row = await connection.fetchrow(
        FIND_OPEN, namespace_id, codec.digest_bytes(blob.digest), blob.size_bytes, creator
    )
    return None if row is None else _stored(row)


async def renew_committed(
    connection: database.Connection, namespace_id: int, digest: str
) -> str | None:
    """Id of an upload that brought a blob, whose record then stays a while longer."""
    found: str | None = await connection.fetchval(
        RENEW_COMMITTED, namespace_id, codec.digest_bytes(digest)
    )
    return found


async def list_page(
    connection: database.Connection,
    namespace_id: int,
    page: pages.PageRequest,
    states: Collection[uploads.UploadState],
) -> pages.Page[uploads.Upload]:
    """A page of a namespace's uploads in these states by id."""
    statement = LIST_OPEN if uploads.OPEN.issuperset(states) else LIST
    rows = await connection.fetch(
        statement, namespace_id, page.after, page.size + 1, [state.value for state in states]
    )
    return pages.page_of([(row["upload_id"], _upload_from_row(row)) for row in rows], page.size)


async def set_verifying(connection: database.Connection, name: names.UploadName) -> None:
    """Take no more bytes; whoever claims the verification goes on."""
    await connection.execute(SET_STATE, name.upload, uploads.UploadState.VERIFYING, "", "")


async def adopt(connection: database.Connection, name: names.UploadName, storage_key: str) -> bool:
    """Have an object that is there be the upload's, to be verified; False if it is not active."""
    if await connection.fetchval(ADOPT, name.upload, storage_key) is None:
        return False
    await _forget_parts(connection, [name.upload])
    return True


async def close(
    connection: database.Connection,
    name: names.UploadName,
    state: uploads.UploadState,
    *,
    failure: str = "",
    failure_reason: str = "",
) -> None:
    """Put an upload into a final state and forget its parts."""
    await connection.execute(SET_STATE, name.upload, state, failure, failure_reason)
    await _forget_parts(connection, [name.upload])


async def delete_all(connection: database.Connection, upload_ids: Sequence[str]) -> None:
    """Delete uploads with all that is known of them; the caller has locked them, by their ids."""
    await _forget_parts(connection, upload_ids)
    await connection.execute(DELETE, upload_ids)


async def _forget_parts(connection: database.Connection, upload_ids: Sequence[str]) -> None:
    await connection.execute(DELETE_PARTS, upload_ids)
    await connection.execute(DELETE_CLAIMS, upload_ids)


async def claim_verification(
    connection: database.Connection, name: names.UploadName, lease_s: float
) -> int | None:
    """Become the one who verifies, for so long; None if there is one, or nothing to verify."""
    claimed: int | None = await connection.fetchval(
        CLAIM_VERIFICATION, name.upload, datetime.timedelta(seconds=lease_s)
    )
    return claimed


async def keep_verification(
    connection: database.Connection, name: names.UploadName, verifier: int, lease_s: float
) -> bool:
    """Extend the claim, or give it back with a lease of 0; False if somebody else has it."""
    kept = await connection.fetchval(
        KEEP_VERIFICATION, name.upload, verifier, datetime.timedelta(seconds=lease_s)
    )
    return kept is not None


async def list_unverified(
    connection: database.Connection, limit: int
) -> Sequence[names.UploadName]:
    """Uploads that wait for somebody to verify them, longest waiting first."""
    rows = await connection.fetch(LIST_UNVERIFIED, limit)
    return [names.UploadName(row["namespace"], row["upload_id"]) for row in rows]


def _stored(row: database.Row) -> Stored:
    return Stored(
        upload=_upload_from_row(row),
        namespace_id=row["namespace_id"],
        storage_key=row["storage_key"],
        multipart_id=row["multipart_id"] or "",
        sha256=codec.digest_text(row["sha256"]),
        failure=row["failure"],
        failure_reason=row["failure_reason"],
        expired=row["expired"],
    )


def _upload_from_row(row: database.Row) -> uploads.Upload:
    layout = uploads.Layout(row["size_bytes"], row["part_size_bytes"])
    state = uploads.UploadState(row["state"])
    whole = [uploads.ByteRange(0, layout.size_bytes)]
    parts = [layout.range_of(number) for number in row["numbers"]]
    return uploads.Upload(
        name=names.UploadName(row["namespace"], row["upload_id"]),
        state=state,
        digest=codec.digest_text(row["digest"]),
        layout=layout,
        persisted=uploads.merged(whole if state is uploads.UploadState.COMMITTED else parts),
        creator=row["creator"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
