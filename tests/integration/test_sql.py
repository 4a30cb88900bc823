"""Postgres itself checks the SQL: every statement is prepared, and hot reads keep their plans."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from support import services, statements

from modelkeep.domain import errors
from modelkeep.local import postgres as embedded
from modelkeep.storage import (
    aliases,
    blob_use,
    deliveries,
    delivering,
    diffs,
    event_compacting,
    event_log,
    files,
    garbage,
    histories,
    migrations,
    models,
    next_versions,
    reaping,
    resolving,
    rot,
    uploads,
    versions,
)


async def test_postgres_accepts_every_statement(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    refused = {}
    for name, statement in statements.all_of_them():
        try:
            await connection.prepare(statement)
        except asyncpg.PostgresError as error:
            refused[name] = str(error)
    await connection.close()
    assert refused == {}
    assert len(statements.all_of_them()) > 50


HOT = {
    "poll the event log": event_log.FIND_MOVED,
    "read the event log": event_log.READ_AFTER,
    "read the event log of models": event_log.READ_OF_MODELS,
    "find old events": event_compacting.LIST_OLD,
    "find what may be compacted": event_compacting.FIND_CUT,
    "find webhooks behind": delivering.LIST_BEHIND,
    "find a delivery that is due": delivering.LOCK_DUE,
    "claim a delivery": delivering.CLAIM,
    "plan deliveries": delivering.PLAN,
    "promote a delivery": deliveries.PROMOTE,
    "list deliveries": deliveries.LIST,
    "get version": versions.GET,
    "resolve alias": resolving.BY_ALIAS,
    "resolve stage": resolving.BY_STAGE,
    "resolve latest": resolving.BY_RANGE,
    "resolve digest": resolving.BY_DIGEST,
    "list versions": versions.LIST,
    "list models": models.LIST,
    "list files": files.LIST,
    "list aliases": aliases.LIST,
    "list alias history": histories.LIST_ALIASES,
    "list stage history": histories.LIST_STAGES,
    "list history": histories.LIST_EVENTS,
    "find the highest release": next_versions.FIND_HIGHEST_RELEASE,
    "find an intended draft": next_versions.FIND_INTENDED,
    "list files that differ": diffs.LIST_DIFFERING,
    "find a blob to re-read": rot.LOCK_DUE,
    "claim a blob to re-read": rot.CLAIM,
    "list exposed versions": rot.LIST_EXPOSED,
    "find blobs": files.FIND_BLOBS,
    "find blobs in use": blob_use.FIND,
    "lock blobs in use": blob_use.LOCK,
    "touch blobs": blob_use.TOUCH,
    "look for garbage": garbage.LOOK,
    "collect garbage": garbage.DELETE,
    "find orphans": reaping.FIND_ORPHANS,
    "list expired": reaping.LIST_EXPIRED,
    "list finished": reaping.LIST_FINISHED,
    "list open uploads": uploads.LIST_OPEN,
}
BIG_TABLES = {"version", "version_file", "alias_assignment", "stage_assignment", "blob", "model"}
BIG_TABLES |= {"upload", "audit_event"}


def scanned(plan: dict[str, object]) -> set[str]:
    """Tables that a plan reads from end to end."""
    own = {str(plan["Relation Name"])} if plan["Node Type"] == "Seq Scan" else set()
    return own.union(*(scanned(child) for child in plan.get("Plans", [])))  # type: ignore[attr-defined]


FILL = """
INSERT INTO namespace (name, description, labels, creator)
SELECT 'n' || n, '', '{}', 'x' FROM generate_series(1, 3) n;
INSERT INTO model (namespace_id, name, kind, owner, description, labels, creator)
SELECT 1, 'm' || n, 'model', '', '', '{}', 'x' FROM generate_series(1, 2000) n;
INSERT INTO version (namespace_id, model_id, ordinal, version, semver_key, prerelease, state,
    manifest_digest, finalized_at, content, labels, description, card, creator, create_client)
SELECT 1, 1 + n % 20, 1 + n / 20, '1.0.' || n / 20,
    '000000000000001.000000000000000.' || lpad((n / 20)::text, 15, '0') || '-~', false, 'ready',
    sha256(n::text::bytea), now(), '{}', '{}', '', '', 'x', 'x' FROM generate_series(0, 39999) n;
INSERT INTO stage_assignment (namespace_id, model_id, version_id, stage, reason, actor)
SELECT 1, model_id, version_id, CASE WHEN ordinal = 5 THEN 'production' ELSE 'development' END,
    '', 'x' FROM version;
INSERT INTO alias_assignment (namespace_id, model_id, alias, version_id, reason, actor)
SELECT 1, model_id, CASE WHEN ordinal = 5 THEN 'champion' ELSE 'a' || ordinal END, version_id,
    '', 'x' FROM version;
INSERT INTO blob (namespace_id, digest, size_bytes, storage_key, crc32c, creator)
SELECT 1, sha256(n::text::bytea), 1, 'k' || n, 0, 'x' FROM generate_series(0, 19999) n;
INSERT INTO upload (upload_id, namespace_id, digest, size_bytes, part_size_bytes, state,
    storage_key, creator, expires_at, finished_at)
SELECT md5(n::text), 1, sha256(n::text::bytea), 1, 1,
    CASE WHEN n % 200 = 0 THEN 'active' ELSE 'committed' END, 'k', 'x', now() + '7 days',
    CASE WHEN n % 200 = 0 THEN NULL ELSE now() END FROM generate_series(0, 19999) n;
INSERT INTO model_name (namespace_id, name, model_id) SELECT namespace_id, name, model_id FROM model
    ON CONFLICT DO NOTHING;
INSERT INTO audit_event (namespace_id, seq, occurred_at, actor, client, request_id, action,
    resource, after, prev_hash, hash)
SELECT 1, n, now(), 'x', 'x', 'x', 'alias.set', 'namespaces/n1/models/m' || n % 500 || '/aliases/a',
    '{}', sha256('0'), sha256('0') FROM generate_series(1, 20000) n;
INSERT INTO event_counter (namespace_id, last_seq, last_hash) SELECT 1, 20000, sha256('');
INSERT INTO event_log (namespace_id, seq, occurred_at, action, resource, payload)
SELECT 1, n, now(), 'model.updated', 'r' || n % 100, '{}' FROM generate_series(1, 20000) n;
INSERT INTO webhook (uid, namespace_id, url, description, filter, secret, cursor_seq, creator)
SELECT lpad(n::text, 16, '0'), 1, '', '', '{}', '', 20000, 'x' FROM generate_series(1, 3) n;
INSERT INTO webhook_delivery (webhook_id, seq, action, resource, state, finished_at)
SELECT 1, n, 'a', 'r' || n % 100, 'delivered', now() FROM generate_series(1, 19000) n;
INSERT INTO webhook_delivery (webhook_id, seq, action, resource, state, next_attempt_at)
SELECT 1, n, 'a', 'r' || n % 100, 'pending', CASE WHEN n <= 19100 THEN now() END
FROM generate_series(19001, 20000) n;
INSERT INTO evaluation (key, namespace_id, model_id, version_id, dataset_name, dataset_revision,
    suite, evaluator, run_at, actor, metric_count)
SELECT lpad(to_hex(n), 16, '0'), 1, 1 + n % 20, 1 + n, 'd', '1', 's', 'e', now(), 'x', 1
FROM generate_series(0, 19999) n;
ALTER TABLE version_file DISABLE TRIGGER USER;
INSERT INTO version_file (version_id, namespace_id, path, digest, size_bytes, media_type)
SELECT 1 + n % 5000, 1, 'f' || n, sha256(n::text::bytea), 1, 'x' FROM generate_series(0, 19999) n;
ANALYZE"""


@pytest.fixture(scope="module")
async def filled_url(postgres: embedded.Postgres, _template: str) -> AsyncIterator[str]:
    """A database that is filled once, for plans; nothing runs on it."""
    async with services.database(postgres, _template) as url:
        await services.execute(url, FILL)
        yield url


@pytest.mark.slow
async def test_hot_reads_scan_no_big_table(filled_url: str) -> None:
    connection = await services.as_server(filled_url, "n1")
    scans = {}
    for name, statement in HOT.items():
        parameters = (await connection.prepare(statement)).get_parameters()
        await connection.execute(f"PREPARE hot AS {statement}")
        call = f"hot({', '.join(['NULL'] * len(parameters))})"
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {call}"))
        await connection.execute("DEALLOCATE hot")
        scans[name] = scanned(plan[0]["Plan"]) & BIG_TABLES
    await connection.close()
    assert {name: tables for name, tables in scans.items() if tables} == {}


async def test_migrations_run_once_and_only_forward(empty_database_url: str) -> None:
    names = [migration.name for migration in migrations.available()]
    assert await migrations.migrate(empty_database_url) == names
    assert await migrations.migrate(empty_database_url) == []
    await migrations.require_current(empty_database_url)


async def test_migrations_from_many_replicas_at_once_run_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(migrations.migrate(empty_database_url) for _ in range(5)))
    assert sorted(map(len, applied)) == [0, 0, 0, 0, len(migrations.available())]


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        ("UPDATE schema_migration SET sha256 = 'x' WHERE number = 1", "differs"),
        ("INSERT INTO schema_migration (number, name, sha256) VALUES (9999, 'x', 'x')", "newer"),
        ("DELETE FROM schema_migration WHERE number = 1", "modelkeep migrate"),
    ],
)
async def test_a_database_that_is_not_ours_to_serve_is_refused(
    database_url: str, tamper: str, told: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(tamper)
    await connection.close()
    with pytest.raises(errors.FailedPrecondition, match=told):
        await migrations.require_current(database_url)


WALLED = BIG_TABLES | {"event_log", "version_metric", "version_label", "evaluation"}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


EXPLAIN = "EXPLAIN (FORMAT JSON) EXECUTE hot"


async def scans(connection: Any, statement: str) -> set[tuple[str, bool]]:
    """What a statement reads: a table from end to end, or an index, and whether by its key."""
    places = len((await connection.prepare(statement)).get_parameters())
    await connection.execute(f"PREPARE hot AS {statement}")
    values = f" ({', '.join(['NULL'] * places)})" if places else ""
    (plan,) = json.loads(await connection.fetchval(EXPLAIN + values))
    await connection.execute("DEALLOCATE hot")
    return {
        (node.get("Index Name", node.get("Relation Name")), "Index Cond" in node)
        for node in nodes(plan["Plan"])
        if node["Node Type"] == "Seq Scan" or "Index Name" in node
    }


@pytest.mark.slow
async def test_the_wall_takes_no_index_away(filled_url: str) -> None:
    """Postgres applies some operators behind the wall only; ADR 28 says what is done about it."""
    owner = await asyncpg.connect(filled_url, statement_cache_size=0)
    await owner.execute("SET plan_cache_mode = force_generic_plan")
    server = await services.as_server(filled_url, "n1")
    worse = {}
    for name, statement in statements.all_of_them():
        if name.startswith("migrations."):
            continue  # the owner's
        before, behind = await scans(owner, statement), await scans(server, statement)
        whole = {place for place, by_key in behind - before if not by_key and place in WALLED}
        by_nothing = {place for place, by_key in before if by_key} & {
            place for place, by_key in behind - before if not by_key
        }
        if whole | by_nothing:
            worse[name] = whole | by_nothing
    await owner.close()
    await server.close()
    assert worse == {}
