"""Who was told that a blob is there may refer to it later; until then nobody may collect it."""

import datetime
from collections.abc import Sequence

from modelkeep.storage import codec, database

FIND = """
SELECT digest, size_bytes, touched_at <= now() - $3::interval AS due FROM blob
WHERE namespace_id = $1 AND digest = ANY($2::bytea[]) AND rotten_at IS NULL"""
# In the order of digests, as all who lock blobs. A blob that is being collected is waited for: it
# is gone then, and the caller does not find it.
LOCK = f"{FIND} ORDER BY digest FOR NO KEY UPDATE"
# Apart from the lock. In one statement with it, the update would begin at the rows as they were
# before others were waited for, and wait again for who is behind it at the same row.
TOUCH = """
UPDATE blob SET touched_at = now() WHERE namespace_id = $1 AND digest = ANY($2::bytea[])"""


async def find_held(
    connection: database.Connection,
    namespace_id: int,
    digests: Sequence[str],
    touch_after: datetime.timedelta,
) -> dict[str, int]:
    """Sizes in bytes of the blobs the namespace holds, which it then keeps for the grace period.

    Args:
        connection: where.
        namespace_id: row id of the namespace.
        digests: what to look for.
        touch_after: how long it is not noted again that somebody was told.
    """
    wanted = [codec.digest_bytes(digest) for digest in digests]
    found = await connection.fetch(FIND, namespace_id, wanted, touch_after)
    due = [row["digest"] for row in found if row["due"]]
    held = {row["digest"]: row["size_bytes"] for row in found if not row["due"]}
    if due:  # what is not due is too young to be collected
        held |= await _touched(connection, namespace_id, due, touch_after)
    return {codec.digest_text(digest): size_bytes for digest, size_bytes in held.items()}


async def _touched(
    connection: database.Connection,
    namespace_id: int,
    digests: Sequence[bytes],
    touch_after: datetime.timedelta,
) -> dict[bytes, int]:
    """Note that somebody was told of those of the blobs that are there still; their sizes."""
    async with connection.transaction():
        locked = await connection.fetch(LOCK, namespace_id, digests, touch_after)
        due = [row["digest"] for row in locked if row["due"]]
        if due:  # others may have noted it meanwhile
            await connection.execute(TOUCH, namespace_id, due)
    return {row["digest"]: row["size_bytes"] for row in locked}
