"""The audit chains as they are read."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from modelkeep.audit_chain import links
from modelkeep.domain import audit, errors, pages
from modelkeep.storage import database

_COLUMNS = """seq, occurred_at, actor, client, request_id, action, resource, before::text AS before,
after::text AS after, prev_hash, hash, credential"""
# One statement, so one moment: an event is there together with what its counter says, and a
# checkpoint never before its event.
_CHAIN = """
SELECT n.namespace_id, n.name, c.last_seq, c.last_hash,
    (SELECT max(a.seq) FROM audit_event a WHERE a.namespace_id = n.namespace_id) AS highest_seq,
    (SELECT min(k.seq) FROM audit_checkpoint k
     WHERE k.namespace_id = n.namespace_id AND k.seq > c.last_seq) AS signed_beyond
FROM namespace n JOIN event_counter c USING (namespace_id)"""
FIND_CHAIN = f"{_CHAIN} WHERE n.name = $1"
LIST_CHAINS = f"{_CHAIN} WHERE n.namespace_id > $1 ORDER BY n.namespace_id LIMIT $2"
# So many events that they are small enough together; the first however large it is.
READ_AFTER = f"""
WITH next AS (
    SELECT {_COLUMNS} FROM audit_event
    WHERE namespace_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4),
summed AS (
    SELECT *, sum(length(coalesce(before, '')) + length(coalesce(after, '')))
        OVER (ORDER BY seq) AS total FROM next)
SELECT * FROM summed WHERE total <= $5 OR seq = (SELECT min(seq) FROM next) ORDER BY seq"""
GET_HASH = "SELECT hash FROM audit_event WHERE namespace_id = $1 AND seq = $2"
FIND_INSTANT = """
SELECT seq, occurred_at FROM audit_event
WHERE namespace_id = $1 AND seq >= $2 ORDER BY seq LIMIT 1"""
_FITTING = """audit_event
WHERE namespace_id = $1 AND seq >= $2 AND seq < $3
AND ($5 = '' OR actor = $5)
AND (cardinality($6::text[]) = 0 OR action LIKE ANY ($6::text[]))
AND ($7 = '' OR resource = $7 OR starts_with(resource, $7 || '/'))
AND ($8::timestamptz IS NULL OR occurred_at >= $8)
AND ($9::timestamptz IS NULL OR occurred_at < $9)"""
LIST_OLDEST = f"SELECT {_COLUMNS} FROM {_FITTING} ORDER BY seq LIMIT $4"
LIST_NEWEST = f"SELECT {_COLUMNS} FROM {_FITTING} ORDER BY seq DESC LIMIT $4"

READ_EVENTS = 500
READ_CHARS = 4 * 1024 * 1024
LOOKED_AT = 5000
"""Events that one page of a list looks at, at most; few may fit the filter."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain at one moment.

    Attributes:
        end: what its counter says the last event is.
        highest: the highest sequence that is there.
        signed_beyond: the first sequence behind the end that a checkpoint was signed for.
    """

    namespace_id: int
    name: audit.ChainName
    end: links.Head
    highest: int
    signed_beyond: int | None


async def get_chain(connection: database.Connection, name: audit.ChainName) -> Chain:
    """A chain, or `errors.NotFound`; that of the registry is there even if it is empty."""
    row = await connection.fetchrow(FIND_CHAIN, name.namespace)
    if row is not None:
        return _chain_from_row(row)
    if name.is_registry:
        return Chain(0, name, links.Head(0, links.FIRST_HASH), 0, None)
    raise errors.NotFound(f"{name} does not exist", resource=name)


async def list_chains(connection: database.Connection, after: int, limit: int) -> list[Chain]:
    """Chains by row id, behind that one."""
    return [_chain_from_row(row) for row in await connection.fetch(LIST_CHAINS, after, limit)]


async def read_after(
    connection: database.Connection, namespace_id: int, after: int, last: int
) -> Sequence[audit.Record]:
    """The next events of a chain in order, as many as are good to hold at once."""
    rows = await connection.fetch(READ_AFTER, namespace_id, after, last, READ_EVENTS, READ_CHARS)
    return [record_from_row(row) for row in rows]


async def get_hash(connection: database.Connection, chain: Chain, sequence: int) -> bytes:
    """The hash of an event, or what precedes the first; `errors.NotFound` if it is gone."""
    if not sequence:
        return links.FIRST_HASH
    found: bytes | None = await connection.fetchval(GET_HASH, chain.namespace_id, sequence)
    if found is None:
        raise errors.NotFound(f"{chain.name} has no event {sequence}: verify the chain")
    return found


async def find_first(
    connection: database.Connection, chain: Chain, instant: datetime.datetime
) -> int:
    """Sequence of the first event at or after an instant; one more than the last if none is.

    Searched by halves, because instants grow with sequences and have no index of their own.
    """
    low, high = 1, chain.end.sequence + 1
    while low < high:
        middle = (low + high) // 2
        row = await connection.fetchrow(FIND_INSTANT, chain.namespace_id, middle)
        if row is None or row["occurred_at"] >= instant:
            high = middle
        else:
            low = row["seq"] + 1
    return low


async def list_page(
    connection: database.Connection,
    chain: Chain,
    wanted: audit.Filter,
    page: pages.PageRequest,
    *,
    oldest_first: bool,
) -> pages.Page[audit.Record]:
    """A page of a chain's events that fit."""
    low, high = await _bounds(connection, chain, wanted)
    if page.after and oldest_first:
        low = max(low, int(page.after) + 1)
    elif page.after:
        high = min(high, int(page.after))
    start, stop = (low, min(high, low + LOOKED_AT)) if oldest_first else (
        max(low, high - LOOKED_AT), high
    )  # fmt: skip
    rows = await connection.fetch(
        LIST_OLDEST if oldest_first else LIST_NEWEST,
        chain.namespace_id,
        start,
        stop,
        page.size + 1,
        wanted.actor,
        [_like(pattern) for pattern in wanted.actions],
        wanted.resource,
        wanted.start_at,
        wanted.end_at,
    )
    entries = [(str(row["seq"]), record_from_row(row)) for row in rows]
    if len(entries) > page.size:
        return pages.page_of(entries, page.size)
    more = stop < high if oldest_first else start > low
    return pages.Page(entries, more, str(stop - 1 if oldest_first else start) if more else "")


async def _bounds(
    connection: database.Connection, chain: Chain, wanted: audit.Filter
) -> tuple[int, int]:
    """First sequence that can fit, and the one behind the last."""
    low, high = 1, max(chain.end.sequence, chain.highest) + 1
    if wanted.start_at is not None:
        low = await find_first(connection, chain, wanted.start_at)
    if wanted.end_at is not None:
        high = await find_first(connection, chain, wanted.end_at)
    return low, high


def record_from_row(row: database.Row) -> audit.Record:
    """The domain value of a row."""
    return audit.Record(
        sequence=row["seq"],
        occurred_at=row["occurred_at"],
        actor=row["actor"],
        client=row["client"],
        request_id=row["request_id"],
        action=row["action"],
        resource=row["resource"],
        before=row["before"],
        after=row["after"],
        prev_hash=row["prev_hash"],
        hash=row["hash"],
        credential=row["credential"],
    )


def _chain_from_row(row: database.Row) -> Chain:
    return Chain(
        row["namespace_id"],
        audit.ChainName(row["name"]),
        links.Head(row["last_seq"], row["last_hash"]),
        row["highest_seq"] or 0,
        row["signed_beyond"],
    )


def _like(pattern: str) -> str:
    """The pattern of LIKE for one of ours, in which only `*` is special."""
    return pattern.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_").replace("*", "%")
