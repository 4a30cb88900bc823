"""Calls for those who keep a registry tidy: open uploads, and what nobody needs any more."""

from collections.abc import AsyncIterator, Sequence

from modelkeep.client import calls, connection, convert, records, refs
from modelkeep.v1 import artifact_service_pb2 as pb

_COLLECTED_AT_ONCE = 100
"""What the server removes in one call at most."""
OPEN = (records.UploadState.ACTIVE, records.UploadState.VERIFYING)
"""The states from which an upload goes on."""


class UpkeepCalls(connection.Connection):
    """List uploads and collect garbage."""

    def list_uploads(
        self, namespace: str, *, states: Sequence[records.UploadState] = OPEN
    ) -> AsyncIterator[records.Upload]:
        """A namespace's uploads in these states by name; without a state, all that are known."""
        parent = refs.parse_namespace(namespace).namespace_name
        wanted = [convert.upload_state_to_wire(state) for state in states]

        async def fetch(token: str) -> tuple[list[records.Upload], str]:
            request = pb.ListUploadsRequest(
                parent=parent, page_size=connection.MAX_PAGE_SIZE, page_token=token, states=wanted
            )
            page = await self._call(self._artifacts.ListUploads, request)
            return [convert.upload_from_wire(each) for each in page.uploads], page.next_page_token

        return connection.pages(fetch)

    def collect_garbage(
        self, namespace: str, *, dry_run: bool = False
    ) -> AsyncIterator[records.GarbageBlob]:
        """Remove a namespace's blobs that nobody needs, and yield each; it cannot be undone.

        Blobs are removed as the iteration goes on, page by page. A deleted version keeps its
        blobs. Safe at any time, also while others push.

        Args:
            namespace: which.
            dry_run: remove nothing, only tell what would go.
        """
        parent = refs.parse_namespace(namespace).namespace_name

        async def fetch(token: str) -> tuple[list[records.GarbageBlob], str]:
            request = pb.CollectGarbageRequest(
                parent=parent,
                dry_run=dry_run,
                request_id=calls.new_request_id(),
                page_size=_COLLECTED_AT_ONCE,
                page_token=token,
            )
            page = await self._call(self._artifacts.CollectGarbage, request)
            return [convert.garbage_from_wire(each) for each in page.blobs], page.next_page_token

        return connection.pages(fetch)
