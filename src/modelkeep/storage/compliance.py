"""Compliance reports: one statement finds, judges and ranks all versions that people rely on.

The formulas are those of `domain/compliance.py`; a test holds the two against each other.
"""

import datetime
import json

from modelkeep.domain import compliance, names, pages, risks
from modelkeep.storage import database


def _by_tier(figures: dict[risks.RiskTier, int]) -> str:
    cases = " ".join(f"WHEN '{tier.value}' THEN {figure}" for tier, figure in figures.items())
    return f"CASE m.risk_tier {cases} END"


_MISSING = (
    compliance.Finding.NEVER_EVALUATED,
    compliance.Finding.NO_OWNER,
    compliance.Finding.NO_RISK_TIER,
    compliance.Finding.NO_CARD,
    compliance.Finding.NO_APPROVAL,
    compliance.Finding.NO_LINEAGE,
    compliance.Finding.NO_DATASETS,
    compliance.Finding.NO_SIGNATURE,
)
"""Findings that are columns of `subject`, by their names."""
_COUNTED = " + ".join(f"{one.value}::int" for one in _MISSING)
# All ascending, so that a page begins behind a row.
_ORDER = "less_score, on_time, less_weight, less_days, less_missing, namespace, model, version"

_TOTALS = ("versions", "found", "overdue", "never")

NOW = "SELECT now()"
_APPROVED = """EXISTS (SELECT FROM transition t
            JOIN transition_verdict w ON w.transition_id = t.transition_id AND w.approved
            WHERE t.assignment_id = r.assignment_id)"""
# A node of a version has the digest of its id as its key (domain/lineage.py), which is indexed.
_NODE = """(SELECT node_id FROM lineage_node l WHERE l.namespace_id = v.namespace_id
    AND l.key = sha256(convert_to('version' || E'\\n' || v.version_id, 'UTF8')))"""


def _relied(scope: str) -> str:
    """Which versions are relied on: staged, or deployed; by a condition on `o.namespace_id`."""
    return f"""standing AS (
    SELECT o.version_id, o.stage, o.assignment_id FROM stage_assignment_to_search o
    WHERE {scope} AND o.stage IN ('staging', 'production') AND ($2 = '' OR o.stage = $2)
    AND coalesce(o.valid_to, 'infinity') > $1 AND o.valid_from <= $1
), deployed AS (
    SELECT o.version_id, count(DISTINCT o.environment_id)::int AS places
    FROM deployment_to_search o
    WHERE {scope} AND coalesce(o.ended_at, 'infinity') > $1 AND o.started_at <= $1
    GROUP BY o.version_id
), relied AS MATERIALIZED ( -- so that what is joined by is a column, not an expression
    SELECT version_id, s.stage, s.assignment_id, coalesce(d.places, 0) AS places
    FROM standing s FULL JOIN deployed d USING (version_id)
    WHERE $2 = '' OR s.stage IS NOT NULL
)"""


def _subject(among: str) -> str:
    """What is known of these, and what is missing; `among` is a condition on the versions `v`."""
    return f"""subject AS (
    SELECT n.name AS namespace, m.name AS model, v.version, coalesce(r.stage, v.stage) AS stage,
        m.owner, m.risk_tier, e.evaluated_at,
        {_by_tier(risks.WEIGHTS)} AS weight,
        greatest(r.places, (r.stage = 'production')::int) AS exposure,
        CASE WHEN $3 > 0 THEN $3 WHEN m.revalidation_days > 0 THEN m.revalidation_days
            ELSE {_by_tier(risks.REVALIDATION_DAYS)} END AS days,
        v.finalized_at,
        e.evaluated_at IS NULL AS never_evaluated,
        m.owner = '' AS no_owner,
        m.risk_tier = 'unclassified' AS no_risk_tier,
        v.card = '' AS no_card,
        NOT {_APPROVED} AS no_approval,
        NOT coalesce(g.some, false) AS no_lineage,
        m.kind <> 'prompt' AND NOT coalesce(g.datasets, false) AS no_datasets,
        NOT EXISTS (SELECT FROM signature s
            WHERE s.version_id = v.version_id AND s.created_at <= $1) AS no_signature
    FROM relied r JOIN version v ON v.version_id = r.version_id
    JOIN model m ON m.model_id = v.model_id JOIN namespace n ON n.namespace_id = v.namespace_id
    LEFT JOIN LATERAL (SELECT max(e.run_at) AS evaluated_at FROM evaluation e
        WHERE e.version_id = v.version_id AND e.created_at <= $1
        AND coalesce(e.superseded_at, 'infinity') > $1) e ON true
    LEFT JOIN LATERAL (SELECT true AS some, bool_or(f.kind = 'dataset') AS datasets
        FROM lineage_edge c JOIN lineage_node f ON f.node_id = c.source_id
        WHERE c.target_id = {_NODE}) g ON g.datasets IS NOT NULL
    WHERE m.deleted_at IS NULL AND v.state IN ('ready', 'quarantined')
    AND v.finalized_at <= $1{among}
)"""


# When each is due, and its place among all.
_RANKED = f"""dated AS (
    SELECT *, {_COUNTED} AS missing,
        coalesce(evaluated_at + days * interval '24 hours', finalized_at) AS due_at
    FROM subject
), judged AS MATERIALIZED (
    SELECT *, greatest(0, ceil(extract(epoch FROM $1::timestamptz - due_at) / 86400))::int AS late
    FROM dated
), keyed AS (
    SELECT *, -(weight * exposure::bigint * late) AS less_score, late = 0 AS on_time,
        -(weight * exposure) AS less_weight, -late AS less_days, -missing AS less_missing
    FROM judged WHERE late > 0 OR missing > 0 OR $4
), ranked AS (
    SELECT *, row_number() OVER (ORDER BY {_ORDER}) AS rank FROM keyed
)"""


def _page(scope: str, among: str = "") -> str:
    """The statement for a scope: a condition on `o.namespace_id`, and one on the versions `v`.

    Each page judges all of them anew. What is overdue depends on the instant that is asked for, and
    totals and places in the plan on all that is found: a page cannot be had for less, unless whole
    reports were kept.
    """
    return f"""
WITH {_relied(scope)}, {_subject(among)}, {_RANKED}, page AS (
    SELECT * FROM ranked WHERE $6::bigint IS NULL
    OR ({_ORDER}) > ($6, $7::bool, $8::int, $9::int, $10::int, $11::text, $12::text, $13::text)
    ORDER BY {_ORDER} LIMIT $5
)
SELECT t.*, p.* FROM (
    SELECT count(*) AS versions, count(*) FILTER (WHERE late > 0 OR missing > 0) AS found,
        count(*) FILTER (WHERE late > 0) AS overdue,
        count(*) FILTER (WHERE never_evaluated) AS never FROM judged
) t LEFT JOIN page p ON true ORDER BY p.rank"""


_NAMED = "o.namespace_id = (SELECT namespace_id FROM namespace WHERE name = $14)"
IN_NAMESPACE = _page(_NAMED)
IN_MODELS = _page(_NAMED, "\n    AND v.model_id = ANY ($15::bigint[])")
EVERYWHERE = _page("true")


async def now(connection: database.Connection) -> datetime.datetime:
    """The database's clock, by which everything is dated that a report counts."""
    instant: datetime.datetime = await connection.fetchval(NOW)
    return instant


async def report(
    connection: database.Connection,
    question: compliance.Question,
    as_of: datetime.datetime,
    page: pages.PageRequest,
    among: tuple[int, ...] | None = None,
) -> compliance.Report:
    """A page of the report as of an instant; `page.after` is the key of the entry before it.

    Args:
        connection: of the pool.
        question: what is asked.
        as_of: the instant.
        page: which page.
        among: ids of the models of the namespace that are looked at; None for all.
    """
    after = json.loads(page.after) if page.after else [None] * len(_ORDER.split(","))
    arguments = [
        as_of,
        question.stage,
        question.revalidation_days,
        question.compliant,
        page.size + 1,
        *after,
    ]
    if question.namespace is None:
        rows = await connection.fetch(EVERYWHERE, *arguments)
    elif among is None:
        rows = await connection.fetch(IN_NAMESPACE, *arguments, question.namespace.namespace)
    else:
        rows = await connection.fetch(IN_MODELS, *arguments, question.namespace.namespace, among)
    totals = compliance.Totals(*(rows[0][column] for column in _TOTALS))
    entries = [
        (compliance.key_of(as_of, _key(row)), _entry(row, question.per_week, as_of))
        for row in rows
        if row["rank"] is not None  # there is always a row, for the totals
    ]
    return compliance.Report(pages.page_of(entries, page.size), as_of, totals)


def _key(row: database.Row) -> str:
    return json.dumps([row[column.strip()] for column in _ORDER.split(",")])


def _entry(row: database.Row, per_week: int, as_of: datetime.datetime) -> compliance.Entry:
    is_late = row["late"] > 0
    findings = [one for one in _MISSING if row[one.value]]
    if is_late and not row["never_evaluated"]:
        findings.insert(0, compliance.Finding.OVERDUE)
    planned = None
    if is_late and per_week:
        # What is overdue comes first in the order, so its rank is its place in the plan.
        planned = compliance.planned_on(row["rank"] - 1, per_week, as_of)
    return compliance.Entry(
        rank=row["rank"],
        version=names.VersionName(row["namespace"], row["model"], row["version"]),
        stage=row["stage"],
        owner=row["owner"],
        tier=risks.RiskTier(row["risk_tier"]),
        exposure=row["exposure"],
        evaluated_at=row["evaluated_at"],
        revalidation_days=row["days"],
        due_at=row["due_at"],
        days_overdue=row["late"],
        score=-row["less_score"],
        findings=tuple(findings),
        planned_on=planned,
    )
