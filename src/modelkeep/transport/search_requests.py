"""Crossing of searches: every violation of a request is found before any is raised."""

from functools import partial

from modelkeep.domain import checks, filter_typing, filters, names, pages
from modelkeep.transport import filter_text, page_tokens
from modelkeep.v1 import registry_service_pb2 as pb

Parent = names.NamespaceName | names.ModelName


def search_versions(
    tokens: page_tokens.PageTokens, request: pb.SearchVersionsRequest
) -> tuple[Parent, filters.Search, pages.PageRequest]:
    """Arguments of `Searching.search`."""
    in_model = "/models/" in request.parent
    parse = names.ModelName.parse if in_model else names.NamespaceName.parse
    found = checks.Checks()
    parent: Parent = found.make("parent", lambda: parse(request.parent))
    condition = found.make("filter", partial(filter_text.parse, request.filter))
    order = found.make(
        "order_by", partial(filter_typing.order, request.order_by, in_model=in_model)
    )
    page = found.make("", partial(tokens.read, request))
    metrics = tuple(request.metrics)
    search = found.finish(
        partial(filters.Search, condition, order, metrics, deleted=request.show_deleted)
    )
    return parent, search, page
