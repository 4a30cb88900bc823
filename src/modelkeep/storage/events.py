"""The audit chain and the event log: one row in each for every change."""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import rfc8785

from modelkeep.audit_chain import links
from modelkeep.domain import errors, events, limits, redaction
from modelkeep.storage import database

TAKE_NEXT = """
UPDATE event_counter c SET last_seq = last_seq + 1 FROM namespace n
WHERE n.namespace_id = c.namespace_id AND n.name = $1
RETURNING c.namespace_id, c.last_seq, c.last_hash, clock_timestamp() AS occurred_at"""
APPEND = """
WITH logged AS (
    INSERT INTO event_log (namespace_id, seq, occurred_at, action, resource, actor, before, payload)
    VALUES ($1, $2, $3, $7, $8, $4, $9, coalesce($10::json, 'null'))),
chained AS (UPDATE event_counter SET last_hash = $12 WHERE namespace_id = $1)
INSERT INTO audit_event (namespace_id, seq, occurred_at, actor, client, request_id, action,
resource, before, after, prev_hash, hash, credential)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who causes an event, from where, in which request, and by what they are known."""

    actor: str
    client: str
    request_id: str
    credential: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands in its namespace's chain."""

    namespace: str
    seq: int
    occurred_at: datetime.datetime
    prev_hash: bytes


async def append(
    connection: database.Connection, namespace: str, origin: Origin, event: events.Event
) -> None:
    """Append one event to the namespace's chain and log.

    Holds the namespace's counter to the end of the transaction, so call it late.
    """
    counter = await connection.fetchrow(TAKE_NEXT, namespace)
    if counter is None:
        raise errors.NotFound(f"namespaces/{namespace} does not exist")
    before, after = _told(event.before), _told(event.after)
    place = Place(namespace, counter["last_seq"], counter["occurred_at"], counter["last_hash"])
    digest = event_hash(place, origin, event, before, after)
    await connection.execute(
        APPEND,
        counter["namespace_id"],
        counter["last_seq"],
        counter["occurred_at"],
        origin.actor,
        origin.client,
        origin.request_id,
        event.action,
        str(event.resource),
        before,
        after,
        counter["last_hash"],
        digest,
        origin.credential,
    )


def event_hash(
    place: Place, origin: Origin, event: events.Event, before: str | None, after: str | None
) -> bytes:
    """SHA-256 over the RFC 8785 JSON of an event, the hash of the one before included.

    `before` and `after` are what `canonical` made of the event's fields. They are set into the
    text rather than written a second time, which took a tenth of a whole CreateVersion.
    """
    written = links.Written(
        namespace=place.namespace,
        sequence=place.seq,
        occurred_at=place.occurred_at.isoformat(timespec="microseconds"),
        actor=origin.actor,
        client=origin.client,
        request_id=origin.request_id,
        action=event.action,
        resource=str(event.resource),
        before=before,
        after=after,
        prev_hash=place.prev_hash,
        credential=origin.credential,
    )
    return hashlib.sha256(written.document()).digest()


def _told(fields: Mapping[str, events.Json] | None) -> str | None:
    return None if fields is None else canonical(redaction.redacted(fields))


def canonical(fields: Mapping[str, events.Json] | None) -> str | None:
    """RFC 8785 text of an event's fields."""
    return None if fields is None else _canonical(_exact(fields)).decode()


def _canonical(value: events.Json) -> bytes:
    return rfc8785.dumps(value)


def _exact(value: events.Json) -> events.Json:
    """The value with integers that JSON numbers cannot carry exactly turned into strings."""
    if isinstance(value, Mapping):
        return {key: _exact(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(entry) for entry in value]
    if isinstance(value, int) and abs(value) > limits.JSON_INT_MAX:
        return str(value)
    return value
