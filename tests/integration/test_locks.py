"""Nobody waits in a ring: rows are locked in one order, and apart from being written."""

import asyncio
import datetime
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from support import faulty_store, statements, uploading

from modelkeep.domain import uploads
from modelkeep.storage import database, upload_parts

AT_ONCE = datetime.timedelta(0)
LOCKS = re.compile(r"\bFOR (NO KEY UPDATE|UPDATE|SHARE|KEY SHARE)\b")
WRITES = re.compile(r"\b(INSERT INTO|UPDATE \w+ (\w+ )?SET|DELETE FROM)\b")
IN_ONE_STATEMENT = {
    "deliveries.FORGET": "those who attempt or redeliver never touch what was finished so long ago",
    "facts.INSERT": "writes other rows than it locks",
    "purging.FORGET_ANSWERS": "no foreign key refers to the table",
}


def test_no_statement_writes_the_rows_that_it_locks() -> None:
    locking = [(name, text) for name, text in statements.all_of_them() if LOCKS.search(text)]
    assert {name for name, text in locking if WRITES.search(text)} == IN_ONE_STATEMENT.keys()


def test_whoever_locks_many_rows_says_in_which_order() -> None:
    many = [
        (name, text)
        for name, text in statements.all_of_them()
        if LOCKS.search(text) and ("= ANY" in text or "LIMIT" in text)
    ]
    assert len(many) > 5
    assert [name for name, text in many if "ORDER BY" not in text] == []


@pytest.fixture
async def connections(database_url: str) -> AsyncIterator[list[asyncpg.Connection]]:
    opened = [await asyncpg.connect(database_url) for _ in range(3)]
    yield opened
    for connection in opened:
        await connection.close()


async def wait_behind_each_other(
    connections: list[asyncpg.Connection],
    hold: str,
    update: str,
    calls: list[Callable[[], Awaitable[object]]],
) -> list[object]:
    """What the calls answer that wait, one behind the other, for a row that is being updated.

    Somebody else has made sure before that it stays, and still does when they go on: so the row
    as it was before the update is, to Postgres, still in use.
    """
    watching, holding, updating = connections
    async with holding.transaction():
        await holding.execute(hold)
        async with updating.transaction():
            await updating.execute(update)
            waiting = []
            for call in calls:
                waiting.append(asyncio.ensure_future(call()))
                await until_waiting(watching, len(waiting))
        return await asyncio.gather(*waiting)


async def until_waiting(connection: asyncpg.Connection, count: int) -> None:
    count_them = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(20):
        while await connection.fetchval(count_them) < count:  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.002)  # nobody signals that a connection waits


async def test_who_asks_for_a_blob_that_others_ask_for_waits_in_no_ring(
    db: database.Database,
    faulty: faulty_store.FaultyBlobStore,
    connections: list[asyncpg.Connection],
) -> None:
    replica = uploading.Replica(db, faulty, uploading.small_settings(touch_after=AT_ONCE))
    content = uploading.content_of(100)
    await replica.push(content)
    answers = await wait_behind_each_other(
        connections,
        "SELECT FROM blob FOR KEY SHARE",  # as whoever seals a version with it
        "UPDATE blob SET touched_at = touched_at - interval '1 second'",
        [lambda: replica.missing([uploading.digest_of(content)])] * 3,
    )
    assert answers == [(), (), ()]
    await replica.uploads.close()


async def test_streams_that_make_parts_durable_at_once_wait_in_no_ring(
    db: database.Database,
    faulty: faulty_store.FaultyBlobStore,
    connections: list[asyncpg.Connection],
) -> None:
    replica = uploading.Replica(db, faulty)
    upload = await replica.start(uploading.content_of(4 * uploading.PART))
    async with db.connection() as connection:
        for number in (1, 2, 3):
            claim = await upload_parts.claim(connection, upload.name, number, number)
            assert claim is upload_parts.Claim.OURS

    def recording(number: int) -> Callable[[], Awaitable[bool]]:
        async def record() -> bool:
            part = upload_parts.Part(number, 0, "tag")
            async with db.connection() as connection:
                return await upload_parts.record(
                    connection, upload.name, number, part, storage_key="blobs/x"
                )

        return record

    answers = await wait_behind_each_other(
        connections,
        "SELECT FROM upload FOR KEY SHARE",  # as whoever claims another part
        "UPDATE upload SET last_stream = last_stream + 1",
        [recording(1), recording(2), recording(3)],
    )
    assert answers == [True, True, True]
    assert (await replica.get(upload.name)).state is uploads.UploadState.ACTIVE
    await replica.uploads.close()
