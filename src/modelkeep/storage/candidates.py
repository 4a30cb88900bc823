"""Versions to choose among."""

from collections.abc import Sequence

from modelkeep.domain import limits
from modelkeep.storage import database
from modelkeep.storage import versions as version_rows

LIST_NEWEST = f"""
SELECT v.version_id FROM version v
WHERE v.model_id = $1 AND v.state = 'ready' AND v.stage = ANY($2::text[])
ORDER BY v.ordinal DESC LIMIT {limits.COMPARED_VERSIONS}"""
LIST_WHOLE = f"""
SELECT {version_rows.WHOLE} FROM {version_rows.FROM} WHERE v.version_id = ANY($1::bigint[])
ORDER BY v.ordinal DESC"""


async def list_newest(
    connection: database.Connection, model_id: int, origins: Sequence[str]
) -> list[version_rows.Stored]:
    """The newest ready versions in these stages, at most `limits.COMPARED_VERSIONS`."""
    found = await connection.fetch(LIST_NEWEST, model_id, list(origins))
    rows = await connection.fetch(LIST_WHOLE, [row["version_id"] for row in found])
    return [
        version_rows.Stored(
            row["version_id"],
            row["model_id"],
            row["namespace_id"],
            version_rows.whole_from_row(row),
        )
        for row in rows
    ]
