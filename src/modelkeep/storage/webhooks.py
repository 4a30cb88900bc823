"""Rows of webhooks."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelkeep.domain import errors, names, pages, subscriptions, webhooks
from modelkeep.storage import database

_COLUMNS = """w.webhook_id, w.uid, n.name AS namespace, w.url, w.description, w.filter, w.enabled,
w.disabled_reason, w.failing_since, w.last_success_at, w.creator, w.created_at, w.updated_at,
w.revision, w.cursor_seq, w.namespace_id"""
_FROM = "webhook w JOIN namespace n USING (namespace_id)"

INSERT = """
INSERT INTO webhook (uid, namespace_id, url, description, filter, secret, enabled,
disabled_reason, cursor_seq, creator)
SELECT $1, c.namespace_id, $3, $4, $5, $6, $7, $8, c.last_seq, $9
FROM event_counter c WHERE c.namespace_id = $2"""
COUNT = "SELECT count(*) FROM webhook WHERE namespace_id = $1"
GET = f"SELECT {_COLUMNS} FROM {_FROM} WHERE n.name = $1 AND w.uid = $2"
GET_BY_ID = f"SELECT {_COLUMNS} FROM {_FROM} WHERE w.webhook_id = $1"
LOCK = f"{GET} FOR NO KEY UPDATE OF w"
LOCK_BY_ID = f"{GET_BY_ID} FOR NO KEY UPDATE OF w"
LOCK_FREE = f"{GET_BY_ID} FOR NO KEY UPDATE OF w SKIP LOCKED"
LIST = f"""
SELECT {_COLUMNS} FROM {_FROM}
WHERE w.namespace_id = $1 AND w.uid > $2 ORDER BY w.uid LIMIT $3"""
UPDATE = """
UPDATE webhook SET url = $2, description = $3, filter = $4, enabled = $5, disabled_reason = $6,
failing_since = CASE WHEN $5 AND NOT enabled THEN NULL ELSE failing_since END,
updated_at = now(), revision = revision + 1 WHERE webhook_id = $1"""
DELETE = "DELETE FROM webhook WHERE webhook_id = $1"
ROTATE = """
UPDATE webhook SET previous_secret = secret, previous_until = now() + $3::interval, secret = $2,
updated_at = now(), revision = revision + 1 WHERE webhook_id = $1"""
SUCCEEDED = "UPDATE webhook SET failing_since = NULL, last_success_at = now() WHERE webhook_id = $1"
FAILED = """
UPDATE webhook SET failing_since = coalesce(failing_since, now()) WHERE webhook_id = $1
RETURNING now() - failing_since"""

_DISABLED_BY_HAND = "disabled by hand"


@dataclass(frozen=True, slots=True)
class Stored:
    """A webhook with what only the server knows of it.

    Attributes:
        cursor: deliveries are derived from the events behind this sequence.
    """

    webhook: webhooks.Webhook
    webhook_id: int
    namespace_id: int
    cursor: int


@dataclass(frozen=True, slots=True)
class New:
    """A webhook to be made; its secret is encrypted."""

    name: names.WebhookName
    fields: webhooks.WebhookFields
    sealed: bytes = field(repr=False)
    creator: str


async def insert(
    connection: database.Connection,
    namespace_id: int,
    new: New,
) -> Stored:
    """Insert a webhook that gets what happens from now on."""
    url, description, wanted, enabled, reason = _values(new.fields, "")
    await connection.execute(
        INSERT,
        new.name.webhook,
        namespace_id,
        url,
        description,
        wanted,
        new.sealed,
        enabled,
        reason,
        new.creator,
    )
    return await get(connection, new.name)


async def count(connection: database.Connection, namespace_id: int) -> int:
    """How many webhooks a namespace has."""
    number: int = await connection.fetchval(COUNT, namespace_id)
    return number


async def get(connection: database.Connection, name: names.WebhookName) -> Stored:
    """Read a webhook, or raise `errors.NotFound`."""
    return _found(await connection.fetchrow(GET, name.namespace, name.webhook), name)


async def lock(connection: database.Connection, name: names.WebhookName) -> Stored:
    """Read a webhook and keep others from changing it, or raise `errors.NotFound`."""
    return _found(await connection.fetchrow(LOCK, name.namespace, name.webhook), name)


async def find_locked(
    connection: database.Connection, webhook_id: int, *, skip_locked: bool = False
) -> Stored | None:
    """The same by row id; None if it is gone or, if so wanted, somebody else has it."""
    statement = LOCK_FREE if skip_locked else LOCK_BY_ID
    row = await connection.fetchrow(statement, webhook_id)
    return None if row is None else _stored(row)


async def list_page(
    connection: database.Connection, namespace_id: int, page: pages.PageRequest
) -> pages.Page[webhooks.Webhook]:
    """A page of a namespace's webhooks by id."""
    rows = await connection.fetch(LIST, namespace_id, page.after, page.size + 1)
    return pages.page_of([(row["uid"], _stored(row).webhook) for row in rows], page.size)


async def update(
    connection: database.Connection, webhook_id: int, fields: webhooks.WebhookFields, reason: str
) -> None:
    """Replace a webhook's fields; `reason` is why it is disabled, if it is."""
    await connection.execute(UPDATE, webhook_id, *_values(fields, reason))


async def rotate(
    connection: database.Connection, webhook_id: int, sealed: bytes, overlap: datetime.timedelta
) -> None:
    """Give a webhook a new secret; the one before signs beside it for so long."""
    await connection.execute(ROTATE, webhook_id, sealed, overlap)


async def delete(connection: database.Connection, webhook_id: int) -> None:
    """Delete a webhook with its deliveries."""
    await connection.execute(DELETE, webhook_id)


async def note_success(connection: database.Connection, webhook_id: int) -> None:
    """Note that an event was delivered."""
    await connection.execute(SUCCEEDED, webhook_id)


async def note_failure(connection: database.Connection, webhook_id: int) -> datetime.timedelta:
    """Note that an attempt failed; for how long there has been nothing but failure."""
    failing: datetime.timedelta = await connection.fetchval(FAILED, webhook_id)
    return failing


def _values(fields: webhooks.WebhookFields, reason: str) -> tuple[object, ...]:
    wanted = fields.filter
    stored = {"actions": wanted.actions, "models": wanted.models, "resource": wanted.resource}
    shown = "" if fields.enabled else reason or _DISABLED_BY_HAND
    return fields.url, fields.description, stored, fields.enabled, shown


def _found(row: database.Row | None, name: names.WebhookName) -> Stored:
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _stored(row)


def filter_from_json(stored: Mapping[str, Any]) -> subscriptions.EventFilter:
    """The filter of a row."""
    return subscriptions.EventFilter(
        tuple(stored["actions"]), tuple(stored["models"]), stored["resource"]
    )


def _stored(row: database.Row) -> Stored:
    webhook = webhooks.Webhook(
        name=names.WebhookName(row["namespace"], row["uid"]),
        fields=webhooks.WebhookFields(
            row["url"], row["description"], filter_from_json(row["filter"]), row["enabled"]
        ),
        disabled_reason=row["disabled_reason"],
        failing_since=row["failing_since"],
        last_success_at=row["last_success_at"],
        creator=row["creator"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        etag=str(row["revision"]),
    )
    return Stored(webhook, row["webhook_id"], row["namespace_id"], row["cursor_seq"])
