"""Calls about what namespaces take and may take."""

from modelkeep.client import calls, connection, convert, records, refs
from modelkeep.v1 import registry_service_pb2 as pb


class QuotaCalls(connection.Connection):
    """Read usage, set quotas."""

    async def namespace_usage(self, namespace: str) -> records.NamespaceUsage:
        """What a namespace takes of what it may take, or raise NotFound."""
        name = refs.parse_namespace(namespace).namespace_name
        request = pb.GetNamespaceUsageRequest(name=name)
        response = await self._call(self._registry.GetNamespaceUsage, request)
        return convert.usage_from_wire(response.usage)

    async def set_quotas(
        self,
        namespace: str,
        *,
        stored_bytes: int | None = None,
        logical_bytes: int | None = None,
        open_uploads: int | None = None,
        etag: str = "",
    ) -> records.Namespace:
        """Limit what a namespace may take; 0 lifts a limit, None leaves it.

        Args:
            namespace: which.
            stored_bytes: most bytes of blobs, each once, and of open uploads.
            logical_bytes: most bytes of all versions' files, as if no two shared a blob.
            open_uploads: most uploads that are open at a time.
            etag: if set, the etag the namespace must have (Conflict).
        """
        request = pb.UpdateNamespaceRequest(
            namespace=pb.Namespace(
                name=refs.parse_namespace(namespace).namespace_name,
                stored_bytes_quota=stored_bytes or 0,
                logical_bytes_quota=logical_bytes or 0,
                open_uploads_quota=open_uploads or 0,
                etag=etag,
            ),
            update_mask=connection.mask(
                stored_bytes_quota=stored_bytes,
                logical_bytes_quota=logical_bytes,
                open_uploads_quota=open_uploads,
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.UpdateNamespace, request)
        return convert.namespace_from_wire(response.namespace)

    async def recount_usage(
        self, namespace: str
    ) -> tuple[records.NamespaceUsage, records.NamespaceUsage]:
        """Have what a namespace takes counted anew: the new count, and what was thought before.

        Both are equal unless there is a mistake in the server, which this puts right.
        """
        request = pb.RecountNamespaceUsageRequest(
            name=refs.parse_namespace(namespace).namespace_name, request_id=calls.new_request_id()
        )
        response = await self._call(self._registry.RecountNamespaceUsage, request)
        return convert.usage_from_wire(response.usage), convert.usage_from_wire(response.previous)
