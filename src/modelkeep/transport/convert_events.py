"""Crossings of events and filters."""

import functools

from google.protobuf import json_format, struct_pb2

from modelkeep.domain import events, subscriptions
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


def _struct(text: str | None) -> struct_pb2.Struct | None:
    return None if text is None else json_format.Parse(text, struct_pb2.Struct())
