"""The files in which two versions differ."""

from modelkeep.domain import manifests, names
from modelkeep.storage import codec, database, versions

LIST_DIFFERING = """
SELECT path, o.digest AS old_digest, o.size_bytes AS old_size, o.media_type AS old_type,
n.digest AS new_digest, n.size_bytes AS new_size, n.media_type AS new_type
FROM (SELECT path, digest, size_bytes, media_type FROM version_file WHERE version_id = $1) o
FULL JOIN (SELECT path, digest, size_bytes, media_type FROM version_file WHERE version_id = $2) n
USING (path) WHERE o.digest IS DISTINCT FROM n.digest"""

Rows = list[database.Row]


async def list_differing(
    connection: database.Connection, before: names.VersionName, after: names.VersionName
) -> Rows:
    """A row for each path whose content differs; `files_of` reads them."""
    ids = [
        await connection.fetchval(versions.FIND_ID, name.namespace, name.model, name.version)
        for name in (before, after)
    ]
    return await connection.fetch(LIST_DIFFERING, *ids)


def files_of(rows: Rows, side: str) -> list[manifests.File]:
    """Those files of the rows that are there on a side, `old` or `new`."""
    return [
        manifests.File(
            row["path"],
            codec.digest_text(row[f"{side}_digest"]),
            row[f"{side}_size"],
            row[f"{side}_type"],
        )
        for row in rows
        if row[f"{side}_digest"] is not None
    ]
