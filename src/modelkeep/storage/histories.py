"""Histories of a model: closed and open assignments, and the audit log by model."""

from modelkeep.domain import gates as rules
from modelkeep.domain import histories, names, pages
from modelkeep.storage import database, gates

_BEYOND_LAST = 2**63 - 1

LIST_ALIASES = """
SELECT a.assignment_id, n.name AS namespace, m.name AS model, a.alias, v.version, a.valid_from,
a.valid_to, a.actor, a.reason
FROM alias_assignment a JOIN version v ON v.version_id = a.version_id
JOIN model m ON m.model_id = a.model_id JOIN namespace n ON n.namespace_id = a.namespace_id
WHERE a.model_id = $1 AND a.assignment_id < $2 AND ($4 = '' OR a.alias = $4)
ORDER BY a.assignment_id DESC LIMIT $3"""
LIST_STAGES = """
SELECT a.assignment_id, n.name AS namespace, m.name AS model, v.version, a.stage, a.valid_from,
a.valid_to, a.actor, a.reason,
(SELECT t.key FROM transition t WHERE t.assignment_id = a.assignment_id) AS transition
FROM stage_assignment a JOIN version v ON v.version_id = a.version_id
JOIN model m ON m.model_id = a.model_id JOIN namespace n ON n.namespace_id = a.namespace_id
WHERE a.model_id = $1 AND a.assignment_id < $2 AND ($4 = '' OR a.stage = $4)
AND ($5 = '' OR v.version = $5)
ORDER BY a.assignment_id DESC LIMIT $3"""
# Each name that the model has or had by its own scan of the index, backwards from where the page
# begins: a page costs the same wherever it is. Large texts of a new version stay where they are.
LIST_EVENTS = """
SELECT e.* FROM model_name k CROSS JOIN LATERAL (
    SELECT a.seq, a.occurred_at, a.action, a.resource, a.actor, a.client, a.request_id,
    coalesce(a.after->>'reason', '') AS reason,
    coalesce(a.before->>'stage', a.before->>'version', a.before->>'state', a.before->>'pattern',
        a.before->>'name', '') AS before,
    coalesce(a.after->>'stage', a.after->>'version', a.after->>'state', a.after->>'pattern',
        a.after->>'name', '') AS after,
    CASE WHEN a.action LIKE '%.updated' THEN ARRAY(SELECT json_object_keys(a.after))
        ELSE '{}' END AS changed
    FROM audit_event_to_search a
    WHERE a.namespace_id = $1 AND k.namespace_id = $1 AND a.action <> 'access.denied'
    AND split_part(a.resource, '/', 3) = 'models'
    AND split_part(a.resource, '/', 4) = k.name AND a.seq < $3
    AND ($5 = '' OR split_part(a.resource, '/', 5) = 'aliases'
        AND split_part(a.resource, '/', 6) = $5)
    AND ($6 = '' OR a.action = 'stage.set' AND $6 IN (a.before->>'stage', a.after->>'stage'))
    AND ($7 = '' OR split_part(a.resource, '/', 5) = 'versions'
        AND split_part(a.resource, '/', 6) = $7
        OR split_part(a.resource, '/', 5) = 'aliases' AND $7 IN
        (split_part(a.before->>'version', '/', 6), split_part(a.after->>'version', '/', 6)))
    ORDER BY a.seq DESC LIMIT $4
) e WHERE k.model_id = $2 ORDER BY e.seq DESC LIMIT $4"""


async def list_aliases(
    connection: database.Connection,
    model_id: int,
    wanted: histories.Filter,
    page: pages.PageRequest,
) -> pages.Page[histories.AliasAssignment]:
    """A page of where a model's aliases pointed, the newest first."""
    rows = await connection.fetch(
        LIST_ALIASES, model_id, _before(page), page.size + 1, wanted.alias
    )
    return pages.page_of([(str(row["assignment_id"]), _alias(row)) for row in rows], page.size)


async def list_stages(
    connection: database.Connection,
    model_id: int,
    wanted: histories.Filter,
    page: pages.PageRequest,
) -> pages.Page[histories.StageAssignment]:
    """A page of where a model's versions stood, the newest first."""
    rows = await connection.fetch(
        LIST_STAGES, model_id, _before(page), page.size + 1, wanted.stage, wanted.version
    )
    ids = [row["assignment_id"] for row in rows]
    reports = await gates.list_results(connection, ids)
    moves = [_stage(row, reports.get(number)) for number, row in zip(ids, rows, strict=True)]
    return pages.page_of(list(zip(map(str, ids), moves, strict=True)), page.size)


async def list_events(
    connection: database.Connection,
    namespace_id: int,
    model_id: int,
    wanted: histories.Filter,
    page: pages.PageRequest,
) -> pages.Page[histories.Entry]:
    """A page of what happened to a model, whatever it was called then, the newest first."""
    rows = await connection.fetch(
        LIST_EVENTS,
        namespace_id,
        model_id,
        _before(page),
        page.size + 1,
        wanted.alias,
        wanted.stage,
        wanted.version,
    )
    return pages.page_of([(str(row["seq"]), _entry(row)) for row in rows], page.size)


def _before(page: pages.PageRequest) -> int:
    return int(page.after or _BEYOND_LAST)


def _alias(row: database.Row) -> histories.AliasAssignment:
    return histories.AliasAssignment(
        names.AliasName(row["namespace"], row["model"], row["alias"]),
        names.VersionName(row["namespace"], row["model"], row["version"]),
        row["valid_from"],
        row["valid_to"],
        row["actor"],
        row["reason"],
    )


def _stage(row: database.Row, report: rules.Report | None) -> histories.StageAssignment:
    version = names.VersionName(row["namespace"], row["model"], row["version"])
    key = row["transition"]
    return histories.StageAssignment(
        version,
        row["stage"],
        row["valid_from"],
        row["valid_to"],
        row["actor"],
        row["reason"],
        str(names.TransitionName(version, key)) if key else "",
        report,
    )


def _entry(row: database.Row) -> histories.Entry:
    return histories.Entry(
        sequence=row["seq"],
        occurred_at=row["occurred_at"],
        action=row["action"],
        resource=row["resource"],
        actor=row["actor"],
        client=row["client"],
        request_id=row["request_id"],
        reason=row["reason"],
        before=row["before"],
        after=row["after"],
        changed_fields=tuple(row["changed"]),
    )
