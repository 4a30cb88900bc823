"""Uploads against a real database: what goes right, and what is refused."""

import hashlib

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.domain import blobs, errors, names, uploads
from modelkeep.service import changes, hashing
from modelkeep.storage import database

ACTIVE, COMMITTED = uploads.UploadState.ACTIVE, uploads.UploadState.COMMITTED
PART, CHUNK = uploading.PART, uploading.CHUNK


async def actions(db: database.Database) -> list[str]:
    async with db.connection() as connection:
        rows = await connection.fetch("SELECT action FROM audit_event ORDER BY seq")
        logged = await connection.fetch("SELECT action FROM event_log ORDER BY seq")
    assert rows == logged
    return [row["action"] for row in rows if row["action"].startswith("upload.")]


@pytest.mark.parametrize(
    "size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 12_345], ids=str
)
async def test_a_blob_of_any_size_comes_back_as_it_was(
    replica: uploading.Replica, memory: memory_store.MemoryBlobStore, size: int
) -> None:
    content = uploading.content_of(size)
    upload = await replica.push(content)
    assert upload.state is COMMITTED
    assert upload.persisted == uploads.merged([uploads.ByteRange(0, size)])
    assert await replica.read(upload.digest) == content
    assert list(memory.objects.values()) == [content]
    assert memory.multiparts == {}


async def test_bytes_hashed_in_order_are_not_read_back(
    replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore
) -> None:
    upload = await replica.push(uploading.content_of(5 * PART + 3))
    assert upload.state is COMMITTED
    assert "read" not in faulty.calls


async def test_the_blob_row_has_the_checksum_of_the_whole(
    replica: uploading.Replica, db: database.Database
) -> None:
    content = uploading.content_of(4 * PART + 99)
    await replica.push(content)
    async with db.connection() as connection:
        row = await connection.fetchrow("SELECT * FROM blob")
    assert row["crc32c"] == hashing.crc32c_of([content])
    assert row["digest"] == hashlib.sha256(content).digest()
    assert row["size_bytes"] == len(content)


async def test_the_parts_become_durable_one_after_another(replica: uploading.Replica) -> None:
    content = uploading.content_of(3 * PART + 5)
    upload = await replica.start(content)
    answers = await replica.write(upload.name, uploading.pieces_of(content))
    ends = [PART, 2 * PART, 3 * PART, 3 * PART + 5]
    assert [answer.persisted_offset for answer in answers] == [*ends, ends[-1]]
    assert [answer.upload is None for answer in answers] == [True] * 4 + [False]
    final = answers[-1].upload
    assert final is not None
    assert final.persisted == (uploads.ByteRange(0, len(content)),)
    assert final.expires_at > upload.expires_at


async def test_chunks_may_cross_the_borders_of_parts_and_be_tiny(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(2 * PART + 77)
    upload = await replica.start(content)
    tiny = uploading.pieces_of(content, 0, 3000, chunk_bytes=7, finish=False)
    odd = uploading.pieces_of(content, 3000, chunk_bytes=50_001)
    await replica.write(upload.name, [*tiny, *odd])
    assert (await replica.complete(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content


async def test_closing_without_finish_stream_is_answered_the_same(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(2 * PART)
    upload = await replica.start(content)
    answers = await replica.write(upload.name, uploading.pieces_of(content, finish=False))
    assert answers[-1].upload is not None
    assert answers[-1].persisted_offset == 2 * PART


async def test_a_look_up_is_answered_at_once_and_needs_no_bytes(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(2 * PART)
    upload = await replica.start(content)
    ask = uploads.Piece(upload.name, 0, b"", state_lookup=True)
    answers = await replica.write(upload.name, [ask, ask])
    assert [answer.persisted_offset for answer in answers] == [0, 0, 0]
    assert answers[0].upload == upload
    await replica.push(content)
    (answer, _) = await replica.write(upload.name, [ask])
    assert answer.upload is not None
    assert answer.upload.state is COMMITTED


async def test_every_change_is_in_the_audit_log_and_in_the_event_log(
    replica: uploading.Replica, db: database.Database
) -> None:
    await replica.push(uploading.content_of(PART + 1))
    given_up = await replica.start(uploading.content_of(9))
    await replica.abort(given_up.name)
    assert await actions(db) == [
        "upload.started",
        "upload.committed",
        "upload.started",
        "upload.aborted",
    ]


async def test_start_gives_the_open_upload_back(replica: uploading.Replica) -> None:
    content = uploading.content_of(10)
    first = await replica.start(content)
    assert (await replica.start(content)).name == first.name
    await replica.abort(first.name)
    assert (await replica.start(content)).name != first.name


async def test_start_of_a_held_digest_answers_the_upload_that_brought_it(
    replica: uploading.Replica, db: database.Database
) -> None:
    content = uploading.content_of(10)
    brought = await replica.push(content)
    again = await replica.start(content)
    assert again == brought
    assert await actions(db) == ["upload.started", "upload.committed"]


async def test_start_of_a_digest_held_with_another_size_is_refused(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(10)
    await replica.push(content)
    wrong = blobs.Descriptor(uploading.digest_of(content), 11)
    with pytest.raises(errors.InvalidArgument, match="10 bytes"):
        await replica.uploads.start(uploading.CALLER, uploading.NOT_ONCE, uploading.ACME, wrong)


async def test_start_sent_twice_opens_one_upload_and_answers_its_present_state(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(2 * PART)
    once = changes.Once("retry-1", bytes(32))
    arguments = (uploading.CALLER, once, uploading.ACME, uploading.described(content))
    first = await replica.uploads.start(*arguments)
    await replica.write(first.name, uploading.pieces_of(content, 0, PART))
    second = await replica.uploads.start(*arguments)
    assert second.name == first.name
    assert second.next_offset == PART


async def test_an_upload_whose_lifetime_is_over_is_replaced(
    replica: uploading.Replica,
    db: database.Database,
    memory: memory_store.MemoryBlobStore,
) -> None:
    content = uploading.content_of(3 * PART)
    first = await replica.start(content)
    await replica.write(first.name, uploading.pieces_of(content, 0, PART))
    async with db.connection() as connection:
        await connection.execute("UPDATE upload SET expires_at = now() - interval '1 s'")
    second = await replica.start(content)
    assert second.name != first.name
    assert (await replica.get(first.name)).state is uploads.UploadState.ABORTED
    assert memory.multiparts == {}


async def test_complete_names_the_first_missing_range(replica: uploading.Replica) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content, PART, 2 * PART))
    with pytest.raises(errors.FailedPrecondition, match=f"bytes 0 to {PART}") as caught:
        await replica.complete(upload.name)
    assert caught.value.reason == "UPLOAD_INCOMPLETE"
    assert (await replica.get(upload.name)).state is ACTIVE


async def test_complete_is_idempotent(replica: uploading.Replica, db: database.Database) -> None:
    upload = await replica.push(uploading.content_of(2 * PART))
    assert await replica.complete(upload.name) == upload
    once = changes.Once("retry-2", bytes(32))
    for _ in range(2):
        assert await replica.uploads.complete(uploading.CALLER, once, upload.name) == upload
    assert (await actions(db)).count("upload.committed") == 1


async def test_abort_frees_what_was_stored_and_is_idempotent(
    replica: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    large, small = uploading.content_of(3 * PART), uploading.content_of(PART)
    for content in (large, small):
        upload = await replica.start(content)
        await replica.write(upload.name, uploading.pieces_of(content, 0, PART))
        for _ in range(2):
            assert (await replica.abort(upload.name)).state is uploads.UploadState.ABORTED
        with pytest.raises(errors.FailedPrecondition) as caught:
            await replica.write(upload.name, uploading.pieces_of(content))
        assert caught.value.reason == "UPLOAD_NOT_ACTIVE"
        with pytest.raises(errors.FailedPrecondition):
            await replica.complete(upload.name)
    assert memory.objects == {}
    assert memory.multiparts == {}


async def test_a_committed_upload_cannot_be_aborted(replica: uploading.Replica) -> None:
    upload = await replica.push(b"abc")
    with pytest.raises(errors.FailedPrecondition, match="committed"):
        await replica.abort(upload.name)
    assert await replica.read(upload.digest) == b"abc"


async def test_what_does_not_exist_is_not_found(replica: uploading.Replica) -> None:
    nothing = names.UploadName("acme", "0" * 32)
    elsewhere = names.NamespaceName("elsewhere")
    with pytest.raises(errors.NotFound):
        await replica.get(nothing)
    with pytest.raises(errors.NotFound):
        await replica.complete(nothing)
    with pytest.raises(errors.NotFound):
        await replica.abort(nothing)
    with pytest.raises(errors.NotFound):
        await replica.write(nothing, uploading.pieces_of(b"abc"))
    with pytest.raises(errors.NotFound):
        await replica.start(b"abc", elsewhere)
    with pytest.raises(errors.NotFound):
        await replica.missing([uploading.digest_of(b"abc")], elsewhere)
    with pytest.raises(errors.NotFound):
        await replica.read(uploading.digest_of(b"abc"))


async def test_missing_digests_are_named_once_in_the_order_asked(
    replica: uploading.Replica,
) -> None:
    held = (await replica.push(b"held")).digest
    one, two = uploading.digest_of(b"one"), uploading.digest_of(b"two")
    assert await replica.missing([two, held, one, two, held]) == (two, one)


async def test_another_namespace_does_not_tell_what_this_one_holds(
    replica: uploading.Replica, db: database.Database
) -> None:
    other = names.NamespaceName("other")
    await uploading.make_namespace(db, other)
    content = uploading.content_of(PART + 1)
    digest = (await replica.push(content)).digest
    assert await replica.missing([digest], other) == (digest,)
    upload = await replica.start(content, other)
    assert upload.state is ACTIVE
    with pytest.raises(errors.FailedPrecondition, match="lacks bytes"):
        await replica.complete(upload.name)
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM blob") == 1
    # Nor can the upload be reached through the other namespace's name.
    with pytest.raises(errors.NotFound):
        await replica.get(names.UploadName("acme", upload.name.upload))


@pytest.mark.parametrize(
    ("offset", "limit"), [(0, 0), (0, 1), (5, 0), (99_990, 100), (70_000, 5), (100_000, 0)]
)
async def test_a_range_is_read(replica: uploading.Replica, offset: int, limit: int) -> None:
    content = uploading.content_of(100_000)
    digest = (await replica.push(content)).digest
    end = offset + limit if limit else None
    assert await replica.read(digest, offset, limit) == content[offset:end]


async def test_reading_says_what_the_blob_is_even_without_bytes(
    replica: uploading.Replica,
) -> None:
    digest = (await replica.push(b"abc")).digest
    reading = replica.artifacts.read(
        uploading.CALLER, names.BlobName("acme", digest), blobs.Span(3)
    )
    (chunk,) = [chunk async for chunk in reading]
    assert chunk == blobs.Chunk(3, b"", 0, blobs.Descriptor(digest, 3))


async def test_reading_beyond_the_end_is_out_of_range(replica: uploading.Replica) -> None:
    digest = (await replica.push(b"abc")).digest
    with pytest.raises(errors.OutOfRange, match="3 bytes"):
        await replica.read(digest, 4)


async def test_a_blob_whose_object_is_gone_is_data_loss(
    replica: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    digest = (await replica.push(b"abc")).digest
    memory.objects.clear()
    with pytest.raises(errors.DataLoss, match="lost"):
        await replica.read(digest)
