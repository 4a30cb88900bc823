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
_COLUMNS = """e.seq, e.occurred_at, e.action, e.resource, e.actor, e.before::text AS before,
    e.payload::text AS after"""
# So many events that they are small enough together; the first however large it is.
_SMALL_ENOUGH = """,
summed AS (
    SELECT *, sum(length(coalesce(before, '')) + length(after)) OVER (ORDER BY seq) AS total
    FROM next)
SELECT * FROM summed WHERE total <= $4 OR seq = (SELECT min(seq) FROM next) ORDER BY seq"""
READ_AFTER = f"""
WITH next AS (
    SELECT {_COLUMNS} FROM event_log e
    WHERE e.namespace_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3){_SMALL_ENOUGH}"""
# For who was given models and not the namespace; the rule of `subscriptions.is_about_one_of`. The
# audit log has an event under the same number, and an index by models: each name is looked for by
# itself, so what happened to other models is not read.
READ_OF_MODELS = f"""
WITH model AS MATERIALIZED (
    SELECT resource, split_part(resource, '/', 4) AS name FROM unnest($6::text[]) m (resource)),
about AS (
    SELECT a.seq FROM model m CROSS JOIN LATERAL (
        SELECT a.seq FROM audit_event_to_search a
        WHERE a.namespace_id = $1 AND a.seq > $2 AND a.seq <= $5
        AND split_part(a.resource, '/', 3) = 'models'
        AND split_part(a.resource, '/', 4) = m.name
        AND substring(a.resource from '^[^/]*/[^/]*/[^/]*/[^/]*') = m.resource
        AND NOT starts_with(a.action, 'lineage.') ORDER BY a.seq LIMIT $3) a
    ORDER BY a.seq LIMIT $3),
next AS (
    SELECT {_COLUMNS} FROM about a CROSS JOIN LATERAL (
        SELECT * FROM event_log e WHERE e.namespace_id = $1 AND e.seq = a.seq OFFSET 0) e
){_SMALL_ENOUGH}"""
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
