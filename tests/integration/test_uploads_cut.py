"""Streams that are cut, race each other, or say what is wrong."""

import asyncio
import dataclasses

import pytest
from support import faulty_store, memory_store, uploading

from modelkeep.domain import errors, uploads

ACTIVE, COMMITTED = uploads.UploadState.ACTIVE, uploads.UploadState.COMMITTED
VERIFYING = uploads.UploadState.VERIFYING
PART, CHUNK = uploading.PART, uploading.CHUNK


CUT_BYTES = 2 * PART + 3 * CHUNK + 5


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same-replica", "other-replica"])
async def test_a_stream_cut_at_any_chunk_goes_on_where_it_was(
    replica: uploading.Replica,
    other: uploading.Replica,
    memory: memory_store.MemoryBlobStore,
    elsewhere: bool,
) -> None:
    for chunks in range(1 + -(-CUT_BYTES // CHUNK)):
        memory.parts_put.clear()
        content = uploading.content_of(CUT_BYTES, seed=chunks)
        upload = await replica.start(content)
        pieces = uploading.pieces_of(content, finish=False)[:chunks]
        await replica.cut(upload.name, pieces)
        kept = (await replica.get(upload.name)).next_offset
        sent = sum(len(piece.content) for piece in pieces)
        assert kept == (sent if sent == CUT_BYTES else sent // PART * PART)
        second = other if elsewhere else replica
        assert (await second.start(content)).name == upload.name
        assert (await second.push(content)).state is COMMITTED
        assert await second.read(upload.digest) == content
        assert sorted(number for _, number in memory.parts_put) == [1, 2, 3]


async def test_parts_sent_out_of_order_are_read_back_before_they_are_committed(
    replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content, 2 * PART))
    await replica.write(upload.name, uploading.pieces_of(content, 0, 2 * PART))
    assert (await replica.complete(upload.name)).state is COMMITTED
    assert faulty.calls["read"] == 1
    assert await replica.read(upload.digest) == content


async def test_several_streams_fill_one_upload_together(replica: uploading.Replica) -> None:
    content = uploading.content_of(12 * PART + 1)
    upload = await replica.start(content)
    streams = [(0, 4 * PART), (4 * PART, 8 * PART), (8 * PART, len(content))]
    await asyncio.gather(
        *(replica.write(upload.name, uploading.pieces_of(content, *ends)) for ends in streams)
    )
    assert (await replica.complete(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content


async def test_a_part_that_is_durable_is_skipped_inside_a_stream(
    replica: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    content = uploading.content_of(4 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content, PART, 3 * PART))
    answers = await replica.write(upload.name, uploading.pieces_of(content))
    offsets = [answer.persisted_offset for answer in answers]
    assert offsets == [PART, 2 * PART, 3 * PART, 4 * PART, 4 * PART]
    assert sorted(number for _, number in memory.parts_put) == [1, 2, 3, 4]
    assert (await replica.complete(upload.name)).state is COMMITTED


async def test_the_later_of_two_streams_takes_the_part_and_the_earlier_is_aborted(
    replica: uploading.Replica, other: uploading.Replica
) -> None:
    content = uploading.content_of(2 * PART)
    upload = await replica.start(content)
    feed = uploading.Feed()
    pieces = uploading.pieces_of(content)
    feed.send(pieces[:2])
    early = asyncio.create_task(replica.write(upload.name, feed))
    # The memory is reserved after the part is claimed.
    await uploading.until(lambda: replica.uploads.memory.used_bytes == PART)
    await other.write(upload.name, pieces)
    feed.send(pieces[2:])
    with pytest.raises(errors.Aborted) as caught:
        await early
    assert caught.value.reason == "UPLOAD_PART_TAKEN"
    assert (await other.complete(upload.name)).state is COMMITTED
    assert await other.read(upload.digest) == content


@pytest.mark.parametrize("size", [PART, 2 * PART], ids=["one-part", "two-parts"])
async def test_a_stream_cannot_finish_a_part_that_a_later_one_has_begun(
    replica: uploading.Replica, other: uploading.Replica, size: int
) -> None:
    content, wrong = uploading.content_of(size), uploading.content_of(size, seed=8)
    upload = await replica.start(content)
    early, late = uploading.Feed(), uploading.Feed()
    right, bad = uploading.pieces_of(content), uploading.pieces_of(wrong, 0, PART)
    early.send(bad[:2])
    losing = asyncio.create_task(replica.write(upload.name, early))
    await uploading.until(lambda: replica.uploads.memory.used_bytes == PART)
    late.send(right[:2])
    winning = asyncio.create_task(other.write(upload.name, late))
    await uploading.until(lambda: other.uploads.memory.used_bytes == PART)
    early.send(bad[2:])
    with pytest.raises(errors.Aborted):
        await losing
    assert (await other.get(upload.name)).persisted == ()
    late.send(right[2:])
    await winning
    assert (await other.complete(upload.name)).state is COMMITTED
    assert await other.read(upload.digest) == content


@pytest.mark.parametrize("size", [PART, 2 * PART], ids=["one-part", "two-parts"])
async def test_the_bytes_of_a_stream_that_lost_its_part_never_count(
    replica: uploading.Replica,
    other: uploading.Replica,
    faulty: faulty_store.FaultyBlobStore,
    size: int,
) -> None:
    """The loser's bytes are wrong and reach the store last, after the winner is committed."""
    content, wrong = uploading.content_of(size), uploading.content_of(size, seed=8)
    upload = await replica.start(content)
    operation = "put" if size == PART else "put_part"
    gate = faulty.hold(operation)
    late = asyncio.create_task(replica.write(upload.name, uploading.pieces_of(wrong)))
    await uploading.until(lambda: operation in faulty.calls)
    await other.write(upload.name, uploading.pieces_of(content))
    if size == PART:
        assert (await other.complete(upload.name)).state is COMMITTED
    gate.set()
    with pytest.raises((errors.Aborted, errors.FailedPrecondition)):
        await late
    if size == PART:
        assert await other.read(upload.digest) == content
        return
    # The store keeps what was put last under a part's number, and its tag tells.
    with pytest.raises(errors.DataLoss):
        await other.complete(upload.name)
    assert (await other.get(upload.name)).state is uploads.UploadState.FAILED
    assert await other.missing([upload.digest]) == (upload.digest,)


async def test_a_wrong_checksum_drops_the_part_and_keeps_those_before_it(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    pieces = uploading.pieces_of(content)
    at = PART // CHUNK + 1
    damaged = dataclasses.replace(pieces[at], content=bytes(CHUNK))
    with pytest.raises(errors.DataLoss) as caught:
        await replica.write(upload.name, [*pieces[:at], damaged, *pieces[at + 1 :]])
    assert caught.value.reason == "CHUNK_CORRUPT"
    assert caught.value.metadata["offset"] == str(pieces[at].offset)
    assert (await replica.get(upload.name)).next_offset == PART
    assert (await replica.push(content)).state is COMMITTED


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(1, 0), (CHUNK, 0), (PART, 0), (PART + 1, 0), (3 * PART, 0), (10 * PART, 0)],
)
async def test_a_stream_begins_at_a_part_that_is_not_durable(
    replica: uploading.Replica, offset: int, expected: int
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    await replica.write(upload.name, uploading.pieces_of(content, PART, 2 * PART))
    with pytest.raises(errors.OutOfRange) as caught:
        await replica.write(upload.name, [uploads.Piece(None, offset, b"x")])
    assert caught.value.metadata["expected_offset"] == str(expected)


@pytest.mark.parametrize("wrong", [0, CHUNK - 1, CHUNK + 1, 2 * CHUNK])
async def test_a_stream_has_no_gaps(replica: uploading.Replica, wrong: int) -> None:
    content = uploading.content_of(PART)
    upload = await replica.start(content)
    first = uploading.pieces_of(content, 0, CHUNK, finish=False)
    with pytest.raises(errors.OutOfRange) as caught:
        await replica.write(upload.name, [*first, uploads.Piece(None, wrong, b"x")])
    assert caught.value.metadata["expected_offset"] == str(CHUNK)


async def test_bytes_beyond_the_declared_size_are_out_of_range(
    replica: uploading.Replica,
) -> None:
    content = uploading.content_of(2 * PART)
    upload = await replica.start(content)
    pieces = uploading.pieces_of(content + b"more")
    with pytest.raises(errors.OutOfRange) as caught:
        await replica.write(upload.name, pieces)
    assert caught.value.metadata["expected_offset"] == str(2 * PART)
    # What came before is durable and right.
    assert (await replica.complete(upload.name)).state is COMMITTED


async def test_a_stream_cannot_change_to_another_upload(replica: uploading.Replica) -> None:
    content = uploading.content_of(PART)
    one, two = await replica.start(content), await replica.start(content + b"x")
    piece = uploads.Piece(two.name, 0, b"x")
    with pytest.raises(errors.InvalidArgument, match="another upload"):
        await replica.write(one.name, [piece])
