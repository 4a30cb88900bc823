"""Uploads against a real S3 store, with the smallest parts that S3 takes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from support import faulty_store, services, uploading

from modelkeep.blobs import s3 as s3_store
from modelkeep.blobs import s3_connection
from modelkeep.domain import errors, limits, uploads
from modelkeep.storage import database

COMMITTED = uploads.UploadState.COMMITTED
PART = 5 * limits.MIB
SETTINGS = uploading.small_settings(min_part_bytes=PART, memory_bytes=8 * PART)


@pytest.fixture
async def stored(s3: services.S3, bucket: str) -> AsyncIterator[faulty_store.FaultyBlobStore]:
    settings = s3_connection.S3Settings(
        endpoint=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        secure=False,
        bucket=bucket,
    )
    opened = s3_store.S3BlobStore(settings)
    yield faulty_store.FaultyBlobStore(opened)
    await opened.close()


def megabytes(content: bytes, start: int = 0, end: int | None = None) -> list[uploads.Piece]:
    return uploading.pieces_of(content, start, end, chunk_bytes=limits.MIB)


async def test_a_blob_of_several_parts_comes_back_and_leaves_nothing_else(
    db: database.Database, stored: faulty_store.FaultyBlobStore
) -> None:
    replica = uploading.Replica(db, stored, SETTINGS)
    content = uploading.content_of(2 * PART + 12_345)
    upload = await replica.start(content)
    await replica.cut(upload.name, megabytes(content)[:7])
    kept = (await replica.start(content)).next_offset
    assert kept == PART
    await replica.write(upload.name, megabytes(content, kept))
    assert (await replica.complete(upload.name)).state is COMMITTED
    assert await replica.read(upload.digest) == content
    assert len(await stored.list_page("", "", 10)) == 1
    assert stored.calls["put_part"] == 3
    await replica.uploads.close()


async def test_wrong_bytes_that_reach_the_store_last_are_never_committed(
    db: database.Database, stored: faulty_store.FaultyBlobStore
) -> None:
    replica, other = (uploading.Replica(db, stored, SETTINGS) for _ in range(2))
    content, wrong = uploading.content_of(2 * PART), uploading.content_of(2 * PART, seed=8)
    upload = await replica.start(content)
    gate = stored.hold("put_part")
    late = asyncio.create_task(replica.write(upload.name, megabytes(wrong, 0, PART)))
    await uploading.until(lambda: "put_part" in stored.calls)
    await other.write(upload.name, megabytes(content))
    gate.set()
    with pytest.raises(errors.Aborted):
        await late
    try:
        await other.complete(upload.name)
    except errors.DataLoss:
        assert (await other.get(upload.name)).state is uploads.UploadState.FAILED
        assert await other.missing([upload.digest]) == (upload.digest,)
        assert await stored.list_page("", "", 10) == []
    else:
        assert await other.read(upload.digest) == content
    for each in (replica, other):
        await each.uploads.close()


async def test_abort_leaves_nothing_in_the_store(
    db: database.Database, stored: faulty_store.FaultyBlobStore, s3: services.S3, bucket: str
) -> None:
    replica = uploading.Replica(db, stored, SETTINGS)
    for size in (PART, 2 * PART):
        content = uploading.content_of(size)
        upload = await replica.start(content)
        await replica.write(upload.name, megabytes(content, 0, PART))
        await replica.abort(upload.name)
    assert await stored.list_page("", "", 10) == []
    assert s3.client()._list_multipart_uploads(bucket).uploads == []
    await replica.uploads.close()
