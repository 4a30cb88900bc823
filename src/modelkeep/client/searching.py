"""Calls that find versions by what they are."""

from collections.abc import AsyncIterator, Sequence

from modelkeep.client import connection, convert, namespaces, records, refs
from modelkeep.v1 import registry_service_pb2 as pb


class SearchCalls(namespaces.NamespaceCalls):
    """Search."""

    async def search(
        self,
        query: str = "",
        *,
        within: str = "",
        order_by: str = "",
        metrics: Sequence[str] = (),
        show_deleted: bool = False,
        page_size: int = connection.MAX_PAGE_SIZE,
    ) -> AsyncIterator[records.Version]:
        """Versions that fit, without spec, datasets and card, and with the metrics that are named.

        Args:
            query: a filter such as `metrics.accuracy > 0.9 AND labels.team = "x"`; all if empty.
            within: the namespace (`acme`) or model (`acme/voice`) to search; if empty, every
                namespace is, one after the other, each in the order asked for.
            order_by: for example `metrics.accuracy desc`; the newest first if empty.
            metrics: reported metrics the versions shall carry, besides those that query and order
                name.
            show_deleted: find deleted versions, too.
            page_size: how many are fetched at a time.

        Raises:
            InvalidRequest: the filter or the order is malformed; the message tells the column.
            TimedOut: no index narrows the search; the message tells which condition would.
        """
        request = pb.SearchVersionsRequest(
            filter=query,
            order_by=order_by,
            page_size=page_size,
            metrics=metrics,
            show_deleted=show_deleted,
        )
        async for parent in self._parents(within):
            request.parent = parent
            async for version in self._found(request):
                yield version

    async def _parents(self, within: str) -> AsyncIterator[str]:
        if not within:
            async for namespace in self.list_namespaces():
                yield namespace.name
            return
        ref = refs.parse(within)
        if ref.selector:
            ref = refs.parse_model(within)  # says what is wrong
        yield ref.model_name if ref.model else ref.namespace_name

    def _found(self, asked: pb.SearchVersionsRequest) -> AsyncIterator[records.Version]:
        async def fetch(token: str) -> tuple[list[records.Version], str]:
            request = pb.SearchVersionsRequest(page_token=token)
            request.MergeFrom(asked)
            page = await self._call(self._registry.SearchVersions, request)
            entries = [convert.version_from_wire(entry) for entry in page.versions]
            return entries, page.next_page_token

        return connection.pages(fetch)
