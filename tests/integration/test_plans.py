"""The plans of hot reads and searches, on twenty thousand versions that look like a registry's.

Each goes by the index it is meant to, reads no big table from end to end, and sorts no more than
the few versions it was led to.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bench import scale_data
from support import services

from modelkeep.domain import filter_typing, filters, pages, refs, sight
from modelkeep.local import postgres as embedded
from modelkeep.storage import database, resolving, search, search_leads, search_sql, versions
from modelkeep.transport import filter_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
VERSIONS = 20_000
BIG = {"version", "version_metric", "version_label", "version_parameter", "version_file", "blob"}
BIG |= {"blob_facts", "stage_assignment", "version_dataset"}
NAMESPACE = search_sql.Scope(1)
IN_MODEL = search_sql.Scope(1, 1)


@pytest.fixture(scope="module")
async def filled_url(postgres: embedded.Postgres, _template: str) -> Any:
    """A database of this module's own, filled once."""
    async with services.database(postgres, _template) as url:
        await scale_data.load(url, VERSIONS)
        yield url


@pytest.fixture
async def filled(filled_url: str) -> Any:
    db = await database.Database.open(filled_url, 1)
    yield db
    await db.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scanned(plan: dict[str, Any]) -> set[str]:
    return {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"} & BIG


def indexes(plan: dict[str, Any]) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def sorted_rows(plan: dict[str, Any]) -> int:
    """Most rows that went into a sort."""
    sorts = [node for node in nodes(plan) if node["Node Type"] == "Sort"]
    return max((child["Actual Rows"] for node in sorts for child in node["Plans"]), default=0)


async def plan_of(
    connection: Any, text: str, order: str, scope: search_sql.Scope, after: str = ""
) -> dict[str, Any]:
    """What Postgres does for a page of a search."""
    await search.settle(connection, 60)
    in_model = scope.model_id is not None
    wanted = filters.Search(filter_text.parse(text), filter_typing.order(order, in_model=in_model))
    statement, arguments = await search.statement_of(
        connection, scope, wanted, pages.PageRequest(50, after)
    )
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
    found = json.loads(await connection.fetchval(explain, *arguments.values))
    plan: dict[str, Any] = found[0]["Plan"]
    return plan


SEARCHES = [
    ("", "", NAMESPACE, "version_in_namespace"),
    ("", "", IN_MODEL, "version_in_model"),
    ("", "create_time desc", NAMESPACE, "version_created"),
    ("", "update_time", NAMESPACE, "version_updated"),
    ("", "finalize_time desc", NAMESPACE, "version_finalized"),
    ("", "size desc", NAMESPACE, "version_by_size"),
    ("", "size", IN_MODEL, "version_by_size_in_model"),
    ("", "version desc", IN_MODEL, "version_by_precedence"),
    ("", "metrics.accuracy desc", NAMESPACE, "version_metric_by_value"),
    ("metrics.accuracy > 0.9", "metrics.accuracy desc", NAMESPACE, "version_metric_by_value"),
    ("metrics.accuracy > 0.9", "metrics.accuracy", IN_MODEL, "version_metric_in_model"),
    ("labels.team = team3 AND labels.region = eu", "", NAMESPACE, "version_label_by_value"),
    ("labels.run = run-00000016", "metrics.loss", NAMESPACE, "version_label_by_value"),
    ("stage = production", "", NAMESPACE, "version_by_stage"),
    ("source.commit = abc", "", NAMESPACE, "version_by_commit"),
    ("params.epochs = 7", "", NAMESPACE, "version_parameter_by_number"),
    ("datasets:data3@7", "", NAMESPACE, "version_dataset_by_name"),
    ("word1990", "", NAMESPACE, "version_by_words"),
]


@pytest.mark.parametrize(("text", "order", "scope", "index"), SEARCHES)
async def test_a_search_goes_by_its_index(
    filled: database.Database, text: str, order: str, scope: search_sql.Scope, index: str
) -> None:
    with sight.only("n1"):
        async with filled.transaction() as connection:
            plan = await plan_of(connection, text, order, scope)
    assert scanned(plan) == set()
    assert index in indexes(plan), indexes(plan)
    assert sorted_rows(plan) <= search_leads.FEW


@pytest.mark.parametrize(
    ("order", "index"),
    [
        ("", "version_in_model"),
        ("size desc", "version_by_size_in_model"),
        ("metrics.accuracy desc", "version_metric_in_model"),
    ],
)
@pytest.mark.parametrize("text", ["", "stage = development"])
async def test_a_search_among_models_reads_a_page_of_each_at_most(
    filled: database.Database, text: str, order: str, index: str
) -> None:
    """However many versions the namespace has, and they have."""
    among = search_sql.Scope(1, among=(1, 6))
    with sight.only("n1"):
        async with filled.transaction() as connection:
            plan = await plan_of(connection, text, order, among)
    assert scanned(plan) == set()
    assert index in indexes(plan), indexes(plan)
    assert plan["Actual Rows"] == 51
    assert sorted_rows(plan) <= 600  # of a small model, if that is cheaper
    assert next(rows_read(plan)) <= 4000


async def test_a_search_among_one_model_is_one_within_it(filled: database.Database) -> None:
    wanted = filters.Search(filters.EVERYTHING, filter_typing.order("size", in_model=False))
    first = pages.PageRequest(50)
    with sight.only("n1"):
        async with filled.transaction() as connection:
            within = await search.statement_of(connection, IN_MODEL, wanted, first)
            one = search_sql.Scope(1, among=(1,))
            among = await search.statement_of(connection, one, wanted, first)
    assert (within[0], within[1].values) == (among[0], among[1].values)


@pytest.mark.parametrize("order", ["", "create_time desc", "metrics.accuracy desc", "size"])
async def test_a_late_page_reads_no_more_than_the_first(
    filled: database.Database, order: str
) -> None:
    """Blocks, not time: they do not depend on who else is at work."""
    wanted = filters.Search(filters.EVERYTHING, filter_typing.order(order, in_model=False))
    with sight.only("n1"):
        async with filled.transaction() as connection:
            read = await read_by_page(connection, wanted, order)
    first, late = (number for number in read if number)
    assert late <= 2 * first


async def read_by_page(connection: Any, wanted: filters.Search, order: str) -> list[int]:
    """Rows read for the first and the last page, and 0 for those between."""
    await search.settle(connection, 60)
    after, read = "", []
    for _ in range(100):
        page = await search.list_page(connection, NAMESPACE, wanted, pages.PageRequest(50, after))
        after = page.entries[-1][0]
        if len(read) in {0, 98}:
            plan = await plan_of(connection, "", order, NAMESPACE, after)
            read.append(next(rows_read(plan)))
        else:
            read.append(0)
        if not page.more:
            break
    return read


def rows_read(plan: dict[str, Any]) -> Iterator[int]:
    """Rows that the scans below the limit gave or threw away."""
    scans = [node for node in nodes(plan) if "Index Name" in node]
    yield sum(
        int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
        for node in scans
    )


READS = {
    "GetVersion": (versions.GET, "version_semver_unique"),
    "many GetVersion": (versions.GET_MANY, "version_semver_unique"),
    "ListVersions": (versions.LIST, "version_ordinal_unique"),
    "ResolveVersion by stage": (resolving.BY_STAGE, "stage_assignment_history"),
    "ResolveVersion by range": (resolving.BY_RANGE, "version_newest"),
    "ResolveVersion by digest": (resolving.BY_DIGEST, "version_by_manifest"),
    "ResolveVersion by ordinal": (resolving.BY_NUMBER, "version_ordinal_unique"),
    "many by version": (resolving.MANY[refs.ByVersion], "version_semver_unique"),
    "many by range": (resolving.MANY[refs.ByRange], "version_newest"),
    "many by alias": (resolving.MANY[refs.ByAlias], "alias_assignment_history"),
    "many by stage": (resolving.MANY[refs.ByStage], "stage_assignment_history"),
    "many by digest": (resolving.MANY[refs.ByDigest], "version_by_manifest"),
    "many by ordinal": (resolving.MANY[refs.ByOrdinal], "version_ordinal_unique"),
}


@pytest.mark.parametrize("name", READS)
async def test_a_hot_read_goes_by_its_index(filled_url: str, name: str) -> None:
    statement, index = READS[name]
    connection = await services.as_server(filled_url, "n1")
    try:
        parameters = (await connection.prepare(statement)).get_parameters()
        await connection.execute(f"PREPARE hot AS {statement}")
        call = f"hot({', '.join(['NULL'] * len(parameters))})"
        found = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {call}"))
    finally:
        await connection.close()
    plan = found[0]["Plan"]
    assert scanned(plan) == set()
    assert index in indexes(plan), indexes(plan)


LOOK_UPS = {
    "latest": (resolving.BY_RANGE, ("n1", "model-0", "", "~", False)),
    "latest of all": (resolving.BY_RANGE, ("n1", "model-0", "", "~", True)),
    "stage of many": (resolving.BY_STAGE, ("n1", "model-0", "development")),
    "alias": (resolving.BY_ALIAS, ("n1", "model-0", "champion")),
    "many latest": (resolving.MANY[refs.ByRange], (["n1"], ["model-0"], [""], ["~"], [False])),
    "many stages": (resolving.MANY[refs.ByStage], (["n1"], ["model-0"], ["development"])),
    "many aliases": (resolving.MANY[refs.ByAlias], (["n1"], ["model-0"], ["champion"])),
}


@pytest.mark.parametrize("name", LOOK_UPS)
async def test_a_reference_is_found_without_reading_the_model(filled_url: str, name: str) -> None:
    """The model has thousands of versions, most of which fit; only the newest is looked for."""
    statement, arguments = LOOK_UPS[name]
    connection = await services.as_server(filled_url, "n1")
    try:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        found = json.loads(await connection.fetchval(explain, *arguments))
    finally:
        await connection.close()
    plan = found[0]["Plan"]
    assert plan["Actual Rows"] == 1
    assert next(rows_read(plan)) <= 100
    assert sorted_rows(plan) <= 100
