"""The reaper: expired uploads, old records, objects and multipart uploads that no row knows of."""

import asyncio
import datetime

import pytest
from support import faulty_store, memory_store, sealing, services, uploading

from modelkeep.blobs import store
from modelkeep.domain import errors, uploads
from modelkeep.service import hashing, reaping
from modelkeep.storage import database

PART = uploading.PART
SMALL, LARGE = uploading.content_of(1000), uploading.content_of(3 * PART)
ZERO, LONG = datetime.timedelta(0), datetime.timedelta(days=10)
EXPIRE = "UPDATE upload SET expires_at = now() - interval '1 second'"
AGE = "UPDATE upload SET finished_at = finished_at - interval '30 days'"
NOTHING = reaping.Reaped()


async def execute(db: database.Database, statement: str) -> None:
    async with db.connection() as connection:
        await connection.execute(statement)


async def count(db: database.Database, table: str) -> int:
    async with db.connection() as connection:
        number: int = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
    return number


@pytest.fixture
def reaper(db: database.Database, faulty: faulty_store.FaultyBlobStore) -> reaping.Reaper:
    return reaping.Reaper(db, faulty)


async def half(replica: uploading.Replica, content: bytes) -> uploads.Upload:
    """An upload of which only the first part, or nothing, is durable."""
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content, end=PART, finish=False))
    return upload


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["one part", "parts"])
async def test_an_expired_upload_is_given_up_and_what_it_stored_is_freed(
    db: database.Database,
    replica: uploading.Replica,
    memory: memory_store.MemoryBlobStore,
    reaper: reaping.Reaper,
    content: bytes,
) -> None:
    upload = await half(replica, content)
    assert memory.objects or memory.multiparts
    assert await reaper.round() == NOTHING
    await execute(db, EXPIRE)
    assert await reaper.round() == reaping.Reaped(expired=1)
    assert (memory.objects, memory.multiparts) == ({}, {})
    assert (await replica.get(upload.name)).state is uploads.UploadState.ABORTED
    async with db.connection() as connection:
        event = await connection.fetchrow("SELECT * FROM audit_event ORDER BY seq DESC LIMIT 1")
    assert (event["action"], event["actor"]) == ("upload.aborted", "system")
    assert '"expired"' in event["after"]
    assert await reaper.round() == NOTHING


async def test_an_upload_that_went_on_meanwhile_is_not_given_up(
    db: database.Database, replica: uploading.Replica, reaper: reaping.Reaper
) -> None:
    upload = await half(replica, LARGE)
    await execute(db, EXPIRE)
    async with db.transaction() as writing:
        await writing.execute("SELECT FROM upload FOR NO KEY UPDATE")
        reaping_it = asyncio.create_task(reaper.round())
        await waiting_for_a_lock(db)
        await writing.execute("UPDATE upload SET expires_at = now() + interval '1 day'")
    assert await reaping_it == NOTHING
    assert (await replica.get(upload.name)).state is uploads.UploadState.ACTIVE


async def waiting_for_a_lock(db: database.Database) -> None:
    statement = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    async with asyncio.timeout(20), services.owning(db) as connection:
        while not await connection.fetchval(statement):  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.005)


async def test_several_reapers_at_once_give_each_upload_up_once(
    db: database.Database, replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore
) -> None:
    for seed in range(10):
        await half(replica, uploading.content_of(2 * PART, seed))
    await execute(db, EXPIRE)
    reapers = [reaping.Reaper(db, faulty) for _ in range(3)]
    rounds = await asyncio.gather(*(reaper.round() for reaper in reapers))
    assert sum(done.expired for done in rounds) == 10
    await execute(db, AGE)
    rounds = await asyncio.gather(*(reaper.round() for reaper in reapers))
    assert sum(done.forgotten for done in rounds) == 10
    assert await count(db, "upload") == 0


async def test_a_round_is_bounded_and_the_next_goes_on(
    db: database.Database, replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore
) -> None:
    for seed in range(5):
        await replica.start(uploading.content_of(10, seed))
    await execute(db, EXPIRE)
    reaper = reaping.Reaper(db, faulty, reaping.Settings(expired=2))
    assert [(await reaper.round()).expired for _ in range(4)] == [2, 2, 1, 0]


async def test_records_of_finished_uploads_are_forgotten_but_their_blobs_stay(
    db: database.Database, replica: uploading.Replica, reaper: reaping.Reaper
) -> None:
    await replica.push(SMALL)
    await replica.push(LARGE)
    await replica.abort((await replica.start(b"given up")).name)
    active = await replica.start(b"active")
    await execute(db, AGE)
    assert await reaper.round() == reaping.Reaped(forgotten=3)
    assert (await replica.get(active.name)).state is uploads.UploadState.ACTIVE
    assert await replica.read(uploading.digest_of(LARGE)) == LARGE
    assert (await replica.push(SMALL)).state is uploads.UploadState.COMMITTED


async def test_a_record_that_is_answered_again_is_young_again(
    db: database.Database, replica: uploading.Replica, reaper: reaping.Reaper
) -> None:
    upload = await replica.push(SMALL)
    await execute(db, AGE)
    assert (await replica.start(SMALL)).name == upload.name
    assert await reaper.round() == NOTHING


async def test_what_the_store_kept_when_an_upload_was_given_up_goes_with_its_record(
    db: database.Database,
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    reaper: reaping.Reaper,
) -> None:
    upload = await half(replica, LARGE)
    faulty.fail("abort_multipart")
    with pytest.raises(errors.Unavailable):
        await replica.abort(upload.name)
    await memory.start_multipart(f"blobs/{upload.name.upload}")  # a second one, of no row's
    assert len(memory.multiparts) == 2
    await execute(db, AGE)
    assert (await reaper.round()).forgotten == 1
    assert memory.multiparts == {}


async def put(memory: memory_store.MemoryBlobStore, key: str) -> None:
    await memory.put(key, [b"x"], hashing.crc32c_of([b"x"]))


async def test_only_old_objects_that_no_row_knows_of_are_orphans(
    db: database.Database,
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    await replica.push(SMALL)
    await replica.push(LARGE)
    await half(replica, uploading.content_of(PART, seed=9))  # stored, not completed
    (known,) = [set(memory.objects)]
    open_upload = await replica.start(b"open")
    ours = f"blobs/{open_upload.name.upload}.7"
    await put(memory, ours)
    await put(memory, "blobs/" + "f" * 32)
    await put(memory, "blobs/" + "e" * 32 + ".3")
    await put(memory, "somebody/else")
    now = reaping.Reaper(db, faulty, reaping.Settings(orphan_grace=ZERO, listed=2))
    later = reaping.Reaper(db, faulty)
    assert await later.round() == NOTHING
    assert await now.round() == reaping.Reaped(objects=2)
    assert set(memory.objects) == known | {ours, "somebody/else"}
    assert await now.round() == NOTHING


async def test_objects_are_looked_through_a_bounded_number_of_pages_at_a_time(
    db: database.Database,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    for number in range(10):
        await put(memory, f"blobs/{number:032x}")
    settings = reaping.Settings(orphan_grace=ZERO, listed=2, pages=2)
    reaper = reaping.Reaper(db, faulty, settings)
    assert [(await reaper.round()).objects for _ in range(4)] == [4, 4, 2, 0]


async def test_multiparts_that_no_row_knows_of_are_aborted(
    db: database.Database,
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
) -> None:
    """As after a crash between the store's answer and the row."""
    upload = await half(replica, LARGE)
    (known,) = list(memory.multiparts)
    unwritten = await replica.start(uploading.content_of(3 * PART, seed=5))
    unrecorded = await memory.start_multipart(f"blobs/{unwritten.name.upload}")
    await memory.start_multipart(f"blobs/{upload.name.upload}")
    await memory.start_multipart("blobs/" + "f" * 32)
    foreign = await memory.start_multipart("somebody/else")
    assert await reaping.Reaper(db, faulty).round() == NOTHING
    settings = reaping.Settings(orphan_grace=ZERO, listed=2)
    assert await reaping.Reaper(db, faulty, settings).round() == reaping.Reaped(multiparts=2)
    assert set(memory.multiparts) == {known, unrecorded, foreign}
    await replica.write(upload.name, uploading.pieces_of(LARGE, PART))
    assert (await replica.complete(upload.name)).state is uploads.UploadState.COMMITTED


async def test_a_store_that_is_away_keeps_no_upload_from_expiring(
    db: database.Database,
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    reaper: reaping.Reaper,
) -> None:
    await replica.start(SMALL)
    await execute(db, EXPIRE)
    for operation in ("list_page", "list_multiparts"):
        faulty.fail(operation)
    assert await reaper.round() == reaping.Reaped(expired=1)


async def test_an_object_of_unknown_age_stays(
    db: database.Database, memory: memory_store.MemoryBlobStore
) -> None:
    class Ageless(faulty_store.FaultyBlobStore):
        async def list_page(self, prefix: str, after: str, limit: int) -> list[store.StoredObject]:
            page = await super().list_page(prefix, after, limit)
            return [store.StoredObject(found.key, found.size_bytes) for found in page]

    await put(memory, "blobs/" + "f" * 32)
    settings = reaping.Settings(orphan_grace=ZERO)
    assert await reaping.Reaper(db, Ageless(memory), settings).round() == NOTHING


async def test_answers_to_requests_are_forgotten_when_they_are_old(
    db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> None:
    insert = """INSERT INTO idempotency_key (principal, request_id, fingerprint, created_at)
    SELECT 'p', 'r-' || n, decode(repeat('00', 32), 'hex'), now() - n * interval '1 day'
    FROM generate_series(0, 9) n"""
    await execute(db, insert)
    settings = reaping.Settings(answers_kept=datetime.timedelta(days=4.5), answers=3)
    reaper = reaping.Reaper(db, faulty, settings)
    assert await reaper.round() == reaping.Reaped(answers=3)
    assert await reaper.round() == reaping.Reaped(answers=2)
    assert await reaper.round() == NOTHING
    async with db.connection() as connection:
        left = await connection.fetch("SELECT request_id FROM idempotency_key ORDER BY 1")
    assert [row["request_id"] for row in left] == ["r-0", "r-1", "r-2", "r-3", "r-4"]


class TestPurging:
    @pytest.fixture(autouse=True)
    async def gone(
        self,
        db: database.Database,
        replica: uploading.Replica,
        faulty: faulty_store.FaultyBlobStore,
    ) -> None:
        """A deleted version of one file."""
        sealer = sealing.Sealing(db, faulty)
        await sealer.make_model()
        await replica.push(SMALL)
        name = await sealer.draft(1)
        await sealer.seal(name, {"w.bin": SMALL})
        await sealer.delete(name)

    async def test_a_deleted_version_is_purged_when_its_time_is_over(
        self, db: database.Database, reaper: reaping.Reaper
    ) -> None:
        assert await reaper.round() == NOTHING
        await execute(db, "UPDATE version SET purge_at = now() - interval '1 second'")
        assert await reaper.round() == reaping.Reaped(purged=1)
        async with db.connection() as connection:
            state = await connection.fetchval("SELECT state FROM version")
            event = await connection.fetchrow("SELECT * FROM audit_event ORDER BY seq DESC LIMIT 1")
        assert state == "purged"
        assert (event["action"], event["actor"]) == ("version.purged", "system")
        assert await count(db, "version_file") == 0
        assert await reaper.round() == NOTHING

    async def test_one_that_is_restored_meanwhile_is_not(
        self, db: database.Database, reaper: reaping.Reaper
    ) -> None:
        await execute(db, "UPDATE version SET purge_at = now() - interval '1 second'")
        async with db.transaction() as writing:
            await writing.execute("SELECT FROM version FOR NO KEY UPDATE")
            reaping_it = asyncio.create_task(reaper.round())
            await waiting_for_a_lock(db)
            await writing.execute(
                "UPDATE version SET state = deleted_from, deleted_from = NULL, deleted_at = NULL, "
                "purge_at = NULL"
            )
        assert await reaping_it == NOTHING
        assert await count(db, "version_file") == 1
