"""Crossings of events and filters."""

import dataclasses
import functools

from google.protobuf import json_format, struct_pb2

from modelkeep.domain import checks, events, subscriptions, webhooks
from modelkeep.transport import convert
from modelkeep.v1 import event_service_pb2 as pb

_SHARED = 256
"""Events of which the message is kept, because many watchers get the same ones."""


def filter_from_wire(wire: pb.EventFilter) -> subscriptions.EventFilter:
    """The filter, or `errors.InvalidArgument`."""
    return subscriptions.EventFilter(tuple(wire.actions), tuple(wire.models), wire.resource)


def filter_to_wire(wanted: subscriptions.EventFilter) -> pb.EventFilter:
    """The message of a filter."""
    return pb.EventFilter(actions=wanted.actions, models=wanted.models, resource=wanted.resource)


@functools.lru_cache(_SHARED)
def event_to_wire(record: events.Record) -> pb.Event:
    """The message of an event; it must not be changed."""
    return pb.Event(
        sequence=record.sequence,
        create_time=convert.timestamp_to_wire(record.occurred_at),
        action=record.action,
        resource=record.resource,
        actor=record.actor,
        before=_struct(record.before),
        after=_struct(record.after),
    )


def watched_to_wire(sent: events.Record | subscriptions.Checkpoint) -> pb.WatchResponse:
    """The message of an event or a checkpoint of a watch."""
    if isinstance(sent, events.Record):
        return pb.WatchResponse(event=event_to_wire(sent))
    return pb.WatchResponse(
        checkpoint=pb.Checkpoint(sequence=sent.sequence, oldest_sequence=sent.oldest_sequence)
    )


STATES = {
    pb.DELIVERY_STATE_PENDING: webhooks.DeliveryState.PENDING,
    pb.DELIVERY_STATE_DELIVERED: webhooks.DeliveryState.DELIVERED,
    pb.DELIVERY_STATE_FAILED: webhooks.DeliveryState.FAILED,
}


def webhook_fields_from_wire(wire: pb.Webhook, *, enabled: bool) -> webhooks.WebhookFields:
    """What a caller says about a webhook, or `errors.InvalidArgument`."""
    with checks.Checks() as found:
        wanted = found.make("filter", functools.partial(filter_from_wire, wire.filter))
        build = functools.partial(webhooks.WebhookFields, wire.url, wire.description)
        fields = found.make("", build)
        return dataclasses.replace(fields, filter=wanted, enabled=enabled) if fields else fields


def webhook_to_wire(webhook: webhooks.Webhook) -> pb.Webhook:
    """The message of a webhook."""
    fields = webhook.fields
    return pb.Webhook(
        name=str(webhook.name),
        url=fields.url,
        description=fields.description,
        filter=filter_to_wire(fields.filter),
        enabled=fields.enabled,
        disabled_reason=webhook.disabled_reason,
        failing_since_time=convert.timestamp_to_wire(webhook.failing_since),
        last_success_time=convert.timestamp_to_wire(webhook.last_success_at),
        creator=webhook.creator,
        create_time=convert.timestamp_to_wire(webhook.created_at),
        update_time=convert.timestamp_to_wire(webhook.updated_at),
        etag=webhook.etag,
    )


def delivery_to_wire(delivery: webhooks.Delivery) -> pb.Delivery:
    """The message of a delivery."""
    return pb.Delivery(
        name=str(delivery.name),
        sequence=delivery.name.sequence,
        action=delivery.action,
        resource=delivery.resource,
        state=convert.enum_to_wire(delivery.state, STATES),  # type: ignore[arg-type]
        attempts=delivery.attempts,
        next_attempt_time=convert.timestamp_to_wire(delivery.next_attempt_at),
        create_time=convert.timestamp_to_wire(delivery.planned_at),
        finish_time=convert.timestamp_to_wire(delivery.finished_at),
        error=delivery.error,
    )


def attempt_to_wire(attempt: webhooks.Attempt) -> pb.DeliveryAttempt:
    """The message of an attempt."""
    return pb.DeliveryAttempt(
        number=attempt.number,
        start_time=convert.timestamp_to_wire(attempt.started_at),
        duration_ms=attempt.duration_ms,
        status=attempt.status or 0,
        error=attempt.error,
        response=attempt.response,
    )


def _struct(text: str | None) -> struct_pb2.Struct | None:
    return None if text is None else json_format.Parse(text, struct_pb2.Struct())
