"""Blobs that a model needs where it is to move to: holding them, and finding what is missing."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.domain import moves
from modelkeep.storage import codec, database, files, rehoming

# Locked afterwards: who was collecting one of them is waited for, and who comes later sees this.
HOLD = f"""
INSERT INTO blob_hold (namespace_id, digest, model_id, held_until)
SELECT $2, o.digest, $1, now() + $3::interval FROM ({rehoming.NEEDED}) o ORDER BY o.digest
ON CONFLICT (namespace_id, digest, model_id) DO UPDATE SET held_until = excluded.held_until"""
COUNT = f"""
SELECT count(*) AS blobs, coalesce(sum(o.size_bytes), 0)::bigint AS total_bytes,
count(*) FILTER (WHERE t.there) AS present_blobs,
coalesce(sum(o.size_bytes) FILTER (WHERE t.there), 0)::bigint AS present_bytes
FROM ({rehoming.NEEDED}) o CROSS JOIN LATERAL (SELECT {rehoming.THERE} AS there) t"""
LIST_MISSING = f"""
SELECT {files.BLOB}, b.rotten_at IS NOT NULL AS rotten FROM ({rehoming.NEEDED}) o
JOIN blob b ON b.namespace_id = $3 AND b.digest = o.digest
WHERE NOT {rehoming.THERE} AND o.digest > $4 ORDER BY o.digest LIMIT $5"""
FIND_FILE = """
SELECT v.version || ', ' || f.path FROM version v JOIN version_file f USING (version_id)
WHERE v.model_id = $1 AND f.digest = $2 ORDER BY v.ordinal, f.path LIMIT 1"""
FORGET = """
DELETE FROM blob_hold WHERE (namespace_id, digest, model_id) IN (
    SELECT namespace_id, digest, model_id FROM blob_hold
    WHERE held_until < now() ORDER BY held_until LIMIT $1)
RETURNING 1"""


@dataclass(frozen=True, slots=True)
class Route:
    """Ids of a model, and of the namespaces that it is in and is to go to."""

    model_id: int
    source_id: int
    target_id: int


@dataclass(frozen=True, slots=True)
class Missing:
    """A blob that is to be copied: what it is here, and whether it is known to be damaged."""

    blob: files.StoredBlob
    is_rotten: bool


async def hold(connection: database.Connection, route: Route, lifetime: datetime.timedelta) -> None:
    """Keep a model's blobs where it is to go so long, those that will be there as well."""
    timeout = rehoming.STATEMENT_TIMEOUT_S
    await connection.execute(HOLD, route.model_id, route.target_id, lifetime, timeout=timeout)


async def count(connection: database.Connection, route: Route) -> moves.CopyProgress:
    """How many blobs there are, and how many arrived; of those nobody is collecting any."""
    timeout, asked = rehoming.STATEMENT_TIMEOUT_S, (route.model_id, route.target_id)
    await connection.execute(rehoming.LOCK_BLOBS, *asked, timeout=timeout)
    row = await connection.fetchrow(COUNT, *asked, timeout=timeout)
    assert row is not None  # noqa: S101 - a count always has a row
    return moves.CopyProgress(
        row["blobs"], row["total_bytes"], row["present_blobs"], row["present_bytes"]
    )


async def list_missing(
    connection: database.Connection, route: Route, after: str, limit: int
) -> Sequence[Missing]:
    """Blobs of the model that are where it is, and not where it is to go, by digest."""
    rows = await connection.fetch(
        LIST_MISSING,
        route.model_id,
        route.target_id,
        route.source_id,
        codec.digest_bytes(after),
        limit,
        timeout=rehoming.STATEMENT_TIMEOUT_S,
    )
    return [Missing(files.blob_from_row(row), row["rotten"]) for row in rows]


async def find_file(connection: database.Connection, model_id: int, digest: str) -> str:
    """A version of the model and its file that has these bytes, in words."""
    found: str = await connection.fetchval(FIND_FILE, model_id, codec.digest_bytes(digest))
    return found


async def forget(connection: database.Connection, limit: int) -> int:
    """Let go of what was held long enough, longest over first; the number."""
    return len(await connection.fetch(FORGET, limit))
