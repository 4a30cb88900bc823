"""One file in several streams: over one server, over two, cut, and against another client."""

import asyncio
import os
from pathlib import Path

import pytest
from support import faulty_store, memory_store, server_process, uploading

from modelkeep import client
from modelkeep import config as configuration
from modelkeep.domain import errors, uploads
from modelkeep.service import upload_parts
from modelkeep.storage import database

MIB = 1024 * 1024
PART, CHUNK = uploading.PART, uploading.CHUNK
CHUNKS = PART // CHUNK
COMMITTED = uploads.UploadState.COMMITTED


async def write_part(
    replica: uploading.Replica, upload: uploads.Upload, content: bytes, start: int
) -> None:
    pieces = uploading.pieces_of(content, start, min(start + PART, len(content)))
    await replica.write(upload.name, pieces)


async def write_parts(
    replicas: list[uploading.Replica], upload: uploads.Upload, content: bytes, streams: int
) -> None:
    """As the client does: each stream takes the next part; they are spread over the replicas."""
    starts = iter(range(0, len(content), PART))

    async def stream(replica: uploading.Replica) -> None:
        for start in starts:
            await write_part(replica, upload, content, start)

    await asyncio.gather(*(stream(replicas[n % len(replicas)]) for n in range(streams)))


@pytest.mark.parametrize("streams", [2, 3, 8])
async def test_parts_of_several_streams_are_hashed_as_they_come(
    replica: uploading.Replica, faulty: faulty_store.FaultyBlobStore, streams: int
) -> None:
    content = uploading.content_of(20 * PART + 5)
    upload = await replica.start(content)
    await write_parts([replica], upload, content, streams)
    assert (await replica.complete(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content
    assert faulty.calls["read"] == 1  # ours; nothing was read back


async def test_streams_over_two_replicas_fill_one_upload(
    replica: uploading.Replica, other: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    content = uploading.content_of(10 * PART + 5)
    upload = await replica.start(content)
    await write_parts([replica, other], upload, content, 4)
    assert (await other.complete(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content
    assert sorted(number for _, number in memory.parts_put) == list(range(1, 12))


async def test_one_of_two_streams_is_cut_at_every_chunk_of_ten_parts(
    replica: uploading.Replica, memory: memory_store.MemoryBlobStore
) -> None:
    for cut_at in range(10 * CHUNKS):
        memory.parts_put.clear()
        content = uploading.content_of(10 * PART, seed=cut_at)
        upload = await replica.start(content)
        starts = iter(range(0, len(content), PART))
        part, chunk = divmod(cut_at, CHUNKS)

        async def stream() -> None:
            for start in starts:  # noqa: B023 - awaited within the round
                if start == part * PART:  # noqa: B023 - the same
                    whole = uploading.pieces_of(content, start, start + PART, finish=False)  # noqa: B023
                    await replica.cut(upload.name, whole[:chunk])  # noqa: B023
                await write_part(replica, upload, content, start)  # noqa: B023

        async with asyncio.timeout(60):
            await asyncio.gather(stream(), stream())
        assert (await replica.complete(upload.name)).state is COMMITTED
        assert await replica.read(upload.digest) == content
        assert sorted(number for _, number in memory.parts_put) == list(range(1, 11))
        assert replica.uploads.memory.used_bytes == 0


async def test_eight_streams_never_hold_more_than_the_budget(
    db: database.Database, memory: memory_store.MemoryBlobStore
) -> None:
    settings = uploading.small_settings(memory_bytes=3 * PART)
    small = uploading.Replica(db, memory, settings)
    reserved = small.uploads.memory
    most = 0
    release = reserved.release

    def watch(size_bytes: int) -> None:
        nonlocal most
        most = max(most, reserved.used_bytes)
        release(size_bytes)

    reserved.release = watch  # type: ignore[method-assign]
    content = uploading.content_of(30 * PART)
    upload = await small.start(content)
    async with asyncio.timeout(60):
        await write_parts([small], upload, content, 8)
    assert (await small.complete(upload.name)).state is COMMITTED
    assert await small.read(upload.digest) == content
    assert PART < most <= 3 * PART
    assert reserved.used_bytes == 0
    await small.uploads.close()


async def test_a_stream_that_stalls_delays_the_others_by_no_more_than_their_patience(
    db: database.Database, faulty: faulty_store.FaultyBlobStore
) -> None:
    patience = upload_parts.running_digests.Patience(arriving_s=0.05, coming_s=0.05)
    quick = uploading.Replica(db, faulty, uploading.small_settings(patience=patience))
    content = uploading.content_of(4 * PART)
    upload = await quick.start(content)
    feed = uploading.Feed()
    feed.send(uploading.pieces_of(content, 0, CHUNK, finish=False))
    stalled = asyncio.create_task(quick.write(upload.name, feed))
    await uploading.until(lambda: quick.uploads.memory.used_bytes == PART)
    async with asyncio.timeout(20):
        for start in (PART, 2 * PART, 3 * PART):
            await write_part(quick, upload, content, start)
    assert not stalled.done()
    feed.send(uploading.pieces_of(content, CHUNK, PART))
    await stalled
    assert (await quick.complete(upload.name)).state is COMMITTED
    assert faulty.calls["read"] == 1  # what could not be hashed in order was read back
    assert await quick.read(upload.digest) == content
    await quick.uploads.close()


async def test_of_two_that_write_one_part_the_later_wins_and_the_earlier_is_told(
    replica: uploading.Replica, other: uploading.Replica
) -> None:
    content = uploading.content_of(3 * PART)
    upload = await replica.start(content)
    feed = uploading.Feed()
    feed.send(uploading.pieces_of(content, PART, PART + CHUNK, finish=False))
    early = asyncio.create_task(replica.write(upload.name, feed))
    await uploading.until(lambda: replica.uploads.memory.used_bytes == PART)
    await write_parts([other], upload, content, 2)
    feed.send(uploading.pieces_of(content, PART + CHUNK, 2 * PART))
    with pytest.raises(errors.Aborted) as caught:
        await early
    assert caught.value.reason == "UPLOAD_PART_TAKEN"
    assert (await other.complete(upload.name)).state is COMMITTED
    assert await other.read(upload.digest) == content


async def test_two_clients_push_one_file_in_streams_through_two_servers(
    config: configuration.Config, tmp_path: Path
) -> None:
    content = os.urandom(70 * MIB + 3)
    (tmp_path / "model.bin").write_bytes(content)
    async with (
        server_process.serving(config) as (_, first),
        server_process.serving(config) as (_, second),
        client.connect(first) as one,
        client.connect(second) as two,
    ):
        pushed = await asyncio.gather(
            one.push(tmp_path / "model.bin", "acme/voice@1.0.0", streams=3),
            two.push(tmp_path / "model.bin", "acme/voice@1.0.1", streams=3),
        )
        assert [each.version.state for each in pushed] == [client.VersionState.READY] * 2
        await two.pull("acme/voice@1.0.0", tmp_path / "copy")
    assert (tmp_path / "copy" / "model.bin").read_bytes() == content
