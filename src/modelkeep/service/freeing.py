"""Freeing what uploads that are over have in the store."""

from modelkeep.blobs import store
from modelkeep.domain import uploads
from modelkeep.service import upload_changes
from modelkeep.storage import uploads as rows

_AT_ONCE = 100


async def free(blobs: store.BlobStore, stored: rows.Stored) -> None:
    """Delete all that an upload has in the store; for one that has brought no blob.

    Parts that are on their way into the store this very moment may survive; the reaper comes again.
    """
    await free_multiparts(blobs, stored)
    # Every stream of a blob of one part has a key of its own, with this prefix.
    for found in await blobs.list_page(_prefix(stored), "", _AT_ONCE):
        await blobs.delete(found.key)


async def free_multiparts(blobs: store.BlobStore, stored: rows.Stored) -> None:
    """Abort all multipart uploads of an upload that is over, those not in its row too."""
    if stored.upload.layout.count <= 1 and not stored.multipart_id:
        return
    if stored.multipart_id:
        await blobs.abort_multipart(stored.storage_key, stored.multipart_id)
    page = await blobs.list_multiparts(_prefix(stored), "", _AT_ONCE)
    for found in page.entries:
        await blobs.abort_multipart(found.key, found.multipart_id)


async def free_leftovers(blobs: store.BlobStore, stored: rows.Stored) -> None:
    """Delete what an upload that is over may have left in the store; a blob's object stays."""
    if stored.upload.state is uploads.UploadState.COMMITTED:
        await free_multiparts(blobs, stored)
    else:
        await free(blobs, stored)


def _prefix(stored: rows.Stored) -> str:
    return f"{upload_changes.KEY_PREFIX}{stored.upload.name.upload}"
