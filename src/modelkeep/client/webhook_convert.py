"""Crossings of webhooks between the wire and the SDK's records."""

import re
from datetime import datetime

from google.protobuf import timestamp_pb2

from modelkeep.client import answers, errors, event_convert, webhook_records
from modelkeep.v1 import event_service_pb2 as pb

_STATES = {
    pb.DELIVERY_STATE_PENDING: webhook_records.DeliveryState.PENDING,
    pb.DELIVERY_STATE_DELIVERED: webhook_records.DeliveryState.DELIVERED,
    pb.DELIVERY_STATE_FAILED: webhook_records.DeliveryState.FAILED,
}
_WEBHOOK = re.compile(r"(?:namespaces/)?([^/]+)/(?:webhooks/)?([0-9a-f]{16})")
_DELIVERY = re.compile(
    r"(?:namespaces/)?([^/]+)/(?:webhooks/)?([0-9a-f]{16})/(?:deliveries/)?([0-9]{1,19})"
)


def webhook_name(text: str) -> str:
    """The resource name of `acme/ID` or of itself, or raise BadReference."""
    matched = _WEBHOOK.fullmatch(text)
    if matched is None:
        raise _bad(text, "a webhook's name: write NAMESPACE/ID as `modelkeep webhook ls` shows it")
    return f"namespaces/{matched[1]}/webhooks/{matched[2]}"


def delivery_name(text: str) -> str:
    """The resource name of `acme/ID/SEQUENCE` or of itself, or raise BadReference."""
    matched = _DELIVERY.fullmatch(text)
    if matched is None:
        raise _bad(
            text,
            "a delivery's name: write NAMESPACE/ID/SEQUENCE as `modelkeep webhook deliveries` "
            "shows it",
        )
    return f"namespaces/{matched[1]}/webhooks/{matched[2]}/deliveries/{matched[3]}"


def is_delivery_name(text: str) -> bool:
    """Whether that names a delivery."""
    return _DELIVERY.fullmatch(text) is not None


def webhook_from_wire(wire: pb.Webhook) -> webhook_records.Webhook:
    """The record of a webhook."""
    return webhook_records.Webhook(
        name=wire.name,
        url=wire.url,
        description=wire.description,
        filter=event_convert.filter_from_wire(wire.filter),
        enabled=wire.enabled,
        disabled_reason=wire.disabled_reason,
        failing_since=_instant(wire.failing_since_time),
        last_success_at=_instant(wire.last_success_time),
        creator=wire.creator,
        created_at=_instant(wire.create_time),
        updated_at=_instant(wire.update_time),
        etag=wire.etag,
    )


def delivery_from_wire(wire: pb.Delivery) -> webhook_records.Delivery:
    """The record of a delivery."""
    return webhook_records.Delivery(
        name=wire.name,
        sequence=wire.sequence,
        action=wire.action,
        resource=wire.resource,
        state=_STATES.get(wire.state, webhook_records.DeliveryState.UNSPECIFIED),
        attempts=wire.attempts,
        next_attempt_at=_instant(wire.next_attempt_time),
        created_at=_instant(wire.create_time),
        finished_at=_instant(wire.finish_time),
        error=wire.error,
    )


def attempt_from_wire(wire: pb.DeliveryAttempt) -> webhook_records.DeliveryAttempt:
    """The record of an attempt."""
    return webhook_records.DeliveryAttempt(
        number=wire.number,
        started_at=_instant(wire.start_time),
        duration_ms=wire.duration_ms,
        status=wire.status,
        error=wire.error,
        response=wire.response,
    )


def state_to_wire(state: webhook_records.DeliveryState) -> pb.DeliveryState.ValueType:
    """The wire's number of a state."""
    return next(number for number, known in _STATES.items() if known is state)


def _instant(stamp: timestamp_pb2.Timestamp) -> datetime | None:
    return answers.instant(stamp) if stamp.seconds else None


def _bad(text: str, wanted: str) -> errors.BadReference:
    return errors.BadReference(f"{text[:200]!r} is not {wanted}.", reason="BAD_REFERENCE")
