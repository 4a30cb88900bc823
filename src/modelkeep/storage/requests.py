"""Rows of idempotency keys: what was answered to which request."""

from dataclasses import dataclass

from modelkeep.domain import errors
from modelkeep.storage import database

CLAIM = """
INSERT INTO idempotency_key (principal, request_id, fingerprint) VALUES ($1, $2, $3)
ON CONFLICT (principal, request_id) DO NOTHING RETURNING request_id"""
FIND = """
SELECT fingerprint, answer FROM idempotency_key WHERE principal = $1 AND request_id = $2"""
ANSWER = """
UPDATE idempotency_key SET answer = $3 WHERE principal = $1 AND request_id = $2"""


@dataclass(frozen=True, slots=True)
class Key:
    """A request that is to be carried out once.

    Attributes:
        principal: who sends it.
        request_id: what the sender calls it; never empty here.
        fingerprint: SHA-256 of the method and the request.
    """

    principal: str
    request_id: str
    fingerprint: bytes


async def claim(connection: database.Connection, key: Key) -> str | None:
    """Claim a key: None if this is the first time, else the JSON answered before.

    Waits for another transaction that is carrying out the same request. Raises
    `errors.RequestIdReused` if the request was another one.
    """
    claimed = await connection.fetchval(CLAIM, key.principal, key.request_id, key.fingerprint)
    if claimed is not None:
        return None
    row = await connection.fetchrow(FIND, key.principal, key.request_id)
    if row is None or row["answer"] is None:
        raise errors.Unavailable("the same request is being carried out; try again")
    if row["fingerprint"] != key.fingerprint:
        raise errors.RequestIdReused(
            f"request_id {key.request_id!r} was used for another request; choose a new one",
            request_id=key.request_id,
        )
    answer: str = row["answer"]
    return answer


async def answer(connection: database.Connection, key: Key, text: str) -> None:
    """Keep what was answered, as JSON."""
    await connection.execute(ANSWER, key.principal, key.request_id, text)
