"""Rows of signed checkpoints of audit chains."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.audit_chain import lines, links
from modelkeep.domain import audit, pages
from modelkeep.storage import database

# Those whose head has moved on since their last checkpoint.
LIST_DUE = """
SELECT c.namespace_id, n.name, c.last_seq, c.last_hash, clock_timestamp() AS now,
    coalesce(k.seq, 0) AS signed_seq, k.hash AS signed_hash
FROM event_counter c JOIN namespace n USING (namespace_id)
LEFT JOIN LATERAL (
    SELECT k.seq, k.hash FROM audit_checkpoint k
    WHERE k.namespace_id = c.namespace_id ORDER BY k.seq DESC LIMIT 1) k ON true
WHERE c.namespace_id > $1 AND c.last_seq > coalesce(k.seq, 0) ORDER BY c.namespace_id LIMIT $2"""
INSERT = """
INSERT INTO audit_checkpoint (namespace_id, seq, hash, signed_at, public_key, signature)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (namespace_id, seq) DO NOTHING"""
LIST = """
SELECT seq, hash, signed_at, public_key, signature FROM audit_checkpoint
WHERE namespace_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"""

_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Due:
    """A chain whose head is to be signed.

    Attributes:
        head: what is to be signed.
        signed: what was signed last; the beginning of the chain if nothing was.
        now: the time of the database.
    """

    namespace_id: int
    namespace: str
    head: links.Head
    signed: links.Head
    now: datetime.datetime


async def list_due(connection: database.Connection, after: int, limit: int) -> list[Due]:
    """Chains by row id that have events behind their last checkpoint."""
    return [
        Due(
            row["namespace_id"],
            row["name"],
            links.Head(row["last_seq"], row["last_hash"]),
            links.Head(row["signed_seq"], row["signed_hash"] or links.FIRST_HASH),
            row["now"],
        )
        for row in await connection.fetch(LIST_DUE, after, limit)
    ]


async def insert(
    connection: database.Connection,
    due: Due,
    public_key: bytes,
    signature: bytes,
) -> None:
    """Keep a checkpoint of the chain's head, unless another replica was faster."""
    head = due.head
    await connection.execute(
        INSERT, due.namespace_id, head.sequence, head.hash, due.now, public_key, signature
    )


async def list_between(
    connection: database.Connection,
    namespace_id: int,
    namespace: str,
    after: int,
    last: int,
) -> Sequence[lines.Signed]:
    """The checkpoints of the events behind one, up to another."""
    rows = await connection.fetch(LIST, namespace_id, after, last, _ALL)
    return [signed_from_row(namespace, row) for row in rows]


async def list_page(
    connection: database.Connection,
    namespace_id: int,
    chain: audit.ChainName,
    page: pages.PageRequest,
) -> pages.Page[lines.Signed]:
    """A page of a chain's checkpoints by sequence."""
    rows = await connection.fetch(LIST, namespace_id, int(page.after or 0), _ALL, page.size + 1)
    entries = [(str(row["seq"]), signed_from_row(chain.namespace, row)) for row in rows]
    return pages.page_of(entries, page.size)


def signed_from_row(namespace: str, row: database.Row) -> lines.Signed:
    """The domain value of a row."""
    head = links.Head(row["seq"], row["hash"])
    return lines.Signed(
        checkpoint(namespace, head, row["signed_at"], row["public_key"]), row["signature"]
    )


def checkpoint(
    namespace: str, head: links.Head, signed_at: datetime.datetime, public_key: bytes
) -> lines.Checkpoint:
    """What is signed of a head at an instant."""
    return lines.Checkpoint(
        namespace, head, signed_at.isoformat(timespec="microseconds"), public_key
    )
