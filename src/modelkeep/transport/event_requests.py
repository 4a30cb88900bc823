"""Crossings of the requests of EventService."""

from functools import partial

from modelkeep.domain import checks, limits, names, pages, subscriptions
from modelkeep.transport import convert_events, page_tokens
from modelkeep.v1 import event_service_pb2 as pb


def watch(
    request: pb.WatchRequest,
) -> tuple[names.NamespaceName, subscriptions.EventFilter, int | None]:
    """Arguments of `Watching.watch`."""
    with checks.Checks() as found:
        return _followed(found, request)


def list_events(
    tokens: page_tokens.PageTokens, request: pb.ListEventsRequest
) -> tuple[names.NamespaceName, subscriptions.EventFilter, int | None, pages.PageRequest]:
    """Arguments of `Watching.list`."""
    with checks.Checks() as found:
        parent, wanted, after = _followed(found, request)
        page = found.make("", partial(tokens.read, request))
    return parent, wanted, after, page


def _followed(
    found: checks.Checks, request: pb.WatchRequest | pb.ListEventsRequest
) -> tuple[names.NamespaceName, subscriptions.EventFilter, int | None]:
    parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
    wanted = found.make("filter", partial(convert_events.filter_from_wire, request.filter))
    found.number("after_sequence", request.after_sequence, 0, limits.INT64_MAX)
    after = request.after_sequence if request.HasField("after_sequence") else None
    return parent, wanted, after
