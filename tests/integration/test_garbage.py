"""Garbage collection: what goes, what stays and why, and what a crash in between leaves behind."""

import asyncio
import datetime

import pytest
from support import faulty_store, memory_store, sealing, services, uploading

from modelkeep.domain import errors, garbage, names, pages, uploads
from modelkeep.service import changes, collecting, reaping
from modelkeep.storage import database

AT_ONCE = pages.PageRequest(100)
LONG_AGO = "UPDATE blob SET touched_at = now() - interval '30 days'"
A, B, C = (uploading.content_of(100, seed) for seed in (1, 2, 3))


@pytest.fixture
def collector(db: database.Database, faulty: faulty_store.FaultyBlobStore) -> collecting.Collecting:
    return collecting.Collecting(db, faulty)


@pytest.fixture
async def sealer(db: database.Database, faulty: faulty_store.FaultyBlobStore) -> sealing.Sealing:
    sealer = sealing.Sealing(db, faulty)
    await sealer.make_model()
    return sealer


async def execute(db: database.Database, statement: str) -> None:
    async with db.connection() as connection:
        await connection.execute(statement)


async def collect(
    collector: collecting.Collecting,
    *,
    dry_run: bool = False,
    request_id: str = "",
    page: pages.PageRequest = AT_ONCE,
) -> garbage.Sweep:
    once = changes.Once(request_id, b"x" * 32)
    return await collector.collect(uploading.CALLER, once, uploading.ACME, page, dry_run=dry_run)


def digests(sweep: garbage.Sweep) -> set[str]:
    return {blob.digest for blob in sweep.found}


async def actions(db: database.Database) -> list[tuple[str, str]]:
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT action, resource FROM audit_event ORDER BY seq")
    return [(row["action"], row["resource"]) for row in rows]


async def test_a_blob_nobody_refers_to_goes_with_its_object_and_an_event(
    db: database.Database,
    replica: uploading.Replica,
    memory: memory_store.MemoryBlobStore,
    collector: collecting.Collecting,
) -> None:
    upload = await replica.push(A)
    await execute(db, LONG_AGO)
    told = await collect(collector, dry_run=True)
    assert [blob.digest for blob in told.found] == [uploading.digest_of(A)]
    assert told.found[0].size_bytes == 100
    assert len(memory.objects) == 1
    assert await replica.missing([uploading.digest_of(B)]) == (uploading.digest_of(B),)
    assert await collect(collector) == told
    assert memory.objects == {}
    name = str(names.BlobName("acme", uploading.digest_of(A)))
    assert (await actions(db))[-1] == ("blob.collected", name)
    assert await replica.missing([uploading.digest_of(A)]) == (uploading.digest_of(A),)
    with pytest.raises(errors.NotFound):
        await replica.get(upload.name)  # its record would promise what is gone
    await replica.push(A)
    assert await replica.read(uploading.digest_of(A)) == A


async def test_files_of_sealed_and_of_deleted_versions_stay(
    db: database.Database,
    replica: uploading.Replica,
    sealer: sealing.Sealing,
    collector: collecting.Collecting,
) -> None:
    for content in (A, B, C):
        await replica.push(content)
    kept, deleted = await sealer.draft(1), await sealer.draft(2)
    await sealer.seal(kept, {"a": A})
    await sealer.seal(deleted, {"b": B})
    await sealer.delete(deleted)
    await execute(db, LONG_AGO)
    assert digests(await collect(collector)) == {uploading.digest_of(C)}
    await sealer.restore(deleted)
    assert await replica.read(uploading.digest_of(B)) == B
    assert await replica.read(uploading.digest_of(A)) == A


@pytest.mark.parametrize("way", ["find missing", "start upload", "push again"])
async def test_who_was_told_that_a_blob_is_there_has_the_grace_period_to_seal_it(
    db: database.Database,
    replica: uploading.Replica,
    sealer: sealing.Sealing,
    collector: collecting.Collecting,
    way: str,
) -> None:
    await replica.push(A)
    await replica.push(B)
    await execute(db, LONG_AGO)
    if way == "find missing":
        assert await replica.missing([uploading.digest_of(A)]) == ()
    elif way == "start upload":
        await replica.start(A)
    else:
        await replica.push(A)
    assert digests(await collect(collector)) == {uploading.digest_of(B)}
    await sealer.seal(await sealer.draft(1), {"a": A})


async def test_telling_it_again_within_the_hour_writes_nothing(
    db: database.Database, replica: uploading.Replica
) -> None:
    await replica.push(A)
    await execute(db, "UPDATE blob SET touched_at = now() - interval '59 minutes'")
    await replica.missing([uploading.digest_of(A)])
    assert await touched(db) > datetime.timedelta(minutes=58)
    await execute(db, "UPDATE blob SET touched_at = now() - interval '61 minutes'")
    await replica.missing([uploading.digest_of(A)])
    assert await touched(db) < datetime.timedelta(minutes=1)


async def touched(db: database.Database) -> datetime.timedelta:
    async with db.connection() as connection:
        ago: datetime.timedelta = await connection.fetchval("SELECT now() - touched_at FROM blob")
    return ago


def test_the_grace_is_shortened_by_a_quarter_at_most() -> None:
    hour = datetime.timedelta(hours=1)
    assert garbage.touch_after(garbage.GRACE) == hour
    assert garbage.touch_after(2 * hour) == hour / 2


async def test_a_blob_that_an_open_upload_brings_again_stays(
    db: database.Database,
    replica: uploading.Replica,
    collector: collecting.Collecting,
) -> None:
    name = await _opened_before_the_blob_was_there(db, replica)
    assert digests(await collect(collector)) == set()
    await replica.abort(name)
    assert digests(await collect(collector)) == {uploading.digest_of(A)}


async def test_whose_upload_finds_the_blob_there_has_the_grace_period_too(
    db: database.Database,
    replica: uploading.Replica,
    collector: collecting.Collecting,
) -> None:
    name = await _opened_before_the_blob_was_there(db, replica)
    await replica.write(name, uploading.pieces_of(A))
    assert (await replica.complete(name)).state is uploads.UploadState.COMMITTED
    assert digests(await collect(collector)) == set()


async def _opened_before_the_blob_was_there(
    db: database.Database, replica: uploading.Replica
) -> names.UploadName:
    """An open upload of a blob that somebody else's upload brought long ago."""
    upload = await replica.start(A)
    await execute(db, "UPDATE upload SET creator = 'somebody else'")
    await replica.push(A)
    await execute(db, LONG_AGO)
    return upload.name


async def test_a_version_being_sealed_at_that_moment_keeps_its_blobs(
    db: database.Database, replica: uploading.Replica, collector: collecting.Collecting
) -> None:
    await replica.push(A)
    await execute(db, LONG_AGO)
    async with db.transaction() as sealing_it:
        await sealing_it.execute("SELECT FROM blob FOR KEY SHARE")  # as finalize does
        assert digests(await collect(collector, dry_run=True)) == {uploading.digest_of(A)}
        assert digests(await collect(collector)) == set()
    assert digests(await collect(collector)) == {uploading.digest_of(A)}


async def test_who_asks_while_a_blob_is_collected_is_told_that_it_is_missing(
    db: database.Database, replica: uploading.Replica
) -> None:
    await replica.push(A)
    await execute(db, LONG_AGO)
    async with db.transaction() as collecting_it:
        await collecting_it.execute("SELECT FROM blob FOR UPDATE")
        asking = asyncio.create_task(replica.missing([uploading.digest_of(A)]))
        await waiting_for_a_lock(db)
        assert not asking.done()
        await collecting_it.execute("DELETE FROM blob")
    assert await asking == (uploading.digest_of(A),)


async def waiting_for_a_lock(db: database.Database) -> None:
    statement = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with asyncio.timeout(20), services.owning(db) as connection:
        while not await connection.fetchval(statement):  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.005)


async def test_a_crash_between_row_and_object_leaves_what_the_reaper_finds(
    db: database.Database,
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    collector: collecting.Collecting,
) -> None:
    await replica.push(A)
    await execute(db, LONG_AGO)
    faulty.fail("delete")
    assert digests(await collect(collector)) == {uploading.digest_of(A)}
    assert len(memory.objects) == 1
    now = reaping.Settings(orphan_grace=datetime.timedelta(0))
    assert (await reaping.Reaper(db, faulty, now).round()).objects == 1
    assert memory.objects == {}


async def test_a_repeated_request_answers_the_same_and_removes_no_more(
    db: database.Database, replica: uploading.Replica, collector: collecting.Collecting
) -> None:
    await replica.push(A)
    await execute(db, LONG_AGO)
    first = await collect(collector, request_id="r")
    await replica.push(B)
    await execute(db, LONG_AGO)
    assert await collect(collector, request_id="r") == first
    assert digests(await collect(collector, request_id="s")) == {uploading.digest_of(B)}


async def test_pages_come_by_digest_and_end(
    db: database.Database, replica: uploading.Replica, collector: collecting.Collecting
) -> None:
    contents = [uploading.content_of(10, seed) for seed in range(7)]
    for content in contents:
        await replica.push(content)
    await execute(db, LONG_AGO)
    found: list[str] = []
    sweep = await collect(collector, page=pages.PageRequest(3))
    while sweep.more:
        found += [blob.digest for blob in sweep.found]
        sweep = await collect(collector, page=pages.PageRequest(3, sweep.reached))
    found += [blob.digest for blob in sweep.found]
    assert found == sorted(uploading.digest_of(content) for content in contents)


async def test_another_namespaces_blob_of_the_same_digest_is_its_own(
    db: database.Database,
    replica: uploading.Replica,
    memory: memory_store.MemoryBlobStore,
    collector: collecting.Collecting,
) -> None:
    other = names.NamespaceName("other")
    await uploading.make_namespace(db, other)
    await replica.push(A)
    await replica.push(A, other)
    await execute(db, LONG_AGO)
    assert digests(await collect(collector)) == {uploading.digest_of(A)}
    assert len(memory.objects) == 1
    assert await replica.missing([uploading.digest_of(A)], other) == ()
