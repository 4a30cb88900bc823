"""Which blob somebody who may read it means by a name."""

from modelkeep.domain import errors, names, versions
from modelkeep.storage import database
from modelkeep.storage import files as rows
from modelkeep.storage import versions as version_rows


async def find(db: database.Database, name: names.BlobName | names.FileName) -> rows.StoredBlob:
    """The blob of a digest or of a file.

    Raises `errors.NotFound`, `errors.FailedPrecondition` (the file's version is not ready).
    """
    async with db.connection() as connection:
        try:
            return await rows.get_blob(connection, name)
        except errors.NotFound:
            if isinstance(name, names.FileName):
                stored = await version_rows.get(connection, name.version)
                versions.require_state(stored.version, versions.VersionState.READY, "read")
            raise
