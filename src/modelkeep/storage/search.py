"""Searches versions: a page by an order, each as far as the next, whatever its number."""

import dataclasses
from dataclasses import dataclass
from typing import Final

import asyncpg
import pydantic_core

from modelkeep.domain import errors, filters, pages, specs, versions
from modelkeep.storage import database, search_leads, search_sql
from modelkeep.storage import versions as version_rows

# The plans must see the values. A search takes no second process and no time to compile. And pages
# of an index cost little more where they lie apart: or an index that fits less, but lies as the
# table does, is walked through other namespaces.
_SETTINGS = """
SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off;
SET LOCAL random_page_cost = 1.1;
SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL statement_timeout = {timeout_ms:d}"""


@dataclass(frozen=True, slots=True)
class _Key:
    """What is ordered by: an expression, its type, and what it takes beside the version."""

    expression: str
    type: str
    nullable: bool = False


_VERSION_ID = "v.version_id"
_KEYS: Final = {
    "": _Key(_VERSION_ID, "bigint"),
    "create_time": _Key("v.created_at", "timestamptz"),
    "update_time": _Key("v.updated_at", "timestamptz"),
    "finalize_time": _Key("v.finalized_at", "timestamptz", nullable=True),
    "size": _Key("v.total_bytes", "bigint"),
    "ordinal": _Key("v.ordinal", "bigint"),
    "version": _Key("v.semver_key", 'text COLLATE "C"'),
    "metrics": _Key("o.value", "double precision", nullable=True),
}


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins: behind the version of this id, which has this key ('' for none)."""

    absent: bool
    key: str
    version_id: int

    def __str__(self) -> str:
        return f"{'-' if self.absent else '+'}{self.version_id} {self.key}"


def _cursor(text: str) -> _Cursor | None:
    if not text:
        return None
    version_id, _, key = text[1:].partition(" ")
    return _Cursor(text[0] == "-", key, int(version_id))


async def settle(connection: database.Connection, timeout_s: float) -> None:
    """Prepare a transaction for searches, each statement of which may take so long."""
    await connection.execute(_SETTINGS.format(timeout_ms=int(timeout_s * 1000)))


async def statement_of(
    connection: database.Connection,
    scope: search_sql.Scope,
    search: filters.Search,
    page: pages.PageRequest,
) -> tuple[str, search_sql.Arguments]:
    """The statement that a page begins with, for a look at its plan."""
    lead = max(await _choose(connection, scope, search), _WALK)
    return present(_Query(scope, search, lead, page.size + 1), _cursor(page.after))


async def list_page(
    connection: database.Connection,
    scope: search_sql.Scope,
    search: filters.Search,
    page: pages.PageRequest,
) -> pages.Page[versions.Version]:
    """A page of the versions that fit, in the order asked for; `settle` comes first.

    Raises:
        errors.DeadlineExceeded: no index narrows the search, and it took too long.
    """
    try:
        lead = await _choose(connection, scope, search)
        if lead == _NOTHING:
            return pages.Page((), more=False)
        return await _read(connection, _Query(scope, search, lead, page.size + 1), page)
    except asyncpg.QueryCanceledError:
        raise _too_broad(search.condition) from None


_WALK: Final = -1
_NOTHING: Final = -2
_MERGED: Final = 64
"""So many models are walked one by one; beyond, planning that would cost more than it saves."""


async def _choose(
    connection: database.Connection, scope: search_sql.Scope, search: filters.Search
) -> int:
    """Which lead has the fewest versions; or that none has few; or that one has none."""
    arguments = search_sql.Arguments()
    leads = search_leads.find(search, scope)
    if not leads:
        return _WALK
    limit = search_leads.FEW + 1
    counts = ", ".join(
        f"(SELECT count(*) FROM ({lead(arguments)} LIMIT {limit}) c)" for lead in leads
    )
    (row,) = await _fetch(connection, f"SELECT {counts}", arguments)
    numbers = list(row)
    fewest = min(numbers)
    if fewest > search_leads.FEW:
        return _WALK
    return numbers.index(fewest) if fewest else _NOTHING


async def _fetch(
    connection: database.Connection, statement: str, arguments: search_sql.Arguments
) -> list[database.Row]:
    # Prepared for this once: searches are of many forms and would crowd out other statements.
    prepared = await connection.prepare(statement)
    return await prepared.fetch(*arguments.values)


@dataclass(frozen=True, slots=True)
class _Query:
    """All there is to know for a statement, but where it begins."""

    scope: search_sql.Scope
    search: filters.Search
    lead: int
    limit: int

    @property
    def key(self) -> _Key:
        """What is ordered by."""
        return _KEYS[self.search.order.subject.field]

    @property
    def has_absent(self) -> bool:
        """Whether some that fit may have nothing to be ordered by."""
        order = self.search.order.subject
        return self.key.nullable and not filters.implies(self.search.condition, order)


async def _read(
    connection: database.Connection, query: _Query, page: pages.PageRequest
) -> pages.Page[versions.Version]:
    cursor = _cursor(page.after)
    rows: list[database.Row] = []
    entries: list[tuple[str, versions.Version]] = []
    if cursor is None or not cursor.absent:
        statement, arguments = present(query, cursor)
        rows = await _fetch(connection, statement, arguments)
        entries = [_entry(row, absent=False) for row in rows]
    if len(rows) < query.limit and query.has_absent:
        behind = cursor if cursor is not None and cursor.absent else None
        statement, arguments = absent(query, behind, query.limit - len(rows))
        rows = await _fetch(connection, statement, arguments)
        entries += [_entry(row, absent=True) for row in rows]
    return pages.page_of(entries, page.size)


def _entry(row: database.Row, *, absent: bool) -> tuple[str, versions.Version]:
    cursor = _Cursor(absent, row["key"], row["version_id"])
    figures = pydantic_core.from_json(row["figures"] or "{}")
    metrics = tuple(specs.Metric(name, value) for name, value in sorted(figures.items()))
    return str(cursor), version_rows.version_from_row(row, specs.Content(metrics=metrics))


def present(query: _Query, cursor: _Cursor | None) -> tuple[str, search_sql.Arguments]:
    """The statement for versions that have what is ordered by."""
    arguments = search_sql.Arguments()
    conditions = [_after(query, cursor, arguments)] if cursor else []
    key = query.key
    if key.nullable and key.expression != "o.value":
        conditions.append(f"{key.expression} IS NOT NULL")
    return _statement(query, key, conditions, query.limit, arguments), arguments


def absent(query: _Query, cursor: _Cursor | None, limit: int) -> tuple[str, search_sql.Arguments]:
    """The statement for versions that do not have it."""
    arguments = search_sql.Arguments()
    order = query.search.order.subject
    lacking = search_sql.condition(
        filters.Negation(filters.Presence(order)), query.scope, arguments
    )
    if order.field == "finalize_time":
        lacking = "v.finalized_at IS NULL"
    conditions = [lacking]
    if cursor:
        conditions.append(f"{_VERSION_ID} {_beyond(query)} {arguments.add(cursor.version_id)}")
    return _statement(query, _KEYS[""], conditions, limit, arguments), arguments


def _beyond(query: _Query) -> str:
    return "<" if query.search.order.descending else ">"


def _after(query: _Query, cursor: _Cursor, arguments: search_sql.Arguments) -> str:
    version_id = arguments.add(cursor.version_id)
    if query.key.expression == _VERSION_ID:
        return f"{_VERSION_ID} {_beyond(query)} {version_id}"
    tie = "o.version_id" if query.key.expression == "o.value" else _VERSION_ID
    key = f"{arguments.add(cursor.key)}::{query.key.type}"
    return f"({query.key.expression}, {tie}) {_beyond(query)} ({key}, {version_id})"


def _statement(
    query: _Query,
    key: _Key,
    conditions: list[str],
    limit: int,
    arguments: search_sql.Arguments,
) -> str:
    """Ids first, by the narrowest way; then what is shown of these few."""
    way = "DESC" if query.search.order.descending else "ASC"
    hits = [_hit(part, key, conditions, limit, arguments) for part in _parts(query)]
    hit = hits[0]
    if len(hits) > 1:
        each = "\nUNION ALL ".join(f"({one})" for one in hits)
        hit = f"""
SELECT h.version_id, h.key FROM ({each}) h
ORDER BY h.key {way}, h.version_id {way} LIMIT {limit:d}"""
    figures = arguments.add(query.search.shown_metrics)
    return f"""
WITH hit AS MATERIALIZED ({hit})
SELECT {version_rows.HEAD}, hit.key::text AS key, (
SELECT json_object_agg(f.name, f.value) FROM version_metric f
WHERE f.version_id = v.version_id AND f.source = 'reported' AND f.name = ANY({figures})) AS figures
FROM hit JOIN {version_rows.FROM} ON v.version_id = hit.version_id
ORDER BY hit.key {way}, hit.version_id {way}"""


def _parts(query: _Query) -> list[_Query]:
    """What is walked: each of some models by itself, for a page at most, so that plans fit it."""
    among = query.scope.among
    if query.lead != _WALK or not among or len(among) > _MERGED:
        return [query]
    scopes = (search_sql.Scope(query.scope.namespace_id, model_id) for model_id in among)
    return [dataclasses.replace(query, scope=scope) for scope in scopes]


def _hit(
    query: _Query,
    key: _Key,
    conditions: list[str],
    limit: int,
    arguments: search_sql.Arguments,
) -> str:
    """Ids of a page of what fits, in order."""
    way = "DESC" if query.search.order.descending else "ASC"
    by = [key.expression, _VERSION_ID] if key.expression != _VERSION_ID else [_VERSION_ID]
    if key.expression == "o.value":
        by[1] = "o.version_id"
    where = "\nAND ".join([*conditions, *_fitting(query, key, arguments)])
    return f"""
SELECT v.version_id, {key.expression} AS key FROM {_tables(query, key, arguments)}
WHERE {where}
ORDER BY {", ".join(f"{part} {way}" for part in by)} LIMIT {limit:d}"""


def _tables(query: _Query, key: _Key, arguments: search_sql.Arguments) -> str:
    tables = "version v JOIN model m ON m.model_id = v.model_id"
    if key.expression != "o.value":
        return tables
    name = arguments.add(query.search.order.subject.key)
    within = query.scope.of("o", arguments)
    return f"""{tables} JOIN version_metric o ON o.version_id = v.version_id
AND o.source = 'reported' AND o.name = {name} AND {within}"""


def _fitting(query: _Query, key: _Key, arguments: search_sql.Arguments) -> list[str]:
    """The search's conditions, each with what an index needs of it."""
    search, scope = query.search, query.scope
    parts = [scope.of("v", arguments)]
    if not search.deleted:
        parts.append("v.state NOT IN ('deleted', 'purged')")
    parts += [
        _conjunct(part, query, key, arguments) for part in filters.conjuncts(search.condition)
    ]
    if query.lead != _WALK:
        lead = search_leads.find(search, scope)[query.lead]
        parts.append(f"v.version_id = ANY(ARRAY({lead(arguments)}))")
    return parts


def _conjunct(
    part: filters.Condition, query: _Query, key: _Key, arguments: search_sql.Arguments
) -> str:
    """A condition; one on the metric that is ordered by bounds the walk along its index."""
    if isinstance(part, filters.Comparison):
        if key.expression == "o.value" and part.subject == query.search.order.subject:
            return search_sql.test("o.value", part, arguments)
        if part.subject.field == "labels" and part.operator is filters.Operator.EQUAL:
            return search_sql.label_row(part, query.scope, arguments)
    return search_sql.condition(part, query.scope, arguments)


def _too_broad(condition: filters.Condition) -> errors.DeadlineExceeded:
    slow = ", ".join(dict.fromkeys(search_leads.unserved(condition)))
    why = f"no index serves {slow} as it is asked for" if slow else "its conditions fit too many"
    return errors.DeadlineExceeded(
        f"the search took too long: {why}. Add a condition with = that few versions fit (a label, "
        "stage, framework, dataset or source.commit), a bound on a metric or on create_time, "
        "or search within one model",
        reason="SEARCH_TOO_BROAD",
    )
