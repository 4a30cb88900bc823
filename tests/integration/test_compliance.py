"""Compliance reports: the statement ranks as the rule does, plans hold, and it goes by indexes."""

import datetime
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from support import relied_on, services

from modelkeep.domain import compliance, names, pages, risks
from modelkeep.storage import compliance as rows
from modelkeep.storage import database, migrations

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
ACME = names.NamespaceName("acme")
MODELS = 3000
TABLES = {"version", "evaluation", "stage_assignment", "deployment", "lineage_node", "signature"}


async def fill(url: str, models: int) -> None:
    """A namespace `acme` of so many models, each with a version."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO namespace (name, description, labels, creator)"
            " SELECT unnest(ARRAY['acme', 'other']), '', '{}', 'test'"
        )
        await connection.execute(relied_on.MODELS, "acme", models)
        await connection.execute(relied_on.NAMES)
        for statement in (relied_on.VERSIONS, relied_on.EVALUATIONS):
            await connection.execute(statement, NOW)
        await connection.execute(relied_on.STAGES)
        await connection.execute(relied_on.ENVIRONMENTS, "acme")
        for statement in (relied_on.DEPLOYMENTS, relied_on.SECOND_DEPLOYMENTS, "ANALYZE"):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def filled_url(postgres: Any, _template: str) -> Any:
    async with services.database(postgres, _template) as url:
        await fill(url, MODELS)
        yield url


@pytest.fixture
async def connection(filled_url: str) -> Any:
    """As the pool has them, which shows both namespaces."""
    db = await services.as_server(filled_url, "acme", "other")
    await db.execute("SET timezone = UTC")
    yield db
    await db.close()


async def whole(
    connection: database.Connection, size: int = 1000, **asked: Any
) -> tuple[list[compliance.Entry], compliance.Totals]:
    """All pages of a report."""
    question = compliance.Question(ACME, NOW, **asked)
    entries: list[compliance.Entry] = []
    after = ""
    while True:
        found = await rows.report(connection, question, NOW, pages.PageRequest(size, after))
        entries += [entry for _, entry in found.page.entries]
        if not found.page.more:
            return entries, found.totals
        as_of, after = compliance.resumed(found.page.entries[-1][0])
        assert as_of == NOW


def subject(entry: compliance.Entry) -> compliance.Subject:
    missing = len(set(entry.findings) - {compliance.Finding.OVERDUE})
    return compliance.Subject(entry.version, entry.tier, entry.exposure, entry.due_at, missing)


async def test_the_statement_ranks_as_the_rule_does(connection: database.Connection) -> None:
    entries, totals = await whole(connection, compliant=True, per_week=7)
    # In production a third, in staging a third, and deployed half of the rest.
    assert len(entries) == totals.versions == MODELS * 5 // 6
    keys = [compliance.rank_key(subject(entry), NOW) for entry in entries]
    assert keys == sorted(keys)
    assert [entry.rank for entry in entries] == list(range(1, len(entries) + 1))
    for entry in entries:
        assert entry.days_overdue == compliance.days_overdue(entry.due_at, NOW)
        assert entry.score == compliance.score(entry.tier, entry.exposure, entry.days_overdue)
        own = risks.REVALIDATION_DAYS[entry.tier]
        assert entry.revalidation_days in {10, own}
        if entry.evaluated_at:
            days = datetime.timedelta(entry.revalidation_days)
            assert entry.due_at == entry.evaluated_at + days
    assert {entry.exposure for entry in entries} == {0, 1, 2}
    assert {entry.stage for entry in entries} == {"production", "staging", "development"}
    overdue = [entry for entry in entries if entry.days_overdue]
    assert totals.overdue == len(overdue)
    for position, entry in enumerate(overdue):
        assert entry.planned_on == compliance.planned_on(position, 7, NOW)
    assert not any(entry.planned_on for entry in entries[len(overdue) :])


async def test_pages_put_together_are_the_report(connection: database.Connection) -> None:
    entries, _ = await whole(connection)
    assert (await whole(connection, 333))[0] == entries
    production, totals = await whole(connection, 100, stage="production", revalidation_days=1)
    assert {entry.stage for entry in production} == {"production"}
    assert totals.versions == MODELS // 3


async def test_only_what_was_so_then_counts(connection: database.Connection) -> None:
    then = NOW - datetime.timedelta(days=100)
    question = compliance.Question(ACME, then, compliant=True)
    found = await rows.report(connection, question, then, pages.PageRequest(1000))
    entries = [entry for _, entry in found.page.entries]
    assert 0 < found.totals.versions < MODELS * 5 // 6
    assert all(entry.evaluated_at is None or entry.evaluated_at <= then for entry in entries)
    empty = compliance.Question(names.NamespaceName("other"), NOW)
    nothing = await rows.report(connection, empty, NOW, pages.PageRequest())
    assert (list(nothing.page.entries), nothing.totals) == ([], compliance.Totals())
    everywhere = compliance.Question(None, NOW, compliant=True)
    all_of_them = await rows.report(connection, everywhere, NOW, pages.PageRequest(1))
    assert all_of_them.totals.versions == MODELS * 5 // 6


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


async def test_the_report_of_a_namespace_goes_by_its_indexes(
    connection: database.Connection,
) -> None:
    """Of a namespace with nothing in it, in a registry that is full, no table is read."""
    # So few rows, all of one namespace, would as well be read from end to end.
    await connection.execute("SET enable_seqscan = off")
    arguments = [NOW, "", 0, False, 51, *[None] * 8, "other"]
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {rows.IN_NAMESPACE}"
    plan = json.loads(await connection.fetchval(explain, *arguments))[0]["Plan"]
    used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert {"stage_assignment_relied_on", "deployment_relied_on"} <= used, used
    read = {
        node["Relation Name"]: node["Actual Rows"] * node["Actual Loops"]
        for node in nodes(plan)
        if node.get("Relation Name") in TABLES
    }
    assert max(read.values()) == 0, read


async def test_migrations_leave_the_tables_of_compliance(connection: database.Connection) -> None:
    assert any(one.name == "0023_compliance" for one in migrations.available())
    with pytest.raises(asyncpg.CheckViolationError, match="model_risk_tier_known"):
        await connection.execute("UPDATE model SET risk_tier = 'huge'")
    with pytest.raises(asyncpg.CheckViolationError, match="model_revalidation_days_in_range"):
        await connection.execute("UPDATE model SET revalidation_days = 9999")
