"""What the event log's statement for some models shows is what the rule in the domain shows."""

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
EVENTS = st.lists(st.tuples(ACTIONS, RESOURCES), min_size=1, max_size=30)


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
    await owner.executemany(
        "INSERT INTO event_log (namespace_id, seq, occurred_at, action, resource, payload) "
        "SELECT namespace_id, $1, now(), $2, $3, '{}' FROM namespace WHERE name = 'n1'",
        [(number, *event) for number, event in enumerate(events, 1)],
    )
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
