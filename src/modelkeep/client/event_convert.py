"""Crossings of events between the wire and the SDK's records."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format, struct_pb2

from modelkeep.client import answers, event_records
from modelkeep.v1 import event_service_pb2 as pb


def event_from_wire(wire: pb.Event) -> event_records.Event:
    """The record of an event."""
    return event_records.Event(
        sequence=wire.sequence,
        created_at=answers.instant(wire.create_time),
        action=wire.action,
        resource=wire.resource,
        actor=wire.actor,
        before=fields_from_wire(wire.before) if wire.HasField("before") else None,
        after=fields_from_wire(wire.after) if wire.HasField("after") else None,
    )


def filter_to_wire(wanted: event_records.EventFilter) -> pb.EventFilter:
    """The message of a filter."""
    return pb.EventFilter(actions=wanted.actions, models=wanted.models, resource=wanted.resource)


def filter_from_wire(wire: pb.EventFilter) -> event_records.EventFilter:
    """The record of a filter."""
    return event_records.EventFilter(tuple(wire.actions), tuple(wire.models), wire.resource)


def fields_from_wire(struct: struct_pb2.Struct) -> Mapping[str, Any]:
    """The fields as JSON has them; whole numbers are integers, as they were."""
    try:
        fields = json_format.MessageToDict(struct)
    except ValueError as failure:
        raise answers.bad("an event that is not JSON", failure) from None
    return {key: _exact(value) for key, value in sorted(fields.items())}


def _exact(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _exact(entry) for key, entry in sorted(value.items())}
    return [_exact(entry) for entry in value] if isinstance(value, list) else value
