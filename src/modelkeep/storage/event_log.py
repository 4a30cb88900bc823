"""The event log as it is read: by watchers, by lists, by webhooks."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from modelkeep.domain import errors, events, names
from modelkeep.storage import database

GET_SPAN = """
SELECT c.namespace_id, c.compacted_seq, c.last_seq
FROM event_counter c JOIN namespace n USING (namespace_id) WHERE n.name = $1"""
FIND_MOVED = """
SELECT c.namespace_id, c.compacted_seq, c.last_seq
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS seen (namespace_id, compacted, last)
JOIN event_counter c USING (namespace_id)
WHERE c.last_seq > seen.last OR c.compacted_seq > seen.compacted"""
# So many events that they are small enough together; the first however large it is.
READ_AFTER = """
WITH next AS (
    SELECT seq, occurred_at, action, resource, actor, before::text AS before,
    payload::text AS after FROM event_log
    WHERE namespace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3),
summed AS (
    SELECT *, sum(length(coalesce(before, '')) + length(after)) OVER (ORDER BY seq) AS total
    FROM next)
SELECT * FROM summed WHERE total <= $4 OR seq = (SELECT min(seq) FROM next) ORDER BY seq"""
# For who was given models and not the namespace; the rule of `subscriptions.is_about_one_of`.
READ_OF_MODELS = READ_AFTER.replace(
    "seq > $2",
    """seq > $2 AND seq <= $5
    AND substring(resource from '^[^/]*/[^/]*/[^/]*/[^/]*') = ANY ($6::text[])
    AND NOT starts_with(action, 'lineage.')""",
)
LIST_HEADERS = """
SELECT seq, action, resource FROM event_log
WHERE namespace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"""

READ_EVENTS = 200
READ_CHARS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """Which events of a namespace are there: those after `compacted`, up to `last`."""

    namespace_id: int
    compacted: int
    last: int

    @property
    def oldest(self) -> int:
        """The oldest sequence that can be read; one more than the last if none can."""
        return self.compacted + 1


async def get_span(connection: database.Connection, name: names.NamespaceName) -> Span:
    """Which events of a namespace there are, or `errors.NotFound`."""
    row = await connection.fetchrow(GET_SPAN, name.namespace)
    if row is None:
        raise errors.NotFound(f"{name} does not exist", resource=name)
    return _span_from_row(row)


async def find_moved(connection: database.Connection, seen: Iterable[Span]) -> list[Span]:
    """Those of the namespaces of which there are other events now than were seen."""
    spans = [(span.namespace_id, span.compacted, span.last) for span in seen]
    rows = await connection.fetch(FIND_MOVED, *map(list, zip(*spans, strict=True)))
    return [_span_from_row(row) for row in rows]


async def read_after(
    connection: database.Connection, namespace_id: int, sequence: int
) -> Sequence[events.Record]:
    """The next events of a namespace in order, as many as are good to hold at once."""
    rows = await connection.fetch(READ_AFTER, namespace_id, sequence, READ_EVENTS, READ_CHARS)
    return [record_from_row(row) for row in rows]


async def read_of_models(
    connection: database.Connection, span: Span, sequence: int, models: Collection[str]
) -> Sequence[events.Record]:
    """The next events within a span that are about one of these models, by resource names."""
    rows = await connection.fetch(
        READ_OF_MODELS,
        span.namespace_id,
        sequence,
        READ_EVENTS,
        READ_CHARS,
        span.last,
        list(models),
    )
    return [record_from_row(row) for row in rows]


def record_from_row(row: database.Row) -> events.Record:
    """The domain value of a row."""
    return events.Record(
        sequence=row["seq"],
        occurred_at=row["occurred_at"],
        action=row["action"],
        resource=row["resource"],
        actor=row["actor"],
        before=row["before"],
        after=None if row["after"] == "null" else row["after"],
    )


def _span_from_row(row: database.Row) -> Span:
    return Span(row["namespace_id"], row["compacted_seq"], row["last_seq"])
