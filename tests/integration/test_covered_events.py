"""What the event log's statement for some models shows is what the rule in the domain shows."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st
from support import services

from modelkeep.domain import subscriptions
from modelkeep.storage import event_log

PARTS = st.sampled_from(["namespaces", "n1", "models", "a", "b", "", "\n", "é", "versions", "%"])
RESOURCES = st.one_of(
    st.lists(PARTS, max_size=6).map("/".join),
    st.builds("namespaces/n1/models/{}{}".format, PARTS, st.sampled_from(["", "/", "/x", "\n"])),
)
ACTIONS = st.sampled_from(["alias.set", "lineage.added", "lineage", "x.lineage.", "model.moved"])
MODELS = ["namespaces/n1/models/a", "namespaces/n1/models/b", "namespaces/n1/models/"]
INTO_EVENT_LOG = """event_log (namespace_id, seq, occurred_at, action, resource, payload)
SELECT namespace_id, $1, now(), $2, $3, '{}'"""
INTO_AUDIT_LOG = """audit_event (namespace_id, seq, occurred_at, action, resource, actor, client,
request_id, prev_hash, hash)
SELECT namespace_id, $1, now(), $2, $3, 'x', '', '', sha256(''), sha256('')"""
EVENTS = st.lists(st.tuples(ACTIONS, RESOURCES), min_size=1, max_size=30)


async def happened(
    owner: asyncpg.Connection, events: Sequence[tuple[int, tuple[str, str]]]
) -> None:
    """Write events into both logs of `n1`, as a change does."""
    rows = [(number, *event) for number, event in events]
    for into in (INTO_EVENT_LOG, INTO_AUDIT_LOG):
        await owner.executemany(f"INSERT INTO {into} FROM namespace WHERE name = 'n1'", rows)


async def test_the_statement_and_the_rule_are_the_same(database_url: str) -> None:
    found: list[list[tuple[str, str]]] = []

    @settings(max_examples=60, database=None, deadline=None)
    @given(EVENTS)
    def collect(events: list[tuple[str, str]]) -> None:
        found.append(events)

    collect()
    events = [event for batch in found for event in batch]
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "INSERT INTO namespace (name, description, labels, creator) VALUES ('n1', '', '{}', 'x')"
    )
    await happened(owner, list(enumerate(events, 1)))
    namespace_id = await owner.fetchval("SELECT namespace_id FROM namespace WHERE name = 'n1'")
    await owner.close()
    connection = await services.as_server(database_url, "n1")
    shown, after = [], 0
    span = event_log.Span(namespace_id, 0, len(events) - 1)
    while page := await event_log.read_of_models(connection, span, after, MODELS):
        shown += [one.sequence for one in page]
        after = shown[-1]
    await connection.close()
    wanted = [
        number
        for number, event in enumerate(events[:-1], 1)
        if subscriptions.is_about_one_of(MODELS, *event)
    ]
    assert shown == wanted
    assert len(wanted) > 10


def rows_read(plan: dict[str, Any]) -> Iterator[float]:
    """Rows that each scan of a plan found, those that it then left out included."""
    if "Relation Name" in plan:
        found = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield found * plan["Actual Loops"]
    for child in plan.get("Plans", []):
        yield from rows_read(child)


async def test_a_page_reads_what_it_has_and_not_what_lies_between(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "INSERT INTO namespace (name, description, labels, creator) VALUES ('n1', '', '{}', 'x')"
    )
    count = 5000
    await happened(
        owner,
        [
            (number, ("alias.set", f"{MODELS[0 if number % 1000 == 0 else 1]}/aliases/x"))
            for number in range(1, count + 1)
        ],
    )
    await owner.execute("ANALYZE")
    await owner.close()
    connection = await services.as_server(database_url, "n1")
    arguments = f"1, 0, 200, 100000, {count}, ARRAY['{MODELS[0]}', 'namespaces/n1/models/was']"
    await connection.execute(f"PREPARE page AS {event_log.READ_OF_MODELS}")
    told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page({arguments})")
    await connection.close()
    plan = json.loads(told)[0]["Plan"]
    assert plan["Actual Rows"] == 5
    assert sum(rows_read(plan)) <= 4 * 5
