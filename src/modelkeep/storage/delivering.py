"""Rows of deliveries as they come about, are claimed by a replica, and end."""

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from modelkeep.domain import events, names, webhooks
from modelkeep.storage import database, event_log

LIST_BEHIND = """
SELECT w.webhook_id FROM webhook w JOIN event_counter c USING (namespace_id)
WHERE w.enabled AND w.cursor_seq < c.last_seq ORDER BY w.webhook_id LIMIT $1"""
ADVANCE = "UPDATE webhook SET cursor_seq = $2 WHERE webhook_id = $1"
# Ready is the first about each resource, if none about it is pending already.
PLAN = """
INSERT INTO webhook_delivery (webhook_id, seq, action, resource, state, next_attempt_at, ready_at)
SELECT $1, e.seq, e.action, e.resource, 'pending', at.ready, at.ready
FROM (
    SELECT *, row_number() OVER (PARTITION BY resource ORDER BY seq) AS place
    FROM unnest($2::bigint[], $3::text[], $4::text[]) AS x (seq, action, resource)) e
CROSS JOIN LATERAL (
    SELECT CASE WHEN e.place = 1 AND NOT EXISTS (
        SELECT FROM webhook_delivery d
        WHERE d.webhook_id = $1 AND d.resource = e.resource AND d.state = 'pending')
    THEN now() END AS ready) at
ON CONFLICT (webhook_id, seq) DO NOTHING"""
NOTE_LOST = """
INSERT INTO webhook_delivery (webhook_id, seq, action, resource, state, finished_at, error)
VALUES ($1, $2, 'events.lost', $3, 'failed', now(), $4) ON CONFLICT (webhook_id, seq) DO NOTHING"""
LOCK_DUE = """
SELECT d.webhook_id, d.seq FROM webhook_delivery d JOIN webhook w USING (webhook_id)
WHERE d.next_attempt_at <= now() AND w.enabled AND d.webhook_id <> ALL ($1::bigint[])
ORDER BY d.next_attempt_at LIMIT 1 FOR UPDATE OF d SKIP LOCKED"""
CLAIM = """
UPDATE webhook_delivery SET attempts = attempts + 1, tries = tries + 1,
next_attempt_at = now() + $3::interval, leased_until = now() + $3::interval
WHERE webhook_id = $1 AND seq = $2 RETURNING webhook_id, seq, attempts, tries"""
GET_ORDER = """
SELECT w.uid, n.name AS namespace, w.url, w.secret, w.failing_since IS NOT NULL AS failing,
CASE WHEN w.previous_until > now() THEN w.previous_secret END AS previous_secret,
e.seq, e.occurred_at, e.action, e.resource, e.actor, e.before::text AS before,
e.payload::text AS after
FROM webhook w JOIN namespace n USING (namespace_id)
LEFT JOIN event_log e ON e.namespace_id = w.namespace_id AND e.seq = $2
WHERE w.webhook_id = $1"""
LOG_ATTEMPT = """
INSERT INTO webhook_attempt (webhook_id, seq, number, started_at, duration_ms, status, error,
response) SELECT $1, $2, $3, now() - $4 * interval '1 millisecond', $4::integer, $5, $6, $7
WHERE EXISTS (SELECT FROM webhook_delivery WHERE webhook_id = $1 AND seq = $2)
ON CONFLICT (webhook_id, seq, number) DO NOTHING"""
_MINE = "webhook_id = $1 AND seq = $2 AND attempts = $3 AND state = 'pending'"
FINISH = f"""
UPDATE webhook_delivery SET state = $4, error = $5, finished_at = now(), next_attempt_at = NULL,
leased_until = NULL WHERE {_MINE} RETURNING resource"""
TRY_LATER = f"""
UPDATE webhook_delivery SET error = $4, next_attempt_at = now() + $5::interval,
leased_until = NULL WHERE {_MINE}"""
GET_PATIENCE = f"SELECT now() - ready_at FROM webhook_delivery WHERE {_MINE}"

_ERROR_CHARS = 300


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this replica attempts now; `attempt` fences it.

    Attributes:
        tries: attempts since it was last made ready, this one included.
    """

    webhook_id: int
    sequence: int
    attempt: int
    tries: int


@dataclass(frozen=True, slots=True)
class Order:
    """What an attempt needs.

    Attributes:
        secrets: encrypted; the present one, and the one before during a rotation.
        failing: whether the webhook's last attempt failed.
        event: None if it has been compacted.
    """

    name: names.WebhookName
    url: str
    secrets: tuple[bytes, ...]
    failing: bool
    event: events.Record | None


async def list_behind(connection: database.Connection, limit: int) -> list[int]:
    """Enabled webhooks for which there are events that nobody has looked at."""
    return [row["webhook_id"] for row in await connection.fetch(LIST_BEHIND, limit)]


async def plan(
    connection: database.Connection,
    webhook_id: int,
    wanted: Sequence[tuple[int, str, str]],
    cursor: int,
) -> None:
    """Give a locked webhook these events (sequence, action, resource) and move its cursor."""
    if wanted:
        await connection.execute(PLAN, webhook_id, *map(list, zip(*wanted, strict=True)))
    await connection.execute(ADVANCE, webhook_id, cursor)


async def note_lost(
    connection: database.Connection, webhook_id: int, first: int, last: int, resource: str
) -> None:
    """Say in the log of deliveries that events were compacted before they could be delivered."""
    error = f"events {first} to {last} were compacted before they could be delivered"
    await connection.execute(NOTE_LOST, webhook_id, last, resource, error)
    await connection.execute(ADVANCE, webhook_id, last)


async def list_headers(
    connection: database.Connection, namespace_id: int, sequence: int, limit: int
) -> list[tuple[int, str, str]]:
    """Sequence, action and resource of the next events."""
    rows = await connection.fetch(event_log.LIST_HEADERS, namespace_id, sequence, limit)
    return [(row["seq"], row["action"], row["resource"]) for row in rows]


async def claim(
    connection: database.Connection, busy: Collection[int], lease_s: float
) -> Claim | None:
    """The delivery that is due longest, for so long ours; none of the busy webhooks'."""
    lease = datetime.timedelta(seconds=lease_s)
    async with connection.transaction():
        due = await connection.fetchrow(LOCK_DUE, list(busy))
        if due is None:
            return None
        (row,) = await connection.fetch(CLAIM, due["webhook_id"], due["seq"], lease)
    return Claim(row["webhook_id"], row["seq"], row["attempts"], row["tries"])


async def find_order(connection: database.Connection, claimed: Claim) -> Order | None:
    """What an attempt needs; None if the webhook is gone."""
    row = await connection.fetchrow(GET_ORDER, claimed.webhook_id, claimed.sequence)
    if row is None:
        return None
    sealed = [row["secret"], *([row["previous_secret"]] if row["previous_secret"] else [])]
    name = names.WebhookName(row["namespace"], row["uid"])
    event = None if row["seq"] is None else event_log.record_from_row(row)
    return Order(name, row["url"], tuple(sealed), row["failing"], event)


async def log_attempt(
    connection: database.Connection,
    claimed: Claim,
    answer: webhooks.Answer,
) -> None:
    """Keep what came of an attempt that ends now."""
    told = answer.duration_ms, answer.status, answer.error, answer.response
    await connection.execute(LOG_ATTEMPT, *_key(claimed), *told)


async def finish(
    connection: database.Connection, claimed: Claim, state: webhooks.DeliveryState, error: str
) -> str | None:
    """Put a delivery into a final state; its resource, or None if it is no longer ours."""
    resource: str | None = await connection.fetchval(
        FINISH, *_key(claimed), state, error[:_ERROR_CHARS]
    )
    return resource


async def try_later(
    connection: database.Connection, claimed: Claim, error: str, pause_s: float
) -> None:
    """Make a delivery due after so long, if it is still ours."""
    pause = datetime.timedelta(seconds=pause_s)
    await connection.execute(TRY_LATER, *_key(claimed), error[:_ERROR_CHARS], pause)


async def find_patience(
    connection: database.Connection, claimed: Claim
) -> datetime.timedelta | None:
    """How long a delivery has been tried for; None if it is no longer ours."""
    tried: datetime.timedelta | None = await connection.fetchval(GET_PATIENCE, *_key(claimed))
    return tried


def _key(claimed: Claim) -> tuple[int, int, int]:
    return claimed.webhook_id, claimed.sequence, claimed.attempt
