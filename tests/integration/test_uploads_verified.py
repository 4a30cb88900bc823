"""What becomes of an upload whose bytes are all durable."""

import asyncio
import dataclasses

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.domain import errors, uploads
from modelkeep.storage import database
from modelkeep.storage import upload_parts as part_rows
from modelkeep.storage import uploads as upload_rows

ACTIVE, COMMITTED = uploads.UploadState.ACTIVE, uploads.UploadState.COMMITTED
VERIFYING = uploads.UploadState.VERIFYING
PART, CHUNK = uploading.PART, uploading.CHUNK


@pytest.mark.parametrize("size", [100, 2 * PART], ids=["one-part", "two-parts"])
@pytest.mark.parametrize("in_order", [True, False])
async def test_bytes_of_another_digest_fail_and_leave_nothing(
    replica: uploading.Replica,
    db: database.Database,
    memory: memory_store.MemoryBlobStore,
    size: int,
    in_order: bool,
) -> None:
    content, wrong = uploading.content_of(size), uploading.content_of(size, seed=8)
    upload = await replica.start(content)
    if in_order or size < PART:
        await replica.write(upload.name, uploading.pieces_of(wrong))
    else:
        await replica.write(upload.name, uploading.pieces_of(wrong, PART))
        await replica.write(upload.name, uploading.pieces_of(wrong, 0, PART))
    for _ in range(2):
        with pytest.raises(errors.DataLoss) as caught:
            await replica.complete(upload.name)
        assert caught.value.reason == "DIGEST_MISMATCH"
    assert (await replica.get(upload.name)).state is uploads.UploadState.FAILED
    assert memory.objects == {}
    assert await replica.missing([upload.digest]) == (upload.digest,)
    with pytest.raises(errors.NotFound):
        await replica.read(upload.digest)
    async with db.connection() as connection:
        logged = await connection.fetchval("SELECT action FROM audit_event ORDER BY seq DESC")
        assert logged == "upload.failed"
        assert await connection.fetchval("SELECT count(*) FROM blob") == 0
    assert (await replica.push(content)).state is COMMITTED


async def test_two_uploads_of_one_digest_leave_one_blob_and_no_other_object(
    replica: uploading.Replica,
    other: uploading.Replica,
    db: database.Database,
    memory: memory_store.MemoryBlobStore,
) -> None:
    content = uploading.content_of(2 * PART)
    somebody = dataclasses.replace(uploading.CALLER, principal="somebody-else")
    one = await replica.start(content)
    two = await other.uploads.start(
        somebody, uploading.NOT_ONCE, uploading.ACME, uploading.described(content)
    )
    assert one.name != two.name
    await replica.write(one.name, uploading.pieces_of(content))
    await other.write(two.name, uploading.pieces_of(content))
    done = await asyncio.gather(replica.complete(one.name), other.complete(two.name))
    assert [upload.state for upload in done] == [COMMITTED, COMMITTED]
    async with db.connection() as connection:
        (row,) = await connection.fetch("SELECT storage_key FROM blob")
    assert list(memory.objects) == [row["storage_key"]]
    assert await replica.read(one.digest) == content


async def test_complete_called_many_times_at_once_commits_once(
    replica: uploading.Replica, other: uploading.Replica, db: database.Database
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content))
    await asyncio.gather(*(each.complete(upload.name) for each in (replica, other) * 4))
    assert (await replica.complete(upload.name)).state is COMMITTED
    async with db.connection() as connection:
        committed = await connection.fetchval(
            "SELECT count(*) FROM audit_event WHERE action = 'upload.committed'"
        )
    assert committed == 1


async def test_a_verification_whose_replica_died_is_taken_over(
    replica: uploading.Replica, db: database.Database
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content))
    async with db.connection() as connection:  # what a replica does before it dies
        await upload_rows.set_verifying(connection, upload.name)
        assert await upload_rows.claim_verification(connection, upload.name, 3600) is not None
    assert (await replica.complete(upload.name)).state is VERIFYING
    await replica.uploads.sweep()
    assert (await replica.get(upload.name)).state is VERIFYING
    async with db.connection() as connection:
        await connection.execute("UPDATE upload SET verifying_until = now() - interval '1 s'")
    await replica.uploads.sweep()
    # The look-up above also tried to take it over, and may have been the one to succeed.
    async with asyncio.timeout(20):
        while (await replica.get(upload.name)).state is VERIFYING:  # noqa: ASYNC110 - unsignalled
            await asyncio.sleep(0.01)
    assert (await replica.get(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content


async def test_a_verification_is_handed_over_when_its_replica_stops(
    db: database.Database, faulty: faulty_store.FaultyBlobStore, other: uploading.Replica
) -> None:
    settings = uploading.small_settings(verify_lease_s=3600, verify_wait_s=0)
    stopping = uploading.Replica(db, faulty, settings)
    content = uploading.content_of(3 * PART)
    upload = await stopping.start(content)
    await stopping.write(upload.name, uploading.pieces_of(content))
    faulty.hold("complete_multipart")  # for ever
    assert (await stopping.complete(upload.name)).state is VERIFYING
    await uploading.until(lambda: "complete_multipart" in faulty.calls)
    await stopping.uploads.close()
    assert (await other.complete(upload.name)).state is COMMITTED


async def test_a_long_verification_keeps_its_lease(
    db: database.Database, faulty: faulty_store.FaultyBlobStore, other: uploading.Replica
) -> None:
    settings = uploading.small_settings(verify_lease_s=0.3, verify_wait_s=0)
    slow = uploading.Replica(db, faulty, settings)
    content = uploading.content_of(2 * PART)
    upload = await slow.start(content)
    await slow.write(upload.name, uploading.pieces_of(content))
    gate = faulty.hold("complete_multipart")
    await slow.complete(upload.name)
    await asyncio.sleep(0.6)  # twice the lease
    await other.uploads.sweep()
    assert faulty.calls["complete_multipart"] == 1
    gate.set()
    assert (await slow.complete(upload.name)).state in (VERIFYING, COMMITTED)
    while (await slow.get(upload.name)).state is VERIFYING:
        pass
    assert (await slow.get(upload.name)).state is COMMITTED
    await slow.uploads.close()


@pytest.mark.parametrize(
    ("size", "operation"), [(PART, "put"), (2 * PART, "put_part")], ids=["one-part", "two-parts"]
)
async def test_an_upload_given_up_in_the_middle_of_a_stream(
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    memory: memory_store.MemoryBlobStore,
    size: int,
    operation: str,
) -> None:
    content = uploading.content_of(size)
    upload = await replica.start(content)
    gate = faulty.hold(operation)
    writing = asyncio.create_task(replica.write(upload.name, uploading.pieces_of(content)))
    await uploading.until(lambda: operation in faulty.calls)
    await replica.abort(upload.name)
    gate.set()
    with pytest.raises(errors.FailedPrecondition) as caught:
        await writing
    assert caught.value.reason == "UPLOAD_NOT_ACTIVE"
    assert memory.objects == {}
    assert memory.multiparts == {}


async def test_right_bytes_that_were_lost_do_not_vouch_for_wrong_ones_that_were_stored(
    replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore
) -> None:
    content = uploading.content_of(3 * PART)
    wrong = bytes(PART) + content[PART:]
    upload = await replica.start(content)
    faulty.fail("put_part")
    with pytest.raises(errors.Unavailable):
        await replica.write(upload.name, uploading.pieces_of(content, 0, PART))
    await replica.write(upload.name, uploading.pieces_of(wrong))
    with pytest.raises(errors.DataLoss) as caught:
        await replica.complete(upload.name)
    assert caught.value.reason == "DIGEST_MISMATCH"


async def test_parts_recorded_slowly_are_still_not_read_back(
    replica: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = part_rows.record

    async def slow(*arguments: object, **named: object) -> bool:
        await asyncio.sleep(0.05)  # time enough for both parts to be recorded at once
        return await real(*arguments, **named)

    monkeypatch.setattr(part_rows, "record", slow)
    assert (await replica.push(uploading.content_of(2 * PART))).state is COMMITTED
    assert "read" not in faulty.calls
