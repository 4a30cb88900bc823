"""Who was told that a blob is there may refer to it later; until then nobody may collect it."""

import datetime
from collections.abc import Sequence

from modelkeep.storage import codec, database, files

# Sorted, so that two who touch the same blobs never wait for each other in a ring. A blob that is
# being collected is waited for: it is gone then, and the caller does not find it.
TOUCH = """
WITH due AS (
    SELECT namespace_id, digest FROM blob
    WHERE namespace_id = $1 AND digest = ANY($2::bytea[])
    AND touched_at <= now() - $3::interval ORDER BY digest FOR NO KEY UPDATE)
UPDATE blob b SET touched_at = now() FROM due
WHERE b.namespace_id = due.namespace_id AND b.digest = due.digest"""


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
    await connection.execute(TOUCH, namespace_id, wanted, touch_after)
    return await files.find_blob_sizes(connection, namespace_id, digests, lock=False)
