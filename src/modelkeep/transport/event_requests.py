"""Crossings of the requests of EventService."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from modelkeep.domain import checks, limits, names, pages, subscriptions, webhooks
from modelkeep.service import changes
from modelkeep.transport import convert, convert_events, page_tokens
from modelkeep.v1 import event_service_pb2 as pb

_UPDATABLE = frozenset({"url", "description", "filter", "enabled"})
_ANY_URL = "https://receiver.invalid/"
"""Stands for a URL that is not to be changed, so that the others are checked."""


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


def create_webhook(
    request: pb.CreateWebhookRequest,
) -> tuple[changes.Once, names.NamespaceName, webhooks.WebhookFields]:
    """Arguments of `Webhooks.create`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "CreateWebhook", request))
        parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
        fields = found.make(
            "webhook",
            partial(convert_events.webhook_fields_from_wire, request.webhook, enabled=True),
        )
    return once, parent, fields


def update_webhook(
    request: pb.UpdateWebhookRequest,
) -> tuple[changes.Once, names.WebhookName, Mapping[str, Any], str]:
    """Arguments of `Webhooks.update`."""
    wire = request.webhook
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "UpdateWebhook", request))
        name = found.make("webhook.name", partial(names.WebhookName.parse, wire.name))
        convert.check_etag(found, "webhook.etag", wire.etag)
        paths = found.make(
            "update_mask", partial(convert.mask_from_wire, request.update_mask, _UPDATABLE)
        )
        complete = pb.Webhook()
        complete.CopyFrom(wire)
        if not paths or "url" not in paths:
            complete.url = _ANY_URL
        fields = found.make(
            "webhook",
            partial(convert_events.webhook_fields_from_wire, complete, enabled=wire.enabled),
        )
    return once, name, {path: getattr(fields, path) for path in paths}, wire.etag


def list_deliveries(
    tokens: page_tokens.PageTokens, request: pb.ListDeliveriesRequest
) -> tuple[names.WebhookName, pages.PageRequest, tuple[webhooks.DeliveryState, ...]]:
    """Arguments of `Deliveries.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(names.WebhookName.parse, request.parent))
        page = found.make("", partial(tokens.read, request))
        states = found.make_each(
            "states",
            (
                partial(convert.enum_from_wire, number, convert_events.STATES)  # type: ignore[arg-type]
                for number in request.states
            ),
        )
    return parent, page, states


def redeliver_event(
    request: pb.RedeliverEventRequest,
) -> tuple[changes.Once, names.DeliveryName]:
    """Arguments of `Deliveries.redeliver`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "RedeliverEvent", request))
        name = found.make("name", partial(names.DeliveryName.parse, request.name))
    return once, name


def _followed(
    found: checks.Checks, request: pb.WatchRequest | pb.ListEventsRequest
) -> tuple[names.NamespaceName, subscriptions.EventFilter, int | None]:
    parent = found.make("parent", partial(names.NamespaceName.parse, request.parent))
    wanted = found.make("filter", partial(convert_events.filter_from_wire, request.filter))
    found.number("after_sequence", request.after_sequence, 0, limits.INT64_MAX)
    after = request.after_sequence if request.HasField("after_sequence") else None
    return parent, wanted, after
