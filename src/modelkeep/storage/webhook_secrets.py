"""What webhooks' secrets are encrypted as."""

from dataclasses import dataclass, field

from modelkeep.domain import names
from modelkeep.storage import database

LOCK_PAGE = """
SELECT w.webhook_id, n.name AS namespace, w.uid, w.secret, w.previous_secret,
coalesce(w.previous_until <= now(), false) AS is_over
FROM webhook w JOIN namespace n USING (namespace_id)
WHERE w.webhook_id > $1 ORDER BY w.webhook_id LIMIT $2 FOR NO KEY UPDATE OF w"""
# Neither etag nor update time: what the webhook is has not changed.
PUT = """
UPDATE webhook SET secret = $2, previous_secret = $3::bytea,
previous_until = CASE WHEN $3::bytea IS NOT NULL THEN previous_until END WHERE webhook_id = $1"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A webhook's secrets, encrypted.

    Attributes:
        previous: the one before; None if there is none.
        is_over: whether the one before signs no more.
    """

    webhook_id: int
    name: names.WebhookName
    secret: bytes = field(repr=False)
    previous: bytes | None = field(repr=False)
    is_over: bool


async def lock_page(connection: database.Connection, after: int, size: int) -> list[Sealed]:
    """The secrets of the webhooks behind a row id, which nobody changes until we are done."""
    rows = await connection.fetch(LOCK_PAGE, after, size)
    return [
        Sealed(
            row["webhook_id"],
            names.WebhookName(row["namespace"], row["uid"]),
            row["secret"],
            row["previous_secret"],
            row["is_over"],
        )
        for row in rows
    ]


async def put(
    connection: database.Connection, webhook_id: int, secret: bytes, previous: bytes | None
) -> None:
    """Replace a webhook's encrypted secrets; the one before may be None, which forgets it."""
    await connection.execute(PUT, webhook_id, secret, previous)
