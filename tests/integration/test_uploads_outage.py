"""Uploads while the store or the database is away, memory is full, or the server drains."""

import asyncio
import contextlib

import pytest
from support import faulty_store, memory_store, services, uploading

from modelkeep.domain import errors, uploads
from modelkeep.storage import database
from modelkeep.storage import upload_parts as part_rows

ACTIVE, COMMITTED = uploads.UploadState.ACTIVE, uploads.UploadState.COMMITTED
VERIFYING = uploads.UploadState.VERIFYING
PART, CHUNK = uploading.PART, uploading.CHUNK


async def test_the_store_away_is_unavailable_and_the_upload_goes_on_later(
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    content = uploading.content_of(4 * PART)
    upload = await replica.start(content)
    faulty.fail("put_part", nth=2)
    with pytest.raises(errors.Unavailable):
        await replica.write(upload.name, uploading.pieces_of(content))
    assert (await replica.get(upload.name)).next_offset == PART
    assert replica.uploads.memory.used_bytes == 0
    assert (await replica.push(content)).state is COMMITTED
    assert await replica.read(upload.digest) == content
    assert sorted(number for _, number in memory.parts_put) == [1, 2, 3, 4]


@pytest.mark.parametrize("operation", ["start_multipart", "complete_multipart", "stat", "read"])
@pytest.mark.parametrize("done_before", [False, True], ids=["refused", "answer-lost"])
async def test_the_store_away_at_any_step_of_completing(
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    operation: str,
    done_before: bool,
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    if operation != "read":
        faulty.fail(operation, done_before=done_before)
    else:
        faulty.cut_read(PART if done_before else 0)

    async def send_all() -> None:  # in two pieces, so that it is read back
        await replica.write(upload.name, uploading.pieces_of(content, PART))
        await replica.write(upload.name, uploading.pieces_of(content, 0, PART))
        await replica.complete(upload.name)

    with pytest.raises(errors.Unavailable):
        await send_all()
    state = (await replica.get(upload.name)).state
    assert state is (ACTIVE if operation == "start_multipart" else VERIFYING)
    if state is ACTIVE:
        await replica.write(upload.name, uploading.pieces_of(content))
    assert (await replica.complete(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content


async def test_the_database_gone_between_a_part_and_its_row(
    replica: uploading.Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)

    async def gone(*_: object, **__: object) -> bool:
        raise errors.Unavailable("the database does not answer now; try again")

    with monkeypatch.context() as patch:
        patch.setattr(part_rows, "record", gone)
        with pytest.raises(errors.Unavailable):
            await replica.write(upload.name, uploading.pieces_of(content))
    assert (await replica.get(upload.name)).persisted == ()
    assert replica.uploads.memory.used_bytes == 0
    assert (await replica.push(content)).state is COMMITTED
    assert await replica.read(upload.digest) == content


async def test_a_row_written_but_its_answer_lost_is_no_proof_of_the_digest(
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    real = part_rows.record

    async def lossy(*arguments: object, **named: object) -> bool:
        await real(*arguments, **named)
        raise errors.Unavailable("the database does not answer now; try again")

    with monkeypatch.context() as patch:
        patch.setattr(part_rows, "record", lossy)
        with pytest.raises(errors.Unavailable):
            await replica.write(upload.name, uploading.pieces_of(content, 0, PART))
    assert (await replica.get(upload.name)).next_offset == PART
    assert (await replica.push(content)).state is COMMITTED
    assert faulty.calls["read"] == 1


async def test_the_connections_cut_by_the_database_in_the_middle_of_a_stream(
    replica: uploading.Replica, database_url: str
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    feed = uploading.Feed()
    pieces = uploading.pieces_of(content)
    feed.send(pieces[:5])
    writing = asyncio.create_task(replica.write(upload.name, feed))
    await uploading.until(lambda: not feed.unread)
    await services.execute(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    feed.send(pieces[5:])
    feed.end()
    with contextlib.suppress(errors.Unavailable):
        await writing
    for _ in range(8):  # each pooled connection may be a dead one
        with contextlib.suppress(errors.Unavailable):
            await replica.get(upload.name)
    assert (await replica.push(content)).state is COMMITTED
    assert await replica.read(upload.digest) == content


async def test_a_full_budget_stops_reading_and_goes_on_when_there_is_room(
    db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> None:
    replica = uploading.Replica(db, faulty, uploading.small_settings(memory_bytes=PART))
    one, two = uploading.content_of(PART, 1), uploading.content_of(PART, 2)
    first, second = await replica.start(one), await replica.start(two)
    gate = faulty.hold("put")
    storing = asyncio.create_task(replica.write(first.name, uploading.pieces_of(one)))
    await uploading.until(lambda: "put" in faulty.calls)
    feed = uploading.Feed()
    feed.send(uploading.pieces_of(two))
    waiting = asyncio.create_task(replica.write(second.name, feed))
    await uploading.until(lambda: replica.uploads.memory.waiting)
    unread = feed.unread
    await asyncio.sleep(0.05)
    assert feed.unread == unread == PART // CHUNK  # all but the one message it holds
    gate.set()
    await asyncio.gather(storing, waiting)
    assert replica.uploads.memory.used_bytes == 0
    assert (await replica.complete(second.name)).state is COMMITTED
    await replica.uploads.close()


async def test_streams_end_at_their_next_part_when_the_server_drains(
    replica: uploading.Replica, other: uploading.Replica
) -> None:
    content = uploading.content_of(4 * PART)
    upload = await replica.start(content)
    pieces = uploading.pieces_of(content)
    feed = uploading.Feed()
    feed.send(pieces[:6])
    writing = asyncio.create_task(replica.write(upload.name, feed))
    await uploading.until(lambda: not feed.unread)
    await asyncio.sleep(0.05)
    replica.draining.set()
    await asyncio.sleep(0.05)
    assert not writing.done()  # in the middle of part 2
    feed.send(pieces[6:])
    with pytest.raises(errors.Unavailable, match="draining") as caught:
        await writing
    assert caught.value.reason == "DRAINING"
    assert (await other.get(upload.name)).next_offset == 2 * PART
    assert (await other.push(content)).state is COMMITTED


async def test_an_idle_stream_between_parts_ends_at_once_when_the_server_drains(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(2 * PART)
    upload = await replica.start(content)
    feed = uploading.Feed()
    feed.send(uploading.pieces_of(content, 0, PART, finish=False))
    writing = asyncio.create_task(replica.write(upload.name, feed))
    while (await replica.get(upload.name)).next_offset != PART:  # each ask takes a while
        pass
    replica.draining.set()
    with pytest.raises(errors.Unavailable, match="draining"):
        await writing


async def test_a_stream_that_falls_silent_frees_its_memory(
    db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> None:
    replica = uploading.Replica(db, faulty, uploading.small_settings(stall_s=0.1))
    content = uploading.content_of(PART)
    upload = await replica.start(content)
    feed = uploading.Feed()
    feed.send(uploading.pieces_of(content)[:2])
    with pytest.raises(errors.Unavailable, match="nothing arrived"):
        await replica.write(upload.name, feed)
    assert replica.uploads.memory.used_bytes == 0
    await replica.uploads.close()


async def test_parts_that_the_store_lost_end_the_upload_and_a_new_one_succeeds(
    replica: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content, 0, PART))
    memory.multiparts.clear()
    with pytest.raises(errors.FailedPrecondition) as caught:
        await replica.write(upload.name, uploading.pieces_of(content, PART))
    assert caught.value.reason == "UPLOAD_LOST_BY_STORE"
    assert (await replica.get(upload.name)).state is uploads.UploadState.ABORTED
    assert (await replica.push(content)).state is COMMITTED


async def test_a_connection_that_is_lost_in_use_is_a_database_that_is_away(
    db: database.Database, database_url: str
) -> None:
    async def lose() -> None:
        async with db.connection() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await services.execute(database_url, f"SELECT pg_terminate_backend({pid})")
            await uploading.until(connection.is_closed)
            await database.show_admitted(connection)

    with pytest.raises(errors.Unavailable):
        await lose()
    await db.check()
