"""What the SDK shows of webhooks."""

import enum
from dataclasses import dataclass, field
from datetime import datetime

from modelkeep.client import event_records


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events are posted to.

    Attributes:
        name: `namespaces/{namespace}/webhooks/{id}`.
        url: of the receiver.
        description: for people.
        filter: which events.
        enabled: whether they are posted.
        disabled_reason: why not; empty if they are.
        failing_since: since when nothing but failure; None while the last attempt succeeded.
        last_success_at: when an event was last delivered.
    """

    name: str
    url: str
    description: str
    filter: event_records.EventFilter
    enabled: bool
    disabled_reason: str
    failing_since: datetime | None
    last_success_at: datetime | None
    creator: str
    created_at: datetime | None
    updated_at: datetime | None
    etag: str

    @property
    def ref(self) -> str:
        """`acme/0123456789abcdef`, which the command line takes for the name."""
        return short_of(self.name)


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A webhook and the secret it signs with from now on, which cannot be read again."""

    webhook: Webhook
    secret: str = field(repr=False)


class DeliveryState(enum.StrEnum):
    """What has become of an event for a webhook."""

    UNSPECIFIED = "unspecified"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event for a webhook.

    Attributes:
        name: `namespaces/{namespace}/webhooks/{id}/deliveries/{sequence}`.
        sequence: of the event.
        attempts: how many were begun.
        next_attempt_at: when the next is due; None while it waits for the event before it about the
            same resource, and when it is over.
        error: what went wrong last; empty when it is delivered.
    """

    name: str
    sequence: int
    action: str
    resource: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime | None
    finished_at: datetime | None
    error: str

    @property
    def ref(self) -> str:
        """`acme/0123456789abcdef/17`, which the command line takes for the name."""
        return short_of(self.name)


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One attempt to deliver; `status` is 0 if there was no answer, and `error` says why."""

    number: int
    started_at: datetime | None
    duration_ms: int
    status: int
    error: str
    response: str


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """A delivery and the latest attempts at it, the last first."""

    delivery: Delivery
    attempts: tuple[DeliveryAttempt, ...]


def short_of(name: str) -> str:
    """`acme/ID` or `acme/ID/SEQUENCE` of a resource name."""
    return "/".join(name.split("/")[1::2])
