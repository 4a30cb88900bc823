"""Rows of deliveries and of the attempts at them: as they are shown, asked for again, forgotten."""

import datetime
from collections.abc import Collection, Sequence

from modelkeep.domain import errors, names, pages, webhooks
from modelkeep.storage import database

_COLUMNS = """seq, action, resource, state, attempts, next_attempt_at, planned_at, finished_at,
error"""

GET = f"SELECT {_COLUMNS} FROM webhook_delivery WHERE webhook_id = $1 AND seq = $2"
LOCK = f"{GET} FOR NO KEY UPDATE"
LIST = f"""
SELECT {_COLUMNS} FROM webhook_delivery
WHERE webhook_id = $1 AND seq < $2 AND state = ANY($4::text[]) ORDER BY seq DESC LIMIT $3"""
LIST_ATTEMPTS = """
SELECT number, started_at, duration_ms, status, error, response FROM webhook_attempt
WHERE webhook_id = $1 AND seq = $2 ORDER BY number DESC LIMIT $3"""
_FRESH = "next_attempt_at = now(), ready_at = now(), tries = 0, leased_until = NULL"
HURRY = f"""
UPDATE webhook_delivery SET {_FRESH}
WHERE webhook_id = $1 AND next_attempt_at IS NOT NULL AND coalesce(leased_until < now(), true)
AND ($2::bigint IS NULL OR seq = $2)"""
REOPEN = """
UPDATE webhook_delivery SET state = 'pending', finished_at = NULL
WHERE webhook_id = $1 AND seq = $2 RETURNING resource"""
PROMOTE = f"""
UPDATE webhook_delivery SET {_FRESH}
WHERE webhook_id = $1 AND seq = (
    SELECT min(seq) FROM webhook_delivery
    WHERE webhook_id = $1 AND resource = $2 AND state = 'pending')
AND NOT EXISTS (
    SELECT FROM webhook_delivery
    WHERE webhook_id = $1 AND resource = $2 AND next_attempt_at IS NOT NULL)"""
EVENT_EXISTS = "SELECT EXISTS (SELECT FROM event_log WHERE namespace_id = $1 AND seq = $2)"
# What another replica forgets at this moment is left to it.
FORGET = """
DELETE FROM webhook_delivery WHERE (webhook_id, seq) IN (
    SELECT webhook_id, seq FROM webhook_delivery
    WHERE finished_at < now() - $1::interval ORDER BY finished_at LIMIT $2
    FOR UPDATE SKIP LOCKED)"""

_SHOWN_ATTEMPTS = 100


async def get(
    connection: database.Connection, webhook_id: int, name: names.DeliveryName
) -> webhooks.Delivery:
    """Read a delivery, or raise `errors.NotFound`."""
    return _found(await connection.fetchrow(GET, webhook_id, name.sequence), name)


async def lock(
    connection: database.Connection, webhook_id: int, name: names.DeliveryName
) -> webhooks.Delivery:
    """Read a delivery and keep others from changing it, or raise `errors.NotFound`."""
    return _found(await connection.fetchrow(LOCK, webhook_id, name.sequence), name)


async def list_page(
    connection: database.Connection,
    webhook_id: int,
    parent: names.WebhookName,
    page: pages.PageRequest,
    states: Collection[webhooks.DeliveryState],
) -> pages.Page[webhooks.Delivery]:
    """A page of a webhook's deliveries in these states, the newest event first."""
    before = int(page.after) if page.after else 2**63 - 1
    wanted = [state.value for state in states]
    rows = await connection.fetch(LIST, webhook_id, before, page.size + 1, wanted)
    return pages.page_of([(str(row["seq"]), _delivery(row, parent)) for row in rows], page.size)


async def list_attempts(
    connection: database.Connection, webhook_id: int, sequence: int
) -> Sequence[webhooks.Attempt]:
    """The latest attempts at a delivery, the last first."""
    rows = await connection.fetch(LIST_ATTEMPTS, webhook_id, sequence, _SHOWN_ATTEMPTS)
    return [webhooks.Attempt(**row) for row in rows]


async def hurry(
    connection: database.Connection, webhook_id: int, sequence: int | None = None
) -> None:
    """Make due now whatever is ready and not under way, or that one event."""
    await connection.execute(HURRY, webhook_id, sequence)


async def reopen(connection: database.Connection, webhook_id: int, sequence: int) -> None:
    """Have a finished delivery attempted again, as soon as none of its resource is under way."""
    resource = await connection.fetchval(REOPEN, webhook_id, sequence)
    await promote(connection, webhook_id, resource)


async def promote(connection: database.Connection, webhook_id: int, resource: str) -> None:
    """Make the first pending delivery about a resource ready, unless one is; hold the webhook."""
    await connection.execute(PROMOTE, webhook_id, resource)


async def event_exists(connection: database.Connection, namespace_id: int, sequence: int) -> bool:
    """Whether an event has not been compacted."""
    found: bool = await connection.fetchval(EVENT_EXISTS, namespace_id, sequence)
    return found


async def forget(connection: database.Connection, retention: datetime.timedelta, limit: int) -> int:
    """Delete deliveries that were finished so long ago, longest first; their number."""
    status: str = await connection.execute(FORGET, retention, limit)
    return int(status.rpartition(" ")[2])


def _found(row: database.Row | None, name: names.DeliveryName) -> webhooks.Delivery:
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _delivery(row, name.parent)


def _delivery(row: database.Row, parent: names.WebhookName) -> webhooks.Delivery:
    return webhooks.Delivery(
        name=names.DeliveryName(parent, row["seq"]),
        action=row["action"],
        resource=row["resource"],
        state=webhooks.DeliveryState(row["state"]),
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        planned_at=row["planned_at"],
        finished_at=row["finished_at"],
        error=row["error"],
    )
