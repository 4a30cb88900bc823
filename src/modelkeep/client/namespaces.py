"""Calls about namespaces."""

from collections.abc import AsyncIterator, Mapping

from modelkeep.client import (
    calls,
    connection,
    convert,
    facts_convert,
    file_facts,
    records,
    refs,
)
from modelkeep.v1 import registry_service_pb2 as pb


class NamespaceCalls(connection.Connection):
    """Create, read and change namespaces."""

    async def create_namespace(
        self,
        namespace: str,
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        pickle_policy: file_facts.PicklePolicy = file_facts.PicklePolicy.UNSPECIFIED,
    ) -> records.Namespace:
        """Create a namespace. Refused if the name is taken."""
        request = pb.CreateNamespaceRequest(
            namespace_id=refs.parse_namespace(namespace).namespace,
            namespace=pb.Namespace(
                description=description,
                labels=dict(labels or {}),
                pickle_policy=facts_convert.policy_to_wire(pickle_policy),
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.CreateNamespace, request)
        return convert.namespace_from_wire(response.namespace)

    async def get_namespace(self, namespace: str) -> records.Namespace:
        """Read one namespace, or raise NotFound."""
        name = refs.parse_namespace(namespace).namespace_name
        request = pb.GetNamespaceRequest(name=name)
        response = await self._call(self._registry.GetNamespace, request)
        return convert.namespace_from_wire(response.namespace)

    def list_namespaces(self) -> AsyncIterator[records.Namespace]:
        """All namespaces by name."""

        async def fetch(token: str) -> tuple[list[records.Namespace], str]:
            request = pb.ListNamespacesRequest(page_size=connection.MAX_PAGE_SIZE, page_token=token)
            page = await self._call(self._registry.ListNamespaces, request)
            entries = [convert.namespace_from_wire(entry) for entry in page.namespaces]
            return entries, page.next_page_token

        return connection.pages(fetch)

    async def update_namespace(
        self,
        namespace: str,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        pickle_policy: file_facts.PicklePolicy | None = None,
        etag: str = "",
    ) -> records.Namespace:
        """Change what is given; with an `etag`, only if nobody changed it since (Conflict)."""
        request = pb.UpdateNamespaceRequest(
            namespace=pb.Namespace(
                name=refs.parse_namespace(namespace).namespace_name,
                description=description or "",
                labels=dict(labels or {}),
                pickle_policy=facts_convert.policy_to_wire(
                    pickle_policy or file_facts.PicklePolicy.UNSPECIFIED
                ),
                etag=etag,
            ),
            update_mask=connection.mask(
                description=description, labels=labels, pickle_policy=pickle_policy
            ),
            request_id=calls.new_request_id(),
        )
        response = await self._call(self._registry.UpdateNamespace, request)
        return convert.namespace_from_wire(response.namespace)
